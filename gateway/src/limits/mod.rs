//! What one request, and one address, may cost before anybody looks closer: sizes of head and body, requests a
//! second. Connections and the time for a request's head are bounded by the server (`app`).

mod address;
mod body;

use actix_web::{
    dev::ServiceRequest,
    http::{StatusCode, header},
};
use contracts::routes::Route;
use platform::{
    http::{ApiError, Message},
    quota::{Decision, Quota, Window},
};

pub(crate) use address::Client;
pub(crate) use body::{BesideUnread, BodyFault, BodyWatch, BoundedBody, WatchedBody};

/// Longest request target, bytes.
const MAX_TARGET_BYTES: usize = 16 * 1024;
/// All header names and values together, bytes.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Refuses a head that no client of ours sends: 414, 431. The server itself takes 96 headers at the most.
pub(crate) fn head(req: &ServiceRequest) -> Result<(), ApiError> {
    let target = req.uri().path_and_query().map_or(0, |t| t.as_str().len());
    if target > MAX_TARGET_BYTES {
        let message = Message::new("请求地址过长", "the address is too long");
        return Err(ApiError::new(StatusCode::URI_TOO_LONG, 1, message));
    }
    let headers: usize = req.headers().iter().map(|(n, v)| n.as_str().len() + v.len()).sum();
    if headers > MAX_HEADER_BYTES {
        let message = Message::new("请求头过大", "the headers are too large");
        return Err(ApiError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, 1, message));
    }
    Ok(())
}

/// How a request announces its body. The server has made sure that there is one announcement at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announced {
    Nothing,
    Bytes(u64),
    Chunked,
}

impl Announced {
    pub fn of(req: &ServiceRequest) -> Self {
        if req.headers().contains_key(header::TRANSFER_ENCODING) {
            return Self::Chunked;
        }
        let length = req.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
        length.and_then(|l| l.trim().parse().ok()).map_or(Self::Nothing, Self::Bytes)
    }

    /// Refuses, by the announcement alone, what the route does not take: nothing of it is read.
    pub fn check(self, route: &Route) -> Result<(), ApiError> {
        match self {
            Self::Bytes(n) if n > route.body_limit_bytes as u64 => {
                Err(ApiError::too_large(route.body_limit_bytes))
            }
            _ => Ok(()),
        }
    }
}

/// What one address may have without a token in a minute, where a setting opens it: enough for a form with some
/// pictures, too little to fill a bucket.
const UNSIGNED_PER_MINUTE: u64 = 20;

/// Counts a request that passes without a token. Without a store it does not pass: only this count stands between
/// the upload token and everybody.
pub(crate) async fn unsigned(quota: &Quota, client: &Client) -> Result<(), ApiError> {
    let key = format!("unsigned:{}", client.quota_key());
    match quota.take(&key, &[Window::new(UNSIGNED_PER_MINUTE, 60)], 1).await {
        Ok(Decision::Admitted { .. }) => Ok(()),
        Ok(Decision::Refused { retry_after_seconds, .. }) => {
            Err(ApiError::too_many_requests(retry_after_seconds))
        }
        Err(e) => Err(ApiError::unavailable(e)),
    }
}

/// Counts a request of one address. A store that does not answer lets it pass: the limit protects the service,
/// and must not be what takes it down.
pub(crate) async fn rate(quota: &Quota, per_second: u64, client: &Client) -> Result<(), ApiError> {
    if per_second == 0 {
        return Ok(());
    }
    match quota.take(&client.quota_key(), &[Window::new(per_second, 1)], 1).await {
        Ok(Decision::Admitted { .. }) => Ok(()),
        Ok(Decision::Refused { retry_after_seconds, .. }) => {
            Err(ApiError::too_many_requests(retry_after_seconds))
        }
        Err(e) => {
            metrics::counter!("gateway_quota_failures_total").increment(1);
            tracing::debug!(error = %e, "an address was not counted");
            Ok(())
        }
    }
}
