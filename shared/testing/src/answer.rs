use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// For messages: `GET /api/report`.
    pub(crate) asked: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.status
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The header's first value, "" when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// # Panics
    /// When the body is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(e) => panic!("{} answered no JSON ({e}): {} {}", self.asked, self.status, self.text()),
        }
    }

    /// The answer itself, if its status is `expected`.
    ///
    /// # Panics
    /// With the body, for any other status.
    #[track_caller]
    pub fn expect_status(self, expected: u16) -> Self {
        assert!(
            self.status == expected,
            "{} answered {} instead of {expected}: {}",
            self.asked,
            self.status,
            self.text()
        );
        self
    }
}
