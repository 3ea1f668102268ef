//! The bus between processes: a durable topic exchange, one durable quorum queue per consumer with a single
//! active reader (so that events of one order keep their order, however many replicas run), publisher
//! confirms, the mandatory flag.
//!
//! Under backlog several events travel as one message (CloudEvents batch): a quorum queue costs the broker
//! about 100 µs of CPU a message, whatever its size.

use std::{borrow::Cow, sync::Arc, time::Duration};

use contracts::{
    event::{BATCH_CONTENT_TYPE, CONTENT_TYPE, Event},
    events::{self, Reach},
};
use futures_util::{FutureExt, StreamExt};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::{BusError, Written};
use crate::{
    crash,
    inbox::InboxConsumer,
    lifecycle::{Stage, Worker},
};

/// Events of one batch message, and their bytes (one event larger than that goes alone).
const EVENTS_PER_MESSAGE: usize = 64;
const BYTES_PER_MESSAGE: usize = 256 * 1024;
/// From this many waiting events on, they travel several to a message.
const BACKLOG: usize = 4;
/// Messages a consumer may hold unacknowledged.
const PREFETCH: u16 = 64;
/// Bytes of messages from which on no more are taken into the same transaction.
const BYTES_PER_TAKE: usize = 1024 * 1024;
const CONFIRM_TIMEOUT_SECONDS: u64 = 30;
const CONNECT_TIMEOUT_SECONDS: u64 = 10;

#[derive(Clone)]
pub struct RabbitBus {
    inner: Arc<Inner>,
}

struct Inner {
    url: SecretString,
    prefix: String,
    publisher: Mutex<Option<(Connection, Channel)>>,
}

impl RabbitBus {
    /// Connects lazily: a broker that is down at the start delays events, not the start.
    pub fn new(url: SecretString, prefix: &str) -> Self {
        Self { inner: Arc::new(Inner { url, prefix: prefix.into(), publisher: Mutex::new(None) }) }
    }

    async fn connect(&self) -> Result<Connection, BusError> {
        let properties =
            ConnectionProperties::default().with_connection_name(self.inner.prefix.as_str().into());
        let connecting = Connection::connect(self.inner.url.expose_secret(), properties);
        tokio::time::timeout(Duration::from_secs(CONNECT_TIMEOUT_SECONDS), connecting)
            .await
            .map_err(|_| BusError::Timeout(CONNECT_TIMEOUT_SECONDS))?
            .map_err(BusError::Unavailable)
    }

    /// Name of the topic exchange all events go to.
    pub fn exchange(&self) -> String {
        format!("{}.events", self.inner.prefix)
    }

    /// Name of the durable queue of a consumer of `contracts::events::CONSUMERS`.
    pub fn queue(&self, consumer: &str) -> String {
        format!("{}.{consumer}", self.inner.prefix)
    }

