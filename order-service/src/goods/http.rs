use actix_web::web;
use contracts::order_state::FulfilState;
use platform::{
    audit::Who,
    http::{ApiError, Body, Fields, FromFields, Query, caller::Identity, values::MAX_FEN},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    rules::{self, Preset},
    service, store,
};
use crate::{
    app::Ctx,
    entities::goods,
    wire::{self, Data, Id, Page, Paging},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/goods", web::get().to(list))
        .route("/api/goods", web::post().to(add))
        .route("/api/goods/{goods_id}", web::get().to(info))
        .route("/api/goods/{goods_id}", web::put().to(modify))
        .route("/api/goods/{goods_id}", web::delete().to(delete));
}

/// Longest template, characters.
pub const MAX_FORMAT_CHARS: usize = 8192;
const MAX_PRESETS: usize = 50;

/// What may be set on goods; absent = unchanged.
#[derive(Debug, Default, ToSchema)]
pub struct GoodsBody {
    pub name: Option<String>,
    /// `service`; a report's goods make themselves.
    pub kind: Option<String>,
    /// Fen a piece.
    pub price: Option<i64>,
    /// Whose goods; 0 = the house's own.
    pub partner_id: Option<i64>,
    /// 1 on sale, 2 withdrawn.
    pub status: Option<i16>,
    /// Where a paid order starts: `dlz` or `wks` (default).
    #[schema(value_type = Option<String>, example = "wks")]
    pub initial_state: Option<FulfilState>,
    /// Template of a download without `format`.
    pub format: Option<String>,
    pub presets: Option<Vec<Preset>>,
    /// Names of the inputs aa…ee, at most five.
    pub input_labels: Option<Vec<String>>,
    /// What is counted: 个, 次 …
    pub unit: Option<String>,
    /// Category, as suppliers see it.
    pub type_id: Option<i64>,
    pub type_title: Option<String>,
}

impl GoodsBody {
    pub(super) fn names_more_than_the_partner(&self) -> bool {
        let Self { name, price, status, initial_state, format, presets, input_labels, .. } = self;
        name.is_some()
            || price.is_some()
            || status.is_some()
            || initial_state.is_some()
            || format.is_some()
            || presets.is_some()
            || input_labels.is_some()
    }
}

impl FromFields for GoodsBody {
    fn read(f: &mut Fields<'_>) -> Self {
        let name = f.optional_text("name", 200);
        if name.as_deref() == Some("") {
            f.error("name", "不能为空", "is required");
        }
        let presets = f.optional_list("presets", MAX_PRESETS, |f| Preset {
            name: f.required_text("name", 50),
            format: f.required_text("format", MAX_FORMAT_CHARS),
        });
        if let Some(bad) = presets.as_deref().and_then(rules::bad_preset) {
            f.error(&format!("presets.{bad}.name"), "已被占用", "is taken");
        }
        Self {
            name,
            kind: f.optional_text("kind", 20),
            price: f.optional_int("price", 0..=MAX_FEN),
            partner_id: f.optional_int("partner_id", 0..=i64::MAX),
            status: f.optional_int("status", 1..=2).map(|n| n as i16),
            initial_state: initial_state(f),
            format: f.optional_text("format", MAX_FORMAT_CHARS),
            presets,
            input_labels: f.optional_text_list("input_labels", 5, 50),
            unit: f.optional_text("unit", 20),
            type_id: f.optional_int("type_id", 0..=i64::MAX),
            type_title: f.optional_text("type_title", 100),
        }
    }
}

fn initial_state(f: &mut Fields<'_>) -> Option<FulfilState> {
    let code = f.optional_text("initial_state", 10).filter(|c| !c.is_empty())?;
    let state = rules::initial_state(&code);
    if state.is_none() {
        f.error("initial_state", "必须是 dlz 或 wks", "must be dlz or wks");
    }
    state
}

/// New goods: [`GoodsBody`] with what cannot be left out.
#[derive(Debug, ToSchema)]
pub struct NewGoods(pub GoodsBody);

impl FromFields for NewGoods {
    fn read(f: &mut Fields<'_>) -> Self {
        let body = GoodsBody::read(f);
        if !f.has("name") {
            f.error("name", "不能为空", "is required");
        }
        if !f.has("price") {
            f.error("price", "不能为空", "is required");
        }
        match body.kind.as_deref() {
            None | Some("" | goods::SERVICE) => {}
            Some(goods::REPORT) => {
                f.error("kind", "报告商品随报告自动建立", "goods of a report are made with the report");
            }
            Some(_) => f.error("kind", "必须是 service", "must be service"),
        }
        Self(body)
    }
}

/// Filter of the list.
#[derive(Debug)]
pub struct GoodsFilter {
    pub kind: Option<String>,
    pub name: Option<String>,
    pub report_id: Option<i64>,
    pub partner_id: Option<i64>,
    pub status: Option<i64>,
    pub paging: Paging,
}

impl FromFields for GoodsFilter {
    fn read(f: &mut Fields<'_>) -> Self {
        let filled = |text: Option<String>| text.filter(|t| !t.is_empty());
        Self {
            kind: filled(f.optional_text("kind", 20)),
            name: filled(f.optional_text("name", 200)),
            report_id: f.optional_int("report_id", 0..=i64::MAX),
            partner_id: f.optional_int("partner_id", 0..=i64::MAX),
            status: f.optional_int("status", 0..=2),
            paging: Paging::read(f, 20),
        }
    }
}

