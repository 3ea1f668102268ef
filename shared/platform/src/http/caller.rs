//! The caller of a request, from the gateway's signed internal token. Services trust that alone, in the
//! embedded mode as well: no other header says who somebody is.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::identity::{Caller, CallerKind, INTERNAL_TOKEN_HEADER, InternalClaims};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::{ExposeSecret, SecretString};

use super::error::ApiError;
use crate::clock::Clock;

/// Seconds an internal token lives: longer than any request waits for its turn, shorter than anybody could use a stolen one.
pub const INTERNAL_TOKEN_SECONDS: i64 = 60;

/// `{"typ":"JWT","alg":"HS256"}`
const HEADER: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9";
/// Room for an ordinary internal token.
const SIGNED_CHARS: usize = 512;

/// Signs and checks internal tokens (HS256).
#[derive(Clone)]
pub struct InternalKey {
    /// Made once: the gateway signs every request, and most of jsonwebtoken's time goes into key and header.
    signing: hmac::Key,
    decoding: DecodingKey,
    validation: Validation,
}

impl InternalKey {
    pub fn new(secret: &SecretString) -> Self {
        let bytes = secret.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        // Expiry is checked against the handed-in clock.
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self {
            signing: hmac::Key::new(hmac::HMAC_SHA256, bytes),
            decoding: DecodingKey::from_secret(bytes),
            validation,
        }
    }

    /// Signs the claims; cannot fail for claims that are plain data.
    pub fn sign(&self, claims: &InternalClaims) -> Result<String, jsonwebtoken::errors::Error> {
        let mut token = String::with_capacity(SIGNED_CHARS);
        token.push_str(HEADER);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims)?, &mut token);
        let tag = hmac::sign(&self.signing, token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(tag, &mut token);
        Ok(token)
    }

    /// The claims, if the token was signed by us for just this request and has not expired.
    pub fn verify(&self, token: &str, method: &str, path: &str, now_s: i64) -> Option<InternalClaims> {
        let data = jsonwebtoken::decode::<InternalClaims>(token, &self.decoding, &self.validation).ok()?;
        let claims = data.claims;
        (claims.exp >= now_s && claims.method == method && claims.path == path).then_some(claims)
    }
}

/// App data every server needs for [`Identity`].
#[derive(Clone)]
pub struct CallerCheck {
    pub key: InternalKey,
    pub clock: Clock,
}

/// The verified caller of this request. A request that did not come through the gateway is refused.
#[derive(Debug, Clone)]
pub struct Identity {
    pub caller: Caller,
    /// Client address as the gateway saw it.
    pub ip: String,
    pub request_id: String,
}

impl Identity {
    /// The partner this caller is confined to; `None` for operators, who see all.
    pub fn partner_scope(&self) -> Option<i64> {
        (self.caller.kind == CallerKind::Partner).then_some(self.caller.partner_id)
    }

    fn check(req: &HttpRequest) -> Result<Self, ApiError> {
        let not_ours =
            || ApiError::unauthenticated("请求没有经过网关", "the request did not come through the gateway");
        let check = req
            .app_data::<web::Data<CallerCheck>>()
            .ok_or_else(|| ApiError::internal(std::io::Error::other("no CallerCheck in the app's data")))?;
        let mut values = req.headers().get_all(INTERNAL_TOKEN_HEADER);
        let (Some(token), None) = (values.next(), values.next()) else { return Err(not_ours()) };
        let token = token.to_str().map_err(|_| not_ours())?;
        let claims = check
            .key
            .verify(token, req.method().as_str(), req.path(), check.clock.now_s())
            .ok_or_else(not_ours)?;
        Ok(Self { caller: claims.caller, ip: claims.ip, request_id: claims.rid })
    }
}

impl FromRequest for Identity {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::check(req))
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header};

    use super::*;

    #[test]
    fn a_token_opens_its_own_request_until_it_expires() {
        let key = InternalKey::new(&"internal-0123456789-abcdefghijklmnop".into());
        let claims = InternalClaims {
            caller: Caller { nickname: "昵称\"".into(), ..Caller::anonymous() },
            method: "GET".into(),
            path: "/api/report/1".into(),
            rid: "r-1".into(),
            ip: "::1".into(),
            exp: 100,
        };
        let token = key.sign(&claims).expect("signed");
        let encoding = EncodingKey::from_secret(b"internal-0123456789-abcdefghijklmnop");
        let theirs =
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &encoding).expect("signed");
        assert_eq!(token, theirs, "any JWT library makes and reads the same");
        let opened = key.verify(&token, "GET", "/api/report/1", 100).expect("opens");
        assert_eq!((opened.caller, opened.rid), (claims.caller, claims.rid));
        for (method, path, now_s) in
            [("POST", "/api/report/1", 0), ("GET", "/api/report/2", 0), ("GET", "/api/report/1", 101)]
        {
            assert!(key.verify(&token, method, path, now_s).is_none(), "{method} {path} {now_s}");
        }
        let other = InternalKey::new(&"internal-0123456789-abcdefghijklmnoq".into());
        assert!(other.verify(&token, "GET", "/api/report/1", 0).is_none());
    }
}
