//! Access tokens in place of a login: one of ours, for this issuer, in time. Whether it was revoked is another
//! question, for the database.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use platform::settings::Settings;
use secrecy::ExposeSecret;
use serde::Deserialize;

/// What a token says.
#[derive(Debug, Deserialize)]
pub struct Claims {
    iss: String,
    /// Unix seconds.
    pub exp: i64,
    /// Account id.
    #[serde(default)]
    pub aud: i64,
    #[serde(default)]
    pub iat: i64,
    #[serde(default)]
    pub jti: String,
}

/// The keys tokens are checked with.
pub struct Tokens {
    keys: Vec<(String, DecodingKey)>,
    issuer: String,
    validation: Validation,
}

impl Tokens {
    pub fn new(settings: &Settings) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Issuer and expiry are compared exactly, against the clock that is handed in.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let key = |secret: &str| DecodingKey::from_secret(secret.as_bytes());
        Self {
            keys: settings.token_keys().into_iter().map(|k| (k.id, key(k.secret.expose_secret()))).collect(),
            issuer: settings.issuer(),
            validation,
        }
    }

    /// The claims, if one of our keys signed them for this issuer. Says nothing about expiry.
    pub fn verified(&self, token: &str) -> Option<Claims> {
        let token = token.strip_prefix("Bearer ").unwrap_or(token);
        let header = jsonwebtoken::decode_header(token).ok()?;
        // An extension that must be understood is not: RFC 7515, 4.1.11.
        if header.alg != Algorithm::HS256 || header.crit.is_some() {
            return None;
        }
        let kid = header.kid?;
        let (_, key) = self.keys.iter().find(|(id, _)| *id == kid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation).ok()?.claims;
        (claims.iss == self.issuer).then_some(claims)
    }
}
