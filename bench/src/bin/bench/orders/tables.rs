//! The findings as tables.

use bench::{
    machine,
    report::{Section, Table, median, percentile, whole},
};

use super::{Findings, Found, Plan, Round};

pub fn section(findings: &Findings, plan: &Plan) -> Section {
    let rounds = format!(
        "{} rounds, system and bare rows in alternation, medians; {} orders each",
        plan.rounds, plan.orders
    );
    let mut versions = vec![machine::rustc()];
    versions.extend(findings.versions.clone());
    let title = format!("Placing and paying, {} requests under way at once", plan.parallel);
    let head = [
        "",
        "placed/s",
        "p50 ms",
        "p99 ms",
        "paid/s",
        "p50 ms",
        "p99 ms",
        "changes/s",
        "÷ bare rows",
        "CPU-s per 1000 changes",
    ];
    let mut table = Table::new(title, &head);
    for found in &findings.modes {
        ours(&mut table, found, plan);
        let bare = whole(median(&found.bare));
        let label = format!("bare rows: {}", found.mode.label());
        let dash = "–";
        table
            .row([&label, dash, dash, dash, dash, dash, dash, &bare, "1.00", dash].map(str::to_owned).into());
    }
    Section {
        subject: "orders",
        title: "下单与付款 Placing and paying orders",
        circumstances: machine::circumstances(&rounds, &versions, &findings.foreign),
        tables: vec![table],
        notes: vec![
            "Every request goes through the gateway with a token, a permission and an Idempotency-Key of its own, is checked, and writes order, history, outbox and the stored answer in one durable transaction. Meanwhile the events travel on to the other services on the same cores.".into(),
            "Bare rows: one row for the order (450 bytes), one of history, one for the event (1.3 KB) and a commit for each change, by the services' own database layer with the same settings and as many at once: what the change must cost at least.".into(),
        ],
    }
}

fn ours(table: &mut Table, found: &Found, plan: &Plan) {
    let of = |figure: &dyn Fn(&Round) -> f64| median(&found.rounds.iter().map(figure).collect::<Vec<_>>());
    let (placed, paid) = (of(&|r| r.placed), of(&|r| r.paid));
    // Half of the changes each way.
    let changes = of(&|r| 2.0 / (1.0 / r.placed + 1.0 / r.paid));
    let at = |times: &dyn Fn(&Round) -> f64| format!("{:.1}", of(times));
    table.row(vec![
        found.mode.label().into(),
        whole(placed),
        at(&|r| percentile(&r.place_ms, 50.0)),
        at(&|r| percentile(&r.place_ms, 99.0)),
        whole(paid),
        at(&|r| percentile(&r.pay_ms, 50.0)),
        at(&|r| percentile(&r.pay_ms, 99.0)),
        whole(changes),
        format!("{:.2}", changes / median(&found.bare)),
        format!("{:.2}", of(&|r| r.cpu.all() / (2.0 * plan.orders as f64) * 1000.0)),
    ]);
}
