//! How PostgreSQL finds the work of suppliers among a year of orders: by `orders_work` in every month, whether it plans
//! for the values at hand or once for all. What waits is few and young, as in a running house.

use contracts::order_state::FulfilState;
use order_service::{
    Narrow, Rows, Stretch,
    lifecycle::{Claim, Span},
    page_statement, poll_statement,
};
use platform::{
    clock::Clock,
    db::{Db, Plans},
    ids,
};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use serde_json::Value as Json;
use testing::{App, Mode, TestBed, wait_until};

use crate::{NOW_MS, start_on};

const MONTH_MS: i64 = 30 * 86_400_000;
/// From December 2025 to November 2026.
const MONTHS: i64 = 12;
const ORDERS_A_MONTH: i64 = 3_000;
/// Of the three goods that have orders.
const GOODS: i64 = 1;
const IDLE_GOODS: i64 = 99;

/// A year of orders, a tenth of each month's still waiting: the last ones.
async fn fill(db: &Db) {
    for month in 0..MONTHS {
        let first = ids::floor_at(NOW_MS - month * MONTH_MS);
        let sql = format!(
            "INSERT INTO orders (id, number, version, state, fulfil_state, customer_id, nick_name, avatar, mobile, goods_id,
                kind, report_id, title, cover, price_fen, size, total_fen, checkout_at, updated_at)
            SELECT {first} + i, 'n' || {first} + i, 2, 3, CASE WHEN i > {ORDERS_A_MONTH} * 0.9 THEN 1 ELSE 3 END, 1, '',
                '', '', 1 + i % 3, 'service', 0, '', '', 500, 1, 500, 1, 1 FROM generate_series(1, {ORDERS_A_MONTH}) AS i"
        );
        db.conn().execute_unprepared(&sql).await.unwrap();
    }
}

async fn count(db: &Db, table: &str) -> i64 {
    let sql = format!("SELECT count(*) AS n FROM {table}");
    let row = db.conn().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    row.unwrap().try_get("", "n").unwrap()
}

const CUSTOM: [&str; 1] = ["SET plan_cache_mode = force_custom_plan"];
const GENERIC: [&str; 1] = ["SET plan_cache_mode = force_generic_plan"];

/// The statement as it ran on a connection with these settings, all its nodes. Nothing of it stays.
async fn explain(db: &Db, statement: &Statement, settings: &[&str]) -> Vec<Json> {
    let values = &statement.values.as_ref().unwrap().0;
    let (kinds, literals): (Vec<&str>, Vec<String>) = values
        .iter()
        .map(|value| match value {
            Value::SmallInt(Some(v)) => ("smallint", v.to_string()),
            Value::BigInt(Some(v)) => ("bigint", v.to_string()),
            other => panic!("{other:?}"),
        })
        .unzip();
    let tx = db.write_tx().await.unwrap();
    for setting in settings {
        tx.execute_unprepared(setting).await.unwrap();
    }
    let prepare = format!("PREPARE looked_at({}) AS {}", kinds.join(", "), statement.sql);
    tx.execute_unprepared(&prepare).await.unwrap();
    let explain = format!("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE looked_at({})", literals.join(", "));
    let row = tx.query_one_raw(Statement::from_string(DbBackend::Postgres, explain)).await.unwrap().unwrap();
    let plan: Json = row.try_get("", "QUERY PLAN").unwrap();
    tx.execute_unprepared("DEALLOCATE looked_at").await.unwrap();
    // The settings go with it.
    tx.rollback().await.unwrap();
    let mut nodes = Vec::new();
    flatten(&plan[0]["Plan"], &mut nodes);
    nodes
}

fn flatten(node: &Json, nodes: &mut Vec<Json>) {
    nodes.push(node.clone());
    for below in node["Plans"].as_array().into_iter().flatten() {
        flatten(below, nodes);
    }
}

/// The months that were read, each by an index whose condition let nothing through that was not wanted.
fn months_sought(nodes: &[Json], what: &str) -> usize {
    let scans = nodes.iter().filter(|n| {
        let of_month = n["Relation Name"].as_str().is_some_and(|name| name.starts_with("orders_p"));
        of_month
            && n["Node Type"].as_str().is_some_and(|kind| kind.ends_with("Scan"))
            && n["Actual Loops"] != 0.0
    });
    let mut months = std::collections::BTreeSet::new();
    for scan in scans {
        let (name, kind) = (scan["Relation Name"].as_str().unwrap(), scan["Node Type"].as_str().unwrap());
        // Nobody has ordered in these yet.
        if ["orders_p202612", "orders_p202701"].contains(&name) {
            continue;
        }
        assert!(["Index Scan", "Index Only Scan", "Bitmap Heap Scan"].contains(&kind), "{what}: {scan}");
        let in_vain = scan["Rows Removed by Filter"].as_f64().unwrap_or_default();
        assert_eq!(in_vain, 0.0, "{what}: {scan}");
        months.insert(name.to_owned());
    }
    months.len()
}

