use actix_web::web;
use contracts::order_state::FulfilState;
use platform::http::{ApiError, Fields, FromFields, Query, caller::Identity};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    service::{DAYS, Overview},
    store::DayFigures,
};
use crate::{app::Ctx, wire::Data};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/stats/overview", web::get().to(overview));
}

/// How far back.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OverviewQuery {
    /// Days of the series, today included: 30 by default, 90 at the most.
    #[param(value_type = Option<u64>)]
    days: usize,
}

impl FromFields for OverviewQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        let most = i64::try_from(DAYS).unwrap_or(i64::MAX);
        let days = f.optional_int("days", 1..=most).and_then(|n| usize::try_from(n).ok());
        Self { days: days.unwrap_or(30) }
    }
}

/// One day of the business time zone. Amounts are fen.
#[derive(Debug, Serialize, ToSchema)]
pub struct Day {
    /// `YYYY-MM-DD`
    pub date: String,
    /// Orders placed.
    pub order_count: i64,
    /// Orders paid, free ones among them.
    pub paid_count: i64,
    /// What was paid; refunds are not taken off.
    pub paid_total: i64,
    /// New customers.
    pub customer_count: i64,
}

/// Everything there is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Totals {
    pub order_count: u64,
    pub unpaid_count: u64,
    pub cancelled_count: u64,
    pub paid_count: u64,
    pub customer_count: i64,
    /// Payments that came too late and are not given back yet.
    pub refund_due_count: i64,
    /// Their fen.
    pub refund_due_total: i64,
}

/// Service orders that somebody has to do something about.
#[derive(Debug, Serialize, ToSchema)]
pub struct Work {
    /// `dlz`, `wks`, …
    #[schema(value_type = String)]
    pub state: &'static str,
    #[schema(value_type = String)]
    pub title: &'static str,
    pub count: i64,
}

/// The home page.
#[derive(Debug, Serialize, ToSchema)]
pub struct OverviewAnswer {
    pub today: Day,
    pub total: Totals,
    pub in_work: Vec<Work>,
    /// Oldest day first; the last one is today.
    pub series: Vec<Day>,
}

fn day((day, f): &(chrono::NaiveDate, DayFigures)) -> Day {
    Day {
        date: day.to_string(),
        order_count: f.order_count,
        paid_count: f.paid_count,
        paid_total: f.paid_total,
        customer_count: f.customer_count,
    }
}

/// Figures and series for the home page, a few seconds old at the most.
#[utoipa::path(get, path = "/api/stats/overview", operation_id = "STATS_OVERVIEW", tag = "stats", params(OverviewQuery),
    responses((status = 200, body = Data<OverviewAnswer>)))]
pub async fn overview(
    ctx: web::Data<Ctx>,
    _identity: Identity,
    query: Query<OverviewQuery>,
) -> Result<web::Json<Data<OverviewAnswer>>, ApiError> {
    let shown = ctx.stats.overview().await?;
    let series: Vec<Day> = shown.series.iter().rev().take(query.days).rev().map(day).collect();
    let today = shown.series.last().map(day).ok_or_else(|| ApiError::internal("a series without today"))?;
    Ok(web::Json(Data::of(OverviewAnswer { today, total: totals(&shown), in_work: work(&shown), series })))
}

fn totals(o: &Overview) -> Totals {
    Totals {
        order_count: o.order_count,
        unpaid_count: o.unpaid_count,
        cancelled_count: o.cancelled_count,
        paid_count: o.paid_count,
        customer_count: o.customer_count,
        refund_due_count: o.refunds_due.0,
        refund_due_total: o.refunds_due.1,
    }
}

fn work(o: &Overview) -> Vec<Work> {
    let work = |(state, count): &(FulfilState, i64)| Work {
        state: state.code(),
        title: state.title().0,
        count: *count,
    };
    o.in_work.iter().map(work).collect()
}
