//! Customers as the admin sees them (19, 21), what white lists and readings add, and what report-service is told.

use contracts::events::{
    CustomerBatchChanged, CustomerChanged, ReadingUsed, WhitelistBatchChanged, WhitelistChanged,
};
use platform::clock::Clock;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use testing::{App, TestBed};

use crate::{NOW_MS, blamed, order, order_body, paid, place, service_goods, start, start_on, with};

const DAY_MS: i64 = 86_400_000;

async fn list(app: &App, query: &str) -> Vec<Value> {
    let answer = app.get(&format!("/api/customer?{query}")).send().await.expect_status(200).json();
    assert_eq!(answer["status"], 0);
    answer["date"].as_array().unwrap().clone()
}

fn mobiles(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|c| c["mobile"].as_str().unwrap()).collect()
}

fn entry(id: i64, version: i64, mobile: &str, name: &str) -> WhitelistChanged {
    WhitelistChanged {
        id,
        version,
        report_id: 5,
        given_user: name.into(),
        mobile: mobile.into(),
        read_count: 3,
        residue_count: 3,
        state: 0,
        deleted: false,
        created_at: NOW_MS,
    }
}

async fn tell(bed: &TestBed, entries: &[WhitelistChanged]) {
    let events: Vec<_> = entries.iter().map(|e| bed.event(e)).collect();
    bed.publish(&events).await;
    bed.settle().await;
}

