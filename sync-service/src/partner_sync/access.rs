//! Who may use the drop-in entry: key, address, quota, signature, platform credential, login. In this order, so
//! that what costs most (a password's hash) is reached by nobody who lacks the rest.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use argon2::{Argon2, PasswordVerifier, password_hash::phc::PasswordHash};
use contracts::{
    events::sealed,
    identity::{Actor, ActorKind},
};
use ipnet::IpNet;
use platform::{
    audit::Who,
    http::{ApiError, Fields, FromFields, RequestContext},
    quota::{Decision, MemoryQuota, Quota, Window},
    seal::{self, SealError},
    settings::Settings,
};
use sea_orm::DbErr;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::{
    rules::{self, Signed},
    token::Tokens,
};
use crate::{
    Ctx,
    entities::{partner, partner_key},
    partners::store,
};

/// Wrong logins of one key in [`LOGIN_WINDOW_SECONDS`] before it has to wait.
const WRONG_LOGINS: u64 = 20;
const LOGIN_WINDOW_SECONDS: u64 = 900;
const DAY_SECONDS: u64 = 86_400;
/// Keys counted in this process while the quota store is away.
const LOCAL_KEYS: usize = 10_000;
/// Passwords hashed at once: each takes 19 MiB and tens of milliseconds.
const HASHES_AT_ONCE: usize = 2;
/// Logins remembered as right.
const REMEMBERED: usize = 10_000;

/// What a caller shows.
#[derive(Debug)]
pub struct Credential {
    pub key: SecretString,
    name: String,
    password: Option<SecretString>,
    token: Option<SecretString>,
    apiuser: String,
    apipwd: SecretString,
}

impl FromFields for Credential {
    fn read(f: &mut Fields<'_>) -> Self {
        let secret = |f: &mut Fields<'_>, name, max| f.optional_text(name, max).unwrap_or_default();
        Self {
            key: secret(f, "key", 200).into(),
            name: secret(f, "name", 200),
            password: Some(secret(f, "password", 200)).filter(|p| !p.is_empty()).map(Into::into),
            token: Some(secret(f, "token", 4096)).filter(|t| !t.is_empty()).map(Into::into),
            apiuser: secret(f, "apiuser", 200),
            apipwd: secret(f, "apipwd", 200).into(),
        }
    }
}

/// What was signed, and the signatures that came with it.
#[derive(Debug, Default)]
pub struct Signatures {
    pub raw: Vec<u8>,
    pub sign: Option<String>,
    pub sign_sha256: Option<String>,
}

