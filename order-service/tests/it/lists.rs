//! The lists of orders (20, 22): rows, filters, counts, deep pages.

use contracts::events::ReadingUsed;
use platform::{clock, clock::Clock, ids};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use testing::App;

use crate::{
    NOW_MS, blamed, order, order_body, paid, place, report, report_goods, service_goods, start, start_on,
    with,
};

async fn list(app: &App, query: &str) -> Value {
    app.get(&format!("/api/order?{query}")).send().await.expect_status(200).json()
}

fn ids_of(list: &Value) -> Vec<i64> {
    list["date"].as_array().unwrap().iter().map(|o| o["id"].as_i64().unwrap()).collect()
}

fn numbers_of(list: &Value) -> Vec<&str> {
    list["date"].as_array().unwrap().iter().map(|o| o["number"].as_str().unwrap()).collect()
}

/// An order of long ago, as a row of the table.
#[derive(Clone)]
struct Old {
    id: i64,
    number: String,
    state: i16,
    quota: i64,
    used: i64,
    trade: String,
}

/// `n` orders, oldest first, 30 seconds apart, the last one an hour old; the last 40 are unpaid.
fn old_orders(n: i64) -> Vec<Old> {
    (0..n)
        .map(|i| {
            let ms = NOW_MS - 3_600_000 - (n - 1 - i) * 30_000;
            let state = if i >= n - 40 { 1 } else { 3 - i16::from(i % 10 == 0) };
            Old {
                id: ids::floor_at(ms) + i % 100,
                number: format!("{}{:04}", clock::instant(ms).format("%y%m%d%H%M%S%3f"), i % 10_000),
                state,
                quota: if i % 3 == 0 { 3 } else { 0 },
                used: if i % 15 == 0 { 3 } else { 0 },
                trade: if state == 3 { format!("42_0%{:06}", (i * 7919) % 1_000_000) } else { String::new() },
            }
        })
        .collect()
}

async fn insert(app: &App, orders: &[Old], customer_id: i64) {
    let conn = app.db().conn();
    let rows: Vec<_> = orders
        .iter()
        .map(|o| (o.id, &o.number, o.state, o.quota, o.used, &o.trade, ids::made_at_ms(o.id)))
        .collect();
    let (backend, rows_of) = platform::db::dialect(
        conn,
        "SELECT (e->>0)::bigint AS id, e->>1 AS number, (e->>2)::smallint AS state, (e->>3)::bigint AS quota,
            (e->>4)::bigint AS used, e->>5 AS trade, (e->>6)::bigint AS at FROM json_array_elements($1::json) AS e",
        "SELECT value->>0 AS id, value->>1 AS number, value->>2 AS state, value->>3 AS quota, value->>4 AS used,
            value->>5 AS trade, value->>6 AS at FROM json_each($1)",
    );
    let sql = format!(
        "INSERT INTO orders (id, number, version, state, customer_id, nick_name, avatar, mobile, goods_id, kind,
            report_id, title, cover, price_fen, size, total_fen, third_trade_num, checkout_at, expire_at, paid_at,
            updated_at, read_quota, read_used)
         SELECT id, number, 1, state, $2, '', '', '', 1, 'report', 7, '', '', 100, 1, 100, trade, at,
            at + 90000000000, CASE WHEN state = 3 THEN at ELSE 0 END, at, quota, used FROM ({rows_of}) AS r"
    );
    let rows = serde_json::to_string(&rows).unwrap();
    conn.execute_raw(Statement::from_sql_and_values(backend, sql, [rows.into(), customer_id.into()]))
        .await
        .unwrap();
}

