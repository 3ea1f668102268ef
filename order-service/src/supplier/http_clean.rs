//! The clean form of the suppliers' actions: typed JSON, an `X-Api-Key` header, correct HTTP codes, POST for
//! what changes something, every claim a leased batch.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use contracts::order_state::FulfilState;
use platform::http::{ApiError, Body, Fields, FromFields, Query};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    access::Supplier,
    http::{MAX_COUNT, newest_first, optional_state, required_state},
    lease::{self, ClaimWish},
    service, store,
};
use crate::{
    admin_orders::rows::Inputs,
    app::Ctx,
    entities::orders,
    lifecycle::{Edit, Edited, Span},
    wire::{Data, seconds},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/supplier/order/list", web::get().to(list))
        .route("/api/supplier/order/claim", web::post().to(claim))
        .route("/api/supplier/order/ack", web::post().to(ack))
        .route("/api/supplier/order/return", web::post().to(give_back))
        .route("/api/supplier/order/edit", web::post().to(edit))
        .route("/api/supplier/order/refund", web::post().to(refund));
}

const MAX_LIMIT: i64 = 1000;
const DEFAULT_LIMIT: i64 = 100;
const MAX_LEASE_SECONDS: i64 = 86_400;
const DEFAULT_LEASE_SECONDS: i64 = 300;

/// The `X-Api-Key` header; never shown, never logged.
pub struct ApiKey(String);

impl FromRequest for ApiKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = req.headers().get_all("x-api-key");
        let key = match (values.next(), values.next()) {
            (Some(key), None) => key.to_str().ok().map(|k| k.trim().to_owned()).filter(|k| !k.is_empty()),
            _ => None,
        };
        let missing = || ApiError::unauthenticated("缺少 X-Api-Key", "the X-Api-Key header is missing");
        ready(key.map(Self).ok_or_else(missing))
    }
}

/// An order as a supplier works it off. Times are unix seconds, amounts fen.
#[derive(Debug, Serialize, ToSchema)]
pub struct SupplierOrder {
    /// The number to name it by.
    pub order_id: i64,
    pub goods_id: i64,
    /// Code of the present fulfilment state.
    #[schema(example = "jxz")]
    pub order_state: &'static str,
    pub inputs: Inputs,
    pub user_note: String,
    pub need_num: [i64; 4],
    pub start_num: i64,
    pub now_num: i64,
    pub end_num: i64,
    /// 0 ok, 1 protected, 2 frozen, 3 wrong password.
    pub login_state: i16,
    pub amount: i64,
    pub refund: i64,
    pub add_time: i64,
    pub start_time: i64,
    pub end_time: i64,
    /// Until when the hand-out waits for its confirmation; 0 = it need not.
    pub lease_until: i64,
}

impl From<orders::Model> for SupplierOrder {
    fn from(o: orders::Model) -> Self {
        Self {
            order_state: o.fulfilment().map(FulfilState::code).unwrap_or_default(),
            order_id: o.service_no,
            goods_id: o.goods_id,
            inputs: Inputs { aa: o.aa, bb: o.bb, cc: o.cc, dd: o.dd, ee: o.ee },
            user_note: o.user_note,
            need_num: [o.need_num_0, o.need_num_1, o.need_num_2, o.need_num_3],
            start_num: o.start_num,
            now_num: o.now_num,
            end_num: o.end_num,
            login_state: o.login_state,
            amount: o.total_fen,
            refund: o.refund_fen,
            add_time: seconds(o.checkout_at),
            start_time: seconds(o.start_time),
            end_time: seconds(o.end_time),
            lease_until: seconds(o.lease_until),
        }
    }
}

/// Which orders to look at.
pub struct ListQuery {
    goods_id: i64,
    state: FulfilState,
    newest_first: bool,
    limit: u64,
    cursor: Option<i64>,
}

impl FromFields for ListQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            goods_id: f.required_int("goods_id", 1..=i64::MAX),
            state: required_state(f),
            newest_first: newest_first(f),
            limit: f.optional_int("limit", 1..=MAX_LIMIT).unwrap_or(DEFAULT_LIMIT).unsigned_abs(),
            cursor: f.optional_int("cursor", 1..=i64::MAX),
        }
    }
}

/// Orders, and where to go on.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderList {
    pub data: Vec<SupplierOrder>,
    /// Send it as `cursor` for what follows; 0 = that was all.
    pub next_cursor: i64,
}

