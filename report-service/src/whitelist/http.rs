//! The white list on the wire (`spec/report-admin-api.md`, "White list").

use actix_web::{HttpResponse, web};
use platform::{
    audit::Who,
    clock::local_text,
    db::WriteTx,
    http::{ApiError, Body, Fields, FromFields, IdempotencyKey, Query, caller::Identity, idempotency},
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    rules::{EntryChange, MAX_READS, MAX_TEXT, NewEntry, read_state},
    service::{self, WhitelistError},
    store::{self, Origin},
};
use crate::{
    app::Ctx,
    entities::white_list_entry::Model,
    reports,
    wire::{Data, Dated, Id, Page, Paging},
};

/// Adds this feature's routes.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/api/report/{report_id}/white").get(list).post(add)).service(
        web::resource("/api/report/{report_id}/white/{white_list_id}").get(info).put(edit).delete(delete),
    );
}

/// What to look for in a white list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Part of the mobile, name, company or last author.
    search: Option<String>,
    /// From 1.
    #[param(value_type = Option<i64>)]
    page: i64,
    /// 20 by default, 1000 at the most.
    #[param(value_type = Option<i64>)]
    limit: i64,
}

impl FromFields for ListQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        let Paging { page, limit } = Paging::read(f);
        Self { search: f.optional_text("search", MAX_TEXT).filter(|t| !t.is_empty()), page, limit }
    }
}

/// A row of the white list.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryRow {
    id: i64,
    given_user: String,
    given_position: String,
    given_company: String,
    mobile: String,
    /// Readings granted in all.
    read_count: i64,
    /// Readings left.
    residue_count: i64,
    /// Nickname of the account that changed the entry last.
    last_modify_author: String,
    /// `YYYY-MM-DD HH:MM:SS`
    updated_at: String,
    /// 0 enabled, 1 disabled.
    state: i16,
}

/// The white list of a report.
#[utoipa::path(
    get, path = "/api/report/{report_id}/white", operation_id = "REPORT_WHITE_LIST", tag = "whitelist",
    params(("report_id" = i64, Path), ListQuery), responses((status = 200, body = Dated<Page<EntryRow>>))
)]
pub async fn list(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    report_id: web::Path<i64>,
    query: Query<ListQuery>,
) -> Result<web::Json<Dated<Page<EntryRow>>>, ApiError> {
    let (conn, tz) = (ctx.platform.db.conn(), ctx.platform.tz);
    if !reports::store::exists(conn, *report_id).await? {
        return Err(WhitelistError::NoSuchReport.into());
    }
    let paging = Paging { page: query.page, limit: query.limit };
    let (total, entries) = store::list(conn, *report_id, query.search.as_deref(), paging).await?;
    let rows = entries.into_iter().map(|e| EntryRow {
        id: e.id,
        given_user: e.given_user,
        given_position: e.given_position,
        given_company: e.given_company,
        mobile: e.mobile,
        read_count: e.read_count,
        residue_count: e.residue_count,
        last_modify_author: e.author,
        updated_at: local_text(e.updated_at, tz),
        state: e.state,
    });
    Ok(web::Json(Dated::new(Page::new(paging, total, rows.collect()))))
}

/// Adds a person. `Idempotency-Key` is honoured.
#[utoipa::path(
    post, path = "/api/report/{report_id}/white", operation_id = "REPORT_WHITE_ADD", tag = "whitelist",
    params(("report_id" = i64, Path)),
    request_body(content((NewEntry = "application/json"), (NewEntry = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Dated<Id>))
)]
pub async fn add(
    ctx: web::Data<Ctx>,
    identity: Identity,
    key: IdempotencyKey,
    report_id: web::Path<i64>,
    body: Body<NewEntry>,
) -> Result<HttpResponse, ApiError> {
    let scope = idempotency::scope("REPORT_WHITE_ADD", &identity.caller);
    let sha256 = body.sha256.clone();
    let (platform, entry) = (&ctx.platform, body.into_inner());
    let who = Who::from(&identity);
    idempotency::answer(&platform.db, &platform.clock, &scope, &key, &sha256, async |tx| {
        let origin = origin(&ctx, &who, *report_id);
        report_must_exist(tx, *report_id).await?;
        let ids = service::add(platform, tx, origin, std::slice::from_ref(&entry)).await?;
        let id = ids.first().copied().unwrap_or_default();
        Ok::<_, WhitelistError>(Dated::new(Id { id }))
    })
    .await
}

fn origin<'a>(ctx: &Ctx, who: &'a Who, report_id: i64) -> Origin<'a> {
    Origin { report_id, who, import_id: 0, now_ms: ctx.platform.clock.now_ms() }
}

async fn report_must_exist(tx: &WriteTx, id: i64) -> Result<(), WhitelistError> {
    if reports::store::exists(tx, id).await? { Ok(()) } else { Err(WhitelistError::NoSuchReport) }
}

