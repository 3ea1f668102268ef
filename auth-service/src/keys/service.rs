use contracts::events::{KeyChanged, sealed};
use platform::{db::WriteTx, seal};
use sea_orm::DbErr;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::{
    http_partner::PartnerKeyRow,
    http_supplier::SupplierKeyRow,
    rules::{self, MAX_LIVE_KEYS, Owner},
    store,
};
use crate::{
    app::Ctx,
    audit::{self, Change, Who},
    entities::{Hidden, api_key::Model},
    partners, suppliers,
    wire::ids_text,
};

/// Why a key is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("no such owner")]
    NoSuchOwner,
    #[error("no such key")]
    NotFound,
    #[error("the owner has {MAX_LIVE_KEYS} live keys already")]
    TooMany,
    #[error("the key is revoked or expired")]
    Dead,
    #[error("the key was rotated already")]
    Rotated,
    #[error("apiuser needs an apipwd")]
    NoApipwd,
    #[error("apipwd needs an apiuser")]
    NoApiuser,
    #[error("a sealed secret of the key cannot be opened: {0}")]
    Seal(#[from] seal::SealError),
    #[error(transparent)]
    Db(#[from] DbErr),
}

/// What a key is to be; absent = unchanged (or the default, when it is made). Times in unix milliseconds.
#[derive(Debug, Default)]
pub struct KeyChange {
    pub name: Option<String>,
    pub expires_at: Option<i64>,
    pub goods_ids: Option<Vec<i64>>,
    pub sign_required: Option<bool>,
    pub sign_method: Option<String>,
    pub quota_per_second: Option<i64>,
    pub quota_per_day: Option<i64>,
    /// "" clears apipwd too.
    pub apiuser: Option<String>,
    pub apipwd: Option<SecretString>,
    pub ip_allow: Option<Vec<String>>,
}

/// A key just made: the only time it can be read.
#[derive(Debug)]
pub struct Minted {
    pub id: i64,
    pub prefix: String,
    pub expires_at: i64,
    pub key: SecretString,
    /// For partners.
    pub sk: Option<SecretString>,
}

/// Makes a key for `owner`.
///
/// # Errors
/// There is no such owner, or it has too many; apiuser and apipwd do not go together.
pub async fn add(ctx: &Ctx, who: &Who, owner: Owner, new: KeyChange) -> Result<Minted, KeyError> {
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    let facts = owner_facts(&tx, owner).await?.ok_or(KeyError::NoSuchOwner)?;
    if store::count_live(&tx, owner, now).await? >= MAX_LIVE_KEYS {
        return Err(KeyError::TooMany);
    }
    let mut row = blank(owner, now);
    let (key, sk) = mint(ctx, owner, &mut row);
    apply(ctx, &mut row, new)?;
    let row = store::insert(&tx, store::new_row(row)).await?;
    announce(ctx, &tx, &facts, std::slice::from_ref(&row)).await?;
    let change = Change::new(action(owner, Verb::Add), target(owner), row.id);
    audit::record(ctx, &tx, who, after(change, &row, now)).await?;
    tx.commit().await?;
    Ok(Minted { id: row.id, prefix: row.prefix, expires_at: row.expires_at, key, sk })
}

/// Changes a key's settings.
///
/// # Errors
/// There is none, or it is revoked; apiuser and apipwd do not go together.
pub async fn modify(ctx: &Ctx, who: &Who, owner: Owner, id: i64, change: KeyChange) -> Result<(), KeyError> {
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    let facts = owner_facts(&tx, owner).await?.ok_or(KeyError::NoSuchOwner)?;
    let before = store::for_update(&tx, owner, id).await?.ok_or(KeyError::NotFound)?;
    if !before.enabled {
        return Err(KeyError::Dead);
    }
    let mut row = before.clone();
    apply(ctx, &mut row, change)?;
    row.version += 1;
    row.updated_at = now;
    store::save(&tx, row.clone()).await?;
    announce(ctx, &tx, &facts, std::slice::from_ref(&row)).await?;
    let change = of_before(Change::new(action(owner, Verb::Modify), target(owner), id), &before, now);
    audit::record(ctx, &tx, who, after(change, &row, now)).await?;
    tx.commit().await?;
    Ok(())
}

/// Makes a new key (and SK) with the settings of this one, which lives on for `overlap_seconds`.
///
/// # Errors
/// There is none, it is dead, it was rotated already; the owner has too many.
pub async fn rotate(
    ctx: &Ctx,
    who: &Who,
    owner: Owner,
    id: i64,
    overlap_seconds: i64,
) -> Result<Minted, KeyError> {
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    let facts = owner_facts(&tx, owner).await?.ok_or(KeyError::NoSuchOwner)?;
    let before = store::for_update(&tx, owner, id).await?.ok_or(KeyError::NotFound)?;
    if !rules::is_live(&before, now) {
        return Err(KeyError::Dead);
    }
    if store::has_successor(&tx, &before).await? {
        return Err(KeyError::Rotated);
    }
    if store::count_live(&tx, owner, now).await? >= MAX_LIVE_KEYS {
        return Err(KeyError::TooMany);
    }
    let mut old = before.clone();
    old.expires_at = rules::rotated_expiry(before.expires_at, now, overlap_seconds);
    old.version += 1;
    old.updated_at = now;
    store::save(&tx, old.clone()).await?;
    let mut row = Model {
        root_id: if before.root_id == 0 { before.id } else { before.root_id },
        last_used_at: 0,
        last_md5_at: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        ..before.clone()
    };
    let (key, sk) = mint(ctx, owner, &mut row);
    if !before.apipwd_md5_sealed.0.is_empty() {
        let apipwd =
            ctx.platform.sealer.open(&sealed::key_apipwd(&before.key_sha256), &before.apipwd_md5_sealed.0)?;
        row.apipwd_md5_sealed = seal_apipwd(ctx, &row, apipwd.expose_secret());
    }
    let row = store::insert(&tx, store::new_row(row)).await?;
    announce(ctx, &tx, &facts, &[old, row.clone()]).await?;
    let change = of_before(Change::new(action(owner, Verb::Rotate), target(owner), id), &before, now);
    audit::record(ctx, &tx, who, after(change, &row, now)).await?;
    tx.commit().await?;
    Ok(Minted { id: row.id, prefix: row.prefix, expires_at: row.expires_at, key, sk })
}

/// Revokes a key, for good. Repeating it changes nothing.
///
/// # Errors
/// There is none.
pub async fn revoke(ctx: &Ctx, who: &Who, owner: Owner, id: i64) -> Result<(), KeyError> {
    let now = ctx.platform.clock.now_ms();
    let tx = ctx.platform.db.write_tx().await?;
    let facts = owner_facts(&tx, owner).await?.ok_or(KeyError::NoSuchOwner)?;
    let before = store::for_update(&tx, owner, id).await?.ok_or(KeyError::NotFound)?;
    if !before.enabled {
        return Ok(());
    }
    let row = Model { enabled: false, version: before.version + 1, updated_at: now, ..before.clone() };
    store::save(&tx, row.clone()).await?;
    announce(ctx, &tx, &facts, std::slice::from_ref(&row)).await?;
    let change = of_before(Change::new(action(owner, Verb::Revoke), target(owner), id), &before, now);
    audit::record(ctx, &tx, who, after(change, &row, now)).await?;
    tx.commit().await?;
    Ok(())
}

/// Tells the other services how all keys of `owner` are now: its status or name has changed.
pub async fn announce_all(ctx: &Ctx, tx: &WriteTx, owner: Owner) -> Result<(), DbErr> {
    let rows = store::next_versions(tx, owner).await?;
    let facts = owner_facts(tx, owner).await?.unwrap_or(OwnerFacts { enabled: false, name: String::new() });
    announce(ctx, tx, &facts, &rows).await
}

/// Tells the other services how one key is now.
pub async fn announce_one(ctx: &Ctx, tx: &WriteTx, owner: Owner, row: Model) -> Result<(), DbErr> {
    let facts = owner_facts(tx, owner).await?.unwrap_or(OwnerFacts { enabled: false, name: String::new() });
    announce(ctx, tx, &facts, &[row]).await
}

/// Revokes all keys of an owner that is being deleted.
pub async fn revoke_all(ctx: &Ctx, tx: &WriteTx, owner: Owner, owner_name: &str) -> Result<(), DbErr> {
    let rows = store::revoke_all(tx, owner, ctx.platform.clock.now_ms()).await?;
    announce(ctx, tx, &OwnerFacts { enabled: false, name: owner_name.into() }, &rows).await
}

/// What a key's event says of its owner.
struct OwnerFacts {
    enabled: bool,
    name: String,
}

/// The owner, locked, so that its keys do not change while its status does; `None` when there is none.
async fn owner_facts(tx: &WriteTx, owner: Owner) -> Result<Option<OwnerFacts>, DbErr> {
    Ok(match owner {
        Owner::Partner(id) => {
            let row = partners::store::for_update(tx, id).await?;
            row.map(|row| OwnerFacts { enabled: row.enabled, name: row.name })
        }
        Owner::Supplier(id) => {
            let row = suppliers::store::for_update(tx, id).await?;
            row.map(|row| OwnerFacts { enabled: row.enabled, name: row.name })
        }
    })
}

/// A key without a secret and with the default settings.
fn blank(owner: Owner, now: i64) -> Model {
    Model {
        id: 0,
        owner_kind: owner.kind().into(),
        owner_id: owner.id(),
        root_id: 0,
        name: String::new(),
        prefix: String::new(),
        key_sha256: String::new(),
        enabled: true,
        expires_at: 0,
        goods_ids: ids_text(&[]),
        sign_required: false,
        sign_method: "md5".into(),
        quota_per_second: rules::DEFAULT_QUOTA_PER_SECOND,
        quota_per_day: rules::DEFAULT_QUOTA_PER_DAY,
        apiuser: String::new(),
        apipwd_md5_sealed: Hidden::default(),
        ip_allow: "[]".into(),
        sk_sealed: Hidden::default(),
        last_used_at: 0,
        last_md5_at: 0,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// Puts a new key, and for partners a new SK, into `row`; answers them in the clear.
fn mint(ctx: &Ctx, owner: Owner, row: &mut Model) -> (SecretString, Option<SecretString>) {
    let key = format!("{}{}", owner.key_word(), hex::encode(seal::random_bytes::<20>()));
    row.key_sha256 = seal::sha256_hex(key.as_bytes());
    row.prefix = key[..rules::PREFIX_CHARS].to_owned();
    let sk = match owner {
        Owner::Supplier(_) => None,
        Owner::Partner(_) => {
            let sk = hex::encode(seal::random_bytes::<16>());
            let context = sealed::key_sk(&row.key_sha256);
            row.sk_sealed = Hidden(ctx.platform.sealer.seal(&context, sk.as_bytes()));
            Some(sk.into())
        }
    };
    (key.into(), sk)
}

fn apply(ctx: &Ctx, row: &mut Model, change: KeyChange) -> Result<(), KeyError> {
    fn set<T>(place: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *place = value;
        }
    }
    set(&mut row.name, change.name);
    set(&mut row.expires_at, change.expires_at);
    set(&mut row.goods_ids, change.goods_ids.map(|ids| ids_text(&ids)));
    set(&mut row.sign_required, change.sign_required);
    set(&mut row.sign_method, change.sign_method);
    set(&mut row.quota_per_second, change.quota_per_second);
    set(&mut row.quota_per_day, change.quota_per_day);
    set(&mut row.ip_allow, change.ip_allow.map(|list| serde_json::json!(list).to_string()));
    if let Some(apiuser) = change.apiuser {
        if apiuser.is_empty() {
            row.apipwd_md5_sealed = Hidden::default();
        }
        row.apiuser = apiuser;
    }
    if let Some(apipwd) = change.apipwd {
        row.apipwd_md5_sealed = seal_apipwd(ctx, row, &rules::md5_hex(apipwd.expose_secret()));
    }
    match (row.apiuser.is_empty(), row.apipwd_md5_sealed.0.is_empty()) {
        (false, true) => Err(KeyError::NoApipwd),
        (true, false) => Err(KeyError::NoApiuser),
        _ => Ok(()),
    }
}

fn seal_apipwd(ctx: &Ctx, row: &Model, md5: &str) -> Hidden {
    Hidden(ctx.platform.sealer.seal(&sealed::key_apipwd(&row.key_sha256), md5.as_bytes()))
}

async fn announce(ctx: &Ctx, tx: &WriteTx, facts: &OwnerFacts, rows: &[Model]) -> Result<(), DbErr> {
    let events: Vec<KeyChanged> =
        rows.iter().map(|row| rules::event(&facts.name, facts.enabled, row)).collect();
    let items: Vec<(String, &KeyChanged)> = events.iter().map(|e| (e.id.to_string(), e)).collect();
    ctx.platform.outbox.append_many(tx, &items).await.map(|_| ())
}

/// The name of what was done, for the audit.
fn action(owner: Owner, verb: Verb) -> &'static str {
    match (owner, verb) {
        (Owner::Partner(_), Verb::Add) => "partner.key.add",
        (Owner::Partner(_), Verb::Modify) => "partner.key.modify",
        (Owner::Partner(_), Verb::Rotate) => "partner.key.rotate",
        (Owner::Partner(_), Verb::Revoke) => "partner.key.revoke",
        (Owner::Supplier(_), Verb::Add) => "supplier.key.add",
        (Owner::Supplier(_), Verb::Modify) => "supplier.key.modify",
        (Owner::Supplier(_), Verb::Rotate) => "supplier.key.rotate",
        (Owner::Supplier(_), Verb::Revoke) => "supplier.key.revoke",
    }
}

#[derive(Clone, Copy)]
enum Verb {
    Add,
    Modify,
    Rotate,
    Revoke,
}

fn target(owner: Owner) -> &'static str {
    match owner {
        Owner::Partner(_) => "partner_key",
        Owner::Supplier(_) => "supplier_key",
    }
}

/// The key as the API shows it, for the audit.
#[derive(Serialize)]
#[serde(untagged)]
enum View {
    Partner(PartnerKeyRow),
    Supplier(SupplierKeyRow),
}

fn view(row: &Model, now: i64) -> View {
    match Owner::of(row) {
        Owner::Partner(_) => View::Partner(PartnerKeyRow::new(row, now)),
        Owner::Supplier(_) => View::Supplier(SupplierKeyRow::new(row, now)),
    }
}

fn of_before(change: Change, row: &Model, now: i64) -> Change {
    change.before(&view(row, now))
}

fn after(change: Change, row: &Model, now: i64) -> Change {
    change.after(&view(row, now))
}
