//! Readings, and who has a right to them.

use contracts::{
    events::{
        CustomerBatchChanged, CustomerChanged, CustomerSummary, GoodsSummary, OrderRow, OrderStateChanged,
        PaymentSummary, PreviousStates, ReadingUsed, WhitelistChanged,
    },
    identity::Actor,
    order_state::PaymentState,
};
use serde_json::{Value, json};
use testing::{Answer, App, TestBed};

use crate::{SEED_NOW_MS, add_report, blamed, report_body, start, with};

const MOBILE: &str = "13800000001";

/// A paid order of one report by customer 7.
fn paid(order_id: i64, report_id: i64, quota: i64) -> OrderStateChanged {
    OrderStateChanged {
        order: OrderRow {
            id: order_id,
            number: format!("26112108{order_id:010}"),
            outer_id: String::new(),
            partner_id: 0,
            distributor_id: 0,
            customer: CustomerSummary {
                id: 7,
                nick_name: "王强".into(),
                avatar: "http://s.laoyaoba.com/a.jpg".into(),
                mobile: MOBILE.into(),
            },
            goods: GoodsSummary {
                id: 1,
                kind: "report".into(),
                title: "报告".into(),
                report_id,
                cover: String::new(),
                price_fen: 100,
            },
            size: 1,
            total_fen: 100,
            refund_fen: 0,
            refund_due_fen: 0,
            state: PaymentState::Completed,
            fulfil_state: None,
            payment: PaymentSummary::default(),
            checkout_at: SEED_NOW_MS,
            expire_at: 0,
            paid_at: SEED_NOW_MS + order_id * 1000,
            fulfilled_at: SEED_NOW_MS,
            updated_at: SEED_NOW_MS,
            start_num: 0,
            now_num: 0,
            end_num: 0,
            read_quota: quota,
            remark: String::new(),
        },
        previous: PreviousStates::default(),
        event: "pay".into(),
        order_seq: 2,
        actor: Actor::system("test"),
        reason: String::new(),
    }
}

async fn tell(bed: &TestBed, changes: &[OrderStateChanged]) {
    let events: Vec<_> = changes.iter().map(|c| bed.event_about(&c.order.number, c)).collect();
    bed.publish(&events).await;
    bed.settle().await;
}

async fn read(app: &App, report: i64, body: &Value) -> Answer {
    app.post(&format!("/api/report/{report}/read")).json(body).send().await
}

async fn left(app: &App, report: i64) -> i64 {
    let answer = read(app, report, &json!({"customer_id": 7})).await.expect_status(200).json();
    assert_eq!(answer["status"], 0);
    answer["data"]["residue_count"].as_i64().unwrap()
}

