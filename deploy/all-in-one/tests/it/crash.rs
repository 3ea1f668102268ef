//! kill -9 between the change and its callback: the callback arrives after the restart.

use std::time::Duration;

use serde_json::{Value, json};
use testing::{CallbackReceiver, Client, wait_at_most};

use crate::system::{PASSWORD, System};

/// The operator, at one door.
pub struct Shop {
    client: Client,
    token: String,
}

impl Shop {
    pub async fn sign_in(url: &str) -> Self {
        let client = Client::plain(url);
        let body = json!({"account": "admin", "password": PASSWORD});
        let answer = client.post("/api/access/token").json(&body).send().await.expect_status(200).json();
        Self { client, token: answer["data"]["token"].as_str().unwrap().into() }
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.client
            .post(path)
            .bearer(&self.token)
            .idempotency_key()
            .json(body)
            .send()
            .await
            .expect_status(200)
            .json()
    }

    /// Goods of a new partner that subscribes to its orders, with its receiver on `inbox_port`.
    pub async fn subscribed_goods(&self, inbox_port: u16) -> i64 {
        let partner = json!({"name": "p", "login": "crash-partner", "password": "a-long-enough-word"});
        let partner = self.post("/api/partner", &partner).await["data"]["id"].as_i64().unwrap();
        let url = format!("http://127.0.0.1:{inbox_port}/callback");
        let subscription = json!({"partner_id": partner, "url": url, "dialect": "standard", "types": [1, 2]});
        self.post("/api/callback/subscription", &subscription).await;
        self.service_goods(partner).await
    }

    async fn service_goods(&self, partner: i64) -> i64 {
        let goods = json!({"name": "crash", "kind": "service", "price": 100, "partner_id": partner, "initial_state": "wks"});
        self.post("/api/goods", &goods).await["data"]["id"].as_i64().unwrap()
    }

    pub async fn paid_order(&self, goods: i64) -> String {
        let order = json!({"customer": {"mobile": "13800000000", "nick_name": "k"}, "goods_id": goods, "size": 1,
            "inputs": {"aa": "x"}});
        let number = self.post("/api/order", &order).await["data"]["number"].as_str().unwrap().to_owned();
        self.post(&format!("/api/order/{number}/pay"), &json!({"amount": 100, "payment_channel": 1})).await;
        number
    }
}

/// (order number, order_seq) of what a receiver got, in order of arrival.
pub fn arrived(receiver: &CallbackReceiver) -> Vec<(String, i64)> {
    let of = |body: &[u8]| {
        let data = serde_json::from_slice::<Value>(body).unwrap()["data"].clone();
        (data["number"].as_str().unwrap().to_owned(), data["order_seq"].as_i64().unwrap())
    };
    receiver.received().iter().map(|r| of(&r.body)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_survive_kill_9_of_everything_between_change_and_delivery() {
    let mut system = System::start().await;
    let shop = Shop::sign_in(&system.url).await;
    let goods = shop.subscribed_goods(system.inbox_port).await;
    let mut numbers = Vec::new();
    for _ in 0..5 {
        // Nobody listens at the receiver's port yet; the process dies right after the answer.
        numbers.push(shop.paid_order(goods).await);
        system.kill();
        system.boot().await;
    }
    let receiver = CallbackReceiver::start_on(system.inbox_port).await;
    let expected: Vec<(String, i64)> =
        numbers.iter().flat_map(|n| [(n.clone(), 1), (n.clone(), 2)]).collect();
    // A sender that was killed with a delivery in hand leaves a lease of half a minute on it.
    let patience = Duration::from_secs(90);
    wait_at_most(patience, "every change to be delivered", async || {
        let arrived = arrived(&receiver);
        expected.iter().all(|e| arrived.contains(e))
    })
    .await;
    for number in &numbers {
        let mut sequence: Vec<i64> =
            arrived(&receiver).into_iter().filter(|(n, _)| n == number).map(|(_, s)| s).collect();
        sequence.dedup(); // at least once: a repeat directly after the first is allowed
        assert_eq!(sequence, [1, 2], "{number} came out of order");
    }
    system.stop().await;
}
