use contracts::{
    identity::{Actor, ActorKind},
    order_state::FulfilState,
};
use platform::{http::ApiError, seal::sha256_hex};
use sea_orm::DbErr;

use super::store;
use crate::{
    app::Ctx,
    entities::{goods as goods_row, orders, supplier_batch, supplier_key},
    goods,
    lifecycle::{By, Claim, Edit, LifecycleError, Span},
};

/// Orders read or handed out at a time: a transaction of some 30 ms.
const CHUNK: u64 = 1000;
/// A page that lies deeper than this is empty without a look.
const MAX_OFFSET: u64 = 10_000_000;
/// How long a batch number brings the same rows.
const BATCH_KEEP_MS: i64 = 86_400_000;

/// Why a supplier's call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SupplierError {
    #[error("the apikey is not valid")]
    BadKey,
    #[error("the apikey does not open these goods")]
    NotYourGoods,
    #[error("no such order of these goods")]
    NoSuchOrder,
    #[error("the batch id was used for other goods or another state")]
    OtherBatch,
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<SupplierError> for ApiError {
    fn from(e: SupplierError) -> Self {
        match e {
            SupplierError::BadKey => Self::unauthenticated("apikey 无效", "the apikey is not valid"),
            SupplierError::NotYourGoods => {
                Self::refused("该 apikey 无权访问此业务", "the apikey does not open these goods")
            }
            SupplierError::NoSuchOrder => Self::not_found("订单不存在", "no such order"),
            SupplierError::OtherBatch => Self::refused(
                "该 batch 已用于其他业务或状态",
                "this batch id was used for other goods or another state",
            ),
            SupplierError::Lifecycle(e) => e.into(),
            SupplierError::Db(e) => e.into(),
        }
    }
}

/// A key that was checked.
#[derive(Debug, Clone)]
pub struct Supplier {
    pub id: i64,
    pub actor: Actor,
    goods_ids: Vec<i64>,
}

impl Supplier {
    /// Whose key it is. Unknown, disabled and outdated keys are not told apart.
    pub async fn of(ctx: &Ctx, apikey: &str) -> Result<Self, SupplierError> {
        let hash = sha256_hex(apikey.as_bytes());
        let key = store::key_by_hash(&ctx.platform.db, &hash).await?.ok_or(SupplierError::BadKey)?;
        let alive = key.expires_at == 0 || ctx.platform.clock.now_ms() < key.expires_at;
        if !key.enabled || !alive {
            return Err(SupplierError::BadKey);
        }
        let supplier_key::Model { supplier_id: id, supplier_name: name, goods_ids, .. } = key;
        let goods_ids = serde_json::from_str(&goods_ids).unwrap_or_default();
        Ok(Self { id, actor: Actor { kind: ActorKind::Supplier, id, name }, goods_ids })
    }

    /// The goods, if this key opens them.
    pub async fn goods(&self, ctx: &Ctx, id: i64) -> Result<goods_row::Model, SupplierError> {
        self.check(id)?;
        goods::find(ctx.platform.db.conn(), id).await?.ok_or(SupplierError::NotYourGoods)
    }

    fn check(&self, goods_id: i64) -> Result<(), SupplierError> {
        if self.goods_ids.contains(&goods_id) { Ok(()) } else { Err(SupplierError::NotYourGoods) }
    }
}

/// What a download asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    pub goods_id: i64,
    pub state: FulfilState,
    /// Move `dlz` and `wks` on to `jxz` as they are handed out.
    pub take: bool,
    pub newest_first: bool,
    /// Rows to leave out at the start, and how many to send; `None` = all.
    pub offset: u64,
    pub limit: Option<u64>,
    /// The caller's own id of this call, "" = none.
    pub batch: String,
}

impl Wish {
    /// Only queued and not started orders are moved, whatever the caller says.
    fn takes(&self) -> bool {
        self.take && matches!(self.state, FulfilState::Queued | FulfilState::NotStarted)
    }
}

