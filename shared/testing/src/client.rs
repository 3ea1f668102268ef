use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use contracts::identity::{Caller, CallerKind, INTERNAL_TOKEN_HEADER, InternalClaims, REQUEST_ID_HEADER};
use platform::{
    clock::Clock,
    http::{
        OutgoingSettings,
        caller::{INTERNAL_TOKEN_SECONDS, InternalKey},
        outgoing,
    },
};
use reqwest::Method;
use serde::Serialize;

use crate::Answer;

/// Unique per process, so that two tests never replay each other's answers either.
static KEYS: AtomicU64 = AtomicU64::new(1);

/// An HTTP client for one address. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    signer: Option<Signer>,
}

/// Signs the internal token in the gateway's place.
#[derive(Clone)]
pub(crate) struct Signer {
    pub key: InternalKey,
    pub clock: Clock,
}

impl Client {
    /// A client of a gateway or of a program of its own: nothing is signed. `base` is `http://host:port`.
    pub fn plain(base: &str) -> Self {
        Self::new(base, None)
    }

    pub(crate) fn new(base: &str, signer: Option<Signer>) -> Self {
        let limits = OutgoingSettings { total_timeout_seconds: 60, ..OutgoingSettings::default() };
        let http = outgoing(&limits).build().expect("an HTTP client");
        Self { http, base: base.trim_end_matches('/').to_owned(), signer }
    }

    /// `http://127.0.0.1:port`
    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    pub fn put(&self, path: &str) -> Request {
        self.request(Method::PUT, path)
    }

    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    /// `path` starts with `/` and may have a query; it is encoded already.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let caller = Caller {
            kind: CallerKind::Account,
            account_id: 1,
            nickname: "admin".into(),
            partner_id: 0,
            jti: "test".into(),
        };
        Request {
            client: self.clone(),
            method,
            path: path.to_owned(),
            caller: Some(caller),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }
}

/// A request in the making; it comes from the account 1 "admin" unless said otherwise.
#[must_use = "nothing is sent before send()"]
pub struct Request {
    client: Client,
    method: Method,
    path: String,
    /// `None`: as if it had not come through the gateway.
    caller: Option<Caller>,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Request {
    pub fn as_account(self, id: i64, nickname: &str) -> Self {
        self.called_by(CallerKind::Account, id, nickname, 0)
    }

    /// A partner's login; its account id is the partner's plus 1000, so that mixing the two up shows.
    pub fn as_partner(self, partner_id: i64) -> Self {
        self.called_by(CallerKind::Partner, 1000 + partner_id, &format!("partner {partner_id}"), partner_id)
    }

    fn called_by(mut self, kind: CallerKind, account_id: i64, nickname: &str, partner_id: i64) -> Self {
        self.caller =
            Some(Caller { kind, account_id, nickname: nickname.into(), partner_id, jti: "test".into() });
        self
    }

    /// Through the gateway, but without a token: public routes and entries with keys of their own.
    pub fn anonymous(mut self) -> Self {
        self.caller = Some(Caller::anonymous());
        self
    }

    /// Straight to the service, as an intruder in the network would.
    pub fn without_gateway(mut self) -> Self {
        self.caller = None;
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// `Authorization: Bearer …`, for a gateway.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// A new `Idempotency-Key`.
    pub fn idempotency_key(self) -> Self {
        let key = format!("test-{}-{}", std::process::id(), KEYS.fetch_add(1, Ordering::Relaxed));
        self.header("idempotency-key", &key)
    }

    /// # Panics
    /// When `body` cannot be written as JSON.
    pub fn json(self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("a body that can be written as JSON");
        self.body("application/json", body)
    }

    /// An encoded form: `a=1&b[0][c]=2`.
    pub fn form(self, body: &str) -> Self {
        self.body("application/x-www-form-urlencoded", body.to_owned())
    }

    /// Any bytes under any media type.
    pub fn body(mut self, media_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", media_type)
    }

    /// Sends and reads the answer to its end.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(self) -> Answer {
        let asked = format!("{} {}", self.method, self.path);
        self.try_send().await.unwrap_or_else(|e| panic!("{asked} got no answer: {e:?}"))
    }

    /// As [`Self::send`], for requests that may find nobody home.
    ///
    /// # Errors
    /// No connection, no answer within 60 s, an answer cut off.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let asked = format!("{} {}", self.method, self.path);
        let answer = self.open().await?;
        Ok(Answer {
            asked,
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.bytes().await?,
        })
    }

    /// Sends, and leaves the answer's body to be read piece by piece (`chunk`), within 60 s.
    ///
    /// # Errors
    /// No connection, no answer.
    pub async fn open(self) -> Result<reqwest::Response, reqwest::Error> {
        let url = reqwest::Url::parse(&format!("{}{}", self.client.base, self.path)).expect("a path");
        let mut request = self.client.http.request(self.method.clone(), url.clone());
        if let (Some(signer), Some(caller)) = (&self.client.signer, self.caller) {
            let id = platform::http::context::new_request_id();
            let token = signer.token(caller, self.method.as_str(), url.path(), &id);
            request = request.header(INTERNAL_TOKEN_HEADER, token).header(REQUEST_ID_HEADER, id);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.body.is_empty() {
            request = request.body(self.body);
        }
        request.send().await
    }
}

impl Signer {
    fn token(&self, caller: Caller, method: &str, path: &str, request_id: &str) -> String {
        let claims = InternalClaims {
            caller,
            method: method.into(),
            path: path.into(),
            rid: request_id.into(),
            ip: "127.0.0.1".into(),
            exp: self.clock.now_s() + INTERNAL_TOKEN_SECONDS,
        };
        self.key.sign(&claims).expect("claims are plain data")
    }
}
