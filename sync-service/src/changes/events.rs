//! The consumer `sync.orders`: a change comes in, its line of the feed and its deliveries stand, in one
//! transaction with the inbox row.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use contracts::{event::Event, events::OrderStateChanged};
use platform::{
    db::WriteTx,
    inbox::{Consumer, HandleError, Handling},
};
use sea_orm::ConnectionTrait;

use super::{
    rules::{self, Privacy, Said},
    store::{self, NewChange},
};
use crate::{
    ctx::Ctx,
    delivery::{
        intake::{self, Handoff, Wanted},
        sender::Bodies,
    },
    partners,
    subscriptions::{self, rules::Matcher},
};

/// See the module.
pub struct OrderChanges {
    ctx: Ctx,
    /// What the batch under way hands to the engine once it has committed.
    staged: Mutex<Handoff>,
    /// Unix day whose first number stands in the database, and the one that will when the batch has committed.
    noted_day: AtomicI64,
    day_to_note: AtomicI64,
}

impl OrderChanges {
    pub fn new(ctx: Ctx) -> Self {
        // Known from the start: an alert on its increase would miss the first gap otherwise.
        metrics::counter!("order_change_gaps_total").absolute(0);
        Self { ctx, staged: Mutex::default(), noted_day: AtomicI64::new(-1), day_to_note: AtomicI64::new(-1) }
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
        self.note_day(tx, first_seq).await?;
        let mut changes = Vec::with_capacity(fresh.len());
        for ((event, change), seq) in fresh.iter().zip(first_seq..) {
            changes.push(line(event, change, seq, &privacies)?);
        }
        let lines = store::new_lines(tx.get_database_backend(), &changes)?;
        let matching = subscriptions::store::of_partners(tx, &partners).await?;
        let wanted: Vec<Wanted> = changes
            .iter()
            .flat_map(|c| {
                let wants = |s: &&Matcher| s.wants(c.partner_id, c.source, &c.event);
                matching.iter().filter(wants).map(|s| s.wanted(c.seq, c.order_id, c.order_seq))
            })
            .collect();
        let bodies = |seq: i64| {
            let change = usize::try_from(seq - first_seq).ok().and_then(|at| changes.get(at));
            change.map(|c| Bodies {
                event_id: c.event_id.clone(),
                standard: c.standard.clone(),
                gth: c.gth.clone(),
                traceparent: c.traceparent.clone(),
            })
        };
        let handoff = intake::enqueue(&self.ctx, tx, wanted, bodies, lines).await?;
        self.stage(handoff);
        Ok(())
    }

    /// Notes the first number of each day; most batches find the day noted already.
    async fn note_day(&self, tx: &WriteTx, first_seq: i64) -> Result<(), HandleError> {
        let today = rules::unix_day(self.ctx.platform.clock.now_ms());
        if self.noted_day.load(Ordering::Relaxed) != today {
            store::note_day(tx, today, first_seq).await?;
            // Only once it is committed for sure; another statement tomorrow costs nothing.
            self.day_to_note.store(today, Ordering::Relaxed);
        }
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
        told_of_gaps(&known, &changes);
        changes.retain(|(_, c)| known.insert((c.order.number.clone(), c.order_seq)));
        Ok(changes)
    }
}

/// An order whose changes do not follow one another has lost one on the way (parked in an inbox, most likely): what
/// came goes on, but somebody must look.
fn told_of_gaps(known: &HashSet<(String, i64)>, changes: &[(&Event, OrderStateChanged)]) {
    let mut last: HashMap<&str, i64> = HashMap::new();
    for (number, order_seq) in known {
        let last = last.entry(number).or_default();
        *last = (*last).max(*order_seq);
    }
    for (event, change) in changes {
        let before = last.insert(&change.order.number, change.order_seq);
        if before.is_some_and(|seq| change.order_seq > seq + 1) {
            metrics::counter!("order_change_gaps_total").increment(1);
            tracing::error!(event_id = %event.id, number = change.order.number, order_seq = change.order_seq, last = before,
                "a change of an order is missing; look for a parked event");
        }
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
    let said = Said { event_id: &event.id, kind: &event.kind, time: &event.time, at_ms: changed_at };
    let standard = rules::standard_body(&said, change, privacy)
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
        gth: rules::gth_body(&said, change),
        traceparent: event.traceparent.clone().unwrap_or_default(),
        nick_name: rules::plain(&order.customer.nick_name),
        mobile: rules::plain(&order.customer.mobile),
    })
}

impl Consumer for OrderChanges {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(self.take(tx, events))
    }

    fn committed(&self) {
        self.noted_day.store(self.day_to_note.load(Ordering::Relaxed), Ordering::Relaxed);
        self.ctx.engine.accept(self.stage(Handoff::default()));
    }
}
