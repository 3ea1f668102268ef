//! The demo's callback inbox: a partner's receiver that keeps what arrives and checks its signature.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::Value;

/// Callbacks kept; older ones are dropped.
const KEEP: usize = 1000;

/// A callback as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub body: String,
}

impl Received {
    /// Does one of the signatures fit `secret` (Standard Webhooks, `whsec_…`)?
    pub fn is_signed_by(&self, secret: &str) -> bool {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let Some(key) = secret.strip_prefix("whsec_").and_then(|k| STANDARD.decode(k).ok()) else {
            return false;
        };
        let signed = format!("{}.{}.{}", self.id, self.timestamp, self.body);
        let expected =
            format!("v1,{}", STANDARD.encode(platform::seal::hmac_sha256(&key, signed.as_bytes())));
        self.signature.split(' ').any(|s| s == expected)
    }

    /// The order inside, if the body is one.
    pub fn order(&self) -> Option<Value> {
        serde_json::from_str::<Value>(&self.body).ok().map(|v| v["data"].clone())
    }
}

/// A running inbox.
pub struct Inbox {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Inbox {
    /// Listens on `address` (port 0 = any free one) for as long as the process lives.
    pub async fn start(address: SocketAddr) -> std::io::Result<Self> {
        let received = Arc::new(Mutex::new(Vec::new()));
        let store = web::Data::from(Arc::clone(&received));
        let server = HttpServer::new(move || {
            App::new().app_data(store.clone()).route("/callback", web::post().to(receive))
        })
        .workers(1)
        .disable_signals()
        .bind(address)?;
        let address = server.addrs().first().copied().unwrap_or(address);
        platform::lifecycle::spawn(server.run());
        Ok(Self { address, received })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// What arrived for the order `number`, in order of arrival.
    pub fn about(&self, number: &str) -> Vec<Received> {
        let all = self.received.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        all.iter().filter(|r| r.order().is_some_and(|o| o["number"] == number)).cloned().collect()
    }
}

async fn receive(request: HttpRequest, body: String, store: web::Data<Mutex<Vec<Received>>>) -> HttpResponse {
    let header =
        |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let received = Received {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body,
    };
    let mut all = store.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if all.len() >= KEEP {
        all.remove(0);
    }
    all.push(received);
    HttpResponse::Ok().body("success")
}