/// A caller that was let in.
pub struct Entrant {
    pub partner: partner::Model,
    pub key: partner_key::Model,
    pub signed: Signed,
    /// Its calls of the day: (limit, left); `None` without a daily limit.
    pub day: Option<(u64, u64)>,
    /// As the audit knows it: the partner, whoever of its people or programs calls.
    pub who: Who,
}

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    #[error("the key is missing")]
    NoKey,
    #[error("the key is not valid")]
    BadKey,
    #[error("the key may not be used from this address")]
    Address,
    #[error("too many requests")]
    Quota { retry_after_seconds: u64, opens: String, daily: bool },
    #[error("the signature is missing or wrong")]
    Sign { method: &'static str },
    #[error("apiuser or apipwd is wrong")]
    Platform,
    #[error("name and password, or a token, are missing")]
    NoLogin,
    #[error("name or password is wrong")]
    BadLogin,
    #[error("the token is not valid")]
    BadToken,
    #[error(transparent)]
    Db(#[from] DbErr),
    #[error("a stored secret cannot be used: {0}")]
    Sealed(#[from] SealError),
    #[error("a password could not be checked: {0}")]
    Hash(String),
}

impl From<Denied> for ApiError {
    fn from(e: Denied) -> Self {
        let no = |zh: &str, en: &str| Self::unauthenticated(zh.to_owned(), en.to_owned());
        match e {
            Denied::NoKey => Self::invalid("key", "不能为空", "is required"),
            Denied::NoLogin => Self::invalid(
                "name",
                "和 password 不能为空（或传 token）",
                "and password are required (or a token)",
            ),
            Denied::BadKey => no("接口密钥无效", "the key is not valid"),
            Denied::Address => {
                no("该密钥不允许从此 IP 地址使用", "the key may not be used from this address")
            }
            Denied::Quota { retry_after_seconds, opens, daily } => {
                let (zh, en) = if daily {
                    ("今日调用次数已用完", "today's quota is used up")
                } else {
                    ("请求过于频繁", "too many requests")
                };
                Self::too_many_requests(retry_after_seconds).with_message(
                    format!("{zh}，{opens} 起可再次调用"),
                    format!("{en}, next call possible at {opens}"),
                )
            }
            Denied::Sign { method } => no(
                &format!("签名错误：请求头 {method} 缺失或不正确"),
                &format!("bad signature: the header {method} is missing or wrong"),
            ),
            Denied::Platform => no("接入账户或平台密钥错误", "apiuser or apipwd is wrong"),
            Denied::BadLogin => no("登录账号或密码错误", "name or password is wrong"),
            Denied::BadToken => no("token 无效或已过期", "the token is not valid or has expired"),
            Denied::Db(e) => e.into(),
            e @ (Denied::Sealed(_) | Denied::Hash(_)) => Self::internal(e.to_string()),
        }
    }
}

/// What the checks need besides the database. Cheap to clone.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    tokens: Tokens,
    /// Counts while the shared store is away: the door neither shuts nor stands open.
    local: Quota,
    hashing: Semaphore,
    /// Digest of (stored hash, password) that was found right.
    right: Mutex<HashMap<String, ()>>,
}

impl Access {
    pub fn new(settings: &Settings, clock: &platform::clock::Clock) -> Self {
        Self(Arc::new(Inner {
            tokens: Tokens::new(settings),
            local: Quota::Memory(MemoryQuota::new(clock.clone(), LOCAL_KEYS)),
            hashing: Semaphore::new(HASHES_AT_ONCE),
            right: Mutex::default(),
        }))
    }

    /// Lets a caller in, or says why not.
    pub async fn check(
        &self,
        ctx: &Ctx,
        who: &Credential,
        signatures: &Signatures,
        ip: &str,
    ) -> Result<Entrant, Denied> {
        if who.key.expose_secret().is_empty() {
            return Err(Denied::NoKey);
        }
        let digest = seal::sha256_hex(who.key.expose_secret().as_bytes());
        let (key, partner) = store::key(&ctx.platform.db, &digest).await?.ok_or(Denied::BadKey)?;
        let expired = key.expires_at != 0 && key.expires_at <= ctx.platform.clock.now_ms();
        if !key.enabled || expired || !partner.enabled {
            return Err(Denied::BadKey);
        }
        if !allows(&key.ip_allow, ip) {
            return Err(Denied::Address);
        }
        let day = self.count(ctx, &key).await?;
        let signed = check_sign(ctx, &key, signatures)?;
        check_platform(ctx, &key, who)?;
        self.check_login(ctx, &key, &partner, who).await?;
        let who = Who {
            actor: Actor { kind: ActorKind::Partner, id: partner.account_id, name: partner.name.clone() },
            request_id: RequestContext::current().request_id.clone(),
            ip: ip.to_owned(),
        };
        Ok(Entrant { partner, key, signed, day, who })
    }

    /// Counts the call; what is left of the day.
    async fn count(&self, ctx: &Ctx, key: &partner_key::Model) -> Result<Option<(u64, u64)>, Denied> {
        let limit = |n: i64| u64::try_from(n).ok().filter(|n| *n > 0);
        let mut windows = Vec::new();
        let per_day = limit(key.quota_per_day);
        windows.extend(limit(key.quota_per_second).map(|n| Window::new(n, 1)));
        windows.extend(per_day.map(|n| Window::new(n, DAY_SECONDS)));
        let name = format!("partner-key:{}", key.root_id);
        match self.take(ctx, &name, &windows, 1).await {
            Decision::Admitted { remaining } => Ok(per_day.zip(remaining.last().copied())),
            Decision::Refused { retry_after_seconds, window } => {
                let at = ctx.platform.clock.now_ms() + i64::try_from(retry_after_seconds).unwrap_or(0) * 1000;
                let daily = windows.get(window).is_some_and(|w| w.seconds == DAY_SECONDS);
                Err(Denied::Quota {
                    retry_after_seconds,
                    opens: rules::clock_text(at, ctx.platform.tz),
                    daily,
                })
            }
        }
    }

    async fn take(&self, ctx: &Ctx, name: &str, windows: &[Window], cost: u64) -> Decision {
        match ctx.platform.quota.take(name, windows, cost).await {
            Ok(decision) => decision,
            Err(e) => {
                tracing::warn!(error = %e, "the quota store is away; partners' calls are counted in this process");
                let local = self.0.local.take(name, windows, cost).await;
                local.unwrap_or_else(|_| Decision::Admitted { remaining: vec![0; windows.len()] })
            }
        }
    }

    /// Whether one more would be admitted, counting nothing.
    async fn peek(&self, ctx: &Ctx, name: &str, windows: &[Window]) -> Decision {
        match ctx.platform.quota.peek(name, windows).await {
            Ok(decision) => decision,
            Err(_) => {
                let local = self.0.local.peek(name, windows).await;
                local.unwrap_or_else(|_| Decision::Admitted { remaining: vec![0; windows.len()] })
            }
        }
    }

    async fn check_login(
        &self,
        ctx: &Ctx,
        key: &partner_key::Model,
        partner: &partner::Model,
        who: &Credential,
    ) -> Result<(), Denied> {
        if let Some(token) = &who.token {
            return self.check_token(ctx, partner, token).await;
        }
        let Some(password) = who.password.as_ref().filter(|_| !who.name.is_empty()) else {
            return Err(Denied::NoLogin);
        };
        let wrong_logins = [Window::new(WRONG_LOGINS, LOGIN_WINDOW_SECONDS)];
        let counter = format!("partner-login:{}", key.root_id);
        if let Decision::Refused { retry_after_seconds, .. } = self.peek(ctx, &counter, &wrong_logins).await {
            let at = ctx.platform.clock.now_ms() + i64::try_from(retry_after_seconds).unwrap_or(0) * 1000;
            return Err(Denied::Quota {
                retry_after_seconds,
                opens: rules::clock_text(at, ctx.platform.tz),
                daily: false,
            });
        }
        let named = !partner.login.is_empty() && who.name.to_lowercase() == partner.login;
        if named && !partner.login_hash.is_empty() && self.password_is_right(ctx, partner, password).await? {
            return Ok(());
        }
        self.take(ctx, &counter, &wrong_logins, 1).await;
        Err(Denied::BadLogin)
    }

    async fn password_is_right(
        &self,
        ctx: &Ctx,
        partner: &partner::Model,
        password: &SecretString,
    ) -> Result<bool, Denied> {
        let hash = ctx.platform.sealer.open(&sealed::partner_login(partner.id), &partner.login_hash)?;
        let seen = [hash.expose_secret(), "\0", password.expose_secret()].concat();
        let seen = seal::sha256_hex(seen.as_bytes());
        let known = |right: &Mutex<HashMap<String, ()>>| {
            right.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&seen)
        };
        if known(&self.0.right) {
            return Ok(true);
        }
        let _turn = self.0.hashing.acquire().await.map_err(|e| Denied::Hash(e.to_string()))?;
        let password = password.clone();
        let checking = tokio::task::spawn_blocking(move || {
            let hash = PasswordHash::new(hash.expose_secret()).map_err(|e| e.to_string())?;
            Ok::<_, String>(
                Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok(),
            )
        });
        let right = checking.await.map_err(|e| Denied::Hash(e.to_string()))?.map_err(Denied::Hash)?;
        if right {
            let mut remembered = self.0.right.lock().unwrap_or_else(PoisonError::into_inner);
            if remembered.len() >= REMEMBERED {
                remembered.clear();
            }
            remembered.insert(seen, ());
        }
        Ok(right)
    }

    /// A token of the partner's own login, from POST /api/access/token.
    async fn check_token(
        &self,
        ctx: &Ctx,
        partner: &partner::Model,
        token: &SecretString,
    ) -> Result<(), Denied> {
        let claims = self.0.tokens.verified(token.expose_secret()).ok_or(Denied::BadToken)?;
        let theirs = claims.aud == partner.account_id && partner.account_id != 0;
        if !theirs || claims.exp <= ctx.platform.clock.now_s() {
            return Err(Denied::BadToken);
        }
        if store::is_revoked(&ctx.platform.db, claims.aud, &claims.jti, claims.iat).await? {
            return Err(Denied::BadToken);
        }
        Ok(())
    }
}

