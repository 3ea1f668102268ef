//! The use-cases that write subscriptions.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use platform::{
    audit::{self, Change, Who},
    db::WriteTx,
    seal::{self, Sealer},
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    DbErr,
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    http::Subscription,
    rules::{Dialect, MAX_PER_PARTNER, SubscriptionStatus},
    store::{self, Filter},
};
use crate::{
    ctx::Ctx,
    delivery::guard::UrlError,
    entities::subscription::{ActiveModel, Model},
};

/// What the audit calls them.
pub const TARGET: &str = "subscription";
/// Random bytes of a signing secret.
const SECRET_BYTES: usize = 32;

/// Why a subscription could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    #[error("no such subscription")]
    NotFound,
    #[error("a partner has at most {MAX_PER_PARTNER} subscriptions")]
    TooMany,
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("a subscription needs at least one type")]
    NoType,
    #[error(transparent)]
    Db(#[from] DbErr),
}

/// A subscription as wanted by its owner.
#[derive(Debug)]
pub struct NewSubscription {
    pub partner_id: i64,
    pub url: String,
    pub dialect: Dialect,
    pub own_orders: bool,
    pub distributor_orders: bool,
    pub events: Vec<String>,
    pub api_token: Option<SecretString>,
    pub rate_limit: i64,
    pub latest_wins: bool,
    /// Sign with Ed25519 as well.
    pub asymmetric: bool,
    pub paused: bool,
    pub origin: Origin,
}

/// Who made a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A person or a program, by the management API.
    Api,
    /// The drop-in entry: one for each partner and type.
    DropIn,
    /// The drop-in entry, as the address channel 1 pushes to; wants no changes of its own.
    Push,
}

impl Origin {
    fn word(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::DropIn => "drop_in",
            Self::Push => "push",
        }
    }
}

/// What is to be changed; `None` = unchanged.
#[derive(Debug, Default)]
pub struct Changes {
    pub url: Option<String>,
    pub dialect: Option<Dialect>,
    /// (own, distributor)
    pub types: Option<(bool, bool)>,
    pub events: Option<Vec<String>>,
    /// "" takes it away.
    pub api_token: Option<SecretString>,
    pub rate_limit: Option<i64>,
    pub latest_wins: Option<bool>,
    pub asymmetric: Option<bool>,
    /// Active or paused.
    pub status: Option<SubscriptionStatus>,
}

/// Makes a subscription; answers its id and its secret, which is not shown again.
pub async fn create(
    ctx: &Ctx,
    who: &Who,
    new: NewSubscription,
) -> Result<(i64, SecretString), SubscriptionError> {
    ctx.engine.policy().check_url(&new.url)?;
    if !new.own_orders && !new.distributor_orders {
        return Err(SubscriptionError::NoType);
    }
    let tx = ctx.platform.db.write_tx().await?;
    let (made, secret) = create_in(ctx, &tx, who, new).await?;
    tx.commit().await?;
    ctx.engine.subscriptions_changed();
    Ok((made.id, secret))
}

/// As [`create`], in a transaction of the caller's, who has checked URL and types.
pub async fn create_in(
    ctx: &Ctx,
    tx: &WriteTx,
    who: &Who,
    new: NewSubscription,
) -> Result<(Model, SecretString), SubscriptionError> {
    let filter = Filter { partner_id: Some(new.partner_id), status: None };
    if store::count(tx, filter).await? >= MAX_PER_PARTNER {
        return Err(SubscriptionError::TooMany);
    }
    let secret = new_secret();
    let token = new.api_token.clone();
    let made = store::insert(tx, fresh_row(new, ctx.platform.clock.now_ms())?).await?;
    // The id is part of what the secrets are sealed for, so they can only follow it.
    let sealer = &ctx.platform.sealer;
    let sealed = ActiveModel {
        id: Set(made.id),
        secret: Set(seal(sealer, made.id, Sealed::Secret, &secret)),
        api_token: Set(token.map(|t| seal(sealer, made.id, Sealed::ApiToken, &t)).unwrap_or_default()),
        ..Default::default()
    };
    let made = store::update(tx, sealed).await?;
    let change =
        Change::new("subscription.add", TARGET, made.id).after(&Subscription::try_from(made.clone())?);
    audit::record(&ctx.platform, tx, who, change).await?;
    Ok((made, secret))
}

