//! Spans of an event's way: published by a relay, consumed by a reader. Each event has a trace of its own, so a
//! batch has a span per event, and each event leaves the step with that span as its parent.
//!
//! Without a collector no span is made and the events keep the context they came with.

use contracts::event::Event;
use tracing::{Span, field::Empty};

use super::{
    context::{parent_from, traceparent_of},
    exporting,
};

/// The spans of one step of a batch, in its order; they end when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Steps(Vec<Span>);

impl Steps {
    /// A relay hands the events to the bus.
    pub fn published(service: &'static str, events: &mut [Event]) -> Self {
        Self::of(events, |event| {
            tracing::info_span!(
                parent: None,
                "publish",
                otel.kind = "producer",
                otel.status_code = Empty,
                service,
                event_id = event.id,
                event_type = event.kind,
            )
        })
    }

    /// A reader takes the events.
    pub fn consumed(consumer: &'static str, events: &mut [Event]) -> Self {
        let batch = events.len();
        Self::of(events, |event| {
            tracing::info_span!(
                parent: None,
                "consume",
                otel.kind = "consumer",
                otel.status_code = Empty,
                consumer,
                batch,
                event_id = event.id,
                event_type = event.kind,
            )
        })
    }

    fn of(events: &mut [Event], span: impl Fn(&Event) -> Span) -> Self {
        if !exporting() {
            return Self::default();
        }
        let spans = events.iter_mut().map(|event| {
            let span = span(event);
            if let Some(parent) = &event.traceparent {
                parent_from(parent, &span);
            }
            event.traceparent = traceparent_of(&span).or(event.traceparent.take());
            span
        });
        Self(spans.collect())
    }

    /// What is logged and written during the step belongs to the first event's span.
    pub fn first(&self) -> Option<Span> {
        self.0.first().cloned()
    }

    pub fn failed(&self) {
        for span in &self.0 {
            span.record("otel.status_code", "ERROR");
        }
    }
}
