//! The findings as tables.

use bench::{
    machine,
    report::{Section, Table, median, whole},
};

use super::{Findings, Plan, Reading, polling};

pub fn section(findings: &Findings, plan: &Plan) -> Section {
    let rounds = format!("{} rounds, system and PostgreSQL alone in alternation, medians", plan.rounds);
    let mut versions = vec![machine::rustc()];
    versions.extend(findings.versions.clone());
    Section {
        subject: "claims",
        title: "领单 Suppliers at a large stock of orders",
        circumstances: machine::circumstances(&rounds, &versions, &findings.foreign),
        tables: vec![claims(findings, plan), answer(findings, plan), placing(findings), polls(findings)],
        notes: notes(findings, plan),
    }
}

fn of<T>(all: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    median(&all.iter().map(figure).collect::<Vec<_>>())
}

fn claims(findings: &Findings, plan: &Plan) -> Table {
    let title = format!(
        "{} callers claim {} orders in batches of {}, each exactly once",
        plan.callers,
        whole(plan.orders as f64),
        plan.batch
    );
    let head = ["", "orders/s", "÷ pgbench", "CPU-s per 1000: ours", "database", "broker"];
    let mut table = Table::new(title, &head);
    let all = &findings.claims;
    let cpu = |part: fn(&bench::system::Cpu) -> f64| {
        format!("{:.3}", of(all, |c| part(&c.cpu) / plan.orders as f64 * 1000.0))
    };
    table.row(vec![
        "`down_orders` through the gateway: history, outbox, JSON".into(),
        whole(of(all, |c| c.ours)),
        format!("{:.2}", of(all, |c| c.ours / c.bare)),
        cpu(|c| c.ours),
        cpu(|c| c.database),
        cpu(|c| c.broker),
    ]);
    let bare = whole(of(all, |c| c.bare));
    let label = "pgbench: `UPDATE … FOR UPDATE SKIP LOCKED … RETURNING` alone";
    table.row([label, &bare, "1.00", "–", "–", "–"].map(str::to_owned).into());
    table
}

fn answer(findings: &Findings, plan: &Plan) -> Table {
    let title = format!("One answer of {} orders", whole(plan.orders as f64));
    let mut table =
        Table::new(title, &["", "first byte ms", "whole s", "MiB", "memory before MiB", "at most MiB"]);
    let mut row = |label: &str, all: &[Reading], memory: bool| {
        let mib = |kib: f64| if memory { format!("{:.0}", kib / 1024.0) } else { "–".into() };
        table.row(vec![
            label.into(),
            format!("{:.0}", of(all, |r| r.first_byte_ms)),
            format!("{:.2}", of(all, |r| r.seconds)),
            format!("{:.1}", of(all, |r| r.bytes as f64) / 1_048_576.0),
            mib(of(all, |r| r.before_kib as f64)),
            mib(of(all, |r| r.most_kib as f64)),
        ]);
    };
    row("read only (`chage_state=false`)", &findings.reads, true);
    row("handed out as it is sent", &[findings.taking], true);
    row("psql: COPY of the same rows", &findings.bare_reads, false);
    table
}

fn placing(findings: &Findings) -> Table {
    let mut table =
        Table::new("Orders placed a second, 8 shops at once", &["", "orders/s", "÷ without polls"]);
    let (alone, polled) = (median(&findings.rates.alone), median(&findings.rates.polled));
    let label = format!("{} suppliers poll three states every second", polling::POLLERS);
    table.row(vec![label, whole(polled), format!("{:.2}", polled / alone)]);
    table.row(vec!["nobody polls".into(), whole(alone), "1.00".into()]);
    table
}

fn polls(findings: &Findings) -> Table {
    let head = ["orders in the table", "partitions", "index scans", "other scans", "pages touched", "ms"];
    let mut table = Table::new("A poll that finds nothing, as PostgreSQL explains it", &head);
    for poll in &findings.polls {
        table.row(vec![
            whole(poll.orders as f64),
            poll.partitions.to_string(),
            poll.index_scans.to_string(),
            poll.other_scans.to_string(),
            poll.buffers.to_string(),
            format!("{:.3}", poll.milliseconds),
        ]);
    }
    table
}

fn notes(findings: &Findings, plan: &Plan) -> Vec<String> {
    vec![
        "Claims: the clock runs from the first call to the last empty answer; a run in which an order came twice or not at all fails. pgbench has a copy of the same rows in one table with the same indices, the same number of clients and the same batches, and writes neither history nor outbox. Sending what was claimed on to other services goes on meanwhile, on the same cores.".into(),
        "First byte is that of the body, behind the gateway; memory is the resident set of order-service and gateway, looked at every 10 ms.".into(),
        format!("{} polls were answered beside the placing. The keenest known client polls every 5 s.", findings.rates.polls),
        format!("The orders are made by `baodan seed`; its last words for {} of them: {}", whole(plan.orders as f64), findings.seeded.lines().last().unwrap_or_default()),
    ]
}
