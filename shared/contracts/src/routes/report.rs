use super::{Access::*, Method::*, Route, ServiceName, route};

const fn r(name: &'static str, method: super::Method, path: &'static str, access: super::Access) -> Route {
    route(ServiceName::Report, name, method, path, access)
}

/// A report with a `white_list` of some thousand rows.
const WHITE_LIST_BYTES: usize = 4 * 1024 * 1024;

pub const ROUTES: &[Route] = &[
    r("PAYMENT_REPORT_LIST", Get, "/api/report", Account),
    r("PAYMENT_REPORT_ADD", Post, "/api/report", Account).body(WHITE_LIST_BYTES),
    r("PAYMENT_REPORT_INFO", Get, "/api/report/{report_id}", Account),
    r("PAYMENT_REPORT_MODIFY", Put, "/api/report/{report_id}", Account).body(WHITE_LIST_BYTES),
    r("PAYMENT_REPORT_DELETE", Delete, "/api/report/{report_id}", Account),
    r("REPORT_WHITE_LIST", Get, "/api/report/{report_id}/white", Account),
    r("REPORT_WHITE_ADD", Post, "/api/report/{report_id}/white", Account),
    r("REPORT_WHITE_INFO", Get, "/api/report/{report_id}/white/{white_list_id}", Account),
    r("REPORT_WHITE_EDIT", Put, "/api/report/{report_id}/white/{white_list_id}", Account),
    r("REPORT_WHITE_DELETE", Delete, "/api/report/{report_id}/white/{white_list_id}", Account),
];
