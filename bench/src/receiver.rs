//! A partner's receiver: acknowledges every callback at once and keeps the books of what arrived, so that a
//! fast sender that loses, repeats or mixes up is seen.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use base64::{Engine, engine::general_purpose::STANDARD};
use platform::clock::Clock;
use serde::Deserialize;

use crate::tools;

/// Longer than any caller waits.
const HANGS_FOR: Duration = Duration::from_secs(30);

/// A callback in the `standard` dialect, as far as the books need it.
#[derive(Deserialize)]
struct Body<'a> {
    timestamp: &'a str,
    #[serde(borrow)]
    data: Order<'a>,
}

#[derive(Deserialize)]
struct Order<'a> {
    number: &'a str,
    order_seq: u32,
}

/// One callback that was no repeat.
#[derive(Debug, Clone, Copy)]
pub struct Receipt {
    pub endpoint: u32,
    pub order_seq: u32,
    pub received_ms: i64,
    /// When the order changed, as the callback says.
    pub changed_ms: i64,
}

impl Receipt {
    pub fn latency_ms(&self) -> f64 {
        (self.received_ms - self.changed_ms) as f64
    }
}

/// What is wrong with what arrived; all zero = nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Repeats with the same `webhook-id` and the same bytes, directly after the first: what at-least-once allows.
    pub duplicates: u64,
    /// Repeats with another `webhook-id` or other bytes.
    pub altered: u64,
    /// A callback before the one it follows, or again after the next.
    pub out_of_order: u64,
    /// Bad signatures, bodies that are no callback.
    pub refused: u64,
}

#[derive(Default)]
struct Books {
    /// Of each order what arrived: `order_seq` and a hash of `webhook-id` and bytes, in order of first arrival.
    orders: HashMap<Box<str>, Vec<(u32, u64)>>,
    receipts: Vec<Receipt>,
    faults: Faults,
    bytes: u64,
}

impl Books {
    /// `print`: a hash of `webhook-id` and body.
    fn enter(&mut self, number: &str, receipt: Receipt, print: u64, bytes: usize) {
        if !self.orders.contains_key(number) {
            self.orders.insert(number.into(), Vec::with_capacity(4));
        }
        let Some(arrived) = self.orders.get_mut(number) else { return };
        let seq = receipt.order_seq;
        let highest = arrived.iter().map(|(seq, _)| *seq).max().unwrap_or(0);
        if let Some((_, first)) = arrived.iter().find(|(s, _)| *s == seq) {
            match (*first == print, seq == highest) {
                (false, _) => self.faults.altered += 1,
                (true, false) => self.faults.out_of_order += 1,
                (true, true) => self.faults.duplicates += 1,
            }
            return;
        }
        if seq != highest + 1 {
            self.faults.out_of_order += 1;
        }
        arrived.push((seq, print));
        self.bytes += bytes as u64;
        self.receipts.push(receipt);
    }
}

#[derive(Default)]
struct State {
    books: Mutex<Books>,
    /// Endpoint → signing secret.
    secrets: Mutex<HashMap<u32, Arc<[u8]>>>,
    /// Endpoint → how long it keeps its callers waiting for the answer.
    hanging: Mutex<HashMap<u32, Duration>>,
    /// This endpoint lets its callers wait; 0 = none does.
    dead: AtomicU32,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A receiver with any number of endpoints; ends with this value.
pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<State>,
    /// `None`: nobody listens.
    server: Option<ServerHandle>,
}

impl Receiver {
    pub fn start() -> Result<Self, String> {
        let mut receiver = Self { address: tools::free_address()?, state: Arc::default(), server: None };
        receiver.listen()?;
        Ok(receiver)
    }

    /// Listens (again), with the books it has.
    pub fn listen(&mut self) -> Result<(), String> {
        let data = web::Data::from(Arc::clone(&self.state));
        let server = HttpServer::new(move || {
            App::new().app_data(data.clone()).route("/callback/{endpoint}", web::post().to(receive))
        })
        .workers(2)
        .disable_signals()
        .bind(self.address)
        .map_err(|e| format!("the receiver cannot listen: {e}"))?
        .run();
        self.server = Some(server.handle());
        platform::lifecycle::spawn(server);
        Ok(())
    }

    /// Nobody listens any more; connections are cut.
    pub async fn go_down(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop(false).await;
        }
    }

    /// From now on `endpoint` keeps its callers waiting for so long; zero = it answers at once.
    pub fn hang(&self, endpoint: u32, how_long: Duration) {
        locked(&self.state.hanging).insert(endpoint, how_long);
    }

    /// What has arrived of every order: its `order_seq`s.
    pub fn orders(&self) -> HashMap<String, Vec<u32>> {
        let books = locked(&self.state.books);
        books.orders.iter().map(|(n, seen)| (n.to_string(), seen.iter().map(|(s, _)| *s).collect())).collect()
    }

    pub fn url(&self, endpoint: u32) -> String {
        format!("http://{}/callback/{endpoint}", self.address)
    }

    /// From now on callbacks to `endpoint` must be signed by `secret` (`whsec_…`).
    pub fn trust(&self, endpoint: u32, secret: &str) -> Result<(), String> {
        let key = key(secret).ok_or("a signing secret does not look like whsec_…")?;
        locked(&self.state.secrets).insert(endpoint, key.into());
        Ok(())
    }

    /// From now on `endpoint` answers nobody, as a machine does that is there and hangs; 0 ends that.
    pub fn play_dead(&self, endpoint: u32) {
        self.state.dead.store(endpoint, Ordering::SeqCst);
    }

    /// Callbacks so far, repeats apart.
    pub fn count(&self) -> usize {
        locked(&self.state.books).receipts.len()
    }

    /// Waits until `expected` callbacks in all have arrived; the error says how many are missing.
    pub async fn until(&self, expected: usize, patience: Duration) -> Result<(), String> {
        let started = Instant::now();
        while self.count() < expected {
            if started.elapsed() > patience {
                let (count, faults) = (self.count(), self.faults());
                return Err(format!(
                    "{} of {expected} callbacks had not arrived after {} s ({faults:?})",
                    expected - count,
                    patience.as_secs()
                ));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// The receipts from the `from`th on.
    pub fn receipts(&self, from: usize) -> Vec<Receipt> {
        locked(&self.state.books).receipts[from..].to_vec()
    }

    pub fn faults(&self) -> Faults {
        locked(&self.state.books).faults
    }

    pub fn mean_bytes(&self) -> f64 {
        let books = locked(&self.state.books);
        books.bytes as f64 / books.receipts.len().max(1) as f64
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            platform::lifecycle::spawn(server.stop(false));
        }
    }
}

/// The key inside `whsec_…`.
pub fn key(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix("whsec_")?).ok()
}

