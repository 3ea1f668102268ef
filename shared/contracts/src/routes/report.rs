use super::{Access::*, Method::*, Route, ServiceName, route};

const fn r(name: &'static str, method: super::Method, path: &'static str, access: super::Access) -> Route {
    route(ServiceName::Report, name, method, path, access)
}

pub const ROUTES: &[Route] = &[
    r("PAYMENT_REPORT_LIST", Get, "/api/report", Account),
    r("PAYMENT_REPORT_ADD", Post, "/api/report", Account),
    r("PAYMENT_REPORT_INFO", Get, "/api/report/{report_id}", Account),
];
