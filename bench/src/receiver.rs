//! A partner's receiver: acknowledges every callback at once and keeps the books of what arrived, so that a
//! fast sender that loses, repeats or mixes up is seen.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use base64::{Engine, engine::general_purpose::STANDARD};
use platform::clock::Clock;
use serde::Deserialize;

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
    pub duplicates: u64,
    pub out_of_order: u64,
    /// Bad signatures, bodies that are no callback.
    pub refused: u64,
}

#[derive(Default)]
struct Books {
    /// Which `order_seq` of an order have arrived, as bits, and the highest.
    orders: HashMap<Box<str>, (u128, u32)>,
    receipts: Vec<Receipt>,
    faults: Faults,
    bytes: u64,
}

impl Books {
    fn enter(&mut self, number: &str, receipt: Receipt, bytes: usize) {
        if !self.orders.contains_key(number) {
            self.orders.insert(number.into(), (0, 0));
        }
        let Some((seen, highest)) = self.orders.get_mut(number) else { return };
        let bit = 1_u128 << receipt.order_seq.min(127);
        if *seen & bit != 0 {
            self.faults.duplicates += 1;
            return;
        }
        if receipt.order_seq != *highest + 1 {
            self.faults.out_of_order += 1;
        }
        *seen |= bit;
        *highest = receipt.order_seq.max(*highest);
        self.bytes += bytes as u64;
        self.receipts.push(receipt);
    }
}

#[derive(Default)]
struct State {
    books: Mutex<Books>,
    /// Endpoint → signing secret.
    secrets: Mutex<HashMap<u32, Arc<[u8]>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running receiver with any number of endpoints; ends with this value.
pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<State>,
    handle: ServerHandle,
}

impl Receiver {
    pub fn start() -> Result<Self, String> {
        let state = Arc::new(State::default());
        let data = web::Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || {
            App::new().app_data(data.clone()).route("/callback/{endpoint}", web::post().to(receive))
        })
        .workers(2)
        .disable_signals()
        .bind("127.0.0.1:0")
        .map_err(|e| format!("the receiver cannot listen: {e}"))?;
        let address = server.addrs().first().copied().ok_or("the receiver has no address")?;
        let server = server.run();
        let handle = server.handle();
        platform::lifecycle::spawn(server);
        Ok(Self { address, state, handle })
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
        platform::lifecycle::spawn(self.handle.stop(false));
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
            let receipt = Receipt { order_seq: callback.data.order_seq, received_ms, changed_ms };
            locked(&state.books).enter(callback.data.number, receipt, body.len());
            HttpResponse::Ok().body("success")
        }
        _ => {
            locked(&state.books).faults.refused += 1;
            HttpResponse::BadRequest().finish()
        }
    }
}

fn unix_ms(rfc3339: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(rfc3339).ok().map(|t| t.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(order_seq: u32) -> Receipt {
        Receipt { order_seq, received_ms: 12, changed_ms: 10 }
    }

    #[test]
    fn repeats_and_a_wrong_order_are_counted() {
        let mut books = Books::default();
        for seq in [1, 2, 2, 4, 3] {
            books.enter("A", receipt(seq), 10);
        }
        books.enter("B", receipt(1), 10);
        assert_eq!(books.faults, Faults { duplicates: 1, out_of_order: 2, refused: 0 });
        assert_eq!(books.receipts.len(), 5);
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
