//! The findings as tables.

use bench::{
    machine,
    report::{Section, Table, median, percentile, whole},
};

use super::{BareDone, Burst, Drain, Findings, Found, PARALLEL_ALL, PARALLEL_ONE, Plan};

const PUBLISHED: &str = "published, not run here: Svix server (Rust, Redis + PostgreSQL), 600-byte messages, a machine of this kind";

pub fn section(findings: &Findings, plan: &Plan) -> Section {
    let rounds = format!(
        "{} rounds, system and bare loop in alternation, medians; {} changes at {}/s",
        plan.rounds, plan.steady_changes, plan.rate
    );
    let mut versions = vec![machine::rustc()];
    versions.extend(findings.modes.iter().flat_map(|m| m.versions.clone()));
    Section {
        subject: "callbacks",
        title: "回调 From a committed state change to the partner's receiver",
        circumstances: machine::circumstances(&rounds, &versions, &findings.foreign),
        tables: vec![latency(findings, plan), throughput(findings, plan), drained(findings, plan)],
        notes: notes(findings, plan),
    }
}

fn latency(findings: &Findings, plan: &Plan) -> Table {
    let title = format!("State change → callback received, {} changes a second", plan.rate);
    let mut table = Table::new(title, &["", "changes", "kept rate /s", "p50 ms", "p99 ms", "max ms"]);
    let mut row = |label: &str, kept: String, values: &[f64]| {
        let at = |percent| whole(percentile(values, percent));
        table.row(vec![label.into(), values.len().to_string(), kept, at(50.0), at(99.0), at(100.0)]);
    };
    for found in &findings.modes {
        row(found.mode.label(), format!("{:.0}", found.kept_rate), &found.latencies_ms);
    }
    row("bare loop of the same POSTs, nothing stored", plan.rate.to_string(), &findings.bare.latencies_ms);
    table.row([PUBLISHED, "–", "200", "2.3", "4.3", "–"].map(str::to_owned).into());
    table
}

fn throughput(findings: &Findings, plan: &Plan) -> Table {
    let title = format!(
        "Sustained callbacks out of a backlog of {} orders handed out at once",
        whole(plan.backlog as f64)
    );
    let head = [
        "",
        "endpoints",
        "callbacks/s",
        "÷ bare loop",
        "hand-out s",
        "p50 ms",
        "p99 ms",
        "CPU-s per 1000: ours",
        "database",
        "broker",
        "all",
    ];
    let mut table = Table::new(title, &head);
    let many = plan.endpoints.to_string();
    for (endpoints, of_mode, bare) in [
        ("1", (|f: &Found| &f.one) as fn(&Found) -> &Vec<Burst>, &findings.bare.one),
        (many.as_str(), |f: &Found| &f.many, &findings.bare.many),
    ] {
        let loop_rate = median(&bare.iter().map(|b| plan.backlog as f64 / b.seconds).collect::<Vec<_>>());
        for found in &findings.modes {
            table.row(burst_row(found.mode.label(), endpoints, of_mode(found), loop_rate));
        }
        table.row(bare_row(endpoints, bare, plan, loop_rate));
    }
    let published = [
        PUBLISHED,
        "1",
        "1,000-1,300",
        "–",
        "–",
        "33",
        "75-90",
        "0.80-0.95",
        "0.60-0.80",
        "0.10",
        "1.5-1.85",
    ];
    table.row(published.map(str::to_owned).into());
    table
}

fn burst_row(label: &str, endpoints: &str, bursts: &[Burst], loop_rate: f64) -> Vec<String> {
    let of = |figure: &dyn Fn(&Burst) -> f64| median(&bursts.iter().map(figure).collect::<Vec<_>>());
    let cpu = |part: &dyn Fn(&Burst) -> f64| format!("{:.2}", of(&|b| part(b) / b.orders as f64 * 1000.0));
    let rate = of(&|b| b.per_second);
    vec![
        label.into(),
        endpoints.into(),
        whole(rate),
        format!("{:.2}", rate / loop_rate),
        format!("{:.2}", of(&|b| b.claimed_seconds)),
        whole(of(&|b| percentile(&b.latencies_ms, 50.0))),
        whole(of(&|b| percentile(&b.latencies_ms, 99.0))),
        cpu(&|b| b.cpu.ours),
        cpu(&|b| b.cpu.database),
        cpu(&|b| b.cpu.broker),
        cpu(&|b| b.cpu.all()),
    ]
}

