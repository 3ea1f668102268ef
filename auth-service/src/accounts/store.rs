use std::collections::HashMap;

use platform::db::WriteTx;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait,
    IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Func, LikeExpr, Query},
};

use crate::{
    entities::{
        account::{ActiveModel, Column, Entity, Model},
        account_role, role,
    },
    wire::{Paging, name_key},
};

/// Which accounts are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Part of the account's name or nickname.
    pub search: Option<String>,
    pub kind: Option<String>,
    pub enabled: Option<bool>,
    pub role_id: Option<i64>,
}

/// A role as accounts show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleName {
    pub id: i64,
    pub name: String,
}

pub async fn by_id<C: ConnectionTrait>(conn: &C, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(conn).await
}

/// The account whose lower-case name is `key`.
pub async fn by_key<C: ConnectionTrait>(conn: &C, key: &str) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::AccountKey.eq(key)).one(conn).await
}

/// The login of a partner.
pub async fn of_partner<C: ConnectionTrait>(conn: &C, partner_id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::PartnerId.eq(partner_id)).one(conn).await
}

/// The logins of these partners, by partner.
pub async fn of_partners<C: ConnectionTrait>(
    conn: &C,
    partner_ids: &[i64],
) -> Result<HashMap<i64, Model>, DbErr> {
    let rows = Entity::find().filter(Column::PartnerId.is_in(partner_ids.iter().copied())).all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.partner_id, row)).collect())
}

/// The row, locked until the transaction ends, so that a login at the same time waits.
pub async fn for_update(tx: &WriteTx, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).lock_exclusive().one(tx).await
}

/// Number of operators' accounts.
pub async fn count_operators<C: ConnectionTrait>(conn: &C) -> Result<u64, DbErr> {
    Entity::find().filter(Column::Kind.eq("account")).count(conn).await
}

/// One page, oldest first, and how many there are in all.
pub async fn page<C: ConnectionTrait>(
    conn: &C,
    filter: &Filter,
    paging: Paging,
) -> Result<(Vec<Model>, u64), DbErr> {
    let mut query = Entity::find();
    if let Some(search) = &filter.search {
        let like = contains(search);
        let found = Condition::any()
            .add(Expr::col((Entity, Column::AccountKey)).like(like.clone()))
            .add(Func::lower(Expr::col((Entity, Column::Nickname))).like(like));
        query = query.filter(found);
    }
    if let Some(kind) = &filter.kind {
        query = query.filter(Column::Kind.eq(kind.as_str()));
    }
    if let Some(enabled) = filter.enabled {
        query = query.filter(Column::Enabled.eq(enabled));
    }
    if let Some(role_id) = filter.role_id {
        let holders = Query::select()
            .column(account_role::Column::AccountId)
            .from(account_role::Entity)
            .and_where(account_role::Column::RoleId.eq(role_id))
            .to_owned();
        query = query.filter(Column::Id.in_subquery(holders));
    }
    let total = query.clone().count(conn).await?;
    let rows = query.order_by_asc(Column::Id).offset(paging.offset()).limit(paging.limit).all(conn).await?;
    Ok((rows, total))
}

/// `LIKE` for "contains", in lower case, with the pattern's own signs taken literally.
pub fn contains(search: &str) -> LikeExpr {
    let mut pattern = String::from("%");
    for c in name_key(search).chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('\\')
}

/// Roles of these accounts, by account.
pub async fn roles_of<C: ConnectionTrait>(
    conn: &C,
    account_ids: &[i64],
) -> Result<HashMap<i64, Vec<RoleName>>, DbErr> {
    let held = account_role::Entity::find()
        .filter(account_role::Column::AccountId.is_in(account_ids.iter().copied()))
        .order_by_asc(account_role::Column::RoleId)
        .all(conn)
        .await?;
    let ids: Vec<i64> = held.iter().map(|row| row.role_id).collect();
    let names: HashMap<i64, String> = role::Entity::find()
        .select_only()
        .columns([role::Column::Id, role::Column::Name])
        .filter(role::Column::Id.is_in(ids))
        .into_tuple::<(i64, String)>()
        .all(conn)
        .await?
        .into_iter()
        .collect();
    let mut roles: HashMap<i64, Vec<RoleName>> = HashMap::new();
    for row in held {
        let name = names.get(&row.role_id).cloned().unwrap_or_default();
        roles.entry(row.account_id).or_default().push(RoleName { id: row.role_id, name });
    }
    Ok(roles)
}

/// Of these role ids, those that exist.
pub async fn existing_roles<C: ConnectionTrait>(conn: &C, ids: &[i64]) -> Result<Vec<i64>, DbErr> {
    role::Entity::find()
        .select_only()
        .column(role::Column::Id)
        .filter(role::Column::Id.is_in(ids.iter().copied()))
        .into_tuple()
        .all(conn)
        .await
}

pub async fn insert(tx: &WriteTx, row: ActiveModel) -> Result<Model, DbErr> {
    Entity::insert(row).exec_with_returning(tx).await
}

/// Writes the whole row, but for what logins write (`last_token_iat`, `last_login_at`) and `tokens_valid_from`.
pub async fn save(tx: &WriteTx, row: Model) -> Result<(), DbErr> {
    let mut row = row.into_active_model().reset_all();
    row.last_token_iat = sea_orm::ActiveValue::NotSet;
    row.last_login_at = sea_orm::ActiveValue::NotSet;
    row.tokens_valid_from = sea_orm::ActiveValue::NotSet;
    Entity::update(row).exec(tx).await.map(|_| ())
}

pub async fn set_tokens_valid_from(tx: &WriteTx, id: i64, valid_from: i64) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::TokensValidFrom, valid_from.into())
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await
        .map(|_| ())
}

/// The account holds these roles and no others.
pub async fn set_roles(tx: &WriteTx, id: i64, role_ids: &[i64]) -> Result<(), DbErr> {
    account_role::Entity::delete_many().filter(account_role::Column::AccountId.eq(id)).exec(tx).await?;
    if role_ids.is_empty() {
        return Ok(());
    }
    let rows = role_ids.iter().map(|role_id| account_role::ActiveModel {
        account_id: sea_orm::ActiveValue::Set(id),
        role_id: sea_orm::ActiveValue::Set(*role_id),
    });
    account_role::Entity::insert_many(rows).exec_without_returning(tx).await.map(|_| ())
}

pub async fn delete(tx: &WriteTx, id: i64) -> Result<(), DbErr> {
    Entity::delete_by_id(id).exec(tx).await.map(|_| ())
}
