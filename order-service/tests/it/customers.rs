use serde_json::json;

use crate::{blamed, order, order_body, place, service_goods, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_mobile_is_refused_with_the_id_however_it_is_written() {
    let (bed, app) = start().await;
    let body = json!({"nick_name": "王强", "mobile": "133422898123", "avatar": "a.png"});
    let id =
        app.post("/api/customer").json(&body).send().await.expect_status(200).json()["data"]["id"].clone();
    for mobile in ["133422898123", " 133 4228 98123 ", "１３３４２２８９８１２３", "133422898123.0"]
    {
        let again =
            app.post("/api/customer").json(&json!({"mobile": mobile})).send().await.expect_status(400).json();
        assert_eq!((&again["status"], &again["data"]["id"]), (&json!(2), &id), "{mobile}");
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_makes_its_customer_and_finds_it_again() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let mut ids = Vec::new();
    for name in ["", "小明", "改名"] {
        let mut body = order_body(goods);
        body["customer"] = json!({"mobile": "18434819907", "nick_name": name});
        let placed = place(&app, &body).await;
        let shown = order(&app, placed["number"].as_str().unwrap()).await;
        ids.push(shown["customer_info"]["id"].clone());
        let expected = if name.is_empty() { "" } else { "小明" };
        assert_eq!(
            shown["customer_info"]["nick_name"], expected,
            "an empty name is filled in, another one stays"
        );
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let mut body = order_body(goods);
    body.as_object_mut().unwrap().remove("customer");
    body["customer_id"] = ids[0].clone();
    place(&app, &body).await;
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_orders_of_one_new_mobile_at_once_make_one_customer() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let orders = (0..50).map(|_| {
        let app = app.clone();
        async move { place(&app, &order_body(goods)).await["number"].as_str().unwrap().to_owned() }
    });
    let numbers = futures_util::future::join_all(orders).await;
    let mut customers = std::collections::HashSet::new();
    for number in &numbers {
        customers.insert(order(&app, number).await["customer_info"]["id"].as_i64().unwrap());
    }
    assert_eq!(customers.len(), 1);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_without_a_mobile_is_refused() {
    let (bed, app) = start().await;
    for body in [
        json!({}),
        json!({"mobile": ""}),
        json!({"mobile": "  "}),
        json!({"mobile": "\u{200b}"}),
        json!({"mobile": ["1"]}),
        json!({"mobile": "1".repeat(33)}),
    ] {
        let answer = app.post("/api/customer").json(&body).send().await.expect_status(400).json();
        assert_eq!(blamed(&answer), ["mobile"], "{body}");
    }
    let broken = app
        .post("/api/customer")
        .body("application/json", "{\"mobile\":")
        .send()
        .await
        .expect_status(400)
        .json();
    assert_eq!(broken["status"], 1);
    let form = app.post("/api/customer").form("mobile=18434819907&nick_name=%F0%9F%98%80").send().await;
    form.expect_status(200);
    bed.finish().await;
}
