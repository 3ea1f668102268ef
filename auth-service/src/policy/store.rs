use std::collections::{BTreeMap, HashMap, HashSet};

use contracts::{
    identity::CallerKind,
    policy::{PolicyAccount, PolicySnapshot, RevokedToken},
};
use platform::db::WriteTx;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Statement,
};

use super::rules::KEYS_TO_ALL;
use crate::entities::{account, account_role, permission, revoked_token, role, role_permission};

/// Raises the version; its row stays locked until the transaction ends.
pub async fn bump(tx: &WriteTx) -> Result<i64, DbErr> {
    let sql = "UPDATE policy_state SET version = version + 1 WHERE id = 1 RETURNING version";
    one_i64(tx, Statement::from_string(tx.get_database_backend(), sql), "version").await
}

pub async fn version<C: ConnectionTrait>(conn: &C) -> Result<i64, DbErr> {
    let sql = "SELECT version FROM policy_state WHERE id = 1";
    one_i64(conn, Statement::from_string(conn.get_database_backend(), sql), "version").await
}

async fn one_i64<C: ConnectionTrait>(conn: &C, statement: Statement, column: &str) -> Result<i64, DbErr> {
    let row = conn.query_one_raw(statement).await?;
    row.ok_or_else(|| DbErr::RecordNotFound(format!("no row with {column}")))?.try_get("", column)
}

/// Enabled operators who hold all of [`KEYS_TO_ALL`].
pub async fn administrators<C: ConnectionTrait>(conn: &C) -> Result<i64, DbErr> {
    let sql = "SELECT count(*) AS n FROM (
            SELECT ar.account_id FROM account a
            JOIN account_role ar ON ar.account_id = a.id
            JOIN role_permission rp ON rp.role_id = ar.role_id
            WHERE a.enabled = $1 AND a.kind = 'account' AND rp.permission IN ($2, $3, $4)
            GROUP BY ar.account_id HAVING count(DISTINCT rp.permission) = 3
        ) AS administrator";
    let [a, b, c] = KEYS_TO_ALL;
    let values = [true.into(), a.into(), b.into(), c.into()];
    one_i64(conn, Statement::from_sql_and_values(conn.get_database_backend(), sql, values), "n").await
}

/// What an account's roles hold together.
pub async fn permissions_of<C: ConnectionTrait>(conn: &C, account_id: i64) -> Result<HashSet<String>, DbErr> {
    let roles: Vec<i64> = account_role::Entity::find()
        .select_only()
        .column(account_role::Column::RoleId)
        .filter(account_role::Column::AccountId.eq(account_id))
        .into_tuple()
        .all(conn)
        .await?;
    permissions_of_roles(conn, &roles).await
}

/// What these roles hold together.
pub async fn permissions_of_roles<C: ConnectionTrait>(
    conn: &C,
    role_ids: &[i64],
) -> Result<HashSet<String>, DbErr> {
    let names: Vec<String> = role_permission::Entity::find()
        .select_only()
        .column(role_permission::Column::Permission)
        .filter(role_permission::Column::RoleId.is_in(role_ids.iter().copied()))
        .into_tuple()
        .all(conn)
        .await?;
    Ok(names.into_iter().collect())
}

/// Every name that was ever registered, and whether it is now.
pub async fn known<C: ConnectionTrait>(conn: &C) -> Result<Vec<(String, bool)>, DbErr> {
    let rows = permission::Entity::find().order_by_asc(permission::Column::Name).all(conn).await?;
    Ok(rows.into_iter().map(|row| (row.name, row.registered)).collect())
}

/// The registered names.
pub async fn registered<C: ConnectionTrait>(conn: &C) -> Result<Vec<String>, DbErr> {
    Ok(known(conn).await?.into_iter().filter(|(_, registered)| *registered).map(|(name, _)| name).collect())
}

/// Puts names into the registry, also such as were taken out before.
pub async fn register(tx: &WriteTx, names: &[String], now: i64) -> Result<(), DbErr> {
    if names.is_empty() {
        return Ok(());
    }
    let rows = names.iter().map(|name| permission::ActiveModel {
        name: Set(name.clone()),
        registered: Set(true),
        created_at: Set(now),
    });
    let again = sea_orm::sea_query::OnConflict::column(permission::Column::Name)
        .update_column(permission::Column::Registered)
        .to_owned();
    permission::Entity::insert_many(rows).on_conflict(again).exec_without_returning(tx).await.map(|_| ())
}

