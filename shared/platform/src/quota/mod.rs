//! Quotas: how much a key may take in each of several windows at once.
//!
//! Invariants: all windows admit or none is counted; no number of concurrent takers, in one process or in many
//! replicas, passes a limit. A window opens with its first admitted take and lasts `seconds`, so a refusal
//! knows to the second when it opens again; up to twice the limit may therefore fall around one edge.
//!
//! Deliberately absent: what to do when the store does not answer. The caller knows whether its door stays
//! open (a gateway limit) or shut (a login lock).

mod memory;
mod redis;

use std::borrow::Cow;

pub use memory::MemoryQuota;
pub use redis::RedisQuota;

/// Windows one call may name; every one of them is a field to read and to write.
pub const MAX_WINDOWS: usize = 8;
/// Longest window; longer ones are cut to it.
pub const MAX_WINDOW_SECONDS: u64 = 366 * 86_400;
/// Largest limit and cost: Redis scripts calculate in doubles, exact up to here.
const MAX_COUNT: u64 = 1 << 53;
/// A longer key is stored as its digest, so that hostile keys cost no more than honest ones.
const MAX_KEY_BYTES: usize = 128;

/// At most `limit` units in `seconds`. A window is known by its length: two windows of the same length
/// under one key share their count. 0 seconds means 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub limit: u64,
    pub seconds: u64,
}

impl Window {
    pub const fn new(limit: u64, seconds: u64) -> Self {
        Self { limit, seconds }
    }

    fn seconds_bounded(self) -> u64 {
        self.seconds.clamp(1, MAX_WINDOW_SECONDS)
    }

    fn length_ms(self) -> u64 {
        self.seconds_bounded() * 1000
    }

    fn limit_bounded(self) -> u64 {
        self.limit.min(MAX_COUNT)
    }
}

/// The answer to a take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Counted in every window; `remaining` has one entry for each, in the caller's order.
    Admitted { remaining: Vec<u64> },
    /// Counted nowhere. `window` is the index of the one that opens last and `retry_after_seconds` (≥ 1)
    /// says when. A cost above the limit never fits; it is answered with the rest of the window as well.
    Refused { retry_after_seconds: u64, window: usize },
}

impl Decision {
    pub fn is_admitted(&self) -> bool {
        matches!(self, Self::Admitted { .. })
    }
}

/// How far one window is used; read without counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub used: u64,
    /// Milliseconds until the count starts again; the whole length while nothing is counted.
    pub reset_after_ms: u64,
}

/// Why a quota could not be asked. Never carries the address or the password of the store.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    #[error("a quota has at most {MAX_WINDOWS} windows, {0} were given")]
    TooManyWindows(usize),
    #[error("the quota store address is not usable: {0}")]
    Address(String),
    #[error("the quota store did not answer in {0} ms")]
    TimedOut(u64),
    #[error("the quota store failed: {0}")]
    Store(#[from] ::redis::RedisError),
}

/// Counts in this process (embedded mode) or in Redis (replicas share the counts).
#[derive(Debug, Clone)]
pub enum Quota {
    Memory(MemoryQuota),
    Redis(RedisQuota),
}

impl Quota {
    /// Takes `cost` units in every window, or in none. Cost 0 counts nothing and is always admitted
    /// while no window is over its limit.
    ///
    /// # Errors
    /// More than `MAX_WINDOWS` windows; Redis not reachable or slower than its time-out. After a time-out
    /// the take may still have been counted.
    pub async fn take(&self, key: &str, windows: &[Window], cost: u64) -> Result<Decision, QuotaError> {
        let before = self.count(key, windows, cost).await?;
        Ok(decide(windows, &before, cost))
    }

    /// What a take of 1 would answer now, counting nothing; `remaining` is what is left before it.
    ///
    /// # Errors
    /// As `take`.
    pub async fn peek(&self, key: &str, windows: &[Window]) -> Result<Decision, QuotaError> {
        let before = self.count(key, windows, 0).await?;
        Ok(match decide(windows, &before, 1) {
            Decision::Admitted { .. } => decide(windows, &before, 0),
            refused @ Decision::Refused { .. } => refused,
        })
    }

    /// The count of every window, for answer headers and the console.
    ///
    /// # Errors
    /// As `take`.
    pub async fn usage(&self, key: &str, windows: &[Window]) -> Result<Vec<Usage>, QuotaError> {
        self.count(key, windows, 0).await
    }

    /// Forgets everything counted for `key`, for example failed logins after one that succeeded.
    ///
    /// # Errors
    /// Redis not reachable or slower than its time-out.
    pub async fn reset(&self, key: &str) -> Result<(), QuotaError> {
        let key = bounded(key);
        match self {
            Self::Memory(memory) => memory.reset(&key),
            Self::Redis(redis) => redis.reset(&key).await?,
        }
        Ok(())
    }

