use std::collections::HashSet;

use contracts::event::Event;
use platform::{lifecycle, seal};
use serde_json::{Value, json};
use sync_service::app::orders_consumer;
use testing::{Mode, wait_until};

use crate::fixture::{Fixture, PARTNER, change};

impl Fixture {
    async fn feed(&self, query: &str) -> Value {
        let path = format!("/api/callback/events?{query}");
        self.app.get(&path).as_partner(PARTNER).send().await.expect_status(200).json()["data"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_has_every_change_once_with_the_bytes_of_its_callback() {
    let f = Fixture::new(&[]).await;
    let mut distributed = change(2, 1);
    distributed.order.distributor_id = 8;
    let mut foreign = change(3, 1);
    foreign.order.partner_id = 6;
    let events = f.publish(&[change(1, 1), distributed, foreign, change(1, 2)]).await;
    let all = f.feed("").await;
    let ids: Vec<&str> = all["data"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [events[0].id.as_str(), &events[1].id, &events[3].id]);
    assert_eq!(all["data"][0]["event"]["type"], "order.state_changed");
    assert_eq!(all["data"][0]["event"]["data"]["mobile"], "184****9907");
    assert_eq!((&all["has_more"], &all["next_cursor"]), (&json!(false), &json!("4")));
    assert_eq!(f.feed("type=2").await["data"].as_array().unwrap().len(), 1);
    let first = f.feed("limit=2").await;
    assert_eq!((first["data"].as_array().unwrap().len(), &first["has_more"]), (2, &json!(true)));
    let rest = f.feed(&format!("cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(rest["data"][0]["id"], events[3].id);
    let nothing = f.feed("cursor=4").await;
    assert_eq!((&nothing["data"], &nothing["next_cursor"]), (&json!([]), &json!("4")));
    let operator = f.app.get("/api/callback/events?partner_id=6").send().await.json();
    assert_eq!(operator["data"]["data"][0]["id"], events[2].id);
    for query in ["cursor=-1", "cursor=x", "limit=0", "limit=1001", "type=3", "partner_id=x"] {
        f.app.get(&format!("/api/callback/events?{query}")).send().await.expect_status(400);
    }
    f.bed.finish().await;
}

/// Writers whose transactions overlap and end in any order, a reader that pulls all the while. A number from an
/// identity column or a time would let the reader step over what commits late.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_under_load_misses_nothing_and_sees_nothing_twice() {
    const WRITERS: i64 = 8;
    const BATCHES: i64 = 25;
    let f = Fixture::new(&[]).await;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let batches: Vec<Vec<Event>> = (0..BATCHES)
            .map(|batch| {
                (1..=4)
                    .map(|n| {
                        let order = writer * 1_000 + batch * 10 + n;
                        let mut changed = change(order, 1);
                        // Both types: the reader has to merge them.
                        changed.order.distributor_id = order % 2;
                        f.bed.event_about(&changed.order.number, &changed)
                    })
                    .collect()
            })
            .collect();
        // A consumer of its own for each: as many connections, and no queue between them.
        let consumer = orders_consumer(&f.ctx);
        writers.push(lifecycle::spawn(async move {
            for batch in batches {
                // Writers meet in another order every time.
                let [turns] = seal::random_bytes::<1>();
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                consumer.take(&batch).await.expect("taken");
            }
        }));
    }
    let (mut cursor, mut seen, mut pulls) = ("0".to_owned(), Vec::new(), 0);
    let all = usize::try_from(WRITERS * BATCHES * 4).unwrap();
    wait_until("the reader has everything", async || {
        let stretch = f.feed(&format!("limit=7&cursor={cursor}")).await;
        seen.extend(stretch["data"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap().to_owned()));
        cursor = stretch["next_cursor"].as_str().unwrap().to_owned();
        pulls += 1;
        seen.len() >= all
    })
    .await;
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(f.feed(&format!("cursor={cursor}")).await["data"].as_array().unwrap().is_empty());
    assert_eq!(seen.len(), all);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), all, "nothing twice");
    assert_eq!(cursor, all.to_string(), "gapless");
    assert!(pulls > 10, "the reader ran beside the writers: {pulls} pulls");
    if f.bed.mode() == Mode::Distributed {
        overlapping_transactions_queue_for_the_feed(&f).await;
    }
    f.bed.finish().await;
}

/// The very case: a transaction that has taken its numbers and is slow to commit keeps the next one waiting, so
/// that a reader can never see the higher numbers first.
async fn overlapping_transactions_queue_for_the_feed(f: &Fixture) {
    use sea_orm::{ConnectionTrait, Statement};
    let tx = f.app.db().write_tx().await.unwrap();
    let take = "UPDATE feed_head SET last_seq = last_seq WHERE id = 1";
    tx.execute_raw(Statement::from_string(tx.get_database_backend(), take)).await.unwrap();
    let consumer = orders_consumer(&f.ctx);
    let event = f.bed.event_about("late", &change(99_999, 1));
    let waiting = lifecycle::spawn(async move { consumer.take(&[event]).await });
    let blocked = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%feed_head%'";
    wait_until("the consumer waits for the feed", async || {
        let row = f
            .app
            .db()
            .conn()
            .query_one_raw(Statement::from_string(sea_orm::DbBackend::Postgres, blocked))
            .await
            .unwrap();
        row.unwrap().try_get::<i64>("", "n").unwrap() > 0
    })
    .await;
    assert!(!waiting.is_finished());
    tx.commit().await.unwrap();
    waiting.await.unwrap().unwrap();
}
