use std::sync::Arc;

use chrono::NaiveDate;
use contracts::order_state::FulfilState;
use platform::{Platform, clock};
use sea_orm::DbErr;
use tokio::sync::Mutex;

use super::store::{self, DayFigures};
use crate::{
    admin_orders::{
        pages::Pages,
        store_list::{Narrow, Stretch},
    },
    wire::Window,
};

/// Days of the series, today included.
pub const DAYS: usize = 90;
/// An overview is shown again for so long.
pub const FRESH_MS: i64 = 3000;
/// What was done before midnight may be committed so long after it.
const MARGIN_MS: i64 = 120_000;

/// What the home page shows.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    pub order_count: u64,
    pub unpaid_count: u64,
    pub cancelled_count: u64,
    pub paid_count: u64,
    pub customer_count: i64,
    pub refunds_due: (i64, i64),
    pub in_work: Vec<(FulfilState, i64)>,
    /// Oldest first; the last one is today.
    pub series: Vec<(NaiveDate, DayFigures)>,
}

/// Makes overviews. Cheap to clone; clones share what was counted.
#[derive(Clone)]
pub struct Stats {
    platform: Platform,
    pages: Pages,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    past: Option<Arc<Past>>,
    shown: Option<(i64, Arc<Overview>)>,
}

/// The days before `today`, counted.
struct Past {
    today: NaiveDate,
    series: Vec<(NaiveDate, DayFigures)>,
    customers: i64,
}

impl Stats {
    pub fn new(platform: Platform, pages: Pages) -> Self {
        Self { platform, pages, kept: Arc::default() }
    }

    /// The overview, at most [`FRESH_MS`] old. Requests that come together are answered by one counting.
    ///
    /// # Errors
    /// The database.
    pub async fn overview(&self) -> Result<Arc<Overview>, DbErr> {
        let mut kept = self.kept.lock().await;
        let now = self.platform.clock.now_ms();
        if let Some((at, shown)) = &kept.shown
            && (*at..*at + FRESH_MS).contains(&now)
        {
            return Ok(Arc::clone(shown));
        }
        let today = clock::local_date(now, self.platform.tz);
        let past = match kept.past.take().filter(|p| p.today == today) {
            Some(past) => past,
            None => Arc::new(self.count_past(today).await?),
        };
        let overview = Arc::new(self.count(&past, today).await?);
        if now - self.start_of(today) > MARGIN_MS {
            kept.past = Some(past);
        }
        kept.shown = Some((now, Arc::clone(&overview)));
        Ok(overview)
    }

    fn start_of(&self, day: NaiveDate) -> i64 {
        clock::day_start_ms(day, self.platform.tz)
    }

    fn window_of(&self, day: NaiveDate) -> Window {
        let after = day.succ_opt().unwrap_or(day);
        Window { from_ms: self.start_of(day), to_ms: self.start_of(after) }
    }

    async fn count_past(&self, today: NaiveDate) -> Result<Past, DbErr> {
        let conn = self.platform.db.conn();
        let mut days: Vec<NaiveDate> =
            std::iter::successors(today.pred_opt(), NaiveDate::pred_opt).take(DAYS - 1).collect();
        days.reverse();
        let windows: Vec<Window> = days.iter().map(|day| self.window_of(*day)).collect();
        let figures = store::figures(conn, &windows).await?;
        let customers = store::customers_before(conn, self.start_of(today)).await?;
        Ok(Past { today, series: days.into_iter().zip(figures).collect(), customers })
    }

    async fn count(&self, past: &Past, today: NaiveDate) -> Result<Overview, DbErr> {
        let conn = self.platform.db.conn();
        let now = store::figures(conn, &[self.window_of(today)]).await?.pop().unwrap_or_default();
        let mut series = past.series.clone();
        series.push((today, now));
        let finished = |s: &FulfilState| matches!(s, FulfilState::Done | FulfilState::Refunded);
        let open: Vec<FulfilState> = FulfilState::ALL.into_iter().filter(|s| !finished(s)).collect();
        let all = Stretch { from: 0, below: i64::MAX };
        let mut counts = [0; 4];
        for (state, count) in (0..).zip(&mut counts) {
            *count = self.pages.count(&Narrow { state, ..Narrow::default() }, all).await?;
        }
        let [order_count, unpaid_count, cancelled_count, paid_count] = counts;
        Ok(Overview {
            order_count,
            unpaid_count,
            cancelled_count,
            paid_count,
            customer_count: past.customers + now.customer_count,
            refunds_due: store::refunds_due(conn).await?,
            in_work: store::in_work(conn, &open).await?,
            series,
        })
    }
}