    /// Takes `cost` off the count of every window that is still open, down to 0: for a take that turned out not to
    /// count, such as a login that was right. A window that has ended meanwhile owes nothing.
    ///
    /// # Errors
    /// As `take`.
    pub async fn give_back(&self, key: &str, windows: &[Window], cost: u64) -> Result<(), QuotaError> {
        if windows.len() > MAX_WINDOWS {
            return Err(QuotaError::TooManyWindows(windows.len()));
        }
        let (key, cost) = (bounded(key), cost.min(MAX_COUNT));
        match self {
            Self::Memory(memory) => memory.give_back(&key, windows, cost),
            Self::Redis(redis) => redis.give_back(&key, windows, cost).await?,
        }
        Ok(())
    }

    /// Counts `cost` if it fits everywhere; answers the usage from before.
    async fn count(&self, key: &str, windows: &[Window], cost: u64) -> Result<Vec<Usage>, QuotaError> {
        if windows.len() > MAX_WINDOWS {
            return Err(QuotaError::TooManyWindows(windows.len()));
        }
        if windows.is_empty() {
            return Ok(Vec::new());
        }
        let (key, cost) = (bounded(key), cost.min(MAX_COUNT));
        match self {
            Self::Memory(memory) => Ok(memory.count(&key, windows, cost)),
            Self::Redis(redis) => redis.count(&key, windows, cost).await,
        }
    }
}

/// The rule of both stores; `take.lua` states its first half again, because Redis must decide by itself.
fn decide(windows: &[Window], before: &[Usage], cost: u64) -> Decision {
    let cost = cost.min(MAX_COUNT);
    let closed =
        |(window, usage): (&Window, &Usage)| usage.used.saturating_add(cost) > window.limit_bounded();
    let opens_last = windows
        .iter()
        .zip(before)
        .enumerate()
        .filter(|(_, pair)| closed(*pair))
        .max_by_key(|(_, (_, usage))| usage.reset_after_ms);
    if let Some((window, (_, usage))) = opens_last {
        return Decision::Refused { retry_after_seconds: usage.reset_after_ms.div_ceil(1000).max(1), window };
    }
    let left = |(window, usage): (&Window, &Usage)| window.limit_bounded() - usage.used - cost;
    Decision::Admitted { remaining: windows.iter().zip(before).map(left).collect() }
}

