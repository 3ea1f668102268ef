//! Polls that find nothing: what one costs, and what many of them cost those who place orders.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;

use super::{Plan, Postgres, Stage};

/// Suppliers that poll, and how often each asks for its three states: the keenest known client waits 5 s.
pub const POLLERS: usize = 10;
pub const EVERY: Duration = Duration::from_secs(1);
const PLACERS: usize = 8;

/// Orders placed a second, window by window.
pub struct Rates {
    pub alone: Vec<f64>,
    pub polled: Vec<f64>,
    pub polls: u64,
}

/// What PostgreSQL says of one poll.
pub struct Poll {
    pub orders: u64,
    pub partitions: u64,
    pub index_scans: usize,
    pub other_scans: usize,
    pub buffers: u64,
    pub milliseconds: f64,
}

pub async fn rates(stage: &Stage, plan: &Plan) -> Result<Rates, String> {
    let mut rates = Rates { alone: Vec::new(), polled: Vec::new(), polls: 0 };
    // What went before is still being told to the other services.
    stage.system.until_at_rest().await?;
    // Warm: the first orders of a goods wait for connections.
    window(stage, Duration::from_millis(500), 0).await?;
    for round in 0..plan.rounds {
        let window_of = Duration::from_secs(plan.seconds);
        // ABBA: what drifts in the course of the run falls on both alike.
        for polled in [false, true, true, false].map(|p| p ^ (round % 2 == 1)) {
            let (rate, polls) = window(stage, window_of, if polled { POLLERS } else { 0 }).await?;
            if polled { &mut rates.polled } else { &mut rates.alone }.push(rate);
            rates.polls += polls;
        }
    }
    Ok(rates)
}

/// Places orders for a while beside so many pollers; orders a second, and how many polls were answered.
async fn window(stage: &Stage, length: Duration, pollers: usize) -> Result<(f64, u64), String> {
    let (ended, placed, polled) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let started = Instant::now();
    let placing = try_join_all((0..PLACERS).map(|_| async {
        while started.elapsed() < length {
            stage.shop.place(stage.goods.placed).await?;
            placed.fetch_add(1, Ordering::Relaxed);
        }
        ended.store(true, Ordering::Relaxed);
        Ok::<(), String>(())
    }));
    let supplier = stage.supplier(stage.goods.idle)?;
    let polling = try_join_all((0..pollers).map(|i| {
        let (supplier, ended, polled) = (&supplier, &ended, &polled);
        async move {
            tokio::time::sleep(EVERY * i as u32 / pollers as u32).await;
            while !ended.load(Ordering::Relaxed) {
                for state in ["jxz", "wks", "tdz"] {
                    supplier.orders(&format!("&state={state}")).await?;
                    polled.fetch_add(1, Ordering::Relaxed);
                }
                tokio::time::sleep(EVERY).await;
            }
            Ok::<(), String>(())
        }
    }));
    let measured = async {
        placing.await?;
        Ok::<f64, String>(placed.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
    };
    let (rate, _) = tokio::try_join!(measured, polling)?;
    Ok((rate, polled.load(Ordering::Relaxed)))
}

/// The statement of a poll, explained as it runs.
pub async fn plan(postgres: &Postgres, goods: i64) -> Result<Poll, String> {
    let number = |text: String| text.trim().parse::<u64>().map_err(|e| format!("{text}: {e}"));
    let orders = number(postgres.answer("SELECT count(*) FROM \"order\".orders").await?)?;
    let parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = '\"order\".orders'::regclass";
    let partitions = number(postgres.answer(parts).await?)?;
    // As the connections have it on which order-service polls (`Db::keeping_plans`).
    let explain = format!(
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
         PREPARE poll(bigint, smallint) AS SELECT 1 AS found FROM \"order\".orders WHERE goods_id = $1 \
         AND fulfil_state = $2 LIMIT 1; EXPLAIN (ANALYZE, BUFFERS) EXECUTE poll({goods}, 1)"
    );
    // Twice: the first one warms the cache.
    postgres.answer(&explain).await?;
    let text = postgres.answer(&explain).await?;
    let scans = |word: &str| text.lines().filter(|l| l.contains(word)).count();
    let index_scans = scans("Index Only Scan using") + scans("Index Scan using");
    Ok(Poll {
        orders,
        partitions,
        index_scans,
        other_scans: scans(" Scan ") - index_scans,
        buffers: after(&text, "Buffers: shared hit=").unwrap_or(0.0) as u64,
        milliseconds: after(&text, "Execution Time: ").ok_or_else(|| format!("no time in {text}"))?,
    })
}

/// The first number behind `word`.
fn after(text: &str, word: &str) -> Option<f64> {
    let rest = text.split_once(word)?.1;
    rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_in_a_plan() {
        let text = "Limit (cost=1)\n  Buffers: shared hit=12 read=3\nExecution Time: 0.045 ms";
        assert_eq!(after(text, "Buffers: shared hit="), Some(12.0));
        assert_eq!(after(text, "Execution Time: "), Some(0.045));
        assert_eq!(after(text, "nothing"), None);
    }
}