/// order-service with a year of orders, each in its month; `None` on SQLite, which has no months.
async fn year() -> Option<(TestBed, App)> {
    let (bed, app) = start_on(Clock::manual(NOW_MS)).await;
    if bed.mode() == Mode::Embedded {
        bed.finish().await;
        return None;
    }
    fill(app.db()).await;
    app.stop().await;
    // The first turn of the next start puts each order into its month.
    let app = bed.start(order_service::app::build(&bed.shared).await.unwrap()).await;
    let db = app.db();
    wait_until("every order to be in its month", async || count(db, "orders_default").await == 0).await;
    db.conn().execute_unprepared("ANALYZE orders").await.unwrap();
    Some((bed, app))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_and_claims_go_by_the_index_of_work_in_every_month() {
    let Some((bed, app)) = year().await else { return };
    let db = app.db();
    let waiting = FulfilState::NotStarted;
    let claim = |goods_id, newest_first| {
        let span = Span { above: 0, below: i64::MAX, newest_first };
        let claim =
            Claim { goods_id, from: waiting, span, limit: 100, supplier_id: 1, batch_id: 0, lease_until: 0 };
        claim.statement(DbBackend::Postgres, FulfilState::InProgress, NOW_MS)
    };
    let statements = [
        ("a poll that finds nothing", poll_statement(DbBackend::Postgres, IDLE_GOODS, waiting)),
        ("a claim that finds nothing", claim(IDLE_GOODS, false)),
        ("a claim of the oldest", claim(GOODS, false)),
        ("a claim of the newest", claim(GOODS, true)),
    ];
    for settings in [CUSTOM, GENERIC] {
        for (what, statement) in &statements {
            let what = format!("{what}, {settings:?}");
            let nodes = explain(db, statement, &settings).await;
            assert_eq!(months_sought(&nodes, &what), MONTHS as usize, "{what}: {nodes:#?}");
            // More waits than is taken: it is met in order, not sorted.
            let sorted = nodes.iter().filter(|n| n["Node Type"] == "Sort");
            let sorted: f64 = sorted.filter_map(|n| n["Actual Rows"].as_f64()).sum();
            assert_eq!(sorted, 0.0, "{what}: {nodes:#?}");
        }
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_seeks_where_one_goods_has_all_the_orders_too() {
    let Some((bed, app)) = year().await else { return };
    let db = app.db();
    // Whoever plans for any goods takes the first best order for one of them.
    let sql = format!("UPDATE orders SET goods_id = {GOODS}, fulfil_state = 1; ANALYZE orders");
    db.conn().execute_unprepared(&sql).await.unwrap();
    let poll = poll_statement(DbBackend::Postgres, IDLE_GOODS, FulfilState::NotStarted);
    let what = "where all are of one goods";
    let nodes = explain(db, &poll, Plans::Kept.settings()).await;
    assert_eq!(months_sought(&nodes, what), MONTHS as usize, "{nodes:#?}");
    let free = explain(db, &poll, &GENERIC).await;
    assert!(free.iter().any(|n| n["Node Type"] == "Seq Scan"), "free plans have become as good: {free:#?}");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_plan_of_a_list_page_serves_all_values_and_reads_no_more_than_the_page() {
    let Some((bed, app)) = year().await else { return };
    let of = Stretch { from: 0, below: i64::MAX };
    let rows = Rows { of, skip: 0, limit: 20 };
    for (what, narrow, found) in [
        ("all", Narrow::default(), 20.0),
        ("a state", Narrow { state: 3, ..Narrow::default() }, 20.0),
        ("a state that none is in", Narrow { state: 2, ..Narrow::default() }, 0.0),
        ("a usage that none has", Narrow { usage: 2, ..Narrow::default() }, 0.0),
        ("a customer", Narrow { customer_id: Some(1), state: 3, ..Narrow::default() }, 20.0),
        ("nobody", Narrow { customer_id: Some(2), ..Narrow::default() }, 0.0),
    ] {
        let nodes =
            explain(app.db(), &page_statement(DbBackend::Postgres, &narrow, rows), Plans::Kept.settings())
                .await;
        assert_eq!(nodes[0]["Actual Rows"].as_f64(), Some(found), "{what}: {nodes:#?}");
        let read: f64 = nodes
            .iter()
            .filter(|n| n["Node Type"].as_str().is_some_and(|kind| kind.ends_with("Scan")))
            .map(|n| {
                let loops = n["Actual Loops"].as_f64().unwrap_or_default();
                let rows = n["Actual Rows"].as_f64().unwrap_or_default();
                (rows + n["Rows Removed by Filter"].as_f64().unwrap_or_default()) * loops
            })
            .sum();
        // The page twice, its ids and its rows, and one order of each month to merge.
        assert!(read <= 20.0 * 3.0 + MONTHS as f64, "{what}: {read} rows were read: {nodes:#?}");
    }
    bed.finish().await;
}
