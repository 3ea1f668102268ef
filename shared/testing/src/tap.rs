//! Sees every event that goes over the bed's bus, in the order of publishing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contracts::{event::Event, events};
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, ExchangeKind,
    options::{
        BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
        QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::FieldTable,
};
use platform::{
    bus::{Bus, InProcessBus, RabbitBus},
    lifecycle,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use crate::PATIENCE;

/// Type of the messages the tap sends itself: what was published before one has been seen before it.
const MARKER: &str = "bed.marker";

type Seen = Arc<Mutex<Vec<Event>>>;

pub(crate) struct Tap {
    seen: Seen,
    rabbit: Option<Rabbit>,
}

struct Rabbit {
    connection: Connection,
    channel: Channel,
    queue: String,
    marked: watch::Receiver<u64>,
    marks: tokio::sync::Mutex<u64>,
}

fn lock(seen: &Seen) -> MutexGuard<'_, Vec<Event>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tap {
    /// Taps `bus` before anything is published on it.
    pub async fn on(bus: &Bus, amqp_url: &SecretString) -> Self {
        match bus {
            Bus::InProcess(bus) => Self::in_process(bus),
            Bus::Rabbit(bus) => Self::rabbit(bus, amqp_url).await.expect("RabbitMQ: run `make test-env`"),
        }
    }

    fn in_process(bus: &InProcessBus) -> Self {
        let seen = Seen::default();
        let sink = Arc::clone(&seen);
        bus.tap(move |events| lock(&sink).extend_from_slice(events));
        Self { seen, rabbit: None }
    }

    async fn rabbit(bus: &RabbitBus, url: &SecretString) -> lapin::Result<Self> {
        let connection = connect(url).await?;
        let channel = connection.create_channel().await?;
        let exchange = bus.exchange();
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        channel
            .exchange_declare(exchange.as_str().into(), ExchangeKind::Topic, durable, FieldTable::default())
            .await?;
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?.name().clone();
        channel
            .queue_bind(
                queue.clone(),
                exchange.as_str().into(),
                "#".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let consumer =
            channel.basic_consume(queue.clone(), "".into(), options, FieldTable::default()).await?;
        let (mark, marked) = watch::channel(0);
        let seen = Seen::default();
        lifecycle::spawn(listen(consumer, Arc::clone(&seen), mark));
        let rabbit = Rabbit {
            connection,
            channel,
            queue: queue.as_str().to_owned(),
            marked,
            marks: tokio::sync::Mutex::new(0),
        };
        Ok(Self { seen, rabbit: Some(rabbit) })
    }

    /// What has been seen.
    pub fn seen(&self) -> Vec<Event> {
        lock(&self.seen).clone()
    }

    pub fn len(&self) -> usize {
        lock(&self.seen).len()
    }

    /// Returns once everything published before the call has been seen.
    pub async fn catch_up(&self) {
        let Some(rabbit) = &self.rabbit else { return };
        rabbit.catch_up().await.expect("RabbitMQ");
    }

    pub async fn close(&self) {
        if let Some(rabbit) = &self.rabbit {
            // Nobody reads any more; a broker that is gone has closed it already.
            let _ = rabbit.connection.close(200, "the test is over".into()).await;
        }
    }
}

impl Rabbit {
    async fn catch_up(&self) -> lapin::Result<()> {
        let mut marks = self.marks.lock().await;
        *marks += 1;
        let wanted = *marks;
        self.channel
            .basic_publish(
                "".into(),
                self.queue.as_str().into(),
                BasicPublishOptions::default(),
                wanted.to_string().as_bytes(),
                BasicProperties::default().with_type(MARKER.into()),
            )
            .await?;
        let mut marked = self.marked.clone();
        let seen = tokio::time::timeout(PATIENCE, marked.wait_for(|n| *n >= wanted)).await;
        assert!(matches!(seen, Ok(Ok(_))), "the tap on the broker fell silent");
        Ok(())
    }
}

async fn listen(mut consumer: Consumer, seen: Seen, mark: watch::Sender<u64>) {
    while let Some(Ok(delivery)) = consumer.next().await {
        let body = &delivery.data;
        if delivery.properties.kind().as_ref().is_some_and(|kind| kind.as_str() == MARKER) {
            let n = String::from_utf8_lossy(body).parse().expect("a marker is a number");
            mark.send_replace(n);
        } else if body.first() == Some(&b'[') {
            // A message that is no event is the inbox's matter; the tap has nothing to say about it.
            lock(&seen).extend(serde_json::from_slice::<Vec<Event>>(body).unwrap_or_default());
        } else if let Ok(event) = serde_json::from_slice(body) {
            lock(&seen).push(event);
        }
    }
}

async fn connect(url: &SecretString) -> lapin::Result<Connection> {
    let properties = ConnectionProperties::default().with_connection_name("baodan-testing".into());
    Connection::connect(url.expose_secret(), properties).await
}

/// Deletes the exchange and the queues of beds.
pub(crate) async fn delete_queues(url: &SecretString, ids: &[String]) -> lapin::Result<()> {
    let connection = connect(url).await?;
    let channel = connection.create_channel().await?;
    for id in ids {
        let bus = RabbitBus::new(url.clone(), id);
        for spec in events::CONSUMERS {
            let queue = bus.queue(spec.name);
            channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
        }
        let exchange = bus.exchange();
        channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default()).await?;
    }
    connection.close(200, "done".into()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::amqp_url;

    #[tokio::test]
    async fn a_bed_leaves_no_queue_and_no_exchange_behind() {
        let id = format!("tqueue{}", std::process::id());
        let bus = RabbitBus::new(amqp_url(), &id);
        Bus::Rabbit(bus.clone()).ping().await.expect("RabbitMQ");
        let passive = QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
        let connection = connect(&amqp_url()).await.expect("RabbitMQ");
        let declare = async || {
            // The broker closes a channel that asks for what is not there.
            let channel = connection.create_channel().await.expect("a channel");
            let queue = bus.queue(events::CONSUMERS[0].name);
            channel.queue_declare(queue.as_str().into(), passive, FieldTable::default()).await
        };
        declare().await.expect("the queue is there");
        delete_queues(&amqp_url(), std::slice::from_ref(&id)).await.expect("deleted");
        let error = declare().await.expect_err("the queue is gone");
        assert!(error.to_string().contains("NOT_FOUND"), "{error}");
        let channel = connection.create_channel().await.expect("a channel");
        let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
        let exchange = bus.exchange();
        let there = channel
            .exchange_declare(exchange.as_str().into(), ExchangeKind::Topic, passive, FieldTable::default())
            .await;
        assert!(there.is_err(), "the exchange is still there");
    }
}