/// `v1,…` of Standard Webhooks.
pub fn signature(key: &[u8], id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    format!("v1,{}", STANDARD.encode(platform::seal::hmac_sha256(key, &signed)))
}

async fn receive(
    request: HttpRequest,
    endpoint: web::Path<u32>,
    body: web::Bytes,
    state: web::Data<State>,
) -> HttpResponse {
    let received_ms = Clock::system().now_ms();
    if state.dead.load(Ordering::SeqCst) == *endpoint {
        tokio::time::sleep(HANGS_FOR).await;
        return HttpResponse::ServiceUnavailable().finish();
    }
    let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let key = locked(&state.secrets).get(&endpoint).cloned();
    let signed = key.is_some_and(|key| {
        let expected = signature(&key, header("webhook-id"), header("webhook-timestamp"), &body);
        header("webhook-signature").split(' ').any(|s| s == expected)
    });
    let parsed: Option<Body> = serde_json::from_slice(&body).ok();
    let changed = parsed.as_ref().and_then(|b| unix_ms(b.timestamp));
    match (parsed, changed) {
        (Some(callback), Some(changed_ms)) if signed => {
            let order_seq = callback.data.order_seq;
            let receipt = Receipt { endpoint: *endpoint, order_seq, received_ms, changed_ms };
            let print = print(header("webhook-id"), &body);
            locked(&state.books).enter(callback.data.number, receipt, print, body.len());
            let wait = locked(&state.hanging).get(&endpoint).copied().unwrap_or_default();
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            HttpResponse::Ok().body("success")
        }
        _ => {
            locked(&state.books).faults.refused += 1;
            HttpResponse::BadRequest().finish()
        }
    }
}

fn print(id: &str, body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (id, body).hash(&mut hasher);
    hasher.finish()
}

fn unix_ms(rfc3339: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(rfc3339).ok().map(|t| t.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(order_seq: u32) -> Receipt {
        Receipt { endpoint: 1, order_seq, received_ms: 12, changed_ms: 10 }
    }

    #[test]
    fn repeats_and_a_wrong_order_are_counted() {
        let mut books = Books::default();
        // (order_seq, which bytes)
        for (seq, print) in [(1, 1), (1, 1), (2, 2), (1, 1), (2, 9), (4, 4), (3, 3)] {
            books.enter("A", receipt(seq), print, 10);
        }
        books.enter("B", receipt(1), 1, 10);
        assert_eq!(books.faults, Faults { duplicates: 1, altered: 1, out_of_order: 3, refused: 0 });
        assert_eq!(books.receipts.len(), 5);
    }

    #[tokio::test]
    async fn a_receiver_that_was_down_has_its_books_when_it_is_back() {
        let mut receiver = Receiver::start().expect("a receiver");
        let there = async |address| tokio::net::TcpStream::connect(address).await.is_ok();
        assert!(there(receiver.address).await);
        receiver.go_down().await;
        assert!(!there(receiver.address).await);
        locked(&receiver.state.books).enter("A", receipt(1), 1, 10);
        receiver.listen().expect("its port");
        assert!(there(receiver.address).await);
        assert_eq!(receiver.orders()["A"], [1]);
    }

    #[tokio::test]
    async fn only_what_is_signed_is_taken() {
        let receiver = Receiver::start().expect("a receiver");
        let secret = format!("whsec_{}", STANDARD.encode([7; 32]));
        receiver.trust(3, &secret).expect("a secret");
        let client =
            platform::http::outgoing(&platform::http::OutgoingSettings::default()).build().expect("a client");
        let body = r#"{"type":"order.state_changed","timestamp":"2026-11-21T00:00:00.000Z","data":{"number":"1","order_seq":1}}"#;
        let post = async |signature: String| {
            let call =
                client.post(receiver.url(3)).header("webhook-id", "m1").header("webhook-timestamp", "1");
            call.header("webhook-signature", signature)
                .body(body)
                .send()
                .await
                .expect("an answer")
                .status()
                .as_u16()
        };
        assert_eq!(post("v1,AAAA".into()).await, 400);
        assert_eq!(post(signature(&key(&secret).expect("a key"), "m1", "1", body.as_bytes())).await, 200);
        assert_eq!((receiver.count(), receiver.faults().refused), (1, 1));
        assert!(receiver.receipts(0)[0].latency_ms() > 0.0);
    }
}