/// Asks for pages all over the list and compares them with `expected` (newest first).
async fn compare(app: &App, query: &str, expected: &[i64]) {
    let last = expected.len().div_ceil(20).max(1);
    for page in [1, 2, 7, 51, 52, last / 3, last / 2, last - 1, last, last + 1] {
        let page = page.max(1);
        let found = list(app, &format!("{query}&limit=20&page={page}")).await;
        let figures = (&found["total"], &found["last_page"], &found["current_page"]);
        assert_eq!(figures, (&json!(expected.len()), &json!(last), &json!(page)), "{query}, page {page}");
        let wanted: Vec<i64> = expected.iter().skip(20 * (page - 1)).take(20).copied().collect();
        assert_eq!(ids_of(&found), wanted, "{query}, page {page} of {last}");
    }
}

/// Newest first, those that `keep` wants.
fn newest(orders: &[Old], keep: impl Fn(&Old) -> bool) -> Vec<i64> {
    orders.iter().rev().filter(|o| keep(o)).map(|o| o.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_of_a_long_list_holds_what_its_number_says() {
    let (bed, app) = start_on(Clock::manual(NOW_MS)).await;
    let orders = old_orders(24_000);
    insert(&app, &orders, 5).await;
    let all = "start_date=2020-01-01";
    let day = orders[9000].number[..6].to_owned();
    let trade = orders[5].trade.clone();
    compare(&app, all, &newest(&orders, |_| true)).await;
    compare(&app, &format!("{all}&state=1"), &newest(&orders, |o| o.state == 1)).await;
    compare(&app, &format!("{all}&state=2"), &newest(&orders, |o| o.state == 2)).await;
    compare(&app, &format!("{all}&state=3"), &newest(&orders, |o| o.state == 3)).await;
    let used_up = |o: &Old| o.quota == 3 && o.used == 3;
    compare(&app, &format!("{all}&usage_expend_status=1"), &newest(&orders, used_up)).await;
    let in_use = |o: &Old| o.used < o.quota;
    compare(&app, &format!("{all}&usage_expend_status=2"), &newest(&orders, in_use)).await;
    let both = |o: &Old| o.state == 3 && in_use(o);
    compare(&app, &format!("{all}&usage_expend_status=2&state=3"), &newest(&orders, both)).await;
    compare(&app, &format!("{all}&third_trade_num=42_0%25"), &newest(&orders, |o| o.state == 3)).await;
    compare(&app, &format!("{all}&third_trade_num=4200"), &[]).await;
    let of_trade = |o: &Old| o.trade.starts_with(&trade[..7]);
    let query = format!("{all}&third_trade_num={}", trade[..7].replace('%', "%25"));
    compare(&app, &query, &newest(&orders, of_trade)).await;
    compare(&app, &format!("{all}&number={day}"), &newest(&orders, |o| o.number.starts_with(&day))).await;
    // One day in the middle, and everything up to it.
    let shanghai = |o: &Old| clock::local_date(ids::made_at_ms(o.id), chrono_tz::Asia::Shanghai).to_string();
    let date = shanghai(&orders[9000]);
    let query = format!("start_date={date}&end_date={date}");
    compare(&app, &query, &newest(&orders, |o| shanghai(o) == date)).await;
    let query = format!("start_date=2020-01-01&end_date={date}&state=3");
    compare(&app, &query, &newest(&orders, |o| shanghai(o) <= date && o.state == 3)).await;
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_pages_follow_the_orders_that_come_and_change() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    let orders = old_orders(6000);
    insert(&app, &orders, 5).await;
    let goods = service_goods(&app, json!({})).await;
    let mut expected = newest(&orders, |_| true);
    let mut completed = newest(&orders, |o| o.state == 3);
    compare(&app, "start_date=2020-01-01", &expected).await;
    compare(&app, "start_date=2020-01-01&state=3", &completed).await;
    // Some at once, some a minute, some an hour later: young orders, and such as grew old since the map was made.
    for pause_ms in [0, 60_000, 3_600_000, 5_000] {
        clock.advance_ms(pause_ms);
        for n in 0..7 {
            let number = if n < 5 {
                paid(&app, &order_body(goods)).await
            } else {
                place(&app, &order_body(goods)).await["number"].as_str().unwrap().to_owned()
            };
            let id = order(&app, &number).await["id"].as_i64().unwrap();
            expected.insert(0, id);
            if n < 5 {
                completed.insert(0, id);
            }
        }
        compare(&app, "start_date=2020-01-01", &expected).await;
        compare(&app, "start_date=2020-01-01&state=3", &completed).await;
    }
    // An old unpaid order is paid, the oldest of them: it stands in the middle of the completed ones from then on.
    let waiting = orders.iter().find(|o| o.state == 1).unwrap();
    app.post(&format!("/api/order/{}/pay", waiting.number))
        .json(&json!({"amount": 100}))
        .send()
        .await
        .expect_status(200);
    clock.advance_ms(60_000);
    let at = completed.iter().position(|id| *id < waiting.id).unwrap();
    completed.insert(at, waiting.id);
    compare(&app, "start_date=2020-01-01&state=3", &completed).await;
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_orders_has_the_rows_of_the_single_order() {
    let (bed, app) = start().await;
    let reports = report_goods(&bed, &app, &report(7, 1)).await;
    let service = service_goods(&app, json!({})).await;
    let numbers = [
        paid(&app, &order_body(reports)).await,
        place(&app, &order_body(service)).await["number"].as_str().unwrap().to_owned(),
        paid(&app, &with(order_body(service), json!({"customer": {"mobile": "13900000000"}}))).await,
    ];
    let found = list(&app, "start_date=2022-03-06?state=1").await;
    assert_eq!(
        (&found["status"], &found["current_page"], &found["last_page"], &found["total"]),
        (&json!(0), &json!(1), &json!(1), &json!(3))
    );
    assert_eq!(numbers_of(&found), [&*numbers[2], &*numbers[1], &*numbers[0]], "newest checkout first");
    for (row, number) in found["date"].as_array().unwrap().iter().zip(numbers.iter().rev()) {
        let mut single = order(&app, number).await;
        single.as_object_mut().unwrap().remove("invoice_info");
        assert_eq!(*row, single);
    }
    assert!(!found.to_string().contains("null"));
    // The first customer's own list; no day is needed, the same filters hold.
    let customer = order(&app, &numbers[0]).await["customer_info"]["id"].as_i64().unwrap();
    let own = |query: &str| format!("/api/customer/{customer}/order?{query}");
    let of = async |query: &str| app.get(&own(query)).send().await.expect_status(200).json();
    assert_eq!(numbers_of(&of("").await), [&*numbers[1], &*numbers[0]]);
    assert_eq!(numbers_of(&of("limit=1&page=2").await), [&*numbers[0]]);
    assert_eq!(numbers_of(&of("state=1").await), [&*numbers[1]]);
    assert_eq!(numbers_of(&of(&format!("number={}", numbers[0])).await), [&*numbers[0]]);
    assert_eq!(of("end_date=2022-01-01").await["total"], 0);
    app.get("/api/customer/1/order").send().await.expect_status(404);
    app.get("/api/customer/x/order").send().await.expect_status(404);
    app.get(&own("page=0")).send().await.expect_status(400);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_find_the_beginnings_of_numbers_and_readings_that_are_used_up() {
    let (bed, app) = start().await;
    let goods = report_goods(&bed, &app, &report(7, 1)).await;
    let (first, second) = (paid(&app, &order_body(goods)).await, paid(&app, &order_body(goods)).await);
    for number in [&first, &second] {
        let found = list(&app, &format!("start_date=2020-01-01&number={number}")).await;
        assert_eq!(numbers_of(&found), [number]);
        let found = list(&app, &format!("start_date=2020-01-01&third_trade_num=T{number}")).await;
        assert_eq!(numbers_of(&found), [number]);
    }
    for six in [format!("number={}", &first[..6]), format!("third_trade_num=T{}", &first[..5])] {
        assert_eq!(list(&app, &format!("start_date=2020-01-01&{six}")).await["total"], 2, "{six}");
    }
    for nothing in [
        "number=%25",
        "number=1_",
        "number=26%25",
        "third_trade_num=%25",
        "third_trade_num=T_",
        "number=x'--",
    ] {
        assert_eq!(list(&app, &format!("start_date=2020-01-01&{nothing}")).await["total"], 0, "{nothing}");
    }
    let left = |number: &str, left| {
        bed.event(&ReadingUsed {
            report_id: 7,
            customer_id: 1,
            right: format!("order:{number}"),
            left,
            used_at: NOW_MS,
        })
    };
    bed.publish(&[left(&first, 0), left(&second, 1)]).await;
    bed.settle().await;
    let used_up = list(&app, "start_date=2020-01-01&usage_expend_status=1").await;
    assert_eq!(numbers_of(&used_up), [&first]);
    let usage = json!({"quantity_count": 3, "available_count": 3, "residue_count": 0, "expend_status": 1});
    assert_eq!(used_up["date"][0]["order_item_usage"], usage);
    let in_use = list(&app, "start_date=2020-01-01&usage_expend_status=2&state=3").await;
    assert_eq!(numbers_of(&in_use), [&second]);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_are_whole_days_in_shanghai_with_both_ends() {
    // 23:59:59.999 in Shanghai on 2026-11-21, which is still the afternoon in UTC.
    let clock = Clock::manual(
        clock::day_start_ms(
            chrono::NaiveDate::from_ymd_opt(2026, 11, 22).unwrap(),
            chrono_tz::Asia::Shanghai,
        ) - 1,
    );
    let (bed, app) = start_on(clock.clone()).await;
    let goods = service_goods(&app, json!({})).await;
    let placed = place(&app, &order_body(goods)).await;
    let evening = placed["number"].as_str().unwrap();
    clock.advance_ms(1);
    let placed = place(&app, &order_body(goods)).await;
    let midnight = placed["number"].as_str().unwrap();
    for (days, expected) in [
        ("start_date=2026-11-21&end_date=2026-11-21", vec![evening]),
        ("start_date=2026-11-22&end_date=2026-11-22", vec![midnight]),
        ("start_date=2026-11-21", vec![midnight, evening]),
        ("start_date=2026-11-22", vec![midnight]),
        ("start_date=2026-11-21 23:59:59&end_date=2026-11-21 00:00:00", vec![evening]),
        ("start_date=2026-11-23", vec![]),
        ("start_date=2026-11-22&end_date=2026-11-21", vec![]),
        ("start_date=1970-01-01&end_date=9999-12-31", vec![midnight, evening]),
    ] {
        assert_eq!(numbers_of(&list(&app, &days.replace(' ', "%20")).await), expected, "{days}");
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_filters_are_refused_by_name() {
    let (bed, app) = start().await;
    for (query, name) in [
        ("", "start_date"),
        ("start_date=", "start_date"),
        ("start_date=yesterday", "start_date"),
        ("start_date=2026-02-30", "start_date"),
        ("start_date=2026-01-01&end_date=x", "end_date"),
        ("start_date=2026-01-01&state=4", "state"),
        ("start_date=2026-01-01&state=-1", "state"),
        ("start_date=2026-01-01&usage_expend_status=3", "usage_expend_status"),
        ("start_date=2026-01-01&page=0", "page"),
        ("start_date=2026-01-01&page=1000000000", "page"),
        ("start_date=2026-01-01&page=x", "page"),
        ("start_date=2026-01-01&limit=0", "limit"),
        ("start_date=2026-01-01&limit=1001", "limit"),
        ("start_date=2026-01-01&limit=-5", "limit"),
        ("start_date=2026-01-01&number=%00", "number"),
    ] {
        let answer = app.get(&format!("/api/order?{query}")).send().await.expect_status(400).json();
        assert_eq!(blamed(&answer), [name], "{query}");
    }
    let empty = list(&app, "start_date=2026-01-01&page=1000000&limit=1000").await;
    assert_eq!((&empty["total"], &empty["last_page"], &empty["date"]), (&json!(0), &json!(1), &json!([])));
    bed.finish().await;
}
