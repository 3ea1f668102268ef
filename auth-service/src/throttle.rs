//! How often a login may fail, per account name and per address, before it has to wait.
//!
//! Every try is counted **before** its password is looked at and given back when it was right, so that no number
//! of tries at once passes the limit. The name counts as it was typed, whether there is such an account or not, so
//! a lock tells nothing about accounts. Tries of one name in this process go one after the other: otherwise a
//! program that logs in twenty times at once would lock itself out with right passwords.
//!
//! When the quota store is away, tries are counted in this process: a login neither fails nor goes unguarded.

use std::{net::IpAddr, sync::Arc};

use platform::{
    clock::Clock,
    quota::{Decision, MemoryQuota, Quota, QuotaError, Window},
    seal,
    settings::AuthSettings,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The window both limits are counted in.
pub const WINDOW_SECONDS: u64 = 15 * 60;
/// Names that can be worked on at the same time, give or take collisions; more than can be hashed at once.
const LANES: usize = 64;
const LOCAL_KEYS: usize = 10_000;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Throttle {
    shared: Quota,
    local: Quota,
    per_account: Window,
    per_address: Window,
    lanes: Arc<[Arc<Mutex<()>>]>,
}

/// Too many failures: wait this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed logins; the next try is possible in {retry_after_seconds} s")]
pub struct Throttled {
    pub retry_after_seconds: u64,
}

/// A counted try under way. Dropped without a word it stays counted as a failure.
#[must_use = "a try is counted as failed until told otherwise"]
pub struct Try {
    account: Counted,
    address: Counted,
    _turn: OwnedMutexGuard<()>,
}

/// Where a try was counted: it must be given back in the same store.
struct Counted {
    store: Quota,
    key: String,
    window: Window,
}

impl Throttle {
    pub fn new(shared: Quota, clock: Clock, settings: &AuthSettings) -> Self {
        Self {
            shared,
            local: Quota::Memory(MemoryQuota::new(clock, LOCAL_KEYS)),
            per_account: Window::new(settings.login_failures_per_account, WINDOW_SECONDS),
            per_address: Window::new(settings.login_failures_per_address, WINDOW_SECONDS),
            lanes: (0..LANES).map(|_| Arc::default()).collect(),
        }
    }

    /// Counts a try of `account` (as typed) from `address`, after earlier tries of the same name have ended.
    ///
    /// # Errors
    /// The name or the address has failed too often.
    pub async fn begin(&self, account: &str, address: &str) -> Result<Try, Throttled> {
        // The digest: names that people type may be passwords, and need not stand in a store.
        let digest = seal::sha256_hex(account.as_bytes());
        let lane = usize::from_str_radix(&digest[..4], 16).unwrap_or(0) % LANES;
        // No time-out: a right login that lost its turn on a slow machine would count against its own account. The
        // lane moves on, because each holder is bounded by the hashing queue, and a locked name is sent away at once.
        let turn = Arc::clone(&self.lanes[lane]).lock_owned().await;
        let account = self.count(format!("login:account:{digest}"), self.per_account).await?;
        match self.count(format!("login:address:{}", network(address)), self.per_address).await {
            Ok(address) => Ok(Try { account, address, _turn: turn }),
            Err(throttled) => {
                account.give_back().await;
                Err(throttled)
            }
        }
    }

    async fn count(&self, key: String, window: Window) -> Result<Counted, Throttled> {
        let (store, decision) = match self.shared.take(&key, &[window], 1).await {
            Ok(decision) => (self.shared.clone(), decision),
            Err(e) => {
                tracing::warn!(error = %e, "quota store away; logins are counted in this process alone");
                let decision = self.local.take(&key, &[window], 1).await;
                // The local store cannot fail for one window; if it did, the door stays shut.
                let refused = Decision::Refused { retry_after_seconds: 1, window: 0 };
                (self.local.clone(), decision.unwrap_or(refused))
            }
        };
        match decision {
            Decision::Admitted { .. } => Ok(Counted { store, key, window }),
            Decision::Refused { retry_after_seconds, .. } => Err(Throttled { retry_after_seconds }),
        }
    }
}

impl Try {
    /// The password was right: the account's failures are forgotten, the address gets this try back.
    pub async fn succeeded(self) {
        noted(self.account.store.reset(&self.account.key).await);
        self.address.give_back().await;
    }

    /// The try could not be decided (our fault): it counts nowhere.
    pub async fn undecided(self) {
        self.account.give_back().await;
        self.address.give_back().await;
    }
}

impl Counted {
    async fn give_back(&self) {
        noted(self.store.give_back(&self.key, &[self.window], 1).await);
    }
}

/// A try that stays counted for want of an answer costs the caller one of its failures, nothing more.
fn noted(result: Result<(), QuotaError>) {
    if let Err(e) = result {
        tracing::warn!(error = %e, "a login could not be taken off the count of failures");
    }
}

/// What counts as one address: an IPv4 address, or an IPv6 /64, which is what one customer line has.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.to_string(),
        Ok(IpAddr::V6(ip)) => {
            let s = ip.segments();
            format!("{:x}:{:x}:{:x}:{:x}::/64", s[0], s[1], s[2], s[3])
        }
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(per_account: u64, per_address: u64) -> (Throttle, Clock) {
        let clock = Clock::manual(1_795_000_000_000);
        let settings = AuthSettings {
            login_failures_per_account: per_account,
            login_failures_per_address: per_address,
            ..AuthSettings::default()
        };
        let store = Quota::Memory(MemoryQuota::new(clock.clone(), 100));
        (Throttle::new(store, clock.clone(), &settings), clock)
    }

    #[tokio::test]
    async fn failures_add_up_until_the_window_has_passed() {
        let (throttle, clock) = throttle(2, 100);
        for _ in 0..2 {
            drop(throttle.begin("admin", "10.0.0.1").await.expect("admitted"));
        }
        let refused = throttle.begin("admin", "10.0.0.2").await.err().expect("refused");
        assert_eq!(refused.retry_after_seconds, WINDOW_SECONDS);
        drop(throttle.begin("other", "10.0.0.1").await.expect("another name is free"));
        clock.advance_ms(WINDOW_SECONDS as i64 * 1000);
        drop(throttle.begin("admin", "10.0.0.1").await.expect("admitted again"));
    }

    #[tokio::test]
    async fn a_right_password_forgets_the_accounts_failures_and_keeps_the_addresses() {
        let (throttle, _) = throttle(2, 3);
        drop(throttle.begin("a", "10.0.0.1").await.expect("first failure"));
        for _ in 0..10 {
            throttle.begin("a", "10.0.0.1").await.expect("admitted").succeeded().await;
        }
        drop(throttle.begin("b", "10.0.0.1").await.expect("second failure"));
        drop(throttle.begin("c", "10.0.0.1").await.expect("third failure"));
        assert!(throttle.begin("d", "10.0.0.1").await.is_err(), "the address has failed three times");
        assert!(throttle.begin("d", "10.0.0.9").await.is_ok(), "the refused try was counted for the name");
    }

    #[tokio::test]
    async fn a_try_waits_for_its_turn_until_the_one_before_has_ended() {
        let (throttle, _) = throttle(1, 100);
        let first = throttle.begin("a", "10.0.0.1").await.expect("admitted");
        let mut second = std::pin::pin!(throttle.begin("a", "10.0.0.1"));
        assert!(futures_util::poll!(second.as_mut()).is_pending(), "it was counted beside the one under way");
        first.succeeded().await;
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn a_try_that_was_our_fault_counts_nowhere() {
        let (throttle, _) = throttle(1, 1);
        for _ in 0..5 {
            throttle.begin("a", "10.0.0.1").await.expect("admitted").undecided().await;
        }
    }

    #[test]
    fn an_ipv6_line_is_one_address_and_a_mapped_one_is_its_ipv4() {
        assert_eq!(network("2001:db8:1:2:aaaa::1"), network("2001:db8:1:2:bbbb::2"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(network("unknown"), "unknown");
    }
}
