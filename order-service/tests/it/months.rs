//! Orders are split by month on PostgreSQL; nobody outside can tell.

use std::time::Duration;

use platform::clock::Clock;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use testing::{App, Mode, TestBed, wait_until};

use crate::{
    NOW_MS, entry, events_of, history, order, order_body, paid, place, service_goods, start_on, supplier_key,
    with,
};

const DAY_MS: i64 = 86_400_000;

/// Names of the tables that hold orders.
async fn tables(app: &App) -> Vec<String> {
    let conn = app.db().conn();
    let sql = "SELECT DISTINCT tableoid::regclass::text AS name FROM orders ORDER BY 1";
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

fn ids(answer: &Value) -> Vec<String> {
    answer["rows"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_many_months_are_found_listed_and_handed_out_as_one_table() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    let goods = service_goods(&app, json!({"partner_id": 7})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let mut placed = Vec::new();
    // The last of them is in a month that nobody has made.
    for (i, days) in [31, 31, 150, 0].into_iter().enumerate() {
        let body = with(order_body(goods), json!({"outer_id": format!("o{i}")}));
        let number = paid(&app, &body).await;
        let found = order(&app, &number).await;
        assert_eq!(events_of(&history(&app, &found["id"]).await), ["place", "pay"]);
        placed.push((number, found["service_no"].to_string()));
        let again = app.post("/api/order").json(&body).send().await.expect_status(400).json();
        assert_eq!(again["data"]["number"], placed[i].0, "an outer_id is unique over all months");
        clock.advance_ms(days * DAY_MS);
    }
    let early = app.post("/api/order").json(&with(order_body(goods), json!({"outer_id": "o0"}))).send().await;
    assert_eq!(early.expect_status(400).json()["data"]["number"], placed[0].0);
    if bed.mode() == Mode::Distributed {
        let months = ["orders_default", "orders_p202611", "orders_p202612", "orders_p202701"];
        assert_eq!(tables(&app).await, months);
    }
    let base = format!("a=down_orders&goods_id={goods}&apikey={key}&state=wks&format=json");
    let oldest: Vec<String> = placed.iter().map(|(_, no)| no.clone()).collect();
    let newest: Vec<String> = oldest.iter().rev().cloned().collect();
    assert_eq!(ids(&entry(&app, &format!("{base}&chage_state=false")).await), newest);
    assert_eq!(ids(&entry(&app, &format!("{base}&chage_state=false&page=2&page_size=3")).await), newest[3..]);
    let some = entry(&app, &format!("{base}&sort_type=asc&page=1&page_size=2")).await;
    assert_eq!(ids(&some), oldest[..2]);
    assert_eq!(ids(&entry(&app, &base).await), newest[..2]);
    assert!(ids(&entry(&app, &base).await).is_empty());
    let edit = format!("a=edit&goods_id={goods}&apikey={key}&order_id={}&order_state=ywc", oldest[0]);
    assert_eq!(entry(&app, &edit).await, json!({"status": true}));
    assert_eq!(order(&app, &placed[0].0).await["fulfil_state"], "ywc");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_known_by_its_number_is_read_and_paid_while_other_months_are_locked() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    let goods = service_goods(&app, json!({})).await;
    let placed = place(&app, &order_body(goods)).await;
    let number = placed["number"].as_str().unwrap();
    if bed.mode() == Mode::Distributed {
        let others = app.db().write_tx().await.unwrap();
        let lock = "LOCK TABLE orders_p202612, orders_p202701, orders_default, order_history_p202612,
            order_history_p202701, order_history_default IN ACCESS EXCLUSIVE MODE";
        others.execute_unprepared(lock).await.unwrap();
        let pay = json!({"amount": 500, "third_trade_num": "T1"});
        let paying = app.post(&format!("/api/order/{number}/pay")).json(&pay).send();
        let paid = tokio::time::timeout(Duration::from_secs(20), paying).await.expect("it touches one month");
        paid.expect_status(200);
        let timeline =
            app.get(&format!("/api/order/{number}/timeline")).send().await.expect_status(200).json();
        assert!(timeline.to_string().contains("\"pay\""), "{timeline}");
        assert_eq!(order(&app, number).await["state"], 3);
        others.rollback().await.unwrap();
    }
    for none in ["2613211404050261234", "2511211404050261234", "42"] {
        app.get(&format!("/api/order/{none}")).send().await.expect_status(404);
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_beyond_the_retention_goes_when_none_of_its_orders_is_open_and_its_outer_ids_stay_taken() {
    let clock = Clock::manual(NOW_MS);
    let bed = TestBed::with(clock.clone(), |s| s.database.keep_months = 3).await;
    let app = bed.start(order_service::app::build(&bed.shared).await.unwrap()).await;
    let goods = service_goods(&app, json!({"price": 0, "partner_id": 7})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let body = with(order_body(goods), json!({"outer_id": "mine"}));
    let gone = place(&app, &body).await["number"].as_str().unwrap().to_owned();
    clock.advance_ms(31 * DAY_MS);
    let open = place(&app, &order_body(goods)).await["number"].as_str().unwrap().to_owned();
    let first = order(&app, &gone).await["service_no"].clone();
    for state in ["jxz", "ywc"] {
        let edit = format!("a=edit&goods_id={goods}&apikey={key}&order_id={first}&order_state={state}");
        assert_eq!(entry(&app, &edit).await, json!({"status": true}));
    }
    bed.settle().await;
    app.stop().await;
    clock.advance_ms(150 * DAY_MS);
    // Nobody ran for months; the first turn of the next start makes what is missing and detaches what is over.
    let app = bed.start(order_service::app::build(&bed.shared).await.unwrap()).await;
    if bed.mode() == Mode::Distributed {
        wait_until("the first month to be detached", async || {
            (app.get(&format!("/api/order/{gone}")).send().await.status() == 404).then_some(())
        })
        .await;
        let conn = app.db().conn();
        let archived = conn.query_one_raw(Statement::from_string(
            conn.get_database_backend(),
            "SELECT count(*) AS n FROM orders_p202611 o JOIN order_history_p202611 h ON h.order_id = o.id",
        ));
        let rows: i64 = archived.await.unwrap().unwrap().try_get("", "n").unwrap();
        assert_eq!(rows, 3, "place, and two edits");
    }
    assert_eq!(order(&app, &open).await["fulfil_state"], "wks", "a month with work to do stays");
    let again = app.post("/api/order").json(&body).send().await.expect_status(400).json();
    assert_eq!(again["data"]["number"], gone);
    place(&app, &order_body(goods)).await;
    bed.finish().await;
}
