//! Orders that change at a steady rate, as shops and suppliers change them, and what they were told about it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bench::shop::Shop;
use platform::lifecycle::spawn;
use tokio::{sync::Semaphore, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Changes in the life of one order: placed, paid, handed out, done.
const CHANGES: u32 = 4;
/// Lives and hand-outs under way at once at the most; beyond it the rate is not kept, and the report says so.
const MOST_UNDER_WAY: usize = 600;
/// Goods whose waiting orders are handed out in a second.
const HAND_OUTS: u32 = 10;

/// What clients were told: changes that were answered with success, by order.
#[derive(Default)]
pub struct Ledger {
    /// By number.
    placed: Mutex<HashMap<String, u32>>,
    /// By the number suppliers know it by.
    supplied: Mutex<HashMap<i64, u32>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    pub fn accepted(&self, number: &str) {
        *locked(&self.placed).entry(number.to_owned()).or_default() += 1;
    }

    fn accepted_from_supplier(&self, service_no: i64) {
        *locked(&self.supplied).entry(service_no).or_default() += 1;
    }

    /// Changes of one order that somebody was told of.
    pub fn of(&self, number: &str, service_no: i64) -> u32 {
        let of_shop = locked(&self.placed).get(number).copied().unwrap_or_default();
        of_shop + locked(&self.supplied).get(&service_no).copied().unwrap_or_default()
    }

    /// Numbers of all orders whose placing was accepted.
    pub fn numbers(&self) -> Vec<String> {
        locked(&self.placed).keys().cloned().collect()
    }

    pub fn total(&self) -> u64 {
        let shops: u64 = locked(&self.placed).values().map(|n| u64::from(*n)).sum();
        shops + locked(&self.supplied).values().map(|n| u64::from(*n)).sum::<u64>()
    }
}

/// What the load works with. Cheap to clone.
#[derive(Clone)]
pub struct Trade {
    pub shop: Shop,
    pub goods: Arc<[i64]>,
    /// The supplier's key for all goods.
    pub key: String,
    pub ledger: Arc<Ledger>,
}

/// A running load.
pub struct Load {
    stop: CancellationToken,
    shops: JoinHandle<()>,
    suppliers: JoinHandle<()>,
    under_way: Arc<Semaphore>,
    started: Instant,
    accepted_before: u64,
    ledger: Arc<Ledger>,
}

/// What a load was.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    pub seconds: f64,
    /// Changes a second that were accepted.
    pub rate: f64,
}

impl Load {
    /// Starts `rate` changes a second.
    pub fn start(trade: &Trade, rate: u32) -> Self {
        let stop = CancellationToken::new();
        let under_way = Arc::new(Semaphore::new(MOST_UNDER_WAY));
        let shops = spawn(place(trade.clone(), rate / CHANGES, Arc::clone(&under_way), stop.clone()));
        let suppliers = spawn(supply(trade.clone(), Arc::clone(&under_way), stop.clone()));
        let ledger = Arc::clone(&trade.ledger);
        let accepted_before = ledger.total();
        Self { stop, shops, suppliers, under_way, started: Instant::now(), accepted_before, ledger }
    }

    /// Begins nothing new, and waits until everything under way has been answered or given up.
    pub async fn end(self) -> Result<Kept, String> {
        self.stop.cancel();
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = (self.ledger.total() - self.accepted_before) as f64 / seconds;
        self.shops.await.map_err(|e| e.to_string())?;
        self.suppliers.await.map_err(|e| e.to_string())?;
        let all = u32::try_from(MOST_UNDER_WAY).unwrap_or(u32::MAX);
        let _ = self.under_way.acquire_many(all).await.map_err(|e| e.to_string())?;
        Ok(Kept { seconds, rate })
    }
}

/// Runs `what` beside the others, once there is room for it.
async fn beside(under_way: &Arc<Semaphore>, what: impl Future<Output = ()> + Send + 'static) {
    if let Ok(permit) = Arc::clone(under_way).acquire_owned().await {
        spawn(async move {
            what.await;
            drop(permit);
        });
    }
}

async fn place(trade: Trade, per_second: u32, under_way: Arc<Semaphore>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second.max(1));
    let mut turn = 0;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return,
        }
        let (trade, goods) = (trade.clone(), trade.goods[turn % trade.goods.len()]);
        turn += 1;
        beside(&under_way, async move {
            // What is not accepted in the end is none of our business: nobody was told that it is done.
            let Ok(number) = trade.shop.place(goods).await else { return };
            trade.ledger.accepted(&number);
            if trade.shop.pay(&number).await.is_ok() {
                trade.ledger.accepted(&number);
            }
        })
        .await;
    }
}

async fn supply(trade: Trade, under_way: Arc<Semaphore>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / HAND_OUTS);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut turn = 0;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return,
        }
        let goods = trade.goods[turn % trade.goods.len()];
        turn += 1;
        // Not sent again: a hand-out whose answer is lost is not for us to repeat.
        let once = trade.shop.persistent(Duration::ZERO);
        let query = format!("a=down_orders&state=wks&format=json&goods_id={goods}");
        let Ok(answer) = once.entry(&query, &trade.key).await else { continue };
        let rows = answer["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ids = rows.iter().filter_map(|row| row["id"].as_str()?.parse::<i64>().ok());
        for id in ids {
            trade.ledger.accepted_from_supplier(id);
            let trade = trade.clone();
            beside(&under_way, async move {
                let query =
                    format!("a=edit&goods_id={goods}&order_id={id}&now_num=100&end_num=100&order_state=ywc");
                if trade.shop.entry(&query, &trade.key).await.is_ok() {
                    trade.ledger.accepted_from_supplier(id);
                }
            })
            .await;
        }
    }
}
