use actix_web::web::{Data as AppData, Json, ServiceConfig, get};
use platform::{
    clock,
    http::{ApiError, Fields, FromFields, Query, caller::Identity},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    rules::Cursor,
    store::{self, Filter},
};
use crate::{
    app::Ctx,
    entities::audit_entry,
    wire::{self, Data},
};

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 1000;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.route("/api/audit", get().to(list));
}

/// Which entries to show.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Who did it.
    account_id: Option<i64>,
    /// What was done, for example `account.modify`.
    action: Option<String>,
    /// Kind of the thing it was done to, for example `account`.
    target: Option<String>,
    target_id: Option<String>,
    request_id: Option<String>,
    /// First day, `YYYY-MM-DD`.
    #[param(value_type = Option<String>)]
    start_date: Option<chrono::NaiveDate>,
    /// Last day, `YYYY-MM-DD`, included.
    #[param(value_type = Option<String>)]
    end_date: Option<chrono::NaiveDate>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
    /// At most 1000, 50 by default.
    limit: Option<i64>,
}

impl FromFields for AuditQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        let mut text = |name| f.optional_text(name, 100).filter(|t| !t.is_empty());
        let (action, target) = (text("action"), text("target"));
        let (target_id, request_id) = (text("target_id"), text("request_id"));
        Self {
            account_id: f.optional_int("account_id", 0..=i64::MAX),
            action,
            target,
            target_id,
            request_id,
            start_date: f.optional_date("start_date"),
            end_date: f.optional_date("end_date"),
            cursor: cursor(f),
            limit: f.optional_int("limit", 1..=MAX_LIMIT),
        }
    }
}

fn cursor(f: &mut Fields<'_>) -> Option<Cursor> {
    let text = f.optional_text("cursor", 50).filter(|t| !t.is_empty())?;
    let cursor = Cursor::parse(&text);
    if cursor.is_none() {
        f.error("cursor", "不是上一页给出的 next_cursor", "is no next_cursor of a page before");
    }
    cursor
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditRow {
    id: i64,
    /// Unix seconds.
    at: i64,
    /// `account`, `partner` or `system`.
    actor_kind: String,
    actor_id: i64,
    actor_name: String,
    action: String,
    target: String,
    target_id: String,
    /// The thing as the API showed it before; `{}` when there was none.
    #[schema(value_type = Object)]
    before: Value,
    /// The thing as the API shows it now; `{}` when there is none any more.
    #[schema(value_type = Object)]
    after: Value,
    request_id: String,
    ip: String,
}

/// Entries, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    data: Vec<AuditRow>,
    /// For the next page; "" when this is the last one.
    next_cursor: String,
}

impl From<audit_entry::Model> for AuditRow {
    fn from(row: audit_entry::Model) -> Self {
        // Null is never on the wire in this API.
        let view = |text: &str| match serde_json::from_str(text) {
            Ok(Value::Null) | Err(_) => Value::Object(Default::default()),
            Ok(value) => value,
        };
        Self {
            id: row.id,
            at: wire::seconds(row.at),
            before: view(&row.before_json),
            after: view(&row.after_json),
            actor_kind: row.actor_kind,
            actor_id: row.actor_id,
            actor_name: row.actor_name,
            action: row.action,
            target: row.target,
            target_id: row.target_id,
            request_id: row.request_id,
            ip: row.ip,
        }
    }
}

/// Who did what, before and after.
#[utoipa::path(get, path = "/api/audit", operation_id = "AUDIT_LIST", tag = "audit", params(AuditQuery),
    responses((status = 200, body = Data<AuditPage>)))]
pub async fn list(
    ctx: AppData<Ctx>,
    identity: Identity,
    query: Query<AuditQuery>,
) -> Result<Json<Data<AuditPage>>, ApiError> {
    wire::operator(&identity)?;
    let query = query.into_inner();
    let tz = ctx.platform.tz;
    let filter = Filter {
        account_id: query.account_id,
        action: query.action,
        target: query.target,
        target_id: query.target_id,
        request_id: query.request_id,
        from_ms: query.start_date.map(|day| clock::day_start_ms(day, tz)),
        until_ms: query.end_date.and_then(|day| day.succ_opt()).map(|day| clock::day_start_ms(day, tz)),
    };
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).unsigned_abs();
    // One more than asked for tells whether there is a next page.
    let mut rows = store::page(ctx.platform.db.conn(), &filter, query.cursor, limit + 1).await?;
    let more = rows.len() as u64 > limit;
    rows.truncate(limit as usize);
    let next_cursor =
        rows.last().filter(|_| more).map(|row| Cursor { at: row.at, id: row.id }.text()).unwrap_or_default();
    Ok(wire::ok(AuditPage { data: rows.into_iter().map(AuditRow::from).collect(), next_cursor }))
}
