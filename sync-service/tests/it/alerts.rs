use serde_json::json;
use sync_service::delivery::jobs;
use testing::{CallbackReceiver, Reply};

use crate::fixture::{Fixture, PARTNER, change};

const DAY_MS: i64 = 86_400_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_acknowledges_nothing_is_told_of_four_times_and_then_disabled() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (id, _) = f.subscribe(&receiver.url("/")).await;
    let (healthy, _) = f.subscribe_with(json!({"partner_id": 6, "url": receiver.url("/")})).await;
    receiver.answer(Reply::new(500, ""));
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    let levels = async || -> Vec<i64> {
        let list =
            f.app.get("/api/callback/alert").as_partner(PARTNER).send().await.expect_status(200).json();
        list["data"]["data"].as_array().unwrap().iter().map(|a| a["level"].as_i64().unwrap()).collect()
    };
    // 2.4 days: not half of the budget yet.
    f.after_ms(DAY_MS * 24 / 10);
    jobs::watch(&f.ctx).await.unwrap();
    assert!(levels().await.is_empty());
    for (hours, expected) in
        [(5, vec![50]), (24, vec![70, 50]), (24, vec![90, 70, 50]), (12, vec![100, 90, 70, 50])]
    {
        f.after_ms(hours * DAY_MS / 24);
        jobs::watch(&f.ctx).await.unwrap();
        jobs::watch(&f.ctx).await.unwrap();
        assert_eq!(levels().await, expected, "each level once");
    }
    let shown = f.app.get(&format!("/api/callback/subscription/{id}")).send().await.json()["data"].clone();
    assert_eq!(shown["status"], "disabled");
    assert!(shown["status_reason"].as_str().unwrap().contains("too long"));
    let other =
        f.app.get(&format!("/api/callback/subscription/{healthy}")).send().await.json()["data"].clone();
    assert_eq!((&other["status"], &other["failing_since"]), (&json!("active"), &json!(0)));
    // It collects, and goes on when it is released.
    f.publish(&[change(1, 2)]).await;
    receiver.answer(Reply::new(200, ""));
    f.send().await;
    assert_eq!(f.deliveries("status=waiting").await.len(), 2);
    f.app.post(&format!("/api/callback/subscription/{id}/resume")).send().await.expect_status(200);
    f.send().await;
    assert_eq!(f.deliveries("status=delivered").await.len(), 2);
    assert!(
        f.app.get("/api/callback/alert").as_partner(6).send().await.json()["data"]["data"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_acknowledgement_starts_the_budget_anew() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (id, _) = f.subscribe(&receiver.url("/")).await;
    let failing_since = async || {
        f.app.get(&format!("/api/callback/subscription/{id}")).send().await.json()["data"]["failing_since"]
            .as_i64()
            .unwrap()
    };
    receiver.answer_next([Reply::new(500, "")]);
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    assert_eq!(failing_since().await, f.clock.now_s());
    f.after_ms(3 * DAY_MS);
    jobs::watch(&f.ctx).await.unwrap();
    f.send().await;
    assert_eq!(failing_since().await, 0);
    receiver.answer_next([Reply::new(500, "")]);
    f.publish(&[change(2, 1)]).await;
    f.send().await;
    f.after_ms(3 * DAY_MS);
    jobs::watch(&f.ctx).await.unwrap();
    let list =
        f.app.get("/api/callback/alert").send().await.json()["data"]["data"].as_array().unwrap().clone();
    assert_eq!(
        list.iter().map(|a| a["level"].clone()).collect::<Vec<_>>(),
        [json!(50), json!(50)],
        "told again for the new failure"
    );
    for query in ["cursor=0", "cursor=x", "limit=0", "limit=1001", "partner_id=-1"] {
        f.app.get(&format!("/api/callback/alert?{query}")).send().await.expect_status(400);
    }
    f.bed.finish().await;
}
