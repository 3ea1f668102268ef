use std::sync::atomic::Ordering;

use contracts::{event::Event, events::ReportChanged, routes::ServiceName};
use platform::{
    Platform,
    bus::Written,
    inbox::MAX_TRIES,
    lifecycle::{Turn, Workers},
    outbox::Relay,
};
use sea_orm::{ConnectionTrait, QueryResult, Statement};
use testing::{TestBed, wait_until};

use crate::bench_table::{Migrator, Seen, append, arrived, consumer, count, platform, report};

fn relay(platform: &Platform) -> Relay {
    Relay::new(ServiceName::Order, platform.db.clone(), platform.bus.clone(), platform.clock.clone())
}

async fn waiting(platform: &Platform) -> Vec<Written> {
    let backend = platform.db.conn().get_database_backend();
    let rows = platform
        .db
        .conn()
        .query_all_raw(Statement::from_string(backend, "SELECT event_id, kind, body FROM outbox ORDER BY id"))
        .await
        .unwrap();
    let text = |row: &QueryResult, column| row.try_get::<String>("", column).unwrap();
    rows.iter()
        .map(|row| Written { id: text(row, "event_id"), kind: text(row, "kind"), body: text(row, "body") })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_once_and_in_order_when_the_relay_dies_between_publishing_and_marking() {
    let bed = TestBed::new().await;
    let platform = platform(&bed).await;
    let seen = Seen::default();
    let workers = Workers::start(platform.bus.attach(consumer(&platform, &seen)).into_iter().collect());
    for version in 1..=300 {
        append(&platform, &report(version % 3, version, "x")).await;
    }
    // The relay that dies: everything was published and nothing was deleted.
    platform.bus.publish(&waiting(&platform).await).await.unwrap();
    assert_eq!(count(&platform.db, "outbox").await, 300);
    // The one that comes after it.
    let relay = relay(&platform);
    while relay.run_once().await.unwrap() == Turn::Done {}
    assert_eq!(count(&platform.db, "outbox").await, 0);
    wait_until("all events", async || count(&platform.db, "seen").await >= 300).await;
    workers.stop().await;
    let expected: Vec<(i64, i64)> = (1..=300).map(|v| (v % 3, v)).collect();
    assert_eq!(arrived(&platform.db).await, expected);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_event_is_parked_after_its_tries_and_the_rest_flows() {
    let bed = TestBed::new().await;
    let platform = platform(&bed).await;
    let seen = Seen::default();
    let consumer = consumer(&platform, &seen);
    let batch: Vec<Event> =
        ["a", "poison", "b"].iter().zip(1..).map(|(title, id)| bed.event(&report(id, 1, title))).collect();
    consumer.take(&batch).await.unwrap();
    assert_eq!(arrived(&platform.db).await, [(1, 1), (3, 1)]);
    assert_eq!(seen.refusals.load(Ordering::SeqCst), MAX_TRIES + 1, "once in the batch, then alone");
    let backend = platform.db.conn().get_database_backend();
    let sql = "SELECT event_id, reason, body FROM parked_event";
    let row = platform.db.conn().query_one_raw(Statement::from_string(backend, sql)).await.unwrap().unwrap();
    assert_eq!(row.try_get::<String>("", "event_id").unwrap(), batch[1].id);
    assert_eq!(row.try_get::<String>("", "reason").unwrap(), "poison");
    let parked: Event = serde_json::from_str(&row.try_get::<String>("", "body").unwrap()).unwrap();
    assert_eq!(parked.read::<ReportChanged>().unwrap().title, "poison");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_handled_once_however_often_it_comes() {
    let bed = TestBed::new().await;
    let platform = platform(&bed).await;
    let consumer = consumer(&platform, &Seen::default());
    let event = bed.event(&report(1, 1, "x"));
    let other = bed.event(&report(2, 1, "x"));
    consumer.take(&[event.clone(), event.clone()]).await.unwrap();
    consumer.take(&[event.clone(), other]).await.unwrap();
    let again: Vec<_> = (0..20)
        .map(|_| {
            let (consumer, event) = (consumer.clone(), event.clone());
            platform::lifecycle::spawn(async move { consumer.take(&[event]).await })
        })
        .collect();
    for task in again {
        task.await.unwrap().unwrap();
    }
    assert_eq!(arrived(&platform.db).await, [(1, 1), (2, 1)]);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_of_one_service_publish_in_order_because_one_of_them_waits() {
    let bed = TestBed::new().await;
    let platform = platform(&bed).await;
    let workers =
        Workers::start(platform.bus.attach(consumer(&platform, &Seen::default())).into_iter().collect());
    for version in 1..=50 {
        append(&platform, &report(1, version, "x")).await;
    }
    let (first, second) = (relay(&platform), relay(&platform));
    assert_eq!(first.run_once().await.unwrap(), Turn::Done);
    append(&platform, &report(1, 51, "x")).await;
    assert_eq!(second.run_once().await.unwrap(), Turn::Idle, "the lease is held by the first");
    assert_eq!(first.run_once().await.unwrap(), Turn::Done);
    assert_eq!(first.run_once().await.unwrap(), Turn::Idle);
    assert_eq!(count(&platform.db, "outbox").await, 0, "what was published is deleted with the next look");
    wait_until("all events", async || count(&platform.db, "seen").await >= 51).await;
    workers.stop().await;
    assert_eq!(arrived(&platform.db).await, (1..=51).map(|v| (1, v)).collect::<Vec<_>>());
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_is_woken_by_the_commit_of_another_replica_and_by_its_end() {
    let bed = TestBed::new().await;
    let platform = platform(&bed).await;
    if !platform.db.is_postgres() {
        return bed.finish().await; // One process has a SQLite file to itself.
    }
    let other = Platform::start::<Migrator>(&bed.shared, ServiceName::Order).await.unwrap();
    // Without a call neither would look again before the test is given up.
    let never = std::time::Duration::from_secs(3600);
    let start = |platform: &Platform| Workers::start(relay(platform).polling_every(never).workers());
    let reading =
        Workers::start(platform.bus.attach(consumer(&platform, &Seen::default())).into_iter().collect());
    let first = start(&platform);
    append(&platform, &report(1, 1, "x")).await;
    wait_until("the first relay holds the lease", async || count(&platform.db, "seen").await == 1).await;
    let second = start(&other);
    for version in 2..=20 {
        append(&other, &report(1, version, "x")).await;
        wait_until("the other's event", async || count(&platform.db, "seen").await == version).await;
    }
    first.stop().await;
    append(&platform, &report(1, 21, "x")).await;
    append(&other, &report(1, 22, "x")).await;
    wait_until("the second relay took over", async || count(&platform.db, "seen").await == 22).await;
    second.stop().await;
    reading.stop().await;
    assert_eq!(arrived(&platform.db).await, (1..=22).map(|v| (1, v)).collect::<Vec<_>>());
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_large_events_is_bounded_in_bytes_and_all_of_them_arrive() {
    let bed = TestBed::new().await;
    let platform = platform(&bed).await;
    let reading =
        Workers::start(platform.bus.attach(consumer(&platform, &Seen::default())).into_iter().collect());
    let large = "长".repeat(400 * 1024); // 1.2 MB
    for version in 1..=5 {
        append(&platform, &report(1, version, &large)).await;
    }
    let relay = relay(&platform);
    let mut turns = 0;
    while relay.run_once().await.unwrap() == Turn::Done {
        turns += 1;
    }
    assert!(turns > 1, "{turns} batch of 6 MB");
    wait_until("all events", async || count(&platform.db, "seen").await == 5).await;
    reading.stop().await;
    assert_eq!(arrived(&platform.db).await, (1..=5).map(|v| (1, v)).collect::<Vec<_>>());
    bed.finish().await;
}
