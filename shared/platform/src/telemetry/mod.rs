//! What a process tells about itself: log lines on stderr, spans to an OpenTelemetry collector when one is
//! configured, metrics for Prometheus; the W3C trace context; redaction of what must not be told.
//!
//! Invariants: without an endpoint no exporter, no thread and no connection exists; a dead collector costs
//! dropped spans, never a request. Deliberately absent: logs and metrics over OTLP (stderr and the scrape
//! are collected by what runs the process).

mod context;
mod json;
mod lines;
mod otlp;
#[cfg(test)]
mod page;
mod redact;
mod steps;

use std::{
    io::IsTerminal,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterFn, filter_fn},
    fmt::{self, format::JsonFields},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use json::JsonLine;
use lines::Lines;

pub use context::{current_traceparent, new_traceparent, parent_from};
pub use metrics_exporter_prometheus::PrometheusHandle;
pub use redact::redact_query;
pub(crate) use steps::Steps;

/// Longest wait for the last spans at shutdown.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often histograms are folded, so that they stay small when nobody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// From a cached read to a time-out of an upstream, in seconds.
const SECONDS_BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Bounds for numbers of events in a batch.
const COUNT_BUCKETS: [f64; 6] = [1.0, 4.0, 16.0, 64.0, 256.0, 512.0];

/// What is logged when nothing is said: everything of ours, of the frameworks only what somebody should act on. What
/// a client sends that is no HTTP is nothing to act on, though the dispatcher calls it an error.
pub const DEFAULT_LOG: &str =
    "info,actix_server=warn,actix_http::h1::dispatcher=off,sea_orm_migration=warn,lapin=warn,sqlx=warn";

/// What a log line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For a person at a terminal.
    #[default]
    Pretty,
    /// One JSON object a line, for a collector.
    Json,
}

/// Settings of logs and spans.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Which lines are logged, as an env-filter directive: `info`, `warn,order_service=debug`.
    pub log: String,
    pub format: LogFormat,
    /// Base address of an OTLP/HTTP collector, for example `http://otel-collector:4318`; absent or empty: no
    /// tracing. A path of its own is kept, otherwise `/v1/traces` is added.
    pub otlp_endpoint: Option<String>,
    /// Share of new traces that are recorded, 0 to 1; a trace that came in keeps its caller's choice.
    pub trace_sample_ratio: f64,
    /// Longest wait for the collector to take a batch.
    pub otlp_timeout_seconds: u64,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            log: DEFAULT_LOG.to_owned(),
            format: LogFormat::default(),
            otlp_endpoint: None,
            trace_sample_ratio: 1.0,
            otlp_timeout_seconds: 10,
        }
    }
}

impl TelemetrySettings {
    /// # Errors
    /// One sentence about the first setting that cannot work.
    pub fn validate(&self) -> Result<(), String> {
        EnvFilter::try_new(&self.log)
            .map_err(|err| format!("telemetry.log is not an env-filter directive: {err}"))?;
        if !(0.0..=1.0).contains(&self.trace_sample_ratio) {
            return Err("telemetry.trace_sample_ratio is not between 0 and 1".to_owned());
        }
        if !(1..=60).contains(&self.otlp_timeout_seconds) {
            return Err("telemetry.otlp_timeout_seconds is not between 1 and 60".to_owned());
        }
        if let Some(endpoint) = self.endpoint() {
            otlp::traces_url(endpoint)?;
        }
        Ok(())
    }

    fn endpoint(&self) -> Option<&str> {
        self.otlp_endpoint.as_deref().map(str::trim).filter(|endpoint| !endpoint.is_empty())
    }
}

static EXPORTING: AtomicBool = AtomicBool::new(false);

/// Whether this process sends spans to a collector: those that only a trace needs are made only then.
pub fn exporting() -> bool {
    EXPORTING.load(Ordering::Relaxed)
}

/// Holds the exporter; `shutdown` as the last step of a process sends what is left.
#[must_use = "the last spans are lost without shutdown()"]
#[derive(Debug, Default)]
pub struct TelemetryGuard {
    provider: Mutex<Option<SdkTracerProvider>>,
    lines: Option<Lines>,
}

impl TelemetryGuard {
    /// Sends the spans that are left; blocks for up to 5 seconds. Writes the log lines that are left. A second
    /// call does nothing.
    pub fn shutdown(&self) {
        let provider = self.provider.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(err)) = provider.map(|p| p.shutdown_with_timeout(FLUSH_TIMEOUT)) {
            tracing::warn!(error = %err, "the last spans did not reach the collector");
        }
        if let Some(lines) = &self.lines {
            lines.finish();
        }
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Installs logs, metrics and, with an endpoint, spans for the whole process. The first call counts; later ones (tests,
/// services inside the all-in-one binary) change nothing. A bad setting is replaced by its default and
/// logged: `validate` is where it is refused.
pub fn init(service_name: &str, s: &TelemetrySettings) -> TelemetryGuard {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::replace(&mut *installed, true) {
        return TelemetryGuard::default();
    }
    // What is counted before the first scrape counts too.
    metrics_handle();
    let (log, bad_log) = match EnvFilter::try_new(&s.log) {
        Ok(filter) => (filter, None),
        Err(err) => (EnvFilter::new(DEFAULT_LOG), Some(err)),
    };
    let (provider, bad_otlp) = match s.endpoint().map(|endpoint| otlp::provider(service_name, endpoint, s)) {
        Some(Ok(provider)) => (Some(provider), None),
        Some(Err(err)) => (None, Some(err)),
        None => (None, None),
    };
    EXPORTING.store(provider.is_some(), Ordering::Relaxed);
    // Known from the start: an alert on its increase would miss the first loss otherwise.
    metrics::counter!("telemetry_spans_dropped_total").absolute(0);
    let lines = Lines::start(Box::new(std::io::stderr()));
    let second = subscriber(log, s.format, lines.clone(), provider.as_ref()).try_init().is_err();
    if second {
        tracing::debug!("another subscriber is installed already; this one is not used");
    }
    if let Some(err) = bad_log {
        tracing::warn!(error = %err, "telemetry.log is unusable, logging at info");
    }
    if let Some(err) = bad_otlp {
        tracing::warn!(error = err, "spans are not exported");
    }
    TelemetryGuard { provider: Mutex::new(provider), lines: Some(lines) }
}

fn subscriber(
    log: EnvFilter,
    format: LogFormat,
    lines: Lines,
    provider: Option<&SdkTracerProvider>,
) -> impl Subscriber + Send + Sync {
    let spans = provider.map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer("baodan")).with_filter(spans_from_info())
    });
    tracing_subscriber::registry()
        .with(log_layer(format, lines).with_filter(log))
        .with(KeepSpans.with_filter(spans_from_info()))
        .with(spans)
}

