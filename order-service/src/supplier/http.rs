//! The drop-in entry. Every answer is HTTP 200; errors are told in the body, as JSON or as one line of text.

use actix_web::{
    HttpResponse,
    middleware::{Compress, from_fn},
    web,
};
use contracts::{order_state::FulfilState, routes::Dialect};
use platform::http::{
    ApiError, Fields, FromFields,
    body::Merged,
    context::{RequestContext, speak},
};

use super::{
    access::Supplier,
    hand_out::{HandOut, Wish},
    print::Printer,
    rules::{Format, RowStyle, TemplateError},
    service,
};
use crate::{app::Ctx, lifecycle::Edit};

/// `entry`: the path of the drop-in entry.
pub fn routes(cfg: &mut web::ServiceConfig, entry: &str) {
    let entry = web::resource(entry)
        .wrap(Compress::default())
        .wrap(from_fn(|req, next| speak(Dialect::Supplier, req, next)))
        .route(web::get().to(entry_get))
        .route(web::post().to(entry_post));
    cfg.service(entry);
}

const MAX_PAGE_SIZE: u64 = 10_000;
const DEFAULT_PAGE_SIZE: u64 = 1000;
/// Counters beyond this are a slip of the supplier's program.
pub(super) const MAX_COUNT: i64 = 1_000_000_000_000_000;

/// Which interface is meant.
struct Call {
    module: String,
    controller: String,
    action: String,
}

impl FromFields for Call {
    fn read(f: &mut Fields<'_>) -> Self {
        let mut word = |name| f.optional_text(name, 50).unwrap_or_default().to_ascii_lowercase();
        Self { module: word("m"), controller: word("c"), action: word("a") }
    }
}

/// `a=down_orders`.
struct Download {
    apikey: String,
    goods_id: i64,
    state: FulfilState,
    page: Option<u64>,
    page_size: Option<u64>,
    newest_first: bool,
    change: bool,
    batch: String,
}

impl FromFields for Download {
    fn read(f: &mut Fields<'_>) -> Self {
        let changes = ["chage_state", "change_state"].map(|name| f.optional_bool(name).unwrap_or(true));
        Self {
            apikey: f.required_text("apikey", 200),
            goods_id: f.required_int("goods_id", 1..=i64::MAX),
            state: required_state(f),
            page: f.optional_int("page", 1..=i64::MAX).map(i64::unsigned_abs),
            page_size: f.optional_int("page_size", 1..=i64::MAX).map(|n| n.unsigned_abs().min(MAX_PAGE_SIZE)),
            newest_first: newest_first(f),
            // Whoever says no in either spelling means it.
            change: changes.iter().all(|c| *c),
            batch: f.optional_text("batch", 100).unwrap_or_default(),
        }
    }
}

pub(super) fn required_state(f: &mut Fields<'_>) -> FulfilState {
    let code = f.required_text("state", 20);
    FulfilState::from_code(&code).unwrap_or_else(|| {
        if !code.is_empty() {
            f.error("state", "不是有效的订单状态", "is no order state");
        }
        FulfilState::Done
    })
}

pub(super) fn newest_first(f: &mut Fields<'_>) -> bool {
    match f.optional_text("sort_type", 10).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "desc" => true,
        "asc" => false,
        _ => {
            f.error("sort_type", "必须是 desc 或 asc", "must be desc or asc");
            true
        }
    }
}

impl Download {
    /// The paging rules: `jxz` always has pages, other states only when `page` is sent.
    fn wish(&self) -> Wish {
        let paged = self.page.is_some() || self.state == FulfilState::InProgress;
        let size = self.page_size.unwrap_or(DEFAULT_PAGE_SIZE);
        Wish {
            goods_id: self.goods_id,
            state: self.state,
            take: self.change,
            newest_first: self.newest_first,
            offset: if paged { (self.page.unwrap_or(1) - 1).saturating_mul(size) } else { 0 },
            limit: paged.then_some(size),
            batch: self.batch.clone(),
        }
    }
}

/// `a=edit` and `a=refund`.
struct Change {
    apikey: String,
    order_id: i64,
    goods_id: Option<i64>,
    edit: Edit,
}

impl Change {
    fn read(f: &mut Fields<'_>) -> Self {
        let count = |f: &mut Fields<'_>, name: &str| f.optional_int(name, 0..=MAX_COUNT);
        Self {
            apikey: f.required_text("apikey", 200),
            order_id: f.required_int("order_id", 1..=i64::MAX),
            goods_id: f.optional_int("goods_id", 1..=i64::MAX),
            edit: Edit {
                state: optional_state(f),
                start_num: count(f, "start_num"),
                now_num: count(f, "now_num"),
                end_num: count(f, "end_num"),
                login_state: f.optional_int("login_state", 0..=3).map(|n| n as i16),
            },
        }
    }
}

struct EditCall(Change);

impl FromFields for EditCall {
    fn read(f: &mut Fields<'_>) -> Self {
        let change = Change::read(f);
        if !f.has("goods_id") {
            f.error("goods_id", "不能为空", "is required");
        }
        Self(change)
    }
}

struct RefundCall(Change);

