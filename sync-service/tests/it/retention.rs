use platform::db::lease::Holder;
use sea_orm::{ConnectionTrait, Statement};
use sync_service::retention::jobs::{self, Forgotten};
use testing::{CallbackReceiver, Reply};

use crate::fixture::{Fixture, change};

const DAY_MS: i64 = 86_400_000;

impl Fixture {
    pub async fn rows(&self, table: &str) -> i64 {
        let conn = self.app.db().conn();
        let sql = format!("SELECT count(*) AS n FROM {table}");
        let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await;
        row.unwrap().unwrap().try_get("", "n").unwrap()
    }

    pub async fn run(&self, sql: &str) {
        self.app.db().conn().execute_unprepared(sql).await.unwrap();
    }

    pub async fn forget(&self) -> Forgotten {
        jobs::forget(&self.ctx).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_is_forgotten_in_its_time_and_what_is_not_acknowledged_never() {
    let (good, bad) = (CallbackReceiver::start().await, CallbackReceiver::start().await);
    let f = Fixture::new(&[&good, &bad]).await;
    f.subscribe(&good.url("/")).await;
    f.subscribe(&bad.url("/")).await;
    let long = "长".repeat(1_000);
    good.answer(Reply::new(200, &long));
    bad.answer(Reply::new(500, "no"));
    f.publish(&[change(1, 1), change(2, 1)]).await;
    f.send().await;
    assert_eq!(f.forget().await, Forgotten::default(), "all of it is young");

    f.after_ms(31 * DAY_MS);
    let cut = f.forget().await;
    assert_eq!(cut, Forgotten { answers: 2, ..Forgotten::default() });
    let delivered = f.deliveries("status=delivered").await;
    let answer = f.detail(&delivered[0]["id"]).await["attempts"][0]["answer"].as_str().unwrap().to_owned();
    assert_eq!(answer, "长".repeat(256));
    assert_eq!(f.forget().await, Forgotten::default(), "cut once");

    // Order 1 goes on; order 2 has been quiet.
    f.publish(&[change(1, 2)]).await;
    f.after_ms(150 * DAY_MS);
    assert_eq!(f.forget().await.deliveries, 2, "the good receiver's; the other's still wait");
    assert!(f.deliveries("status=delivered").await.is_empty());
    assert_eq!(f.rows("delivery").await, 4, "two unacknowledged of then, two of the later change");

    f.after_ms(560 * DAY_MS);
    let old = f.forget().await;
    assert_eq!(old.changes, 0, "every change is still to be delivered to the bad receiver");
    bad.answer(Reply::new(200, ""));
    good.answer(Reply::new(200, ""));
    f.send().await;
    assert!(f.deliveries("status=waiting").await.is_empty());
    let last = f.forget().await;
    assert_eq!((last.deliveries, last.changes), (4, 1), "order 2; order 1 has a change within the time");
    assert_eq!((f.rows("delivery_attempt").await, f.rows("delivery_queue").await), (0, 0));
    assert_eq!(f.rows("order_change").await, 2);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_rows_go_in_stretches_and_one_replica_forgets_at_a_time() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    for order in (1_000..=3_000).step_by(1_000) {
        f.publish(&(order - 999..=order).map(|o| change(o, 1)).collect::<Vec<_>>()).await;
    }
    f.send().await;
    f.after_ms(181 * DAY_MS);
    let (first, second) = (Holder::new("a"), Holder::new("b"));
    let db = &f.ctx.platform.db;
    platform::db::lease::take(db, &f.clock, "sync-retention", &first, 60_000).await.unwrap().unwrap();
    jobs::run_once(&f.ctx, &second).await.unwrap();
    assert_eq!(f.rows("delivery").await, 3_000, "the other replica is at it");
    jobs::run_once(&f.ctx, &first).await.unwrap();
    assert_eq!((f.rows("delivery").await, f.rows("delivery_attempt").await), (0, 0));
    f.bed.finish().await;
}
