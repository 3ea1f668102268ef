use actix_web::{HttpResponse, web};
use contracts::{identity::Actor, routes::Dialect};
use platform::http::{
    ApiError, Body, Fields, FromFields, IdempotencyKey, RequestContext, caller::Identity, idempotency,
    values::MAX_FEN,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::service;
use crate::{
    app::Ctx,
    customers::NewCustomer,
    entities::orders,
    lifecycle::{By, LifecycleError, Paid, Payment},
    wire::{self, Data, OrderNumber, Reason},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/order", web::post().to(place))
        .route("/api/order/{number}/pay", web::post().to(pay))
        .route("/api/order/{number}/cancel", web::post().to(cancel));
}

const MAX_SIZE: i64 = 1_000_000_000;
const MAX_COUNT: i64 = 1_000_000_000_000;
const MAX_EXPIRE_SECONDS: i64 = 366 * 86_400;
pub const MAX_INPUT_CHARS: usize = 2000;

/// Whose order it is.
#[derive(Debug, Clone)]
pub enum Who {
    Known(i64),
    Named(NewCustomer),
}

/// A wish to buy.
#[derive(Debug, Clone)]
pub struct PlaceOrder {
    pub customer: Who,
    pub goods_id: i64,
    pub size: i64,
    /// aa … ee.
    pub inputs: [String; 5],
    pub need_num: [Option<i64>; 4],
    pub payment_source: i64,
    pub payment_channel: i64,
    pub distributor_id: i64,
    pub outer_id: String,
    /// Seconds.
    pub expire_in: Option<i64>,
    pub user_note: String,
}

impl FromFields for PlaceOrder {
    fn read(f: &mut Fields<'_>) -> Self {
        let mut need = |name: &str| f.optional_int(name, 0..=MAX_COUNT);
        let need_num = [need("need_num_0"), need("need_num_1"), need("need_num_2"), need("need_num_3")];
        Self {
            customer: who(f),
            goods_id: f.required_int("goods_id", 1..=i64::MAX),
            size: f.optional_int("size", 1..=MAX_SIZE).unwrap_or(1),
            inputs: f.optional_object("inputs", inputs).unwrap_or_default(),
            need_num,
            payment_source: f.optional_int("payment_source", 0..=99).unwrap_or(0),
            payment_channel: f.optional_int("payment_channel", 0..=99).unwrap_or(0),
            distributor_id: f.optional_int("distributor_id", 0..=i64::MAX).unwrap_or(0),
            outer_id: f.optional_text("outer_id", 64).unwrap_or_default(),
            expire_in: f.optional_int("expire_in", 1..=MAX_EXPIRE_SECONDS),
            user_note: f.optional_text("user_note", 500).unwrap_or_default(),
        }
    }
}

fn who(f: &mut Fields<'_>) -> Who {
    let known = f.optional_int("customer_id", 1..=i64::MAX);
    let named = f.optional_object("customer", NewCustomer::read);
    match (known, named) {
        (Some(id), None) => Who::Known(id),
        (None, Some(new)) => Who::Named(new),
        (Some(id), Some(_)) => {
            f.error("customer", "不能与 customer_id 同时给出", "must not stand beside customer_id");
            Who::Known(id)
        }
        (None, None) => {
            if !f.has("customer_id") && !f.has("customer") {
                f.error("customer_id", "不能为空", "is required");
            }
            Who::Known(0)
        }
    }
}

fn inputs(f: &mut Fields<'_>) -> [String; 5] {
    ["aa", "bb", "cc", "dd", "ee"].map(|name| f.optional_text(name, MAX_INPUT_CHARS).unwrap_or_default())
}

/// The body of `POST /api/order`, for the OpenAPI document.
#[derive(ToSchema)]
#[allow(dead_code)] // read field by field in `PlaceOrder`
pub struct PlaceOrderBody {
    /// A known customer; or `customer`.
    customer_id: Option<i64>,
    /// A customer by mobile, made when unknown.
    customer: Option<NewCustomer>,
    goods_id: i64,
    /// Pieces, 1 by default.
    size: Option<i64>,
    /// What the buyer filled in; `aa` is the target.
    inputs: Option<crate::admin_orders::rows::Inputs>,
    /// How much is to be done; `size` by default.
    need_num_0: Option<i64>,
    need_num_1: Option<i64>,
    need_num_2: Option<i64>,
    need_num_3: Option<i64>,
    payment_source: Option<i64>,
    payment_channel: Option<i64>,
    distributor_id: Option<i64>,
    /// The shop's own id, unique per partner.
    outer_id: Option<String>,
    /// Seconds until an unpaid order ends; 18000 by default.
    expire_in: Option<i64>,
    user_note: Option<String>,
}

/// A placed order.
#[derive(Debug, Serialize, ToSchema)]
pub struct Placed {
    pub id: i64,
    pub number: String,
    /// 1 unpaid; 3 when it costs nothing.
    pub state: i16,
    /// Fen.
    pub total: String,
    /// Unix seconds; 0 = does not end.
    pub expire_at: i64,
}

/// Where an order stands after a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct Standing {
    pub number: String,
    pub state: i16,
    /// Code of the fulfilment state, "" without one.
    pub fulfil_state: &'static str,
    pub order_seq: i64,
    /// Unix seconds.
    pub paid_at: i64,
    /// Money came too late and must be given back.
    pub refund_required: bool,
    /// Fen to be given back.
    pub refund_due: String,
}

