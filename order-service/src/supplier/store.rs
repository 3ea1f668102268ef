use contracts::order_state::FulfilState;
use platform::db::{Db, WriteTx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait,
    IntoActiveModel, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select, Statement, Value,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    entities::{
        orders::{self, Column},
        supplier_batch, supplier_key,
    },
    lifecycle::Span,
};

/// Keeps what an event says of a key, unless something newer is known.
pub(super) async fn keep_key(tx: &WriteTx, row: &supplier_key::Model) -> Result<(), DbErr> {
    let sql = "INSERT INTO supplier_key
            (key_id, version, supplier_id, supplier_name, goods_ids, key_sha256, enabled, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (key_id) DO UPDATE SET
            version = excluded.version, supplier_id = excluded.supplier_id, supplier_name = excluded.supplier_name,
            goods_ids = excluded.goods_ids, key_sha256 = excluded.key_sha256, enabled = excluded.enabled,
            expires_at = excluded.expires_at
        WHERE supplier_key.version < excluded.version";
    let values = [
        row.key_id.into(),
        row.version.into(),
        row.supplier_id.into(),
        row.supplier_name.as_str().into(),
        row.goods_ids.as_str().into(),
        row.key_sha256.as_str().into(),
        row.enabled.into(),
        row.expires_at.into(),
    ];
    tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await.map(|_| ())
}

pub(super) async fn key_by_hash(db: &Db, sha256: &str) -> Result<Option<supplier_key::Model>, DbErr> {
    supplier_key::Entity::find().filter(supplier_key::Column::KeySha256.eq(sha256)).one(db.conn()).await
}

/// Notes that a key is in use, unless that was noted after `before`.
pub(super) async fn mark_used(tx: &WriteTx, key_id: i64, now: i64, before: i64) -> Result<bool, DbErr> {
    let done = supplier_key::Entity::update_many()
        .col_expr(supplier_key::Column::UsedAt, Expr::val(now))
        .filter(supplier_key::Column::KeyId.eq(key_id))
        .filter(supplier_key::Column::UsedAt.lte(before))
        .exec(tx)
        .await?;
    Ok(done.rows_affected == 1)
}

/// The orders of these goods in this state: what `orders_work` is made for.
fn work(goods_id: i64, state: FulfilState) -> Condition {
    Condition::all().add(Column::GoodsId.eq(goods_id)).add(Column::FulfilState.eq(i16::from(state)))
}

/// [`work`] within the span, in its order; as `lifecycle::Claim` has it, PostgreSQL must find that in `orders_work`.
fn work_within(
    db: &Db,
    query: Select<orders::Entity>,
    goods_id: i64,
    state: FulfilState,
    span: Span,
) -> Select<orders::Entity> {
    if !db.is_postgres() {
        return within(query.filter(work(goods_id, state)), span);
    }
    let goods = Expr::cust_with_values("goods_id = ANY($1)", [Value::from(vec![goods_id])]);
    let query = query.filter(goods).filter(Column::FulfilState.eq(i16::from(state)));
    within(query.order_by(Column::GoodsId, direction(span)), span)
}

fn direction(span: Span) -> Order {
    if span.newest_first { Order::Desc } else { Order::Asc }
}

fn within(query: Select<orders::Entity>, span: Span) -> Select<orders::Entity> {
    query
        .filter(Column::Id.gt(span.above))
        .filter(Column::Id.lt(span.below))
        .order_by(Column::Id, direction(span))
}

/// The next `limit` of them.
pub(super) async fn work_rows(
    db: &Db,
    goods_id: i64,
    state: FulfilState,
    span: Span,
    limit: u64,
) -> Result<Vec<orders::Model>, DbErr> {
    work_within(db, orders::Entity::find(), goods_id, state, span).limit(limit).all(db.conn()).await
}

/// The newest orders of these goods that are in work, whatever their state.
pub(super) async fn newest(db: &Db, goods_id: i64, limit: u64) -> Result<Vec<orders::Model>, DbErr> {
    let mut rows = Vec::new();
    let span = Span { above: 0, below: i64::MAX, newest_first: true };
    // One probe per state: the index leads with it.
    for state in FulfilState::ALL {
        rows.extend(work_rows(db, goods_id, state, span, limit).await?);
    }
    rows.sort_unstable_by_key(|o| -o.id);
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(rows)
}

/// Is there any? One probe, without a lock.
pub(super) async fn any_work(db: &Db, goods_id: i64, state: FulfilState) -> Result<bool, DbErr> {
    let conn = db.keeping_plans();
    let statement = poll_statement(conn.get_database_backend(), goods_id, state);
    Ok(conn.query_one_raw(statement).await?.is_some())
}

/// The statement of a poll: a row when there is work. In no order: that would have PostgreSQL walk a month until it meets
/// some. Shown for the test of its plan.
pub fn poll_statement(backend: DbBackend, goods_id: i64, state: FulfilState) -> Statement {
    let sql = "SELECT 1 AS found FROM orders WHERE goods_id = $1 AND fulfil_state = $2 LIMIT 1";
    Statement::from_sql_and_values(backend, sql, [goods_id.into(), i16::from(state).into()])
}

pub(super) async fn count_work(db: &Db, goods_id: i64, state: FulfilState) -> Result<u64, DbErr> {
    orders::Entity::find().filter(work(goods_id, state)).count(db.conn()).await
}

/// The id of the last order before `offset`, so that what follows it can be sought by key.
pub(super) async fn id_before(
    db: &Db,
    goods_id: i64,
    state: FulfilState,
    span: Span,
    offset: u64,
) -> Result<Option<i64>, DbErr> {
    let ids = orders::Entity::find().select_only().column(Column::Id);
    let query = work_within(db, ids, goods_id, state, span);
    query.offset(offset.saturating_sub(1)).limit(1).into_tuple().one(db.conn()).await
}

/// The next `limit` orders of a batch that was handed out before.
pub(super) async fn batch_rows(
    db: &Db,
    batch_id: i64,
    span: Span,
    limit: u64,
) -> Result<Vec<orders::Model>, DbErr> {
    let query = orders::Entity::find().filter(Column::BatchId.eq(batch_id)).filter(Column::BatchId.gt(0));
    within(query, span).limit(limit).all(db.conn()).await
}

pub(super) async fn find_batch<C: ConnectionTrait>(
    conn: &C,
    supplier_id: i64,
    batch_no: &str,
) -> Result<Option<supplier_batch::Model>, DbErr> {
    supplier_batch::Entity::find()
        .filter(supplier_batch::Column::SupplierId.eq(supplier_id))
        .filter(supplier_batch::Column::BatchNo.eq(batch_no))
        .one(conn)
        .await
}

/// Opens a batch under its number, in place of one from before `since`; false when a younger one stands there.
pub(super) async fn open_batch(
    tx: &WriteTx,
    batch: &supplier_batch::Model,
    since: i64,
) -> Result<bool, DbErr> {
    supplier_batch::Entity::delete_many()
        .filter(supplier_batch::Column::SupplierId.eq(batch.supplier_id))
        .filter(supplier_batch::Column::BatchNo.eq(batch.batch_no.as_str()))
        .filter(supplier_batch::Column::CreatedAt.lte(since))
        .exec(tx)
        .await?;
    let done = supplier_batch::Entity::insert(batch.clone().into_active_model().reset_all())
        .on_conflict_do_nothing_on([supplier_batch::Column::SupplierId, supplier_batch::Column::BatchNo])
        .exec_without_returning(tx)
        .await?;
    Ok(matches!(done, sea_orm::TryInsertResult::Inserted(n) if n > 0))
}

/// Takes the batch away from whoever still streams it.
pub(super) async fn fence_batch(tx: &WriteTx, id: i64) -> Result<(), DbErr> {
    supplier_batch::Entity::update_many()
        .col_expr(supplier_batch::Column::Fence, Expr::col(supplier_batch::Column::Fence).add(1))
        .filter(supplier_batch::Column::Id.eq(id))
        .exec(tx)
        .await
        .map(|_| ())
}

/// Does the batch still stand at `fence`? Holds it there until the transaction ends.
pub(super) async fn holds_batch(tx: &WriteTx, id: i64, fence: i64) -> Result<bool, DbErr> {
    let batch = supplier_batch::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
    Ok(batch.is_some_and(|b| b.fence == fence))
}

/// A leased batch of this supplier under a lock.
pub(super) async fn lock_batch(
    tx: &WriteTx,
    supplier_id: i64,
    batch_no: &str,
) -> Result<Option<supplier_batch::Model>, DbErr> {
    supplier_batch::Entity::find()
        .filter(supplier_batch::Column::SupplierId.eq(supplier_id))
        .filter(supplier_batch::Column::BatchNo.eq(batch_no))
        .filter(supplier_batch::Column::LeaseUntil.gt(0))
        .lock_exclusive()
        .one(tx)
        .await
}

pub(super) async fn mark_acked(tx: &WriteTx, batch_id: i64, now: i64) -> Result<(), DbErr> {
    supplier_batch::Entity::update_many()
        .col_expr(supplier_batch::Column::AckedAt, Expr::val(now))
        .filter(supplier_batch::Column::Id.eq(batch_id))
        .exec(tx)
        .await
        .map(|_| ())
}

/// Did any lease run out? One probe of `orders_lease`.
pub(super) async fn any_lease_over(db: &Db, now: i64) -> Result<bool, DbErr> {
    let conn = db.keeping_plans();
    let sql = "SELECT 1 AS found FROM orders WHERE lease_until > 0 AND lease_until <= $1 ORDER BY lease_until LIMIT 1";
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [now.into()]);
    Ok(conn.query_one_raw(statement).await?.is_some())
}

/// Forgets batches made before `before` whose lease is over, a bounded number at a time.
pub(super) async fn purge_batches(tx: &WriteTx, before: i64, limit: u64) -> Result<u64, DbErr> {
    let sql = "DELETE FROM supplier_batch WHERE id IN (SELECT id FROM supplier_batch
        WHERE created_at < $1 AND lease_until < $1 ORDER BY created_at LIMIT $2)";
    let values = [before.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()];
    Ok(tx
        .execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values))
        .await?
        .rows_affected())
}
