use super::{Access::*, Dialect, Method::*, Route, ServiceName, route};

const fn r(name: &'static str, method: super::Method, path: &'static str, access: super::Access) -> Route {
    route(ServiceName::Sync, name, method, path, access)
}

/// An action on one subscription.
macro_rules! subscription {
    ($action:literal) => {
        concat!("/api/callback/subscription/{subscription_id}/", $action)
    };
}

pub const ROUTES: &[Route] = &[
    // A GET moves the caller's mark, so it is never repeated by the gateway.
    r("PARTNER_SYNC_GET", Get, "/api/gth/syc/order", Key).dialect(Dialect::Partner).not_idempotent(),
    r("PARTNER_SYNC_POST", Post, "/api/gth/syc/order", Key).dialect(Dialect::Partner).body(64 * 1024),
    r("CALLBACK_SUBSCRIPTION_LIST", Get, "/api/callback/subscription", AccountOrPartner),
    r("CALLBACK_SUBSCRIPTION_ADD", Post, "/api/callback/subscription", AccountOrPartner),
    r("CALLBACK_SUBSCRIPTION_INFO", Get, "/api/callback/subscription/{subscription_id}", AccountOrPartner),
    r("CALLBACK_SUBSCRIPTION_MODIFY", Put, "/api/callback/subscription/{subscription_id}", AccountOrPartner),
    r(
        "CALLBACK_SUBSCRIPTION_DELETE",
        Delete,
        "/api/callback/subscription/{subscription_id}",
        AccountOrPartner,
    ),
    r("CALLBACK_SUBSCRIPTION_PAUSE", Post, subscription!("pause"), AccountOrPartner),
    r("CALLBACK_SUBSCRIPTION_RESUME", Post, subscription!("resume"), AccountOrPartner),
    r("CALLBACK_SUBSCRIPTION_TEST", Post, subscription!("test"), AccountOrPartner),
    r("CALLBACK_SUBSCRIPTION_PROBE", Post, subscription!("probe"), AccountOrPartner),
    r("CALLBACK_SUBSCRIPTION_ROTATE_SECRET", Post, subscription!("rotate-secret"), AccountOrPartner),
    r("CALLBACK_SUBSCRIPTION_REPLAY", Post, subscription!("replay"), AccountOrPartner),
    r("CALLBACK_DELIVERY_LIST", Get, "/api/callback/delivery", AccountOrPartner),
    r("CALLBACK_DELIVERY_RECOVER", Post, "/api/callback/delivery/recover", AccountOrPartner),
    r("CALLBACK_DELIVERY_INFO", Get, "/api/callback/delivery/{delivery_id}", AccountOrPartner),
    r("CALLBACK_DELIVERY_RESEND", Post, "/api/callback/delivery/{delivery_id}/resend", AccountOrPartner),
    r("CALLBACK_EVENTS", Get, "/api/callback/events", AccountOrPartner),
    r("CALLBACK_STATEMENT", Get, "/api/callback/statement", AccountOrPartner),
    r("CALLBACK_STATEMENT_LACKING", Post, "/api/callback/statement", AccountOrPartner),
    r("CALLBACK_ALERT_LIST", Get, "/api/callback/alert", AccountOrPartner),
    r("CALLBACK_KEYS", Get, "/api/callback/keys", Public),
    r("ORDER_CALLBACKS", Get, "/api/order/{number}/callbacks", AccountOrPartner),
];