/// Where the rows come from.
#[derive(Debug, Clone)]
enum Source {
    /// Read, nothing changes.
    Read,
    /// Handed out as they are read.
    Take,
    /// Handed out under a batch that is opened with the first of them.
    TakeAs { batch_id: i64, fence: i64, opened: bool },
    /// Handed out before under this batch.
    Again(i64),
}

/// A download under way: chunk by chunk, each committed before it is answered.
pub struct HandOut {
    ctx: Ctx,
    supplier: Supplier,
    wish: Wish,
    source: Source,
    span: Span,
    handed: u64,
    ended: bool,
}

impl HandOut {
    /// Finds the place to start from.
    pub async fn open(ctx: &Ctx, supplier: Supplier, wish: Wish) -> Result<Self, SupplierError> {
        let db = &ctx.platform.db;
        let mut span = Span { above: 0, below: i64::MAX, newest_first: wish.newest_first };
        let source = match (wish.takes(), wish.batch.is_empty()) {
            (false, _) => Source::Read,
            (true, true) => Source::Take,
            (true, false) => batch(ctx, &supplier, &wish).await?,
        };
        let mut ended = wish.offset > MAX_OFFSET;
        if wish.offset > 0 && !ended && !matches!(source, Source::Again(_)) {
            match store::id_before(db, wish.goods_id, wish.state, span, wish.offset).await? {
                Some(id) => span = span.behind(id),
                None => ended = true,
            }
        }
        let taking = matches!(source, Source::Take | Source::TakeAs { .. });
        if taking && !ended && !store::any_work(db, wish.goods_id, wish.state).await? {
            // The usual answer to a poll: one probe, and no transaction.
            ended = true;
        }
        Ok(Self { ctx: ctx.clone(), supplier, wish, source, span, handed: 0, ended })
    }

    /// The next chunk; empty = that was all.
    pub async fn next(&mut self) -> Result<Vec<orders::Model>, SupplierError> {
        let left = self.wish.limit.map_or(CHUNK, |limit| limit - self.handed).min(CHUNK);
        if self.ended || left == 0 {
            return Ok(Vec::new());
        }
        let Wish { goods_id, state, .. } = self.wish;
        let db = &self.ctx.platform.db;
        let rows = match self.source {
            Source::Read => store::work_rows(db, goods_id, state, self.span, left).await?,
            Source::Again(batch) => store::batch_rows(db, batch, self.span, left).await?,
            Source::Take | Source::TakeAs { .. } => self.take(left).await?,
        };
        self.handed += rows.len() as u64;
        self.ended = (rows.len() as u64) < left;
        if let Some(last) = rows.last() {
            self.span = self.span.behind(last.id);
        }
        Ok(rows)
    }

    /// How many match: with pages all of them, else those that were sent.
    pub async fn total(&self) -> Result<u64, SupplierError> {
        let Wish { goods_id, state, offset, limit, .. } = self.wish;
        let (Some(limit), false) = (limit, matches!(self.source, Source::Again(_))) else {
            return Ok(self.handed);
        };
        let db = &self.ctx.platform.db;
        let short = self.handed < limit && (self.handed > 0 || offset == 0);
        match self.source {
            Source::Read if short => Ok(offset + self.handed),
            Source::Read => Ok(store::count_work(db, goods_id, state).await?),
            // What was handed out no longer stands in the state that is counted.
            _ if short && offset == 0 => Ok(self.handed),
            _ => Ok(store::count_work(db, goods_id, state).await? + self.handed),
        }
    }

