//! Deliveries that go again because a person wants it: resend one, recover what was parked, replay a window.
//!
//! The audit tells who wanted it, in the same transaction. All of it runs under the feed's lock, so that the consumer
//! does not put something in front of an order at the same time; and it takes the rows of the orders at hand before it
//! decides, so that no sender does either.

use std::collections::{HashMap, HashSet};

use platform::{
    audit::{self, Change, Who},
    db::WriteTx,
    ids,
};
use sea_orm::{ConnectionTrait, DbErr};
use serde_json::json;

use super::{
    intake::{self, Handoff, Wanted},
    rules::{Status, state},
    store::{self, Again, Vacated},
};
use crate::{
    changes::{
        rules::{DISTRIBUTOR, OWN, unix_day},
        store::{self as feed, Whose, lock_feed},
    },
    ctx::Ctx,
    entities::subscription::Model,
    sql,
    subscriptions::{self, service::TARGET},
    wire::seconds,
};

/// Deliveries of one transaction.
const BATCH: u64 = 1_000;
/// Deliveries one call recovers at most; the next call goes on.
const MOST_RECOVERED: usize = 100_000;

/// Which parked deliveries.
#[derive(Debug, Clone, Copy)]
pub struct Parked {
    pub partner_id: Option<i64>,
    pub subscription_id: Option<i64>,
    /// Made at or after this (unix ms).
    pub since: i64,
}

impl Parked {
    pub fn from_id(&self) -> i64 {
        ids::floor_at(self.since)
    }

    /// How the audit tells that `count` of them were put back: under what they were narrowed to.
    fn recovered(&self, count: usize) -> Change {
        let told = match (self.subscription_id, self.partner_id) {
            (Some(id), _) => Change::new("delivery.recover", TARGET, id),
            (None, Some(id)) => Change::new("delivery.recover", "partner", id),
            (None, None) => Change::new("delivery.recover", "delivery", "*"),
        };
        told.after(&json!({ "since": seconds(self.since), "count": count }))
    }
}

/// Puts one delivery back, due now. False when there is none in the scope, or its subscription is deleted.
pub async fn resend(ctx: &Ctx, who: &Who, delivery_id: i64, scope: Option<i64>) -> Result<bool, DbErr> {
    let tx = ctx.platform.db.write_tx().await?;
    lock_feed(&tx).await?;
    let again = store::again(&tx, &[delivery_id], scope).await?;
    let Some(one) = again.first() else { return Ok(false) };
    let handoff = requeue(ctx, &tx, &again).await?;
    let view = |status: Status| json!({ "subscription_id": one.subscription_id, "status": status.word(), "tries": one.tries });
    let change = Change::new("delivery.resend", "delivery", delivery_id)
        .before(&view(Status::from_number(one.status)))
        .after(&view(Status::Waiting));
    audit::record(&ctx.platform, &tx, who, change).await?;
    tx.commit().await?;
    ctx.engine.accept(handoff);
    Ok(true)
}

/// Puts parked deliveries back; answers how many, at most [`MOST_RECOVERED`]. The audit has an entry of each
/// transaction, so that it counts what was put back also when the call did not come to its end.
pub async fn recover(ctx: &Ctx, who: &Who, parked: Parked) -> Result<usize, DbErr> {
    let mut recovered = 0;
    while recovered < MOST_RECOVERED {
        let tx = ctx.platform.db.write_tx().await?;
        lock_feed(&tx).await?;
        let ids = store::parked(&tx, parked, BATCH).await?;
        let again = store::again(&tx, &ids, None).await?;
        let handoff = requeue(ctx, &tx, &again).await?;
        if !again.is_empty() || recovered == 0 {
            audit::record(&ctx.platform, &tx, who, parked.recovered(again.len())).await?;
        }
        tx.commit().await?;
        ctx.engine.accept(handoff);
        recovered += again.len();
        if again.is_empty() || ids.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) {
            break;
        }
    }
    Ok(recovered)
}

/// Changes of one replayed window.
const MOST_REPLAYED: usize = 10_000;