async fn customer(app: &App, mobile: &str) -> Value {
    let answer =
        app.post("/api/customer").json(&json!({"mobile": mobile})).send().await.expect_status(400).json();
    let id = answer["data"]["id"].as_i64().unwrap();
    app.get(&format!("/api/customer/{id}")).send().await.expect_status(200).json()["data"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_holds_who_paid_in_the_window_with_all_they_paid() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    let goods = service_goods(&app, json!({})).await;
    let of =
        |mobile: &str| with(order_body(goods), json!({"customer": {"mobile": mobile, "nick_name": "王强"}}));
    paid(&app, &of("133422898123")).await;
    place(&app, &of("13900000000")).await; // never paid
    clock.advance_ms(DAY_MS);
    paid(&app, &with(of("133422898123"), json!({"size": 3}))).await;
    clock.advance_ms(DAY_MS);
    paid(&app, &of("133422892109")).await;
    let rows = list(&app, "start_date=2026-11-22&end_date=2026-11-22").await;
    let (first, last) = (NOW_MS / 1000, (NOW_MS + DAY_MS) / 1000);
    let id = rows[0]["user_id"].as_i64().unwrap();
    assert_eq!(
        rows,
        [
            json!({"user_id": id, "nick_name": "王强", "avatar": "", "mobile": "133422898123", "payment_time": 2,
            "payment_count": 2, "payment_total": "2000", "last_payment_at": last, "last_login_at": 0,
            "last_review_at": 0, "regist_at": first})
        ]
    );
    let single = app.get(&format!("/api/customer/{id}")).send().await.expect_status(200).json();
    assert_eq!(
        single,
        json!({"status": 0, "data": {"user_id": id, "nick_name": "王强", "avatar": "", "mobile": "133422898123",
            "payment_count": 2, "payment_total": 2000, "last_payment_at": last, "last_login_at": 0,
            "last_review_at": 0, "regist_at": first}})
    );
    for (query, expected) in [
        ("start_date=2026-11-21", vec!["133422892109", "133422898123"]),
        ("start_date=2026-11-21 10:00&type=1", vec!["133422892109", "133422898123"]),
        ("start_date=2026-11-21&end_date=2026-11-21", vec!["133422898123"]),
        ("start_date=2026-11-23", vec!["133422892109"]),
        ("start_date=2026-11-24", vec![]),
        ("start_date=2026-11-21&mobile=133422898123", vec!["133422898123"]),
        ("start_date=2026-11-23&mobile=133422898123", vec![]),
        ("start_date=2026-11-21&mobile=1334228", vec![]),
        ("start_date=2026-11-21&mobile=%25", vec![]),
        ("start_date=2026-11-21&type=2", vec![]),
        ("start_date=2026-11-21&page=1&limit=1", vec!["133422892109"]),
        ("start_date=2026-11-21&page=2&limit=1", vec!["133422898123"]),
        ("start_date=2026-11-21&page=2", vec![]),
    ] {
        let rows = list(&app, &query.replace(' ', "%20")).await;
        assert_eq!(mobiles(&rows), expected, "{query}");
    }
    for (query, name) in [
        ("", "start_date"),
        ("start_date=2026-11-21&type=3", "type"),
        ("start_date=2026-11-21&page=0", "page"),
        ("start_date=2026-11-21&limit=x", "limit"),
    ] {
        let answer = app.get(&format!("/api/customer?{query}")).send().await.expect_status(400).json();
        assert_eq!(blamed(&answer), [name], "{query}");
    }
    for missing in ["1", "x", "0"] {
        app.get(&format!("/api/customer/{missing}")).send().await.expect_status(404);
    }
    bed.finish().await;
}

/// `n` customers with one paid order each, and the last of them, `broken` such, with more than an amount can be.
async fn insert_many(app: &App, n: i64, broken: bool) {
    let conn = app.db().conn();
    let first = platform::ids::floor_at(NOW_MS - DAY_MS);
    let numbers = "WITH RECURSIVE g(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM g WHERE n + 1 < $1)";
    let make = async |sql: String, values: Vec<sea_orm::Value>| {
        let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
        conn.execute_raw(statement).await.unwrap();
    };
    make(
        format!(
            "{numbers} INSERT INTO customer (id, mobile, created_at)
                SELECT $2 + n, '1' || CAST(13000000000 + n AS TEXT), 0 FROM g"
        ),
        vec![n.into(), first.into()],
    )
    .await;
    let orders = |id: &str, total: &str| {
        format!(
            "{numbers} INSERT INTO orders (id, number, version, state, customer_id, nick_name, avatar, mobile,
                goods_id, kind, report_id, title, cover, price_fen, size, total_fen, checkout_at, paid_at, updated_at)
             SELECT {id}, CAST({id} AS TEXT), 1, 3, $2 + n, '', '', '', 1, 'service', 0, '', '', 1, 1, {total},
                $3, $3, $3 FROM g"
        )
    };
    let at = NOW_MS - DAY_MS;
    make(orders("$2 + n", "100"), vec![n.into(), first.into(), at.into()]).await;
    if broken {
        // The oldest customer, which comes last.
        make(orders("$2 - 1 - n", "9223372036854775807"), vec![1.into(), first.into(), at.into()]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_is_sent_whole_whichever_way_it_is_found() {
    let (bed, app) = start_on(Clock::manual(NOW_MS)).await;
    // Sought out by their subscriptions; beyond 20,000 of them customer by customer.
    for n in [1700, 21_000] {
        app.db().conn().execute_unprepared("DELETE FROM orders").await.unwrap();
        app.db().conn().execute_unprepared("DELETE FROM customer").await.unwrap();
        insert_many(&app, n, false).await;
        let rows = list(&app, "start_date=2026-11-20").await;
        assert_eq!(rows.len() as i64, n);
        let ids: Vec<i64> = rows.iter().map(|c| c["user_id"].as_i64().unwrap()).collect();
        assert!(ids.windows(2).all(|w| w[0] > w[1]), "newest first, none twice");
        for page in [1, 2, n / 1000] {
            let some = list(&app, &format!("start_date=2026-11-20&limit=1000&page={page}")).await;
            let expected: Vec<Value> =
                rows.iter().skip(1000 * (page as usize - 1)).take(1000).cloned().collect();
            assert_eq!(some, expected, "page {page} of {n}");
        }
    }
    bed.finish().await;
}

/// A row of the list, as far as it matters here.
#[derive(serde::Deserialize)]
struct Listed {
    user_id: i64,
    nick_name: String,
}

/// Every customer gets another name while the reader pauses: what bears the old one was held for it meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_200_000_customers_waits_for_its_reader_and_holds_a_fraction_of_them() {
    const CUSTOMERS: i64 = 200_000;
    let (bed, app) = start_on(Clock::manual(NOW_MS)).await;
    insert_many(&app, CUSTOMERS, false).await;
    // What a database does by itself after a while, for its plans.
    for table in ["customer", "orders"] {
        app.db().conn().execute_unprepared(&format!("ANALYZE {table}")).await.unwrap();
    }
    let mut answer = app.get("/api/customer?start_date=2026-11-20").open().await.unwrap();
    let mut text = answer.chunk().await.unwrap().unwrap().to_vec();
    app.db().conn().execute_unprepared("UPDATE customer SET nick_name = 'later'").await.unwrap();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    let rows = text.strip_prefix(b"{\"status\":0,\"date\":").and_then(|t| t.strip_suffix(b"}")).unwrap();
    let rows: Vec<Listed> = serde_json::from_slice(rows).unwrap();
    assert_eq!(rows.len() as i64, CUSTOMERS);
    assert!(rows.windows(2).all(|w| w[0].user_id > w[1].user_id), "newest first, none twice");
    let held = rows.iter().filter(|c| c.nick_name.is_empty()).count() as i64;
    assert!((1..CUSTOMERS / 4).contains(&held), "{held} of {CUSTOMERS} were held for a reader who waits");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_cannot_be_finished_breaks_off() {
    let (bed, app) = start_on(Clock::manual(NOW_MS)).await;
    insert_many(&app, 1700, true).await;
    let cut = app.get("/api/customer?start_date=2026-11-20").try_send().await;
    assert!(cut.is_err(), "a cut answer must not look whole: {:?}", cut.map(|a| a.text().len()));
    let whole = app.get("/api/customer?start_date=2026-11-20&limit=1000").try_send().await.unwrap();
    assert_eq!(whole.expect_status(200).json()["date"].as_array().unwrap().len(), 1000);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_white_list_entry_makes_a_customer_and_is_a_subscription() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    let goods = service_goods(&app, json!({})).await;
    let body = with(order_body(goods), json!({"customer": {"mobile": "13800000001"}}));
    let number = paid(&app, &body).await;
    bed.settle().await;
    clock.advance_ms(DAY_MS);
    let mut later = entry(2, 1, "13800000001", "李刚");
    later.created_at = NOW_MS + DAY_MS;
    let mut disabled = entry(3, 1, "13800000003", "");
    disabled.state = 1;
    tell(&bed, &[entry(1, 1, " 138 0000 0000 ", "王五"), later.clone(), disabled]).await;
    let white = list(&app, "start_date=2026-11-21&type=2").await;
    assert_eq!(mobiles(&white), ["13800000000", "13800000001"]);
    assert_eq!(
        (&white[0]["nick_name"], &white[0]["payment_count"], &white[0]["payment_total"]),
        (&json!("王五"), &json!(1), &json!("0"))
    );
    assert_eq!(
        (&white[0]["last_payment_at"], &white[0]["regist_at"]),
        (&json!(NOW_MS / 1000), &json!(NOW_MS / 1000))
    );
    // An order and a grant: both are counted, the later is the last; an empty name was filled in.
    assert_eq!((&white[1]["payment_count"], &white[1]["payment_total"]), (&json!(2), &json!("500")));
    assert_eq!(
        (&white[1]["last_payment_at"], &white[1]["nick_name"]),
        (&json!((NOW_MS + DAY_MS) / 1000), &json!("李刚"))
    );
    assert_eq!(order(&app, &number).await["customer_info"]["id"], white[1]["user_id"]);
    assert_eq!(mobiles(&list(&app, "start_date=2026-11-22&type=2").await), ["13800000001"]);
    assert_eq!(mobiles(&list(&app, "start_date=2026-11-21").await), ["13800000001"], "type 1 holds who paid");
    assert_eq!(
        customer(&app, "13800000003").await["payment_count"],
        0,
        "a disabled entry is no subscription"
    );
    // Told again, an older word, removed, and an older word after that.
    tell(&bed, &[later.clone(), entry(1, 1, "13800000000", "改名")]).await;
    assert_eq!(customer(&app, "13800000000").await["nick_name"], "王五");
    let gone = WhitelistChanged { version: 3, deleted: true, ..later.clone() };
    tell(&bed, &[gone.clone(), WhitelistChanged { version: 2, ..later }]).await;
    assert_eq!(mobiles(&list(&app, "start_date=2026-11-21&type=2").await), ["13800000000"]);
    // A removal that comes before anything else is remembered, and makes nobody a customer.
    let unknown = WhitelistChanged { id: 9, version: 2, deleted: true, ..entry(9, 2, "13700000000", "") };
    tell(&bed, &[unknown]).await;
    tell(&bed, &[entry(9, 1, "13700000000", "")]).await;
    assert_eq!(mobiles(&list(&app, "start_date=2026-11-21&type=2").await), ["13800000000"]);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_of_thousands_makes_each_customer_once() {
    let (bed, app) = start_on(Clock::manual(NOW_MS)).await;
    app.post("/api/customer")
        .json(&json!({"mobile": "13800000007", "nick_name": "七"}))
        .send()
        .await
        .expect_status(200);
    // 2,500 entries of 1,250 mobiles in five events, each told twice.
    let entries: Vec<_> =
        (0..2500).map(|i| entry(100 + i, 1, &format!("138{:08}", i % 1250), &format!("n{i}"))).collect();
    let events: Vec<_> =
        entries.chunks(500).map(|c| bed.event(&WhitelistBatchChanged { entries: c.to_vec() })).collect();
    bed.publish(&events).await;
    bed.publish(&events).await;
    bed.settle().await;
    let rows = list(&app, "start_date=2026-11-21&type=2").await;
    assert_eq!(rows.len(), 1250);
    assert!(rows.iter().all(|c| c["payment_count"] == 2));
    assert_eq!(customer(&app, "13800000007").await["nick_name"], "七", "a name that is there stays");
    let batches = bed.published::<CustomerBatchChanged>(1).await;
    let mut told: Vec<i64> = batches.iter().flat_map(|b| &b.customers).map(|c| c.id).collect();
    assert!(batches.iter().all(|b| b.customers.len() <= 500));
    assert_eq!(told.len(), 1249, "all but the one that was there");
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 1249);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customers_times_and_names_are_told_with_a_rising_version() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    let body = json!({"mobile": "13800000000", "regist_at": 1_627_639_454, "last_login_at": "1627640000"});
    let id = app.post("/api/customer").json(&body).send().await.expect_status(200).json()["data"]["id"]
        .as_i64()
        .unwrap();
    let path = format!("/api/customer/{id}");
    for (change, login, review) in [
        (json!({"nick_name": "N_183****6948"}), 1_627_640_000, 0),
        (
            json!({"last_login_at": 1_627_650_000, "last_review_at": 1_627_650_001}),
            1_627_650_000,
            1_627_650_001,
        ),
        (json!({"last_login_at": 5, "last_review_at": 5}), 1_627_650_000, 1_627_650_001),
        (json!({}), 1_627_650_000, 1_627_650_001),
    ] {
        app.put(&path).json(&change).send().await.expect_status(200);
        let shown = app.get(&path).send().await.expect_status(200).json()["data"].clone();
        assert_eq!(
            (&shown["regist_at"], &shown["last_login_at"], &shown["last_review_at"], &shown["nick_name"]),
            (&json!(1_627_639_454), &json!(login), &json!(review), &json!("N_183****6948")),
            "{change}"
        );
    }
    // An order by the same mobile changes nothing; a reading moves the last review and tells nobody.
    let goods = service_goods(&app, json!({})).await;
    place(&app, &with(order_body(goods), json!({"customer": {"mobile": "13800000000", "nick_name": "x"}})))
        .await;
    let read = |used_at| ReadingUsed {
        report_id: 5,
        customer_id: id,
        right: "whitelist:1".into(),
        left: 2,
        used_at,
    };
    bed.publish(&[bed.event(&read(NOW_MS)), bed.event(&read(NOW_MS - 5000))]).await;
    bed.settle().await;
    let shown = app.get(&path).send().await.expect_status(200).json()["data"].clone();
    assert_eq!(shown["last_review_at"], NOW_MS / 1000);
    let told = bed.published::<CustomerChanged>(3).await;
    assert_eq!(told.iter().map(|c| (c.id, c.version)).collect::<Vec<_>>(), [(id, 1), (id, 2), (id, 3)]);
    assert_eq!((told[2].last_login_at, told[2].regist_at), (1_627_650_000_000, 1_627_639_454_000));
    for (body, name) in [
        (json!({"last_login_at": -1}), "last_login_at"),
        (json!({"last_review_at": "x"}), "last_review_at"),
        (json!({"nick_name": "n".repeat(101)}), "nick_name"),
    ] {
        assert_eq!(blamed(&app.put(&path).json(&body).send().await.expect_status(400).json()), [name]);
    }
    app.put("/api/customer/1").json(&json!({})).send().await.expect_status(404);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_customer_of_an_order_is_told_with_it_and_only_once() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    for _ in 0..3 {
        place(&app, &order_body(goods)).await;
    }
    let told = bed.published::<CustomerChanged>(1).await;
    bed.settle().await;
    assert_eq!(bed.published::<CustomerChanged>(1).await.len(), 1);
    assert_eq!((told[0].version, &*told[0].mobile, &*told[0].nick_name), (1, "18434819907", "小明"));
    bed.finish().await;
}
