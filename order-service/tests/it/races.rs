//! One test per invariant that only many callers at once can break.

use std::collections::HashMap;

use contracts::events::OrderStateChanged;
use futures_util::future::join_all;
use serde_json::json;

use crate::{entry, events_of, history, order_body, paid, place, service_goods, start, supplier_key};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_suppliers_claiming_the_same_orders_get_each_exactly_once() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    const ORDERS: usize = 200;
    for chunk in 0..ORDERS / 20 {
        let some = (0..20).map(|_| async { place(&app, &order_body(goods)).await });
        assert_eq!(join_all(some).await.len(), 20, "chunk {chunk}");
    }
    let callers = (0..50).map(|i| {
        let (app, key) = (app.clone(), key.clone());
        async move {
            // Some with pages, some in the other direction, some all at once.
            let how = ["&page=1&page_size=7", "&page=1&page_size=3&sort_type=asc", ""][i % 3];
            let query = format!("a=down_orders&goods_id={goods}&state=wks&format=json&apikey={key}{how}");
            let mut got = Vec::new();
            loop {
                let answer = entry(&app, &query).await;
                assert_eq!(answer["status"], true, "{answer}");
                let rows = answer["rows"].as_array().unwrap();
                if rows.is_empty() {
                    return got;
                }
                got.extend(rows.iter().map(|r| r["id"].as_str().unwrap().to_owned()));
            }
        }
    });
    let mut seen: HashMap<String, usize> = HashMap::new();
    for id in join_all(callers).await.into_iter().flatten() {
        *seen.entry(id).or_default() += 1;
    }
    assert_eq!(seen.len(), ORDERS);
    assert!(seen.values().all(|n| *n == 1), "handed out twice: {seen:?}");
    let events = bed.published::<OrderStateChanged>(2 * ORDERS).await;
    assert_eq!(events.len(), 2 * ORDERS);
    assert!(events.iter().filter(|e| e.event == "claim").all(|e| e.order_seq == 2));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_payments_and_cancellations_at_once_one_wins_and_the_history_has_no_gap() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    for _ in 0..5 {
        let placed = place(&app, &order_body(goods)).await;
        let number = placed["number"].as_str().unwrap().to_owned();
        let racers = (0..50).map(|i| {
            let (app, number) = (app.clone(), number.clone());
            async move {
                let (path, body) = if i % 2 == 0 {
                    ("pay", json!({"amount": 500, "third_trade_num": "wx-1"}))
                } else {
                    ("cancel", json!({}))
                };
                (path, app.post(&format!("/api/order/{number}/{path}")).json(&body).send().await)
            }
        });
        let answers = join_all(racers).await;
        let won: Vec<_> = answers.iter().filter(|(_, a)| a.status() == 200).map(|(path, _)| *path).collect();
        assert_eq!(won.len(), 1, "{won:?}");
        for (_, lost) in answers.iter().filter(|(_, a)| a.status() != 200) {
            assert_eq!((lost.status(), &lost.json()["status"]), (400, &json!(2)), "{}", lost.text());
        }
        let changes = history(&app, &placed["id"]).await;
        let events = events_of(&changes);
        // The money of the losers is noted once: all of them name the same trade.
        let expected: &[&str] =
            if won[0] == "pay" { &["place", "pay"] } else { &["place", "cancel", "late_pay"] };
        assert_eq!(events, expected);
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_repeats_of_one_key_at_once_place_one_order() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let repeats = (0..50).map(|_| {
        let app = app.clone();
        async move {
            app.post("/api/order").header("idempotency-key", "once").json(&order_body(goods)).send().await
        }
    });
    let mut numbers = std::collections::HashSet::new();
    for answer in join_all(repeats).await {
        match answer.status() {
            200 => assert!(numbers.insert(answer.json()["data"]["number"].clone()) || numbers.len() == 1),
            409 => assert_eq!(answer.json()["status"], 8),
            other => panic!("{other}: {}", answer.text()),
        }
    }
    assert_eq!(numbers.len(), 1);
    assert_eq!(bed.published::<OrderStateChanged>(1).await.len(), 1);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refunds_and_edits_at_once_refund_once_and_leave_no_gap() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let number = paid(&app, &order_body(goods)).await;
    let shown = crate::order(&app, &number).await;
    let id = shown["service_no"].clone();
    let calls = (0..50).map(|i| {
        let (app, key, id) = (app.clone(), key.clone(), id.clone());
        async move {
            let what = match i % 3 {
                0 => format!("a=refund&order_id={id}&now_num=0"),
                1 => format!("a=edit&goods_id={goods}&order_id={id}&order_state=jxz"),
                _ => format!("a=edit&goods_id={goods}&order_id={id}&now_num={i}"),
            };
            (i % 3, entry(&app, &format!("{what}&apikey={key}")).await)
        }
    });
    for (kind, answer) in join_all(calls).await {
        assert!(
            kind != 0 || answer["status"] == true,
            "a refund and its repeats are answered true: {answer}"
        );
        if answer["status"] == false {
            assert_eq!(answer["data"], json!({"state": "ytd", "allowed": []}), "{answer}");
        }
    }
    let after = crate::order(&app, &number).await;
    assert_eq!((&after["fulfil_state"], &after["refund"]), (&json!("ytd"), &json!("500")));
    let changes = history(&app, &shown["id"]).await;
    let events = events_of(&changes);
    assert_eq!(events.iter().filter(|e| **e == "refund").count(), 1, "{events:?}");
    bed.finish().await;
}
