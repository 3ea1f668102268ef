//! A client of the public API: what shops, operators and suppliers call, through the gateways.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use platform::http::{OutgoingSettings, outgoing};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{doors::Doors, receiver::Receiver};

/// Requests under way at once while data is being prepared.
const PARALLEL: usize = 32;
/// Facts travel between services as events; how long the bench waits for one to have arrived.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two tries of a persistent client.
const PAUSE: Duration = Duration::from_millis(200);
/// Fen; what priced goods cost.
pub const PRICE: i64 = 500;

/// The signed-in client. Cheap to clone.
#[derive(Clone)]
pub struct Shop {
    http: reqwest::Client,
    doors: Arc<Doors>,
    token: String,
    /// How long it sends the same request again, under the same idempotency key, until that is accepted.
    persistence: Duration,
    failures: Arc<AtomicU64>,
    last_failure: Arc<Mutex<String>>,
}

/// Why a request was not accepted.
enum Refusal {
    /// Nobody there, a broken connection, a server's own fault: the same request may be sent again.
    Unsettled(String),
    Refused(String),
}

impl Refusal {
    fn text(self) -> String {
        match self {
            Self::Unsettled(text) | Self::Refused(text) => text,
        }
    }
}

impl Shop {
    /// Signs in at the only door.
    pub async fn sign_in(base: &str, password: &str) -> Result<Self, String> {
        let door = base.trim_start_matches("http://").parse().map_err(|e| format!("{base}: {e}"))?;
        Self::through(&[door], password).await
    }

    /// Signs in; requests take turns at those of the doors that are ready.
    pub async fn through(doors: &[SocketAddr], password: &str) -> Result<Self, String> {
        let limits = OutgoingSettings { total_timeout_seconds: 120, ..OutgoingSettings::default() };
        let http = outgoing(&limits).build().map_err(|e| e.to_string())?;
        let doors = Doors::watched(doors, &http);
        let mut shop = Self {
            http,
            doors,
            token: String::new(),
            persistence: Duration::ZERO,
            failures: Arc::default(),
            last_failure: Arc::default(),
        };
        shop.token = shop.token(password).await?;
        Ok(shop)
    }

    /// A further token of the same account.
    pub async fn token(&self, password: &str) -> Result<String, String> {
        let answer =
            self.post("/api/access/token", &json!({"account": "admin", "password": password})).await?;
        text(&answer, "/data/token")
    }

    /// The same client, which sends a request that was not settled again for so long.
    pub fn persistent(&self, persistence: Duration) -> Self {
        Self { persistence, ..self.clone() }
    }

    /// Requests that were not accepted at once, so far.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// What the last of them met.
    pub fn last_failure(&self) -> String {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.call(Method::GET, path, None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let key = platform::seal::random_token(12);
        let started = Instant::now();
        loop {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.doors.next()));
            if let Some(body) = body {
                request = request.header("idempotency-key", &key).json(body);
            }
            match self.send(path, request).await {
                Ok(answer) => return Ok(answer),
                Err(Refusal::Unsettled(_)) if started.elapsed() < self.persistence => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(refusal) => return Err(refusal.text()),
            }
        }
    }

    async fn send(&self, path: &str, request: reqwest::RequestBuilder) -> Result<Value, Refusal> {
        // What stands behind the path may be a key.
        let path = path.split('?').next().unwrap_or(path);
        let request = if self.token.is_empty() { request } else { request.bearer_auth(&self.token) };
        let failed = |refusal: Refusal| {
            self.failures.fetch_add(1, Ordering::Relaxed);
            let (Refusal::Unsettled(text) | Refusal::Refused(text)) = &refusal;
            self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone_from(text);
            refusal
        };
        let broken = |e: reqwest::Error| Refusal::Unsettled(format!("{path}: {}", e.without_url()));
        let answer = request.send().await.map_err(|e| failed(broken(e)))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|e| failed(broken(e)))?;
        if status.is_success() {
            let read = serde_json::from_str(&body);
            return read.map_err(|e| Refusal::Refused(format!("{path} answered no JSON ({e}): {body}")));
        }
        let told = format!("{path} answered {status}: {body}");
        // 409: the first request under the same idempotency key is still at work.
        let again = status.is_server_error() || matches!(status.as_u16(), 409 | 425 | 429);
        Err(failed(if again { Refusal::Unsettled(told) } else { Refusal::Refused(told) }))
    }

    /// A partner with goods at `price` and a subscription to its own endpoint; their ids.
    pub async fn endpoint(
        &self,
        receiver: &Receiver,
        endpoint: u32,
        price: i64,
    ) -> Result<(i64, i64), String> {
        let partner = self.partner(&format!("bench-{endpoint}")).await?;
        let goods = self.goods(&format!("bench goods {endpoint}"), partner, price).await?;
        receiver.trust(endpoint, &self.subscribe(partner, &receiver.url(endpoint)).await?)?;
        Ok((partner, goods))
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

    /// An order as shops send it.
    pub fn order(goods: i64) -> Value {
        json!({
            "customer": {"mobile": "18434819907", "nick_name": "小明"}, "goods_id": goods, "size": 1,
            "inputs": {"aa": "https://example.com/video/1"}, "need_num_0": 100,
        })
    }

    pub async fn place(&self, goods: i64) -> Result<String, String> {
        text(&self.post("/api/order", &Self::order(goods)).await?, "/data/number")
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
        let query = format!("a=down_orders&state=wks&format=json&goods_id={goods}");
        Ok(self.entry(&query, key).await?["rows"].as_array().map_or(0, Vec::len))
    }

    /// The drop-in entry of suppliers; `query` says what is wanted.
    pub async fn entry(&self, query: &str, key: &str) -> Result<Value, String> {
        let path = format!("/admin_jiuwuxiaohun.php?m=home&c=api&{query}&apikey={key}");
        let answer = self.get(&path).await?;
        if answer["status"] == true { Ok(answer) } else { Err(format!("{query} was refused: {answer}")) }
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

pub fn text(answer: &Value, pointer: &str) -> Result<String, String> {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| format!("no {pointer} in {answer}"))
}

pub fn number(answer: &Value, pointer: &str) -> Result<i64, String> {
    answer.pointer(pointer).and_then(Value::as_i64).ok_or_else(|| format!("no {pointer} in {answer}"))
}
