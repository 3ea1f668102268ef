//! One request to a receiver: signed over the stored bytes, bounded in time and in what is read of the answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use platform::{
    clock::Clock,
    http::{OutgoingSettings, outgoing},
    settings::CallbackSettings,
    telemetry,
};
use reqwest::{
    Client, Response,
    dns::Resolve,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    dialects::{self, SigningKey},
    guard::{Door, GuardedResolver, Policy, RefusedAddress},
    house_key::HouseKey,
    rules::{self, Reply},
    target::Target,
};
use crate::subscriptions::rules::Dialect;

/// Bytes of an answer that are read and kept.
pub const ANSWER_BYTES: usize = 16 * 1024;

/// The bytes of a change, one for each dialect.
#[derive(Debug)]
pub struct Bodies {
    pub event_id: String,
    pub standard: String,
    pub gth: String,
    /// The trace that led to them; "" = none.
    pub traceparent: String,
}

impl Bodies {
    fn of(&self, dialect: Dialect) -> &str {
        match dialect {
            Dialect::Standard => &self.standard,
            Dialect::Gth => &self.gth,
        }
    }
}

/// A request that was made, and what came of it.
#[derive(Debug)]
pub struct Exchange {
    /// Unix ms.
    pub started_at: i64,
    pub duration_ms: i64,
    pub url: String,
    pub signature: String,
    pub sign: String,
    /// 0 = no answer.
    pub http_status: u16,
    pub answer: String,
    pub reply: Reply,
    /// Why it was not acknowledged, for people; "" when it was.
    pub error: String,
}

/// The HTTP clients for callbacks. Cheap to clone.
#[derive(Clone)]
pub struct Outgoing {
    guarded: Client,
    /// For hosts that the setting names with their port: whatever they resolve to.
    named: Client,
    house: Arc<HouseKey>,
    clock: Clock,
}

impl Outgoing {
    /// `names` asks the name servers; what it finds is judged by `policy`.
    ///
    /// # Errors
    /// When no TLS roots can be had.
    pub fn new(
        settings: &CallbackSettings,
        policy: Arc<Policy>,
        names: Arc<dyn Resolve>,
        house: Arc<HouseKey>,
        clock: Clock,
    ) -> Result<Self, reqwest::Error> {
        let build = |resolver: Arc<dyn Resolve>| {
            outgoing(&OutgoingSettings {
                connect_timeout_seconds: settings.connect_timeout_seconds,
                total_timeout_seconds: settings.timeout_seconds,
                resolver: Some(resolver),
            })
            // Many subscriptions may share a host: none of their connections is closed just to be opened again.
            .pool_max_idle_per_host(settings.concurrency.max(1))
            .pool_idle_timeout(Duration::from_secs(30))
            .tcp_nodelay(true)
            .build()
        };
        let guarded = build(Arc::new(GuardedResolver::new(policy, Arc::clone(&names))))?;
        Ok(Self { guarded, named: build(names)?, house, clock })
    }

    /// Sends one change to one target. Never fails: a failure is an exchange too.
    ///
    /// While an api_token is being rotated, a receiver that does not acknowledge the new sign is asked once more
    /// with the old one: the form holds one sign only.
    pub async fn send(&self, target: &Target, bodies: &Bodies) -> Exchange {
        let first = self.attempt(target, bodies, target.api_token.as_ref()).await;
        let overlaps = self.clock.now_ms() < target.overlap_until;
        let refused = matches!(first.reply, Reply::Refused { status: 200..=428 | 430..=499, .. });
        match &target.old_api_token {
            Some(old) if overlaps && refused && target.dialect == Dialect::Gth => {
                self.attempt(target, bodies, Some(old)).await
            }
            _ => first,
        }
    }

