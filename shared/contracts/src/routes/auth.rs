use super::{Access::*, Method::*, Route, ServiceName, route};

const fn r(name: &'static str, method: super::Method, path: &'static str, access: super::Access) -> Route {
    route(ServiceName::Auth, name, method, path, access).body(64 * 1024)
}

pub const ROUTES: &[Route] = &[
    r("GET_BEARER_TOKEN", Post, "/api/access/token", Public),
    r("ACCESS_LOGOUT", Post, "/api/access/logout", SignedIn),
    r("ACCESS_REVOKE", Post, "/api/access/revoke", Account),
    r("ACCOUNT_LIST", Get, "/api/account", Account),
    r("ACCOUNT_ADD", Post, "/api/account", Account),
    r("ACCOUNT_INFO", Get, "/api/account/{account_id}", Account),
    r("ACCOUNT_MODIFY", Put, "/api/account/{account_id}", Account),
    r("ACCOUNT_DELETE", Delete, "/api/account/{account_id}", Account),
    r("ROLE_LIST", Get, "/api/role", Account),
    r("ROLE_ADD", Post, "/api/role", Account),
    r("ROLE_INFO", Get, "/api/role/{role_id}", Account),
    r("ROLE_MODIFY", Put, "/api/role/{role_id}", Account),
    r("ROLE_DELETE", Delete, "/api/role/{role_id}", Account),
    r("PERMISSION_LIST", Get, "/api/permission", Account),
    r("PERMISSION_ADD", Post, "/api/permission", Account),
    r("PERMISSION_DELETE", Delete, "/api/permission/{name}", Account),
    r("PARTNER_LIST", Get, "/api/partner", Account),
    r("PARTNER_ADD", Post, "/api/partner", Account),
    r("PARTNER_INFO", Get, "/api/partner/{partner_id}", Account),
    r("PARTNER_MODIFY", Put, "/api/partner/{partner_id}", Account),
    r("PARTNER_KEY_LIST", Get, "/api/partner/{partner_id}/key", Account),
    r("PARTNER_KEY_ADD", Post, "/api/partner/{partner_id}/key", Account),
    r("PARTNER_KEY_REVOKE", Delete, "/api/partner/{partner_id}/key/{key_id}", Account),
    r("SUPPLIER_LIST", Get, "/api/supplier", Account),
    r("SUPPLIER_ADD", Post, "/api/supplier", Account),
    r("SUPPLIER_INFO", Get, "/api/supplier/{supplier_id}", Account),
    r("SUPPLIER_MODIFY", Put, "/api/supplier/{supplier_id}", Account),
    r("SUPPLIER_KEY_LIST", Get, "/api/supplier/{supplier_id}/key", Account),
    r("SUPPLIER_KEY_ADD", Post, "/api/supplier/{supplier_id}/key", Account),
    r("SUPPLIER_KEY_REVOKE", Delete, "/api/supplier/{supplier_id}/key/{key_id}", Account),
    r("AUDIT_LIST", Get, "/api/audit", Account),
];
