//! Timed work: the watch over receivers that fail for long, and the look for orders that stand still.

use platform::lifecycle::Turn;
use sea_orm::DbErr;

use super::{
    observe::Gauges,
    store::{self, NewAlert, Vacated},
};
use crate::{
    ctx::Ctx,
    entities::subscription::Model,
    subscriptions::{self, service},
};

/// How long a receiver may acknowledge nothing before its subscription is disabled.
pub const FAILURE_BUDGET_MS: i64 = 5 * 86_400_000;
/// Percent of the budget at which people are told.
pub const ALERT_LEVELS: [i32; 4] = [50, 70, 90, 100];
/// Standing orders mended in one turn.
const ORPHANS: u64 = 1_000;

/// The highest level reached, 0 = none.
pub fn level(failing_since: i64, now: i64) -> i32 {
    let percent = (now - failing_since).max(0).saturating_mul(100) / FAILURE_BUDGET_MS;
    ALERT_LEVELS.into_iter().filter(|l| i64::from(*l) <= percent).max().unwrap_or(0)
}

/// Raises the alerts that are due; at 100 % the subscription is disabled: it collects until it is released.
///
/// # Errors
/// The database is away.
pub async fn watch(ctx: &Ctx) -> Result<Turn, DbErr> {
    let now = ctx.platform.clock.now_ms();
    for row in subscriptions::store::failing(&ctx.platform.db).await? {
        let reached = level(row.failing_since, now);
        if reached > row.alert_level {
            raise(ctx, &row, reached, now).await?;
        }
    }
    Ok(Turn::Idle)
}

async fn raise(ctx: &Ctx, row: &Model, level: i32, now: i64) -> Result<(), DbErr> {
    let tx = ctx.platform.db.write_tx().await?;
    if !subscriptions::store::raise_alert(&tx, row, level).await? {
        return Ok(());
    }
    let alert = NewAlert {
        id: ctx.platform.ids.next(),
        partner_id: row.partner_id,
        subscription_id: row.id,
        level,
        failing_since: row.failing_since,
    };
    store::insert_alert(&tx, alert).await?;
    if level >= 100 {
        let reason = "长期未确认，已自动停用 / nothing was acknowledged for too long";
        service::disable(&tx, row.id, reason, now).await?;
    }
    tx.commit().await?;
    ctx.engine.subscriptions_changed();
    metrics::counter!("callback_alerts_total", "level" => level.to_string()).increment(1);
    tracing::error!(
        subscription_id = row.id,
        partner_id = row.partner_id,
        level,
        "a receiver acknowledges nothing; percent of its failure budget"
    );
    Ok(())
}

/// Shows what waits as gauges.
///
/// # Errors
/// The database is away.
pub async fn measure(ctx: &Ctx, gauges: &mut Gauges) -> Result<Turn, DbErr> {
    let backlog = store::backlog(&ctx.platform.db).await?;
    gauges.show(&backlog, ctx.platform.clock.now_ms());
    Ok(Turn::Idle)
}

/// Makes orders move whose deliveries all stand behind nothing. There should be none: each found one is an error of
/// this program, told as such, and mended all the same.
///
/// # Errors
/// The database is away.
pub async fn mend(ctx: &Ctx) -> Result<Turn, DbErr> {
    let tx = ctx.platform.db.write_tx().await?;
    let lines = store::orphans(&tx, ORPHANS).await?;
    if lines.is_empty() {
        return Ok(Turn::Idle);
    }
    store::lock_unfinished(&tx, &lines.iter().copied().collect()).await?;
    let now = ctx.platform.clock.now_ms();
    let vacated: Vec<Vacated> = lines
        .into_iter()
        .map(|(subscription_id, order_id)| Vacated {
            subscription_id,
            order_id,
            lease: 0,
            next_attempt_at: now,
        })
        .collect();
    let mended = store::promote(&tx, &vacated).await?;
    tx.commit().await?;
    for row in &mended {
        tracing::error!(
            delivery_id = row.delivery_id,
            order_id = row.order_id,
            "a delivery stood behind nothing; it goes on"
        );
    }
    Ok(if mended.is_empty() { Turn::Idle } else { Turn::Done })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_percent_of_the_budget() {
        let at = |percent: i64| level(0, FAILURE_BUDGET_MS / 100 * percent);
        assert_eq!(
            [at(0), at(49), at(50), at(69), at(70), at(89), at(90), at(99), at(100), at(1000)],
            [0, 0, 50, 50, 70, 70, 90, 90, 100, 100]
        );
        assert_eq!(level(10, 5), 0, "a clock that went back");
    }
}