/// `POST …/claim`.
#[derive(Debug, ToSchema)]
pub struct ClaimBody {
    pub goods_id: i64,
    /// `dlz` or `wks` (default).
    #[schema(value_type = Option<String>)]
    pub state: FulfilState,
    /// At most so many; 100 by default, 1000 at the most.
    #[schema(value_type = Option<u64>)]
    pub limit: u64,
    /// Seconds until unconfirmed orders go back; 300 by default, a day at the most.
    #[schema(value_type = Option<i64>)]
    pub lease_seconds: i64,
    /// `desc` (newest first, default) or `asc`.
    #[schema(value_type = Option<String>)]
    pub sort_type: bool,
    /// Your own number of this call: a repeat brings the same orders again.
    pub batch_no: Option<String>,
}

impl FromFields for ClaimBody {
    fn read(f: &mut Fields<'_>) -> Self {
        let state = claimable(f);
        Self {
            goods_id: f.required_int("goods_id", 1..=i64::MAX),
            state,
            limit: f.optional_int("limit", 1..=MAX_LIMIT).unwrap_or(DEFAULT_LIMIT).unsigned_abs(),
            lease_seconds: f
                .optional_int("lease_seconds", 10..=MAX_LEASE_SECONDS)
                .unwrap_or(DEFAULT_LEASE_SECONDS),
            sort_type: newest_first(f),
            batch_no: f.optional_text("batch_no", 100).filter(|b| !b.is_empty()),
        }
    }
}

fn claimable(f: &mut Fields<'_>) -> FulfilState {
    match f.optional_text("state", 20).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "wks" => FulfilState::NotStarted,
        "dlz" => FulfilState::Queued,
        _ => {
            f.error("state", "必须是 dlz 或 wks", "must be dlz or wks");
            FulfilState::NotStarted
        }
    }
}

/// A leased batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct Batch {
    pub batch_no: String,
    /// Unix seconds; 0 = nothing to confirm.
    pub lease_until: i64,
    pub total: usize,
    pub data: Vec<SupplierOrder>,
}

/// `POST …/ack` and `…/return`.
#[derive(Debug, ToSchema)]
pub struct BatchBody {
    pub batch_no: String,
    /// For a return: only these; absent = all of the batch.
    pub order_ids: Option<Vec<i64>>,
}

impl FromFields for BatchBody {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { batch_no: f.required_text("batch_no", 100), order_ids: f.optional_int_list("order_ids", 1000) }
    }
}

/// How many orders it concerned.
#[derive(Debug, Serialize, ToSchema)]
pub struct Count {
    pub orders: u64,
}

/// `POST …/edit` and `…/refund`.
#[derive(Debug, ToSchema)]
pub struct EditBody {
    pub order_id: i64,
    /// A code of the fulfilment table.
    #[schema(value_type = Option<String>)]
    pub order_state: Option<FulfilState>,
    pub start_num: Option<i64>,
    pub now_num: Option<i64>,
    pub end_num: Option<i64>,
    pub login_state: Option<i16>,
}

impl FromFields for EditBody {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            order_id: f.required_int("order_id", 1..=i64::MAX),
            order_state: optional_state(f),
            start_num: f.optional_int("start_num", 0..=MAX_COUNT),
            now_num: f.optional_int("now_num", 0..=MAX_COUNT),
            end_num: f.optional_int("end_num", 0..=MAX_COUNT),
            login_state: f.optional_int("login_state", 0..=3).map(|n| n as i16),
        }
    }
}

/// What came of an edit.
#[derive(Debug, Serialize, ToSchema)]
pub struct EditAnswer {
    /// The state moved.
    pub moved: bool,
    /// Anything changed at all.
    pub changed: bool,
}

impl From<Edited> for EditAnswer {
    fn from(edited: Edited) -> Self {
        Self { moved: matches!(edited, Edited::Moved), changed: !matches!(edited, Edited::Same) }
    }
}

type Answer<T> = Result<web::Json<Data<T>>, ApiError>;

fn answer<T>(data: T) -> Answer<T> {
    Ok(web::Json(Data::of(data)))
}

/// Orders in a state; nothing changes.
#[utoipa::path(get, path = "/api/supplier/order/list", operation_id = "SUPPLIER_ORDER_LIST", tag = "supplier",
    params(("X-Api-Key" = String, Header), ("goods_id" = i64, Query), ("state" = String, Query),
        ("sort_type" = Option<String>, Query), ("limit" = Option<u64>, Query), ("cursor" = Option<i64>, Query)),
    responses((status = 200, body = Data<OrderList>), (status = 401, description = "no valid key")))]
pub async fn list(ctx: web::Data<Ctx>, key: ApiKey, query: Query<ListQuery>) -> Answer<OrderList> {
    let supplier = Supplier::of(&ctx, &key.0).await?;
    supplier.check(query.goods_id)?;
    let start = Span { above: 0, below: i64::MAX, newest_first: query.newest_first };
    let span = query.cursor.map_or(start, |id| start.behind(id));
    let db = &ctx.platform.db;
    let rows = if store::any_work(db, query.goods_id, query.state).await? {
        store::work_rows(db, query.goods_id, query.state, span, query.limit).await?
    } else {
        Vec::new()
    };
    let full = rows.len() as u64 == query.limit;
    let next_cursor = rows.last().filter(|_| full).map_or(0, |o| o.id);
    answer(OrderList { data: rows.into_iter().map(SupplierOrder::from).collect(), next_cursor })
}

