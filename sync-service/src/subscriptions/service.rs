//! The use-cases that write subscriptions.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use platform::{
    db::WriteTx,
    seal::{self, Sealer},
};
use sea_orm::{DbErr, Set};
use secrecy::{ExposeSecret, SecretString};

use super::{
    rules::{Dialect, MAX_PER_PARTNER, SubscriptionStatus},
    store::{self, Filter},
};
use crate::{
    ctx::Ctx,
    delivery::guard::UrlError,
    entities::subscription::{ActiveModel, Model},
};

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
    pub paused: bool,
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
    /// Active or paused.
    pub status: Option<SubscriptionStatus>,
}

/// Makes a subscription; answers its id and its secret, which is not shown again.
pub async fn create(ctx: &Ctx, new: NewSubscription) -> Result<(i64, SecretString), SubscriptionError> {
    ctx.engine.policy().check_url(&new.url)?;
    if !new.own_orders && !new.distributor_orders {
        return Err(SubscriptionError::NoType);
    }
    let now = ctx.platform.clock.now_ms();
    let secret = new_secret();
    let tx = ctx.platform.db.write_tx().await?;
    let filter = Filter { partner_id: Some(new.partner_id), status: None };
    if store::count(&tx, filter).await? >= MAX_PER_PARTNER {
        return Err(SubscriptionError::TooMany);
    }
    let status = if new.paused { SubscriptionStatus::Paused } else { SubscriptionStatus::Active };
    let row = ActiveModel {
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
        open_until: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(0),
        ..Default::default()
    };
    let made = store::insert(&tx, row).await?;
    // The id is part of what the secrets are sealed for, so they can only follow it.
    let sealed = ActiveModel {
        id: Set(made.id),
        secret: Set(seal(&ctx.platform.sealer, made.id, Sealed::Secret, &secret)),
        api_token: Set(new
            .api_token
            .map(|t| seal(&ctx.platform.sealer, made.id, Sealed::ApiToken, &t))
            .unwrap_or_default()),
        ..Default::default()
    };
    store::update(&tx, sealed).await?;
    tx.commit().await?;
    ctx.engine.subscriptions_changed();
    Ok((made.id, secret))
}

/// Changes a subscription in the caller's scope.
pub async fn modify(
    ctx: &Ctx,
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
    store::lock(&tx, id, scope).await?.ok_or(SubscriptionError::NotFound)?;
    let mut row =
        ActiveModel { id: Set(id), updated_at: Set(ctx.platform.clock.now_ms()), ..Default::default() };
    if let Some(url) = changes.url {
        row.url = Set(url);
        // Another address deserves a fresh start.
        row.open_until = Set(0);
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
    if let Some(status) = changes.status {
        row.status = Set(status.word().into());
        row.status_reason = Set(String::new());
        row.open_until = Set(0);
    }
    store::update(&tx, row).await?;
    tx.commit().await?;
    ctx.engine.subscriptions_changed();
    Ok(())
}

/// Deletes a subscription in the caller's scope; what it still had to deliver is cancelled.
pub async fn delete(ctx: &Ctx, id: i64, scope: Option<i64>) -> Result<(), SubscriptionError> {
    let tx = ctx.platform.db.write_tx().await?;
    store::lock(&tx, id, scope).await?.ok_or(SubscriptionError::NotFound)?;
    store::delete(&tx, id, ctx.platform.clock.now_ms()).await?;
    tx.commit().await?;
    ctx.engine.subscriptions_changed();
    Ok(())
}

/// Stops a subscription because of what its receiver said; it keeps collecting.
pub async fn disable(tx: &WriteTx, id: i64, reason: &str, now: i64) -> Result<(), DbErr> {
    if store::lock(tx, id, None).await?.is_none() {
        return Ok(());
    }
    let row = ActiveModel {
        id: Set(id),
        status: Set(SubscriptionStatus::Disabled.word().into()),
        status_reason: Set(reason.into()),
        updated_at: Set(now),
        ..Default::default()
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
        Sealed::Secret => format!("subscription:{id}:secret"),
        Sealed::ApiToken => format!("subscription:{id}:api_token"),
    }
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

/// `whsec_` and 32 random bytes in base64, as Standard Webhooks writes secrets.
fn new_secret() -> SecretString {
    format!("whsec_{}", STANDARD.encode(seal::random_bytes::<SECRET_BYTES>())).into()
}

fn json(list: &[String]) -> Result<String, DbErr> {
    serde_json::to_string(list).map_err(|e| DbErr::Custom(e.to_string()))
}
