//! Leased batches of the clean entry: a claim is the supplier's for a while; silence gives it back.

use contracts::{identity::Actor, order_state::FulfilState};
use platform::seal::random_token;

use super::{access::Supplier, hand_out::BATCH_KEEP_MS, service::SupplierError, store};
use crate::{
    app::Ctx,
    entities::{orders, supplier_batch},
    lifecycle::{By, Claim, Release, Span},
};

/// What a supplier wants to take.
#[derive(Debug, Clone)]
pub struct ClaimWish {
    pub goods_id: i64,
    pub state: FulfilState,
    pub newest_first: bool,
    pub limit: u64,
    pub lease_seconds: i64,
    /// The supplier's own number of the call; `None` = one of ours.
    pub batch_no: Option<String>,
}

/// What it got.
#[derive(Debug)]
pub struct Leased {
    pub batch_no: String,
    /// Unix milliseconds; 0 = nothing was taken, or it is confirmed already.
    pub lease_until: i64,
    pub orders: Vec<orders::Model>,
}

/// Takes orders under a lease. A repeat with the same number brings the same orders again, as far as they
/// are still this batch's.
pub async fn claim(ctx: &Ctx, supplier: &Supplier, wish: &ClaimWish) -> Result<Leased, SupplierError> {
    let db = &ctx.platform.db;
    let batch_no = wish.batch_no.clone().unwrap_or_else(|| format!("b-{}", random_token(12)));
    if wish.batch_no.is_some()
        && let Some(again) = repeat(ctx, supplier, wish, &batch_no).await?
    {
        return Ok(again);
    }
    if !store::any_work(db, wish.goods_id, wish.state).await? {
        return Ok(Leased { batch_no, lease_until: 0, orders: Vec::new() });
    }
    let now = ctx.platform.clock.now_ms();
    let batch = supplier_batch::Model {
        id: ctx.platform.ids.next(),
        supplier_id: supplier.id,
        batch_no: batch_no.clone(),
        goods_id: wish.goods_id,
        from_state: wish.state.into(),
        fence: 1,
        lease_until: now + 1000 * wish.lease_seconds,
        acked_at: 0,
        created_at: now,
    };
    let tx = db.write_tx().await?;
    if !store::open_batch(&tx, &batch, now - BATCH_KEEP_MS).await? {
        tx.rollback().await?;
        // The same call twice at once: the other one has it.
        return repeat(ctx, supplier, wish, &batch_no).await?.ok_or(SupplierError::OtherBatch);
    }
    let claim = Claim {
        goods_id: wish.goods_id,
        from: wish.state,
        span: Span { above: 0, below: i64::MAX, newest_first: wish.newest_first },
        limit: wish.limit,
        supplier_id: supplier.id,
        batch_id: batch.id,
        lease_until: batch.lease_until,
    };
    let orders = ctx.lifecycle.claim(&tx, &claim, &supplier.actor).await?;
    if orders.is_empty() {
        tx.rollback().await?;
        return Ok(Leased { batch_no, lease_until: 0, orders });
    }
    tx.commit().await?;
    Ok(Leased { batch_no, lease_until: batch.lease_until, orders })
}

async fn repeat(
    ctx: &Ctx,
    supplier: &Supplier,
    wish: &ClaimWish,
    batch_no: &str,
) -> Result<Option<Leased>, SupplierError> {
    let db = &ctx.platform.db;
    let since = ctx.platform.clock.now_ms() - BATCH_KEEP_MS;
    let known = store::find_batch(db.conn(), supplier.id, batch_no).await?;
    let Some(batch) = known.filter(|b| b.created_at > since) else { return Ok(None) };
    if (batch.goods_id, batch.from_state) != (wish.goods_id, wish.state.into()) || batch.lease_until == 0 {
        return Err(SupplierError::OtherBatch);
    }
    let span = Span { above: 0, below: i64::MAX, newest_first: wish.newest_first };
    let orders = store::batch_rows(db, batch.id, span, 1000).await?;
    let lease_until = if batch.acked_at > 0 { 0 } else { batch.lease_until };
    Ok(Some(Leased { batch_no: batch.batch_no, lease_until, orders }))
}

/// Confirms a batch: its orders stay with the supplier. A repeat is as good as the first.
pub async fn ack(ctx: &Ctx, supplier: &Supplier, batch_no: &str) -> Result<u64, SupplierError> {
    let tx = ctx.platform.db.write_tx().await?;
    let batch = store::lock_batch(&tx, supplier.id, batch_no).await?.ok_or(SupplierError::NoSuchBatch)?;
    if batch.acked_at > 0 {
        return Ok(0);
    }
    let kept = ctx.lifecycle.end_lease(&tx, batch.id).await?;
    if kept == 0 {
        return Err(SupplierError::LeaseOver);
    }
    store::mark_acked(&tx, batch.id, ctx.platform.clock.now_ms()).await?;
    tx.commit().await?;
    Ok(kept)
}

/// Gives orders of a batch back to where they were taken from, as far as nobody moved them on; `only` names
/// some of them. Answers how many went back.
pub async fn give_back(
    ctx: &Ctx,
    supplier: &Supplier,
    batch_no: &str,
    only: Option<&[i64]>,
) -> Result<usize, SupplierError> {
    let tx = ctx.platform.db.write_tx().await?;
    let batch = store::lock_batch(&tx, supplier.id, batch_no).await?.ok_or(SupplierError::NoSuchBatch)?;
    let from = FulfilState::try_from(batch.from_state).unwrap_or(FulfilState::NotStarted);
    let only = only.map(|ids| serde_json::Value::from(ids).to_string());
    let which = Release::Batch { id: batch.id, only: only.as_deref() };
    let by = By { actor: &supplier.actor, reason: "" };
    let released = ctx.lifecycle.release(&tx, which, from, by).await?;
    tx.commit().await?;
    Ok(released)
}

/// Gives back a batch of the orders whose lease ran out; answers how many.
pub async fn expire(ctx: &Ctx, limit: u64) -> Result<usize, SupplierError> {
    let tx = ctx.platform.db.write_tx().await?;
    let by = By { actor: &Actor::system("lease"), reason: "" };
    let mut released = 0;
    for from in [FulfilState::Queued, FulfilState::NotStarted] {
        released += ctx.lifecycle.release(&tx, Release::Expired { limit }, from, by).await?;
    }
    tx.commit().await?;
    Ok(released)
}
