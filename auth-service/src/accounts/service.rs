use std::collections::HashSet;

use platform::db::WriteTx;
use sea_orm::{ActiveValue::Set, DbErr, SqlErr};
use secrecy::SecretString;
use serde_json::json;

use super::{
    http::AccountRow,
    store::{self, RoleName},
};
use crate::{
    app::Ctx,
    audit::{self, Change, Who},
    entities::{
        Hidden,
        account::{self, ActiveModel},
    },
    password::{self, HashError, Weak},
    policy::{self, service::PolicyError},
    tokens,
    wire::name_key,
};

/// Why an account is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("no such account")]
    NotFound,
    #[error("the account name is taken")]
    NameTaken,
    #[error("no role {0}")]
    NoSuchRole(i64),
    #[error("the password is not accepted: {0:?}")]
    Weak(Weak),
    #[error("the account is the login of partner {0} and is changed there")]
    OfPartner(i64),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Db(DbErr),
}

impl From<DbErr> for AccountError {
    fn from(e: DbErr) -> Self {
        match e.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::NameTaken,
            _ => Self::Db(e),
        }
    }
}

/// An account to be made.
#[derive(Debug)]
pub struct NewAccount {
    pub account: String,
    pub nickname: String,
    pub password: SecretString,
    pub role_ids: Vec<i64>,
    pub enabled: bool,
}

/// What to change; absent = unchanged.
#[derive(Debug, Default)]
pub struct AccountChange {
    pub account: Option<String>,
    pub nickname: Option<String>,
    pub password: Option<SecretString>,
    pub role_ids: Option<Vec<i64>>,
    pub enabled: Option<bool>,
}

/// Makes an operator's account.
///
/// # Errors
/// The name is taken, a role does not exist or is beyond the caller, the password is weak.
pub async fn add(ctx: &Ctx, who: &Who, new: NewAccount) -> Result<i64, AccountError> {
    password::check(&new.password, &new.account).map_err(AccountError::Weak)?;
    let hash = ctx.hasher.hash(&new.password).await?;
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    check_roles(&tx, who, &new.role_ids, &[]).await?;
    let row = store::insert(&tx, row(ctx, &new, hash)).await?;
    store::set_roles(&tx, row.id, &new.role_ids).await?;
    let id = row.id;
    let after = view(&tx, row).await?;
    audit::record(ctx, &tx, who, Change::new("account.add", "account", id).after(&after)).await?;
    policy::service::finish(ctx, &tx, lock).await?;
    tx.commit().await?;
    Ok(id)
}

fn row(ctx: &Ctx, new: &NewAccount, hash: String) -> ActiveModel {
    let now = ctx.platform.clock.now_ms();
    ActiveModel {
        account: Set(new.account.clone()),
        account_key: Set(name_key(&new.account)),
        nickname: Set(new.nickname.clone()),
        kind: Set("account".into()),
        partner_id: Set(0),
        password_hash: Set(Hidden(hash)),
        enabled: Set(new.enabled),
        tokens_valid_from: Set(0),
        last_token_iat: Set(0),
        last_login_at: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    }
}

/// Changes an operator's account.
///
/// # Errors
/// As [`add`]; it is a partner's login; nobody would be left to administer.
pub async fn modify(ctx: &Ctx, who: &Who, id: i64, change: AccountChange) -> Result<(), AccountError> {
    let hash = match &change.password {
        Some(password) => Some(new_hash(ctx, id, &change, password).await?),
        None => None,
    };
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    let mut row = operator(store::for_update(&tx, id).await?)?;
    let before = view(&tx, row.clone()).await?;
    let ends_tokens = ends_tokens(&row, &change);
    if hash.is_some() || change.account.is_some() {
        // Whoever can log in as somebody has all that this one has.
        policy::service::may_give(&tx, who, &policy::store::permissions_of(&tx, id).await?).await?;
    }
    if let Some(role_ids) = &change.role_ids {
        let held: Vec<i64> = before.role_ids.clone();
        check_roles(&tx, who, role_ids, &held).await?;
        store::set_roles(&tx, id, role_ids).await?;
    }
    let password_changed = hash.is_some();
    apply(&mut row, change, hash);
    row.updated_at = ctx.platform.clock.now_ms();
    store::save(&tx, row.clone()).await?;
    if ends_tokens {
        tokens::service::end_all(ctx, &tx, &lock, &row).await?;
    }
    let after = view(&tx, row).await?;
    record_change(ctx, &tx, who, &before, &after, password_changed).await?;
    policy::service::finish(ctx, &tx, lock).await?;
    tx.commit().await?;
    Ok(())
}