/// Goods as the console sees them.
#[derive(Debug, Serialize, ToSchema)]
pub struct GoodsView {
    pub id: i64,
    /// `report` or `service`.
    pub kind: String,
    pub name: String,
    pub cover: String,
    /// Fen a piece.
    pub price: i64,
    pub partner_id: i64,
    pub report_id: i64,
    /// Readings an order of size 1 grants.
    pub read_count: i64,
    /// 0 waiting, 1 on sale, 2 withdrawn.
    pub status: i16,
    #[schema(example = "wks")]
    pub initial_state: &'static str,
    pub format: String,
    pub presets: Vec<Preset>,
    pub input_labels: Vec<String>,
    pub unit: String,
    pub type_id: i64,
    pub type_title: String,
    /// Unix seconds.
    pub created_at: i64,
    pub updated_at: i64,
}

impl From<goods::Model> for GoodsView {
    fn from(g: goods::Model) -> Self {
        Self {
            id: g.id,
            kind: g.kind,
            name: g.name,
            cover: g.cover,
            price: g.price_fen,
            partner_id: g.partner_id,
            report_id: g.report_id,
            read_count: g.read_count,
            status: g.status,
            initial_state: FulfilState::try_from(g.initial_state).map_or("wks", FulfilState::code),
            format: g.format,
            presets: serde_json::from_str(&g.presets).unwrap_or_default(),
            input_labels: serde_json::from_str(&g.input_labels).unwrap_or_default(),
            unit: g.unit,
            type_id: g.type_id,
            type_title: g.type_title,
            created_at: wire::seconds(g.created_at),
            updated_at: wire::seconds(g.updated_at),
        }
    }
}

/// Goods, newest first.
#[utoipa::path(get, path = "/api/goods", operation_id = "GOODS_LIST", tag = "goods",
    params(("kind" = Option<String>, Query), ("name" = Option<String>, Query, description = "part of it"),
        ("report_id" = Option<i64>, Query), ("partner_id" = Option<i64>, Query), ("status" = Option<i64>, Query),
        ("page" = Option<u64>, Query), ("limit" = Option<u64>, Query)),
    responses((status = 200, body = Data<Page<GoodsView>>)))]
pub async fn list(
    ctx: web::Data<Ctx>,
    _identity: Identity,
    filter: Query<GoodsFilter>,
) -> Result<web::Json<Data<Page<GoodsView>>>, ApiError> {
    let (total, rows) = store::list(ctx.platform.db.conn(), &filter).await?;
    let rows = rows.into_iter().map(GoodsView::from).collect();
    Ok(web::Json(Data::of(filter.paging.wrap(total, rows))))
}

/// New service goods.
#[utoipa::path(post, path = "/api/goods", operation_id = "GOODS_ADD", tag = "goods", request_body = GoodsBody,
    responses((status = 200, body = Data<Id>), (status = 400, description = "a field is missing or wrong")))]
pub async fn add(
    ctx: web::Data<Ctx>,
    identity: Identity,
    body: Body<NewGoods>,
) -> Result<web::Json<Data<Id>>, ApiError> {
    let id = service::add(&ctx, &Who::from(&identity), &body.0).await?;
    Ok(web::Json(Data::of(Id { id })))
}

/// One of them.
#[utoipa::path(get, path = "/api/goods/{goods_id}", operation_id = "GOODS_INFO", tag = "goods",
    params(("goods_id" = i64, Path)),
    responses((status = 200, body = Data<GoodsView>), (status = 404, description = "no such goods")))]
pub async fn info(
    ctx: web::Data<Ctx>,
    _identity: Identity,
    id: web::Path<i64>,
) -> Result<web::Json<Data<GoodsView>>, ApiError> {
    let found = store::find(ctx.platform.db.conn(), *id).await?.filter(|g| g.deleted_at == 0);
    let goods = found.ok_or_else(wire::no_such_goods)?;
    Ok(web::Json(Data::of(goods.into())))
}

/// Changes what is named; of a report's goods only the partner.
#[utoipa::path(put, path = "/api/goods/{goods_id}", operation_id = "GOODS_MODIFY", tag = "goods",
    params(("goods_id" = i64, Path)), request_body = GoodsBody,
    responses((status = 200, body = Data<Id>), (status = 404, description = "no such goods")))]
pub async fn modify(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
    body: Body<GoodsBody>,
) -> Result<web::Json<Data<Id>>, ApiError> {
    service::modify(&ctx, &Who::from(&identity), *id, &body).await?;
    Ok(web::Json(Data::of(Id { id: *id })))
}

/// Takes service goods off the list and out of sale; their orders live on.
#[utoipa::path(delete, path = "/api/goods/{goods_id}", operation_id = "GOODS_DELETE", tag = "goods",
    params(("goods_id" = i64, Path)),
    responses((status = 200, body = Data<Id>), (status = 400, description = "goods of a report"),
        (status = 404, description = "no such goods")))]
pub async fn delete(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
) -> Result<web::Json<Data<Id>>, ApiError> {
    service::delete(&ctx, &Who::from(&identity), *id).await?;
    Ok(web::Json(Data::of(Id { id: *id })))
}
