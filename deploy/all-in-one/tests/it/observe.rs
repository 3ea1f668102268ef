//! What the running system tells about itself: one trace from the click to the callback, and every metric that a
//! dashboard or an alert asks for.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;
use testing::Mode;

use crate::{
    collector::{Collector, Span},
    system::System,
};

/// From `span` up to the root: (process, kind, name).
fn chain<'s>(span: &'s Span, by_id: &HashMap<&[u8], &'s Span>) -> Vec<(&'s str, SpanKind, &'s str)> {
    let mut chain = Vec::new();
    let mut at = Some(span);
    while let Some(step) = at {
        assert_eq!(step.trace, span.trace, "{} belongs to another trace", step.name);
        chain.push((step.process.as_str(), step.kind, step.name.as_str()));
        at = (!step.parent.is_empty()).then(|| {
            *by_id.get(step.parent.as_slice()).unwrap_or_else(|| panic!("the parent of {step:?} is not told"))
        });
    }
    chain
}

/// The story's orders are placed, paid and worked off by calls through the gateway; each callback's trace begins
/// with the call that caused it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_click_to_the_callback() {
    let collector = Collector::start();
    let mut system = System::with(&[("BAODAN_TELEMETRY__OTLP_ENDPOINT", &collector.url)]).await;
    system.tell_the_story();
    // Ends in order, which sends the last spans.
    system.stop().await;
    let spans = collector.spans();
    let by_id: HashMap<&[u8], &Span> = spans.iter().map(|s| (s.id.as_slice(), s)).collect();
    let callbacks: Vec<&Span> = spans.iter().filter(|s| s.name == "callback").collect();
    assert!(callbacks.len() >= 6, "{} callbacks in {} spans", callbacks.len(), spans.len());
    let mut causes = BTreeSet::new();
    for callback in callbacks {
        assert_eq!(callback.attributes["http.response.status_code"], "200", "{callback:?}");
        let chain = chain(callback, &by_id);
        let (root, way) = chain.split_last().unwrap();
        let (gateway, order, sync) = match Mode::current() {
            Mode::Embedded => ("baodan", None, "baodan"),
            Mode::Distributed => ("gateway", Some("order-service"), "sync-service"),
        };
        let steps: Vec<_> = way.iter().map(|(process, kind, _)| (*process, *kind)).collect();
        let mut expected = vec![
            (sync, SpanKind::Client),
            (sync, SpanKind::Consumer),
            (order.unwrap_or("baodan"), SpanKind::Producer),
        ];
        expected.extend(order.map(|order| (order, SpanKind::Server)));
        assert_eq!(steps, expected, "{chain:?}");
        assert_eq!((root.0, root.1), (gateway, SpanKind::Server), "{chain:?}");
        causes.insert(root.2.to_owned());
    }
    // Placed, paid, claimed by the supplier, worked off.
    assert!(causes.len() >= 3, "{causes:?}");
    let shown: String = spans.iter().map(|s| format!("{s:?}")).collect();
    assert!(!shown.contains("bk_") && !shown.contains("whsec_"), "a secret is in a span");
}

/// Metrics of engines and of Prometheus itself.
const FOREIGN: [&str; 5] = ["rabbitmq_", "otelcol_", "prometheus_", "up", "scrape_"];
/// Told by a gateway that stands apart from its services.
const APART: [&str; 2] = ["gateway_upstream_failures_total", "gateway_upstream_retries_total"];

/// Names that look like ours in PromQL: `service_what_unit`, not a label, not a function.
fn names(promql: &str) -> BTreeSet<String> {
    let mut plain = String::new();
    let mut depth = 0;
    for c in promql.chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map(str::to_owned).collect()
    };
    // Labels stand in the brackets after these.
    for keyword in ["by", "without", "on", "ignoring"] {
        while let Some(at) = plain.find(&format!("{keyword} (")) {
            let end = plain[at..].find(')').map_or(plain.len(), |n| at + n);
            plain.replace_range(at..end, " ");
        }
    }
    let metric = |w: &String| w.contains('_') && !w.starts_with("histogram_") && !w.ends_with("_over_time");
    words(&plain).into_iter().filter(metric).collect()
}

/// Every expression of the dashboards and alert rules, with where it stands.
fn expressions() -> Vec<(String, String)> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for file in std::fs::read_dir(deploy.join("grafana/dashboards")).unwrap() {
        let path = file.unwrap().path();
        let board: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for panel in board["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let place = format!("{}, {}", path.display(), panel["title"]);
                found.push((place, target["expr"].as_str().unwrap().to_owned()));
            }
        }
    }
    let rules = std::fs::read_to_string(deploy.join("prometheus/rules/baodan.yml")).unwrap();
    let mut alert = String::new();
    let mut reading = false;
    for line in rules.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            alert = name.to_owned();
        } else if let Some(text) = line.strip_prefix("expr:") {
            reading = true;
            found.push((format!("alert {alert}"), text.trim_start_matches([' ', '|']).to_owned()));
        } else if reading && (line.starts_with("for:") || line.starts_with("labels:")) {
            reading = false;
        } else if reading {
            let last = found.last_mut().unwrap();
            last.1.push(' ');
            last.1.push_str(line);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_a_dashboard_or_an_alert_is_told_by_the_running_system() {
    let mut system = System::with(&[]).await;
    system.tell_the_story();
    let told = system.metrics().await;
    let mut missing = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for (place, promql) in expressions() {
        for name in names(&promql) {
            if FOREIGN.iter().any(|f| name.starts_with(f)) {
                continue;
            }
            if Mode::current() == Mode::Embedded && APART.contains(&name.as_str()) {
                continue;
            }
            if !told.contains(&name) {
                missing.insert(name.clone(), place.clone());
            }
            asked.insert(name);
        }
    }
    assert!(asked.len() >= 12, "only {asked:?} are asked for: are they read rightly?");
    assert!(missing.is_empty(), "nothing tells {missing:#?}; told are {told:#?}");
    system.stop().await;
}

#[test]
fn names_are_read_out_of_promql() {
    let read = |text| names(text).into_iter().collect::<Vec<_>>();
    assert_eq!(
        read(
            "histogram_quantile(0.99, sum by (le, some_label) (rate(a_seconds_bucket{b_c=\"d_e\"}[5m]))) > 2"
        ),
        ["a_seconds_bucket"]
    );
    assert_eq!(read("a_total / on (x_y) b_total"), ["a_total", "b_total"]);
}
