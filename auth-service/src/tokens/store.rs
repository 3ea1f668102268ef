use platform::db::WriteTx;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Statement};

use crate::entities::{account, revoked_token};

/// Lets a login happen if the account is still what was checked: the same password, enabled, its tokens not ended
/// meanwhile. Remembers the `iat` given. Answers whether it happened.
pub async fn admit(tx: &WriteTx, checked: &account::Model, iat: i64, now: i64) -> Result<bool, DbErr> {
    let sql = "UPDATE account SET
            last_token_iat = CASE WHEN last_token_iat < $1 THEN $1 ELSE last_token_iat END,
            last_login_at = $2
        WHERE id = $3 AND password_hash = $4 AND tokens_valid_from = $5 AND enabled = $6";
    let values = [
        iat.into(),
        now.into(),
        checked.id.into(),
        checked.password_hash.0.as_str().into(),
        checked.tokens_valid_from.into(),
        true.into(),
    ];
    let done = tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
    Ok(done.rows_affected() == 1)
}

/// Replaces the hash of an unchanged password.
pub async fn set_hash(tx: &WriteTx, id: i64, hash: &str) -> Result<(), DbErr> {
    account::Entity::update_many()
        .col_expr(account::Column::PasswordHash, hash.into())
        .filter(account::Column::Id.eq(id))
        .exec(tx)
        .await
        .map(|_| ())
}

/// Lists a token as dead. A repeat changes nothing.
pub async fn revoke(tx: &WriteTx, jti: &str, account_id: i64, exp: i64) -> Result<(), DbErr> {
    let row = revoked_token::ActiveModel { jti: Set(jti.into()), account_id: Set(account_id), exp: Set(exp) };
    let known = sea_orm::sea_query::OnConflict::column(revoked_token::Column::Jti).do_nothing().to_owned();
    revoked_token::Entity::insert(row).on_conflict(known).exec_without_returning(tx).await.map(|_| ())
}

/// Forgets dead tokens that have expired by `now_s`; answers how many.
pub async fn purge(tx: &WriteTx, now_s: i64, batch: i64) -> Result<u64, DbErr> {
    let sql = "DELETE FROM revoked_token WHERE jti IN
        (SELECT jti FROM revoked_token WHERE exp <= $1 ORDER BY exp LIMIT $2)";
    let statement =
        Statement::from_sql_and_values(tx.get_database_backend(), sql, [now_s.into(), batch.into()]);
    Ok(tx.execute_raw(statement).await?.rows_affected())
}