/// Sends what happened from `first_ms` to `last_ms` (again) to a subscription, as far as it wants it; with `dry_run`
/// only counts. Answers how many, and whether the window holds more than one call takes.
pub async fn replay_window(
    ctx: &Ctx,
    who: &Who,
    subscription: &Model,
    span: (i64, i64),
    dry_run: bool,
) -> Result<(usize, bool), DbErr> {
    let tx = ctx.platform.db.write_tx().await?;
    let head = lock_feed(&tx).await?;
    let matcher = subscriptions::store::matcher(subscription)?;
    let after = feed::seq_before_day(&tx, unix_day(span.0) - 1).await?.unwrap_or(head);
    let mut lines = Vec::new();
    for source in [OWN, DISTRIBUTOR] {
        let whose = Whose { partner_id: subscription.partner_id, source };
        lines.extend(feed::happened_between(&tx, whose, (after, head), span, MOST_REPLAYED + 1).await?);
    }
    lines.retain(|l| matcher.wants(l.partner_id, l.source, &l.event));
    lines.sort_by_key(|l| l.seq);
    let more = lines.len() > MOST_REPLAYED;
    lines.truncate(MOST_REPLAYED);
    let wanted: Vec<Wanted> = lines.iter().map(|l| matcher.wanted(l.seq, l.order_id, l.order_seq)).collect();
    let count = wanted.len();
    if !dry_run {
        let handoff = replay(ctx, &tx, subscription, wanted).await?;
        let (start, end) = (seconds(span.0), seconds(span.1));
        let told = json!({ "start": start, "end": end, "count": count, "has_more": more });
        let change = Change::new("subscription.replay", TARGET, subscription.id).after(&told);
        audit::record(&ctx.platform, &tx, who, change).await?;
        tx.commit().await?;
        ctx.engine.accept(handoff);
    }
    Ok((count, more))
}

/// Sends these changes (again) to a subscription: those it had, with the same `webhook-id`, and those it had not.
/// The caller holds the feed's lock.
pub async fn replay(
    ctx: &Ctx,
    tx: &WriteTx,
    subscription: &Model,
    wanted: Vec<Wanted>,
) -> Result<Handoff, DbErr> {
    let seqs: Vec<i64> = wanted.iter().map(|w| w.change_seq).collect();
    let there: HashMap<i64, i64> = store::of_changes(tx, subscription.id, &seqs).await?.into_iter().collect();
    let ids: Vec<i64> = there.values().copied().collect();
    let again = store::again(tx, &ids, None).await?;
    let missing = wanted.into_iter().filter(|w| !there.contains_key(&w.change_seq)).collect();
    let mut handoff = requeue(ctx, tx, &again).await?;
    let fresh = intake::enqueue(ctx, tx, missing, |_| None, None).await?;
    handoff.hungry.extend(fresh.hungry);
    Ok(handoff)
}

/// Puts deliveries back into the queue with a fresh schedule, each behind what is unfinished of its order.
async fn requeue(ctx: &Ctx, tx: &WriteTx, again: &[Again]) -> Result<Handoff, DbErr> {
    if again.is_empty() {
        return Ok(Handoff::default());
    }
    let now = ctx.platform.clock.now_ms();
    let lines: HashSet<(i64, i64)> = again.iter().map(|a| (a.subscription_id, a.order_id)).collect();
    store::lock_unfinished(tx, &lines).await?;
    // What waits for its turn anyway goes as soon as it may; what is being sent just now is left alone.
    let waiting: Vec<i64> =
        again.iter().filter(|a| a.state == Some(state::READY)).map(|a| a.delivery_id).collect();
    store::hurry(tx, &waiting, now).await?;
    let parked: Vec<i64> =
        again.iter().filter(|a| a.state == Some(state::PARKED)).map(|a| a.delivery_id).collect();
    let finished: Vec<_> = again.iter().filter(|a| a.state.is_none()).map(|a| a.row(now)).collect();
    store::unpark(tx, &parked, now).await?;
    sql::together(tx, store::new_rows(tx.get_database_backend(), &[], &finished)?).await?;
    let reopened: Vec<i64> =
        parked.iter().copied().chain(finished.iter().map(|row| row.delivery_id)).collect();
    store::reopen(tx, &reopened).await?;
    let vacated: Vec<Vacated> = lines
        .iter()
        .map(|(subscription_id, order_id)| Vacated {
            subscription_id: *subscription_id,
            order_id: *order_id,
            lease: 0,
            next_attempt_at: now,
        })
        .collect();
    store::promote(tx, &vacated).await?;
    Ok(Handoff {
        jobs: Vec::new(),
        hungry: lines.into_iter().map(|(subscription_id, _)| subscription_id).collect(),
    })
}
