//! The one envelope of every event: CloudEvents 1.0 in its JSON format (`spec/orders.md`, "Events").

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// Media type of one event on the broker.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";
/// Media type of several events sent as one message while a backlog is drained.
pub const BATCH_CONTENT_TYPE: &str = "application/cloudevents-batch+json";

/// What may stand in an envelope's `data`. `TYPE` is the routing key, `VERSION` rises only for a change
/// that an old reader could not ignore; additions keep the version.
pub trait Payload: Serialize + DeserializeOwned {
    const TYPE: &'static str;
    const VERSION: u32;
}

/// A CloudEvents 1.0 envelope. `data` is kept as the bytes it was written with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    pub specversion: String,
    /// Unique for ever: the inbox drops repeats by it, and partners see it as `webhook-id`.
    pub id: String,
    /// The service that owns the fact, for example `/order-service`.
    pub source: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// What the fact is about, for example an order number.
    pub subject: String,
    /// RFC 3339, UTC, milliseconds.
    pub time: String,
    pub datacontenttype: String,
    /// `<type>/<version>`.
    pub dataschema: String,
    /// W3C trace context of the request that caused the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    pub data: Box<RawValue>,
}

/// An envelope whose data is not what its type promises.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("event {id} is a {found}, not a {wanted}")]
    WrongType { id: String, found: String, wanted: &'static str },
    #[error("event {id} has schema {found}; this program reads {wanted} version {version}")]
    WrongVersion { id: String, found: String, wanted: &'static str, version: u32 },
    #[error("event {id}: {source}")]
    Data { id: String, source: serde_json::Error },
}

impl Event {
    /// Wraps `payload`. Fails only if the payload itself cannot be written as JSON.
    pub fn new<P: Payload>(
        id: String,
        source: &str,
        subject: String,
        time: String,
        traceparent: Option<String>,
        payload: &P,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            specversion: "1.0".into(),
            id,
            source: source.into(),
            kind: P::TYPE.into(),
            subject,
            time,
            datacontenttype: "application/json".into(),
            dataschema: format!("{}/{}", P::TYPE, P::VERSION),
            traceparent,
            data: serde_json::value::to_raw_value(payload)?,
        })
    }

    /// Reads `data` as `P`; refuses another type or a version this program does not know.
    pub fn read<P: Payload>(&self) -> Result<P, EventError> {
        if self.kind != P::TYPE {
            return Err(EventError::WrongType {
                id: self.id.clone(),
                found: self.kind.clone(),
                wanted: P::TYPE,
            });
        }
        let version = self.dataschema.rsplit_once('/').and_then(|(_, v)| v.parse::<u32>().ok());
        if version.is_none_or(|v| v > P::VERSION) {
            return Err(EventError::WrongVersion {
                id: self.id.clone(),
                found: self.dataschema.clone(),
                wanted: P::TYPE,
                version: P::VERSION,
            });
        }
        serde_json::from_str(self.data.get())
            .map_err(|source| EventError::Data { id: self.id.clone(), source })
    }
}
