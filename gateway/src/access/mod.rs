//! Who is asking, and may they? Order of the answers (`spec/report-admin-api.md`, "Status numbers"): 401/6 for
//! anything wrong with the token or its account, then what is wrong with the route itself (403/4 not registered,
//! 403/5 in no role), then what the account lacks (403/3).
//!
//! Invariant: revocation and permission are asked of the policy in force on every request; only the signature
//! check is remembered.

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod policy;
mod remote;
mod token;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use contracts::{
    identity::{Caller, CallerKind},
    routes::{Access, Route},
};
use platform::{
    clock::Clock,
    http::{ApiError, ForbiddenKind},
};

use policy::Policy;
pub(crate) use policy::{POLL_EVERY, PolicyStore};
pub use remote::HttpPolicySource;
use token::Verified;
pub(crate) use token::{TokenCache, TokenKeys};

/// What a request is checked with.
pub(crate) struct AccessCheck<'a> {
    pub keys: &'a TokenKeys,
    pub cache: &'a TokenCache,
    pub policy: &'a PolicyStore,
    pub clock: &'a Clock,
    /// `storage.anonymous_upload_token`
    pub opened: bool,
}

impl AccessCheck<'_> {
    /// Is the route opened by setting, and does this caller show no credential? One that is shown must be good.
    pub fn passes_unsigned(&self, route: &Route, headers: &HeaderMap) -> bool {
        self.opened && route.access == Access::AccountUnlessOpened && !headers.contains_key(AUTHORIZATION)
    }

    /// The caller of a request for the route at `index`.
    ///
    /// # Errors
    /// 401, 403, or 503 when there is no policy to decide by.
    pub fn caller(&self, route: &Route, index: usize, headers: &HeaderMap) -> Result<Caller, ApiError> {
        if matches!(route.access, Access::Public | Access::Key) || self.passes_unsigned(route, headers) {
            return Ok(Caller::anonymous());
        }
        let token = token::bearer(headers)?;
        let now_s = self.clock.now_s();
        let verified = self.cache.check(self.keys, token, now_s).ok_or_else(token::dead)?;
        let policy = self.policy.current().map_err(ApiError::unavailable)?;
        decide(&policy, route, index, &verified)
    }
}

/// The decision for a token whose signature holds.
fn decide(policy: &Policy, route: &Route, index: usize, token: &Verified) -> Result<Caller, ApiError> {
    let account = policy
        .account(token.account_id)
        .filter(|a| token.issued_at >= a.tokens_valid_from && !policy.is_revoked(&token.jti))
        .ok_or_else(token::dead)?;
    if route.needs_permission() {
        let facts = policy.route(index);
        let partner = account.kind == CallerKind::Partner;
        // A partner's own routes are open to it by what it is, not by a role.
        let by_kind = partner && route.access == Access::AccountOrPartner;
        let refused = match facts.registered {
            false => Some(ForbiddenKind::NotRegistered),
            true if by_kind => None,
            true if !facts.in_a_role => Some(ForbiddenKind::NoRole),
            true if partner || !account.may(index) => Some(ForbiddenKind::NotGranted),
            true => None,
        };
        if let Some(kind) = refused {
            return Err(ApiError::forbidden(kind));
        }
    }
    Ok(Caller {
        kind: account.kind,
        account_id: token.account_id,
        nickname: account.nickname.clone(),
        partner_id: account.partner_id,
        jti: token.jti.clone(),
    })
}
