use actix_web::web;
use platform::{
    audit::Who,
    http::{ApiError, Body, caller::Identity},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    service::{self, CustomerChange, NewCustomer},
    store_list::{self, Subscriber},
};
use crate::{
    app::Ctx,
    wire::{self, Data, Id, seconds},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/customer", web::post().to(add))
        .route("/api/customer/{customer_id}", web::get().to(total))
        .route("/api/customer/{customer_id}", web::put().to(modify));
}

/// New customer. The same mobile again: 400 status 2 with the id under `data`.
#[utoipa::path(post, path = "/api/customer", operation_id = "CUSTOMER_ADD", tag = "customers",
    request_body = NewCustomer,
    responses((status = 200, body = Data<Id>), (status = 400, description = "missing, wrong, or known already")))]
pub async fn add(
    ctx: web::Data<Ctx>,
    identity: Identity,
    body: Body<NewCustomer>,
) -> Result<web::Json<Data<Id>>, ApiError> {
    let id = service::add(&ctx, &Who::from(&identity), &body).await?;
    Ok(web::Json(Data::of(Id { id })))
}

/// Changes what is named; the times only rise. A mobile is for ever.
#[utoipa::path(put, path = "/api/customer/{customer_id}", operation_id = "CUSTOMER_MODIFY", tag = "customers",
    params(("customer_id" = i64, Path)), request_body = CustomerChange,
    responses((status = 200, body = Data<Id>), (status = 404, description = "no such customer")))]
pub async fn modify(
    ctx: web::Data<Ctx>,
    identity: Identity,
    id: web::Path<i64>,
    body: Body<CustomerChange>,
) -> Result<web::Json<Data<Id>>, ApiError> {
    service::modify(&ctx, &Who::from(&identity), *id, &body).await?;
    Ok(web::Json(Data::of(Id { id: *id })))
}

/// A customer and the sum of its subscriptions. Times are unix seconds, 0 = never.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerTotal {
    pub user_id: i64,
    pub nick_name: String,
    pub avatar: String,
    pub mobile: String,
    /// Paid orders and enabled white-list entries, of all time.
    pub payment_count: i64,
    /// Fen paid for orders, of all time.
    pub payment_total: i64,
    /// The last payment or white-list grant.
    pub last_payment_at: i64,
    pub last_login_at: i64,
    pub last_review_at: i64,
    pub regist_at: i64,
}

impl From<Subscriber> for CustomerTotal {
    fn from(s: Subscriber) -> Self {
        Self {
            user_id: s.id,
            nick_name: s.nick_name,
            avatar: s.avatar,
            mobile: s.mobile,
            payment_count: s.payment_count,
            payment_total: s.payment_total,
            last_payment_at: seconds(s.last_payment_at),
            last_login_at: seconds(s.last_login_at),
            last_review_at: seconds(s.last_review_at),
            regist_at: seconds(s.regist_at),
        }
    }
}

/// One customer.
#[utoipa::path(get, path = "/api/customer/{customer_id}", operation_id = "Payment_Customer_Total", tag = "customers",
    params(("customer_id" = i64, Path)),
    responses((status = 200, body = Data<CustomerTotal>), (status = 404, description = "no such customer")))]
pub async fn total(
    ctx: web::Data<Ctx>,
    _identity: Identity,
    id: web::Path<i64>,
) -> Result<web::Json<Data<CustomerTotal>>, ApiError> {
    let found = store_list::subscribers(ctx.platform.db.conn(), &[*id]).await?;
    let customer = found.into_iter().next().ok_or_else(wire::no_such_customer)?;
    Ok(web::Json(Data::of(customer.into())))
}
