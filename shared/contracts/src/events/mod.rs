//! The payload of every event (`spec/orders.md`, "Events"). Each has a sample in `samples/`; the test in
//! `tests/it` reads every sample ever committed with today's types.

mod audit;
mod customer;
mod identity;
mod order;
mod report;

pub use audit::AuditRecorded;
pub use customer::{CustomerBatchChanged, CustomerChanged};
pub use identity::{
    DistributorChanged, KeyChanged, KeyOwner, KeyUsed, PartnerChanged, PartnerKeySettings, PolicyChanged,
    TokenRevoked, sealed,
};
pub use order::{
    CustomerSummary, GoodsSummary, OrderRow, OrderStateChanged, PaymentSummary, PreviousStates, ReadingUsed,
};
pub use report::{ReportChanged, WhitelistBatchChanged, WhitelistChanged};

use crate::event::Payload;

/// How an event reaches its readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Durable queues; an event nobody has a queue for stays in the outbox.
    Durable,
    /// A wake-up for whoever is up: every gateway hears it, and polls as well. Losing one costs a second.
    Broadcast,
}

/// One line of the event registry.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    pub name: &'static str,
    pub version: u32,
    pub reach: Reach,
}

const fn of<P: Payload>(reach: Reach) -> EventType {
    EventType { name: P::TYPE, version: P::VERSION, reach }
}

/// Every event type there is.
pub const ALL: &[EventType] = &[
    of::<OrderStateChanged>(Reach::Durable),
    of::<ReadingUsed>(Reach::Durable),
    of::<ReportChanged>(Reach::Durable),
    of::<WhitelistChanged>(Reach::Durable),
    of::<WhitelistBatchChanged>(Reach::Durable),
    of::<CustomerChanged>(Reach::Durable),
    of::<CustomerBatchChanged>(Reach::Durable),
    of::<PartnerChanged>(Reach::Durable),
    of::<KeyChanged>(Reach::Durable),
    of::<KeyUsed>(Reach::Durable),
    of::<DistributorChanged>(Reach::Durable),
    of::<AuditRecorded>(Reach::Durable),
    of::<PolicyChanged>(Reach::Broadcast),
    // Gateways hear it as a wake-up; sync-service keeps it, to check tokens on its drop-in entry.
    of::<TokenRevoked>(Reach::Durable),
];

/// The registry's line for `name`.
pub fn lookup(name: &str) -> Option<&'static EventType> {
    ALL.iter().find(|e| e.name == name)
}

/// A durable reader: its queue, whose it is, what it is bound to.
#[derive(Debug, Clone, Copy)]
pub struct ConsumerSpec {
    /// Queue name without prefix, `<service>.<what>`; also the inbox's name of the consumer.
    pub name: &'static str,
    pub types: &'static [&'static str],
}

/// Every durable queue. Each process declares all of them before it publishes, so that an event never
/// finds nobody home, in whatever order the services were started.
pub const CONSUMERS: &[ConsumerSpec] = &[
    ConsumerSpec { name: "auth.audit", types: &[AuditRecorded::TYPE] },
    ConsumerSpec { name: "auth.key_usage", types: &[KeyUsed::TYPE] },
    ConsumerSpec { name: "order.reports", types: &[ReportChanged::TYPE] },
    ConsumerSpec { name: "order.keys", types: &[KeyChanged::TYPE] },
    ConsumerSpec { name: "order.partners", types: &[PartnerChanged::TYPE] },
    ConsumerSpec { name: "order.readings", types: &[ReadingUsed::TYPE] },
    ConsumerSpec { name: "order.white_list", types: &[WhitelistChanged::TYPE, WhitelistBatchChanged::TYPE] },
    ConsumerSpec { name: "report.customers", types: &[CustomerChanged::TYPE, CustomerBatchChanged::TYPE] },
    ConsumerSpec { name: "report.orders", types: &[OrderStateChanged::TYPE] },
    ConsumerSpec { name: "sync.orders", types: &[OrderStateChanged::TYPE] },
    ConsumerSpec { name: "sync.partners", types: &[PartnerChanged::TYPE, KeyChanged::TYPE] },
    ConsumerSpec { name: "sync.tokens", types: &[TokenRevoked::TYPE] },
];

/// The line of `name` in [`CONSUMERS`].
pub fn consumer(name: &str) -> Option<&'static ConsumerSpec> {
    CONSUMERS.iter().find(|c| c.name == name)
}
