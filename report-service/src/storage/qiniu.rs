//! Qiniu's management calls over HTTP.

use platform::{clock, http::OutgoingSettings};

use super::rules::{self, Keys};

/// Why a copy was not made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("no such file in the bucket")]
    NotFound,
    #[error("the private bucket has another file under this key")]
    Exists,
    #[error("Qiniu cannot be reached: {0}")]
    Unreachable(#[from] reqwest::Error),
    #[error("Qiniu answered {0}")]
    Refused(u16),
    #[error("storage.manage_url is no URL with a host")]
    BadUrl,
}

/// A client for one account.
#[derive(Debug, Clone)]
pub struct Qiniu {
    client: reqwest::Client,
    manage: url::Url,
    host: String,
}

impl Qiniu {
    /// `manage_url` is the base of management calls, normally `https://rs.qiniuapi.com`.
    pub fn new(manage_url: &str) -> Result<Self, CopyError> {
        let manage = url::Url::parse(manage_url).map_err(|_| CopyError::BadUrl)?;
        let host = match (manage.host_str(), manage.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(CopyError::BadUrl),
        };
        let client = platform::http::outgoing(&OutgoingSettings::default()).build()?;
        Ok(Self { client, manage, host })
    }

    /// Copies a file from one bucket to another under the same key.
    pub async fn copy(
        &self,
        keys: &Keys,
        (from, to): (&str, &str),
        key: &str,
        force: bool,
        now_ms: i64,
    ) -> Result<(), CopyError> {
        let path = rules::copy_path(key, from, to, force);
        let date = clock::instant(now_ms).format("%Y%m%dT%H%M%SZ").to_string();
        let mut url = self.manage.clone();
        url.set_path(&path);
        let answer = self
            .client
            .post(url)
            .header("content-type", rules::FORM)
            .header("authorization", keys.management(&path, &self.host, &date))
            .header("x-qiniu-date", date)
            .body("")
            .send()
            .await?;
        match answer.status().as_u16() {
            200 => Ok(()),
            612 => Err(CopyError::NotFound),
            614 => Err(CopyError::Exists),
            status => Err(CopyError::Refused(status)),
        }
    }
}