/// Takes orders under a lease: confirm them with `ack`, or give them back with `return`.
#[utoipa::path(post, path = "/api/supplier/order/claim", operation_id = "SUPPLIER_ORDER_CLAIM", tag = "supplier",
    params(("X-Api-Key" = String, Header)), request_body = ClaimBody,
    responses((status = 200, body = Data<Batch>), (status = 401, description = "no valid key")))]
pub async fn claim(ctx: web::Data<Ctx>, key: ApiKey, body: Body<ClaimBody>) -> Answer<Batch> {
    let supplier = Supplier::of(&ctx, &key.0).await?;
    supplier.check(body.goods_id)?;
    let wish = ClaimWish {
        goods_id: body.goods_id,
        state: body.state,
        newest_first: body.sort_type,
        limit: body.limit,
        lease_seconds: body.lease_seconds,
        batch_no: body.batch_no.clone(),
    };
    let leased = lease::claim(&ctx, &supplier, &wish).await?;
    answer(Batch {
        batch_no: leased.batch_no,
        lease_until: seconds(leased.lease_until),
        total: leased.orders.len(),
        data: leased.orders.into_iter().map(SupplierOrder::from).collect(),
    })
}

/// Confirms a batch. A repeat is as good as the first.
#[utoipa::path(post, path = "/api/supplier/order/ack", operation_id = "SUPPLIER_ORDER_ACK", tag = "supplier",
    params(("X-Api-Key" = String, Header)), request_body = BatchBody,
    responses((status = 200, body = Data<Count>), (status = 400, description = "the lease ran out"),
        (status = 404, description = "no such batch")))]
pub async fn ack(ctx: web::Data<Ctx>, key: ApiKey, body: Body<BatchBody>) -> Answer<Count> {
    let supplier = Supplier::of(&ctx, &key.0).await?;
    let orders = lease::ack(&ctx, &supplier, &body.batch_no).await?;
    answer(Count { orders })
}

/// Gives orders of a batch back to where they were taken from.
#[utoipa::path(post, path = "/api/supplier/order/return", operation_id = "SUPPLIER_ORDER_RETURN", tag = "supplier",
    params(("X-Api-Key" = String, Header)), request_body = BatchBody,
    responses((status = 200, body = Data<Count>), (status = 404, description = "no such batch")))]
pub async fn give_back(ctx: web::Data<Ctx>, key: ApiKey, body: Body<BatchBody>) -> Answer<Count> {
    let supplier = Supplier::of(&ctx, &key.0).await?;
    let orders = lease::give_back(&ctx, &supplier, &body.batch_no, body.order_ids.as_deref()).await?;
    answer(Count { orders: orders as u64 })
}

/// Reports progress. `ytd` is a refund.
#[utoipa::path(post, path = "/api/supplier/order/edit", operation_id = "SUPPLIER_ORDER_EDIT", tag = "supplier",
    params(("X-Api-Key" = String, Header)), request_body = EditBody,
    responses((status = 200, body = Data<EditAnswer>), (status = 400, description = "a move the table lacks"),
        (status = 404, description = "no such order")))]
pub async fn edit(ctx: web::Data<Ctx>, key: ApiKey, body: Body<EditBody>) -> Answer<EditAnswer> {
    let supplier = Supplier::of(&ctx, &key.0).await?;
    let edit = Edit {
        state: body.order_state,
        start_num: body.start_num,
        now_num: body.now_num,
        end_num: body.end_num,
        login_state: body.login_state,
    };
    answer(service::edit(&ctx, &supplier, body.order_id, None, edit).await?.into())
}

/// Refunds the undelivered share; without `now_num` all of it. Once is once.
#[utoipa::path(post, path = "/api/supplier/order/refund", operation_id = "SUPPLIER_ORDER_REFUND", tag = "supplier",
    params(("X-Api-Key" = String, Header)), request_body = EditBody,
    responses((status = 200, body = Data<EditAnswer>), (status = 400, description = "cannot be refunded"),
        (status = 404, description = "no such order")))]
pub async fn refund(ctx: web::Data<Ctx>, key: ApiKey, body: Body<EditBody>) -> Answer<EditAnswer> {
    let supplier = Supplier::of(&ctx, &key.0).await?;
    let edit = Edit { state: Some(FulfilState::Refunded), now_num: body.now_num, ..Edit::default() };
    answer(service::edit(&ctx, &supplier, body.order_id, None, edit).await?.into())
}
