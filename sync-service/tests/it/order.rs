use serde_json::json;
use testing::{CallbackReceiver, Reply};

use crate::fixture::{Fixture, PARTNER, arrived, change, states};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_change_holds_back_its_own_order_and_no_other() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    receiver.answer_next([Reply::new(500, "")]);
    f.publish(&[change(1, 1), change(1, 2), change(1, 3)]).await;
    f.send().await;
    assert_eq!(arrived(&receiver.received()), [(1, 1)]);
    // The others flow while order 1 waits for its second try.
    f.publish(&[change(2, 1), change(2, 2), change(1, 4)]).await;
    f.send().await;
    assert_eq!(arrived(&receiver.received()), [(1, 1), (2, 1), (2, 2)]);
    receiver.answer_next([Reply::new(503, "")]);
    f.after_ms(6_000);
    f.send().await;
    assert_eq!(arrived(&receiver.received())[3..], [(1, 1)]);
    f.after_ms(29_999);
    f.send().await;
    assert_eq!(receiver.received().len(), 4, "not before the schedule says so");
    f.after_ms(6_001);
    f.send().await;
    assert_eq!(arrived(&receiver.received())[4..], [(1, 1), (1, 2), (1, 3), (1, 4)]);
    assert_eq!(f.deliveries("status=delivered").await.len(), 6);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_was_down_gets_everything_in_order_when_it_is_back() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    receiver.answer(Reply::close());
    for seq in 1..=3 {
        let changes: Vec<_> = (1..=20).map(|order| change(order, seq)).collect();
        f.publish(&changes).await;
        f.send().await;
    }
    assert_eq!(f.deliveries("status=waiting").await.len(), 60);
    let failed = receiver.received().len();
    receiver.answer(Reply::new(204, ""));
    // Past the breaker's pause and every retry that could have been planned so far.
    for _ in 0..4 {
        f.after_ms(60_000);
        f.send().await;
    }
    let received = arrived(&receiver.received()[failed..]);
    assert_eq!(received.len(), 60, "each once");
    for order in 1..=20 {
        let seqs: Vec<i64> = received.iter().filter(|(o, _)| *o == order).map(|(_, seq)| *seq).collect();
        assert_eq!(seqs, [1, 2, 3], "order {order}");
    }
    assert_eq!(f.deliveries("status=delivered").await.len(), 60);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latest_wins_sends_the_newest_of_what_waits() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe_with(json!({"partner_id": PARTNER, "url": receiver.url("/"), "latest_wins": true})).await;
    receiver.answer_next([Reply::new(500, "")]);
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    f.publish(&[change(1, 2), change(1, 3)]).await;
    f.publish(&[change(1, 4), change(2, 1)]).await;
    f.send().await;
    assert_eq!(arrived(&receiver.received()).len(), 3);
    assert_eq!(arrived(&receiver.received())[0], (1, 1));
    assert!(arrived(&receiver.received())[1..].contains(&(1, 4)));
    let waiting = |seq, status: &str| (seq, status.to_owned());
    let number = crate::fixture::number(1);
    let expected = [
        waiting(1, "superseded"),
        waiting(2, "superseded"),
        waiting(3, "superseded"),
        waiting(4, "delivered"),
    ];
    assert_eq!(states(&f.deliveries(&format!("number={number}")).await), expected);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_event_is_delivered_once() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    let events = f.publish(&[change(1, 1), change(1, 2)]).await;
    f.bed.publish(&events).await;
    // The same change under another event id: the feed knows it by order and order_seq.
    f.publish(&[change(1, 2), change(1, 3)]).await;
    f.send().await;
    assert_eq!(arrived(&receiver.received()), [(1, 1), (1, 2), (1, 3)]);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_production_dress_a_thousand_changes_arrive_in_order_each_once() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::running(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    for seq in 1..=5 {
        let changes: Vec<_> = (1..=200).map(|order| change(order, seq)).collect();
        f.publish(&changes).await;
    }
    let received = arrived(&receiver.wait_for(1000).await);
    let mut seen = std::collections::HashMap::<i64, i64>::new();
    for (order, seq) in &received {
        let last = seen.insert(*order, *seq).unwrap_or(0);
        assert_eq!(last + 1, *seq, "order {order}");
    }
    testing::wait_until("all recorded", async || f.deliveries("status=delivered").await.len() == 1000).await;
    assert_eq!(receiver.received().len(), 1000);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_keeps_nobody_else_waiting() {
    let (hanging, healthy) = (CallbackReceiver::start().await, CallbackReceiver::start().await);
    hanging.answer(Reply::hang());
    let f = Fixture::running(&[&hanging, &healthy]).await;
    f.subscribe(&hanging.url("/")).await;
    f.subscribe(&healthy.url("/")).await;
    let changes: Vec<_> = (1..=400).map(|order| change(order, 1)).collect();
    f.publish(&changes).await;
    assert_eq!(healthy.wait_for(400).await.len(), 400);
    assert!(hanging.received().len() <= 32, "{} at once", hanging.received().len());
    // Its requests need not be waited for.
    drop(hanging);
    f.bed.finish().await;
}
