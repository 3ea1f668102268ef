use std::time::Duration;

use platform::http::{OutgoingSettings, outgoing};
use serde_json::Value;

/// A client of the public API as any shop's program would be.
pub struct Client {
    base: String,
    http: reqwest::Client,
    token: Option<String>,
}

impl Client {
    pub fn new(base: &str) -> Result<Self, String> {
        let http = outgoing(&OutgoingSettings::default()).build().map_err(|e| e.to_string())?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), http, token: None })
    }

    pub fn sign_in_with(&mut self, token: String) {
        self.token = Some(token);
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let key = platform::seal::random_token(12);
        self.send(path, self.http.post(self.url(path)).header("Idempotency-Key", key).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.send(path, self.http.put(self.url(path)).json(body)).await
    }

    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.send(path, self.http.get(self.url(path))).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, path: &str, mut request: reqwest::RequestBuilder) -> Result<Value, String> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        // The path may carry a key; only what stands before the query is shown.
        let shown = path.split('?').next().unwrap_or(path);
        let answer = request.send().await.map_err(|e| format!("{shown}: {}", e.without_url()))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|e| format!("{shown}: {}", e.without_url()))?;
        if !status.is_success() {
            return Err(format!("{shown} answered {status}: {text}"));
        }
        serde_json::from_str(&text).map_err(|e| format!("{shown} answered what is not JSON ({e}): {text}"))
    }
}

/// Calls `look` until it finds something, for at most 20 s: events between services take a moment.
pub async fn wait_for<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>, String>,
) -> Result<T, String> {
    for _ in 0..400 {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("waited 20 s for {what}"))
}
