//! What both channels do.

use std::collections::HashSet;

use contracts::events::KeyUsed;
use platform::db::{Db, WriteTx};
use sea_orm::DbErr;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    access::Entrant,
    push,
    rules::{Channel, LOOK_BACK_MS, PAGE, Params, Span},
    store::{self, MarkOf},
};
use crate::{
    changes::{
        rules::{self as change_rules, OWN, Privacy},
        store::{self as feed, Line, Whose},
    },
    ctx::Ctx,
    delivery::{
        intake::{self, Handoff, Wanted},
        recovery,
    },
    entities::subscription::Model,
    partners,
    subscriptions::{
        self,
        rules::Dialect,
        service::{Changes, NewSubscription, Origin, SubscriptionError},
    },
};

/// auth-service is told that a key is in use at most this often.
const TELL_EVERY_MS: i64 = 5 * 60_000;
/// Changes that one registration or one replayed window sends at most.
const REPLAYED: usize = 10_000;

/// Why a sync failed.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    #[error(transparent)]
    Subscription(#[from] SubscriptionError),
    #[error("a stored row cannot be read: {0}")]
    Row(#[from] serde_json::Error),
    #[error(transparent)]
    Db(#[from] DbErr),
}

/// The answer of channel 1.
#[derive(Debug, Serialize)]
pub struct Orders {
    pub batch_no: String,
    pub total: usize,
    /// Call again.
    pub has_more: bool,
    pub list: Vec<Map<String, Value>>,
    /// Where a window goes on: the `cursor` of the next call. "" otherwise.
    pub next_cursor: String,
}

/// The answer of channel 2.
#[derive(Debug, Serialize)]
pub struct Registered {
    pub subscription_id: i64,
    pub status: String,
    pub replayed: usize,
}

/// Channel 1: orders, in the answer and, with an api_url, pushed there in batches.
pub async fn orders(ctx: &Ctx, who: &Entrant, params: &Params) -> Result<Orders, SyncError> {
    if !params.api_url.is_empty() {
        ctx.engine.policy().check_url(&params.api_url).map_err(SubscriptionError::from)?;
    }
    let whose = Whose { partner_id: who.partner.id, source: params.source };
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    let (mut lines, mut next_cursor) = (Vec::new(), String::new());
    if let Some(Span { first_ms, last_ms }) = params.window(ctx.platform.tz, now) {
        let behind = params.cursor.unwrap_or((i64::MIN, 0));
        let mut found = feed::placed_between(&tx, whose, (first_ms, last_ms), behind, PAGE + 1).await?;
        if found.len() > PAGE {
            found.truncate(PAGE);
            next_cursor = found.last().map(|(_, (at, seq))| format!("{at}-{seq}")).unwrap_or_default();
        }
        lines.extend(found.into_iter().map(|(line, _)| line));
    } else {
        let mark = mark_of(who, params);
        let after = store::lock_mark(&tx, &mark).await?.max(seven_days_ago(&tx, now).await?);
        lines = feed::newest_after(&tx, whose, after, PAGE + 1).await?;
        if let Some(last) = lines.get(PAGE.min(lines.len()).wrapping_sub(1)) {
            store::move_mark(&tx, &mark, last.seq).await?;
        }
    }
    let has_more = lines.len() > PAGE || !next_cursor.is_empty();
    lines.truncate(PAGE);
    let privacy = Privacy::from_word(&who.partner.privacy);
    let list: Vec<Map<String, Value>> =
        lines.iter().map(|line| row(line, privacy)).collect::<Result<_, _>>()?;
    let batch_no = format!("B{}", ctx.platform.ids.next());
    let mut handoff = Handoff::default();
    if !params.api_url.is_empty() && !list.is_empty() {
        handoff = push::enqueue(ctx, &tx, who, params, &batch_no, &list).await?;
    }
    tell_used(ctx, &tx, who, now).await?;
    tx.commit().await?;
    ctx.engine.subscriptions_changed();
    ctx.engine.accept(handoff);
    Ok(Orders { batch_no, total: list.len(), has_more, list, next_cursor })
}

/// Channel 2: registers the callback of this type, and sends what changed meanwhile or in the window.
pub async fn register(ctx: &Ctx, who: &Entrant, params: &Params) -> Result<Registered, SyncError> {
    ctx.engine.policy().check_url(&params.api_url).map_err(SubscriptionError::from)?;
    let whose = Whose { partner_id: who.partner.id, source: params.source };
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    // The consumer takes this lock before it looks for subscriptions: a change is either behind `head` and sent
    // here, or it finds the subscription.
    let head = feed::lock_feed(&tx).await?;
    let subscription = registered(ctx, &tx, who, params).await?;
    let mark = mark_of(who, params);
    let seen = store::lock_mark(&tx, &mark).await?;
    let (handoff, replayed) = match params.window(ctx.platform.tz, now) {
        Some(Span { first_ms, last_ms }) => {
            let lines = feed::happened_between(&tx, whose, (0, head), (first_ms, last_ms), REPLAYED).await?;
            let replay: Vec<Wanted> = lines.iter().map(|line| wanted(&subscription, line)).collect();
            (recovery::replay(ctx, &tx, &subscription, replay).await?, lines.len())
        }
        None => {
            let after = seen.max(seven_days_ago(&tx, now).await?);
            let lines = feed::newest_after(&tx, whose, after, REPLAYED).await?;
            let seqs: Vec<i64> = lines.iter().map(|line| line.seq).collect();
            let missing: HashSet<i64> =
                store::undelivered(&tx, subscription.id, &seqs).await?.into_iter().collect();
            let missing: Vec<Wanted> = lines
                .iter()
                .filter(|l| missing.contains(&l.seq))
                .map(|line| wanted(&subscription, line))
                .collect();
            let mark_at = if lines.len() < REPLAYED { head } else { seqs.last().copied().unwrap_or(head) };
            store::move_mark(&tx, &mark, mark_at).await?;
            let replayed = missing.len();
            (intake::enqueue(ctx, &tx, missing, |_| None, None).await?, replayed)
        }
    };
    tell_used(ctx, &tx, who, now).await?;
    tx.commit().await?;
    ctx.engine.subscriptions_changed();
    ctx.engine.accept(handoff);
    Ok(Registered { subscription_id: subscription.id, status: subscription.status, replayed })
}

fn mark_of(who: &Entrant, params: &Params) -> MarkOf {
    MarkOf {
        key_id: who.key.root_id,
        channel: params.channel.number(),
        source: params.source,
        url_sha256: params.url_sha256(),
    }
}

/// The feed's number before everything that came in during the last seven days.
async fn seven_days_ago(tx: &WriteTx, now: i64) -> Result<i64, DbErr> {
    let day = change_rules::unix_day(now - LOOK_BACK_MS);
    Ok(feed::seq_before_day(tx, day).await?.unwrap_or(i64::MAX))
}

/// Up to which number a mark says nothing any more: no call, now or later, would look as far back without it. A day
/// to spare, for replicas whose clocks differ.
pub async fn marks_spent_until(db: &Db, now: i64) -> Result<i64, DbErr> {
    // In this order: what comes in between is behind the head, and so is a mark that has seen it.
    let head = feed::last_seq(db.conn()).await?;
    let day = change_rules::unix_day(now - LOOK_BACK_MS) - 1;
    Ok(feed::seq_before_day(db.conn(), day).await?.unwrap_or(head))
}

/// The row of an order as the partner may see it today.
fn row(line: &Line, privacy: Privacy) -> Result<Map<String, Value>, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Stored {
        data: Map<String, Value>,
    }
    let Stored { mut data } = serde_json::from_str(&line.standard)?;
    let (nick_name, mobile) = change_rules::shown(&line.nick_name, &line.mobile, privacy);
    data.insert("nick_name".into(), nick_name.into());
    data.insert("mobile".into(), mobile.into());
    Ok(data)
}

fn wanted(subscription: &Model, line: &Line) -> Wanted {
    Wanted {
        subscription_id: subscription.id,
        partner_id: subscription.partner_id,
        change_seq: line.seq,
        order_id: line.order_id,
        order_seq: line.order_seq,
        latest_wins: subscription.latest_wins,
    }
}

/// The partner's subscription of this type, made or brought up to date.
async fn registered(
    ctx: &Ctx,
    tx: &WriteTx,
    who: &Entrant,
    params: &Params,
) -> Result<Model, SubscriptionError> {
    let own = params.source == OWN;
    match store::made_here(tx, who.partner.id, params.source).await? {
        Some(there) => brought_up_to_date(ctx, tx, who, there, params).await,
        None => {
            let new = dropped_in(who, params, (own, !own), Origin::DropIn);
            subscriptions::service::create_in(ctx, tx, &who.who, new).await.map(|(made, _)| made)
        }
    }
}

/// The subscription with this call's address and token, touched only if one of them is new.
pub(super) async fn brought_up_to_date(
    ctx: &Ctx,
    tx: &WriteTx,
    who: &Entrant,
    there: Model,
    params: &Params,
) -> Result<Model, SubscriptionError> {
    let url = (there.url != params.api_url).then(|| params.api_url.clone());
    let sealer = &ctx.platform.sealer;
    let api_token =
        params.api_token.clone().filter(|t| !subscriptions::service::has_token(sealer, &there, t));
    if url.is_none() && api_token.is_none() {
        return Ok(there);
    }
    let changes = Changes { url, api_token, ..Changes::default() };
    subscriptions::service::modify_in(ctx, tx, &who.who, there, changes).await
}

/// A subscription as this entry makes it.
pub(super) fn dropped_in(
    who: &Entrant,
    params: &Params,
    types: (bool, bool),
    origin: Origin,
) -> NewSubscription {
    NewSubscription {
        partner_id: who.partner.id,
        url: params.api_url.clone(),
        dialect: Dialect::Gth,
        own_orders: types.0,
        distributor_orders: types.1,
        events: Vec::new(),
        api_token: params.api_token.clone(),
        rate_limit: 0,
        latest_wins: false,
        asymmetric: false,
        paused: false,
        origin,
    }
}

/// Lets auth-service know that the key is alive, so that people see it.
async fn tell_used(ctx: &Ctx, tx: &WriteTx, who: &Entrant, now: i64) -> Result<(), DbErr> {
    let due = now - TELL_EVERY_MS;
    if who.key.told_used_at >= due || !partners::store::tell_used(tx, who.key.id, now, due).await? {
        return Ok(());
    }
    let used = KeyUsed { key_id: who.key.id, at: now, sign: who.signed.word().into() };
    ctx.platform.outbox.append(tx, who.key.id.to_string(), &used).await.map(|_| ())
}

/// Both channels behind one door.
pub async fn sync(ctx: &Ctx, who: &Entrant, params: &Params) -> Result<Value, SyncError> {
    Ok(match params.channel {
        Channel::Orders => serde_json::to_value(orders(ctx, who, params).await?)?,
        Channel::Callback => serde_json::to_value(register(ctx, who, params).await?)?,
    })
}
