use contracts::events::{PartnerChanged, sealed};
use platform::db::WriteTx;
use sea_orm::{ActiveValue::Set, DbErr, SqlErr};
use secrecy::SecretString;
use serde_json::json;

use super::{http::PartnerRow, store};
use crate::{
    accounts,
    app::Ctx,
    audit::{self, Change, Who},
    distributors,
    entities::{Hidden, account, partner},
    keys::{self, rules::Owner},
    password::{self, HashError, Weak},
    policy::{
        self,
        service::{Lock, PolicyError},
    },
    tokens,
    wire::{ids_text, name_key, read_ids},
};

/// Why a partner is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    #[error("no such partner")]
    NotFound,
    #[error("the partner's name is taken")]
    NameTaken,
    #[error("the login name is taken")]
    LoginTaken,
    #[error("the partner has no login yet: {0} is needed for one")]
    NoLogin(&'static str),
    #[error("the password is not accepted: {0:?}")]
    Weak(Weak),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Db(#[from] DbErr),
}

/// A unique violation of one statement means this name.
fn taken(e: DbErr, name: PartnerError) -> PartnerError {
    match e.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => name,
        _ => PartnerError::Db(e),
    }
}

/// What a partner is to be; absent = unchanged (or the default, when it is made).
#[derive(Debug, Default)]
pub struct PartnerChange {
    pub name: Option<String>,
    pub login: Option<String>,
    pub password: Option<SecretString>,
    pub enabled: Option<bool>,
    pub privacy: Option<String>,
    pub goods_ids: Option<Vec<i64>>,
}

/// Makes a partner, with a login when login and password are given.
///
/// # Errors
/// The name or login is taken; the password is weak, or one of login and password is missing.
pub async fn add(ctx: &Ctx, who: &Who, new: PartnerChange) -> Result<i64, PartnerError> {
    let hash = new_hash(ctx, &new, None).await?;
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    let name = new.name.clone().unwrap_or_default();
    let row = partner::ActiveModel {
        name_key: Set(Some(name_key(&name))),
        name: Set(name),
        enabled: Set(new.enabled.unwrap_or(true)),
        privacy: Set(new.privacy.clone().unwrap_or_else(|| "masked".into())),
        goods_ids: Set(ids_text(new.goods_ids.as_deref().unwrap_or_default())),
        version: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(0),
        ..Default::default()
    };
    let row = store::insert(&tx, row).await.map_err(|e| taken(e, PartnerError::NameTaken))?;
    let id = row.id;
    set_login(ctx, &tx, &lock, &row, &new, hash).await?;
    announce(ctx, &tx, id).await?;
    let after = view(ctx, &tx, row).await?;
    audit::record(ctx, &tx, who, Change::new("partner.add", "partner", id).after(&after)).await?;
    policy::service::finish(ctx, &tx, lock).await?;
    tx.commit().await?;
    Ok(id)
}

/// Changes a partner, its login and what hangs on its status.
///
/// # Errors
/// As [`add`]; there is no such partner.
pub async fn modify(ctx: &Ctx, who: &Who, id: i64, change: PartnerChange) -> Result<(), PartnerError> {
    let login = accounts::store::of_partner(ctx.platform.db.conn(), id).await?;
    let hash = new_hash(ctx, &change, login.as_ref()).await?;
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    let mut row = store::for_update(&tx, id).await?.ok_or(PartnerError::NotFound)?;
    let before = view(ctx, &tx, row.clone()).await?;
    let was_enabled = row.enabled;
    apply(&mut row, &change);
    row.updated_at = ctx.platform.clock.now_ms();
    store::save(&tx, row.clone()).await.map_err(|e| taken(e, PartnerError::NameTaken))?;
    let password_changed = hash.is_some();
    set_login(ctx, &tx, &lock, &row, &change, hash).await?;
    if row.enabled != was_enabled {
        keys::service::announce_all(ctx, &tx, Owner::Partner(id)).await?;
    }
    announce(ctx, &tx, id).await?;
    let after = view(ctx, &tx, row).await?;
    let mut change = Change::new("partner.modify", "partner", id).before(&before).after(&after);
    if password_changed {
        change.after["password"] = json!("changed");
    }
    audit::record(ctx, &tx, who, change).await?;
    policy::service::finish(ctx, &tx, lock).await?;
    tx.commit().await?;
    Ok(())
}

fn apply(row: &mut partner::Model, change: &PartnerChange) {
    if let Some(name) = &change.name {
        row.name_key = Some(name_key(name));
        row.name.clone_from(name);
    }
    if let Some(enabled) = change.enabled {
        row.enabled = enabled;
    }
    if let Some(privacy) = &change.privacy {
        row.privacy.clone_from(privacy);
    }
    if let Some(goods) = &change.goods_ids {
        row.goods_ids = ids_text(goods);
    }
}