impl From<orders::Model> for Standing {
    fn from(o: orders::Model) -> Self {
        Self {
            fulfil_state: o.fulfilment().map(|s| s.code()).unwrap_or_default(),
            number: o.number,
            state: o.state,
            order_seq: o.version,
            paid_at: wire::seconds(o.paid_at),
            refund_required: o.refund_due_fen > 0,
            refund_due: o.refund_due_fen.to_string(),
        }
    }
}

/// A payment that was made.
#[derive(Debug, ToSchema)]
pub struct PayOrder {
    /// Fen; must be the order's total.
    pub amount: i64,
    pub payment_channel: Option<i64>,
    pub third_trade_num: Option<String>,
    pub third_trade_identity: Option<String>,
}

impl FromFields for PayOrder {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            amount: f.required_int("amount", 0..=MAX_FEN),
            payment_channel: f.optional_int("payment_channel", 0..=99),
            third_trade_num: f.optional_text("third_trade_num", 128),
            third_trade_identity: f.optional_text("third_trade_identity", 128),
        }
    }
}

/// Places an order.
#[utoipa::path(post, path = "/api/order", operation_id = "ORDER_PLACE", tag = "orders",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = PlaceOrderBody,
    responses((status = 200, body = Data<Placed>), (status = 400, description = "missing, wrong, or refused"),
        (status = 409, description = "the same key is running"), (status = 422, description = "the key was used")))]
pub async fn place(
    ctx: web::Data<Ctx>,
    identity: Identity,
    key: IdempotencyKey,
    body: Body<PlaceOrder>,
) -> Result<HttpResponse, ApiError> {
    let scope = idempotency::scope("ORDER_PLACE", &identity.caller);
    let actor = Actor::from(&identity.caller);
    let platform = &ctx.platform;
    idempotency::answer(&platform.db, &platform.clock, &scope, &key, &body.sha256, async |tx| {
        let o = service::place(&ctx, tx, &body, &actor).await?;
        Ok::<_, service::PlaceError>(Data::of(Placed {
            id: o.id,
            state: o.state,
            total: o.total_fen.to_string(),
            expire_at: wire::seconds(o.expire_at),
            number: o.number,
        }))
    })
    .await
}

/// Confirms a payment. One for a cancelled order is refused and kept all the same: 400 status 2 with
/// `refund_required`, and the money stands in the order's `refund_due`.
#[utoipa::path(post, path = "/api/order/{number}/pay", operation_id = "ORDER_PAY", tag = "orders",
    params(("number" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = PayOrder,
    responses((status = 200, body = Data<Standing>), (status = 400, description = "another amount, paid already, or too late"),
        (status = 404, description = "no such order")))]
pub async fn pay(
    ctx: web::Data<Ctx>,
    identity: Identity,
    key: IdempotencyKey,
    number: web::Path<OrderNumber>,
    body: Body<PayOrder>,
) -> Result<HttpResponse, ApiError> {
    let scope = idempotency::scope("ORDER_PAY", &identity.caller);
    let actor = Actor::from(&identity.caller);
    let payment = Payment {
        amount_fen: body.amount,
        channel: body.payment_channel,
        third_trade_num: body.third_trade_num.clone().unwrap_or_default(),
        third_trade_identity: body.third_trade_identity.clone().unwrap_or_default(),
    };
    let platform = &ctx.platform;
    idempotency::answer_with_status(&platform.db, &platform.clock, &scope, &key, &body.sha256, async |tx| {
        let paid = ctx.lifecycle.pay(tx, &number, &payment, By { actor: &actor, reason: "" }).await?;
        Ok::<_, LifecycleError>(match paid {
            Paid::Completed(order) => (200, to_json(&Data::of(Standing::from(order)))),
            Paid::TooLate(order) => (400, too_late(order)),
        })
    })
    .await
}

fn to_json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn too_late(order: orders::Model) -> serde_json::Value {
    let error = ApiError::refused(
        "订单已取消，这笔付款已登记，待退款",
        "the order was cancelled; this payment is recorded and has to be refunded",
    );
    let context = RequestContext::current();
    error.with_data(to_json(&Standing::from(order))).body(
        Dialect::Admin,
        context.language,
        &context.request_id,
    )
}

/// Cancels an unpaid order.
#[utoipa::path(post, path = "/api/order/{number}/cancel", operation_id = "ORDER_CANCEL", tag = "orders",
    params(("number" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = Reason,
    responses((status = 200, body = Data<Standing>), (status = 400, description = "not unpaid"),
        (status = 404, description = "no such order")))]
pub async fn cancel(
    ctx: web::Data<Ctx>,
    identity: Identity,
    key: IdempotencyKey,
    number: web::Path<OrderNumber>,
    body: Body<Reason>,
) -> Result<HttpResponse, ApiError> {
    let scope = idempotency::scope("ORDER_CANCEL", &identity.caller);
    let actor = Actor::from(&identity.caller);
    let reason = body.reason.clone().unwrap_or_default();
    let platform = &ctx.platform;
    idempotency::answer(&platform.db, &platform.clock, &scope, &key, &body.sha256, async |tx| {
        let order = ctx.lifecycle.cancel(tx, &number, By { actor: &actor, reason: &reason }).await?;
        Ok::<_, LifecycleError>(Data::of(Standing::from(order)))
    })
    .await
}
