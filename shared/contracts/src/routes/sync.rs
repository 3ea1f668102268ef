use super::{Access::*, Method::*, Route, ServiceName, route};

const fn r(name: &'static str, method: super::Method, path: &'static str, access: super::Access) -> Route {
    route(ServiceName::Sync, name, method, path, access)
}

pub const ROUTES: &[Route] = &[
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
    r("CALLBACK_DELIVERY_LIST", Get, "/api/callback/delivery", AccountOrPartner),
    r("CALLBACK_DELIVERY_INFO", Get, "/api/callback/delivery/{delivery_id}", AccountOrPartner),
];