/// Deletes a partner: its login, keys and distributors end; its name can be used again.
///
/// # Errors
/// There is no such partner.
pub async fn remove(ctx: &Ctx, who: &Who, id: i64) -> Result<(), PartnerError> {
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    let mut row = store::for_update(&tx, id).await?.ok_or(PartnerError::NotFound)?;
    let before = view(ctx, &tx, row.clone()).await?;
    row.enabled = false;
    row.name_key = None;
    row.updated_at = now;
    row.deleted_at = now;
    store::save(&tx, row.clone()).await?;
    if let Some(login) = accounts::store::of_partner(&tx, id).await? {
        accounts::store::delete(&tx, login.id).await?;
        policy::service::announce_revoked(ctx, &tx, &lock, login.id, "").await?;
    }
    keys::service::revoke_all(ctx, &tx, Owner::Partner(id), &row.name).await?;
    distributors::store::delete_of_partner(&tx, id, now).await?;
    announce(ctx, &tx, id).await?;
    audit::record(ctx, &tx, who, Change::new("partner.delete", "partner", id).before(&before)).await?;
    policy::service::finish(ctx, &tx, lock).await?;
    tx.commit().await?;
    Ok(())
}

/// The hash of the password that is to be set, if one is.
async fn new_hash(
    ctx: &Ctx,
    change: &PartnerChange,
    login: Option<&account::Model>,
) -> Result<Option<String>, PartnerError> {
    let name = change.login.as_deref().or(login.map(|l| l.account.as_str()));
    let Some(password) = &change.password else {
        let first_login = login.is_none() && change.login.is_some();
        return if first_login { Err(PartnerError::NoLogin("password")) } else { Ok(None) };
    };
    let name = name.ok_or(PartnerError::NoLogin("login"))?;
    password::check(password, name).map_err(PartnerError::Weak)?;
    Ok(Some(ctx.hasher.hash(password).await?))
}

/// Makes the partner's login, or keeps it in step with the partner.
async fn set_login(
    ctx: &Ctx,
    tx: &WriteTx,
    lock: &Lock,
    partner: &partner::Model,
    change: &PartnerChange,
    hash: Option<String>,
) -> Result<(), PartnerError> {
    let now = ctx.platform.clock.now_ms();
    let Some(mut row) = of_partner_locked(tx, partner.id).await? else {
        let (Some(login), Some(hash)) = (&change.login, hash) else { return Ok(()) };
        let row = account::ActiveModel {
            account: Set(login.clone()),
            account_key: Set(name_key(login)),
            nickname: Set(partner.name.clone()),
            kind: Set("partner".into()),
            partner_id: Set(partner.id),
            password_hash: Set(Hidden(hash)),
            enabled: Set(partner.enabled),
            tokens_valid_from: Set(0),
            last_token_iat: Set(0),
            last_login_at: Set(0),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        accounts::store::insert(tx, row).await.map_err(|e| taken(e, PartnerError::LoginTaken))?;
        return Ok(());
    };
    let renamed = change.login.as_ref().is_some_and(|login| name_key(login) != row.account_key);
    let ends_tokens = hash.is_some() || renamed || (row.enabled && !partner.enabled);
    if let Some(login) = &change.login {
        row.account_key = name_key(login);
        row.account.clone_from(login);
    }
    if let Some(hash) = hash {
        row.password_hash = Hidden(hash);
    }
    row.nickname.clone_from(&partner.name);
    row.enabled = partner.enabled;
    row.updated_at = now;
    accounts::store::save(tx, row.clone()).await.map_err(|e| taken(e, PartnerError::LoginTaken))?;
    if ends_tokens {
        tokens::service::end_all(ctx, tx, lock, &row).await?;
    }
    Ok(())
}

async fn of_partner_locked(tx: &WriteTx, partner_id: i64) -> Result<Option<account::Model>, DbErr> {
    match accounts::store::of_partner(tx, partner_id).await? {
        Some(login) => accounts::store::for_update(tx, login.id).await,
        None => Ok(None),
    }
}

/// Raises the partner's version and tells the other services how it is now.
pub async fn announce(ctx: &Ctx, tx: &WriteTx, id: i64) -> Result<(), DbErr> {
    let Some(row) = store::next_version(tx, id).await? else { return Ok(()) };
    let login = accounts::store::of_partner(tx, id).await?;
    let seal = |hash: &str| ctx.platform.sealer.seal(&sealed::partner_login(id), hash.as_bytes());
    let changed = PartnerChanged {
        id,
        version: row.version,
        name: row.name,
        account_id: login.as_ref().map_or(0, |l| l.id),
        enabled: row.enabled,
        privacy: row.privacy,
        login: login.as_ref().map(|l| l.account_key.clone()).unwrap_or_default(),
        login_hash_sealed: login.as_ref().map(|l| seal(&l.password_hash.0)).unwrap_or_default(),
        goods_ids: read_ids(&row.goods_ids),
        deleted: row.deleted_at != 0,
    };
    ctx.platform.outbox.append(tx, id.to_string(), &changed).await.map(|_| ())
}

/// The partner as the API shows it.
async fn view(ctx: &Ctx, tx: &WriteTx, row: partner::Model) -> Result<PartnerRow, DbErr> {
    let id = row.id;
    let login = accounts::store::of_partner(tx, id).await?;
    let keys = keys::store::live_of(tx, "partner", &[id], ctx.platform.clock.now_ms()).await?;
    Ok(PartnerRow::new(row, login, keys.get(&id).copied().unwrap_or_default()))
}
