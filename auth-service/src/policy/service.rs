use std::collections::HashSet;

use contracts::{
    events::{PolicyChanged, TokenRevoked},
    identity::ActorKind,
    policy::{PolicyAnswer, PolicySnapshot, PolicySource, PolicyUnavailable},
};
use platform::{
    clock::Clock,
    db::{Db, WriteTx},
};
use sea_orm::DbErr;
use serde_json::json;

use super::{rules, store};
use crate::{
    app::Ctx,
    audit::{self, Change, Who},
};

/// Reads of a snapshot that was changed meanwhile, before the last one is answered as it is.
const MAX_READS: usize = 5;

/// Why a change of the policy is refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("nobody would be left who can give out permissions")]
    LastAdministrator,
    #[error("{permission} is beyond what the caller holds itself")]
    Beyond { permission: String },
    #[error("{0} is not registered")]
    Unregistered(String),
    #[error("{0} is registered already")]
    Registered(String),
    #[error("no such permission")]
    NotFound,
    #[error(transparent)]
    Db(#[from] DbErr),
}

/// The right to change the policy within a transaction, and the version the change will have.
#[derive(Debug)]
#[must_use = "finish() announces the change"]
pub struct Lock {
    version: i64,
}

impl Lock {
    pub fn version(&self) -> i64 {
        self.version
    }
}

/// Begins a change: waits until no other transaction changes the policy.
pub async fn lock(tx: &WriteTx) -> Result<Lock, DbErr> {
    Ok(Lock { version: store::bump(tx).await? })
}

/// Ends a change: refuses it if it locks everybody out, else announces it.
///
/// # Errors
/// [`PolicyError::LastAdministrator`]: drop the transaction.
pub async fn finish(ctx: &Ctx, tx: &WriteTx, lock: Lock) -> Result<(), PolicyError> {
    if store::administrators(tx).await? == 0 {
        return Err(PolicyError::LastAdministrator);
    }
    let changed = PolicyChanged { version: lock.version };
    ctx.platform.outbox.append(tx, lock.version.to_string(), &changed).await?;
    Ok(())
}

/// Tells gateways that a token, or with `jti` empty all tokens of the account, ended.
pub async fn announce_revoked(
    ctx: &Ctx,
    tx: &WriteTx,
    lock: &Lock,
    account_id: i64,
    jti: &str,
) -> Result<(), DbErr> {
    let revoked = TokenRevoked { version: lock.version, jti: jti.into(), account_id };
    ctx.platform.outbox.append(tx, account_id.to_string(), &revoked).await.map(|_| ())
}

/// Refuses to give permissions that `who` does not hold. The system may give everything.
///
/// # Errors
/// [`PolicyError::Beyond`] with the first such permission.
pub async fn may_give(tx: &WriteTx, who: &Who, given: &HashSet<String>) -> Result<(), PolicyError> {
    if who.actor.kind == ActorKind::System || given.is_empty() {
        return Ok(());
    }
    let held = store::permissions_of(tx, who.actor.id).await?;
    match rules::beyond(&held, given.iter().map(String::as_str)) {
        Some(permission) => Err(PolicyError::Beyond { permission: permission.into() }),
        None => Ok(()),
    }
}

/// Registers a permission name; no role holds it yet.
pub async fn register(ctx: &Ctx, who: &Who, name: &str) -> Result<(), PolicyError> {
    let tx = ctx.platform.db.write_tx().await?;
    let lock = lock(&tx).await?;
    if store::registered(&tx).await?.iter().any(|known| known == name) {
        return Err(PolicyError::Registered(name.into()));
    }
    store::register(&tx, &[name.to_owned()], ctx.platform.clock.now_ms()).await?;
    let change = Change::new("permission.add", "permission", name).after(&json!({ "name": name }));
    audit::record(ctx, &tx, who, change).await?;
    finish(ctx, &tx, lock).await?;
    tx.commit().await?;
    Ok(())
}

/// Takes a permission name out of the registry and out of every role: its routes answer 403 status 4 from now on.
pub async fn unregister(ctx: &Ctx, who: &Who, name: &str) -> Result<(), PolicyError> {
    let tx = ctx.platform.db.write_tx().await?;
    let lock = lock(&tx).await?;
    if !store::registered(&tx).await?.iter().any(|known| known == name) {
        return Err(PolicyError::NotFound);
    }
    let holders = store::holders(&tx).await?.remove(name).unwrap_or_default();
    store::unregister(&tx, name).await?;
    let change = Change::new("permission.delete", "permission", name)
        .before(&json!({ "name": name, "role_ids": holders }));
    audit::record(ctx, &tx, who, change).await?;
    finish(ctx, &tx, lock).await?;
    tx.commit().await?;
    Ok(())
}

/// The policy straight from this service's database: for gateways in the same process, and behind
/// `GET /internal/policy` for the others.
#[derive(Clone)]
pub struct LocalPolicy {
    db: Db,
    clock: Clock,
}

impl LocalPolicy {
    pub fn new(db: Db, clock: Clock) -> Self {
        Self { db, clock }
    }

    /// The snapshot if its version is not `known_version`. All parts of it are of one version: a read during
    /// which the version moved is done again.
    pub async fn read(&self, known_version: i64) -> Result<Option<PolicySnapshot>, DbErr> {
        let conn = self.db.conn();
        let mut version = store::version(conn).await?;
        if version == known_version {
            return Ok(None);
        }
        let mut reads = 1;
        loop {
            let snapshot = store::snapshot(conn, version, self.clock.now_s()).await?;
            let after = store::version(conn).await?;
            // The last read is answered under the version from before it, so it is fetched again soon.
            if after == version || reads == MAX_READS {
                return Ok(Some(snapshot));
            }
            version = after;
            reads += 1;
        }
    }
}

impl PolicySource for LocalPolicy {
    fn fetch(&self, known_version: i64) -> PolicyAnswer<'_> {
        Box::pin(async move { self.read(known_version).await.map_err(|e| PolicyUnavailable(e.to_string())) })
    }
}
