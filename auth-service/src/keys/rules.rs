use std::net::IpAddr;

use contracts::events::{KeyChanged, KeyOwner, PartnerKeySettings};
use ipnet::IpNet;
use md5::{Digest, Md5};

use crate::{entities::api_key, wire::read_ids};

/// Live keys one partner or supplier may have.
pub const MAX_LIVE_KEYS: u64 = 100;
/// How long a rotated key lives on when nothing else is said: a day.
pub const DEFAULT_OVERLAP_SECONDS: i64 = 86_400;
pub const MAX_OVERLAP_SECONDS: i64 = 30 * 86_400;
/// `spec/partner-sync-api.md`, "Quotas".
pub const DEFAULT_QUOTA_PER_SECOND: i64 = 1;
pub const DEFAULT_QUOTA_PER_DAY: i64 = 10_000;
pub const MAX_QUOTA: i64 = 1_000_000_000;
pub const SIGN_METHODS: [&str; 2] = ["md5", "sha256"];
/// Characters of a key that are kept and shown: the word in front and 8 of its 40 hex digits.
pub const PREFIX_CHARS: usize = 12;

/// Whose key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Partner(i64),
    Supplier(i64),
}

impl Owner {
    /// The word in the table.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Partner(_) => "partner",
            Self::Supplier(_) => "supplier",
        }
    }

    pub fn id(self) -> i64 {
        match self {
            Self::Partner(id) | Self::Supplier(id) => id,
        }
    }

    /// What a new key begins with, so that people and secret scanners know it when they see it.
    pub fn key_word(self) -> &'static str {
        match self {
            Self::Partner(_) => "bdp_",
            Self::Supplier(_) => "bds_",
        }
    }

    /// The owner a row names.
    pub fn of(row: &api_key::Model) -> Self {
        if row.owner_kind == "partner" { Self::Partner(row.owner_id) } else { Self::Supplier(row.owner_id) }
    }
}

/// What people see of a key's life at `now_ms`.
pub fn status(row: &api_key::Model, now_ms: i64) -> &'static str {
    match (row.enabled, row.expires_at) {
        (false, _) => "revoked",
        (true, 0) => "active",
        (true, at) if at > now_ms => "expiring",
        (true, _) => "expired",
    }
}

/// Does the key open anything at `now_ms`, its owner apart?
pub fn is_live(row: &api_key::Model, now_ms: i64) -> bool {
    row.enabled && (row.expires_at == 0 || row.expires_at > now_ms)
}

/// The new end of a key that is being rotated: never later than it was.
pub fn rotated_expiry(expires_at: i64, now_ms: i64, overlap_seconds: i64) -> i64 {
    let overlap_ends = now_ms + overlap_seconds * 1000;
    if expires_at == 0 { overlap_ends } else { expires_at.min(overlap_ends) }
}

/// An address or a network, in CIDR form.
pub fn network(text: &str) -> Option<String> {
    let text = text.trim();
    match text.parse::<IpNet>() {
        Ok(net) => Some(net.trunc().to_string()),
        Err(_) => Some(IpNet::from(text.parse::<IpAddr>().ok()?).to_string()),
    }
}

/// Lower-hex MD5, as callers send an apipwd instead of the plain one (`spec/partner-sync-api.md`). Not for passwords.
pub fn md5_hex(text: &str) -> String {
    hex::encode(Md5::digest(text.as_bytes()))
}

/// What the other services are told of a key.
pub fn event(owner_name: &str, owner_enabled: bool, row: &api_key::Model) -> KeyChanged {
    let (owner, partner_settings) = match Owner::of(row) {
        Owner::Partner(partner_id) => {
            let settings = PartnerKeySettings {
                sign_required: row.sign_required,
                sign_method: row.sign_method.clone(),
                quota_per_second: row.quota_per_second,
                quota_per_day: row.quota_per_day,
                apiuser: row.apiuser.clone(),
                apipwd_md5_sealed: row.apipwd_md5_sealed.0.clone(),
                ip_allow: read_networks(&row.ip_allow),
                sk_sealed: row.sk_sealed.0.clone(),
            };
            (KeyOwner::Partner { partner_id }, Some(settings))
        }
        Owner::Supplier(supplier_id) => {
            let goods_ids = read_ids(&row.goods_ids);
            (KeyOwner::Supplier { supplier_id, supplier_name: owner_name.into(), goods_ids }, None)
        }
    };
    KeyChanged {
        id: row.id,
        version: row.version,
        owner,
        key_sha256: row.key_sha256.clone(),
        prefix: row.prefix.clone(),
        enabled: row.enabled && owner_enabled,
        expires_at: row.expires_at,
        root_id: row.root_id,
        partner_settings,
    }
}

/// A list of networks as the table keeps it.
pub fn read_networks(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_kept_in_one_form() {
        for (text, expected) in [
            ("203.0.113.7", "203.0.113.7/32"),
            (" 203.0.113.7/24 ", "203.0.113.0/24"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(network(text).as_deref(), Some(expected));
        }
        for text in ["", "example.com", "203.0.113", "203.0.113.7/33", "1.2.3.4:80", "😀"] {
            assert_eq!(network(text), None, "{text}");
        }
    }

    #[test]
    fn a_rotation_never_lengthens_a_keys_life() {
        assert_eq!(rotated_expiry(0, 1_000, 60), 61_000);
        assert_eq!(rotated_expiry(30_000, 1_000, 60), 30_000);
        assert_eq!(rotated_expiry(90_000, 1_000, 60), 61_000);
        assert_eq!(rotated_expiry(0, 1_000, 0), 1_000);
    }

    #[test]
    fn md5_agrees_with_its_published_vector() {
        assert_eq!(md5_hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
    }
}
