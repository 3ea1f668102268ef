use serde_json::json;
use testing::{CallbackReceiver, Reply};

use crate::fixture::{Fixture, PARTNER, arrived, change, states};

const SCHEDULE_S: [i64; 10] = [5, 30, 120, 600, 1800, 3600, 10800, 21600, 43200, 86400];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_follow_the_schedule_and_then_it_is_parked_while_the_order_goes_on() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    receiver.answer(Reply::new(500, "我坏了"));
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    for (made, pause) in (1..).zip(SCHEDULE_S) {
        let delivery = &f.deliveries("status=waiting").await[0];
        assert_eq!((&delivery["tries"], &delivery["last_status"]), (&json!(made), &json!(500)));
        let planned = delivery["next_attempt_at"].as_i64().unwrap() - f.clock.now_ms() / 1000;
        assert!((pause..=pause + pause / 5 + 1).contains(&planned), "try {made}: {planned} s");
        f.after_ms(pause * 1000 - 1);
        f.send().await;
        assert_eq!(receiver.received().len(), made, "too early after try {made}");
        f.after_ms(pause * 200 + 1);
        f.send().await;
        assert_eq!(receiver.received().len(), made + 1, "nothing after try {made}");
    }
    let parked = f.deliveries("status=parked").await;
    assert_eq!((parked.len(), &parked[0]["tries"]), (1, &json!(11)));
    receiver.answer(Reply::new(200, ""));
    f.publish(&[change(1, 2)]).await;
    f.after_ms(60_000);
    f.send().await;
    assert_eq!(
        arrived(&receiver.received()).last(),
        Some(&(1, 2)),
        "a parked change does not block its order for ever"
    );
    let detail = f.detail(&parked[0]["id"]).await;
    let attempts = detail["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 11);
    assert_eq!((&attempts[0]["try"], &attempts[0]["answer"]), (&json!(11), &json!("我坏了")));
    assert_eq!((&attempts[0]["error"], &attempts[0]["next_attempt_at"]), (&json!("HTTP 500"), &json!(0)));
    assert_ne!(attempts[10]["next_attempt_at"], json!(0));
    let ids: std::collections::HashSet<String> =
        receiver.received()[..11].iter().map(|r| r.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 1, "the webhook-id is the same on every try");
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_is_honoured_within_bounds() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    receiver.answer_next([Reply::with_headers(429, &[("retry-after", "50")], "")]);
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    f.publish(&[change(2, 1)]).await;
    f.after_ms(49_000);
    f.send().await;
    assert_eq!(receiver.received().len(), 1, "the whole subscription rests");
    receiver.answer_next([Reply::with_headers(503, &[("retry-after", "999999")], "")]);
    f.after_ms(2_000);
    f.send().await;
    assert_eq!(receiver.received().len(), 3);
    let waiting = f.deliveries("status=waiting").await;
    assert_eq!(waiting.len(), 1);
    let planned = waiting[0]["next_attempt_at"].as_i64().unwrap() - f.clock.now_ms() / 1000;
    assert_eq!(planned, 3600, "an hour at the most");
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gone_disables_the_subscription_which_goes_on_collecting_until_it_is_released() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (id, _) = f.subscribe(&receiver.url("/")).await;
    receiver.answer_next([Reply::new(410, "")]);
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    f.publish(&[change(1, 2), change(2, 1)]).await;
    f.after_ms(600_000);
    f.send().await;
    assert_eq!(receiver.received().len(), 1);
    let path = format!("/api/callback/subscription/{id}");
    let shown = f.app.get(&path).send().await.expect_status(200).json()["data"].clone();
    assert_eq!(shown["status"], "disabled");
    assert!(shown["status_reason"].as_str().unwrap().contains("410"), "{shown}");
    assert_eq!(f.deliveries("status=waiting").await.len(), 3);
    f.app.put(&path).json(&json!({"status": "active"})).send().await.expect_status(200);
    f.send().await;
    let mut received = arrived(&receiver.received()[1..]);
    let place = |wanted| received.iter().position(|r| *r == wanted).unwrap();
    assert!(place((1, 1)) < place((1, 2)));
    received.sort_unstable();
    assert_eq!(received, [(1, 1), (1, 2), (2, 1)]);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_subscription_collects_and_a_deleted_one_ends() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (id, _) = f.subscribe(&receiver.url("/")).await;
    let path = format!("/api/callback/subscription/{id}");
    f.app.put(&path).json(&json!({"status": "paused"})).send().await.expect_status(200);
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    assert!(receiver.received().is_empty());
    f.app.put(&path).json(&json!({"status": "active"})).send().await.expect_status(200);
    f.send().await;
    assert_eq!(arrived(&receiver.received()), [(1, 1)]);
    f.app.put(&path).json(&json!({"status": "paused"})).send().await.expect_status(200);
    f.publish(&[change(1, 2)]).await;
    f.app.delete(&path).send().await.expect_status(200);
    f.publish(&[change(1, 3)]).await;
    f.send().await;
    assert_eq!(receiver.received().len(), 1);
    let left = states(&f.deliveries("").await);
    assert_eq!(left, [(1, "delivered".to_owned()), (2, "cancelled".to_owned())]);
    f.app.get(&path).send().await.expect_status(404);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_subscription_gets_its_partners_orders_of_its_types_and_events() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe_with(json!({"partner_id": PARTNER, "url": receiver.url("/own"), "types": [1]})).await;
    f.subscribe_with(json!({"partner_id": PARTNER, "url": receiver.url("/pay"), "events": ["pay"]})).await;
    f.subscribe_with(json!({"partner_id": 6, "url": receiver.url("/other")})).await;
    f.subscribe_with(json!({"url": receiver.url("/house")})).await;
    let mut distributed = change(2, 2);
    distributed.order.distributor_id = 8;
    let mut houses = change(3, 1);
    houses.order.partner_id = 0;
    f.publish(&[change(1, 1), distributed, houses]).await;
    f.send().await;
    let mut got: Vec<(String, i64)> =
        receiver.received().iter().map(|r| (r.path.clone(), arrived(std::slice::from_ref(r))[0].0)).collect();
    got.sort();
    assert_eq!(got, [("/house".to_owned(), 3), ("/own".to_owned(), 1), ("/pay".to_owned(), 2)]);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_filtered_paged_by_keyset_and_confined_to_the_partner() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    f.subscribe_with(json!({"partner_id": 6, "url": receiver.url("/")})).await;
    let mut changes: Vec<_> = (1..=7).map(|order| change(order, 1)).collect();
    let mut foreign = change(8, 1);
    foreign.order.partner_id = 6;
    changes.push(foreign);
    f.publish(&changes).await;
    f.send().await;
    let mut cursor = String::new();
    let mut orders = Vec::new();
    loop {
        let path = format!("/api/callback/delivery?limit=3{cursor}");
        let page =
            f.app.get(&path).as_partner(PARTNER).send().await.expect_status(200).json()["data"].clone();
        let rows = page["data"].as_array().unwrap();
        assert!(rows.len() <= 3);
        orders.extend(rows.iter().map(|d| d["number"].as_str().unwrap()[10..].parse::<i64>().unwrap()));
        if page["next_cursor"] == "" {
            break;
        }
        cursor = format!("&cursor={}", page["next_cursor"].as_str().unwrap());
    }
    assert_eq!(orders, [7, 6, 5, 4, 3, 2, 1], "newest first, nobody else's");
    assert_eq!(f.deliveries("partner_id=6").await.len(), 1);
    assert_eq!(f.deliveries("event=pay").await.len(), 0);
    assert_eq!(f.deliveries("event=place&status=delivered").await.len(), 8);
    assert_eq!(f.deliveries("start=2026-11-21&end=2026-11-21").await.len(), 8);
    assert_eq!(f.deliveries("start=2026-11-22").await.len() + f.deliveries("end=2026-11-20").await.len(), 0);
    let foreign = f.deliveries("partner_id=6").await[0]["id"].clone();
    let path = format!("/api/callback/delivery/{foreign}");
    f.app.get(&path).as_partner(6).send().await.expect_status(200);
    f.app.get(&path).as_partner(PARTNER).send().await.expect_status(404);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_receiver_answers_is_kept_up_to_16_kib() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    receiver.answer_next([Reply::new(400, &("\0好".to_owned() + &"x".repeat(100_000)))]);
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    let delivery = f.deliveries("").await[0]["id"].clone();
    let answer = f.detail(&delivery).await["attempts"][0]["answer"].as_str().unwrap().to_owned();
    assert!(answer.starts_with("好xxx") && answer.len() == 16 * 1024 - 1, "{}", answer.len());
    f.bed.finish().await;
}
