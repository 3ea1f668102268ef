//! The rows of `migrations/tables.sql`.

pub mod account;
pub mod account_role;
pub mod api_key;
pub mod audit_entry;
pub mod distributor;
pub mod partner;
pub mod permission;
pub mod revoked_token;
pub mod role;
pub mod role_permission;
pub mod supplier;

use std::fmt;

use sea_orm::DeriveValueType;

/// A column that must not reach a log: hashes and sealed secrets.
#[derive(Clone, Default, PartialEq, Eq, DeriveValueType)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "***" })
    }
}