fn log_layer<S>(format: LogFormat, lines: Lines) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(lines);
    match format {
        LogFormat::Json => layer.fmt_fields(JsonFields::new()).event_format(JsonLine).boxed(),
        // On a terminal the library decides about colour, which honours NO_COLOR.
        LogFormat::Pretty if std::io::stderr().is_terminal() => layer.boxed(),
        LogFormat::Pretty => layer.with_ansi(false).boxed(),
    }
}

/// Spans from info upward, whatever is logged. Without its hint the level of the whole process would be trace, and every
/// `trace!` of the frameworks would ask every filter.
fn spans_from_info() -> FilterFn {
    filter_fn(worth_a_trace as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::INFO)
}

/// From info upward, and not the exporter's own HTTP client, which would trace itself for ever.
fn worth_a_trace(meta: &Metadata<'_>) -> bool {
    const OWN: [&str; 5] = ["opentelemetry", "hyper", "reqwest", "h2", "rustls"];
    let level: &Level = meta.level();
    LevelFilter::INFO >= *level && !OWN.iter().any(|own| meta.target().starts_with(own))
}

/// Keeps spans alive below the log's level, so that the trace context in them (`parent_from`) survives
/// `log = "error"`.
struct KeepSpans;

impl<S: Subscriber> Layer<S> for KeepSpans {}

/// The process's Prometheus recorder, installed by the first call; `render()` is the scrape's answer.
pub fn metrics_handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(install_recorder).clone()
}

fn install_recorder() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .and_then(|b| b.set_buckets_for_metric(Matcher::Suffix("_batch_events".to_owned()), &COUNT_BUCKETS))
        .expect("the lists of buckets are not empty")
        .build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another metrics recorder is installed already; /metrics stays empty");
    }
    let upkeep = handle.clone();
    #[allow(clippy::disallowed_methods)] // a thread of its own, no worker is blocked
    let spawned = std::thread::Builder::new().name("metrics-upkeep".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(UPKEEP_EVERY);
            upkeep.run_upkeep();
        }
    });
    if let Err(err) = spawned {
        tracing::warn!(error = %err, "histograms are folded by scrapes alone");
    }
    handle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_defaults_and_refuse_what_cannot_work() {
        let read = |text: &str| toml::from_str::<TelemetrySettings>(text);
        let empty = read("").unwrap();
        assert_eq!(empty, TelemetrySettings::default());
        assert_eq!((empty.log.as_str(), empty.format), (DEFAULT_LOG, LogFormat::Pretty));
        assert_eq!(read("format = 'json'").unwrap().format, LogFormat::Json);
        assert!(read("colour = 1").is_err());
        for good in
            ["", "otlp_endpoint = ''", "otlp_endpoint = 'http://collector:4318'\nlog = 'warn,a=debug'"]
        {
            assert_eq!(read(good).unwrap().validate(), Ok(()), "{good}");
        }
        for bad in [
            "log = 'a=b=c'",
            "otlp_endpoint = 'collector:4318'",
            "otlp_endpoint = 'nonsense'",
            "trace_sample_ratio = 1.5",
            "trace_sample_ratio = nan",
            "otlp_timeout_seconds = 0",
        ] {
            assert!(read(bad).unwrap().validate().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_nobody_logs_is_not_even_asked_for() {
        let provider = SdkTracerProvider::builder().build();
        for (log, asked) in [
            ("debug", LevelFilter::DEBUG),
            ("warn,sqlx=trace", LevelFilter::TRACE),
            ("info", LevelFilter::INFO),
            ("error", LevelFilter::INFO),
        ] {
            for provider in [None, Some(&provider)] {
                let lines = Lines::start(Box::new(std::io::sink()));
                let subscriber = subscriber(EnvFilter::new(log), LogFormat::Json, lines, provider);
                assert_eq!(subscriber.max_level_hint(), Some(asked), "{log}, {provider:?}");
            }
        }
    }

    #[test]
    fn durations_are_rendered_as_histograms_and_the_recorder_is_one() {
        let handle = metrics_handle();
        metrics::histogram!("telemetry_test_seconds").record(0.02);
        for page in [metrics_handle().render(), handle.render()] {
            assert!(page.contains("telemetry_test_seconds_bucket{le=\"0.025\"} 1"), "{page}");
        }
    }

    #[test]
    fn a_second_init_is_harmless() {
        let settings = TelemetrySettings { log: "error".into(), ..Default::default() };
        let (first, second) = (init("test", &settings), init("test", &settings));
        first.shutdown();
        second.shutdown();
        first.shutdown();
    }
}