/// Takes a name out of the registry and out of every role.
pub async fn unregister(tx: &WriteTx, name: &str) -> Result<(), DbErr> {
    role_permission::Entity::delete_many()
        .filter(role_permission::Column::Permission.eq(name))
        .exec(tx)
        .await?;
    permission::Entity::update_many()
        .col_expr(permission::Column::Registered, false.into())
        .filter(permission::Column::Name.eq(name))
        .exec(tx)
        .await
        .map(|_| ())
}

/// Lets a role hold more permissions.
pub async fn grant(tx: &WriteTx, role_id: i64, names: &[String]) -> Result<(), DbErr> {
    if names.is_empty() {
        return Ok(());
    }
    let rows = names
        .iter()
        .map(|name| role_permission::ActiveModel { role_id: Set(role_id), permission: Set(name.clone()) });
    let held = sea_orm::sea_query::OnConflict::new().do_nothing().to_owned();
    role_permission::Entity::insert_many(rows).on_conflict(held).exec_without_returning(tx).await.map(|_| ())
}

/// Permission → ids of the roles that hold it.
pub async fn holders<C: ConnectionTrait>(conn: &C) -> Result<HashMap<String, Vec<i64>>, DbErr> {
    let rows =
        role_permission::Entity::find().order_by_asc(role_permission::Column::RoleId).all(conn).await?;
    let mut holders: HashMap<String, Vec<i64>> = HashMap::new();
    for row in rows {
        holders.entry(row.permission).or_default().push(row.role_id);
    }
    Ok(holders)
}

/// Ids and names of all roles.
pub async fn role_names<C: ConnectionTrait>(conn: &C) -> Result<Vec<(i64, String)>, DbErr> {
    role::Entity::find()
        .select_only()
        .columns([role::Column::Id, role::Column::Name])
        .order_by_asc(role::Column::Id)
        .into_tuple()
        .all(conn)
        .await
}

/// Number of roles.
pub async fn count_roles<C: ConnectionTrait>(conn: &C) -> Result<u64, DbErr> {
    role::Entity::find().count(conn).await
}

/// The whole policy under the number `version`, as it stands; tokens that have expired by `now_s` are left out.
pub async fn snapshot<C: ConnectionTrait>(
    conn: &C,
    version: i64,
    now_s: i64,
) -> Result<PolicySnapshot, DbErr> {
    let registered = registered(conn).await?;
    let mut roles: BTreeMap<i64, Vec<String>> =
        role_names(conn).await?.into_iter().map(|(id, _)| (id, Vec::new())).collect();
    for row in
        role_permission::Entity::find().order_by_asc(role_permission::Column::Permission).all(conn).await?
    {
        roles.entry(row.role_id).or_default().push(row.permission);
    }
    let mut held: HashMap<i64, Vec<i64>> = HashMap::new();
    for row in account_role::Entity::find().order_by_asc(account_role::Column::RoleId).all(conn).await? {
        held.entry(row.account_id).or_default().push(row.role_id);
    }
    let accounts = account::Entity::find().order_by_asc(account::Column::Id).all(conn).await?;
    let accounts = accounts.into_iter().map(|row| PolicyAccount {
        id: row.id,
        kind: kind(&row.kind),
        nickname: row.nickname,
        partner_id: row.partner_id,
        role_ids: held.remove(&row.id).unwrap_or_default(),
        enabled: row.enabled,
        tokens_valid_from: row.tokens_valid_from,
    });
    let revoked = revoked_token::Entity::find()
        .filter(revoked_token::Column::Exp.gt(now_s))
        .order_by_asc(revoked_token::Column::Jti)
        .all(conn)
        .await?;
    Ok(PolicySnapshot {
        version,
        registered,
        roles,
        accounts: accounts.collect(),
        revoked: revoked.into_iter().map(|row| RevokedToken { jti: row.jti, exp: row.exp }).collect(),
    })
}

/// The kind an account row names.
pub fn kind(word: &str) -> CallerKind {
    if word == "partner" { CallerKind::Partner } else { CallerKind::Account }
}
