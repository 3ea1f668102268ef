//! The clean `/api/supplier/order/…`: leases, correct codes, typed JSON.

use futures_util::future::join_all;
use platform::clock::Clock;
use serde_json::{Value, json};
use testing::{Answer, App, wait_until};

use crate::{
    NOW_MS, blamed, events_of, history, order, order_body, paid, place, service_goods, start, start_on,
    supplier_key,
};

async fn call(app: &App, key: &str, action: &str, body: Value) -> Answer {
    app.post(&format!("/api/supplier/order/{action}"))
        .anonymous()
        .header("x-api-key", key)
        .json(&body)
        .send()
        .await
}

async fn claim(app: &App, key: &str, body: Value) -> Value {
    call(app, key, "claim", body).await.expect_status(200).json()["data"].clone()
}

fn ids(batch: &Value) -> Vec<i64> {
    batch["data"].as_array().unwrap().iter().map(|o| o["order_id"].as_i64().unwrap()).collect()
}

async fn free_orders(app: &App, goods: i64, n: usize) -> Vec<String> {
    let mut numbers = Vec::new();
    for _ in 0..n {
        numbers.push(place(app, &order_body(goods)).await["number"].as_str().unwrap().to_owned());
    }
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_leased_confirmed_once_and_can_be_asked_for_again() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    assert_eq!(claim(&app, &key, json!({"goods_id": goods})).await["total"], 0);
    let numbers = free_orders(&app, goods, 5).await;
    let wish =
        json!({"goods_id": goods, "limit": 3, "sort_type": "asc", "lease_seconds": 60, "batch_no": "mine-1"});
    let first = claim(&app, &key, wish.clone()).await;
    assert_eq!((ids(&first).len(), &first["batch_no"]), (3, &json!("mine-1")));
    assert!(first["lease_until"].as_i64().unwrap() > 0);
    assert_eq!(first["data"][0]["order_state"], "jxz");
    assert_eq!(claim(&app, &key, wish.clone()).await, first, "a lost answer is asked for again");
    for orders in [3, 0] {
        let ack = call(&app, &key, "ack", json!({"batch_no": "mine-1"})).await.expect_status(200).json();
        assert_eq!(ack["data"]["orders"], orders, "a repeat is as good as the first");
    }
    let rest = claim(&app, &key, json!({"goods_id": goods})).await;
    assert_eq!(ids(&rest).len(), 2);
    assert!(rest["batch_no"].as_str().unwrap().len() > 10);
    let listed = app.get(&format!("/api/supplier/order/list?goods_id={goods}&state=jxz&limit=3"));
    let listed = listed.anonymous().header("x-api-key", &key).send().await.expect_status(200).json();
    let cursor = listed["data"]["next_cursor"].as_i64().unwrap();
    assert_eq!(ids(&listed["data"]).len(), 3);
    let path = format!("/api/supplier/order/list?goods_id={goods}&state=jxz&limit=3&cursor={cursor}");
    let after = app.get(&path).anonymous().header("x-api-key", &key).send().await.expect_status(200).json();
    assert_eq!((ids(&after["data"]).len(), &after["data"]["next_cursor"]), (2, &json!(0)));
    assert_eq!(order(&app, &numbers[0]).await["fulfil_state"], "jxz");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_gives_orders_back_to_where_they_came_from_but_not_those_at_work() {
    let clock = Clock::manual(NOW_MS);
    let (bed, app) = start_on(clock.clone()).await;
    for state in ["wks", "dlz"] {
        let goods = service_goods(&app, json!({"price": 0, "initial_state": state})).await;
        let key = supplier_key(&bed, goods, &[goods]).await;
        let numbers = free_orders(&app, goods, 3).await;
        let wish = json!({"goods_id": goods, "state": state, "lease_seconds": 60, "sort_type": "asc", "batch_no": "b"});
        let batch = claim(&app, &key, wish.clone()).await;
        let worked = ids(&batch)[0];
        let edited = call(&app, &key, "edit", json!({"order_id": worked, "now_num": 1}))
            .await
            .expect_status(200)
            .json();
        assert_eq!(edited["data"], json!({"moved": false, "changed": true}));
        clock.advance_ms(60_000);
        for number in &numbers[1..] {
            wait_until("the order goes back", async || order(&app, number).await["fulfil_state"] == state)
                .await;
            let id = order(&app, number).await["id"].clone();
            assert_eq!(events_of(&history(&app, &id).await), ["place", "claim", "release"]);
        }
        assert_eq!(order(&app, &numbers[0]).await["fulfil_state"], "jxz", "progress was reported: it stays");
        assert_eq!(ids(&claim(&app, &key, wish).await), [worked], "what went back is no longer of the batch");
        let late = call(&app, &key, "ack", json!({"batch_no": "b"})).await.expect_status(400).json();
        assert_eq!(late["status"], 2);
        let again = claim(&app, &key, json!({"goods_id": goods, "state": state})).await;
        assert_eq!(ids(&again).len(), 2);
        clock.advance_ms(1000);
        call(&app, &key, "ack", json!({"batch_no": again["batch_no"]})).await.expect_status(200);
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supplier_gives_back_some_or_all_of_a_batch() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let (key, other) = (supplier_key(&bed, 1, &[goods]).await, supplier_key(&bed, 2, &[goods]).await);
    free_orders(&app, goods, 4).await;
    let batch = claim(&app, &key, json!({"goods_id": goods})).await;
    let (no, mine) = (batch["batch_no"].clone(), ids(&batch));
    let give = |key: &str, body: Value| {
        let (app, key) = (app.clone(), key.to_owned());
        async move { call(&app, &key, "return", body).await }
    };
    give(&other, json!({"batch_no": no})).await.expect_status(404);
    let some =
        give(&key, json!({"batch_no": no, "order_ids": [mine[0], 424242]})).await.expect_status(200).json();
    assert_eq!(some["data"]["orders"], 1);
    assert_eq!(ids(&claim(&app, &other, json!({"goods_id": goods})).await), [mine[0]]);
    call(&app, &key, "edit", json!({"order_id": mine[1], "order_state": "ywc"})).await.expect_status(200);
    let rest = give(&key, json!({"batch_no": no})).await.expect_status(200).json();
    assert_eq!(rest["data"]["orders"], 2, "what is done or another's does not go back");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_repeats_of_one_claim_at_once_bring_the_same_orders_and_others_none_of_them() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    free_orders(&app, goods, 10).await;
    let calls = (0..20).map(|i| {
        let (app, key) = (app.clone(), key.clone());
        let batch_no = if i % 2 == 0 { "same".to_owned() } else { format!("own-{i}") };
        async move {
            let wish = json!({"goods_id": goods, "limit": 4, "batch_no": batch_no});
            (i % 2 == 0, ids(&claim(&app, &key, wish).await))
        }
    });
    let answers = join_all(calls).await;
    let same: Vec<_> =
        answers.iter().filter(|(same, got)| *same && !got.is_empty()).map(|(_, got)| got).collect();
    assert!(same.windows(2).all(|w| w[0] == w[1]), "{same:?}");
    let mut all: Vec<i64> =
        answers.iter().filter(|(same, _)| !same).flat_map(|(_, got)| got.clone()).collect();
    all.extend(same.first().into_iter().flat_map(|got| got.iter()));
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!((all.len(), distinct.len()), (10, 10), "{answers:?}");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clean_entry_answers_with_real_codes() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let other = service_goods(&app, json!({})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let theirs = supplier_key(&bed, 2, &[other]).await;
    let number = paid(&app, &order_body(goods)).await;
    let id = order(&app, &number).await["service_no"].clone();
    app.post("/api/supplier/order/claim")
        .anonymous()
        .json(&json!({"goods_id": goods}))
        .send()
        .await
        .expect_status(401);
    assert_eq!(
        call(&app, "wrong", "claim", json!({"goods_id": goods})).await.expect_status(401).json()["status"],
        6
    );
    assert_eq!(
        call(&app, &key, "claim", json!({"goods_id": other})).await.expect_status(400).json()["status"],
        2
    );
    for (body, field) in [
        (json!({}), "goods_id"),
        (json!({"goods_id": goods, "state": "jxz"}), "state"),
        (json!({"goods_id": goods, "state": "ywc"}), "state"),
        (json!({"goods_id": goods, "limit": 0}), "limit"),
        (json!({"goods_id": goods, "limit": 1001}), "limit"),
        (json!({"goods_id": goods, "lease_seconds": 9}), "lease_seconds"),
        (json!({"goods_id": goods, "batch_no": "x".repeat(101)}), "batch_no"),
    ] {
        assert_eq!(
            blamed(&call(&app, &key, "claim", body.clone()).await.expect_status(400).json()),
            [field],
            "{body}"
        );
    }
    for (key, action, body, status) in [
        (&key, "ack", json!({"batch_no": "none"}), 404),
        (&key, "ack", json!({}), 400),
        (&key, "return", json!({"batch_no": "none"}), 404),
        (&key, "edit", json!({"order_id": 424242, "now_num": 1}), 404),
        (&theirs, "edit", json!({"order_id": id, "now_num": 1}), 404),
        (&theirs, "refund", json!({"order_id": id}), 404),
        (&key, "edit", json!({"order_id": id, "order_state": "nope"}), 400),
        (&key, "edit", json!({"order_id": id, "now_num": -1}), 400),
    ] {
        let answer = call(&app, key, action, body.clone()).await;
        assert_eq!(answer.status(), status, "{action} {body}: {}", answer.text());
    }
    let refused = call(&app, &key, "edit", json!({"order_id": id, "order_state": "bdz"}))
        .await
        .expect_status(400)
        .json();
    assert_eq!(refused["data"], json!({"state": "wks", "allowed": ["jxz", "ytd", "tdz"]}));
    for changed in [true, false] {
        let refund = call(&app, &key, "refund", json!({"order_id": id})).await.expect_status(200).json();
        assert_eq!(refund["data"], json!({"moved": changed, "changed": changed}));
    }
    assert_eq!(order(&app, &number).await["refund"], "500");
    bed.finish().await;
}