    /// Declares the exchange and every durable queue with its bindings.
    async fn declare(&self, channel: &Channel) -> Result<(), BusError> {
        let exchange = self.exchange();
        channel
            .exchange_declare(
                exchange.as_str().into(),
                ExchangeKind::Topic,
                ExchangeDeclareOptions { durable: true, ..Default::default() },
                FieldTable::default(),
            )
            .await?;
        for spec in events::CONSUMERS {
            let queue = self.queue(spec.name);
            let mut arguments = FieldTable::default();
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
            arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
            channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments).await?;
            for kind in spec.types {
                channel
                    .queue_bind(
                        queue.as_str().into(),
                        exchange.as_str().into(),
                        (*kind).into(),
                        QueueBindOptions::default(),
                        FieldTable::default(),
                    )
                    .await?;
            }
        }
        Ok(())
    }

    async fn publisher(&self, slot: &mut Option<(Connection, Channel)>) -> Result<Channel, BusError> {
        if let Some((_, channel)) =
            slot.as_ref().filter(|(c, ch)| c.status().connected() && ch.status().connected())
        {
            return Ok(channel.clone());
        }
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        self.declare(&channel).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        *slot = Some((connection, channel.clone()));
        Ok(channel)
    }

    pub(super) async fn ping(&self) -> Result<(), BusError> {
        let mut slot = self.inner.publisher.lock().await;
        self.publisher(&mut slot).await.map(|_| ())
    }

    pub(super) async fn publish(&self, events: &[Written]) -> Result<(), BusError> {
        let mut slot = self.inner.publisher.lock().await;
        let channel = self.publisher(&mut slot).await?;
        let sending = self.publish_on(&channel, events);
        let done = tokio::time::timeout(Duration::from_secs(CONFIRM_TIMEOUT_SECONDS), sending)
            .await
            .unwrap_or(Err(BusError::Timeout(CONFIRM_TIMEOUT_SECONDS)));
        if done.is_err() {
            // Unknown how far it came: a fresh channel, and the outbox sends all of it again.
            *slot = None;
        }
        done
    }

    async fn publish_on(&self, channel: &Channel, events: &[Written]) -> Result<(), BusError> {
        let exchange = self.exchange();
        let mut confirms = Vec::new();
        for run in runs(events) {
            let kind = run[0].kind.as_str();
            let durable = events::CONSUMERS.iter().any(|c| c.types.contains(&kind));
            let (body, content_type) = match run {
                [one] => (Cow::Borrowed(one.body.as_bytes()), CONTENT_TYPE),
                many => (Cow::Owned(array(many)), BATCH_CONTENT_TYPE),
            };
            let properties = BasicProperties::default()
                .with_content_type(content_type.into())
                .with_delivery_mode(2)
                .with_message_id(run[0].id.as_str().into())
                .with_type(kind.into());
            let options = BasicPublishOptions { mandatory: durable, ..Default::default() };
            let confirm = channel
                .basic_publish(exchange.as_str().into(), kind.into(), options, &body, properties)
                .await?;
            confirms.push((kind, confirm));
        }
        let mut refused = 0;
        for (kind, confirm) in confirms {
            match confirm.await? {
                Confirmation::Ack(Some(_)) => return Err(BusError::Unroutable(kind.to_owned())),
                Confirmation::Ack(None) => {}
                Confirmation::Nack(_) | Confirmation::NotRequested => refused += 1,
            }
        }
        if refused > 0 { Err(BusError::Refused(refused)) } else { Ok(()) }
    }

    /// The worker that feeds `consumer` from its queue.
    pub(super) fn consume(&self, consumer: InboxConsumer) -> Worker {
        let bus = self.clone();
        Worker::new(format!("consume-{}", consumer.name()), Stage::Intake, move |stop| {
            let (bus, consumer) = (bus.clone(), consumer.clone());
            async move {
                let name = consumer.name();
                reconnecting(name, &stop, || bus.feed(&consumer, &stop)).await;
            }
        })
    }

    async fn feed(&self, consumer: &InboxConsumer, stop: &CancellationToken) -> Result<(), BusError> {
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        self.declare(&channel).await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let mut stream = channel
            .basic_consume(
                self.queue(consumer.name()).as_str().into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        loop {
            let first = tokio::select! {
                delivery = stream.next() => delivery,
                () = stop.cancelled() => None,
            };
            let Some(first) = first else {
                connection.close(200, "closing".into()).await?;
                return Ok(());
            };
            let mut deliveries = vec![first?];
            let mut bytes = deliveries[0].data.len();
            while bytes < BYTES_PER_TAKE {
                let Some(Some(delivery)) = stream.next().now_or_never() else { break };
                deliveries.push(delivery?);
                bytes += deliveries[deliveries.len() - 1].data.len();
            }
            if !take(consumer, &deliveries, stop).await {
                return Ok(());
            }
            if let Some(last) = deliveries.last() {
                // Everything up to here came on this channel and is committed.
                last.acker.ack(BasicAckOptions { multiple: true }).await?;
                crash::point("inbox.acknowledged");
            }
        }
    }

    /// The worker that wakes `notify` at broadcast events.
    pub(super) fn wake_on(&self, types: &'static [&'static str], notify: Arc<Notify>) -> Worker {
        let bus = self.clone();
        Worker::new("broadcast-listener", Stage::Intake, move |stop| {
            let (bus, notify) = (bus.clone(), Arc::clone(&notify));
            async move { reconnecting("broadcast", &stop, || bus.listen(types, &notify, &stop)).await }
        })
    }

    async fn listen(
        &self,
        types: &[&str],
        notify: &Notify,
        stop: &CancellationToken,
    ) -> Result<(), BusError> {
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        self.declare(&channel).await?;
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
        let exchange = self.exchange();
        for kind in types {
            channel
                .queue_bind(
                    queue.name().clone(),
                    exchange.as_str().into(),
                    (*kind).into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await?;
        }
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let mut stream =
            channel.basic_consume(queue.name().clone(), "".into(), options, FieldTable::default()).await?;
        notify.notify_one(); // whatever was broadcast before this queue existed
        loop {
            tokio::select! {
                delivery = stream.next() => match delivery {
                    Some(delivery) => { delivery?; notify.notify_one(); }
                    None => return Ok(()),
                },
                () = stop.cancelled() => return Ok(()),
            }
        }
    }
}