fn check_sign(ctx: &Ctx, key: &partner_key::Model, signatures: &Signatures) -> Result<Signed, Denied> {
    // Switched off: a sign header is ignored.
    if !key.sign_required {
        return Ok(Signed::None);
    }
    let sk = ctx.platform.sealer.open(&sealed::key_sk(&key.key_sha256), &key.sk)?;
    let (sign, sha256) = (signatures.sign.as_deref(), signatures.sign_sha256.as_deref());
    let signed = rules::signed(&signatures.raw, &sk, sign, sha256);
    match (key.sign_method.as_str(), signed) {
        (_, Signed::Sha256) => Ok(signed),
        ("sha256", _) => Err(Denied::Sign { method: "sign-sha256" }),
        (_, Signed::Md5) => Ok(signed),
        _ => Err(Denied::Sign { method: "sign" }),
    }
}

fn check_platform(ctx: &Ctx, key: &partner_key::Model, who: &Credential) -> Result<(), Denied> {
    if key.apiuser.is_empty() {
        return Ok(());
    }
    let password = if key.apipwd_md5.is_empty() {
        None
    } else {
        Some(ctx.platform.sealer.open(&sealed::key_apipwd(&key.key_sha256), &key.apipwd_md5)?)
    };
    let named = seal::constant_time_eq(who.apiuser.as_bytes(), key.apiuser.as_bytes());
    let agrees =
        password.is_none_or(|md5| rules::apipwd_agrees(who.apipwd.expose_secret(), md5.expose_secret()));
    if named && agrees { Ok(()) } else { Err(Denied::Platform) }
}

/// Is `ip` in one of the networks of this JSON list? An empty list allows all.
fn allows(list: &str, ip: &str) -> bool {
    let networks: Vec<String> = serde_json::from_str(list).unwrap_or_default();
    let Ok(ip) = ip.parse::<IpAddr>() else { return networks.is_empty() };
    let within = |text: &String| {
        let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network.is_some_and(|n| n.contains(&ip.to_canonical()) || n.contains(&ip))
    };
    networks.is_empty() || networks.iter().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_with_networks_and_single_addresses() {
        assert!(allows("[]", "203.0.113.9") && allows("[]", ""));
        let list = r#"["203.0.113.0/24", "2001:db8::1"]"#;
        assert!(
            allows(list, "203.0.113.9") && allows(list, "::ffff:203.0.113.9") && allows(list, "2001:db8::1")
        );
        assert!(!allows(list, "203.0.114.9") && !allows(list, "") && !allows(list, "junk"));
    }
}