/// A white-list entry, whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryInfo {
    id: i64,
    given_user: String,
    given_position: String,
    given_company: String,
    mobile: String,
    /// Readings granted in all.
    read_count: i64,
    /// Readings left.
    residue_count: i64,
    /// 0 enabled, 1 disabled.
    state: i16,
}

impl EntryInfo {
    /// How a new entry will look.
    pub(super) fn of_new(id: i64, entry: &NewEntry) -> Self {
        Self {
            id,
            given_user: entry.given_user.clone(),
            given_position: entry.given_position.clone(),
            given_company: entry.given_company.clone(),
            mobile: entry.mobile.clone(),
            read_count: entry.read_count,
            residue_count: entry.read_count,
            state: entry.state,
        }
    }
}

impl From<Model> for EntryInfo {
    fn from(e: Model) -> Self {
        Self {
            id: e.id,
            given_user: e.given_user,
            given_position: e.given_position,
            given_company: e.given_company,
            mobile: e.mobile,
            read_count: e.read_count,
            residue_count: e.residue_count,
            state: e.state,
        }
    }
}

/// One entry.
#[utoipa::path(
    get, path = "/api/report/{report_id}/white/{white_list_id}", operation_id = "REPORT_WHITE_INFO",
    tag = "whitelist", params(("report_id" = i64, Path), ("white_list_id" = i64, Path)),
    responses((status = 200, body = Data<EntryInfo>))
)]
pub async fn info(
    ctx: web::Data<Ctx>,
    _caller: Identity,
    ids: web::Path<(i64, i64)>,
) -> Result<web::Json<Data<EntryInfo>>, ApiError> {
    let ((report_id, id), conn) = (ids.into_inner(), ctx.platform.db.conn());
    if !reports::store::exists(conn, report_id).await? {
        return Err(WhitelistError::NoSuchReport.into());
    }
    let entry = store::find(conn, report_id, id).await?.ok_or(WhitelistError::NoSuchEntry)?;
    Ok(web::Json(Data::new(entry.into())))
}

/// A change of an entry; absent = unchanged, but for `state`, where absent = 0.
#[derive(Debug, ToSchema)]
#[schema(as = WhiteListEdit)]
pub struct EditBody {
    given_user: Option<String>,
    given_position: Option<String>,
    given_company: Option<String>,
    /// Above `read_count` it raises that too.
    residue_count: Option<i64>,
    /// 0 enabled, 1 disabled; 0 when absent.
    #[schema(required = false)]
    state: i16,
}

impl FromFields for EditBody {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            given_user: f.optional_text("given_user", MAX_TEXT),
            given_position: f.optional_text("given_position", MAX_TEXT),
            given_company: f.optional_text("given_company", MAX_TEXT),
            residue_count: f.optional_int("residue_count", 0..=MAX_READS),
            state: read_state(f).unwrap_or(0),
        }
    }
}

impl From<EditBody> for EntryChange {
    fn from(body: EditBody) -> Self {
        Self {
            given_user: body.given_user,
            given_position: body.given_position,
            given_company: body.given_company,
            residue_count: body.residue_count,
            state: Some(body.state),
            ..Self::default()
        }
    }
}

/// Changes an entry.
#[utoipa::path(
    put, path = "/api/report/{report_id}/white/{white_list_id}", operation_id = "REPORT_WHITE_EDIT",
    tag = "whitelist", params(("report_id" = i64, Path), ("white_list_id" = i64, Path)),
    request_body(content((EditBody = "application/json"), (EditBody = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Dated<Id>))
)]
pub async fn edit(
    ctx: web::Data<Ctx>,
    identity: Identity,
    ids: web::Path<(i64, i64)>,
    body: Body<EditBody>,
) -> Result<web::Json<Dated<Id>>, ApiError> {
    let (report_id, id) = ids.into_inner();
    let tx = ctx.platform.db.write_tx().await?;
    report_must_exist(&tx, report_id).await?;
    let who = Who::from(&identity);
    let origin = origin(&ctx, &who, report_id);
    service::change(&ctx.platform, &tx, origin, id, body.into_inner().into()).await?;
    tx.commit().await?;
    Ok(web::Json(Dated::new(Id { id })))
}

/// Removes an entry; what it granted and was not read is gone.
#[utoipa::path(
    delete, path = "/api/report/{report_id}/white/{white_list_id}", operation_id = "REPORT_WHITE_DELETE",
    tag = "whitelist", params(("report_id" = i64, Path), ("white_list_id" = i64, Path)),
    responses((status = 200, body = Dated<Id>))
)]
pub async fn delete(
    ctx: web::Data<Ctx>,
    identity: Identity,
    ids: web::Path<(i64, i64)>,
) -> Result<web::Json<Dated<Id>>, ApiError> {
    let (report_id, id) = ids.into_inner();
    let tx = ctx.platform.db.write_tx().await?;
    report_must_exist(&tx, report_id).await?;
    let who = Who::from(&identity);
    service::remove(&ctx.platform, &tx, origin(&ctx, &who, report_id), id).await?;
    tx.commit().await?;
    Ok(web::Json(Dated::new(Id { id })))
}
