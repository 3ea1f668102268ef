//! A look into the database: subscriptions that changed, what comes due when, and what is due now, leased.

use std::{collections::HashSet, pin::Pin, sync::Arc};

use platform::{
    crash,
    quota::{Decision, Quota, Window},
};
use sea_orm::DbErr;

use super::{
    engine::Inner,
    lane::Job,
    store::{self, Want},
    target::Target,
};
use crate::subscriptions;

/// Changes of subscriptions are looked for from this long before the last one seen: other replicas' clocks and
/// transactions differ a little.
const OVERLAP_MS: i64 = 60_000;
/// A rate limit's quota that cannot be asked is asked again after this.
const QUOTA_AWAY_MS: i64 = 1_000;

pub type Later<T> = Pin<Box<dyn Future<Output = Result<T, DbErr>> + Send>>;

/// What the pump wants to know.
pub struct Request {
    /// Read subscriptions that changed since (unix ms).
    pub since: Option<i64>,
    /// Find out when each subscription's next row comes due.
    pub scan: bool,
    /// With each its rate limit.
    pub wants: Vec<(Want, i64)>,
}

/// One answered [`Want`].
pub struct Asked {
    pub subscription_id: i64,
    pub room: i64,
    /// Its rate window is full until then (unix ms).
    pub rest_until: Option<i64>,
}

#[derive(Default)]
pub struct Claimed {
    pub targets: Vec<Target>,
    /// (subscription, unix ms)
    pub due: Vec<(i64, i64)>,
    pub jobs: Vec<Job>,
    pub asked: Vec<Asked>,
}

pub async fn look(inner: Arc<Inner>, request: Request, now: i64) -> Result<Claimed, DbErr> {
    let platform = &inner.platform;
    let mut claimed = Claimed::default();
    if let Some(since) = request.since {
        let rows = subscriptions::store::changed_since(&platform.db, since - OVERLAP_MS).await?;
        claimed.targets = rows.iter().map(|row| Target::read(row, &platform.sealer, &inner.policy)).collect();
    }
    if request.scan {
        claimed.due = store::next_due(&platform.db).await?;
    }
    let mut wants = Vec::with_capacity(request.wants.len());
    for (mut want, rate) in request.wants {
        let mut rest_until = None;
        if rate > 0 {
            (want.room, rest_until) = allowance(&platform.quota, &want, rate, now).await;
        }
        claimed.asked.push(Asked { subscription_id: want.subscription_id, room: want.room, rest_until });
        if want.room > 0 {
            wants.push(want);
        }
    }
    if wants.is_empty() {
        return Ok(claimed);
    }
    let (lease, until) = (platform.ids.next(), now + inner.lease_ms);
    let tx = platform.db.write_tx().await?;
    let rows = store::claim(&tx, &wants, now, until, lease).await?;
    tx.commit().await?;
    if !rows.is_empty() {
        crash::point("delivery.claimed");
    }
    let seqs: HashSet<i64> = rows.iter().map(|row| row.change_seq).collect();
    let bodies = store::bodies(platform.db.conn(), &seqs).await?;
    claimed.jobs =
        rows.iter().filter_map(|row| Some(row.job(Arc::clone(bodies.get(&row.change_seq)?)))).collect();
    claimed.jobs.sort_by_key(|job| job.delivery_id);
    Ok(claimed)
}

/// How many of the wanted jobs the subscription's rate allows in this second, counted for all replicas; and until
/// when it rests if that is less than wanted.
async fn allowance(quota: &Quota, want: &Want, rate: i64, now: i64) -> (i64, Option<i64>) {
    let key = format!("callback-rate:{}", want.subscription_id);
    let windows = [Window::new(rate.unsigned_abs(), 1)];
    let asked = async {
        let used = quota.usage(&key, &windows).await?;
        let used = used.first().map_or(0, |u| u.used);
        let room = want.room.min(rate - i64::try_from(used).unwrap_or(i64::MAX)).max(0);
        let decision = quota.take(&key, &windows, room.max(1).unsigned_abs()).await?;
        Ok::<_, platform::quota::QuotaError>((room.max(1), decision))
    };
    match asked.await {
        Ok((room, Decision::Admitted { .. })) => (room, (room < want.room).then_some(now + 1_000)),
        Ok((_, Decision::Refused { retry_after_seconds, .. })) => {
            (0, Some(now + i64::try_from(retry_after_seconds).unwrap_or(1) * 1_000))
        }
        Err(e) => {
            tracing::warn!(subscription_id = want.subscription_id, error = %e, "the rate of a subscription cannot be asked; its callbacks wait");
            (0, Some(now + QUOTA_AWAY_MS))
        }
    }
}
