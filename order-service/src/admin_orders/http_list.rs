//! The lists: all orders (22) and those of one customer (20).

use actix_web::web;
use chrono::NaiveDate;
use platform::http::{ApiError, Fields, FromFields, Query, caller::Identity};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    pages::Found,
    rows::AdminOrder,
    store_list::{Narrow, Stretch},
};
use crate::{
    app::Ctx,
    customers, numbers,
    wire::{self, Days, Paging},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/order", web::get().to(list))
        .route("/api/customer/{customer_id}/order", web::get().to(of_customer));
}

const DEFAULT_LIMIT: i64 = 10;

/// Filters of the lists. Days are whole, in the business time zone, both ends inclusive.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OrderFilter {
    /// First day of checkout, `YYYY-MM-DD`; the first 10 characters count. Required for the list of all orders.
    #[param(value_type = Option<String>)]
    start_date: Option<NaiveDate>,
    /// Last day of checkout; today when absent.
    #[param(value_type = Option<String>)]
    end_date: Option<NaiveDate>,
    /// 1 unpaid, 2 cancelled, 3 completed; 0 = all.
    #[param(value_type = Option<i64>)]
    state: i16,
    /// 1 all readings used up, 2 some left; 0 = all.
    #[param(value_type = Option<i64>)]
    usage_expend_status: i16,
    /// Beginning of the payment's number.
    #[param(value_type = Option<String>)]
    third_trade_num: String,
    /// Beginning of the order's number.
    #[param(value_type = Option<String>)]
    number: String,
    /// From 1.
    #[param(value_type = Option<u64>)]
    page: u64,
    /// 10 by default, 1000 at the most.
    #[param(value_type = Option<u64>)]
    limit: u64,
}

impl OrderFilter {
    fn read_with(f: &mut Fields<'_>, days: Days) -> Self {
        let small = |n: Option<i64>| n.and_then(|n| i16::try_from(n).ok()).unwrap_or(0);
        let Paging { page, limit } = Paging::read(f, DEFAULT_LIMIT);
        Self {
            start_date: days.start,
            end_date: days.end,
            state: small(f.optional_int("state", 0..=3)),
            usage_expend_status: small(f.optional_int("usage_expend_status", 0..=2)),
            third_trade_num: f.optional_text("third_trade_num", 128).unwrap_or_default(),
            number: f.optional_text("number", 32).unwrap_or_default(),
            page,
            limit,
        }
    }
}

impl FromFields for OrderFilter {
    fn read(f: &mut Fields<'_>) -> Self {
        let days = Days::read_required(f);
        Self::read_with(f, days)
    }
}

/// Filters of one customer's orders: no day is needed.
#[derive(Debug)]
pub struct OfCustomer(OrderFilter);

impl FromFields for OfCustomer {
    fn read(f: &mut Fields<'_>) -> Self {
        let days = Days::read(f);
        Self(OrderFilter::read_with(f, days))
    }
}

/// A page of orders: the figures stand beside `date`, not around it.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderPage {
    pub status: u16,
    pub current_page: u64,
    pub last_page: u64,
    pub total: u64,
    #[serde(rename = "date")]
    pub orders: Vec<AdminOrder>,
}

/// All orders, newest checkout first. Totals are true counts; deep pages cost what the first does.
#[utoipa::path(get, path = "/api/order", operation_id = "Payment_Order_List", tag = "orders", params(OrderFilter),
    responses((status = 200, body = OrderPage), (status = 400, description = "start_date is missing, or a filter wrong")))]
pub async fn list(
    ctx: web::Data<Ctx>,
    _identity: Identity,
    filter: Query<OrderFilter>,
) -> Result<web::Json<OrderPage>, ApiError> {
    answer(&ctx, None, filter.into_inner()).await.map(web::Json)
}

/// One customer's orders, newest checkout first.
#[utoipa::path(get, path = "/api/customer/{customer_id}/order", operation_id = "Payment_Customer_Info",
    tag = "customers", params(("customer_id" = i64, Path), OrderFilter),
    responses((status = 200, body = OrderPage), (status = 404, description = "no such customer")))]
pub async fn of_customer(
    ctx: web::Data<Ctx>,
    _identity: Identity,
    id: web::Path<i64>,
    filter: Query<OfCustomer>,
) -> Result<web::Json<OrderPage>, ApiError> {
    customers::find(ctx.platform.db.conn(), *id).await?.ok_or_else(wire::no_such_customer)?;
    answer(&ctx, Some(*id), filter.into_inner().0).await.map(web::Json)
}

async fn answer(ctx: &Ctx, customer_id: Option<i64>, filter: OrderFilter) -> Result<OrderPage, ApiError> {
    let paging = Paging { page: filter.page, limit: filter.limit };
    let days = Days { start: filter.start_date, end: filter.end_date };
    let (from, below) = days.window(&ctx.platform).ids();
    let found = match numbers::ids_of_numbers(&filter.number) {
        None => Found { total: 0, rows: Vec::new() },
        Some((first, end)) => {
            let rest = filter.number.len() > numbers::TIME_DIGITS;
            let narrow = Narrow {
                customer_id,
                state: filter.state,
                usage: filter.usage_expend_status,
                trade: filter.third_trade_num,
                number: if rest { filter.number } else { String::new() },
            };
            let of = Stretch { from: from.max(first), below: below.min(end) };
            ctx.pages.page(&narrow, of, paging).await?
        }
    };
    Ok(OrderPage {
        status: 0,
        current_page: paging.page,
        last_page: paging.last_page(found.total),
        total: found.total,
        orders: found.rows.into_iter().map(AdminOrder::from).collect(),
    })
}
