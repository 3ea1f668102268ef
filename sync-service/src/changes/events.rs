//! The consumer `sync.orders`: a change comes in, its line of the feed and its deliveries stand, in one
//! transaction with the inbox row.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Mutex,
};

use contracts::{event::Event, events::OrderStateChanged};
use platform::{
    db::WriteTx,
    inbox::{Consumer, HandleError, Handling},
};

use super::{
    rules::{self, Privacy},
    store::{self, NewChange},
};
use crate::{
    ctx::Ctx,
    delivery::intake::{self, Handoff, Wanted},
    partners, subscriptions,
};

/// See the module.
pub struct OrderChanges {
    ctx: Ctx,
    /// What the batch under way hands to the engine once it has committed.
    staged: Mutex<Handoff>,
}

impl OrderChanges {
    pub fn new(ctx: Ctx) -> Self {
        Self { ctx, staged: Mutex::default() }
    }

    fn stage(&self, handoff: Handoff) -> Handoff {
        std::mem::replace(
            &mut *self.staged.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
            handoff,
        )
    }

    async fn take(&self, tx: &WriteTx, events: &[Event]) -> Result<(), HandleError> {
        self.stage(Handoff::default());
        let fresh = self.fresh(tx, events).await?;
        if fresh.is_empty() {
            return Ok(());
        }
        let partners: BTreeSet<i64> = fresh.iter().map(|(_, change)| change.order.partner_id).collect();
        let privacies = partners::store::privacies(tx, &partners).await?;
        let first_seq = store::take_seqs(tx, fresh.len()).await?;
        let mut changes = Vec::with_capacity(fresh.len());
        for ((event, change), seq) in fresh.iter().zip(first_seq..) {
            changes.push(line(event, change, seq, &privacies)?);
        }
        store::insert(tx, &changes).await?;
        let matching = subscriptions::store::of_partners(tx, &partners).await?;
        let wanted: Vec<Wanted> = changes
            .iter()
            .flat_map(|change| matching.iter().filter(|s| s.wants(change)).map(|s| s.wanted(change)))
            .collect();
        let handoff = intake::enqueue(&self.ctx, tx, wanted, &changes).await?;
        self.stage(handoff);
        Ok(())
    }

    /// The events as changes, without those the feed has already (an inbox forgets after a week).
    async fn fresh<'e>(
        &self,
        tx: &WriteTx,
        events: &'e [Event],
    ) -> Result<Vec<(&'e Event, OrderStateChanged)>, HandleError> {
        let mut changes = Vec::with_capacity(events.len());
        for event in events {
            changes.push((event, event.read::<OrderStateChanged>()?));
        }
        let numbers: HashSet<&str> = changes.iter().map(|(_, c)| c.order.number.as_str()).collect();
        let numbers: Vec<&str> = numbers.into_iter().collect();
        let mut known = store::known(tx, &numbers).await?;
        changes.retain(|(_, c)| known.insert((c.order.number.clone(), c.order_seq)));
        Ok(changes)
    }
}

fn line(
    event: &Event,
    change: &OrderStateChanged,
    seq: i64,
    privacies: &HashMap<i64, Privacy>,
) -> Result<NewChange, HandleError> {
    let order = &change.order;
    let changed_at = chrono::DateTime::parse_from_rfc3339(&event.time)
        .map_err(|e| HandleError::Rejected(format!("event {}: time {:?}: {e}", event.id, event.time)))?
        .timestamp_millis();
    let privacy = privacies.get(&order.partner_id).copied().unwrap_or_default();
    let standard = rules::standard_body(event, change, privacy)
        .map_err(|e| HandleError::Rejected(format!("event {}: {e}", event.id)))?;
    Ok(NewChange {
        seq,
        event_id: event.id.clone(),
        partner_id: order.partner_id,
        source: rules::source_of(order),
        order_id: order.id,
        number: order.number.clone(),
        order_seq: change.order_seq,
        event: change.event.clone(),
        checkout_at: order.checkout_at,
        changed_at,
        standard,
        gth: rules::gth_body(event, change, changed_at),
    })
}

impl Consumer for OrderChanges {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(self.take(tx, events))
    }

    fn committed(&self) {
        self.ctx.engine.accept(self.stage(Handoff::default()));
    }
}
