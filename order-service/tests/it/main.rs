//! order-service over HTTP, on its own database, in both modes.

#![allow(clippy::unwrap_used)]

mod audit;
mod clean;
mod contract;
mod customer_list;
mod customers;
mod goods;
mod hang_up;
mod hostile;
mod intake;
mod life;
mod lists;
mod months;
mod plans;
mod races;
mod seed;
mod stats;
mod supplier;
mod timeline;

use contracts::{
    events::{KeyChanged, KeyOwner, ReportChanged},
    routes::ServiceName,
};
use platform::{clock::Clock, seal::sha256_hex};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use testing::{App, TestBed};

/// 2026-11-21 22:04:05.026 in Shanghai.
const NOW_MS: i64 = 1_795_269_845_026;

/// A bed on the system's clock, and the service on it.
async fn start() -> (TestBed, App) {
    start_on(Clock::system()).await
}

async fn start_on(clock: Clock) -> (TestBed, App) {
    let bed = TestBed::with_clock(clock).await;
    let app = bed.start(order_service::app::build(&bed.shared).await.unwrap()).await;
    (bed, app)
}

/// `body` with some keys set or, by null, taken away.
fn with(mut body: Value, changes: Value) -> Value {
    for (key, value) in changes.as_object().unwrap() {
        if value.is_null() {
            body.as_object_mut().unwrap().remove(key);
        } else {
            body[key] = value.clone();
        }
    }
    body
}

/// Service goods for 5 yuan a piece that start `wks`, unless `changes` says otherwise.
async fn service_goods(app: &App, changes: Value) -> i64 {
    let body = with(json!({"name": "点赞", "kind": "service", "price": 500}), changes);
    app.post("/api/goods").json(&body).send().await.expect_status(200).json()["data"]["id"].as_i64().unwrap()
}

fn report(id: i64, version: i64) -> ReportChanged {
    ReportChanged {
        id,
        version,
        title: format!("报告 {id}"),
        cover: "c.png".into(),
        price_fen: 9900,
        read_count: 3,
        status: 1,
        deleted: false,
    }
}

/// The goods of a report that was just published.
async fn report_goods(bed: &TestBed, app: &App, report: &ReportChanged) -> i64 {
    bed.publish(&[bed.event(report)]).await;
    bed.settle().await;
    let list = app.get(&format!("/api/goods?report_id={}", report.id)).send().await.expect_status(200).json();
    list["data"]["data"][0]["id"].as_i64().unwrap()
}

fn order_body(goods_id: i64) -> Value {
    json!({"customer": {"mobile": "18434819907", "nick_name": "小明"}, "goods_id": goods_id, "inputs": {"aa": "https://x/1"}})
}

/// Places an order; the answer's `data`.
async fn place(app: &App, body: &Value) -> Value {
    app.post("/api/order").json(body).send().await.expect_status(200).json()["data"].clone()
}

/// Places an order and pays it; its number.
async fn paid(app: &App, body: &Value) -> String {
    let placed = place(app, body).await;
    let number = placed["number"].as_str().unwrap().to_owned();
    let amount = placed["total"].clone();
    app.post(&format!("/api/order/{number}/pay"))
        .json(&json!({"amount": amount, "payment_channel": 1, "third_trade_num": format!("T{number}")}))
        .send()
        .await
        .expect_status(200);
    number
}

/// What `GET /api/order/{number}` shows.
async fn order(app: &App, number: &str) -> Value {
    app.get(&format!("/api/order/{number}")).send().await.expect_status(200).json()["date"].clone()
}

/// Lets a supplier's key open these goods; the key.
async fn supplier_key(bed: &TestBed, id: i64, goods_ids: &[i64]) -> String {
    let key = format!("apikey-{id}-{}", sha256_hex(&id.to_be_bytes()));
    publish_key(bed, id, 1, &key, goods_ids, true).await;
    key
}

async fn publish_key(bed: &TestBed, id: i64, version: i64, key: &str, goods_ids: &[i64], enabled: bool) {
    let changed = KeyChanged {
        id,
        version,
        owner: KeyOwner::Supplier {
            supplier_id: 100 + id,
            supplier_name: format!("供应商 {id}"),
            goods_ids: goods_ids.to_vec(),
        },
        key_sha256: sha256_hex(key.as_bytes()),
        prefix: key[..6].to_owned(),
        enabled,
        expires_at: 0,
        root_id: id,
        partner_settings: None,
    };
    bed.publish(&[bed.event(&changed)]).await;
    bed.settle().await;
}

/// One call of the drop-in entry.
async fn entry(app: &App, query: &str) -> Value {
    app.get(&format!("/admin_jiuwuxiaohun.php?m=home&c=api&{query}"))
        .anonymous()
        .send()
        .await
        .expect_status(200)
        .json()
}

/// (seq, event, from state, to state, from fulfilment, to fulfilment) of an order's changes.
type Change = (i64, String, Option<i16>, i16, Option<i16>, Option<i16>);

async fn history(app: &App, order_id: &Value) -> Vec<Change> {
    let conn = app.db().conn();
    let sql = "SELECT * FROM order_history WHERE order_id = $1 ORDER BY seq";
    let statement =
        Statement::from_sql_and_values(conn.get_database_backend(), sql, [order_id.as_i64().unwrap().into()]);
    conn.query_all_raw(statement)
        .await
        .unwrap()
        .iter()
        .map(|row| {
            (
                row.try_get("", "seq").unwrap(),
                row.try_get("", "event").unwrap(),
                row.try_get("", "from_state").unwrap(),
                row.try_get("", "to_state").unwrap(),
                row.try_get("", "from_fulfil").unwrap(),
                row.try_get("", "to_fulfil").unwrap(),
            )
        })
        .collect()
}

fn events_of(changes: &[Change]) -> Vec<&str> {
    for (i, change) in changes.iter().enumerate() {
        assert_eq!(change.0, i as i64 + 1, "the history has a gap: {changes:?}");
    }
    changes.iter().map(|c| c.1.as_str()).collect()
}

/// The names of the fields a 400 blames.
fn blamed(answer: &Value) -> Vec<&str> {
    assert_eq!(answer["status"], 1, "{answer}");
    answer["errors"].as_object().unwrap().keys().map(String::as_str).collect()
}

fn own_routes() -> impl Iterator<Item = &'static contracts::routes::Route> {
    contracts::routes::all().filter(|r| r.service == ServiceName::Order)
}
