//! Access tokens: which credential a request carries, and whether it is one of ours
//! (`spec/report-admin-api.md`, "Token"). alg, kid, signature, iss and exp decide; `typ` and the rest do not.
//!
//! A token that was verified once is remembered by its SHA-256, so that the next request costs a hash and not a
//! verification. Expiry and revocation are looked at on every request all the same.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use platform::{http::ApiError, settings::Settings};
use secrecy::ExposeSecret;
use serde::Deserialize;

/// Longest token that is looked at, bytes; ours have about 400.
const MAX_TOKEN_BYTES: usize = 4096;
/// Verified tokens remembered by one worker, in each of two generations.
const REMEMBERED: usize = 4096;

/// The keys and the issuer that tokens are checked with. Shared by all workers.
pub(crate) struct TokenKeys {
    keys: Vec<(String, DecodingKey)>,
    issuer: String,
    validation: Validation,
}

/// What a verified token says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    pub account_id: i64,
    pub jti: String,
    /// Unix seconds; 0 when the token does not say.
    pub issued_at: i64,
    /// Unix seconds; dead from this second on.
    pub expires_at: i64,
}

/// `aud` is a JSON number, so it is read as a plain claim.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    exp: i64,
    #[serde(default)]
    aud: i64,
    #[serde(default)]
    iat: i64,
    #[serde(default)]
    jti: String,
}

impl TokenKeys {
    pub fn new(settings: &Settings) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Issuer and expiry are compared below: exactly, and against the clock that is handed in.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let key = |secret: &str| DecodingKey::from_secret(secret.as_bytes());
        let named = settings.token_keys();
        Self {
            keys: named.into_iter().map(|k| (k.id, key(k.secret.expose_secret()))).collect(),
            issuer: settings.issuer(),
            validation,
        }
    }

    /// The token's claims, if one of our keys signed it for this issuer. Says nothing about expiry.
    fn verify(&self, token: &str) -> Option<Verified> {
        let header = decode_header(token).ok()?;
        // An extension that must be understood is not: RFC 7515, 4.1.11.
        if header.alg != Algorithm::HS256 || header.crit.is_some() {
            return None;
        }
        let kid = header.kid?;
        let (_, key) = self.keys.iter().find(|(id, _)| *id == kid)?;
        let claims = decode::<Claims>(token, key, &self.validation).ok()?.claims;
        (claims.iss == self.issuer).then_some(Verified {
            account_id: claims.aud,
            jti: claims.jti,
            issued_at: claims.iat,
            expires_at: claims.exp,
        })
    }
}

/// The tokens one worker has verified. Two generations: when the young one is full it becomes the old one, so
/// what is in use stays and memory is bounded.
#[derive(Default)]
pub(crate) struct TokenCache(RefCell<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Fingerprint, Rc<Verified>, FingerprintHasher>,
    old: HashMap<Fingerprint, Rc<Verified>, FingerprintHasher>,
}

type Fingerprint = [u8; 32];

impl TokenCache {
    /// The verified claims of `token`, unless it is expired at `now_s` or none of ours.
    pub fn check(&self, keys: &TokenKeys, token: &str, now_s: i64) -> Option<Rc<Verified>> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let mut fingerprint = Fingerprint::default();
        fingerprint.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let known = self.0.borrow_mut().find(&fingerprint);
        let verified = match known {
            Some(verified) => verified,
            None => {
                let verified = Rc::new(keys.verify(token)?);
                if verified.expires_at > now_s {
                    self.0.borrow_mut().remember(fingerprint, Rc::clone(&verified));
                }
                verified
            }
        };
        (verified.expires_at > now_s).then_some(verified)
    }
}

impl Generations {
    fn find(&mut self, fingerprint: &Fingerprint) -> Option<Rc<Verified>> {
        if let Some(found) = self.young.get(fingerprint) {
            return Some(Rc::clone(found));
        }
        let found = self.old.remove(fingerprint)?;
        self.remember(*fingerprint, Rc::clone(&found));
        Some(found)
    }

