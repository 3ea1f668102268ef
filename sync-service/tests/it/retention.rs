use platform::db::lease::Holder;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use sync_service::retention::jobs::{self, Forgotten};
use testing::{CallbackReceiver, Mode, Reply};

use crate::fixture::{Fixture, PARTNER, change};

pub const DAY_MS: i64 = 86_400_000;

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
    let (by_row, old) = (f.bed.mode() == Mode::Embedded, f.forget().await);
    assert_eq!(
        (old.deliveries, old.partitions),
        (if by_row { 2 } else { 0 }, 0),
        "the good receiver's; the other's wait"
    );
    assert_eq!(f.deliveries("status=delivered").await.is_empty(), by_row, "the month is not over");
    assert_eq!(f.rows("delivery").await, if by_row { 4 } else { 6 });

    f.after_ms(560 * DAY_MS);
    let old = f.forget().await;
    assert_eq!(old.changes, 0, "every change is still to be delivered to the bad receiver");
    assert_eq!(old.partitions, if by_row { 0 } else { 2 }, "January, which nobody has used");
    bad.answer(Reply::new(200, ""));
    good.answer(Reply::new(200, ""));
    f.send().await;
    assert!(f.deliveries("status=waiting").await.is_empty());
    let last = f.forget().await;
    assert_eq!((last.deliveries, last.partitions), if by_row { (4, 0) } else { (0, 4) });
    assert_eq!(last.changes, 1, "order 2; order 1 has a change within the time");
    assert_eq!((f.rows("delivery").await, f.rows("delivery_attempt").await), (0, 0));
    assert_eq!(f.rows("delivery_queue").await, 0);
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
    // The last day of their month is 180 days ago.
    f.after_ms(192 * DAY_MS);
    let (first, second) = (Holder::new("a"), Holder::new("b"));
    let db = &f.ctx.platform.db;
    platform::db::lease::take(db, &f.clock, "sync-retention", &first, 60_000).await.unwrap().unwrap();
    jobs::run_once(&f.ctx, &second).await.unwrap();
    assert_eq!(f.rows("delivery").await, 3_000, "the other replica is at it");
    jobs::run_once(&f.ctx, &first).await.unwrap();
    assert_eq!((f.rows("delivery").await, f.rows("delivery_attempt").await), (0, 0));
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_stays_whole_while_a_delivery_of_it_is_queued_and_goes_with_the_batches_it_carried() {
    let (good, bad) = (CallbackReceiver::start().await, CallbackReceiver::start().await);
    let f = Fixture::with_partner(&[&good, &bad]).await;
    f.subscribe(&good.url("/")).await;
    f.subscribe_with(json!({"partner_id": PARTNER, "url": bad.url("/"), "events": ["place"]})).await;
    bad.answer(Reply::new(500, ""));
    f.publish(&[change(1, 1)]).await;
    f.sync(&format!("api_url={}&api_token=t", good.url("/push"))).await;
    f.send().await;
    f.after_ms(31 * DAY_MS);
    // The next month's is acknowledged by all who want it.
    f.publish(&[change(1, 2)]).await;
    good.answer(Reply::new(200, "success"));
    f.send().await;
    assert_eq!(
        (f.rows("delivery").await, f.rows("push_batch").await, f.rows("delivery_queue").await),
        (4, 1, 1)
    );

    // December has been over for more than 180 days.
    f.after_ms(200 * DAY_MS);
    let (by_row, old) = (f.bed.mode() == Mode::Embedded, f.forget().await);
    if by_row {
        assert_eq!((old.deliveries, old.partitions), (3, 0));
        assert_eq!((f.rows("delivery").await, f.rows("push_batch").await), (1, 0));
    } else {
        assert_eq!((old.deliveries, old.partitions), (0, 2));
        assert_eq!(f.months("delivery").await, ["delivery_p202611"], "one of its deliveries waits");
        assert_eq!((f.rows("delivery").await, f.rows("push_batch").await), (3, 1));
    }
    bad.answer(Reply::new(200, ""));
    f.send().await;
    let last = f.forget().await;
    assert_eq!((last.deliveries, last.partitions), if by_row { (1, 0) } else { (0, 2) });
    for table in ["delivery", "delivery_attempt", "delivery_queue", "push_batch"] {
        assert_eq!(f.rows(table).await, 0, "{table}");
    }
    assert_eq!(f.rows("order_change").await, 2, "the feed is kept for longer");
    f.bed.finish().await;
}