fn bounded(key: &str) -> Cow<'_, str> {
    if key.len() <= MAX_KEY_BYTES {
        Cow::Borrowed(key)
    } else {
        Cow::Owned(format!("sha256-{}", crate::seal::sha256_hex(key.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use std::time::Duration;

    /// A fresh name per call, so that runs do not meet in the shared Redis.
    fn unique(name: &str) -> String {
        format!("test-{name}-{}", crate::seal::random_token(9))
    }

    /// Both stores; the Redis is the real one that the tests need anyway.
    async fn both() -> [Quota; 2] {
        let redis = RedisQuota::connect(&testing::redis_url()).await.expect("Redis");
        [Quota::Memory(MemoryQuota::new(Clock::system(), 1000)), Quota::Redis(redis)]
    }

    fn admitted(remaining: &[u64]) -> Decision {
        Decision::Admitted { remaining: remaining.to_vec() }
    }

    #[tokio::test]
    async fn all_windows_count_or_none_does() {
        for quota in both().await {
            let key = unique("atomic");
            let windows = [Window::new(2, 60), Window::new(10, 3600)];
            assert_eq!(quota.take(&key, &windows, 1).await.unwrap(), admitted(&[1, 9]));
            assert_eq!(quota.take(&key, &windows, 1).await.unwrap(), admitted(&[0, 8]));
            for _ in 0..5 {
                let refused = quota.take(&key, &windows, 1).await.unwrap();
                let Decision::Refused { retry_after_seconds, window: 0 } = refused else {
                    panic!("{quota:?}: {refused:?}")
                };
                assert!((59..=60).contains(&retry_after_seconds), "{retry_after_seconds}");
            }
            let usage = quota.usage(&key, &windows).await.unwrap();
            assert_eq!((usage[0].used, usage[1].used), (2, 2), "refusals were counted: {quota:?}");
            // The long window alone still admits, and the refusing order does not matter.
            assert_eq!(quota.take(&key, &windows[1..], 3).await.unwrap(), admitted(&[5]));
            let reversed = [windows[1], windows[0]];
            let refused = quota.take(&key, &reversed, 1).await.unwrap();
            assert!(matches!(refused, Decision::Refused { window: 1, .. }), "{refused:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn fifty_concurrent_takers_never_pass_the_limit() {
        for quota in both().await {
            let key = unique("concurrent");
            let takers = (0..50).map(|_| {
                let (quota, key) = (quota.clone(), key.clone());
                crate::lifecycle::spawn(async move {
                    let mut admitted = 0;
                    for _ in 0..4 {
                        let windows = [Window::new(37, 60), Window::new(1000, 3600)];
                        admitted += u64::from(quota.take(&key, &windows, 1).await.unwrap().is_admitted());
                    }
                    admitted
                })
            });
            let mut total = 0;
            for taker in takers.collect::<Vec<_>>() {
                total += taker.await.unwrap();
            }
            assert_eq!(total, 37, "{quota:?}");
            let usage = quota.usage(&key, &[Window::new(1000, 3600)]).await.unwrap();
            assert_eq!(usage[0].used, 37, "{quota:?}");
        }
    }

    #[tokio::test]
    async fn a_window_opens_again_when_a_refusal_said_it_would() {
        for quota in both().await {
            let key = unique("reopen");
            let windows = [Window::new(1, 1), Window::new(2, 3600)];
            assert!(quota.take(&key, &windows, 1).await.unwrap().is_admitted());
            let refused = quota.take(&key, &windows, 1).await.unwrap();
            assert_eq!(refused, Decision::Refused { retry_after_seconds: 1, window: 0 });
            // The server's clock is the one that counts, so this wait is for a condition, not a guess.
            let opened = async {
                while !quota.peek(&key, &windows).await.unwrap().is_admitted() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(3), opened).await.expect("the window opens");
            assert_eq!(quota.take(&key, &windows, 1).await.unwrap(), admitted(&[0, 0]));
            // Both are closed now; the one that opens last is named.
            let refused = quota.take(&key, &windows, 1).await.unwrap();
            let Decision::Refused { retry_after_seconds, window: 1 } = refused else { panic!("{refused:?}") };
            assert!(retry_after_seconds > 3590);
        }
    }

    #[tokio::test]
    async fn peek_and_usage_count_nothing_and_reset_forgets() {
        for quota in both().await {
            let key = unique("peek");
            let windows = [Window::new(2, 60)];
            for _ in 0..5 {
                assert_eq!(quota.peek(&key, &windows).await.unwrap(), admitted(&[2]));
            }
            assert_eq!(
                quota.usage(&key, &windows).await.unwrap(),
                [Usage { used: 0, reset_after_ms: 60_000 }]
            );
            assert!(quota.take(&key, &windows, 2).await.unwrap().is_admitted());
            assert!(!quota.peek(&key, &windows).await.unwrap().is_admitted());
            assert_eq!(quota.take(&key, &windows, 0).await.unwrap(), admitted(&[0]));
            quota.reset(&key).await.unwrap();
            assert_eq!(quota.peek(&key, &windows).await.unwrap(), admitted(&[2]));
        }
    }

    #[tokio::test]
    async fn what_is_given_back_can_be_taken_again_and_nothing_more() {
        for quota in both().await {
            let key = unique("back");
            let windows = [Window::new(3, 60), Window::new(3, 3600)];
            quota.give_back(&key, &windows, 5).await.unwrap();
            assert_eq!(quota.take(&key, &windows, 2).await.unwrap(), admitted(&[1, 1]), "{quota:?}");
            let before = quota.usage(&key, &windows).await.unwrap();
            quota.give_back(&key, &windows[..1], 1).await.unwrap();
            let after = quota.usage(&key, &windows).await.unwrap();
            assert_eq!((after[0].used, after[1].used), (1, 2), "{quota:?}");
            assert!(
                after[0].reset_after_ms <= before[0].reset_after_ms,
                "the window was lengthened: {quota:?}"
            );
            quota.give_back(&key, &windows, u64::MAX).await.unwrap();
            assert_eq!(quota.take(&key, &windows, 3).await.unwrap(), admitted(&[0, 0]), "{quota:?}");
            assert!(!quota.take(&key, &windows, 1).await.unwrap().is_admitted(), "{quota:?}");
        }
    }

    #[tokio::test]
    async fn extreme_numbers_are_answered_and_do_not_panic() {
        for quota in both().await {
            let key = unique("extreme");
            let huge = [Window::new(u64::MAX, u64::MAX)];
            assert!(quota.take(&key, &huge, u64::MAX).await.unwrap().is_admitted());
            assert!(!quota.take(&key, &huge, u64::MAX).await.unwrap().is_admitted());
            let none = [Window::new(0, 30)];
            let refused = Decision::Refused { retry_after_seconds: 30, window: 0 };
            assert_eq!(quota.take(&unique("zero"), &none, 1).await.unwrap(), refused);
            assert_eq!(quota.take(&key, &[], 1).await.unwrap(), admitted(&[]));
            assert!(matches!(
                quota.take(&key, &[Window::new(1, 1); MAX_WINDOWS + 1], 1).await,
                Err(QuotaError::TooManyWindows(9))
            ));
            assert!(quota.take(&unique("nil"), &[Window::new(1, 0)], 1).await.unwrap().is_admitted());
            quota.reset(&key).await.unwrap();
        }
    }

    #[tokio::test]
    async fn hostile_keys_keep_their_own_counts() {
        for quota in both().await {
            let long = unique("long").repeat(500);
            for key in [long.clone() + "a", long + "b", unique("}{\r\n*3\0 单"), String::new()] {
                let windows = [Window::new(1, 5)];
                quota.reset(&key).await.unwrap();
                assert!(quota.take(&key, &windows, 1).await.unwrap().is_admitted(), "{key:.40}");
                assert!(!quota.take(&key, &windows, 1).await.unwrap().is_admitted(), "{key:.40}");
            }
        }
    }
}
