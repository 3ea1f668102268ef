//! Numbered pages whose cost does not grow with their number (`spec/report-admin-api.md`, 20 and 22).
//!
//! Few orders are counted and skipped as they are. For many, a map in memory says where each page lies: orders
//! are never deleted, their ids rise with time, so what is older than [`MARGIN_MS`] only changes where a filter
//! asks for something that changes. The young rest is counted with every request.
//!
//! How fresh a total is: always to the order for up to [`FEW`] orders and for filters without state; for others
//! new orders count at once, a change of an order older than [`MARGIN_MS`] within [`REFRESH_MS`] (longer when counting
//! takes long: 20 times as long as it took).

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use moka::sync::Cache;
use platform::{clock::Clock, db::Db, ids};
use sea_orm::DbErr;
use tokio::{sync::Mutex, time::Instant};

use super::{
    page_map::{BUCKET, PageMap},
    store_list::{self as store, Narrow, Rows, Stretch},
};
use crate::{entities::orders, wire::Paging};

/// Up to so many orders need no map.
const FEW: i64 = 2000;
/// The same where they come by a payment's number: its index brings them unsorted, so many are still sorted.
const FEW_BY_TRADE: i64 = 20_000;
/// A page no deeper than this is skipped to from the newest order, in the round trip of the counts.
const NEAR: i64 = 1000;
/// Orders younger than this may still be on their way into the table: a transaction lives for seconds.
const MARGIN_MS: i64 = 120_000;
/// Until a map is looked after again.
const REFRESH_MS: i64 = 10_000;
/// Until a map is made anew, whatever it knows: heals what was loaded behind its back.
const RENEW: Duration = Duration::from_secs(3600);
/// Orders counted in one statement; what was counted is kept when its request goes away.
const STEP: i64 = 1_000_000;
/// Filters with a map at a time; a map takes 32 bytes for each thousand orders.
const MAPS: u64 = 64;

/// What a page holds.
#[derive(Debug)]
pub struct Found {
    pub total: u64,
    pub rows: Vec<orders::Model>,
}

/// Finds pages. Cheap to clone; clones share the maps.
#[derive(Clone)]
pub struct Pages {
    db: Db,
    clock: Clock,
    slots: Cache<Narrow, Arc<Slot>>,
}

/// The map of one filter, and whose turn it is to look after it.
#[derive(Default)]
struct Slot {
    known: RwLock<Arc<Known>>,
    turn: Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    map: PageMap,
    /// Orders from here on may have been paid or ended since they were counted.
    open_from: i64,
    /// False while it is being made.
    whole: bool,
    fresh_until: i64,
}

impl Slot {
    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, known: &Known) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known.clone());
    }
}

impl Pages {
    pub fn new(db: Db, clock: Clock) -> Self {
        let slots = Cache::builder().max_capacity(MAPS).time_to_live(RENEW).build();
        Self { db, clock, slots }
    }

    /// A page of the orders of `of` that `narrow` leaves, newest first, and how many there are.
    ///
    /// # Errors
    /// The database.
    pub async fn page(&self, narrow: &Narrow, of: Stretch, paging: Paging) -> Result<Found, DbErr> {
        let (offset, limit) = (signed(paging.offset()), signed(paging.limit));
        if !self.slots.contains_key(narrow)
            && let Some(found) = self.page_of_few(narrow, of, offset, limit).await?
        {
            return Ok(found);
        }
        self.page_of_many(narrow, of, offset, limit).await
    }

    /// How many orders there are in all.
    ///
    /// # Errors
    /// The database.
    pub async fn count(&self, narrow: &Narrow, of: Stretch) -> Result<u64, DbErr> {
        Ok(self.page(narrow, of, Paging { page: 1, limit: 0 }).await?.total)
    }

    /// `None`: there are too many to do without a map.
    async fn page_of_few(
        &self,
        narrow: &Narrow,
        of: Stretch,
        skip: i64,
        limit: i64,
    ) -> Result<Option<Found>, DbErr> {
        let few = if narrow.trade.is_empty() { FEW } else { FEW_BY_TRADE };
        // What lies beyond is not worth a look yet.
        let rows = Rows { of, skip, limit: if skip < few { limit } else { 0 } };
        let (total, rows) = if narrow.trade.is_empty() {
            let none = Stretch { from: 0, below: 0 };
            let ([total, _], rows) = store::counted_page(&self.db, narrow, [of, none], few + 1, rows).await?;
            (total, rows)
        } else {
            store::counted_page_by_trade(&self.db, narrow, few + 1, rows).await?
        };
        Ok((total <= few).then(|| Found { total: total.unsigned_abs(), rows }))
    }

