//! Events between services: in-process for the embedded mode, RabbitMQ between processes. Nothing is
//! published but by the outbox relay, nothing is consumed but through the inbox.

mod in_process;
mod rabbit;

use std::sync::Arc;

use contracts::event::Event;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::Notify;

pub use in_process::InProcessBus;
pub use rabbit::RabbitBus;

use crate::{inbox::InboxConsumer, lifecycle::Worker};

/// `bus.url` absent = in-process.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BusSettings {
    /// `amqp://…` or `amqps://…`
    pub url: Option<SecretString>,
    /// Prefix of the exchange and of all queues; "baodan" by default, a test uses its own.
    pub prefix: Option<String>,
}

impl BusSettings {
    pub fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or("baodan")
    }
}

/// Why a batch was not (wholly) taken over. Nothing is lost: what is not confirmed stays in the outbox.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("the broker cannot be reached: {0}")]
    Unavailable(#[from] lapin::Error),
    #[error("the broker refused {0} message(s)")]
    Refused(usize),
    #[error("no queue takes {0}: its consumer's queue was removed by hand")]
    Unroutable(String),
    #[error("the consumer {consumer} could not take the batch: {reason}")]
    Consumer { consumer: &'static str, reason: String },
    #[error("an event is no JSON: {0}")]
    Encoding(#[from] serde_json::Error),
    #[error("the broker did not confirm within {0} s")]
    Timeout(u64),
}

/// An event as it stands in an outbox: what it is routed by, and its bytes.
#[derive(Debug, Clone)]
pub struct Written {
    pub id: String,
    pub kind: String,
    /// The envelope as JSON.
    pub body: String,
}

impl Written {
    /// # Errors
    /// When the event cannot be written as JSON.
    pub fn new(event: &Event) -> Result<Self, serde_json::Error> {
        Ok(Self { id: event.id.clone(), kind: event.kind.clone(), body: serde_json::to_string(event)? })
    }
}

/// The bus of one process. Cheap to clone.
#[derive(Clone)]
pub enum Bus {
    InProcess(InProcessBus),
    Rabbit(RabbitBus),
}

impl Bus {
    /// Hands `events` over in order; `Ok` once every durable reader has them for good.
    pub async fn publish(&self, events: &[Written]) -> Result<(), BusError> {
        match self {
            Self::InProcess(bus) => bus.publish(events).await,
            Self::Rabbit(bus) => bus.publish(events).await,
        }
    }

    /// Attaches a consumer; the worker to run for it, if the bus needs one.
    pub fn attach(&self, consumer: InboxConsumer) -> Option<Worker> {
        match self {
            Self::InProcess(bus) => {
                bus.attach(consumer);
                None
            }
            Self::Rabbit(bus) => Some(bus.consume(consumer)),
        }
    }

    /// Wakes `notify` at every event of the broadcast `types`; the worker to run for it, if any.
    pub fn wake_on(&self, types: &'static [&'static str], notify: Arc<Notify>) -> Option<Worker> {
        match self {
            Self::InProcess(bus) => {
                bus.wake_on(types, notify);
                None
            }
            Self::Rabbit(bus) => Some(bus.wake_on(types, notify)),
        }
    }

    pub fn is_in_process(&self) -> bool {
        matches!(self, Self::InProcess(_))
    }

    /// Can events be handed over right now?
    pub async fn ping(&self) -> Result<(), BusError> {
        match self {
            Self::InProcess(_) => Ok(()),
            Self::Rabbit(bus) => bus.ping().await,
        }
    }
}
