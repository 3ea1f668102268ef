use contracts::{events::OrderStateChanged, order_state::FulfilState};
use order_service::seed::{self, Plan, SeedError};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use testing::{App, TestBed};

use crate::{entry, order, supplier_key};

async fn figure(app: &App, sql: &str) -> i64 {
    let conn = app.db().conn();
    let sql = format!("SELECT CAST(({sql}) AS BIGINT) AS n");
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    row.unwrap().try_get("", "n").unwrap()
}

async fn text(app: &App, sql: &str) -> String {
    let conn = app.db().conn();
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

async fn start(bed: &TestBed) -> App {
    bed.start(order_service::app::build(&bed.shared).await.unwrap()).await
}

const GAPS: &str = "SELECT count(*) FROM orders o WHERE version <>
    (SELECT count(*) FROM order_history h WHERE h.order_id = o.id AND h.seq BETWEEN 1 AND o.version)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_orders_live_like_any_others_and_flood_no_outbox() {
    let bed = TestBed::new().await;
    let plan = Plan { orders: 2000, days: 70, customers: 40, partners: vec![0, 7], ..Plan::default() };
    let made = seed::run(&bed.shared, &plan, |_| {}).await.unwrap();
    assert_eq!((made.orders, made.customers), (2000, 40));
    let app = start(&bed).await;
    assert_eq!(figure(&app, "SELECT count(*) FROM outbox").await, 0);
    assert_eq!(figure(&app, "SELECT count(*) FROM orders").await, 2000);
    assert_eq!(figure(&app, "SELECT count(*) FROM order_history").await, made.history as i64);
    assert_eq!(figure(&app, GAPS).await, 0, "each order's history is gapless");
    assert_eq!(figure(&app, "SELECT count(DISTINCT number) FROM orders").await, 2000);
    assert!(figure(&app, "SELECT count(*) FROM orders WHERE fulfil_state = 3").await > 1500);
    assert!(figure(&app, "SELECT count(*) FROM orders WHERE fulfil_state IN (1, 2)").await > 10);
    let outer = figure(&app, "SELECT count(*) FROM order_outer_id").await;
    assert_eq!(outer, figure(&app, "SELECT count(*) FROM orders WHERE partner_id = 7").await);
    // They are paid and handed out like any others.
    let unpaid = text(&app, "SELECT number FROM orders WHERE state = 1 ORDER BY id LIMIT 1").await;
    let total = order(&app, &unpaid).await["total"].clone();
    let pay = json!({"amount": total, "third_trade_num": "x1"});
    app.post(&format!("/api/order/{unpaid}/pay")).json(&pay).send().await.expect_status(200);
    let goods = figure(&app, "SELECT goods_id FROM orders WHERE fulfil_state = 1 ORDER BY id LIMIT 1").await;
    let waiting = format!("SELECT count(*) FROM orders WHERE fulfil_state = 1 AND goods_id = {goods}");
    let waiting = figure(&app, &waiting).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let ask = format!("a=down_orders&goods_id={goods}&apikey={key}&state=wks&format=json");
    assert_eq!(entry(&app, &ask).await["total"], waiting);
    assert_eq!(figure(&app, GAPS).await, 0);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_with_orders_is_seeded_only_on_request_and_before_its_oldest_order() {
    let bed = TestBed::new().await;
    let plan = Plan { orders: 50, customers: 5, state: Some(FulfilState::NotStarted), ..Plan::default() };
    seed::run(&bed.shared, &plan, |_| {}).await.unwrap();
    let app = start(&bed).await;
    let oldest = figure(&app, "SELECT min(id) FROM orders").await;
    assert_eq!(figure(&app, "SELECT count(*) FROM orders WHERE fulfil_state = 1").await, 50);
    let again = seed::run(&bed.shared, &plan, |_| {}).await;
    assert!(matches!(&again, Err(SeedError::Refused(why)) if why.contains("--yes")), "{again:?}");
    for bad in [
        Plan { orders: 0, ..plan.clone() },
        Plan { orders: u64::MAX, ..plan.clone() },
        Plan { days: 0, ..plan.clone() },
        Plan { days: 3000, yes: true, ..plan.clone() },
        Plan { customers: 0, ..plan.clone() },
        Plan { orders: 90_000_000, days: 1, yes: true, ..plan.clone() },
        Plan { goods: vec![4711], yes: true, ..plan.clone() },
    ] {
        let refused = seed::run(&bed.shared, &bad, |_| {}).await;
        assert!(matches!(refused, Err(SeedError::Refused(_))), "{bad:?}: {refused:?}");
    }
    assert_eq!(figure(&app, "SELECT count(*) FROM orders").await, 50, "a refusal makes nothing");
    seed::run(&bed.shared, &Plan { yes: true, ..plan }, |_| {}).await.unwrap();
    assert_eq!(figure(&app, "SELECT count(*) FROM orders").await, 100);
    assert_eq!(figure(&app, &format!("SELECT count(*) FROM orders WHERE id < {oldest}")).await, 50);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_called_production_is_left_alone() {
    let bed =
        TestBed::with(platform::clock::Clock::system(), |s| s.environment = "Production-1".into()).await;
    let plan = Plan { orders: 5, customers: 1, ..Plan::default() };
    let refused = seed::run(&bed.shared, &plan, |_| {}).await;
    assert!(matches!(refused, Err(SeedError::Refused(_))), "{refused:?}");
    seed::run(&bed.shared, &Plan { yes: true, ..plan }, |_| {}).await.unwrap();
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_events_every_change_is_told_in_order() {
    let bed = TestBed::new().await;
    let plan = Plan { orders: 60, customers: 5, events: true, ..Plan::default() };
    let made = seed::run(&bed.shared, &plan, |_| {}).await.unwrap();
    start(&bed).await;
    let expected = usize::try_from(made.history).unwrap();
    let events = bed.published::<OrderStateChanged>(expected).await;
    assert_eq!(events.len(), expected);
    let mut last = std::collections::HashMap::new();
    for event in events {
        let seq = last.entry(event.order.number.clone()).or_insert(0);
        assert_eq!(event.order_seq, *seq + 1, "{}", event.order.number);
        *seq = event.order_seq;
    }
    assert_eq!(last.len(), 60);
    bed.finish().await;
}
