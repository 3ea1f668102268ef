use serde::{Deserialize, Serialize};

use crate::event::Payload;

/// A partner was added or changed. Never carries its password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartnerChanged {
    pub id: i64,
    pub version: i64,
    pub name: String,
    /// The account id of its login, 0 when it has none.
    pub account_id: i64,
    pub enabled: bool,
    /// How customers' names and mobiles are shown to it: `masked` (default), `plain` or `none`.
    pub privacy: String,
}

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum KeyOwner {
    Partner { partner_id: i64 },
    Supplier { supplier_id: i64, supplier_name: String, goods_ids: Vec<i64> },
}

/// A partner's or supplier's API key was made, changed or revoked. The key itself travels as its SHA-256 only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyChanged {
    pub id: i64,
    pub version: i64,
    pub owner: KeyOwner,
    /// Lower hex SHA-256 of the key.
    pub key_sha256: String,
    /// First characters, for people to recognise it by.
    pub prefix: String,
    pub enabled: bool,
    /// Unix milliseconds after which the key is dead, 0 = never; a rotated key lives on until then.
    #[serde(default)]
    pub expires_at: i64,
}

/// Anything in the access policy changed; gateways fetch the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyChanged {
    pub version: i64,
}

/// A token (or, with `jti` empty, every token of an account) is dead; gateways fetch the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRevoked {
    pub version: i64,
    pub jti: String,
    pub account_id: i64,
}

impl Payload for PartnerChanged {
    const TYPE: &'static str = "partner.changed";
    const VERSION: u32 = 1;
}
impl Payload for KeyChanged {
    const TYPE: &'static str = "key.changed";
    const VERSION: u32 = 1;
}
impl Payload for PolicyChanged {
    const TYPE: &'static str = "policy.changed";
    const VERSION: u32 = 1;
}
impl Payload for TokenRevoked {
    const TYPE: &'static str = "token.revoked";
    const VERSION: u32 = 1;
}
