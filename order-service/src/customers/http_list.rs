//! The customer list (19): streamed, customers of many chunks, one chunk in memory.

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use chrono::NaiveDate;
use futures_util::Stream;
use platform::http::{ApiError, Fields, FromFields, Query, caller::Identity, values};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    listing::Listing,
    store_list::{Kind, Subscriber, Within},
};
use crate::{
    app::Ctx,
    wire::{Days, Paging, seconds},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/customer", web::get().to(list));
}

/// Of which customers. Days are whole, in the business time zone, both ends inclusive.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CustomerFilter {
    /// First day of the subscription, `YYYY-MM-DD`; the first 10 characters count.
    #[param(value_type = String)]
    start_date: Option<NaiveDate>,
    /// Last day; today when absent.
    #[param(value_type = Option<String>)]
    end_date: Option<NaiveDate>,
    /// 1 who paid for an order (default), 2 who was put on a white list.
    #[param(rename = "type", value_type = Option<i64>)]
    kind: i64,
    /// The whole number.
    mobile: Option<String>,
    /// From 1. Without `page` and `limit` all customers are sent.
    #[param(value_type = Option<u64>)]
    page: Option<u64>,
    /// 20 when only `page` is named, 1000 at the most.
    #[param(value_type = Option<u64>)]
    limit: Option<u64>,
}

impl FromFields for CustomerFilter {
    fn read(f: &mut Fields<'_>) -> Self {
        let Days { start, end } = Days::read_required(f);
        let pages =
            ["page", "limit"].iter().any(|name| !f.optional_text(name, 40).unwrap_or_default().is_empty());
        let Paging { page, limit } = Paging::read(f, 20);
        let mobile = f.optional_text("mobile", 64).map(|m| values::normal_mobile(&m));
        Self {
            start_date: start,
            end_date: end,
            kind: f.optional_int("type", 1..=2).unwrap_or(1),
            mobile: mobile.filter(|m| !m.is_empty()),
            page: pages.then_some(page),
            limit: pages.then_some(limit),
        }
    }
}

/// A customer with a subscription in the window. The figures are of all time; `payment_time` and `payment_count`
/// are the same. Times are unix seconds, 0 = never.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedCustomer {
    pub user_id: i64,
    pub nick_name: String,
    pub avatar: String,
    pub mobile: String,
    /// Paid orders and enabled white-list entries.
    pub payment_time: i64,
    pub payment_count: i64,
    /// Fen paid for orders.
    pub payment_total: String,
    /// The last payment or white-list grant.
    pub last_payment_at: i64,
    pub last_login_at: i64,
    pub last_review_at: i64,
    pub regist_at: i64,
}

impl From<Subscriber> for ListedCustomer {
    fn from(s: Subscriber) -> Self {
        Self {
            user_id: s.id,
            nick_name: s.nick_name,
            avatar: s.avatar,
            mobile: s.mobile,
            payment_time: s.payment_count,
            payment_count: s.payment_count,
            payment_total: s.payment_total.to_string(),
            last_payment_at: seconds(s.last_payment_at),
            last_login_at: seconds(s.last_login_at),
            last_review_at: seconds(s.last_review_at),
            regist_at: seconds(s.regist_at),
        }
    }
}

/// The whole answer, for the document: it is written piece by piece.
#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerList {
    pub status: i32,
    #[serde(rename = "date")]
    pub customers: Vec<ListedCustomer>,
}

/// Customers with a subscription in the window, newest customer first. The answer is streamed; one that could not
/// be finished breaks off in the middle, so that it cannot be taken for whole.
#[utoipa::path(get, path = "/api/customer", operation_id = "Payment_Customer_List", tag = "customers",
    params(CustomerFilter),
    responses((status = 200, body = CustomerList), (status = 400, description = "start_date is missing, or a filter wrong")))]
pub async fn list(
    ctx: web::Data<Ctx>,
    _identity: Identity,
    filter: Query<CustomerFilter>,
) -> Result<HttpResponse, ApiError> {
    let days = Days { start: filter.start_date, end: filter.end_date };
    let kind = if filter.kind == 2 { Kind::WhiteList } else { Kind::Orders };
    let within = Within { kind, window: days.window(&ctx.platform) };
    let page = filter.page.zip(filter.limit).map(|(page, limit)| Paging { page, limit });
    let filter = filter.into_inner();
    let mut listing = Listing::open(&ctx.platform.db, within, filter.mobile, page).await?;
    // Fetched before the answer begins, so that what fails at once can still be told.
    let first = listing.next().await?;
    let printer = Printer { listing, rows: first, begun: false, ended: false };
    Ok(HttpResponse::Ok().content_type("application/json").streaming(printer.stream()))
}

/// The list on its way.
struct Printer {
    listing: Listing,
    rows: Vec<Subscriber>,
    begun: bool,
    ended: bool,
}

impl Printer {
    fn stream(self) -> impl Stream<Item = Result<Bytes, ApiError>> {
        futures_util::stream::try_unfold(self, |mut printer| async move {
            Ok(printer.piece().await?.map(|piece| (piece, printer)))
        })
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, ApiError> {
        if self.ended {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(256 * (self.rows.len() + 1));
        let mut comma = self.begun;
        if !self.begun {
            self.begun = true;
            out.extend_from_slice(b"{\"status\":0,\"date\":[");
        }
        for row in self.rows.drain(..) {
            if comma {
                out.push(b',');
            }
            comma = true;
            serde_json::to_writer(&mut out, &ListedCustomer::from(row))
                .map_err(|e| ApiError::internal(e.to_string()))?;
        }
        self.rows = self.listing.next().await?;
        if self.rows.is_empty() {
            self.ended = true;
            out.extend_from_slice(b"]}");
        }
        Ok(Some(out.into()))
    }
}
