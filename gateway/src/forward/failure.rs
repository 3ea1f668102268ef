//! What can go wrong between the gateway and a service, told apart as the caller needs it: 502 a bad answer or
//! a broken connection, 503 nobody there, 504 too late.

use std::io;

use contracts::routes::ServiceName;
use platform::http::ApiError;

use crate::limits::BodyFault;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nobody accepts connections.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// All connections are in use, and stayed so.
    #[error("no free connection")]
    Busy,
    /// The connection was dead before the first byte left.
    #[error("the connection was closed before anything was sent: {0}")]
    Unsent(#[source] io::Error),
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    #[error("the answer cannot be read: {0}")]
    BadAnswer(String),
    #[error("no answer within {0} s")]
    TooLate(u64),
    /// The client's fault.
    #[error(transparent)]
    Body(#[from] BodyFault),
}

/// The word in metrics of an answer whose body broke off.
pub(crate) const BROKEN_BODY: &str = "broken_body";

/// Makes the counters of a service's failures known at zero: an alert would miss the first ones otherwise.
pub(crate) fn announce(service: ServiceName) {
    let service = service.as_str();
    for kind in ["connect", "busy", "broken", "bad_answer", "too_late", "client_body", BROKEN_BODY] {
        metrics::counter!("gateway_upstream_failures_total", "service" => service, "kind" => kind)
            .absolute(0);
    }
    metrics::counter!("gateway_upstream_retries_total", "service" => service).absolute(0);
}

impl Failure {
    /// Can the service not have seen any of the request?
    pub fn nothing_was_sent(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Unsent(_))
    }

    /// Did the connection die under the request? Whether the service acted on it is unknown.
    pub fn connection_died(&self) -> bool {
        matches!(self, Self::Broken(_))
    }

    /// The word in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Busy => "busy",
            Self::Unsent(_) | Self::Broken(_) => "broken",
            Self::BadAnswer(_) => "bad_answer",
            Self::TooLate(_) => "too_late",
            Self::Body(_) => "client_body",
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Body(fault) => fault.into(),
            Failure::Connect(_) | Failure::Busy => Self::unavailable(failure).with_retry_after(1),
            Failure::Unsent(_) | Failure::Broken(_) | Failure::BadAnswer(_) => Self::bad_gateway(failure),
            Failure::TooLate(_) => Self::gateway_timeout(failure),
        }
    }
}