fn fresh_row(new: NewSubscription, now: i64) -> Result<ActiveModel, DbErr> {
    let status = if new.paused { SubscriptionStatus::Paused } else { SubscriptionStatus::Active };
    Ok(ActiveModel {
        id: NotSet,
        partner_id: Set(new.partner_id),
        url: Set(new.url),
        dialect: Set(new.dialect.word().into()),
        own_orders: Set(new.own_orders),
        distributor_orders: Set(new.distributor_orders),
        events: Set(json(&new.events)?),
        rate_limit: Set(new.rate_limit),
        latest_wins: Set(new.latest_wins),
        status: Set(status.word().into()),
        status_reason: Set(String::new()),
        secret: Set(String::new()),
        old_secret: Set(String::new()),
        old_secret_until: Set(0),
        api_token: Set(String::new()),
        old_api_token: Set(String::new()),
        origin: Set(new.origin.word().into()),
        open_until: Set(0),
        failing_since: Set(0),
        alert_level: Set(0),
        probe_result: Set(String::new()),
        probed_at: Set(0),
        asymmetric: Set(new.asymmetric),
        revision: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(0),
    })
}

/// Changes a subscription in the caller's scope.
pub async fn modify(
    ctx: &Ctx,
    who: &Who,
    id: i64,
    scope: Option<i64>,
    changes: Changes,
) -> Result<(), SubscriptionError> {
    if let Some(url) = &changes.url {
        ctx.engine.policy().check_url(url)?;
    }
    if changes.types == Some((false, false)) {
        return Err(SubscriptionError::NoType);
    }
    let tx = ctx.platform.db.write_tx().await?;
    let there = store::lock(&tx, id, scope).await?.ok_or(SubscriptionError::NotFound)?;
    modify_in(ctx, &tx, who, there, changes).await?;
    tx.commit().await?;
    ctx.engine.subscriptions_changed();
    Ok(())
}

/// As [`modify`], in a transaction of the caller's, who has locked the row and checked URL, types and scope.
pub async fn modify_in(
    ctx: &Ctx,
    tx: &WriteTx,
    who: &Who,
    there: Model,
    changes: Changes,
) -> Result<Model, SubscriptionError> {
    let id = there.id;
    let mut row = touched(&there, ctx.platform.clock.now_ms());
    if let Some(url) = changes.url {
        row.url = Set(url);
        // Another address deserves a fresh start.
        fresh_start(&mut row);
    }
    if let Some(dialect) = changes.dialect {
        row.dialect = Set(dialect.word().into());
    }
    if let Some((own, distributor)) = changes.types {
        row.own_orders = Set(own);
        row.distributor_orders = Set(distributor);
    }
    if let Some(events) = changes.events {
        row.events = Set(json(&events)?);
    }
    if let Some(token) = changes.api_token {
        let sealed = seal(&ctx.platform.sealer, id, Sealed::ApiToken, &token);
        row.api_token = Set(if token.expose_secret().is_empty() { String::new() } else { sealed });
    }
    if let Some(rate_limit) = changes.rate_limit {
        row.rate_limit = Set(rate_limit);
    }
    if let Some(latest_wins) = changes.latest_wins {
        row.latest_wins = Set(latest_wins);
    }
    if let Some(asymmetric) = changes.asymmetric {
        row.asymmetric = Set(asymmetric);
    }
    if let Some(status) = changes.status {
        row.status = Set(status.word().into());
        row.status_reason = Set(String::new());
        fresh_start(&mut row);
    }
    let after = store::update(tx, row).await?;
    let change = Change::new("subscription.modify", TARGET, id)
        .before(&Subscription::try_from(there)?)
        .after(&Subscription::try_from(after.clone())?);
    audit::record(&ctx.platform, tx, who, change).await?;
    Ok(after)
}

/// A change of this row that senders will notice.
fn touched(there: &Model, now: i64) -> ActiveModel {
    ActiveModel {
        id: Set(there.id),
        revision: Set(there.revision + 1),
        updated_at: Set(now),
        ..Default::default()
    }
}

/// Forgets what the receiver did before.
fn fresh_start(row: &mut ActiveModel) {
    row.open_until = Set(0);
    row.failing_since = Set(0);
    row.alert_level = Set(0);
}

