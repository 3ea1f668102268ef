//! report-service over HTTP, on its own database, in both modes.

#![allow(clippy::unwrap_used)]

mod audit;
mod contract;
mod large_imports;
mod readings;
mod repeats;
mod reports;
mod sheets;
mod storage;
mod undo_race;
mod whitelist;
mod workbook;

use platform::clock::Clock;
use serde_json::{Value, json};
use testing::{App, TestBed};

/// 2022-06-20 10:00:00 in Shanghai: the days of the seed's examples.
const SEED_NOW_MS: i64 = 1_655_690_400_000;

/// A bed at the time of the seed, and the service on it.
async fn start() -> (TestBed, App) {
    start_with(|_| {}).await
}

async fn start_with(change: impl FnOnce(&mut platform::settings::Settings)) -> (TestBed, App) {
    let bed = TestBed::with(Clock::manual(SEED_NOW_MS), |s| {
        s.storage.public_url = Some("http://s.laoyaoba.com".into());
        change(s);
    })
    .await;
    let app = bed.start(report_service::app::build(&bed.shared).await.unwrap()).await;
    (bed, app)
}

/// A report with the required fields only, published now.
fn report_body() -> Value {
    json!({
        "title": "测试数据1", "cover": "15421639996676.jpeg", "intro": "简介", "directory": "目录介绍",
        "file": {"file_name": "test", "src": "static/test.pdf", "format": "pdf", "size": 1000},
        "price": 100, "read_count": 300, "status": 1,
    })
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

async fn add_report(app: &App, body: &Value) -> i64 {
    let answer = app.post("/api/report").json(body).send().await.expect_status(200).json();
    answer["date"]["id"].as_i64().unwrap()
}

/// The names of the fields a 400 blames.
fn blamed(answer: &Value) -> Vec<&str> {
    assert_eq!(answer["status"], 1, "{answer}");
    answer["errors"].as_object().unwrap().keys().map(String::as_str).collect()
}
