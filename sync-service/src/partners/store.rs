use std::collections::{BTreeSet, HashMap};

use contracts::events::{KeyChanged, PartnerChanged, PartnerKeySettings};
use platform::db::{Db, WriteTx};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Set, sea_query::OnConflict};

use crate::{
    changes::rules::Privacy,
    entities::{partner, partner_key},
    sql,
};

/// Why the subscriptions of a disabled partner rest; also how they are found again.
const PARTNER_DISABLED: &str = "合作方已停用 / the partner is disabled";

/// How customers are shown to each of these partners; one that is not known yet is not in the map.
pub async fn privacies<C: ConnectionTrait>(
    conn: &C,
    ids: &BTreeSet<i64>,
) -> Result<HashMap<i64, Privacy>, DbErr> {
    let partners =
        partner::Entity::find().filter(partner::Column::Id.is_in(ids.iter().copied())).all(conn).await?;
    Ok(partners.into_iter().map(|p| (p.id, Privacy::from_word(&p.privacy))).collect())
}

/// Keeps the highest version of each partner.
pub async fn keep(tx: &WriteTx, p: &PartnerChanged, now: i64) -> Result<(), DbErr> {
    let enabled = p.enabled && !p.deleted;
    let row = partner::ActiveModel {
        id: Set(p.id),
        version: Set(p.version),
        name: Set(p.name.clone()),
        account_id: Set(p.account_id),
        enabled: Set(enabled),
        privacy: Set(p.privacy.clone()),
        login: Set(p.login.clone()),
        login_hash: Set(p.login_hash_sealed.clone()),
    };
    let newest = OnConflict::column(partner::Column::Id)
        .update_columns([
            partner::Column::Version,
            partner::Column::Name,
            partner::Column::AccountId,
            partner::Column::Enabled,
            partner::Column::Privacy,
            partner::Column::Login,
            partner::Column::LoginHash,
        ])
        .action_and_where(partner::Column::Version.lt(p.version))
        .to_owned();
    let kept = partner::Entity::insert(row).on_conflict(newest).exec_without_returning(tx).await?;
    if kept > 0 { rest_or_wake(tx, p.id, enabled, now).await } else { Ok(()) }
}

/// A disabled partner's subscriptions rest; those that rested for that reason wake when it is enabled.
async fn rest_or_wake(tx: &WriteTx, partner_id: i64, enabled: bool, now: i64) -> Result<(), DbErr> {
    let sql = if enabled {
        "UPDATE subscription SET status = 'active', status_reason = '', updated_at = $2, revision = revision + 1
            WHERE partner_id = $1 AND status = 'disabled' AND status_reason = $3"
    } else {
        "UPDATE subscription SET status = 'disabled', status_reason = $3, updated_at = $2, revision = revision + 1
            WHERE partner_id = $1 AND status = 'active'"
    };
    sql::execute(tx, sql, vec![partner_id.into(), now.into(), PARTNER_DISABLED.into()]).await.map(|_| ())
}

/// Keeps the highest version of a partner's key.
pub async fn keep_key(
    tx: &WriteTx,
    key: &KeyChanged,
    partner_id: i64,
    set: &PartnerKeySettings,
) -> Result<(), DbErr> {
    use partner_key::Column;
    let ip_allow = serde_json::to_string(&set.ip_allow).map_err(|e| DbErr::Custom(e.to_string()))?;
    let row = partner_key::ActiveModel {
        id: Set(key.id),
        version: Set(key.version),
        root_id: Set(if key.root_id == 0 { key.id } else { key.root_id }),
        partner_id: Set(partner_id),
        key_sha256: Set(key.key_sha256.clone()),
        enabled: Set(key.enabled),
        expires_at: Set(key.expires_at),
        sign_required: Set(set.sign_required),
        sign_method: Set(set.sign_method.clone()),
        quota_per_second: Set(set.quota_per_second),
        quota_per_day: Set(set.quota_per_day),
        apiuser: Set(set.apiuser.clone()),
        apipwd_md5: Set(set.apipwd_md5_sealed.clone()),
        ip_allow: Set(ip_allow),
        sk: Set(set.sk_sealed.clone()),
        told_used_at: Set(0),
    };
    let newest = OnConflict::column(Column::Id)
        .update_columns([
            Column::Version,
            Column::RootId,
            Column::PartnerId,
            Column::KeySha256,
            Column::Enabled,
            Column::ExpiresAt,
            Column::SignRequired,
            Column::SignMethod,
            Column::QuotaPerSecond,
            Column::QuotaPerDay,
            Column::Apiuser,
            Column::ApipwdMd5,
            Column::IpAllow,
            Column::Sk,
        ])
        .action_and_where(Column::Version.lt(key.version))
        .to_owned();
    partner_key::Entity::insert(row).on_conflict(newest).exec_without_returning(tx).await.map(|_| ())
}

/// The key with this digest, and its partner.
pub async fn key(db: &Db, key_sha256: &str) -> Result<Option<(partner_key::Model, partner::Model)>, DbErr> {
    let found = partner_key::Entity::find()
        .filter(partner_key::Column::KeySha256.eq(key_sha256))
        .one(db.conn())
        .await?;
    let Some(key) = found else { return Ok(None) };
    let partner = partner::Entity::find_by_id(key.partner_id).one(db.conn()).await?;
    Ok(partner.map(|partner| (key, partner)))
}

/// Notes that auth-service is told of the key's use; false when it was told since `not_since` (unix ms).
pub async fn tell_used(tx: &WriteTx, key_id: i64, now: i64, not_since: i64) -> Result<bool, DbErr> {
    let sql = "UPDATE partner_key SET told_used_at = $2 WHERE id = $1 AND told_used_at < $3";
    let done = sql::execute(tx, sql, vec![key_id.into(), now.into(), not_since.into()]).await?;
    Ok(done.rows_affected() > 0)
}

/// A token, or with `jti` "" every token the account was given until `at` (unix ms), is dead.
pub async fn revoke(tx: &WriteTx, account_id: i64, jti: &str, at: i64) -> Result<(), DbErr> {
    let sql = "INSERT INTO revoked_token (account_id, jti, revoked_at) VALUES ($1, $2, $3)
        ON CONFLICT (account_id, jti) DO UPDATE SET revoked_at = excluded.revoked_at
        WHERE revoked_token.revoked_at < excluded.revoked_at";
    sql::execute(tx, sql, vec![account_id.into(), jti.into(), at.into()]).await.map(|_| ())
}

/// Forgets revocations from before `before` (unix ms): those tokens have expired.
pub async fn forget_revoked(tx: &WriteTx, before: i64) -> Result<(), DbErr> {
    sql::execute(tx, "DELETE FROM revoked_token WHERE revoked_at < $1", vec![before.into()]).await.map(|_| ())
}

/// Was this token, issued at `issued_at_s`, ended before its time?
pub async fn is_revoked(db: &Db, account_id: i64, jti: &str, issued_at_s: i64) -> Result<bool, DbErr> {
    let sql = "SELECT 1 AS dead FROM revoked_token
        WHERE account_id = $1 AND (jti = $2 OR jti = '' AND revoked_at >= $3) LIMIT 1";
    let values = vec![account_id.into(), jti.into(), (issued_at_s * 1000).into()];
    Ok(!sql::query(db.conn(), sql, values).await?.is_empty())
}
