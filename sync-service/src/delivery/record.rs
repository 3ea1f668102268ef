//! What became of a batch of attempts, written in one transaction: the attempts, the deliveries' progress, the
//! queue without what is finished, and the next delivery of each order made ready.

use std::{collections::HashSet, sync::Arc};

use platform::{
    crash,
    db::{Db, WriteTx},
};
use sea_orm::{ConnectionTrait, DbErr};

use super::{
    lane::Job,
    rules::{Status, Verdict, state},
    sender::Exchange,
    store::{self, Held, NewAttempt, Progress, Requeued, Vacated},
};
use crate::{sql, subscriptions};

/// An attempt that was made.
pub struct Outcome {
    pub job: Job,
    pub exchange: Exchange,
    pub verdict: Verdict,
    /// Made once, so that writing it twice is writing it once.
    pub attempt_id: i64,
    /// Lease and its end (unix ms) for the next delivery of the order; (0, now) leaves it to whoever claims it.
    pub next: (i64, i64),
}

impl Outcome {
    fn held(&self) -> Held {
        Held { delivery_id: self.job.delivery_id, lease: self.job.lease }
    }

    fn try_no(&self) -> i32 {
        self.job.tries + 1
    }

    fn attempt(&self, plain: bool) -> NewAttempt<'_> {
        let e = &self.exchange;
        let said = |text| if plain { "" } else { text };
        NewAttempt {
            delivery_id: self.job.delivery_id,
            id: self.attempt_id,
            try_no: self.try_no(),
            started_at: e.started_at,
            duration_ms: e.duration_ms,
            http_status: e.http_status.into(),
            acknowledged: self.verdict == Verdict::Delivered,
            error: said(e.error.as_str()),
            answer: said(e.answer.as_str()),
            url: said(e.url.as_str()),
            signature: &e.signature,
            sign: &e.sign,
            next_attempt_at: if let Verdict::Retry(at) = self.verdict { at } else { 0 },
        }
    }

    fn progress(&self, now: i64, plain: bool) -> Progress<'_> {
        let (status, finished_at) = match self.verdict {
            Verdict::Delivered => (Status::Delivered, now),
            Verdict::Parked => (Status::Parked, now),
            Verdict::Retry(_) | Verdict::Stopped => (Status::Waiting, 0),
        };
        Progress {
            id: self.job.delivery_id,
            status: status as i16,
            tries: self.try_no(),
            last_status: self.exchange.http_status.into(),
            last_error: if plain { "" } else { &self.exchange.error },
            finished_at,
        }
    }

    fn requeued(&self, now: i64) -> Option<Requeued> {
        let (state, next_attempt_at) = match self.verdict {
            Verdict::Delivered => return None,
            Verdict::Retry(at) => (state::READY, at),
            Verdict::Stopped => (state::READY, now),
            Verdict::Parked => (state::PARKED, now),
        };
        Some(Requeued { delivery_id: self.job.delivery_id, state, next_attempt_at, tries: self.try_no() })
    }

    /// The order's place in front, if this delivery leaves it.
    fn vacated(&self) -> Option<Vacated> {
        let (lease, next_attempt_at) = self.next;
        matches!(self.verdict, Verdict::Delivered | Verdict::Parked).then_some(Vacated {
            subscription_id: self.job.subscription_id,
            order_id: self.job.order_id,
            lease,
            next_attempt_at,
        })
    }
}

/// A batch to be written. Cheap to clone: it is tried again when the database is away.
#[derive(Clone, Default)]
pub struct Batch {
    pub outcomes: Arc<Vec<Outcome>>,
    /// Leases that are given back unused.
    pub unused: Arc<Vec<Held>>,
    /// Breakers that opened (until) or closed (0), by subscription.
    pub breakers: Arc<Vec<(i64, i64)>>,
    /// Since when nothing is acknowledged, or 0, by subscription, where that changed.
    pub health: Arc<Vec<(i64, i64)>>,
    /// Leave out what receivers said: the database would not take the batch with it.
    pub plain: bool,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.unused.is_empty()
    }
}

/// Writes the batch; answers the deliveries that are now in front and leased to us.
pub async fn write(db: &Db, batch: &Batch, now: i64) -> Result<Vec<Job>, DbErr> {
    if !batch.outcomes.is_empty() {
        crash::point("delivery.sent");
    }
    let tx = db.write_tx().await?;
    let mut jobs = Vec::new();
    if !batch.outcomes.is_empty() {
        jobs = write_outcomes(&tx, &batch.outcomes, now, batch.plain).await?;
        crash::point("delivery.recording");
    }
    if !batch.unused.is_empty() {
        store::release(&tx, &batch.unused, now).await?;
    }
    for (subscription_id, open_until) in batch.breakers.iter() {
        store::save_breaker(&tx, *subscription_id, *open_until).await?;
    }
    for (subscription_id, failing_since) in batch.health.iter() {
        store::save_health(&tx, *subscription_id, *failing_since).await?;
    }
    tx.commit().await?;
    if !batch.outcomes.is_empty() {
        crash::point("delivery.recorded");
    }
    Ok(jobs)
}

async fn write_outcomes(
    tx: &WriteTx,
    outcomes: &[Outcome],
    now: i64,
    plain: bool,
) -> Result<Vec<Job>, DbErr> {
    let held: Vec<Held> = outcomes.iter().map(Outcome::held).collect();
    let ours = store::lock_held(tx, &held).await?;
    // A result that comes after the lease ran out is evidence, no more: another may be at work on the delivery.
    let attempts: Vec<_> = outcomes.iter().map(|o| o.attempt(plain)).collect();
    let mine: Vec<&Outcome> = outcomes.iter().filter(|o| ours.contains(&o.job.delivery_id)).collect();
    let progress: Vec<_> = mine.iter().map(|o| o.progress(now, plain)).collect();
    let done: Vec<i64> =
        mine.iter().filter(|o| o.verdict == Verdict::Delivered).map(|o| o.job.delivery_id).collect();
    let requeued: Vec<_> = mine.iter().filter_map(|o| o.requeued(now)).collect();
    let backend = tx.get_database_backend();
    let writes = [
        store::progress(backend, &progress)?,
        store::new_attempts(backend, &attempts)?,
        store::unqueue(backend, &done)?,
        store::requeue(backend, &requeued)?,
    ];
    sql::together(tx, writes).await?;
    let vacated: Vec<_> = mine.iter().filter_map(|o| o.vacated()).collect();
    let promoted = store::promote(tx, &vacated).await?;
    let gone: HashSet<i64> =
        mine.iter().filter(|o| o.verdict == Verdict::Stopped).map(|o| o.job.subscription_id).collect();
    for subscription_id in gone {
        let reason = "接收方返回 410，不再接收 / the receiver answered 410";
        subscriptions::service::disable(tx, subscription_id, reason, now).await?;
    }
    let leased: Vec<_> = promoted.into_iter().filter(|row| row.lease != 0).collect();
    let seqs = leased.iter().map(|row| row.change_seq).collect();
    let bodies = store::bodies(tx, &seqs).await?;
    Ok(leased.iter().filter_map(|row| Some(row.job(Arc::clone(bodies.get(&row.change_seq)?)))).collect())
}
