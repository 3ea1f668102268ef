use contracts::{
    events::OrderStateChanged,
    order_state::{FulfilState, PaymentState},
};
use platform::clock::Clock;
use serde_json::{Value, json};
use testing::wait_until;

use crate::{
    NOW_MS, blamed, events_of, history, order, order_body, paid, place, report, report_goods, service_goods,
    start, start_on, with,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_order_is_placed_paid_and_fulfilled() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    let goods = report_goods(&bed, &app, &report(7, 1)).await;
    let body = with(
        order_body(goods),
        json!({"size": 2, "payment_source": 5, "outer_id": "o-1", "distributor_id": 4, "expire_in": 600}),
    );
    let placed = place(&app, &body).await;
    assert_eq!((&placed["state"], &placed["total"]), (&json!(1), &json!("19800")));
    assert_eq!(placed["expire_at"], NOW_MS / 1000 + 600);
    let number = placed["number"].as_str().unwrap();
    assert!(number.len() == 19 && number.starts_with("261121140405"), "{number}");
    clock.advance_ms(5000);
    let payment = json!({"amount": "19800", "payment_channel": 1, "third_trade_num": "wx-1", "third_trade_identity": "u-1"});
    let answer =
        app.post(&format!("/api/order/{number}/pay")).json(&payment).send().await.expect_status(200).json();
    assert_eq!((&answer["data"]["state"], &answer["data"]["order_seq"]), (&json!(3), &json!(2)));
    let shown = app.get(&format!("/api/order/{number}")).send().await.expect_status(200).json();
    for figure in ["current_page", "last_page", "total"] {
        assert_eq!(shown[figure], 1);
    }
    let o = &shown["date"];
    let paid_at = (NOW_MS + 5000) / 1000;
    assert_eq!((&o["paid_at"], &o["fulfilled_at"]), (&json!(paid_at), &json!(paid_at)));
    assert_eq!((&o["total"], &o["size"], &o["state"]), (&json!("19800"), &json!(2), &json!(3)));
    assert_eq!(
        o["trade_info"],
        json!({"third_trade_num": "wx-1", "third_trade_identity": "u-1", "payment_source": 5, "payment_channel": 1})
    );
    assert_eq!((&o["order_item"]["id"], &o["order_item"]["price"]), (&json!(7), &json!("9900")));
    let usage = json!({"quantity_count": 6, "available_count": 0, "residue_count": 6, "expend_status": 0});
    assert_eq!(o["order_item_usage"], usage);
    assert_eq!(events_of(&history(&app, &o["id"]).await), ["place", "pay"]);
    let events = bed.published::<OrderStateChanged>(2).await;
    assert_eq!(
        events.iter().map(|e| (e.order_seq, e.event.as_str())).collect::<Vec<_>>(),
        [(1, "place"), (2, "pay")]
    );
    assert_eq!((events[0].previous.state, events[1].previous.state), (None, Some(PaymentState::Unpaid)));
    assert_eq!((events[1].order.state, events[1].order.outer_id.as_str()), (PaymentState::Completed, "o-1"));
    assert_eq!((events[1].actor.name.as_str(), events[1].order.read_quota), ("admin", 6));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_shows_every_key_of_the_contract_and_no_null() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let placed = place(&app, &order_body(goods)).await;
    let o = order(&app, placed["number"].as_str().unwrap()).await;
    for key in [
        "id",
        "number",
        "order_title",
        "total",
        "size",
        "state",
        "checkout_at",
        "expire_at",
        "paid_at",
        "fulfilled_at",
    ] {
        assert!(o.get(key).is_some(), "{key} is missing");
    }
    let invoice = json!({
        "state": 0, "status": 0, "create_time": 0, "is_vat": 0, "invoice_title": "", "invoice_amount": 0,
        "invoice_tax_num": "", "vat_name": "", "vat_mail_address": "", "vat_company_name": "", "vat_company_address": "",
        "vat_company_mobile": "", "vat_telphone": "", "vat_bank_name": "", "vat_bank_accoun": "", "invoice_option": 0,
    });
    assert_eq!(o["invoice_info"], invoice);
    assert!(o["number"].is_string() && o["total"].is_string() && o["id"].is_i64());
    assert!(!o.to_string().contains("null"), "{o}");
    for missing in ["0", "abc", "999999999999999999", "1%27%20OR%201=1", "%00"] {
        app.get(&format!("/api/order/{missing}")).send().await.expect_status(404);
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paying_a_service_order_enters_its_work_in_the_same_change() {
    let (bed, app) = start().await;
    for (initial, state) in [("dlz", FulfilState::Queued), ("wks", FulfilState::NotStarted)] {
        let goods = service_goods(&app, json!({"initial_state": initial})).await;
        let number = paid(&app, &with(order_body(goods), json!({"size": 3}))).await;
        let o = order(&app, &number).await;
        assert_eq!(
            (&o["fulfil_state"], &o["order_seq"], &o["fulfilled_at"]),
            (&json!(initial), &json!(2), &json!(0))
        );
        assert_eq!(o["counters"]["need_num"], json!([3, 0, 0, 0]), "what is counted is the size");
        let changes = history(&app, &o["id"]).await;
        assert_eq!(changes[1], (2, "pay".into(), Some(1), 3, None, Some(state.into())));
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_free_order_is_born_completed_and_in_work() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let placed = place(&app, &order_body(goods)).await;
    assert_eq!(
        (&placed["state"], &placed["total"], &placed["expire_at"]),
        (&json!(3), &json!("0"), &json!(0))
    );
    let o = order(&app, placed["number"].as_str().unwrap()).await;
    assert_eq!((&o["fulfil_state"], &o["order_seq"]), (&json!("wks"), &json!(1)));
    assert_eq!(history(&app, &o["id"]).await, [(1, "place".into(), None, 3, None, Some(1))]);
    let again = app
        .post(&format!("/api/order/{}/pay", placed["number"].as_str().unwrap()))
        .json(&json!({"amount": 0}))
        .send()
        .await;
    assert_eq!(again.expect_status(400).json()["status"], 2);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_exact_amount_pays_and_only_once() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let number = place(&app, &order_body(goods)).await["number"].as_str().unwrap().to_owned();
    let path = format!("/api/order/{number}/pay");
    for amount in [json!(499), json!(501), json!(0), json!("abc"), json!(-1), json!(null), json!(5.5)] {
        let answer = app.post(&path).json(&json!({"amount": amount})).send().await.expect_status(400).json();
        assert_eq!(blamed(&answer), ["amount"], "{amount}");
    }
    app.post(&path).json(&json!({"amount": 500})).send().await.expect_status(200);
    let again = app.post(&path).json(&json!({"amount": 500})).send().await.expect_status(400).json();
    assert_eq!(
        (&again["status"], &again["data"]),
        (&json!(2), &json!({"state": "3", "allowed": []})),
        "{again}"
    );
    let cancel = app
        .post(&format!("/api/order/{number}/cancel"))
        .json(&json!({}))
        .send()
        .await
        .expect_status(400)
        .json();
    assert!(cancel["error"].as_str().unwrap().contains("3（已完成）"), "{cancel}");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_cancelled_with_its_reason() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let placed = place(&app, &order_body(goods)).await;
    let path = format!("/api/order/{}/cancel", placed["number"].as_str().unwrap());
    let answer = app
        .post(&path)
        .as_account(5, "小王")
        .json(&json!({"reason": "买错了"}))
        .send()
        .await
        .expect_status(200)
        .json();
    assert_eq!(answer["data"]["state"], 2);
    let event = bed.published::<OrderStateChanged>(2).await.remove(1);
    assert_eq!(
        (event.event.as_str(), event.reason.as_str(), event.actor.name.as_str()),
        ("cancel", "买错了", "小王")
    );
    app.post(&path).json(&json!({})).send().await.expect_status(400);
    app.post("/api/order/1/cancel").json(&json!({})).send().await.expect_status(404);
    app.post("/api/order/x/pay").json(&json!({"amount": 1})).send().await.expect_status(404);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unpaid_orders_end_by_themselves_once_and_money_that_comes_later_is_kept_for_refund() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    let goods = service_goods(&app, json!({})).await;
    let body = with(order_body(goods), json!({"expire_in": 60}));
    let (ends, lives) = (place(&app, &body).await, place(&app, &order_body(goods)).await);
    let number = ends["number"].as_str().unwrap();
    clock.advance_ms(60_000);
    wait_until("the order ends", async || order(&app, number).await["state"] == 2).await;
    assert_eq!(order(&app, lives["number"].as_str().unwrap()).await["state"], 1);
    let payment = json!({"amount": 500, "third_trade_num": "wx-late", "payment_channel": 1});
    let pay = || app.post(&format!("/api/order/{number}/pay")).json(&payment);
    let late = pay().header("idempotency-key", "k1").send().await.expect_status(400).json();
    assert_eq!(late["status"], 2, "{late}");
    assert_eq!(
        (&late["data"]["refund_required"], &late["data"]["refund_due"]),
        (&json!(true), &json!("500"))
    );
    let replay = pay().header("idempotency-key", "k1").send().await.expect_status(400);
    assert_eq!((replay.header("idempotent-replayed"), replay.json()), ("true", late));
    pay().send().await.expect_status(400);
    let o = order(&app, number).await;
    assert_eq!((&o["state"], &o["refund_due"]), (&json!(2), &json!("500")), "one notice counts once");
    let other = json!({"amount": 300, "third_trade_num": "wx-other"});
    app.post(&format!("/api/order/{number}/pay")).json(&other).send().await.expect_status(400);
    assert_eq!(order(&app, number).await["refund_due"], "800", "other money counts as well");
    assert_eq!(events_of(&history(&app, &o["id"]).await), ["place", "expire", "late_pay", "late_pay"]);
    let last = bed.published::<OrderStateChanged>(5).await.pop().unwrap();
    assert_eq!((last.event.as_str(), last.order.refund_due_fen), ("late_pay", 800));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_finds_the_order_due_but_not_yet_ended_ends_it_first() {
    let clock = Clock::manual(NOW_MS);
    let bed = testing::TestBed::with_clock(clock.clone()).await;
    let service = order_service::app::build(&bed.shared).await.unwrap();
    let app = bed.start_without(&["order-timeouts"], service).await;
    let goods = service_goods(&app, json!({})).await;
    let placed = place(&app, &with(order_body(goods), json!({"expire_in": 60}))).await;
    clock.advance_ms(60_000);
    let path = format!("/api/order/{}/pay", placed["number"].as_str().unwrap());
    app.post(&path).json(&json!({"amount": 500})).send().await.expect_status(400);
    assert_eq!(events_of(&history(&app, &placed["id"]).await), ["place", "expire", "late_pay"]);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_became_due_while_nobody_ran_end_at_the_next_start() {
    let clock = Clock::manual(NOW_MS);
    let bed = testing::TestBed::with_clock(clock.clone()).await;
    let app = bed.start(order_service::app::build(&bed.shared).await.unwrap()).await;
    let goods = service_goods(&app, json!({})).await;
    let mut numbers = Vec::new();
    for _ in 0..5 {
        let placed = place(&app, &with(order_body(goods), json!({"expire_in": 60}))).await;
        numbers.push(placed["number"].as_str().unwrap().to_owned());
    }
    bed.settle().await;
    app.stop().await;
    clock.advance_ms(86_400_000);
    let app = bed.start(order_service::app::build(&bed.shared).await.unwrap()).await;
    for number in &numbers {
        wait_until("the order ends", async || order(&app, number).await["state"] == 2).await;
        assert_eq!(events_of(&history(&app, &order(&app, number).await["id"]).await), ["place", "expire"]);
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_with_the_same_key_gets_the_same_answer_and_places_nothing() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let place =
        |body: Value, key: &str| app.post("/api/order").header("idempotency-key", key).json(&body).send();
    let first = place(order_body(goods), "k-1").await.expect_status(200);
    let again = place(order_body(goods), "k-1").await.expect_status(200);
    assert_eq!((first.text(), again.header("idempotent-replayed")), (again.text(), "true"));
    let other = place(with(order_body(goods), json!({"size": 2})), "k-1").await.expect_status(422).json();
    assert_eq!(other["status"], 8);
    assert_ne!(place(order_body(goods), "k-2").await.expect_status(200).text(), first.text());
    let another =
        app.post("/api/order").as_account(9, "x").header("idempotency-key", "k-1").json(&order_body(goods));
    assert_ne!(
        another.send().await.expect_status(200).text(),
        first.text(),
        "keys of two accounts never meet"
    );
    app.post("/api/order")
        .header("idempotency-key", "a b")
        .json(&order_body(goods))
        .send()
        .await
        .expect_status(400);
    let number = first.json()["data"]["number"].as_str().unwrap().to_owned();
    let pay = || {
        app.post(&format!("/api/order/{number}/pay"))
            .header("idempotency-key", "p-1")
            .json(&json!({"amount": 500}))
    };
    assert_eq!(pay().send().await.expect_status(200).text(), pay().send().await.expect_status(200).text());
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outer_id_is_unique_per_partner() {
    let (bed, app) = start().await;
    let (a, b) = (
        service_goods(&app, json!({"partner_id": 1})).await,
        service_goods(&app, json!({"partner_id": 2})).await,
    );
    let body = |goods| with(order_body(goods), json!({"outer_id": "same"}));
    let first = place(&app, &body(a)).await;
    place(&app, &body(b)).await;
    let again = app.post("/api/order").json(&body(a)).send().await.expect_status(400).json();
    assert_eq!((&again["status"], &again["data"]["number"]), (&json!(2), &first["number"]), "{again}");
    let many = (0..20).map(|_| {
        let app = app.clone();
        let body = with(order_body(a), json!({"outer_id": "raced"}));
        async move { app.post("/api/order").json(&body).send().await }
    });
    let answers = futures_util::future::join_all(many).await;
    let placed: Vec<_> = answers.iter().filter(|a| a.status() == 200).collect();
    assert_eq!(placed.len(), 1);
    let number = placed[0].json()["data"]["number"].clone();
    for lost in answers.iter().filter(|a| a.status() != 200) {
        assert_eq!((lost.status(), &lost.json()["data"]["number"]), (400, &number), "{}", lost.text());
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_orders_are_refused_by_field() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    for (change, field) in [
        (json!({"goods_id": null}), "goods_id"),
        (json!({"goods_id": 9999}), "goods_id"),
        (json!({"goods_id": "x"}), "goods_id"),
        (json!({"goods_id": -1}), "goods_id"),
        (json!({"customer": null}), "customer_id"),
        (json!({"customer": {}}), "customer.mobile"),
        (json!({"customer": "x"}), "customer"),
        (json!({"customer_id": 5}), "customer"),
        (json!({"customer": null, "customer_id": 5}), "customer_id"),
        (json!({"size": 0}), "size"),
        (json!({"size": -5}), "size"),
        (json!({"size": "1e9"}), "size"),
        (json!({"size": 1_000_000_001}), "size"),
        (json!({"inputs": "x"}), "inputs"),
        (json!({"inputs": {"aa": "x".repeat(2001)}}), "inputs.aa"),
        (json!({"inputs": {"ee": "a\u{0}"}}), "inputs.ee"),
        (json!({"inputs": {"bb": {"x": 1}}}), "inputs.bb"),
        (json!({"need_num_0": -1}), "need_num_0"),
        (json!({"payment_source": 100}), "payment_source"),
        (json!({"outer_id": "x".repeat(65)}), "outer_id"),
        (json!({"expire_in": 0}), "expire_in"),
        (json!({"expire_in": 99_999_999}), "expire_in"),
        (json!({"distributor_id": -1}), "distributor_id"),
    ] {
        let answer = app.post("/api/order").json(&with(order_body(goods), change.clone())).send().await;
        let answer = answer.expect_status(400).json();
        assert_eq!(blamed(&answer), [field], "{change}");
    }
    let dear = service_goods(&app, json!({"price": 99_999_999_999_999_i64})).await;
    let answer = app
        .post("/api/order")
        .json(&with(order_body(dear), json!({"size": 2})))
        .send()
        .await
        .expect_status(400)
        .json();
    assert_eq!(blamed(&answer), ["size"]);
    let emoji = with(
        order_body(goods),
        json!({"inputs": {"aa": "😀'; DROP TABLE orders; --<script>"}, "user_note": "注"}),
    );
    let placed = place(&app, &emoji).await;
    assert_eq!(
        order(&app, placed["number"].as_str().unwrap()).await["inputs"]["aa"],
        "😀'; DROP TABLE orders; --<script>"
    );
    let form = format!("goods_id={goods}&customer[mobile]=1&inputs[aa]=x&size=2");
    let placed = app.post("/api/order").form(&form).send().await.expect_status(200).json();
    assert_eq!(placed["data"]["total"], "1000");
    bed.finish().await;
}
