//! The circuit breaker of one subscription: after a row of failures its deliveries are held back for a growing
//! while, then one goes as a probe. Held-back deliveries use up no try of their schedule.
//!
//! It lives in memory; when it opens, the time is written to the subscription, so that other replicas and the
//! next start know it too.

/// Failures in a row that open it.
const THRESHOLD: u32 = 10;
const FIRST_PAUSE_MS: i64 = 5_000;
const LONGEST_PAUSE_MS: i64 = 60_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    /// Times it has opened without a success in between.
    openings: u32,
    /// Unix ms; 0 = closed.
    open_until: i64,
    probing: bool,
}

/// What may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// One, to see whether the receiver is back.
    Probe,
    /// Nothing before this time (unix ms).
    Shut(i64),
}

impl Breaker {
    /// As it was left by another process.
    pub fn until(open_until: i64) -> Self {
        Self { open_until, openings: u32::from(open_until > 0), ..Self::default() }
    }

    pub fn gate(&self, now: i64) -> Gate {
        match self.open_until {
            0 => Gate::Open,
            until if now < until => Gate::Shut(until),
            // A probe that never came back must not shut it for ever.
            until if self.probing && now < until + LONGEST_PAUSE_MS => Gate::Shut(until + LONGEST_PAUSE_MS),
            _ => Gate::Probe,
        }
    }

    /// The probe is under way.
    pub fn probe(&mut self) {
        self.probing = true;
    }

    /// A receiver that answers, even with a refusal of the sign, is there. `true` when this closed it.
    pub fn success(&mut self) -> bool {
        let was_open = self.open_until > 0;
        *self = Self::default();
        was_open
    }

    /// `Some(until)` when this opened it.
    pub fn failure(&mut self, now: i64) -> Option<i64> {
        self.failures = self.failures.saturating_add(1);
        let from_probe = self.open_until > 0 && self.probing;
        self.probing = false;
        // Answers to what was under way when it opened do not lengthen the pause.
        if now < self.open_until || (self.failures < THRESHOLD && !from_probe && self.open_until == 0) {
            return None;
        }
        let pause = FIRST_PAUSE_MS.saturating_mul(1 << self.openings.min(8)).min(LONGEST_PAUSE_MS);
        self.openings += 1;
        self.open_until = now + pause;
        Some(self.open_until)
    }

    pub fn is_closed(&self) -> bool {
        self.open_until == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_ten_failures_in_a_row_and_lets_one_probe_through() {
        let mut breaker = Breaker::default();
        for _ in 0..9 {
            assert_eq!(breaker.failure(1_000), None);
        }
        assert_eq!(breaker.gate(1_000), Gate::Open);
        assert_eq!(breaker.failure(1_000), Some(6_000));
        assert_eq!(breaker.gate(5_999), Gate::Shut(6_000));
        assert_eq!(breaker.failure(2_000), None, "stragglers do not count");
        assert_eq!(breaker.gate(6_000), Gate::Probe);
        breaker.probe();
        assert_eq!(breaker.gate(6_000), Gate::Shut(66_000));
        assert_eq!(breaker.failure(6_500), Some(16_500), "the pause doubles");
        assert_eq!(breaker.gate(16_500), Gate::Probe);
        breaker.probe();
        assert!(breaker.success());
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn successes_in_between_keep_it_closed() {
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            for _ in 0..9 {
                assert_eq!(breaker.failure(0), None);
            }
            assert!(!breaker.success());
        }
    }

    #[test]
    fn pauses_have_a_longest() {
        let mut breaker = Breaker::until(1);
        let mut now = 1;
        for _ in 0..50 {
            assert_eq!(breaker.gate(now), Gate::Probe);
            breaker.probe();
            let until = breaker.failure(now).expect("it opens again");
            assert!(until - now <= LONGEST_PAUSE_MS);
            now = until;
        }
    }

    #[test]
    fn a_lost_probe_is_followed_by_another() {
        let mut breaker = Breaker::until(1_000);
        breaker.probe();
        assert_eq!(breaker.gate(1_000), Gate::Shut(61_000));
        assert_eq!(breaker.gate(61_000), Gate::Probe);
    }
}
