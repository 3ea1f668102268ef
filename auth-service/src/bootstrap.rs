//! What a start does before the service serves: the route table's permissions are registered, the first account is
//! made.
//!
//! New route names are registered and given to the built-in role. Names that are no longer in the table are reported and
//! kept: an older replica may still serve them. Names that an operator took out stay out. Replicas that start at the same
//! time do this one after the other, under the policy's lock.

use std::fmt;

use contracts::events::PolicyChanged;
use platform::{db::WriteTx, service::StartError};
use sea_orm::{ActiveValue::Set, DbErr};
use secrecy::SecretString;
use serde_json::json;

use crate::{
    accounts,
    app::Ctx,
    audit::{self, Change, Who},
    entities::{Hidden, account, role},
    password,
    policy::{self, LocalPolicy, rules::Difference},
    roles,
};

/// The first account.
pub const ADMIN: &str = "admin";

/// What a start has to hand on.
pub struct Bootstrap {
    /// The random password of the account `admin` that this start has made: to be printed once, and nowhere else. None
    /// when there were accounts already, or when the password came from the settings.
    pub made_password: Option<SecretString>,
    /// For gateways in the same process.
    pub policy: LocalPolicy,
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bootstrap")
            .field("has_made_password", &self.made_password.is_some())
            .finish_non_exhaustive()
    }
}

/// Brings the registry up to date and makes the first account if there is none.
///
/// # Errors
/// The database cannot be used, or no password can be hashed.
pub async fn run(ctx: &Ctx) -> Result<Bootstrap, StartError> {
    let policy = LocalPolicy::new(ctx.platform.db.clone(), ctx.platform.clock.clone());
    let database = |source| StartError::Database { service: "auth", source };
    let first = accounts::store::count_operators(ctx.platform.db.conn()).await.map_err(database)? == 0;
    let (hash, random) = if first { first_password(ctx).await? } else { (None, None) };
    let made = prepare(ctx, hash).await.map_err(database)?;
    Ok(Bootstrap { made_password: random.filter(|_| made), policy })
}

/// The hash of the first account's password, and the password itself when it is a random one.
async fn first_password(ctx: &Ctx) -> Result<(Option<String>, Option<SecretString>), StartError> {
    let (password, random) = match &ctx.platform.settings.admin_password {
        Some(password) => (password.clone(), None),
        None => {
            let password = password::random();
            (password.clone(), Some(password))
        }
    };
    let hash = ctx.hasher.hash(&password).await;
    let hash =
        hash.map_err(|e| StartError::Settings(format!("the password of {ADMIN} cannot be hashed: {e}")))?;
    Ok((Some(hash), random))
}

/// Registers, grants, makes the account; answers whether it made it.
async fn prepare(ctx: &Ctx, hash: Option<String>) -> Result<bool, DbErr> {
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    let table = policy::rules::route_permissions();
    let difference = policy::rules::compare(&policy::store::known(&tx).await?, &table);
    report(&difference);
    policy::store::register(&tx, &difference.new, ctx.platform.clock.now_ms()).await?;
    let (role_id, role_is_new) = builtin_role(ctx, &tx).await?;
    let granted = if role_is_new { policy::store::registered(&tx).await? } else { difference.new.clone() };
    policy::store::grant(&tx, role_id, &granted).await?;
    // Another replica may have been quicker.
    let makes_admin = hash.is_some() && accounts::store::count_operators(&tx).await? == 0;
    if let (Some(hash), true) = (hash, makes_admin) {
        make_admin(ctx, &tx, hash, role_id).await?;
    }
    if granted.is_empty() && !makes_admin && !role_is_new {
        return tx.rollback().await.map(|()| false);
    }
    if !granted.is_empty() {
        let change =
            Change::new("permission.register", "role", role_id).after(&json!({ "permissions": granted }));
        audit::record(ctx, &tx, &Who::system("start"), change).await?;
    }
    if policy::store::administrators(&tx).await? == 0 {
        tracing::warn!("no enabled account can manage accounts, roles and permissions");
    }
    let changed = PolicyChanged { version: lock.version() };
    ctx.platform.outbox.append(&tx, lock.version().to_string(), &changed).await?;
    tx.commit().await?;
    Ok(makes_admin)
}

fn report(difference: &Difference) {
    if !difference.stale.is_empty() {
        let names = difference.stale.join(", ");
        tracing::warn!(names, "registered permissions that are in no route table any more; they are kept");
    }
    if !difference.closed.is_empty() {
        let names = difference.closed.join(", ");
        tracing::warn!(names, "routes whose permission was taken out of the registry answer 403");
    }
}

/// The role that gets every new permission, made when it is missing; answers whether it was.
async fn builtin_role(ctx: &Ctx, tx: &WriteTx) -> Result<(i64, bool), DbErr> {
    if let Some(role) = roles::store::builtin(tx).await? {
        return Ok((role.id, false));
    }
    let now = ctx.platform.clock.now_ms();
    let row = role::ActiveModel {
        name: Set("管理员".into()),
        name_key: Set("管理员".into()),
        remark: Set("内置角色：拥有全部权限 / built in: holds every permission".into()),
        builtin: Set(true),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    Ok((roles::store::insert(tx, row).await?.id, true))
}

async fn make_admin(ctx: &Ctx, tx: &WriteTx, hash: String, role_id: i64) -> Result<(), DbErr> {
    let now = ctx.platform.clock.now_ms();
    let row = account::ActiveModel {
        account: Set(ADMIN.into()),
        account_key: Set(ADMIN.into()),
        nickname: Set(ADMIN.into()),
        kind: Set("account".into()),
        partner_id: Set(0),
        password_hash: Set(Hidden(hash)),
        enabled: Set(true),
        tokens_valid_from: Set(0),
        last_token_iat: Set(0),
        last_login_at: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let id = accounts::store::insert(tx, row).await?.id;
    accounts::store::set_roles(tx, id, &[role_id]).await?;
    let change = Change::new("account.add", "account", id)
        .after(&json!({ "account": ADMIN, "kind": "account", "role_ids": [role_id] }));
    audit::record(ctx, tx, &Who::system("start"), change).await
}
