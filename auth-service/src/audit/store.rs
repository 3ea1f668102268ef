use platform::db::WriteTx;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Order, Query},
};

use super::rules::Cursor;
use crate::entities::audit_entry::{Column, Entity, Model};

/// Rows of one statement: 12 parameters each, below SQLite's limit of them.
const BATCH: usize = 500;

/// Which entries are asked for. Times in unix milliseconds.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub account_id: Option<i64>,
    pub action: Option<String>,
    pub target: Option<String>,
    pub target_id: Option<String>,
    pub request_id: Option<String>,
    pub from_ms: Option<i64>,
    pub until_ms: Option<i64>,
}

pub async fn insert(tx: &WriteTx, rows: &[Model]) -> Result<(), DbErr> {
    for batch in rows.chunks(BATCH) {
        let rows = batch.iter().map(|row| row.clone().into_active_model().reset_all());
        Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Deletes at most `limit` entries of changes before `before_ms`, oldest first; answers how many.
pub async fn forget(tx: &WriteTx, before_ms: i64, limit: u64) -> Result<u64, DbErr> {
    let oldest = Query::select()
        .column(Column::Id)
        .from(Entity)
        .and_where(Column::At.lt(before_ms))
        .order_by(Column::At, Order::Asc)
        .limit(limit)
        .to_owned();
    let gone = Entity::delete_many().filter(Column::Id.in_subquery(oldest)).exec(tx).await?;
    Ok(gone.rows_affected)
}

/// Entries behind `after` (none = from the newest), newest first. Every filter has an index that ends in (at, id),
/// so each page is one index range.
pub async fn page<C: ConnectionTrait>(
    conn: &C,
    filter: &Filter,
    after: Option<Cursor>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut query = Entity::find();
    if let Some(Cursor { at, id }) = after {
        let place = Expr::tuple([Expr::col(Column::At), Expr::col(Column::Id)]);
        query = query.filter(place.lt(Expr::tuple([Expr::val(at), Expr::val(id)])));
    }
    if let Some(ms) = filter.from_ms {
        query = query.filter(Column::At.gte(ms));
    }
    if let Some(ms) = filter.until_ms {
        query = query.filter(Column::At.lt(ms));
    }
    if let Some(account) = filter.account_id {
        query = query.filter(Column::ActorId.eq(account)).filter(Column::ActorKind.eq("account"));
    }
    let texts = [
        (Column::Action, &filter.action),
        (Column::Target, &filter.target),
        (Column::TargetId, &filter.target_id),
        (Column::RequestId, &filter.request_id),
    ];
    for (column, wanted) in texts {
        if let Some(text) = wanted {
            query = query.filter(column.eq(text.as_str()));
        }
    }
    query.order_by_desc(Column::At).order_by_desc(Column::Id).limit(limit).all(conn).await
}
