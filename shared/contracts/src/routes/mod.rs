//! The route table: every path the gateway opens, as data. A path that is not here does not exist for
//! the outside. The route's name is its permission in the registry (`spec/report-admin-api.md`).
//!
//! One list per service, beside its neighbours; `all()` is their sum.

mod auth;
mod order;
mod report;
mod sync;

use serde::{Deserialize, Serialize};

/// Which service answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceName {
    Auth,
    Report,
    Order,
    Sync,
}

impl ServiceName {
    pub const ALL: [Self; 4] = [Self::Auth, Self::Report, Self::Order, Self::Sync];

    /// The word used in settings, database names and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Report => "report",
            Self::Order => "order",
            Self::Sync => "sync",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Anybody; a token is neither needed nor read.
    Public,
    /// Any live token, whatever its permissions (logout).
    SignedIn,
    /// An operator's account that holds the permission.
    Account,
    /// Such an account, or any partner's login, which then sees its own only.
    AccountOrPartner,
    /// An operator's account that holds the permission; callers without any credential too, once
    /// `storage.anonymous_upload_token` opens it.
    AccountUnlessOpened,
    /// No token: the service itself checks the supplier's or partner's key.
    Key,
}

/// In which form errors are answered; the statuses are the same facts in three wire dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `{"status", "error", "errors"}` (`spec/report-admin-api.md`).
    Admin,
    /// HTTP 200 with `{"status": false, "msg", …}` (`spec/supplier-api.md`).
    Supplier,
    /// HTTP 200 with `{"code", "msg", …}` (`spec/partner-sync-api.md`).
    Partner,
}

/// One route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The permission.
    pub name: &'static str,
    pub method: Method,
    /// With `{parameters}`.
    pub path: &'static str,
    pub service: ServiceName,
    pub access: Access,
    pub dialect: Dialect,
    /// Largest body accepted, bytes.
    pub body_limit_bytes: usize,
    /// Until the first byte of the answer, seconds.
    pub timeout_seconds: u64,
    /// A repeat does no harm, so the gateway may try again when an upstream connection died.
    pub idempotent: bool,
}

/// Path of the suppliers' drop-in entry, unless a setting names another.
pub const SUPPLIER_ENTRY: &str = "/admin_jiuwuxiaohun.php";

const DEFAULT_BODY_LIMIT_BYTES: usize = 1024 * 1024;
const DEFAULT_TIMEOUT_SECONDS: u64 = 30;

const fn route(
    service: ServiceName,
    name: &'static str,
    method: Method,
    path: &'static str,
    access: Access,
) -> Route {
    Route {
        name,
        method,
        path,
        service,
        access,
        dialect: Dialect::Admin,
        body_limit_bytes: DEFAULT_BODY_LIMIT_BYTES,
        timeout_seconds: DEFAULT_TIMEOUT_SECONDS,
        idempotent: matches!(method, Method::Get),
    }
}

impl Route {
    /// The body limit of an upload or of a credential form.
    #[must_use]
    pub const fn body(mut self, bytes: usize) -> Self {
        self.body_limit_bytes = bytes;
        self
    }

    #[must_use]
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// A GET that changes something (the supplier drop-in): never retried.
    #[must_use]
    pub const fn not_idempotent(mut self) -> Self {
        self.idempotent = false;
        self
    }

    /// Does an account need a role that holds `name`?
    pub fn needs_permission(&self) -> bool {
        matches!(self.access, Access::Account | Access::AccountOrPartner | Access::AccountUnlessOpened)
    }
}

/// Every route of the system.
pub fn all() -> impl Iterator<Item = &'static Route> {
    [auth::ROUTES, report::ROUTES, order::ROUTES, sync::ROUTES].into_iter().flatten()
}

/// Every route of a system whose suppliers' entry is at `entry`. Another path than [`SUPPLIER_ENTRY`] is kept for the
/// rest of the process's life.
pub fn with_supplier_entry(entry: &str) -> Vec<&'static Route> {
    let path: &'static str =
        if entry == SUPPLIER_ENTRY { SUPPLIER_ENTRY } else { String::leak(entry.into()) };
    let moved = |r: &'static Route| match r.path {
        SUPPLIER_ENTRY if path != SUPPLIER_ENTRY => &*Box::leak(Box::new(Route { path, ..*r })),
        _ => r,
    };
    all().map(moved).collect()
}

/// The names that must stand in the permission registry.
pub fn permissions() -> impl Iterator<Item = &'static str> {
    all().filter(|r| r.needs_permission()).map(|r| r.name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_addresses_are_unique() {
        let mut names = HashSet::new();
        let mut addresses = HashSet::new();
        for r in all() {
            assert!(names.insert((r.name, r.method)), "{} {} twice", r.method.as_str(), r.name);
            assert!(addresses.insert((r.method, r.path)), "{} {} twice", r.method.as_str(), r.path);
        }
    }

    #[test]
    fn the_suppliers_entry_moves_and_nothing_else_does() {
        let paths = |routes: Vec<&'static Route>| routes.iter().map(|r| r.path).collect::<Vec<_>>();
        let here = paths(all().collect());
        assert_eq!(paths(with_supplier_entry(SUPPLIER_ENTRY)), here);
        let there = paths(with_supplier_entry("/shop.php"));
        let expected: Vec<&str> =
            here.iter().map(|p| if *p == SUPPLIER_ENTRY { "/shop.php" } else { p }).collect();
        assert_eq!(there, expected);
        assert_eq!(there.iter().filter(|p| **p == "/shop.php").count(), 2, "GET and POST");
    }

    #[test]
    fn every_path_is_absolute_and_has_no_empty_segment() {
        for r in all() {
            assert!(
                r.path.starts_with('/') && !r.path.contains("//") && !r.path.ends_with('/'),
                "{}",
                r.path
            );
        }
    }
}
