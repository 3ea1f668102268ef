//! Access tokens as auth-service makes them (`spec/report-admin-api.md`, "Token"), good and bad ones.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use platform::clock::Clock;
use serde_json::json;

/// Account the tokens belong to; the policy that the bench's upstream hands out knows it.
pub const ACCOUNT: i64 = 1;
const LIFETIME_SECONDS: i64 = 86_400;

/// Tokens of one key.
pub struct Mint {
    pub kid: String,
    pub secret: String,
    pub issuer: String,
}

impl Mint {
    pub fn good(&self) -> Result<String, String> {
        self.make(&self.secret, Clock::system().now_s())
    }

    /// Whole, but expired an hour ago.
    pub fn expired(&self) -> Result<String, String> {
        self.make(&self.secret, Clock::system().now_s() - LIFETIME_SECONDS - 3600)
    }

    /// Signed with another secret under our key's id.
    pub fn forged(&self) -> Result<String, String> {
        self.make(&platform::seal::random_token(32), Clock::system().now_s())
    }

    fn make(&self, secret: &str, issued_at: i64) -> Result<String, String> {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::HS256) };
        let claims = json!({
            "code": "0a1b2c3d", "device": "", "aud": ACCOUNT, "iss": self.issuer, "sub": "acp_mobile_user",
            "ident": "3d2c1b0a", "iat": issued_at, "exp": issued_at + LIFETIME_SECONDS,
            "jti": platform::seal::random_token(12),
        });
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&header, &claims, &key).map_err(|e| format!("a token cannot be made: {e}"))
    }
}
