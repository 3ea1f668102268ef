//! What `fuzz/` calls: the way of a credential from the header to the account, as `AccessCheck` goes it before it
//! asks the policy.

use actix_web::http::header::HeaderMap;
use platform::settings::Settings;

use super::token::{TokenCache, TokenKeys, bearer};

/// A door with keys of its own.
pub struct Door {
    keys: TokenKeys,
    cache: TokenCache,
}

impl Door {
    /// With the keys and the issuer of `settings`.
    pub fn new(settings: &Settings) -> Self {
        Self { keys: TokenKeys::new(settings), cache: TokenCache::default() }
    }

    /// The account whose token a request carries, if the token holds at `now_s` (unix seconds).
    pub fn account(&self, headers: &HeaderMap, now_s: i64) -> Option<i64> {
        let token = bearer(headers).ok()?;
        self.cache.check(&self.keys, token, now_s).map(|verified| verified.account_id)
    }
}
