use std::collections::HashMap;

use chrono::NaiveDate;
use platform::{
    audit::{self, Change, Who},
    clock,
};
use sea_orm::{ConnectionTrait, DbErr};
use serde_json::json;

use super::rules::Entry;
use crate::{
    changes::{
        rules::{DISTRIBUTOR, OWN, unix_day},
        store::{self as feed, Line, Whose},
    },
    ctx::Ctx,
    delivery::{intake::Wanted, recovery},
    subscriptions::{
        self,
        service::{SubscriptionError, TARGET},
    },
};

/// Changes of one partner's day at most.
pub const MOST: usize = 200_000;
/// A change that came in later than this after it happened is in no statement of its day.
const LATEST_DAYS: i64 = 8;
/// Deliveries one call sends.
const SENT: usize = 10_000;

/// Why there is no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    #[error("more than {MOST} changes on one day")]
    TooMany,
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    #[error(transparent)]
    Db(#[from] DbErr),
}

/// The changes of a day, in the order of the feed.
async fn day_lines<C: ConnectionTrait>(
    ctx: &Ctx,
    conn: &C,
    partner_id: i64,
    date: NaiveDate,
) -> Result<Vec<Line>, StatementError> {
    let tz = ctx.platform.tz;
    let first_ms = clock::day_start_ms(date, tz);
    let last_ms = date.succ_opt().map_or(i64::MAX, |next| clock::day_start_ms(next, tz) - 1);
    // A day less: the clocks of the services differ a little.
    let Some(after) = feed::seq_before_day(conn, unix_day(first_ms) - 1).await? else {
        return Ok(Vec::new());
    };
    let until = feed::seq_before_day(conn, unix_day(last_ms) + LATEST_DAYS).await?.unwrap_or(i64::MAX);
    let mut lines = Vec::new();
    for source in [OWN, DISTRIBUTOR] {
        let whose = Whose { partner_id, source };
        lines.extend(
            feed::happened_between(conn, whose, (after, until), (first_ms, last_ms), MOST + 1).await?,
        );
    }
    if lines.len() > MOST {
        return Err(StatementError::TooMany);
    }
    lines.sort_by_key(|line| line.seq);
    Ok(lines)
}

/// The changes of a day as a statement lists them.
pub async fn entries(ctx: &Ctx, partner_id: i64, date: NaiveDate) -> Result<Vec<Entry>, StatementError> {
    let lines = day_lines(ctx, ctx.platform.db.conn(), partner_id, date).await?;
    Ok(lines
        .into_iter()
        .map(|line| Entry { number: line.number, order_seq: line.order_seq, event_id: line.event_id })
        .collect())
}

/// Sends a subscription the changes of a day that its partner lacks: of each order those behind what it `has`
/// (number → highest order_seq), all of orders that are not in it. With `dry_run` only counts. Answers how many, and
/// whether more are lacking than one call sends.
pub async fn send_lacking(
    ctx: &Ctx,
    who: &Who,
    (subscription_id, scope): (i64, Option<i64>),
    date: NaiveDate,
    has: &HashMap<String, i64>,
    dry_run: bool,
) -> Result<(usize, bool), StatementError> {
    let tx = ctx.platform.db.write_tx().await?;
    feed::lock_feed(&tx).await?;
    let row =
        subscriptions::store::find(&tx, subscription_id, scope).await?.ok_or(SubscriptionError::NotFound)?;
    let matcher = subscriptions::store::matcher(&row)?;
    let mut lacking: Vec<Wanted> = day_lines(ctx, &tx, row.partner_id, date)
        .await?
        .iter()
        .filter(|l| has.get(&l.number).is_none_or(|seq| l.order_seq > *seq))
        .filter(|l| matcher.wants(l.partner_id, l.source, &l.event))
        .map(|l| matcher.wanted(l.seq, l.order_id, l.order_seq))
        .collect();
    let more = lacking.len() > SENT;
    lacking.truncate(SENT);
    let count = lacking.len();
    if !dry_run {
        let handoff = recovery::replay(ctx, &tx, &row, lacking).await?;
        let told = json!({ "date": date.to_string(), "count": count, "has_more": more });
        let change = Change::new("subscription.send_lacking", TARGET, row.id).after(&told);
        audit::record(&ctx.platform, &tx, who, change).await?;
        tx.commit().await?;
        ctx.engine.accept(handoff);
    }
    Ok((count, more))
}