async fn new_hash(
    ctx: &Ctx,
    id: i64,
    change: &AccountChange,
    password: &SecretString,
) -> Result<String, AccountError> {
    let row = operator(store::by_id(ctx.platform.db.conn(), id).await?)?;
    password::check(password, change.account.as_ref().unwrap_or(&row.account)).map_err(AccountError::Weak)?;
    Ok(ctx.hasher.hash(password).await?)
}

fn ends_tokens(row: &account::Model, change: &AccountChange) -> bool {
    change.password.is_some()
        || (row.enabled && change.enabled == Some(false))
        || change.account.as_ref().is_some_and(|name| name_key(name) != row.account_key)
}

fn apply(row: &mut account::Model, change: AccountChange, hash: Option<String>) {
    if let Some(account) = change.account {
        row.account_key = name_key(&account);
        row.account = account;
    }
    if let Some(nickname) = change.nickname {
        row.nickname = nickname;
    }
    if let Some(enabled) = change.enabled {
        row.enabled = enabled;
    }
    if let Some(hash) = hash {
        row.password_hash = Hidden(hash);
    }
}

async fn record_change(
    ctx: &Ctx,
    tx: &WriteTx,
    who: &Who,
    before: &AccountRow,
    after: &AccountRow,
    password_changed: bool,
) -> Result<(), AccountError> {
    let mut change = Change::new("account.modify", "account", after.id).before(before).after(after);
    if password_changed {
        change.after["password"] = json!("changed");
    }
    audit::record(ctx, tx, who, change).await?;
    Ok(())
}

/// Deletes an operator's account; its tokens end with it.
///
/// # Errors
/// There is none, it is a partner's login, or nobody would be left to administer.
pub async fn remove(ctx: &Ctx, who: &Who, id: i64) -> Result<(), AccountError> {
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    let row = operator(store::for_update(&tx, id).await?)?;
    let before = view(&tx, row).await?;
    store::delete(&tx, id).await?;
    // Its tokens are dead because the snapshot lacks the account; gateways are told at once.
    policy::service::announce_revoked(ctx, &tx, &lock, id, "").await?;
    audit::record(ctx, &tx, who, Change::new("account.delete", "account", id).before(&before)).await?;
    policy::service::finish(ctx, &tx, lock).await?;
    tx.commit().await?;
    Ok(())
}

/// The row, if there is one and it is an operator's.
fn operator(row: Option<account::Model>) -> Result<account::Model, AccountError> {
    let row = row.ok_or(AccountError::NotFound)?;
    if row.partner_id != 0 { Err(AccountError::OfPartner(row.partner_id)) } else { Ok(row) }
}

/// All of `wanted` exist, and `who` may give those beyond `held`.
async fn check_roles(tx: &WriteTx, who: &Who, wanted: &[i64], held: &[i64]) -> Result<(), AccountError> {
    let existing: HashSet<i64> = store::existing_roles(tx, wanted).await?.into_iter().collect();
    if let Some(unknown) = wanted.iter().find(|id| !existing.contains(id)) {
        return Err(AccountError::NoSuchRole(*unknown));
    }
    let given: Vec<i64> = wanted.iter().copied().filter(|id| !held.contains(id)).collect();
    let permissions = policy::store::permissions_of_roles(tx, &given).await?;
    Ok(policy::service::may_give(tx, who, &permissions).await?)
}

/// The account as the API shows it.
async fn view(tx: &WriteTx, row: account::Model) -> Result<AccountRow, AccountError> {
    let roles: Vec<RoleName> = store::roles_of(tx, &[row.id]).await?.remove(&row.id).unwrap_or_default();
    Ok(AccountRow::new(row, roles))
}
