//! Keeps rights and `subscribe_count` in step with orders, and customers with what order-service tells of them.

use std::collections::{BTreeMap, HashMap};

use contracts::{
    event::{Event, Payload},
    events::{CustomerBatchChanged, CustomerChanged, OrderRow, OrderStateChanged},
    order_state::PaymentState,
};
use platform::{
    db::WriteTx,
    inbox::{Consumer, HandleError, Handling},
};

use super::store::{self, RightRow};

/// Name of the consumer in `contracts::events::CONSUMERS`.
pub const ORDERS: &str = "report.orders";

/// Name of the consumer in `contracts::events::CONSUMERS`.
pub const CUSTOMERS: &str = "report.customers";

/// Reads `customer.changed` and `customer.batch_changed`.
pub struct Customers;

impl Consumer for Customers {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            // One statement cannot touch a row twice: of several versions the newest counts.
            let mut newest: BTreeMap<i64, CustomerChanged> = BTreeMap::new();
            for event in events {
                let customers = if event.kind == CustomerBatchChanged::TYPE {
                    event.read::<CustomerBatchChanged>()?.customers
                } else {
                    vec![event.read()?]
                };
                for customer in customers {
                    let stands = newest.get(&customer.id).is_some_and(|c| c.version >= customer.version);
                    if !stands {
                        newest.insert(customer.id, customer);
                    }
                }
            }
            let customers: Vec<&CustomerChanged> = newest.values().collect();
            for chunk in customers.chunks(CHUNK) {
                store::keep_customers(tx, chunk).await?;
            }
            Ok(())
        })
    }
}

/// Customers of one statement.
const CHUNK: usize = 1000;

/// Reads `order.state_changed`.
pub struct Orders;

impl Consumer for Orders {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(take(tx, events))
    }
}

/// Takes the latest word on each order of a batch. Events of one order may come in any order and more than
/// once; the highest `order_seq` holds.
async fn take(tx: &WriteTx, events: &[Event]) -> Result<(), HandleError> {
    let mut latest: BTreeMap<i64, (i64, OrderRow)> = BTreeMap::new();
    for event in events {
        let change: OrderStateChanged = event.read()?;
        if change.order.goods.report_id == 0 {
            continue;
        }
        let entry = (change.order_seq, change.order);
        match latest.get(&entry.1.id) {
            Some((seq, _)) if *seq >= entry.0 => {}
            _ => drop(latest.insert(entry.1.id, entry)),
        }
    }
    let rows: Vec<RightRow> = latest.values().filter_map(|(seq, order)| right(*seq, order)).collect();
    store::keep_copies(tx, latest.values().map(|(_, order)| order)).await?;
    let mut subscribed: HashMap<i64, i64> = HashMap::new();
    for report_id in store::keep_rights(tx, &rows).await? {
        *subscribed.entry(report_id).or_default() += 1;
    }
    store::count_subscriptions(tx, &subscribed).await?;
    Ok(())
}

/// The right of a paid order; `None` before payment and for cancelled ones.
fn right(seq: i64, order: &OrderRow) -> Option<RightRow> {
    let refunded = order.refund_fen > 0 && order.refund_fen >= order.total_fen;
    (order.state == PaymentState::Completed).then(|| RightRow {
        order_id: order.id,
        number: order.number.clone(),
        order_seq: seq,
        report_id: order.goods.report_id,
        customer_id: order.customer.id,
        quota: order.read_quota.max(0),
        open: i16::from(!refunded),
        paid_at: order.paid_at,
    })
}
