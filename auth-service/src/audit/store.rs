use platform::{db::WriteTx, ids};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::{Change, Who};
use crate::entities::audit_entry::{ActiveModel, Column, Entity, Model};

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

pub async fn insert(tx: &WriteTx, id: i64, at: i64, who: &Who, change: Change) -> Result<(), DbErr> {
    let row = ActiveModel {
        id: Set(id),
        at: Set(at),
        actor_kind: Set(who.actor.kind.as_str().into()),
        actor_id: Set(who.actor.id),
        actor_name: Set(who.actor.name.clone()),
        action: Set(change.action.into()),
        target: Set(change.target.into()),
        target_id: Set(change.target_id),
        before_json: Set(change.before.to_string()),
        after_json: Set(change.after.to_string()),
        request_id: Set(who.request_id.clone()),
        ip: Set(who.ip.clone()),
    };
    Entity::insert(row).exec_without_returning(tx).await.map(|_| ())
}

/// Entries older than `before_id` (none = from the newest), newest first. The id carries the time, so a window of
/// time is a window of ids and every page is one index range.
pub async fn page<C: ConnectionTrait>(
    conn: &C,
    filter: &Filter,
    before_id: Option<i64>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut query = Entity::find();
    if let Some(id) = before_id {
        query = query.filter(Column::Id.lt(id));
    }
    if let Some(ms) = filter.from_ms {
        query = query.filter(Column::Id.gte(ids::floor_at(ms)));
    }
    if let Some(ms) = filter.until_ms {
        query = query.filter(Column::Id.lt(ids::floor_at(ms)));
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
    query.order_by_desc(Column::Id).limit(limit).all(conn).await
}
