use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use platform::{db::WriteTx, seal, service::StartError, settings::Settings};
use sea_orm::DbErr;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    rules::{self, Claims, TOKEN_SECONDS},
    store,
};
use crate::{
    accounts,
    app::Ctx,
    audit::{self, Change, Who},
    entities::account,
    partners,
    password::{self, HashError, Verdict, Weak},
    policy::{self, service::PolicyError},
    throttle::Throttled,
    wire::name_key,
};

/// Why a token is not given or not ended.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// One error for an unknown account, a wrong password and a disabled account.
    #[error("wrong account or password")]
    WrongPair,
    #[error(transparent)]
    Throttled(#[from] Throttled),
    #[error("no such account")]
    NotFound,
    #[error("the caller has no token to end")]
    NoToken,
    #[error("the new password is not accepted: {0:?}")]
    Weak(Weak),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error("a token cannot be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Db(#[from] DbErr),
}

/// Signs access tokens with the first token key; gateways verify with all of them, so that keys can be rotated.
#[derive(Clone)]
pub struct Signer {
    key: EncodingKey,
    header: Header,
    issuer: Arc<str>,
    subject: Arc<str>,
}

impl Signer {
    /// # Errors
    /// No token key is set.
    pub fn new(settings: &Settings) -> Result<Self, StartError> {
        let key = settings.token_keys().into_iter().next();
        let key = key.ok_or_else(|| StartError::Settings("keys.token is missing".into()))?;
        let header = Header { kid: Some(key.id), ..Header::new(Algorithm::HS256) };
        Ok(Self {
            key: EncodingKey::from_secret(key.secret.expose_secret().as_bytes()),
            header,
            issuer: settings.issuer().into(),
            subject: settings.auth.token_subject.as_str().into(),
        })
    }

    fn sign(&self, account_id: i64, device: &str, iat: i64) -> Result<String, jsonwebtoken::errors::Error> {
        let eight_hex = || hex::encode(seal::random_bytes::<4>());
        let claims = Claims {
            code: eight_hex(),
            device,
            aud: account_id,
            iss: &self.issuer,
            sub: &self.subject,
            ident: eight_hex(),
            iat,
            exp: iat + TOKEN_SECONDS,
            jti: seal::random_token(16),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key)
    }
}

/// A try to log in.
#[derive(Debug)]
pub struct Login {
    pub account: String,
    pub password: SecretString,
    pub device: String,
    /// Client address as the gateway saw it.
    pub ip: String,
}

/// A token just made.
#[derive(Debug)]
pub struct Issued {
    pub token: SecretString,
    /// Unix seconds.
    pub expires: i64,
    pub nickname: String,
}

/// Gives a token for the right pair of account and password.
///
/// # Errors
/// [`TokenError::WrongPair`] after the same work whatever was wrong, [`TokenError::Throttled`] before any work.
pub async fn log_in(ctx: &Ctx, login: &Login) -> Result<Issued, TokenError> {
    let name = name_key(&login.account);
    let counted = match ctx.throttle.begin(&name, &login.ip).await {
        Ok(counted) => counted,
        Err(throttled) => {
            count("throttled");
            return Err(throttled.into());
        }
    };
    match check_and_issue(ctx, &name, login).await {
        Ok(issued) => {
            counted.succeeded().await;
            count("success");
            Ok(issued)
        }
        Err(TokenError::WrongPair) => {
            count("wrong_pair");
            Err(TokenError::WrongPair)
        }
        Err(ours) => {
            counted.undecided().await;
            count("error");
            Err(ours)
        }
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("auth_logins_total", "outcome" => outcome).increment(1);
}

async fn check_and_issue(ctx: &Ctx, name: &str, login: &Login) -> Result<Issued, TokenError> {
    let account = accounts::store::by_key(ctx.platform.db.conn(), name).await?;
    let stored = account.as_ref().map(|a| a.password_hash.0.as_str());
    let verdict = ctx.hasher.verify(&login.password, stored).await?;
    let (Some(account), Verdict::Right { outdated }) = (account, verdict) else {
        return Err(TokenError::WrongPair);
    };
    if !account.enabled {
        return Err(TokenError::WrongPair);
    }
    let fresh = if outdated { Some(ctx.hasher.hash(&login.password).await?) } else { None };
    let iat = rules::issued_at(ctx.platform.clock.now_s(), account.tokens_valid_from);
    let token = ctx.signer.sign(account.id, &login.device, iat)?;
    admit(ctx, &account, iat, fresh.as_deref()).await?;
    Ok(Issued { token: token.into(), expires: iat + TOKEN_SECONDS, nickname: account.nickname })
}

/// Checking a password takes long; what was checked must still hold when the token is given.
async fn admit(ctx: &Ctx, account: &account::Model, iat: i64, fresh: Option<&str>) -> Result<(), TokenError> {
    let tx = ctx.platform.db.write_tx().await?;
    let lock = match fresh {
        Some(_) => Some(policy::service::lock(&tx).await?),
        None => None,
    };
    if !store::admit(&tx, account, iat, ctx.platform.clock.now_ms()).await? {
        return Err(TokenError::WrongPair);
    }
    if let (Some(hash), Some(lock)) = (fresh, lock) {
        store::set_hash(&tx, account.id, hash).await?;
        if account.partner_id != 0 {
            partners::service::announce(ctx, &tx, account.partner_id).await?;
        }
        policy::service::finish(ctx, &tx, lock).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Ends the caller's own token.
///
/// # Errors
/// The caller has none.
pub async fn log_out(ctx: &Ctx, who: &Who, account_id: i64, jti: &str) -> Result<(), TokenError> {
    if jti.is_empty() {
        return Err(TokenError::NoToken);
    }
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    let last = accounts::store::by_id(&tx, account_id).await?.map_or(0, |a| a.last_token_iat);
    let exp = rules::latest_expiry(ctx.platform.clock.now_s(), last);
    store::revoke(&tx, jti, account_id, exp).await?;
    policy::service::announce_revoked(ctx, &tx, &lock, account_id, jti).await?;
    audit::record(ctx, &tx, who, Change::new("access.logout", "account", account_id)).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends all tokens of an account; answers from which `iat` on new ones are good.
///
/// # Errors
/// There is no such account.
pub async fn revoke_all(ctx: &Ctx, who: &Who, account_id: i64) -> Result<i64, TokenError> {
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    let account = accounts::store::for_update(&tx, account_id).await?.ok_or(TokenError::NotFound)?;
    let valid_from = end_all(ctx, &tx, &lock, &account).await?;
    audit::record(ctx, &tx, who, Change::new("access.revoke", "account", account_id)).await?;
    tx.commit().await?;
    Ok(valid_from)
}

/// Ends all tokens of an account within a change of the policy. The row must have been read for update.
pub async fn end_all(
    ctx: &Ctx,
    tx: &WriteTx,
    lock: &policy::service::Lock,
    account: &account::Model,
) -> Result<i64, DbErr> {
    let now_s = ctx.platform.clock.now_s();
    let valid_from = rules::end_all(now_s, account.last_token_iat, account.tokens_valid_from);
    accounts::store::set_tokens_valid_from(tx, account.id, valid_from).await?;
    policy::service::announce_revoked(ctx, tx, lock, account.id, "").await?;
    Ok(valid_from)
}

/// A new password for oneself, for whoever knows the present one. Ends all of the account's tokens.
///
/// # Errors
/// As a login for the present password; the new one is too weak.
pub async fn change_own_password(
    ctx: &Ctx,
    who: &Who,
    account_id: i64,
    present: &SecretString,
    new: &SecretString,
) -> Result<(), TokenError> {
    let account = accounts::store::by_id(ctx.platform.db.conn(), account_id).await?;
    let account = account.ok_or(TokenError::NotFound)?;
    password::check(new, &account.account).map_err(TokenError::Weak)?;
    let counted = ctx.throttle.begin(&account.account_key, &who.ip).await?;
    let verdict = match ctx.hasher.verify(present, Some(&account.password_hash.0)).await {
        Ok(verdict) => verdict,
        Err(e) => {
            counted.undecided().await;
            return Err(e.into());
        }
    };
    if verdict == Verdict::Wrong {
        return Err(TokenError::WrongPair);
    }
    counted.succeeded().await;
    let hash = ctx.hasher.hash(new).await?;
    let tx = ctx.platform.db.write_tx().await?;
    let lock = policy::service::lock(&tx).await?;
    let now = accounts::store::for_update(&tx, account_id).await?.ok_or(TokenError::NotFound)?;
    if now.password_hash != account.password_hash || !now.enabled {
        return Err(TokenError::WrongPair);
    }
    store::set_hash(&tx, account_id, &hash).await?;
    end_all(ctx, &tx, &lock, &now).await?;
    if now.partner_id != 0 {
        partners::service::announce(ctx, &tx, now.partner_id).await?;
    }
    let change =
        Change::new("access.password", "account", account_id).after(&json!({ "password": "changed" }));
    audit::record(ctx, &tx, who, change).await?;
    policy::service::finish(ctx, &tx, lock).await?;
    tx.commit().await?;
    Ok(())
}
