//! Counts in this process. Bounded: when `max_keys` are held, the key whose windows end soonest goes first,
//! so a flood of fresh keys cannot grow the memory and loses the least that can be lost.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Decision, Usage, Window, decide};
use crate::clock::Clock;

/// Expired keys a call clears at most: memory falls after a flood without any call paying for all of it.
const CLEARED_PER_CALL: usize = 8;

/// See the module. Clones share the counts.
#[derive(Debug, Clone)]
pub struct MemoryQuota {
    clock: Clock,
    max_keys: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    keys: HashMap<Arc<str>, Entry>,
    /// (end of the last window in unix ms, entry id) → key.
    by_end: BTreeMap<(i64, u64), Arc<str>>,
    last_id: u64,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    windows: Vec<Counter>,
}

#[derive(Debug)]
struct Counter {
    seconds: u64,
    used: u64,
    /// Unix ms.
    ends: i64,
}

impl Entry {
    fn ends(&self) -> i64 {
        self.windows.iter().map(|counter| counter.ends).max().unwrap_or(0)
    }

    fn usage(&self, window: Window, now: i64) -> Option<Usage> {
        let counter = self.windows.iter().find(|counter| counter.seconds == window.seconds_bounded())?;
        let left = u64::try_from(counter.ends.saturating_sub(now)).ok().filter(|left| *left > 0)?;
        // A clock set back must not lengthen a window.
        Some(Usage { used: counter.used, reset_after_ms: left.min(window.length_ms()) })
    }

    fn set(&mut self, window: Window, used: u64, ends: i64) {
        let seconds = window.seconds_bounded();
        match self.windows.iter_mut().find(|counter| counter.seconds == seconds) {
            Some(counter) => (counter.used, counter.ends) = (used, ends),
            None => self.windows.push(Counter { seconds, used, ends }),
        }
    }
}

impl MemoryQuota {
    /// Keys held unless told otherwise: about 20 MB at the most.
    pub const DEFAULT_MAX_KEYS: usize = 100_000;

    /// `max_keys` below 1 counts as 1.
    pub fn new(clock: Clock, max_keys: usize) -> Self {
        Self { clock, max_keys: max_keys.max(1), counts: Arc::default() }
    }