    async fn attempt(&self, target: &Target, bodies: &Bodies, token: Option<&SecretString>) -> Exchange {
        let started_at = self.clock.now_ms();
        let stored = bodies.of(target.dialect);
        let (body, sign) = match (token, target.dialect) {
            (Some(token), Dialect::Gth) => {
                let sign = dialects::gth_sign(stored, token.expose_secret());
                (format!("{stored}&sign={sign}"), sign)
            }
            _ => (stored.to_owned(), String::new()),
        };
        let old_key = target.old_key.as_ref().filter(|_| started_at < target.overlap_until);
        let keys: Vec<&SigningKey> = target.key.iter().chain(old_key).collect();
        let house = target.asymmetric.then_some(&*self.house);
        let timestamp = started_at.div_euclid(1000);
        let signature = dialects::signature(&keys, house, &bodies.event_id, timestamp, &body);
        let mut exchange = Exchange {
            started_at,
            duration_ms: 0,
            url: String::new(),
            signature,
            sign,
            http_status: 0,
            answer: String::new(),
            reply: Reply::Refused { status: 0, retry_after_ms: None },
            error: String::new(),
        };
        let (url, door) = match &target.address {
            Ok(address) => address,
            Err(why) => {
                exchange.error.clone_from(why);
                return exchange;
            }
        };
        exchange.url = url.to_string();
        let clock = Instant::now();
        let head = Head { id: &bodies.event_id, timestamp, signature: &exchange.signature };
        let answered = self.post(url, *door, target.dialect, head, body).await;
        exchange.duration_ms = i64::try_from(clock.elapsed().as_millis()).unwrap_or(i64::MAX);
        match answered {
            Ok(answer) => self.judge(&mut exchange, target.dialect, answer),
            Err(e) => exchange.error = sentence(e),
        }
        exchange
    }

    async fn post(
        &self,
        url: &Url,
        door: Door,
        dialect: Dialect,
        head: Head<'_>,
        body: String,
    ) -> Result<Answer, reqwest::Error> {
        let client = match door {
            Door::Guarded => &self.guarded,
            Door::Named => &self.named,
        };
        let mut request = client
            .post(url.clone())
            .header(CONTENT_TYPE, dialects::content_type(dialect))
            .header("webhook-id", head.id)
            .header("webhook-timestamp", head.timestamp)
            .header("webhook-signature", head.signature);
        // Ids alone; a receiver that traces goes on with ours. The older dialect stays as its readers know it.
        if let (Dialect::Standard, Some(traceparent)) = (dialect, telemetry::current_traceparent()) {
            request = request.header("traceparent", traceparent);
        }
        let response = request.body(body).send().await?;
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Ok(Answer { status, retry_after, body: read(response).await? })
    }

    fn judge(&self, exchange: &mut Exchange, dialect: Dialect, answer: Answer) {
        let Answer { status, retry_after, body } = answer;
        exchange.http_status = status;
        exchange.reply = if dialects::acknowledges(dialect, status, &body) {
            Reply::Acknowledged
        } else if status == 410 {
            Reply::Gone
        } else {
            let now = self.clock.now_ms();
            Reply::Refused {
                status,
                retry_after_ms: retry_after.and_then(|v| rules::retry_after_ms(&v, now)),
            }
        };
        exchange.error = match exchange.reply {
            Reply::Acknowledged => String::new(),
            Reply::Gone => "HTTP 410: the receiver wants no more".into(),
            Reply::Refused { status: 200..=299, .. } => {
                "answered, but not with the word of acknowledgement".into()
            }
            Reply::Refused { status: 300..=399, .. } => format!("HTTP {status}: redirects are not followed"),
            Reply::Refused { status, .. } => format!("HTTP {status}"),
        };
        exchange.answer = body;
    }
}

/// The Standard Webhooks headers.
struct Head<'a> {
    id: &'a str,
    timestamp: i64,
    signature: &'a str,
}

struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: String,
}

/// The first [`ANSWER_BYTES`] of the body as text; the rest is not waited for.
async fn read(mut response: Response) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES {
        let Some(chunk) = response.chunk().await? else { break };
        bytes.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES - bytes.len())]);
    }
    // PostgreSQL's texts cannot hold U+0000.
    Ok(String::from_utf8_lossy(&bytes).replace('\0', ""))
}

/// What went wrong, for people. The URL stays out: it may hold a secret.
fn sentence(e: reqwest::Error) -> String {
    let e = e.without_url();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&e);
    let mut innermost = String::new();
    while let Some(error) = cause {
        if error.is::<RefusedAddress>() {
            return RefusedAddress.to_string();
        }
        innermost = error.to_string();
        cause = error.source();
    }
    if e.is_timeout() {
        let what = if e.is_connect() { "no connection" } else { "no answer" };
        return format!("{what} in time");
    }
    let what = if e.is_connect() { "no connection" } else { "the connection broke" };
    innermost.truncate(innermost.char_indices().nth(200).map_or(innermost.len(), |(at, _)| at));
    format!("{what}: {innermost}").replace('\0', "")
}
