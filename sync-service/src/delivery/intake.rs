//! Deliveries come into being: in the transaction of the consumer that took the change in, one row in
//! `delivery` and one in `delivery_queue` for each matching subscription.
//!
//! What the engine of this process has room for is made leased to it and handed over after the commit, which
//! saves claiming it: at load most deliveries are never claimed at all.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use platform::db::WriteTx;
use sea_orm::{ConnectionTrait, DbErr};

use super::{
    lane::Job,
    rules::state,
    sender::Bodies,
    store::{self, NewDelivery, QueueRow, Unfinished},
};
use crate::{
    ctx::Ctx,
    sql::{self, Write},
};

/// A delivery that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub subscription_id: i64,
    pub partner_id: i64,
    pub change_seq: i64,
    pub order_id: i64,
    pub order_seq: i64,
    pub latest_wins: bool,
}

/// What the engine gets after the commit.
#[derive(Debug, Default)]
pub struct Handoff {
    pub jobs: Vec<Job>,
    /// Subscriptions that got rows which nobody holds.
    pub hungry: HashSet<i64>,
}

type OrderLine = (i64, i64);

/// Makes the rows. `wanted` is in the order of the feed; `bodies_of` answers the bytes of a change by its number,
/// `None` where they are not at hand: those deliveries are claimed like any other. `along` is written in the same
/// round trip.
pub async fn enqueue(
    ctx: &Ctx,
    tx: &WriteTx,
    wanted: Vec<Wanted>,
    bodies_of: impl Fn(i64) -> Option<Bodies> + Send,
    along: Option<Write>,
) -> Result<Handoff, DbErr> {
    if wanted.is_empty() {
        sql::together(tx, [along]).await?;
        return Ok(Handoff::default());
    }
    let now = ctx.platform.clock.now_ms();
    let lines: HashSet<OrderLine> = wanted.iter().map(|w| (w.subscription_id, w.order_id)).collect();
    let waiting = store::lock_unfinished(tx, &lines).await?;
    let (mut occupied, outdated) = sort_out(&waiting, &wanted);
    let ids = ctx.platform.ids.batch(wanted.len());
    let superseded = superseded_within(&wanted, &ids);
    let (mut rows, mut queue, mut handoff) = (Vec::new(), Vec::new(), Handoff::default());
    let mut bodies: HashMap<i64, Option<Arc<Bodies>>> = HashMap::new();
    let lease = ctx.platform.ids.next();
    for (w, id) in wanted.iter().zip(ids) {
        if superseded.contains(&id) {
            rows.push(NewDelivery::superseded(id, w, now));
            continue;
        }
        rows.push(NewDelivery::waiting(id, w));
        let ready = occupied.insert((w.subscription_id, w.order_id));
        let mut row = QueueRow {
            delivery_id: id,
            subscription_id: w.subscription_id,
            change_seq: w.change_seq,
            order_id: w.order_id,
            order_seq: w.order_seq,
            state: if ready { state::READY } else { state::BLOCKED },
            next_attempt_at: now,
            lease: 0,
            tries: 0,
        };
        let held = (ready && ctx.engine.reserve(w.subscription_id)).then(|| {
            bodies.entry(w.change_seq).or_insert_with(|| bodies_of(w.change_seq).map(Arc::new)).clone()
        });
        if let Some(Some(bodies)) = held {
            row.lease = lease;
            row.next_attempt_at = now + ctx.engine.lease_ms();
            handoff.jobs.push(row.job(bodies));
        } else if ready {
            handoff.hungry.insert(w.subscription_id);
        }
        queue.push(row);
    }
    store::supersede(tx, &outdated, now).await?;
    let made = store::new_rows(tx.get_database_backend(), &rows, &queue)?;
    sql::together(tx, [along].into_iter().chain(made)).await?;
    metrics::counter!("callback_deliveries_total").increment(rows.len() as u64);
    Ok(handoff)
}

/// The (subscription, order) pairs where something unfinished stays in front, and the rows that latest-wins
/// takes away.
fn sort_out(waiting: &[Unfinished], wanted: &[Wanted]) -> (HashSet<OrderLine>, Vec<i64>) {
    let newest: HashMap<OrderLine, i64> = wanted
        .iter()
        .filter(|w| w.latest_wins)
        .map(|w| ((w.subscription_id, w.order_id), w.order_seq))
        .collect();
    let mut occupied = HashSet::new();
    let mut outdated = Vec::new();
    for row in waiting {
        let line = (row.subscription_id, row.order_id);
        let newer = newest.get(&line).is_some_and(|seq| *seq > row.order_seq);
        // One that is being sent just now cannot be taken back.
        if newer && row.lease == 0 {
            outdated.push(row.delivery_id);
        } else {
            occupied.insert(line);
        }
    }
    (occupied, outdated)
}

/// Of several new deliveries of one order to one latest-wins subscription all but the newest.
fn superseded_within(wanted: &[Wanted], ids: &[i64]) -> HashSet<i64> {
    let mut newest: HashMap<OrderLine, (i64, i64)> = HashMap::new();
    let mut superseded = HashSet::new();
    for (w, id) in wanted.iter().zip(ids).filter(|(w, _)| w.latest_wins) {
        let line = (w.subscription_id, w.order_id);
        match newest.get(&line).copied() {
            Some((seq, _)) if seq > w.order_seq => {
                superseded.insert(*id);
            }
            older => {
                superseded.extend(older.map(|(_, id)| id));
                newest.insert(line, (w.order_seq, *id));
            }
        }
    }
    superseded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(order_id: i64, order_seq: i64, latest_wins: bool) -> Wanted {
        Wanted { subscription_id: 1, partner_id: 5, change_seq: order_seq, order_id, order_seq, latest_wins }
    }

    fn unfinished(delivery_id: i64, order_id: i64, order_seq: i64, lease: i64) -> Unfinished {
        Unfinished { delivery_id, subscription_id: 1, order_id, order_seq, lease }
    }

    #[test]
    fn latest_wins_takes_away_what_waits_but_not_what_is_being_sent() {
        let waiting = [unfinished(10, 7, 1, 99), unfinished(11, 7, 2, 0), unfinished(12, 8, 1, 0)];
        let (occupied, outdated) = sort_out(&waiting, &[wanted(7, 3, true), wanted(8, 2, true)]);
        assert_eq!((occupied, outdated), (HashSet::from([(1, 7)]), vec![11, 12]));
        let (occupied, outdated) = sort_out(&waiting, &[wanted(7, 3, false), wanted(8, 2, false)]);
        assert_eq!((occupied, outdated), (HashSet::from([(1, 7), (1, 8)]), vec![]));
    }

    #[test]
    fn within_a_batch_the_newest_of_an_order_wins() {
        let batch = [
            wanted(7, 1, true),
            wanted(7, 3, true),
            wanted(7, 2, true),
            wanted(8, 1, true),
            wanted(9, 1, false),
            wanted(9, 2, false),
        ];
        let superseded = superseded_within(&batch, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(superseded, HashSet::from([1, 3]));
    }
}