/// Runs of neighbours of one type: single while there is little to do, many to a message under backlog.
fn runs(events: &[Written]) -> Vec<&[Written]> {
    let single = events.len() < BACKLOG
        || events.iter().any(|e| events::lookup(&e.kind).is_some_and(|t| t.reach != Reach::Durable));
    let mut runs = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, event) in events.iter().enumerate() {
        let full = single
            || at - start == EVENTS_PER_MESSAGE
            || bytes + event.body.len() > BYTES_PER_MESSAGE
            || event.kind != events[start].kind;
        if at > start && full {
            runs.push(&events[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += event.body.len();
    }
    runs.extend((start < events.len()).then(|| &events[start..]));
    runs
}

/// The events as one JSON array.
fn array(events: &[Written]) -> Vec<u8> {
    let mut body = Vec::with_capacity(events.iter().map(|e| e.body.len() + 1).sum::<usize>() + 1);
    body.push(b'[');
    for (at, event) in events.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(event.body.as_bytes());
    }
    body.push(b']');
    body
}

/// Hands the messages to the consumer, as often as it takes; false when told to stop before it was done.
async fn take(consumer: &InboxConsumer, deliveries: &[Delivery], stop: &CancellationToken) -> bool {
    let mut events = Vec::new();
    for delivery in deliveries {
        match decode(&delivery.data) {
            Ok(mut decoded) => events.append(&mut decoded),
            Err(e) => {
                while let Err(db) = consumer.park_raw(&delivery.data, &e.to_string()).await {
                    if !pause_after(consumer.name(), &db, stop).await {
                        return false;
                    }
                }
            }
        }
    }
    while let Err(e) = consumer.take(&events).await {
        if !pause_after(consumer.name(), &e, stop).await {
            return false;
        }
    }
    true
}

async fn pause_after(consumer: &str, error: &impl std::fmt::Display, stop: &CancellationToken) -> bool {
    tracing::warn!(consumer, %error, "events wait in the queue; trying again in 1 s");
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(1)) => true,
        () = stop.cancelled() => false,
    }
}

/// A message holds one event or an array of them.
fn decode(body: &[u8]) -> Result<Vec<Event>, serde_json::Error> {
    if body.first() == Some(&b'[') {
        serde_json::from_slice(body)
    } else {
        serde_json::from_slice(body).map(|event| vec![event])
    }
}

/// Calls `session` until told to stop, with a growing pause of at most 5 s after each failure.
async fn reconnecting<F, Fut>(what: &str, stop: &CancellationToken, session: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(), BusError>>,
{
    let mut pause = Duration::from_millis(100);
    while !stop.is_cancelled() {
        let started = tokio::time::Instant::now();
        let ended = session().await;
        if stop.is_cancelled() {
            return;
        }
        if started.elapsed() > Duration::from_secs(10) {
            pause = Duration::from_millis(100);
        }
        match ended {
            Ok(()) => tracing::warn!(what, "the broker closed the consumer; connecting again"),
            Err(e) => tracing::warn!(what, error = %e, "the broker is away; connecting again"),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

#[cfg(test)]
mod tests {
    use contracts::{
        event::Payload,
        events::{OrderStateChanged, ReportChanged},
    };

    use super::*;

    fn written(kind: &str, bytes: usize) -> Written {
        Written { id: String::new(), kind: kind.into(), body: "1".repeat(bytes) }
    }

    #[test]
    fn events_travel_alone_while_there_is_little_to_do_and_together_under_backlog() {
        let few = [(); BACKLOG - 1].map(|()| written(OrderStateChanged::TYPE, 10));
        assert_eq!(runs(&few).len(), BACKLOG - 1);
        let mut many = vec![written(OrderStateChanged::TYPE, 10); EVENTS_PER_MESSAGE + 1];
        many.push(written(ReportChanged::TYPE, 10));
        assert_eq!(runs(&many).iter().map(|run| run.len()).collect::<Vec<_>>(), [EVENTS_PER_MESSAGE, 1, 1]);
        assert!(runs(&[]).is_empty());
    }

    #[test]
    fn a_message_is_bounded_in_bytes_and_one_large_event_goes_alone() {
        let sizes = [10, BYTES_PER_MESSAGE / 2, BYTES_PER_MESSAGE / 2, BYTES_PER_MESSAGE * 2, 10, 10];
        let events = sizes.map(|bytes| written(OrderStateChanged::TYPE, bytes));
        assert_eq!(runs(&events).iter().map(|run| run.len()).collect::<Vec<_>>(), [2, 1, 1, 2]);
    }

    #[test]
    fn a_message_of_several_events_reads_as_each_of_them() {
        let event = r#"{"specversion":"1.0","id":"evt_1","source":"/x","type":"t","subject":"s","time":"",
            "datacontenttype":"application/json","dataschema":"t/1","data":{"a":"[1,2]"}}"#;
        let one = Written { id: "evt_1".into(), kind: "t".into(), body: event.into() };
        let read = decode(&array(&[one.clone(), one])).expect("events");
        assert_eq!(read.iter().map(|e| e.data.get()).collect::<Vec<_>>(), [r#"{"a":"[1,2]"}"#; 2]);
    }
}
