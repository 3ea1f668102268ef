use super::{Access::*, Method::*, Route, ServiceName, route};

const fn r(name: &'static str, method: super::Method, path: &'static str, access: super::Access) -> Route {
    route(ServiceName::Report, name, method, path, access)
}

/// A report with a `white_list` of some thousand rows.
const WHITE_LIST_BYTES: usize = 4 * 1024 * 1024;

/// A workbook of 32 MiB in its multipart wrapping.
const WORKBOOK_BYTES: usize = 33 * 1024 * 1024;

/// A file for the local store; the store's own limit is a setting below this.
const UPLOAD_BYTES: usize = 256 * 1024 * 1024;

/// A file that is built before its first byte goes out.
const fn slow(mut route: Route) -> Route {
    route.timeout_seconds = 300;
    route
}

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
    r("REPORT_WHITE_IMPORT", Post, "/api/report/{report_id}/excel", Account).body(WORKBOOK_BYTES),
    slow(r("REPORT_WHITE_EXPORT", Get, "/api/report/{report_id}/excel", Account)),
    r("REPORT_IMPORT_LIST", Get, "/api/report/{report_id}/import", Account),
    r("REPORT_IMPORT_INFO", Get, "/api/report/{report_id}/import/{import_id}", Account),
    r("REPORT_IMPORT_UNDO", Delete, "/api/report/{report_id}/import/{import_id}", Account),
    slow(r("REPORT_IMPORT_ERROR", Get, "/api/report/{report_id}/import/{import_id}/error", Account)),
    r("WHITE_LIST_EXAMPLE", Get, "/api/white/example", Account),
    r("WHITE_EXPORT_CONVERT", Post, "/api/white/example", Account).body(WORKBOOK_BYTES),
    r("GET_REPORT_CUSTOMER", Get, "/api/report/{report_id}/customer", Account),
    r("REPORT_READ", Post, "/api/report/{report_id}/read", Account),
    r("GET_REPORT_DOWNLOADURL", Get, "/api/report/downloadurl", Account),
    r("GET_QINIU_TOKEN", Get, "/api/qiniu/token", AccountUnlessOpened),
    slow(r("QINIU_COPY_FILE", Get, "/api/qiniu/copyfile", Account)).not_idempotent(),
    slow(r("QINIU_COPY_FILE", Post, "/api/qiniu/copyfile", Account)),
    slow(r("STORAGE_UPLOAD", Post, "/storage/upload", Public)).body(UPLOAD_BYTES),
    r("STORAGE_PUBLIC", Get, "/storage/public/{*key}", Public),
    r("STORAGE_PRIVATE", Get, "/storage/private/{*key}", Public),
];
