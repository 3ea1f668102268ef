//! Deliveries and attempts are split by month on PostgreSQL; nobody outside can tell.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use testing::{CallbackReceiver, Mode, Reply};

use crate::{
    fixture::{Fixture, PARTNER, START_MS, arrived, change, number, states},
    retention::DAY_MS,
};

/// The first moment of December 2026, UTC.
const DECEMBER_MS: i64 = 1_796_083_200_000;

impl Fixture {
    /// Names of the tables that hold rows of `table`; on SQLite it is one.
    pub async fn months(&self, table: &str) -> Vec<String> {
        let conn = self.app.db().conn();
        if self.bed.mode() == Mode::Embedded {
            return vec![table.to_owned()];
        }
        let sql = format!("SELECT DISTINCT tableoid::regclass::text AS name FROM {table} ORDER BY 1");
        let rows =
            conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
        rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
    }

    /// Ten seconds before December.
    fn to_the_border(&self) {
        self.clock.advance_ms(DECEMBER_MS - 10_000 - self.clock.now_ms());
    }

    async fn replay(&self, subscription: i64) -> Value {
        let window = json!({"start": "2026-11-21", "end": "2026-12-31"});
        let path = format!("/api/callback/subscription/{subscription}/replay");
        self.app.post(&path).json(&window).send().await.expect_status(200).json()["data"]["count"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_of_many_months_are_listed_told_and_sent_again_as_one_table() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    // The last of them is in a month that nobody has made.
    for (seq, days) in (1..).zip([31, 31, 150, 0]) {
        receiver.answer_next([Reply::new(500, "")]);
        f.publish(&[change(1, seq)]).await;
        f.send().await;
        f.after_ms(7_000);
        f.send().await;
        f.after_ms(days * DAY_MS);
    }
    if f.bed.mode() == Mode::Distributed {
        for table in ["delivery", "delivery_attempt"] {
            let months = ["default", "p202611", "p202612", "p202701"].map(|month| format!("{table}_{month}"));
            assert_eq!(f.months(table).await, months);
        }
    }
    let seqs = |list: &[Value]| list.iter().map(|d| d["order_seq"].as_i64().unwrap()).collect::<Vec<_>>();
    let all = f.deliveries(&format!("number={}", number(1))).await;
    assert_eq!(seqs(&all), [4, 3, 2, 1]);
    assert_eq!(seqs(&f.deliveries("").await), [4, 3, 2, 1]);
    assert_eq!(seqs(&f.deliveries(&format!("cursor={}", all[1]["id"])).await), [2, 1]);
    assert_eq!(seqs(&f.deliveries("start=2026-12-01&end=2026-12-31").await), [2]);
    assert_eq!(f.deliveries("status=delivered").await.len(), 4);
    let path = format!("/internal/order/{}/callbacks", number(1));
    let log = f.app.get(&path).send().await.expect_status(200).json();
    let steps: Vec<_> = log.as_array().unwrap().iter().map(|e| (&e["order_seq"], &e["kind"])).collect();
    let (message, attempt) = (json!("message"), json!("attempt"));
    let of = |seq: usize| [&message, &attempt, &attempt].map(|kind| (&all[4 - seq]["order_seq"], kind));
    assert_eq!(steps, [of(1), of(2), of(3), of(4)].concat());

    for delivery in all.iter().rev() {
        assert_eq!(f.detail(&delivery["id"]).await["attempts"].as_array().unwrap().len(), 2);
        let resend = format!("/api/callback/delivery/{}/resend", delivery["id"]);
        f.app.post(&resend).as_partner(PARTNER).send().await.expect_status(200);
    }
    assert_eq!(seqs(&f.deliveries("status=waiting").await), [4, 3, 2, 1]);
    f.send().await;
    assert_eq!(arrived(&receiver.received()[8..]), [(1, 1), (1, 2), (1, 3), (1, 4)]);
    for delivery in &all {
        assert_eq!(f.detail(&delivery["id"]).await["attempts"].as_array().unwrap().len(), 3);
    }
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_known_by_its_id_is_shown_and_sent_again_while_other_months_are_locked() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    let id = f.deliveries("").await[0]["id"].clone();
    if f.bed.mode() == Mode::Distributed {
        let others = f.app.db().write_tx().await.unwrap();
        let lock =
            "LOCK TABLE delivery_p202612, delivery_p202701, delivery_default, delivery_attempt_p202612,
            delivery_attempt_p202701, delivery_attempt_default IN ACCESS EXCLUSIVE MODE";
        others.execute_unprepared(lock).await.unwrap();
        let act = async {
            assert_eq!(f.detail(&id).await["attempts"].as_array().unwrap().len(), 1);
            let path = format!("/api/callback/delivery/{id}/resend");
            f.app.post(&path).send().await.expect_status(200);
        };
        tokio::time::timeout(Duration::from_secs(20), act).await.expect("it touches one month");
        others.rollback().await.unwrap();
        f.send().await;
        assert_eq!(receiver.received().len(), 2);
    }
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_from_another_month_is_superseded_cancelled_and_recovered() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let body = json!({"partner_id": PARTNER, "url": receiver.url("/latest"), "latest_wins": true});
    let (latest, _) = f.subscribe_with(body).await;
    let (gone, _) = f.subscribe(&receiver.url("/gone")).await;
    receiver.answer(Reply::new(404, ""));
    f.to_the_border();
    f.publish(&[change(1, 1), change(2, 1)]).await;
    f.send().await;
    f.after_ms(20_000);
    f.publish(&[change(1, 2), change(2, 2)]).await;
    f.app.delete(&format!("/api/callback/subscription/{gone}")).send().await.expect_status(200);
    let status = |seq, status: &str| (seq, status.to_owned());
    let of = async |id: i64| states(&f.deliveries(&format!("subscription_id={id}")).await);
    let mut expected = vec![status(1, "superseded"), status(1, "superseded")];
    expected.extend([status(2, "waiting"), status(2, "waiting")]);
    assert_eq!(of(latest).await, expected);
    assert_eq!(of(gone).await, [1, 1, 2, 2].map(|seq| status(seq, "cancelled")));
    // Parked in one month and the next, put back by one call.
    while f.deliveries("status=parked").await.len() < 2 {
        f.after_ms(30 * 3_600_000);
        f.send().await;
    }
    f.after_ms(31 * DAY_MS);
    f.publish(&[change(3, 1)]).await;
    while f.deliveries("status=parked").await.len() < 3 {
        f.after_ms(30 * 3_600_000);
        f.send().await;
    }
    receiver.answer(Reply::new(200, ""));
    let path = "/api/callback/delivery/recover";
    let since = json!({"since": "2026-11-21"});
    assert_eq!(f.app.post(path).json(&since).send().await.expect_status(200).json()["data"]["count"], 3);
    assert_eq!(f.deliveries("status=waiting").await.len(), 3);
    f.send().await;
    assert_eq!(f.deliveries("status=delivered").await.len(), 3);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_months_border_nothing_is_delivered_twice() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::with_partner(&[&receiver]).await;
    let (id, _) = f.subscribe(&receiver.url("/")).await;
    let register = format!("channels=2&api_url={}&api_token=t", receiver.url("/gth"));
    assert_eq!(f.sync(&register).await["replayed"], 0);
    f.to_the_border();
    let events = f.publish(&[change(1, 1), change(1, 2), change(2, 1)]).await;
    f.send().await;
    assert_eq!(receiver.received().len(), 6);
    f.after_ms(20_000);
    // The same events, and the same changes under other ids.
    f.bed.publish(&events).await;
    f.publish(&[change(1, 1), change(1, 2), change(1, 3)]).await;
    f.send().await;
    assert_eq!((f.rows("delivery").await, receiver.received().len()), (8, 8));
    if f.bed.mode() == Mode::Distributed {
        assert_eq!(f.months("delivery").await, ["delivery_p202611", "delivery_p202612"]);
    }
    // Registered again, it lacks nothing.
    assert_eq!(f.sync(&register).await["replayed"], 0);
    // Replayed, twice before they are sent, they go again as what they were.
    let before: Vec<String> = receiver.received().iter().map(|r| r.header("webhook-id").to_owned()).collect();
    assert_eq!((f.replay(id).await, f.replay(id).await), (json!(4), json!(4)));
    assert_eq!((f.rows("delivery").await, f.rows("delivery_queue").await), (8, 4));
    f.send().await;
    let again = receiver.received();
    let mut orders = arrived(&again[8..]);
    orders.sort_unstable();
    assert_eq!(orders, [(1, 1), (1, 2), (1, 3), (2, 1)]);
    assert!(again[8..].iter().all(|r| before.iter().any(|id| id == r.header("webhook-id"))));
    assert_eq!(states(&f.deliveries(&format!("subscription_id={id}")).await).len(), 4);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_month_the_database_itself_refuses_a_second_delivery() {
    let f = Fixture::new(&[]).await;
    let insert = |id: i64, change: i64| {
        format!(
            "INSERT INTO delivery (id, subscription_id, partner_id, change_seq, status, tries, last_status, last_error, finished_at)
            VALUES ({id}, 1, {PARTNER}, {change}, 1, 0, 0, '', 1)"
        )
    };
    let first = platform::ids::floor_at(START_MS);
    f.run(&insert(first, 1)).await;
    f.run(&insert(first + 1, 2)).await;
    let again = f.app.db().conn().execute_unprepared(&insert(first + 2, 1)).await.expect_err("it is there");
    assert!(matches!(again.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_))), "{again}");
    f.bed.finish().await;
}
