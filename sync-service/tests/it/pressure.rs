//! What keeps receivers from being overrun, and the others from noticing.

use serde_json::json;
use testing::{CallbackReceiver, Reply, wait_until};

use crate::fixture::{Fixture, PARTNER, change};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_goes_to_a_subscription_in_a_second_than_its_rate_allows() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe_with(json!({"partner_id": PARTNER, "url": receiver.url("/"), "rate_limit": 5})).await;
    let changes: Vec<_> = (1..=12).map(|order| change(order, 1)).collect();
    f.publish(&changes).await;
    f.send().await;
    assert_eq!(receiver.received().len(), 5);
    f.send().await;
    assert_eq!(receiver.received().len(), 5, "the second is not over");
    // Redis counts on its own clock, so that may take a second.
    wait_until("the rest has gone", async || {
        f.after_ms(1_000);
        f.send().await;
        receiver.received().len() == 12
    })
    .await;
    assert_eq!(f.deliveries("status=delivered").await.len(), 12);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_receiver_is_probed_and_not_hammered() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    receiver.answer(Reply::close());
    let publish = async |orders: std::ops::RangeInclusive<i64>| {
        let changes: Vec<_> = orders.map(|order| change(order, 1)).collect();
        f.publish(&changes).await;
        f.send().await;
        receiver.received().len()
    };
    let first = publish(1..=40).await;
    assert!((10..=40).contains(&first), "{first}: it opens after ten failures in a row");
    assert_eq!(publish(41..=80).await, first, "nothing goes while it is shut");
    let tries: Vec<i64> =
        f.deliveries("status=waiting").await.iter().map(|d| d["tries"].as_i64().unwrap()).collect();
    assert!(tries.iter().filter(|t| **t == 0).count() >= 40, "what is held back uses up no try");
    f.after_ms(5_001);
    f.send().await;
    assert_eq!(receiver.received().len(), first + 1, "one probe");
    receiver.answer(Reply::new(200, ""));
    f.after_ms(10_001);
    f.send().await;
    f.after_ms(60_000);
    f.send().await;
    assert_eq!(f.deliveries("status=delivered").await.len(), 80);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_breaker_is_known_after_a_restart() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    receiver.answer(Reply::close());
    let changes: Vec<_> = (1..=32).map(|order| change(order, 1)).collect();
    f.publish(&changes).await;
    f.send().await;
    let before = receiver.received().len();
    f.publish(&[change(100, 1)]).await;
    f.another_sender().await.run_once().await.unwrap();
    assert_eq!(receiver.received().len(), before, "another process holds back as well");
    f.bed.finish().await;
}