impl FromFields for RefundCall {
    fn read(f: &mut Fields<'_>) -> Self {
        let mut change = Change::read(f);
        if change.edit.state.is_some_and(|s| s != FulfilState::Refunded) {
            f.error("order_state", "只能是 ytd", "can only be ytd");
        }
        change.edit =
            Edit { state: Some(FulfilState::Refunded), now_num: change.edit.now_num, ..Edit::default() };
        Self(change)
    }
}

pub(super) fn optional_state(f: &mut Fields<'_>) -> Option<FulfilState> {
    let code = f.optional_text("order_state", 20).filter(|c| !c.is_empty())?;
    let state = FulfilState::from_code(&code);
    if state.is_none() {
        f.error("order_state", "不是有效的订单状态", "is no order state");
    }
    state
}

/// The drop-in entry of suppliers' programs: `a=down_orders`, `a=edit`, `a=refund` (`spec/supplier-api.md`).
#[utoipa::path(get, path = "/admin_jiuwuxiaohun.php", operation_id = "SUPPLIER_ENTRY_GET", tag = "supplier",
    params(("m" = String, Query, description = "home or admin"), ("c" = String, Query, description = "api"),
        ("a" = String, Query, description = "down_orders, edit, refund"), ("apikey" = String, Query),
        ("goods_id" = Option<i64>, Query), ("state" = Option<String>, Query), ("format" = Option<String>, Query),
        ("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query), ("sort_type" = Option<String>, Query),
        ("chage_state" = Option<bool>, Query), ("batch" = Option<String>, Query), ("order_id" = Option<i64>, Query),
        ("order_state" = Option<String>, Query), ("start_num" = Option<i64>, Query), ("now_num" = Option<i64>, Query),
        ("end_num" = Option<i64>, Query)),
    responses((status = 200, description = "always; `status` in the body tells success from failure")))]
pub async fn entry_get(ctx: web::Data<Ctx>, merged: Merged) -> Result<HttpResponse, ApiError> {
    entry(&ctx, &merged).await
}

/// The same by POST: query and body are merged, the body wins.
#[utoipa::path(post, path = "/admin_jiuwuxiaohun.php", operation_id = "SUPPLIER_ENTRY_POST", tag = "supplier",
    responses((status = 200, description = "always; `status` in the body tells success from failure")))]
pub async fn entry_post(ctx: web::Data<Ctx>, merged: Merged) -> Result<HttpResponse, ApiError> {
    entry(&ctx, &merged).await
}

async fn entry(ctx: &Ctx, merged: &Merged) -> Result<HttpResponse, ApiError> {
    let call: Call = merged.read()?;
    let known = matches!(call.module.as_str(), "home" | "admin") && call.controller == "api";
    match call.action.as_str() {
        "down_orders" if known => match down_orders(ctx, merged).await {
            Err(e) if !wants_json(merged) => Ok(error_line(&e)),
            answer => answer,
        },
        "edit" if known => change(ctx, merged.read::<EditCall>()?.0).await,
        "refund" if known => change(ctx, merged.read::<RefundCall>()?.0).await,
        _ => Err(ApiError::not_found("接口不存在", "no such interface")),
    }
}

/// The template exactly as it came: blanks at its ends may be meant.
fn format_of(merged: &Merged) -> &str {
    merged.fields.get("format").and_then(|v| v.as_str()).unwrap_or_default()
}

fn wants_json(merged: &Merged) -> bool {
    format_of(merged).trim().eq_ignore_ascii_case("json")
}

async fn down_orders(ctx: &Ctx, merged: &Merged) -> Result<HttpResponse, ApiError> {
    let download: Download = merged.read()?;
    let supplier = Supplier::of(ctx, &download.apikey).await?;
    let goods = supplier.goods(ctx, download.goods_id).await?;
    let format = Format::resolve(format_of(merged), &goods).map_err(template_error)?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("cache-control", "no-store"));
    response.content_type(match format {
        Format::Json => "application/json",
        Format::Csv => "text/csv; charset=utf-8",
        Format::Template(_) | Format::Nothing => "text/plain; charset=utf-8",
    });
    if format == Format::Nothing {
        // Nothing can be written, so nothing is handed out either.
        return Ok(response.body(""));
    }
    let style = RowStyle::new(&goods, download.state, ctx.platform.tz);
    let mut hand_out = HandOut::open(ctx, supplier, download.wish()).await?;
    let first = hand_out.next().await?;
    Ok(response.streaming(Printer::new(hand_out, first, format, style).stream()))
}

pub(super) fn template_error(e: TemplateError) -> ApiError {
    match e {
        TemplateError::TooLong => ApiError::invalid("format", "模板过长", "is too long"),
        TemplateError::TooManyColumns => ApiError::invalid("format", "占位符过多", "names too many columns"),
    }
}

async fn change(ctx: &Ctx, change: Change) -> Result<HttpResponse, ApiError> {
    let supplier = Supplier::of(ctx, &change.apikey).await?;
    service::edit(ctx, &supplier, change.order_id, change.goods_id, change.edit).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({"status": true})))
}

/// An error where text was asked for: one line, and no markup of a caller's making in it.
fn error_line(e: &ApiError) -> HttpResponse {
    let context = RequestContext::current();
    if e.is_server_error() {
        tracing::error!(request_id = %context.request_id, "request failed: {}", e.chain());
    }
    let sentence = e.sentence(context.language, &context.request_id);
    let safe = sentence.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header(("x-content-type-options", "nosniff"))
        .body(format!("<p class=\"error\">{safe}</p>\n"))
}
