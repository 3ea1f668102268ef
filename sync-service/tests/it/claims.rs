use std::collections::HashMap;

use platform::lifecycle;
use testing::{CallbackReceiver, Mode, Reply};

use crate::fixture::{Fixture, arrived, change};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_senders_send_each_delivery_once_and_each_order_in_order() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    let changes: Vec<_> = (1..=3).flat_map(|seq| (1..=150).map(move |order| change(order, seq))).collect();
    f.publish(&changes).await;
    let mut senders = Vec::new();
    for _ in 0..50 {
        let sender = f.another_sender().await;
        senders.push(lifecycle::spawn(async move { sender.run_once().await }));
    }
    for sender in senders {
        sender.await.unwrap().unwrap();
    }
    // A sender that found a row locked by another leaves it for the next look.
    f.send().await;
    let received = arrived(&receiver.received());
    let mut seen = HashMap::<i64, i64>::new();
    for (order, seq) in &received {
        let last = seen.insert(*order, *seq).unwrap_or(0);
        assert_eq!(last + 1, *seq, "order {order}: each once, in order");
    }
    assert_eq!(received.len(), 450);
    assert_eq!(f.deliveries("status=delivered").await.len(), 450);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crashed_sender_held_goes_again_when_its_lease_is_over() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    f.publish(&[change(1, 1), change(1, 2)]).await;
    receiver.answer_next([Reply::hang()]);
    let crashing = f.another_sender().await;
    let task = lifecycle::spawn(async move { crashing.run_once().await });
    receiver.wait_for(1).await;
    task.abort();
    f.after_ms(29_000);
    f.send().await;
    assert_eq!(receiver.received().len(), 1, "the lease still holds");
    f.after_ms(1_001);
    f.send().await;
    let received = receiver.received();
    assert_eq!(arrived(&received), [(1, 1), (1, 1), (1, 2)]);
    assert_eq!(received[0].header("webhook-id"), received[1].header("webhook-id"));
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_comes_after_the_lease_is_evidence_only() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    f.publish(&[change(1, 1)]).await;
    // The first sender's request fails late, after another has delivered.
    receiver.answer_next([Reply::new(500, "late").after(std::time::Duration::from_secs(2))]);
    let slow = f.another_sender().await;
    let task = lifecycle::spawn(async move { slow.run_once().await });
    receiver.wait_for(1).await;
    f.after_ms(30_001);
    f.send().await;
    let delivered = f.deliveries("").await[0].clone();
    assert_eq!(delivered["status"], "delivered");
    task.await.unwrap().unwrap();
    let detail = f.detail(&delivered["id"]).await;
    assert_eq!(detail["status"], "delivered", "{detail}");
    assert_eq!(detail["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(f.deliveries("status=waiting").await.len(), 0);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_start_takes_up_what_the_last_process_left() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    if f.bed.mode() == Mode::Distributed {
        // There other replicas may be alive: leases run out by themselves, see above.
        f.bed.finish().await;
        return;
    }
    f.subscribe(&receiver.url("/")).await;
    f.publish(&[change(1, 1)]).await;
    receiver.answer_next([Reply::hang()]);
    let crashing = f.another_sender().await;
    let task = lifecycle::spawn(async move { crashing.run_once().await });
    receiver.wait_for(1).await;
    task.abort();
    let started = f.another_sender().await;
    started.recover().await.unwrap();
    started.run_once().await.unwrap();
    assert_eq!(arrived(&receiver.received()), [(1, 1), (1, 1)]);
    f.bed.finish().await;
}
