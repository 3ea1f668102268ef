//! What the engine holds in memory for one subscription: its target, the leased jobs that wait, and how much it
//! may have under way. A receiver that fails or stalls loses slots quickly and wins them back one by one, so
//! that it takes nothing from the others.

use std::{collections::VecDeque, sync::Arc};

use super::{
    breaker::{Breaker, Gate},
    rules::{self, Reply},
    sender::Bodies,
    target::Target,
};

/// A delivery leased by this process.
#[derive(Debug, Clone)]
pub struct Job {
    pub delivery_id: i64,
    pub subscription_id: i64,
    pub change_seq: i64,
    pub order_id: i64,
    /// Attempts made before this one.
    pub tries: i32,
    /// Only results under this token count.
    pub lease: i64,
    /// Unix ms; from then on another may send it.
    pub leased_until: i64,
    pub bodies: Arc<Bodies>,
}

/// Jobs of one subscription a process holds at most.
const MOST_HELD: usize = 2_000;
/// Time within which held jobs should be sent at the present pace.
const HOLD_MS: usize = 10_000;
/// Longest the whole subscription rests because an answer said so.
const LONGEST_REST_MS: i64 = 60_000;

pub struct Lane {
    pub target: Arc<Target>,
    pub ready: VecDeque<Job>,
    pub in_flight: usize,
    /// There may be due rows in the database.
    pub hungry: bool,
    /// When it is looked at again by itself (unix ms); i64::MAX = no time set.
    pub timer: i64,
    /// Stands in the pump's line of lanes with jobs to send.
    pub in_turn: bool,
    /// Stands in the pump's line of lanes to claim for.
    pub in_hunt: bool,
    breaker: Breaker,
    /// Requests under way at once.
    slots: usize,
    most_slots: usize,
    /// Unix ms: 429 with Retry-After.
    rest_until: i64,
    /// Unix ms: its rate window is full, nothing more is claimed. What was claimed has its place in the window.
    claim_after: i64,
    /// Moving average of answer times.
    pace_ms: f64,
    /// Since when nothing was acknowledged (unix ms), 0 = all is well.
    failing_since: i64,
    /// The receiver said 410; until the subscription is read again.
    gone: bool,
}

impl Lane {
    pub fn new(target: Arc<Target>, most_slots: usize) -> Self {
        let breaker = Breaker::until(target.open_until);
        let failing_since = target.failing_since;
        Self {
            target,
            ready: VecDeque::new(),
            in_flight: 0,
            hungry: true,
            timer: i64::MAX,
            in_turn: false,
            in_hunt: false,
            breaker,
            slots: most_slots,
            most_slots,
            rest_until: 0,
            claim_after: 0,
            pace_ms: 0.0,
            failing_since,
            gone: false,
        }
    }

    /// A changed subscription; another address or a release gives it a fresh start.
    pub fn retarget(&mut self, target: Arc<Target>) {
        if target.open_until == 0 {
            self.breaker = Breaker::default();
            self.slots = self.most_slots;
            self.rest_until = 0;
        }
        self.failing_since = target.failing_since;
        self.hungry = true;
        self.gone = false;
        self.target = target;
    }

    /// Is anything to be sent there at all?
    pub fn is_active(&self) -> bool {
        self.target.active && !self.gone
    }

    /// When something may be sent: now (`Ok` with the number of slots left) or not before.
    pub fn slots_left(&self, now: i64) -> Result<usize, i64> {
        if !self.is_active() {
            return Err(i64::MAX);
        }
        if now < self.rest_until {
            return Err(self.rest_until);
        }
        match self.breaker.gate(now) {
            Gate::Open => Ok(self.slots.saturating_sub(self.in_flight)),
            Gate::Probe => Ok(usize::from(self.in_flight == 0)),
            Gate::Shut(until) => Err(until),
        }
    }

    /// How many more jobs it may hold.
    pub fn room(&self, now: i64) -> usize {
        let Ok(free) = self.slots_left(now) else { return 0 };
        if now < self.claim_after {
            return 0;
        }
        let held = self.ready.len() + self.in_flight;
        if !self.breaker.is_closed() {
            return free.saturating_sub(self.ready.len());
        }
        self.capacity().saturating_sub(held)
    }

    /// Jobs it may hold while all is well.
    fn capacity(&self) -> usize {
        if self.slots < self.most_slots {
            return self.slots * 2;
        }
        let per_slot = HOLD_MS / (self.pace_ms.max(1.0) as usize).max(1);
        (self.slots * per_slot).clamp(self.slots * 2, MOST_HELD)
    }

    /// Whether new deliveries may come to it straight from the consumer.
    pub fn takes_handoff(&self) -> bool {
        self.is_active() && self.target.rate_limit == 0 && self.breaker.is_closed()
    }

    pub fn started(&mut self) {
        self.in_flight += 1;
        if !self.breaker.is_closed() {
            self.breaker.probe();
        }
    }

    /// Whether a claim is worth its while: less than half of what it may hold is there.
    pub fn is_low(&self, room: usize) -> bool {
        room > 0 && self.ready.len() <= room
    }

    /// An attempt came to nothing inside of this process.
    pub fn broke_down(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Takes the result of an attempt in; `Some(open_until)` when the breaker changed (0 = it closed).
    pub fn ended(&mut self, reply: Reply, duration_ms: i64, now: i64) -> Option<i64> {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.pace_ms += (duration_ms as f64 - self.pace_ms) * 0.1;
        self.gone |= reply == Reply::Gone;
        let Reply::Refused { status, retry_after_ms } = reply else {
            self.slots = (self.slots + 1).min(self.most_slots);
            return self.breaker.success().then_some(0);
        };
        let there = (200..500).contains(&status) && status != 429;
        if there {
            return self.breaker.success().then_some(0);
        }
        self.slots = (self.slots / 2).max(1);
        if let (true, Some(ms)) = (rules::asks_to_slow_down(status), retry_after_ms) {
            self.rest_until = self.rest_until.max(now + ms.min(LONGEST_REST_MS));
        }
        self.breaker.failure(now)
    }

    /// Takes note whether the receiver acknowledges; `Some(failing_since)` when that changed.
    pub fn health(&mut self, reply: Reply, now: i64) -> Option<i64> {
        let acknowledged = reply == Reply::Acknowledged;
        if acknowledged == (self.failing_since == 0) {
            return None;
        }
        self.failing_since = if acknowledged { 0 } else { now };
        Some(self.failing_since)
    }

    /// Nothing is claimed before `until` (unix ms): its rate window is full.
    pub fn rest(&mut self, until: i64) {
        self.claim_after = self.claim_after.max(until);
    }

    /// Until when there is no use in claiming (unix ms), if there is such a time.
    pub fn shut_until(&self, now: i64) -> Option<i64> {
        self.slots_left(now).err().or((now < self.claim_after).then_some(self.claim_after))
    }
}
