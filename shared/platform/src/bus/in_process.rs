//! The bus of the embedded mode: the relay calls every local consumer; a batch counts as published when
//! each consumer's transaction has committed (or parked what it cannot take).

use std::sync::{Arc, RwLock};

use contracts::{event::Event, events};
use tokio::sync::Notify;

use super::{BusError, Written};
use crate::inbox::InboxConsumer;

type Tap = Arc<dyn Fn(&[Event]) + Send + Sync>;

#[derive(Clone, Default)]
pub struct InProcessBus {
    inner: Arc<RwLock<Readers>>,
}

#[derive(Default)]
struct Readers {
    consumers: Vec<InboxConsumer>,
    wake: Vec<(&'static [&'static str], Arc<Notify>)>,
    taps: Vec<Tap>,
}

impl InProcessBus {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Readers> {
        self.inner.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Readers> {
        self.inner.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn attach(&self, consumer: InboxConsumer) {
        self.write().consumers.push(consumer);
    }

    pub(super) fn wake_on(&self, types: &'static [&'static str], notify: Arc<Notify>) {
        self.write().wake.push((types, notify));
    }

    /// Shows every published batch to `see`, after its consumers; for tests and the demonstration.
    pub fn tap(&self, see: impl Fn(&[Event]) + Send + Sync + 'static) {
        self.write().taps.push(Arc::new(see));
    }

    pub(super) async fn publish(&self, batch: &[Written]) -> Result<(), BusError> {
        let batch: Vec<Event> =
            batch.iter().map(|event| serde_json::from_str(&event.body)).collect::<Result<_, _>>()?;
        let consumers = self.read().consumers.clone();
        for spec in events::CONSUMERS {
            let mine: Vec<Event> =
                batch.iter().filter(|e| spec.types.contains(&e.kind.as_str())).cloned().collect();
            if mine.is_empty() {
                continue;
            }
            // A process that runs only some services (a test of one) has no reader for the others' queues.
            if let Some(consumer) = consumers.iter().find(|c| c.name() == spec.name) {
                consumer
                    .take(&mine)
                    .await
                    .map_err(|e| BusError::Consumer { consumer: spec.name, reason: e.to_string() })?;
            }
        }
        let taps = self.read().taps.clone();
        taps.iter().for_each(|see| see(&batch));
        for (types, notify) in &self.read().wake {
            if batch.iter().any(|e| types.contains(&e.kind.as_str())) {
                notify.notify_one();
            }
        }
        Ok(())
    }
}