async fn subscribe_count(app: &App, report: i64) -> i64 {
    let list = app.get("/api/report").send().await.json();
    let rows = list["data"]["data"].as_array().unwrap();
    rows.iter().find(|r| r["id"] == report).unwrap()["subscribe_count"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_white_list_goes_first_in_order_then_the_oldest_order() {
    let (bed, app) = start().await;
    let row = |reads: i64, state: i64| json!({"mobile": MOBILE, "read_count": reads, "state": state});
    let body = with(report_body(), json!({"white_list": [row(5, 1), row(1, 0), row(2, 0)]}));
    let report = add_report(&app, &body).await;
    let mut older = paid(1, report, 1);
    older.order.paid_at = SEED_NOW_MS - 1;
    tell(&bed, &[paid(2, report, 2), older]).await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(left(&app, report).await);
    }
    assert_eq!(seen, [5, 4, 3, 2, 1, 0]);
    let none = read(&app, report, &json!({"customer_id": 7})).await.expect_status(400).json();
    assert_eq!((&none["status"], &none["error"]), (&json!(2), &json!("没有剩余阅读次数")));
    let entries = app.get(&format!("/api/report/{report}/white")).send().await.json()["date"]["data"].clone();
    let residues: Vec<_> =
        entries.as_array().unwrap().iter().map(|e| e["residue_count"].as_i64().unwrap()).collect();
    assert_eq!(residues, [5, 0, 0]);
    let used = bed.published::<ReadingUsed>(6).await;
    let rights: Vec<_> = used.iter().map(|u| (u.right.clone(), u.left)).collect();
    let entry = |n: usize| format!("whitelist:{}", entries[n]["id"]);
    let order = |n: i64| format!("order:26112108{n:010}");
    let expected = [(entry(1), 0), (entry(2), 1), (entry(2), 0), (order(1), 0), (order(2), 1), (order(2), 0)];
    assert_eq!(rights, expected);
    let changes = bed.published::<WhitelistChanged>(6).await;
    assert_eq!(
        changes[3..].iter().map(|c| (c.version, c.residue_count)).collect::<Vec<_>>(),
        [(2, 0), (2, 1), (3, 0)]
    );
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_readings_at_once_use_no_right_twice() {
    let (bed, app) = start().await;
    let body = with(report_body(), json!({"white_list": [{"mobile": MOBILE, "read_count": 13}]}));
    let report = add_report(&app, &body).await;
    tell(&bed, &[paid(1, report, 9), paid(2, report, 8)]).await;
    let mut readers = Vec::new();
    for _ in 0..50 {
        let app = app.clone();
        readers.push(platform::lifecycle::spawn(async move {
            read(&app, report, &json!({"customer_id": 7})).await.status()
        }));
    }
    let (mut done, mut refused) = (0, 0);
    for reader in readers {
        match reader.await.unwrap() {
            200 => done += 1,
            400 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((done, refused), (30, 20));
    let mut rights: Vec<_> =
        bed.published::<ReadingUsed>(30).await.into_iter().map(|u| (u.right, u.left)).collect();
    rights.sort();
    rights.dedup();
    assert_eq!(rights.len(), 30, "a right was used twice");
    assert!(rights.iter().all(|(_, left)| *left >= 0));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_counted_once_whatever_order_their_events_come_in() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let other = add_report(&app, &report_body()).await;
    let mut placed = paid(1, report, 3);
    placed.order.state = PaymentState::Unpaid;
    placed.order_seq = 1;
    let mut cancelled = paid(2, report, 3);
    cancelled.order.state = PaymentState::Cancelled;
    let mut service = paid(3, 0, 0);
    service.order.goods.kind = "service".into();
    tell(&bed, &[placed.clone(), cancelled, service]).await;
    assert_eq!(subscribe_count(&app, report).await, 0);
    read(&app, report, &json!({"customer_id": 7})).await.expect_status(400);
    // Paid, told twice, and once more by a late word from before.
    tell(&bed, &[paid(1, report, 3), paid(1, report, 3)]).await;
    tell(&bed, &[placed, paid(4, other, 1)]).await;
    assert_eq!((subscribe_count(&app, report).await, subscribe_count(&app, other).await), (1, 1));
    assert_eq!(left(&app, report).await, 2);
    // A refund ends the right, and nothing is counted back.
    let mut refunded = paid(1, report, 3);
    refunded.order.refund_fen = 100;
    refunded.order_seq = 3;
    tell(&bed, &[refunded]).await;
    tell(&bed, &[paid(1, report, 3)]).await;
    read(&app, report, &json!({"customer_id": 7})).await.expect_status(400);
    assert_eq!(subscribe_count(&app, report).await, 1);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_is_not_used_up_again_by_a_repeat_and_outlives_its_report() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    tell(&bed, &[paid(1, report, 3)]).await;
    let path = format!("/api/report/{report}/read");
    for _ in 0..3 {
        let answer = app.post(&path).header("idempotency-key", "r-1").form("customer_id=7").send().await;
        assert_eq!(answer.expect_status(200).json(), json!({"status": 0, "data": {"residue_count": 2}}));
    }
    app.delete(&format!("/api/report/{report}")).send().await.expect_status(200);
    assert_eq!(left(&app, report).await, 1);
    read(&app, 99, &json!({"customer_id": 7})).await.expect_status(404);
    read(&app, report, &json!({"customer_id": 8})).await.expect_status(404);
    for (body, names) in [
        (json!({}), vec!["customer_id"]),
        (json!({"customer_id": 0}), vec!["customer_id"]),
        (json!({"customer_id": "x", "mobile": "y"}), vec!["customer_id", "mobile"]),
    ] {
        assert_eq!(blamed(&read(&app, report, &body).await.expect_status(400).json()), names, "{body}");
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reports_customers_are_those_with_a_right_one_row_each() {
    let (bed, app) = start().await;
    let white = json!({"white_list": [
        {"mobile": MOBILE, "read_count": 10, "given_user": "白名单里的王强"},
        {"mobile": "13900000000", "read_count": 4, "given_user": "只在白名单"},
        {"mobile": "13700000000", "read_count": 4, "state": 1},
    ]});
    let report = add_report(&app, &with(report_body(), white)).await;
    tell(&bed, &[paid(1, report, 3), paid(2, report, 2)]).await;
    left(&app, report).await;
    let stranger = json!({"customer_id": 8, "mobile": "13900000000"});
    let answer = read(&app, report, &stranger).await.expect_status(200).json();
    assert_eq!(answer["data"]["residue_count"], 3);
    let now = SEED_NOW_MS / 1000;
    let list = app.get(&format!("/api/report/{report}/customer")).send().await.expect_status(200).json();
    assert_eq!(
        list,
        json!({"status": 0, "date": {
            "current_page": 1, "last_page": 1, "per_page": 20, "total": 2, "data": [
                {"user_id": 7, "nick_name": "王强", "avatar": "http://s.laoyaoba.com/a.jpg", "mobile": MOBILE,
                 "occurred_count": 1, "residue_count": 14, "last_payment_at": now + 2, "last_login_at": 0,
                 "last_review_at": now, "regist_at": 0},
                {"user_id": 0, "nick_name": "只在白名单", "avatar": "", "mobile": "13900000000",
                 "occurred_count": 1, "residue_count": 3, "last_payment_at": now, "last_login_at": 0,
                 "last_review_at": 0, "regist_at": 0},
            ],
        }})
    );
    let second = app.get(&format!("/api/report/{report}/customer?limit=1&page=2")).send().await.json();
    assert_eq!(
        (&second["date"]["last_page"], &second["date"]["data"][0]["mobile"]),
        (&json!(2), &json!("13900000000"))
    );
    app.get("/api/report/99/customer").send().await.expect_status(404);
    app.get(&format!("/api/report/{report}/customer?page=0")).send().await.expect_status(400);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_by_white_list_alone_is_the_customer_order_service_tells_of() {
    let (bed, app) = start().await;
    let white =
        json!({"white_list": [{"mobile": "13900000000", "read_count": 4, "given_user": "只在白名单"}]});
    let report = add_report(&app, &with(report_body(), white)).await;
    let now = SEED_NOW_MS;
    let customer = |version: i64, nick_name: &str, login| CustomerChanged {
        id: 8,
        version,
        mobile: "13900000000".into(),
        nick_name: nick_name.into(),
        avatar: String::new(),
        regist_at: now - 5000,
        last_login_at: login,
        last_review_at: 0,
    };
    let row = async || {
        let list = app.get(&format!("/api/report/{report}/customer")).send().await.expect_status(200).json();
        assert_eq!(list["date"]["total"], 1);
        list["date"]["data"][0].clone()
    };
    assert_eq!(row().await["user_id"], 0);
    bed.publish(&[bed.event(&customer(1, "", 0))]).await;
    bed.settle().await;
    let expected = json!({"user_id": 8, "nick_name": "只在白名单", "avatar": "", "mobile": "13900000000",
        "occurred_count": 0, "residue_count": 4, "last_payment_at": now / 1000, "last_login_at": 0,
        "last_review_at": 0, "regist_at": now / 1000 - 5});
    assert_eq!(row().await, expected);
    // A reading is noted here, and a later word that does not know of it does not undo it.
    read(&app, report, &json!({"customer_id": 8})).await.expect_status(200);
    let batch = CustomerBatchChanged {
        customers: vec![customer(3, "王强", now + 1000), customer(2, "李刚", now)],
    };
    bed.publish(&[bed.event(&batch), bed.event(&customer(2, "李刚", now))]).await;
    bed.settle().await;
    let shown = row().await;
    assert_eq!((&shown["nick_name"], &shown["last_login_at"]), (&json!("王强"), &json!(now / 1000 + 1)));
    assert_eq!((&shown["last_review_at"], &shown["occurred_count"]), (&json!(now / 1000), &json!(1)));
    // An order's copy is what stood in the order; the customer's own name stays.
    let mut order = paid(1, report, 9);
    order.order.customer = CustomerSummary {
        id: 8,
        nick_name: "旧名".into(),
        avatar: "a.png".into(),
        mobile: "13900000000".into(),
    };
    tell(&bed, &[order]).await;
    let shown = row().await;
    assert_eq!((&shown["nick_name"], &shown["residue_count"]), (&json!("王强"), &json!(12)));
    bed.finish().await;
}