/// Gives the subscription a new secret, and a new api_token if one is handed in; the old ones go on beside them for
/// `overlap_ms`. Answers the secret, which is not shown again.
pub async fn rotate_secret(
    ctx: &Ctx,
    who: &Who,
    id: i64,
    scope: Option<i64>,
    overlap_ms: i64,
    api_token: Option<SecretString>,
) -> Result<SecretString, SubscriptionError> {
    let now = ctx.platform.clock.now_ms();
    let (sealer, secret) = (&ctx.platform.sealer, new_secret());
    let tx = ctx.platform.db.write_tx().await?;
    let old = store::lock(&tx, id, scope).await?.ok_or(SubscriptionError::NotFound)?;
    let before = Subscription::try_from(old.clone())?;
    let keeps = overlap_ms > 0;
    let mut row = ActiveModel {
        secret: Set(seal(sealer, id, Sealed::Secret, &secret)),
        old_secret: Set(if keeps { old.secret.clone() } else { String::new() }),
        old_secret_until: Set(if keeps { now + overlap_ms } else { 0 }),
        old_api_token: Set(String::new()),
        ..touched(&old, now)
    };
    if let Some(token) = api_token {
        row.api_token = Set(seal(sealer, id, Sealed::ApiToken, &token));
        row.old_api_token = Set(if keeps { old.api_token } else { String::new() });
    }
    let after = Subscription::try_from(store::update(&tx, row).await?)?;
    let change = Change::new("subscription.rotate_secret", TARGET, id).before(&before).after(&after);
    audit::record(&ctx.platform, &tx, who, change).await?;
    tx.commit().await?;
    ctx.engine.subscriptions_changed();
    Ok(secret)
}

/// Deletes a subscription in the caller's scope; what it still had to deliver is cancelled.
pub async fn delete(ctx: &Ctx, who: &Who, id: i64, scope: Option<i64>) -> Result<(), SubscriptionError> {
    let tx = ctx.platform.db.write_tx().await?;
    let there = store::lock(&tx, id, scope).await?.ok_or(SubscriptionError::NotFound)?;
    store::delete(&tx, &there, ctx.platform.clock.now_ms()).await?;
    let change = Change::new("subscription.delete", TARGET, id).before(&Subscription::try_from(there)?);
    audit::record(&ctx.platform, &tx, who, change).await?;
    tx.commit().await?;
    ctx.engine.subscriptions_changed();
    Ok(())
}

/// Stops a subscription because of what its receiver said; it keeps collecting.
pub async fn disable(tx: &WriteTx, id: i64, reason: &str, now: i64) -> Result<(), DbErr> {
    let Some(there) = store::lock(tx, id, None).await? else { return Ok(()) };
    let row = ActiveModel {
        status: Set(SubscriptionStatus::Disabled.word().into()),
        status_reason: Set(reason.into()),
        ..touched(&there, now)
    };
    store::update(tx, row).await.map(|_| ())
}

/// Which secret of a subscription.
#[derive(Debug, Clone, Copy)]
pub enum Sealed {
    Secret,
    ApiToken,
}

fn context(id: i64, which: Sealed) -> String {
    match which {
        Sealed::Secret => secret_context(&id.to_string()),
        Sealed::ApiToken => token_context(&id.to_string()),
    }
}

/// What signing secrets of the subscription `id` are sealed for.
pub fn secret_context(id: &str) -> String {
    format!("subscription:{id}:secret")
}

/// What its api_tokens are sealed for.
pub fn token_context(id: &str) -> String {
    format!("subscription:{id}:api_token")
}

fn seal(sealer: &Sealer, id: i64, which: Sealed, plain: &SecretString) -> String {
    sealer.seal(&context(id, which), plain.expose_secret().as_bytes())
}

/// Opens a stored secret; `None` for "".
pub fn open(
    sealer: &Sealer,
    row: &Model,
    which: Sealed,
    sealed: &str,
) -> Result<Option<SecretString>, seal::SealError> {
    if sealed.is_empty() {
        return Ok(None);
    }
    sealer.open(&context(row.id, which), sealed).map(Some)
}

/// Is this its api_token already?
pub fn has_token(sealer: &Sealer, row: &Model, token: &SecretString) -> bool {
    let stored = open(sealer, row, Sealed::ApiToken, &row.api_token).ok().flatten();
    stored.is_some_and(|t| {
        seal::constant_time_eq(t.expose_secret().as_bytes(), token.expose_secret().as_bytes())
    })
}

/// `whsec_` and 32 random bytes in base64, as Standard Webhooks writes secrets.
fn new_secret() -> SecretString {
    format!("whsec_{}", STANDARD.encode(seal::random_bytes::<SECRET_BYTES>())).into()
}

fn json(list: &[String]) -> Result<String, DbErr> {
    serde_json::to_string(list).map_err(|e| DbErr::Custom(e.to_string()))
}
