//! A request made on demand: a test with a good signature, or a probe with a wrong one on purpose. A receiver that
//! acknowledges a wrong signature does not check it, and anybody can tell it anything.
//!
//! Neither is a delivery: nothing is queued and nothing is tried again.

use contracts::events::OrderStateChanged;
use platform::{
    audit::{self, Change, Who},
    clock, seal, telemetry,
};
use sea_orm::DbErr;
use secrecy::SecretString;
use serde_json::json;

use super::{
    dialects::SigningKey,
    rules::Reply,
    sender::{Bodies, Exchange},
    target::Target,
};
use crate::{
    changes::rules::{self, Privacy},
    ctx::Ctx,
    entities::subscription::Model,
    subscriptions::{service::TARGET, store},
    wire::seconds,
};

/// What a probe found, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeResult {
    /// It refused the wrong signature.
    Checks,
    /// It acknowledged it.
    AcceptsAnything,
    NoAnswer,
}

impl ProbeResult {
    pub fn word(self) -> &'static str {
        match self {
            Self::Checks => "checks",
            Self::AcceptsAnything => "accepts_anything",
            Self::NoAnswer => "no_answer",
        }
    }
}

/// Sends a made-up change, signed as a real one. The audit tells what came back.
///
/// # Errors
/// The audit cannot be told.
pub async fn test(ctx: &Ctx, who: &Who, row: &Model) -> Result<Exchange, DbErr> {
    let target = Target::read(row, &ctx.platform.sealer, ctx.engine.policy());
    let bodies = made_up(ctx, "test")?;
    let exchange = ctx.engine.send_now(&target, &bodies).await;
    let tx = ctx.platform.db.write_tx().await?;
    let met = json!({
        "acknowledged": exchange.reply == Reply::Acknowledged, "http_status": exchange.http_status,
        "error": exchange.error,
    });
    let change = Change::new("subscription.test", TARGET, row.id).after(&met);
    audit::record(&ctx.platform, &tx, who, change).await?;
    tx.commit().await?;
    Ok(exchange)
}

/// Sends a made-up change with signatures nobody can have made, and keeps what that shows.
///
/// # Errors
/// The result cannot be stored.
pub async fn probe(ctx: &Ctx, who: &Who, row: &Model) -> Result<(ProbeResult, Exchange), DbErr> {
    let mut target = Target::read(row, &ctx.platform.sealer, ctx.engine.policy());
    target.key = Some(SigningKey::random());
    target.old_key = None;
    target.old_api_token = None;
    target.asymmetric = false;
    target.api_token = Some(SecretString::from(seal::random_token(24)));
    let bodies = made_up(ctx, "probe")?;
    let exchange = ctx.engine.send_now(&target, &bodies).await;
    let result = match exchange.reply {
        Reply::Acknowledged => ProbeResult::AcceptsAnything,
        _ if exchange.http_status == 0 => ProbeResult::NoAnswer,
        _ => ProbeResult::Checks,
    };
    let tx = ctx.platform.db.write_tx().await?;
    let now = ctx.platform.clock.now_ms();
    store::save_probe(&tx, row.id, result.word(), now).await?;
    let view = |result: &str, at_ms: i64| json!({ "probe_result": result, "probed_at": seconds(at_ms) });
    let change = Change::new("subscription.probe", TARGET, row.id)
        .before(&view(&row.probe_result, row.probed_at))
        .after(&view(result.word(), now));
    audit::record(&ctx.platform, &tx, who, change).await?;
    tx.commit().await?;
    Ok((result, exchange))
}

/// The bytes of a change of an order that does not exist.
fn made_up(ctx: &Ctx, kind: &str) -> Result<Bodies, DbErr> {
    let now = ctx.platform.clock.now_ms();
    let event_id = format!("{kind}_{}", ctx.platform.ids.next());
    let change = json!({
        "order": {
            "id": 0, "number": "TEST", "outer_id": "TEST", "partner_id": 0, "distributor_id": 0,
            "customer": {"id": 0, "nick_name": "", "avatar": "", "mobile": ""},
            "goods": {"id": 0, "kind": "service", "title": "测试 / test", "report_id": 0, "cover": "", "price_fen": 0},
            "size": 1, "total_fen": 0, "refund_fen": 0, "refund_due_fen": 0, "state": 3, "fulfil_state": 3,
            "payment": {"source": 0, "channel": 0, "third_trade_num": "", "third_trade_identity": ""},
            "checkout_at": now, "expire_at": 0, "paid_at": now, "fulfilled_at": now, "updated_at": now,
            "start_num": 0, "now_num": 0, "end_num": 0, "remark": "",
        },
        "previous": {"state": 3, "fulfil_state": 2}, "event": kind, "order_seq": 1,
        "actor": {"kind": "system", "id": 0, "name": "callbacks"}, "reason": "",
    });
    let broken = |e: serde_json::Error| DbErr::Custom(format!("a made-up change: {e}"));
    let change: OrderStateChanged = serde_json::from_value(change).map_err(broken)?;
    let said =
        rules::Said { event_id: &event_id, kind: "callback.test", time: &clock::rfc3339(now), at_ms: now };
    Ok(Bodies {
        standard: rules::standard_body(&said, &change, Privacy::Masked).map_err(broken)?,
        gth: rules::gth_body(&said, &change),
        event_id,
        traceparent: telemetry::current_traceparent().unwrap_or_default(),
    })
}