    async fn page_of_many(
        &self,
        narrow: &Narrow,
        of: Stretch,
        offset: i64,
        limit: i64,
    ) -> Result<Found, DbErr> {
        let known = self.fresh(narrow).await?;
        // Where the page ends at the latest, given the rank of what comes before it: the months below are left alone.
        let within = |of: Stretch, rank: i64| Stretch {
            from: of.from.max(known.map.floor(rank - offset - limit - BUCKET)),
            ..of
        };
        let (end, start) = (known.map.rank(of.below), known.map.rank(of.from));
        let near = offset <= NEAR;
        let counts = [end, start].map(|r| Stretch { from: r.from, below: r.below });
        let mut wanted = Rows { of: within(of, end.base), skip: offset, limit: if near { limit } else { 0 } };
        let (counts, mut rows) = store::counted_page(&self.db, narrow, counts, i64::MAX, wanted).await?;
        let (end, start) = (end.base + counts[0], start.base + counts[1]);
        let total = (end - start).max(0);
        if !near && offset < total {
            wanted = match known.map.seek(end - 1 - offset) {
                Some((below, skip)) if below < of.below => {
                    Rows { of: within(Stretch { from: of.from, below }, end), skip, limit }
                }
                _ => Rows { of: within(of, end), skip: offset, limit },
            };
            rows = store::page(&self.db, narrow, wanted).await?;
        }
        // Some have left the filter since they were counted: the page reaches further down than thought.
        if wanted.of.from > of.from && signed(rows.len() as u64) < limit.min(total - offset) {
            wanted.of.from = of.from;
            rows = store::page(&self.db, narrow, wanted).await?;
        }
        Ok(Found { total: total.unsigned_abs(), rows })
    }

    /// The filter's map, looked after if it is time: by one request, while the others go on with what is known
    /// unless that is old.
    async fn fresh(&self, narrow: &Narrow) -> Result<Arc<Known>, DbErr> {
        let slot = self.slots.get_with_by_ref(narrow, Arc::default);
        let known = slot.known();
        if known.whole && self.clock.now_ms() < known.fresh_until {
            return Ok(known);
        }
        let passable = known.whole && self.clock.now_ms() < known.fresh_until + REFRESH_MS;
        let _turn = match slot.turn.try_lock() {
            Ok(turn) => turn,
            Err(_) if passable => return Ok(known),
            Err(_) => slot.turn.lock().await,
        };
        let known = slot.known();
        let now = self.clock.now_ms();
        if known.whole && now < known.fresh_until {
            return Ok(known);
        }
        self.look_after(narrow, &slot, known.as_ref().clone(), now).await?;
        Ok(slot.known())
    }

    async fn look_after(
        &self,
        narrow: &Narrow,
        slot: &Slot,
        mut known: Known,
        now: i64,
    ) -> Result<(), DbErr> {
        let begun = Instant::now();
        // The last bucket is not full: it is counted again with what follows.
        known.map.cut(known.open_from.min(known.map.covered() - 1));
        // Asked before the counting, for the next time.
        known.open_from = match narrow.changes() {
            Changes::Never => i64::MAX,
            Changes::WhileUnpaid => store::oldest_unpaid(&self.db).await?.unwrap_or(i64::MAX),
            Changes::Always => 0,
        };
        let below = ids::floor_at(now - MARGIN_MS);
        while known.map.covered() < below {
            let of = Stretch { from: known.map.covered(), below };
            let buckets = store::buckets(&self.db, narrow, of, BUCKET, STEP).await?;
            let counted: i64 = buckets.iter().map(|b| b.n).sum();
            let full = buckets.last().filter(|_| counted >= STEP).map(|b| b.last + 1);
            known.map.extend(&buckets, full.unwrap_or(below));
            // A map that was whole stands until the new one is.
            if !known.whole {
                slot.keep(&known);
            }
        }
        let took = i64::try_from(begun.elapsed().as_millis()).unwrap_or(REFRESH_MS);
        known.whole = true;
        known.fresh_until = now + REFRESH_MS.max(took.saturating_mul(20));
        slot.keep(&known);
        Ok(())
    }
}

/// When an order may enter or leave a filter after it was placed.
enum Changes {
    Never,
    WhileUnpaid,
    Always,
}

impl Narrow {
    fn changes(&self) -> Changes {
        if self.usage != 0 {
            Changes::Always
        } else if self.state != 0 || !self.trade.is_empty() {
            Changes::WhileUnpaid
        } else {
            Changes::Never
        }
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