    /// Hands out up to `limit` orders in a transaction of their own.
    async fn take(&mut self, limit: u64) -> Result<Vec<orders::Model>, SupplierError> {
        let tx = self.ctx.platform.db.write_tx().await?;
        let mut batch_id = 0;
        if let Source::TakeAs { batch_id: id, fence, opened } = self.source {
            batch_id = id;
            if opened {
                // A repeat of this batch has been answered meanwhile: what it did not see stays in the pool.
                if !store::holds_batch(&tx, id, fence).await? {
                    return Ok(Vec::new());
                }
            } else if !self.open_batch(&tx, id).await? {
                tx.rollback().await?;
                self.source = batch(&self.ctx, &self.supplier, &self.wish).await?;
                let Source::Again(batch) = self.source else { return Err(SupplierError::OtherBatch) };
                return Ok(store::batch_rows(&self.ctx.platform.db, batch, self.span, limit).await?);
            }
        }
        let claim = Claim {
            goods_id: self.wish.goods_id,
            from: self.wish.state,
            span: self.span,
            limit,
            supplier_id: self.supplier.id,
            batch_id,
            lease_until: 0,
        };
        let rows = self.ctx.lifecycle.claim(&tx, &claim, &self.supplier.actor).await?;
        if rows.is_empty() {
            // Nothing handed out, no batch opened.
            tx.rollback().await?;
            return Ok(rows);
        }
        tx.commit().await?;
        if let Source::TakeAs { opened, .. } = &mut self.source {
            *opened = true;
        }
        Ok(rows)
    }

    async fn open_batch(&self, tx: &platform::db::WriteTx, id: i64) -> Result<bool, DbErr> {
        let now = self.ctx.platform.clock.now_ms();
        let row = supplier_batch::Model {
            id,
            supplier_id: self.supplier.id,
            batch_no: self.wish.batch.clone(),
            goods_id: self.wish.goods_id,
            from_state: self.wish.state.into(),
            fence: 1,
            lease_until: 0,
            acked_at: 0,
            created_at: now,
        };
        store::open_batch(tx, &row, now - BATCH_KEEP_MS).await
    }
}

impl Span {
    fn behind(self, id: i64) -> Self {
        if self.newest_first { Self { below: id, ..self } } else { Self { above: id, ..self } }
    }
}

/// A batch number that was used within a day brings its rows again; whoever still streams them stops.
async fn batch(ctx: &Ctx, supplier: &Supplier, wish: &Wish) -> Result<Source, SupplierError> {
    let db = &ctx.platform.db;
    let now = ctx.platform.clock.now_ms();
    let fresh = Source::TakeAs { batch_id: ctx.platform.ids.next(), fence: 1, opened: false };
    let Some(known) = store::find_batch(db.conn(), supplier.id, &wish.batch).await? else { return Ok(fresh) };
    if known.created_at <= now - BATCH_KEEP_MS {
        return Ok(fresh);
    }
    if (known.goods_id, known.from_state) != (wish.goods_id, wish.state.into()) {
        return Err(SupplierError::OtherBatch);
    }
    let tx = db.write_tx().await?;
    store::fence_batch(&tx, known.id).await?;
    tx.commit().await?;
    Ok(Source::Again(known.id))
}

/// Applies an edit to an order of goods the key opens. `goods_id` is checked when it was sent. A move to
/// `ytd` is a refund.
pub async fn edit(
    ctx: &Ctx,
    supplier: &Supplier,
    order_id: i64,
    goods_id: Option<i64>,
    edit: Edit,
) -> Result<(), SupplierError> {
    let tx = ctx.platform.db.write_tx().await?;
    let order = match ctx.lifecycle.lock(&tx, order_id).await {
        Err(LifecycleError::NotFound) => return Err(SupplierError::NoSuchOrder),
        other => other?,
    };
    let named = goods_id.is_none_or(|id| id == order.goods_id);
    if !named || supplier.check(order.goods_id).is_err() {
        return Err(SupplierError::NoSuchOrder);
    }
    let by = By { actor: &supplier.actor, reason: "" };
    if edit.state == Some(FulfilState::Refunded) {
        ctx.lifecycle.refund(&tx, order, edit.now_num, by).await?;
    } else {
        ctx.lifecycle.edit(&tx, order, edit, by).await?;
    }
    tx.commit().await?;
    Ok(())
}