fn bare_row(endpoints: &str, bare: &[BareDone], plan: &Plan, loop_rate: f64) -> Vec<String> {
    let cpu = median(&bare.iter().map(|b| b.cpu_seconds / plan.backlog as f64 * 1000.0).collect::<Vec<_>>());
    let cpu = format!("{cpu:.2}");
    let dash = || "–".to_owned();
    let label = "bare loop of the same POSTs, nothing stored".to_owned();
    vec![
        label,
        endpoints.into(),
        whole(loop_rate),
        "1.00".into(),
        dash(),
        dash(),
        dash(),
        cpu.clone(),
        dash(),
        dash(),
        cpu,
    ]
}

fn drained(findings: &Findings, plan: &Plan) -> Table {
    let title =
        format!("From a full outbox of {} changes to the recorded receipts", whole(plan.drained as f64));
    let head = [
        "",
        "endpoints",
        "callbacks/s",
        "SQL statements per callback",
        "CPU-s per 1000: ours",
        "database",
        "broker",
        "all",
    ];
    let mut table = Table::new(title, &head);
    let many = plan.endpoints.to_string();
    for found in &findings.modes {
        let drained = &found.drained;
        let healthy = median(&drained.many.iter().map(|d| d.per_second).collect::<Vec<_>>());
        let dead = median(&drained.one_dead.iter().map(|d| d.per_second).collect::<Vec<_>>());
        let of_dead = format!("{many}, one hangs: the others {:+.1} %", (dead / healthy - 1.0) * 100.0);
        for (endpoints, drains) in
            [("1", &drained.one), (many.as_str(), &drained.many), (of_dead.as_str(), &drained.one_dead)]
        {
            table.row(drain_row(found.mode.label(), endpoints, drains));
        }
    }
    table
}

fn drain_row(label: &str, endpoints: &str, drains: &[Drain]) -> Vec<String> {
    let of = |figure: &dyn Fn(&Drain) -> f64| median(&drains.iter().map(figure).collect::<Vec<_>>());
    let cpu = |part: &dyn Fn(&Drain) -> f64| format!("{:.2}", of(&|d| part(d) / d.orders as f64 * 1000.0));
    vec![
        label.into(),
        endpoints.into(),
        whole(of(&|d| d.per_second)),
        format!("{:.3}", of(&|d| d.statements / d.orders as f64)),
        cpu(&|d| d.cpu.ours),
        cpu(&|d| d.cpu.database),
        cpu(&|d| d.cpu.broker),
        cpu(&|d| d.cpu.all()),
    ]
}

fn notes(findings: &Findings, plan: &Plan) -> Vec<String> {
    let faults = findings.faults;
    let mut notes = vec![
        format!(
            "Of {} callbacks none was missing (a run with a missing one fails); repeated {}, out of order within their order {}, badly signed {}. Mean body {:.0} bytes.",
            whole(findings.callbacks as f64), faults.duplicates, faults.out_of_order, faults.refused, findings.mean_bytes
        ),
        "Latency is the receiver's clock minus the event's own time, which is taken inside the transaction, so the commit is part of it; whole milliseconds, one clock. The changes are payments by the public API through the gateway, sent at their times whatever the answers do.".into(),
        "Backlog: one `down_orders` per goods changes all waiting orders at once; the clock runs from that call to the last receipt, so claiming, outbox, bus, storing and sending are all in. CPU runs on for 2 s after the last receipt, until results are recorded; database and broker are whole servers, so only a quiet machine gives figures of this run alone.".into(),
        "Full outbox: order-service's relay is kept away while the orders change, then let go; rate from the first receipt to the last, CPU and statements from letting go until 2 s after the last receipt. Statements are those of all processes, BEGIN and COMMIT apart, idle work included. The endpoint that hangs answers nobody for 30 s; its callbacks are not counted here and must all arrive once it answers again.".into(),
        format!("The receiver, the load and everything measured share the cores. Parallel requests: {PARALLEL_ONE} to one endpoint, {PARALLEL_ALL} in all, for sync-service and for the bare loop. The distributed mode has a database of its own with the server's durability settings; embedded data lies on {}.", file_system()),
    ];
    if plan.rounds > 0 {
        notes.extend(
            findings.missing.iter().map(|m| format!("**Not measured**: {}", m.lines().next().unwrap_or(m))),
        );
    }
    notes
}

fn file_system() -> String {
    let folder = std::env::temp_dir();
    machine::said("stat", &["-f", "-c", "%T", &folder.to_string_lossy()])
        .unwrap_or_else(|| "an unknown file system".into())
}
