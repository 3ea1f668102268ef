//! The home page's figures.

use platform::clock::Clock;
use serde_json::{Value, json};
use testing::App;

use crate::{NOW_MS, blamed, order_body, paid, place, service_goods, start_on, with};

async fn overview(app: &App, query: &str) -> Value {
    app.get(&format!("/api/stats/overview{query}")).send().await.expect_status(200).json()["data"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_home_page_counts_every_day_for_itself() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    let goods = service_goods(&app, json!({})).await;
    let dlz = service_goods(&app, json!({"initial_state": "dlz"})).await;
    paid(&app, &order_body(goods)).await;
    let waiting = place(&app, &order_body(goods)).await["number"].as_str().unwrap().to_owned();
    let first = overview(&app, "").await;
    assert_eq!(
        first["today"],
        json!({"date": "2026-11-21", "order_count": 2, "paid_count": 1, "paid_total": 500, "customer_count": 1})
    );
    assert_eq!(first["series"].as_array().unwrap().len(), 30);
    // Past midnight the order of yesterday is paid: the money is today's.
    clock.advance_ms(4 * 3_600_000);
    app.post(&format!("/api/order/{waiting}/pay"))
        .json(&json!({"amount": 500}))
        .send()
        .await
        .expect_status(200);
    paid(&app, &with(order_body(dlz), json!({"size": 2, "customer": {"mobile": "13900000000"}}))).await;
    let cancelled = place(&app, &order_body(goods)).await["number"].as_str().unwrap().to_owned();
    app.post(&format!("/api/order/{cancelled}/cancel")).json(&json!({})).send().await.expect_status(200);
    app.post(&format!("/api/order/{cancelled}/pay"))
        .json(&json!({"amount": 70}))
        .send()
        .await
        .expect_status(400);
    place(&app, &order_body(goods)).await;
    let next = overview(&app, "?days=2").await;
    assert_eq!(
        next["series"],
        json!([
            {"date": "2026-11-21", "order_count": 2, "paid_count": 1, "paid_total": 500, "customer_count": 1},
            {"date": "2026-11-22", "order_count": 3, "paid_count": 2, "paid_total": 1500, "customer_count": 1},
        ])
    );
    assert_eq!(next["today"], next["series"][1]);
    assert_eq!(
        next["total"],
        json!({"order_count": 5, "unpaid_count": 1, "cancelled_count": 1, "paid_count": 3, "customer_count": 2,
            "refund_due_count": 1, "refund_due_total": 70})
    );
    let work: Vec<_> =
        next["in_work"].as_array().unwrap().iter().filter(|w| w["count"] != 0).cloned().collect();
    assert_eq!(
        work,
        [
            json!({"state": "dlz", "title": "队列中", "count": 1}),
            json!({"state": "wks", "title": "未开始", "count": 2})
        ]
    );
    // Shown again for three seconds, then counted anew.
    place(&app, &order_body(goods)).await;
    assert_eq!(overview(&app, "").await["today"]["order_count"], 3);
    clock.advance_ms(3000);
    assert_eq!(overview(&app, "").await["today"]["order_count"], 4);
    for bad in ["0", "91", "x"] {
        let answer =
            app.get(&format!("/api/stats/overview?days={bad}")).send().await.expect_status(400).json();
        assert_eq!(blamed(&answer), ["days"]);
    }
    bed.finish().await;
}
