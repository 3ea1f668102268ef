use serde::{Deserialize, Serialize};

use crate::event::Payload;

/// A partner was added, changed or deleted. Never carries its password in the clear.
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
    /// Login name, lower case, "" when it has none; the drop-in entry compares its `name` with it.
    #[serde(default)]
    pub login: String,
    /// The argon2id hash of the login's password in PHC form, sealed for [`sealed::partner_login`]; "" without a
    /// login. It opens with the envelope keys that all services share.
    #[serde(default)]
    pub login_hash_sealed: String,
    /// Goods assigned to the partner from its own page; order-service owns `goods.partner_id` and follows.
    #[serde(default)]
    pub goods_ids: Vec<i64>,
    /// Its distributors end with it, without an event for each; its keys are told one by one.
    #[serde(default)]
    pub deleted: bool,
}

/// A partner's distributor was added, changed or deleted; orders placed through it are the partner's type 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DistributorChanged {
    pub id: i64,
    pub version: i64,
    pub partner_id: i64,
    pub name: String,
    pub enabled: bool,
    #[serde(default)]
    pub deleted: bool,
}

/// Contexts that secrets in these events are sealed for (`platform::seal::Sealer`): a value opens with the
/// context of its own place only.
pub mod sealed {
    /// SK of a partner's key: the text the partner was shown.
    pub fn key_sk(key_sha256: &str) -> String {
        format!("key:{key_sha256}:sk")
    }

    /// apipwd of a partner's key: the lower-hex MD5 of the password, because callers send it plain or as its MD5.
    pub fn key_apipwd(key_sha256: &str) -> String {
        format!("key:{key_sha256}:apipwd")
    }

    /// Password hash (PHC text) of a partner's login.
    pub fn partner_login(partner_id: i64) -> String {
        format!("partner:{partner_id}:login")
    }
}

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum KeyOwner {
    Partner { partner_id: i64 },
    Supplier { supplier_id: i64, supplier_name: String, goods_ids: Vec<i64> },
}

/// How a partner's key may be used on the drop-in entry (`spec/partner-sync-api.md`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartnerKeySettings {
    /// Requests without a good signature are refused.
    pub sign_required: bool,
    /// `md5` (header `sign`) or `sha256` (header `sign-sha256`).
    pub sign_method: String,
    pub quota_per_second: i64,
    pub quota_per_day: i64,
    /// "" = the key demands no platform credential.
    pub apiuser: String,
    /// Lower-hex MD5 of apipwd, sealed for [`sealed::key_apipwd`]; "" = none is set.
    pub apipwd_md5_sealed: String,
    /// Networks in CIDR form the key may be used from; empty = anywhere.
    pub ip_allow: Vec<String>,
    /// SK, sealed for [`sealed::key_sk`].
    pub sk_sealed: String,
}

/// A partner's or supplier's API key was made, changed or revoked. The key itself travels as its SHA-256 only,
/// the SK sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyChanged {
    pub id: i64,
    pub version: i64,
    pub owner: KeyOwner,
    /// Lower hex SHA-256 of the key.
    pub key_sha256: String,
    /// First characters, for people to recognise it by.
    pub prefix: String,
    /// False when the key is revoked, or its owner disabled or deleted.
    pub enabled: bool,
    /// Unix milliseconds after which the key is dead, 0 = never; a rotated key lives on until then.
    #[serde(default)]
    pub expires_at: i64,
    /// The first key of a chain of rotations, 0 = this one. What must survive a rotation (sync marks, quotas)
    /// is kept under it.
    #[serde(default)]
    pub root_id: i64,
    /// For partners' keys only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner_settings: Option<PartnerKeySettings>,
}

/// A key opened a request. Its service tells this at most once per key in five minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyUsed {
    pub key_id: i64,
    /// Unix milliseconds.
    pub at: i64,
    /// `none`, `md5` or `sha256`: how the request was signed.
    pub sign: String,
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
impl Payload for DistributorChanged {
    const TYPE: &'static str = "distributor.changed";
    const VERSION: u32 = 1;
}
impl Payload for KeyUsed {
    const TYPE: &'static str = "key.used";
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