    /// Keys held now, for a gauge.
    pub fn len(&self) -> usize {
        self.lock().keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn reset(&self, key: &str) {
        self.lock().remove(key);
    }

    pub(super) fn give_back(&self, key: &str, windows: &[Window], cost: u64) {
        let mut counts = self.lock();
        let now = self.clock.now_ms();
        let Some(entry) = counts.keys.get_mut(key) else { return };
        for window in windows {
            let open =
                |counter: &&mut Counter| counter.seconds == window.seconds_bounded() && counter.ends > now;
            if let Some(counter) = entry.windows.iter_mut().find(open) {
                counter.used = counter.used.saturating_sub(cost);
            }
        }
    }

    pub(super) fn count(&self, key: &str, windows: &[Window], cost: u64) -> Vec<Usage> {
        let mut counts = self.lock();
        // Read inside the lock: two takers must not see the time run backwards.
        let now = self.clock.now_ms();
        counts.clear_expired(now);
        let entry = counts.keys.get(key);
        let unused = |window: &Window| Usage { used: 0, reset_after_ms: window.length_ms() };
        let before: Vec<Usage> = windows
            .iter()
            .map(|window| entry.and_then(|entry| entry.usage(*window, now)).unwrap_or_else(|| unused(window)))
            .collect();
        if cost > 0 && matches!(decide(windows, &before, cost), Decision::Admitted { .. }) {
            counts.add(key, windows, &before, cost, now, self.max_keys);
        }
        before
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Nothing under this lock panics between its two maps, so a poisoned one is still usable.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(&mut self, key: &str, windows: &[Window], before: &[Usage], cost: u64, now: i64, max_keys: usize) {
        let known = self.remove(key);
        while known.is_none() && self.keys.len() >= max_keys {
            self.pop_first();
        }
        let (key, mut entry) = known.unwrap_or_else(|| {
            self.last_id += 1;
            (Arc::from(key), Entry { id: self.last_id, windows: Vec::with_capacity(windows.len()) })
        });
        entry.windows.retain(|counter| counter.ends > now);
        for (window, usage) in windows.iter().zip(before) {
            // The length is bounded, so it fits.
            entry.set(*window, usage.used + cost, now.saturating_add_unsigned(usage.reset_after_ms));
        }
        self.by_end.insert((entry.ends(), entry.id), Arc::clone(&key));
        self.keys.insert(key, entry);
    }

    fn remove(&mut self, key: &str) -> Option<(Arc<str>, Entry)> {
        let (key, entry) = self.keys.remove_entry(key)?;
        self.by_end.remove(&(entry.ends(), entry.id));
        Some((key, entry))
    }

    fn pop_first(&mut self) {
        if let Some((_, key)) = self.by_end.pop_first() {
            self.keys.remove(&key);
        }
    }

    fn clear_expired(&mut self, now: i64) {
        for _ in 0..CLEARED_PER_CALL {
            match self.by_end.first_key_value() {
                Some(((ends, _), _)) if *ends <= now => self.pop_first(),
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(quota: &MemoryQuota, key: &str, windows: &[Window]) -> Decision {
        decide(windows, &quota.count(key, windows, 1), 1)
    }

    #[test]
    fn a_flood_of_keys_stays_bounded_and_spares_the_longest_windows() {
        let clock = Clock::manual(1_000_000);
        let quota = MemoryQuota::new(clock.clone(), 100);
        let lock = [Window::new(1, 900)];
        assert!(take(&quota, "victim", &lock).is_admitted());
        for n in 0..10_000 {
            take(&quota, &format!("flood-{n}"), &[Window::new(5, 60)]);
            assert!(quota.len() <= 100);
        }
        assert!(!take(&quota, "victim", &lock).is_admitted(), "the flood pushed a longer lock out");
        let (keys, ends) = {
            let counts = quota.lock();
            (counts.keys.len(), counts.by_end.len())
        };
        assert_eq!(keys, ends);

        clock.advance_ms(901_000);
        for _ in 0..20 {
            quota.count("reader", &lock, 0);
        }
        assert!(quota.is_empty(), "expired keys are cleared by later calls");
        assert!(take(&quota, "victim", &lock).is_admitted());
    }

    #[test]
    fn windows_open_on_the_handed_in_clock() {
        let clock = Clock::manual(0);
        let quota = MemoryQuota::new(clock.clone(), 10);
        let windows = [Window::new(1, 1), Window::new(3, 86_400)];
        for remaining_of_the_day in [2, 1, 0] {
            let admitted = Decision::Admitted { remaining: vec![0, remaining_of_the_day] };
            assert_eq!(take(&quota, "key", &windows), admitted);
            clock.advance_ms(1000);
        }
        let refused = Decision::Refused { retry_after_seconds: 86_397, window: 1 };
        assert_eq!(take(&quota, "key", &windows), refused);
        clock.advance_ms(86_397_000);
        assert!(take(&quota, "key", &windows).is_admitted());
        clock.advance_ms(-50_000_000);
        let refused = Decision::Refused { retry_after_seconds: 1, window: 0 };
        assert_eq!(take(&quota, "key", &windows), refused, "a clock set back does not lengthen a window");
    }

    #[test]
    fn windows_of_one_length_share_their_count() {
        let quota = MemoryQuota::new(Clock::manual(0), 10);
        let windows = [Window::new(5, 60), Window::new(2, 60)];
        assert_eq!(take(&quota, "key", &windows), Decision::Admitted { remaining: vec![4, 1] });
        assert_eq!(take(&quota, "key", &windows), Decision::Admitted { remaining: vec![3, 0] });
        assert!(!take(&quota, "key", &windows).is_admitted());
    }
}
