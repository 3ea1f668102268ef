use std::collections::BTreeSet;

use platform::db::{Db, WriteTx};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select, Set,
};

use super::rules::Matcher;
use crate::{
    entities::subscription::{ActiveModel, Column, Entity, Model},
    sql,
};

/// Which subscriptions a caller asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// `None` = of all partners.
    pub partner_id: Option<i64>,
    pub status: Option<&'static str>,
}

fn living() -> Select<Entity> {
    Entity::find().filter(Column::DeletedAt.eq(0))
}

fn filtered(filter: Filter) -> Select<Entity> {
    let mut select = living();
    if let Some(partner_id) = filter.partner_id {
        select = select.filter(Column::PartnerId.eq(partner_id));
    }
    if let Some(status) = filter.status {
        select = select.filter(Column::Status.eq(status));
    }
    select
}

pub async fn count<C: ConnectionTrait>(conn: &C, filter: Filter) -> Result<u64, DbErr> {
    filtered(filter).count(conn).await
}

/// Newest first.
pub async fn page(db: &Db, filter: Filter, offset: u64, limit: u64) -> Result<Vec<Model>, DbErr> {
    filtered(filter).order_by_desc(Column::Id).offset(offset).limit(limit).all(db.conn()).await
}

/// A living subscription, if it is in `scope` (`None` = an operator sees all).
pub async fn find<C: ConnectionTrait>(conn: &C, id: i64, scope: Option<i64>) -> Result<Option<Model>, DbErr> {
    let mut select = living().filter(Column::Id.eq(id));
    if let Some(partner_id) = scope {
        select = select.filter(Column::PartnerId.eq(partner_id));
    }
    select.one(conn).await
}

/// As [`find`], locked until the transaction ends.
pub async fn lock(tx: &WriteTx, id: i64, scope: Option<i64>) -> Result<Option<Model>, DbErr> {
    let mut select = living().filter(Column::Id.eq(id)).lock_exclusive();
    if let Some(partner_id) = scope {
        select = select.filter(Column::PartnerId.eq(partner_id));
    }
    select.one(tx).await
}

/// The subscriptions, living or not, whose row changed at or after `since` (unix ms).
pub async fn changed_since(db: &Db, since: i64) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::UpdatedAt.gte(since)).all(db.conn()).await
}

pub async fn insert(tx: &WriteTx, row: ActiveModel) -> Result<Model, DbErr> {
    row.insert(tx).await
}

pub async fn update(tx: &WriteTx, row: ActiveModel) -> Result<Model, DbErr> {
    row.update(tx).await
}

/// Notes what a probe found. Not a change of the subscription: senders need not read it again.
pub async fn save_probe(tx: &WriteTx, id: i64, result: &str, now: i64) -> Result<(), DbErr> {
    let sql = "UPDATE subscription SET probe_result = $2, probed_at = $3 WHERE id = $1";
    sql::execute(tx, sql, vec![id.into(), result.into(), now.into()]).await.map(|_| ())
}

/// Active subscriptions whose receiver has acknowledged nothing for a while.
pub async fn failing(db: &Db) -> Result<Vec<Model>, DbErr> {
    living()
        .filter(Column::Status.eq("active"))
        .filter(Column::FailingSince.gt(0))
        .order_by_asc(Column::Id)
        .all(db.conn())
        .await
}

/// Notes an alert once: false when another replica did.
pub async fn raise_alert(tx: &WriteTx, row: &Model, level: i32) -> Result<bool, DbErr> {
    let sql =
        "UPDATE subscription SET alert_level = $2 WHERE id = $1 AND alert_level < $2 AND failing_since = $3";
    let done = sql::execute(tx, sql, vec![row.id.into(), level.into(), row.failing_since.into()]).await?;
    Ok(done.rows_affected() > 0)
}

/// The living subscriptions of these partners, as the consumer matches them.
pub async fn of_partners(tx: &WriteTx, partner_ids: &BTreeSet<i64>) -> Result<Vec<Matcher>, DbErr> {
    let found = living()
        .filter(Column::PartnerId.is_in(partner_ids.iter().copied()))
        .order_by_asc(Column::Id)
        .all(tx)
        .await?;
    found.iter().map(matcher).collect()
}

/// The living subscriptions of one partner.
pub async fn of_partner(db: &Db, partner_id: i64) -> Result<Vec<Model>, DbErr> {
    living().filter(Column::PartnerId.eq(partner_id)).order_by_asc(Column::Id).all(db.conn()).await
}

/// A subscription as changes are matched with it.
pub fn matcher(row: &Model) -> Result<Matcher, DbErr> {
    Ok(Matcher {
        id: row.id,
        partner_id: row.partner_id,
        own_orders: row.own_orders,
        distributor_orders: row.distributor_orders,
        events: names(&row.events)?,
        latest_wins: row.latest_wins,
    })
}

/// A stored list of names.
pub fn names(json: &str) -> Result<Vec<String>, DbErr> {
    serde_json::from_str(json).map_err(|e| DbErr::Custom(format!("a stored list of names: {e}")))
}

/// Marks it deleted and ends what it still had to deliver.
pub async fn delete(tx: &WriteTx, there: &Model, now: i64) -> Result<(), DbErr> {
    let row = ActiveModel {
        id: Set(there.id),
        revision: Set(there.revision + 1),
        deleted_at: Set(now),
        updated_at: Set(now),
        secret: Set(String::new()),
        old_secret: Set(String::new()),
        api_token: Set(String::new()),
        old_api_token: Set(String::new()),
        ..Default::default()
    };
    row.update(tx).await?;
    let sql = "UPDATE delivery SET status = $2, finished_at = $3
        WHERE id IN (SELECT delivery_id FROM delivery_queue WHERE subscription_id = $1)";
    let cancelled = crate::delivery::Status::Cancelled as i16;
    sql::execute(tx, sql, vec![there.id.into(), cancelled.into(), now.into()]).await?;
    sql::execute(tx, "DELETE FROM delivery_queue WHERE subscription_id = $1", vec![there.id.into()])
        .await
        .map(|_| ())
}
