//! A reader's way through the services: put on a white list, a customer by that, reading, buying.

use std::time::Duration;

use serde_json::{Value, json};
use testing::{Client, wait_at_most};

use crate::system::{PASSWORD, System};

const PATIENCE: Duration = Duration::from_secs(60);
const MOBILE: &str = "18434819907";

struct Console {
    client: Client,
    token: String,
}

impl Console {
    async fn get(&self, path: &str) -> Value {
        self.client.get(path).bearer(&self.token).send().await.expect_status(200).json()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.client.post(path).bearer(&self.token).json(body).send().await.expect_status(200).json()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_is_the_same_customer_in_every_list() {
    let mut system = System::start().await;
    let client = Client::plain(&system.url);
    let body = json!({"account": "admin", "password": PASSWORD});
    let token = client.post("/api/access/token").json(&body).send().await.expect_status(200).json();
    let console = Console { client, token: token["data"]["token"].as_str().unwrap().into() };
    let report = json!({"title": "概念股投资报告第1期", "cover": "c.png", "intro": "i", "directory": "d", "price": 5,
        "file": {"file_name": "f", "src": "f.pdf", "format": "pdf", "size": 1}, "read_count": 2, "status": 1,
        "white_list": [{"mobile": MOBILE, "read_count": 1, "given_user": "王强"}]});
    let report = console.post("/api/report", &report).await["date"]["id"].as_i64().unwrap();
    let readers = format!("/api/report/{report}/customer");
    // The entry goes to order-service, which makes it a customer and tells so.
    let id = wait_at_most(PATIENCE, "the reader is a customer", async || {
        console.get(&readers).await["date"]["data"][0]["user_id"].as_i64().filter(|id| *id > 0)
    })
    .await;
    let white = console.get("/api/customer?start_date=2026-01-01&type=2").await["date"].clone();
    assert_eq!(
        (&white[0]["user_id"], &white[0]["mobile"], &white[0]["payment_count"]),
        (&json!(id), &json!(MOBILE), &json!(1))
    );
    assert_eq!(console.get("/api/customer?start_date=2026-01-01").await["date"], json!([]));
    // The white list pays the first reading, an order the second.
    let goods = wait_at_most(PATIENCE, "the report's goods", async || {
        console.get(&format!("/api/goods?report_id={report}")).await["data"]["data"][0]["id"].as_i64()
    })
    .await;
    let order = json!({"customer": {"mobile": MOBILE}, "goods_id": goods});
    let placed = console.post("/api/order", &order).await["data"].clone();
    let number = placed["number"].as_str().unwrap();
    console.post(&format!("/api/order/{number}/pay"), &json!({"amount": placed["total"]})).await;
    let read = format!("/api/report/{report}/read");
    wait_at_most(PATIENCE, "the order's right", async || {
        console.get(&readers).await["date"]["data"][0]["residue_count"] == 3
    })
    .await;
    for left in [2, 1, 0] {
        let answer = console.post(&read, &json!({"customer_id": id})).await;
        assert_eq!(answer["data"]["residue_count"], left);
    }
    wait_at_most(PATIENCE, "the order is used up", async || {
        let used = console.get("/api/order?start_date=2026-01-01&usage_expend_status=1").await;
        used["total"] == 1 && used["date"][0]["number"] == number
    })
    .await;
    let shown = console.get(&format!("/api/customer/{id}")).await["data"].clone();
    assert_eq!(
        (&shown["payment_count"], &shown["payment_total"], &shown["nick_name"]),
        (&json!(2), &json!(500), &json!("王强"))
    );
    assert!(shown["last_review_at"].as_i64().unwrap() > 0 && shown["regist_at"].as_i64().unwrap() > 0);
    let reader = console.get(&readers).await["date"]["data"][0].clone();
    for field in
        ["user_id", "nick_name", "mobile", "regist_at", "last_login_at", "last_review_at", "last_payment_at"]
    {
        assert_eq!(reader[field], shown[field], "{field}");
    }
    let own = console.get(&format!("/api/customer/{id}/order")).await;
    assert_eq!((&own["total"], &own["date"][0]["number"]), (&json!(1), &json!(number)));
    let home = console.get("/api/stats/overview").await["data"]["total"].clone();
    assert_eq!((&home["order_count"], &home["customer_count"]), (&json!(1), &json!(1)));
    system.stop().await;
}
