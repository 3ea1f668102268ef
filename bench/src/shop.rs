//! A client of the public API: what shops, operators and suppliers call, through the gateway.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use platform::http::{OutgoingSettings, outgoing};
use serde_json::{Value, json};

/// Requests under way at once while data is being prepared.
const PARALLEL: usize = 32;
/// Facts travel between services as events; how long the bench waits for one to have arrived.
const PATIENCE: Duration = Duration::from_secs(20);
/// Fen; what priced goods cost.
pub const PRICE: i64 = 500;

/// The signed-in client. Cheap to clone.
#[derive(Clone)]
pub struct Shop {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Shop {
    pub async fn sign_in(base: &str, password: &str) -> Result<Self, String> {
        let limits = OutgoingSettings { total_timeout_seconds: 120, ..OutgoingSettings::default() };
        let http = outgoing(&limits).build().map_err(|e| e.to_string())?;
        let mut shop = Self { http, base: base.into(), token: String::new() };
        let answer =
            shop.post("/api/access/token", &json!({"account": "admin", "password": password})).await?;
        shop.token = text(&answer, "/data/token")?;
        Ok(shop)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let key = platform::seal::random_token(12);
        self.send(
            path,
            self.http.post(format!("{}{path}", self.base)).header("idempotency-key", key).json(body),
        )
        .await
    }

    async fn send(&self, path: &str, request: reqwest::RequestBuilder) -> Result<Value, String> {
        let request = if self.token.is_empty() { request } else { request.bearer_auth(&self.token) };
        let answer = request.send().await.map_err(|e| format!("{path}: {}", e.without_url()))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|e| format!("{path}: {}", e.without_url()))?;
        if !status.is_success() {
            return Err(format!("{path} answered {status}: {body}"));
        }
        serde_json::from_str(&body).map_err(|e| format!("{path} answered no JSON ({e}): {body}"))
    }

    pub async fn partner(&self, name: &str) -> Result<i64, String> {
        let body = json!({"name": name, "login": name, "password": platform::seal::random_token(12)});
        number(&self.post("/api/partner", &body).await?, "/data/id")
    }

    /// Service goods of a partner, worked off by suppliers. `price` 0: its orders are born paid.
    pub async fn goods(&self, name: &str, partner: i64, price: i64) -> Result<i64, String> {
        let body = json!({
            "name": name, "kind": "service", "price": price, "partner_id": partner, "initial_state": "wks",
        });
        number(&self.post("/api/goods", &body).await?, "/data/id")
    }

    /// Subscribes `url` to all of a partner's orders; the signing secret. Waits until the partner is known there.
    pub async fn subscribe(&self, partner: i64, url: &str) -> Result<String, String> {
        let body = json!({"partner_id": partner, "url": url, "dialect": "standard", "types": [1, 2]});
        let answer = until_it_works(async || self.post("/api/callback/subscription", &body).await).await?;
        text(&answer, "/data/secret")
    }

    /// A supplier's key for `goods`, once the supplier's entry accepts it.
    pub async fn supplier_key(&self, name: &str, goods: &[i64]) -> Result<String, String> {
        let supplier = number(&self.post("/api/supplier", &json!({"name": name})).await?, "/data/id")?;
        let path = format!("/api/supplier/{supplier}/key");
        let key = text(&self.post(&path, &json!({"goods_ids": goods})).await?, "/data/key")?;
        for goods in goods {
            until_it_works(async || self.hand_out(*goods, &key).await).await?;
        }
        Ok(key)
    }

    pub async fn place(&self, goods: i64) -> Result<String, String> {
        let body = json!({
            "customer": {"mobile": "18434819907", "nick_name": "小明"}, "goods_id": goods, "size": 1,
            "inputs": {"aa": "https://example.com/video/1"}, "need_num_0": 100,
        });
        text(&self.post("/api/order", &body).await?, "/data/number")
    }

    pub async fn pay(&self, order: &str) -> Result<(), String> {
        let body = json!({"amount": PRICE, "payment_channel": 1, "third_trade_num": format!("T{order}")});
        self.post(&format!("/api/order/{order}/pay"), &body).await.map(|_| ())
    }

    /// Places `count` orders spread evenly over `goods`; their numbers.
    pub async fn place_many(&self, goods: &[i64], count: usize) -> Result<Vec<String>, String> {
        let placing = (0..count).map(|i| self.place(goods[i % goods.len()]));
        let placed: Vec<_> = stream::iter(placing).buffer_unordered(PARALLEL).collect().await;
        placed.into_iter().collect()
    }

    /// All orders of `goods` that wait for a supplier go to one, in one call; how many.
    pub async fn hand_out(&self, goods: i64, key: &str) -> Result<usize, String> {
        let path = "/admin_jiuwuxiaohun.php";
        let url = format!(
            "{}{path}?m=home&c=api&a=down_orders&state=wks&format=json&goods_id={goods}&apikey={key}",
            self.base
        );
        let answer = self.send(path, self.http.get(url)).await?;
        match (answer["status"] == true, answer["rows"].as_array()) {
            (true, Some(rows)) => Ok(rows.len()),
            _ => Err(format!("down_orders was refused: {answer}")),
        }
    }
}

async fn until_it_works<T>(mut attempt: impl AsyncFnMut() -> Result<T, String>) -> Result<T, String> {
    let started = Instant::now();
    loop {
        match attempt().await {
            Err(_) if started.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(50)).await,
            done => return done,
        }
    }
}

fn text(answer: &Value, pointer: &str) -> Result<String, String> {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| format!("no {pointer} in {answer}"))
}

fn number(answer: &Value, pointer: &str) -> Result<i64, String> {
    answer.pointer(pointer).and_then(Value::as_i64).ok_or_else(|| format!("no {pointer} in {answer}"))
}
