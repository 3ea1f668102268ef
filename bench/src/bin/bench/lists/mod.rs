//! Subject `lists`: a page of the order list at a million orders, with each filter, against the bare prepared SQL by
//! pgbench; and a page far behind against the first.

mod orders;
mod pgbench;

use bench::{
    machine::{self, Foreign, Watch},
    report::{Section, Table, whole},
    system::{Mode, System},
    tools,
};

use crate::{
    workbook::operator::Operator,
    wrk::{self, Load},
};
use orders::Filter;

const TARGET_RATIO: f64 = 2.0;
const TARGET_DEEP: f64 = 3.0;
const LIMIT: u32 = 20;
/// Callers at a time, of the list and of the bare SQL.
const CALLERS: u32 = 4;

pub struct Plan {
    pub orders: u32,
    pub seconds: u32,
    /// The page far behind.
    pub deep: u32,
}

struct Row {
    filter: Filter,
    ours: Load,
    /// Of the same rows by the bare SQL.
    bare_rows: Load,
    /// Of the same answer by the bare SQL: the rows, and how many there are in all.
    bare_answer: Load,
}

pub async fn run(plan: &Plan) -> Result<Section, String> {
    tools::ensure("wrk", "wrk")?;
    tools::ensure("pgbench", "postgresql-contrib")?;
    let system = System::start(Mode::Distributed, tools::free_address()?).await?;
    let mut foreign = Foreign::default();
    let measured = measure(plan, &system, &mut foreign).await;
    let measured = measured.map_err(|e| format!("{e}\n{}", system.log_tails()));
    let mut versions = vec![machine::rustc(), machine::package("wrk")];
    versions.extend(system.versions());
    system.end().await?;
    let (rows, pages) = measured?;
    Ok(section(plan, &rows, &pages, &versions, &foreign))
}

async fn measure(
    plan: &Plan,
    system: &System,
    foreign: &mut Foreign,
) -> Result<(Vec<Row>, [Load; 2]), String> {
    let operator = Operator::sign_in(&system.url, &system.password).await?;
    let url = system.database_url().ok_or("the system has no PostgreSQL")?;
    bench::say(&format!("{} orders are being made", plan.orders));
    orders::fill(&url, plan.orders).await?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let mut rows = Vec::new();
    for filter in orders::filters() {
        let path = format!("{}/api/order?start_date=2000-01-01&limit={LIMIT}{}", system.url, filter.query);
        let total = operator.total(&path).await?;
        if total == 0 {
            return Err(format!("no order has {}", filter.query));
        }
        bench::say(&format!("{}: {total} orders", filter.label));
        // Once before it counts: plans, caches, what the service remembers of a filter.
        wrk::run(&path, operator.token(), CALLERS, 1).await?;
        let watch = Watch::begin(system.cpu()?.all());
        let ours = wrk::run(&path, operator.token(), CALLERS, plan.seconds).await?;
        foreign.end(&watch, system.cpu()?.all());
        let bare = async |sql: String| pgbench::run(&url, &sql, CALLERS, plan.seconds, folder.path()).await;
        let (bare_rows, bare_answer) = (bare(filter.rows(LIMIT)).await?, bare(filter.answer(LIMIT)).await?);
        if ours.failures > 0 {
            return Err(format!("{} of {} answers were no pages: {path}", ours.failures, ours.requests));
        }
        rows.push(Row { filter, ours, bare_rows, bare_answer });
    }
    let page = async |number: u32| {
        let path = format!("{}/api/order?start_date=2000-01-01&limit={LIMIT}&page={number}", system.url);
        if operator.rows(&path).await? == 0 {
            return Err(format!("page {number} is empty"));
        }
        wrk::run(&path, operator.token(), CALLERS, plan.seconds).await
    };
    let pages = [page(1).await?, page(plan.deep).await?];
    Ok((rows, pages))
}

fn section(plan: &Plan, rows: &[Row], pages: &[Load; 2], versions: &[String], foreign: &Foreign) -> Section {
    let head = [
        "filter",
        "pages/s",
        "p50 ms",
        "p99 ms",
        "bare SQL, rows and their number: p50 ms",
        "p99 ms",
        "our p99 ÷ that",
        "bare SQL, rows alone: p50 ms",
        "p99 ms",
        "our p99 ÷ that",
    ];
    let title = format!(
        "GET /api/order, pages of {LIMIT}, {} orders, {CALLERS} callers",
        whole(f64::from(plan.orders))
    );
    let mut table = Table::new(title, &head);
    let (mut worst, mut worst_rows) = (0.0_f64, 0.0_f64);
    for row in rows {
        let mut cells = vec![row.filter.label.into(), whole(row.ours.per_second)];
        cells.extend([row.ours.p50_ms, row.ours.p99_ms].map(|ms| format!("{ms:.2}")));
        for (bare, worst) in [(&row.bare_answer, &mut worst), (&row.bare_rows, &mut worst_rows)] {
            let ratio = row.ours.p99_ms / bare.p99_ms;
            *worst = worst.max(ratio);
            cells.extend([
                format!("{:.2}", bare.p50_ms),
                format!("{:.2}", bare.p99_ms),
                format!("{ratio:.1}"),
            ]);
        }
        table.row(cells);
    }
    let mut deep = Table::new("A page far behind", &["page", "pages/s", "p50 ms", "p99 ms", "p50 ÷ page 1"]);
    for (number, load) in [1, plan.deep].into_iter().zip(pages) {
        deep.row(vec![
            whole(f64::from(number)),
            whole(load.per_second),
            format!("{:.2}", load.p50_ms),
            format!("{:.2}", load.p99_ms),
            format!("{:.1}", load.p50_ms / pages[0].p50_ms),
        ]);
    }
    let far = pages[1].p50_ms / pages[0].p50_ms;
    let verdict = |reached| if reached { "reached" } else { "**not reached**" };
    Section {
        subject: "lists",
        title: "列表 The order list",
        circumstances: machine::circumstances(&format!("{} s for each figure after a warm-up", plan.seconds), versions, foreign),
        tables: vec![table, deep],
        notes: vec![
            format!("Targets: p99 within {TARGET_RATIO:.0}× of the bare SQL with every filter: {}, {worst:.1}× at worst, where the bare SQL answers what the page answers; of the rows alone {worst_rows:.1}×. Page {} within {TARGET_DEEP:.0}× of page 1: {}, {far:.1}×.", verdict(worst <= TARGET_RATIO), whole(f64::from(plan.deep)), verdict(far <= TARGET_DEEP)),
            "Ours goes through the gateway (token, permission, forwarding), counts all orders that match, and renders JSON, for callers who never pause. The bare SQL (`pgbench -M prepared`, as many clients) counts and fetches, or only fetches, and renders nothing.".into(),
        ],
    }
}