    fn remember(&mut self, fingerprint: Fingerprint, verified: Rc<Verified>) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(fingerprint, verified);
    }
}

/// A SHA-256 is as evenly spread as a hash can be: its first bytes are the hash.
#[derive(Default, Clone)]
struct FingerprintHasher;

#[derive(Default)]
struct FirstBytes(u64);

impl std::hash::BuildHasher for FingerprintHasher {
    type Hasher = FirstBytes;

    fn build_hasher(&self) -> FirstBytes {
        FirstBytes::default()
    }
}

impl std::hash::Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*first);
        }
    }
}

/// The one token of a request: `Bearer <token>`, or the bare token.
///
/// # Errors
/// 401/6 when there is none, more than one, or another scheme.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(AUTHORIZATION);
    let Some(value) = values.next() else {
        return Err(ApiError::unauthenticated("请先登录", "a token is needed"));
    };
    if values.next().is_some() {
        return Err(several());
    }
    let bytes = value.as_bytes().trim_ascii();
    let token = match bytes.split_first_chunk::<{ SCHEME.len() }>() {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) && starts_apart(rest) => {
            rest.trim_ascii()
        }
        _ => bytes,
    };
    // The characters of a token, and nothing that could set two of them apart.
    let is_one = token.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    match std::str::from_utf8(token) {
        Ok(token) if is_one && !token.is_empty() => Ok(token),
        Ok(text) if text.contains(',') || (token.len() < bytes.len() && text.contains(' ')) => Err(several()),
        _ => Err(dead()),
    }
}

const SCHEME: &[u8; 6] = b"bearer";

fn starts_apart(rest: &[u8]) -> bool {
    rest.first().is_none_or(|b| *b == b' ')
}

fn several() -> ApiError {
    ApiError::unauthenticated("只能携带一个凭证", "send exactly one credential")
}

/// 401/6 for a token that does not hold, whatever the reason: a caller must not learn how far it got.
pub(crate) fn dead() -> ApiError {
    ApiError::unauthenticated("登录已失效，请重新登录", "the token is not valid any more; sign in again")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).expect("a header value"));
        }
        bearer(&headers).map(str::to_owned).map_err(|e| e.message().en.to_string())
    }

    #[test]
    fn one_token_with_or_without_its_scheme() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c ", "a.b.c", " a.b.c "] {
            assert_eq!(read(&[value]).as_deref(), Ok("a.b.c"), "{value:?}");
        }
        for several in [
            &["Bearer a.b.c", "Bearer a.b.c"][..],
            &["Bearer a.b.c, Bearer a.b.c"],
            &["a.b.c,d.e.f"],
            &["Bearer a.b.c d.e.f"],
            &["a.b.c, d.e.f"],
        ] {
            assert_eq!(read(several).expect_err("refused"), "send exactly one credential", "{several:?}");
        }
        for bad in ["Basic YTpi", "Bearer", "Bearer ", "", "Digest x"] {
            assert!(read(&[bad]).is_err(), "{bad:?}");
        }
        assert_eq!(read(&[]).expect_err("none"), "a token is needed");
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_what_is_used() {
        let mut generations = Generations::default();
        let verified =
            |id| Rc::new(Verified { account_id: id, jti: String::new(), issued_at: 0, expires_at: 9 });
        let print = |n: u64| {
            let mut p = Fingerprint::default();
            p[..8].copy_from_slice(&n.to_le_bytes());
            p
        };
        generations.remember(print(0), verified(0));
        for n in 1..50_000 {
            generations.remember(print(n), verified(1));
            assert!(generations.find(&print(0)).is_some(), "forgotten after {n} others");
            assert!(generations.young.len() + generations.old.len() <= 2 * REMEMBERED);
        }
        assert!(generations.find(&print(1)).is_none());
    }
}
