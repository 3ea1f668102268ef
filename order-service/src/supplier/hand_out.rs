//! Downloads: which orders, in which chunks, handed out or only read.

use contracts::order_state::FulfilState;
use sea_orm::DbErr;

use super::{access::Supplier, service::SupplierError, store};
use crate::{
    app::Ctx,
    entities::{orders, supplier_batch},
    lifecycle::{Claim, Span},
};

/// Orders read or handed out at a time: a transaction of some 30 ms.
const CHUNK: u64 = 1000;
/// A page that lies deeper than this is empty without a look.
const MAX_OFFSET: u64 = 10_000_000;
/// How long a batch number brings the same rows.
pub const BATCH_KEEP_MS: i64 = 86_400_000;

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
        let fresh = !matches!(source, Source::Again(_));
        // The usual answer to a poll: one probe, no plan to make and no transaction.
        let idle = fresh && !store::any_work(db, wish.goods_id, wish.state).await?;
        let mut ended = idle || wish.offset > MAX_OFFSET;
        if wish.offset > 0 && !ended && fresh {
            match store::id_before(db, wish.goods_id, wish.state, span, wish.offset).await? {
                Some(id) => span = span.behind(id),
                None => ended = true,
            }
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
    /// What comes after this order.
    pub fn behind(self, id: i64) -> Self {
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
