//! What happens to an order after it is paid, and what its page shows: wishes, invoices.

use contracts::events::{KeyUsed, PartnerChanged, ReadingUsed};
use platform::clock::Clock;
use serde_json::{Value, json};

use crate::{
    NOW_MS, blamed, entry, events_of, history, order, order_body, paid, place, report, report_goods,
    service_goods, start, start_on, supplier_key, with,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_buyers_wish_moves_the_order_where_the_table_allows_it() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let number = paid(&app, &order_body(goods)).await;
    let id = order(&app, &number).await["service_no"].clone();
    let ask = |body: Value| app.post(&format!("/api/order/{number}/request")).json(&body).send();
    let edit = async |state: &str| {
        let answer =
            entry(&app, &format!("a=edit&goods_id={goods}&order_id={id}&apikey={key}&order_state={state}"))
                .await;
        assert_eq!(answer["status"], true, "{answer}");
    };
    let refused = ask(json!({"kind": "refill"})).await.expect_status(400).json();
    assert_eq!(refused["data"], json!({"state": "wks", "allowed": ["jxz", "ytd", "tdz"]}), "{refused}");
    edit("jxz").await;
    let wish = json!({"kind": "password", "reason": "改密码", "inputs": {"bb": "new-password"}});
    assert_eq!(ask(wish).await.expect_status(200).json()["data"]["fulfil_state"], "gmz");
    let row =
        entry(&app, &format!("a=down_orders&goods_id={goods}&state=gmz&format=json&apikey={key}")).await;
    assert_eq!(
        (&row["rows"][0]["bb"], &row["rows"][0]["aa"]),
        (&json!("new-password"), &json!("https://x/1"))
    );
    edit("jxz").await;
    edit("ywc").await;
    assert_eq!(ask(json!({"kind": "refill"})).await.expect_status(200).json()["data"]["fulfil_state"], "bdz");
    edit("ywc").await;
    assert_eq!(ask(json!({"kind": "renew"})).await.expect_status(200).json()["data"]["fulfil_state"], "xfz");
    edit("jxz").await;
    assert_eq!(ask(json!({"kind": "refund"})).await.expect_status(200).json()["data"]["fulfil_state"], "tdz");
    assert_eq!(ask(json!({"kind": "refund"})).await.expect_status(400).json()["status"], 2);
    for (body, field) in [
        (json!({}), "kind"),
        (json!({"kind": "money"}), "kind"),
        (json!({"kind": "refund", "inputs": {"aa": "\u{0}"}}), "inputs.aa"),
    ] {
        assert_eq!(blamed(&ask(body.clone()).await.expect_status(400).json()), [field], "{body}");
    }
    app.post("/api/order/1/request").json(&json!({"kind": "refund"})).send().await.expect_status(404);
    let unpaid = place(&app, &order_body(goods)).await["number"].as_str().unwrap().to_owned();
    let early =
        app.post(&format!("/api/order/{unpaid}/request")).json(&json!({"kind": "refund"})).send().await;
    early.expect_status(400);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_with_the_same_key_is_granted_once() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let number = paid(&app, &order_body(goods)).await;
    let ask = || {
        let request = app.post(&format!("/api/order/{number}/request")).header("idempotency-key", "w-1");
        request.json(&json!({"kind": "refund"})).send()
    };
    let first = ask().await.expect_status(200).text();
    assert_eq!(ask().await.expect_status(200).text(), first);
    let id = order(&app, &number).await["id"].clone();
    assert_eq!(events_of(&history(&app, &id).await), ["place", "pay", "ask_refund"]);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invoice_is_asked_for_changed_issued_and_then_fixed() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    let goods = report_goods(&bed, &app, &report(7, 1)).await;
    let number = paid(&app, &order_body(goods)).await;
    let save = |body: Value| app.post(&format!("/api/order/{number}/invoice")).json(&body).send();
    let body = json!({"invoice_title": "爱集微咨询（厦门）有限公司", "invoice_option": 2, "invoice_tax_num": "91350200MA2YC2UA52",
        "invoice_amount": 98.5, "is_vat": 1, "vat_bank_accoun": "6222", "vat_mail_address": "a@b.cn"});
    let first = save(body.clone()).await.expect_status(200);
    assert!(first.text().contains("\"invoice_amount\":98.5,"), "{}", first.text());
    clock.advance_ms(5000);
    save(with(body.clone(), json!({"invoice_amount": null, "vat_name": "小小"}))).await.expect_status(200);
    let shown = order(&app, &number).await["invoice_info"].clone();
    assert_eq!(
        (&shown["invoice_amount"], &shown["state"], &shown["status"]),
        (&json!(99), &json!(1), &json!(1))
    );
    assert_eq!(
        (&shown["vat_name"], &shown["vat_bank_accoun"], &shown["create_time"]),
        (&json!("小小"), &json!("6222"), &json!(NOW_MS / 1000))
    );
    save(with(body.clone(), json!({"state": 2}))).await.expect_status(200);
    assert_eq!(save(body.clone()).await.expect_status(400).json()["status"], 2, "an issued invoice stays");
    let unpaid = place(&app, &order_body(goods)).await["number"].as_str().unwrap().to_owned();
    let early =
        app.post(&format!("/api/order/{unpaid}/invoice")).json(&body).send().await.expect_status(400).json();
    assert_eq!(early["status"], 2);
    let other = paid(&app, &order_body(goods)).await;
    for (change, field) in [
        (json!({"invoice_title": null}), "invoice_title"),
        (json!({"invoice_tax_num": ""}), "invoice_tax_num"),
        (json!({"invoice_amount": 99.01}), "invoice_amount"),
        (json!({"invoice_amount": 0}), "invoice_amount"),
        (json!({"invoice_amount": 1.001}), "invoice_amount"),
        (json!({"invoice_option": 3}), "invoice_option"),
        (json!({"is_vat": 2}), "is_vat"),
    ] {
        let answer = app
            .post(&format!("/api/order/{other}/invoice"))
            .json(&with(body.clone(), change.clone()))
            .send()
            .await;
        assert_eq!(blamed(&answer.expect_status(400).json()), [field], "{change}");
    }
    app.post("/api/order/1/invoice").json(&body).send().await.expect_status(404);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_goods_are_not_sold_but_their_orders_are_worked_off() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    place(&app, &order_body(goods)).await;
    app.delete(&format!("/api/goods/{goods}")).send().await.expect_status(200);
    app.delete(&format!("/api/goods/{goods}")).send().await.expect_status(404);
    app.get(&format!("/api/goods/{goods}")).send().await.expect_status(404);
    assert_eq!(
        app.post("/api/order").json(&order_body(goods)).send().await.expect_status(400).json()["status"],
        2
    );
    let rows =
        entry(&app, &format!("a=down_orders&goods_id={goods}&state=wks&format=json&apikey={key}")).await;
    assert_eq!(rows["total"], 1);
    let of_report = report_goods(&bed, &app, &report(7, 1)).await;
    assert_eq!(
        app.delete(&format!("/api/goods/{of_report}")).send().await.expect_status(400).json()["status"],
        2
    );
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_is_tried_out_on_the_newest_orders_or_an_example() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0, "format": "{id}={need_num_0}"})).await;
    let preview = async |body: Value| {
        app.post(&format!("/api/goods/{goods}/preview")).json(&body).send().await.expect_status(200).json()["data"].clone()
    };
    let example = preview(json!({})).await;
    assert_eq!((&example["text"], &example["orders"]), (&json!("10001=100\n"), &json!(0)));
    let number =
        place(&app, &with(order_body(goods), json!({"inputs": {"aa": "=1+1"}}))).await["number"].clone();
    let number = number.as_str().unwrap();
    let id = order(&app, number).await["service_no"].clone();
    assert_eq!(preview(json!({"format": "{id}|{aa} "})).await["text"], format!("{id}|=1+1 \n"));
    assert!(preview(json!({"format": "csv"})).await["text"].as_str().unwrap().contains("\"'=1+1\""));
    let json_row: Value =
        serde_json::from_str(preview(json!({"format": "json"})).await["text"].as_str().unwrap()).unwrap();
    assert_eq!(json_row["order_state"], 1);
    assert_eq!(order(&app, number).await["fulfil_state"], "wks", "a preview hands nothing out");
    let urls = preview(json!({})).await["urls"].clone();
    assert!(urls[1]["url"].as_str().unwrap().contains(&format!("goods_id={goods}&state=wks&")), "{urls}");
    let long = app
        .post(&format!("/api/goods/{goods}/preview"))
        .json(&json!({"format": "{id}".repeat(201)}))
        .send()
        .await;
    assert_eq!(blamed(&long.expect_status(400).json()), ["format"]);
    app.post("/api/goods/999/preview").json(&json!({})).send().await.expect_status(404);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goods_follow_what_is_added_to_and_taken_off_a_partners_page() {
    let (bed, app) = start().await;
    let (a, b) = (service_goods(&app, json!({})).await, service_goods(&app, json!({})).await);
    let partner = |version: i64, goods_ids: &[i64]| PartnerChanged {
        id: 3,
        version,
        name: "合作方".into(),
        account_id: 9,
        enabled: true,
        privacy: "masked".into(),
        login: String::new(),
        login_hash_sealed: String::new(),
        goods_ids: goods_ids.to_vec(),
        deleted: false,
    };
    let owner = async |goods: i64| {
        app.get(&format!("/api/goods/{goods}")).send().await.json()["data"]["partner_id"].clone()
    };
    let tell = async |version: i64, goods: &[i64]| {
        bed.publish(&[bed.event(&partner(version, goods))]).await;
        bed.settle().await;
    };
    tell(2, &[a, b]).await;
    assert_eq!((owner(a).await, owner(b).await), (json!(3), json!(3)));
    tell(1, &[]).await;
    assert_eq!(owner(a).await, 3, "an older list changes nothing");
    app.put(&format!("/api/goods/{b}")).json(&json!({"partner_id": 8})).send().await.expect_status(200);
    tell(3, &[a, b]).await;
    assert_eq!(owner(b).await, 8, "a list that says the same again moves nothing");
    tell(4, &[]).await;
    assert_eq!((owner(a).await, owner(b).await), (json!(0), json!(8)), "another's goods stay his");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_use_of_a_key_is_told_once_in_five_minutes() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    let goods = service_goods(&app, json!({})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let poll = async || {
        entry(&app, &format!("a=down_orders&goods_id={goods}&state=wks&format=json&apikey={key}")).await
    };
    for _ in 0..3 {
        poll().await;
    }
    bed.settle().await;
    let told = bed.published::<KeyUsed>(1).await;
    assert_eq!((told.len(), told[0].key_id, told[0].at), (1, 1, NOW_MS));
    clock.advance_ms(300_000);
    poll().await;
    bed.settle().await;
    assert_eq!(bed.published::<KeyUsed>(2).await.len(), 2);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readings_used_elsewhere_show_on_the_order_whatever_their_order() {
    let (bed, app) = start().await;
    let goods = report_goods(&bed, &app, &report(7, 1)).await;
    let number = paid(&app, &with(order_body(goods), json!({"size": 2}))).await;
    let used = |right: &str, left: i64| {
        bed.event(&ReadingUsed { report_id: 7, customer_id: 1, right: right.into(), left, used_at: NOW_MS })
    };
    let order_right = format!("order:{number}");
    for (events, shown) in [
        (
            vec![used(&order_right, 4), used(&order_right, 3), used("white:9", 0), used("order:42", 0)],
            (3, 3, 0),
        ),
        (vec![used(&order_right, 5)], (3, 3, 0)),
        (vec![used(&order_right, -1)], (3, 3, 0)),
        (vec![used(&order_right, 0)], (6, 0, 1)),
    ] {
        bed.publish(&events).await;
        bed.settle().await;
        let usage = order(&app, &number).await["order_item_usage"].clone();
        let (used, left, spent) = shown;
        let expected = json!({"quantity_count": 6, "available_count": used, "residue_count": left, "expend_status": spent});
        assert_eq!(usage, expected);
    }
    bed.finish().await;
}
