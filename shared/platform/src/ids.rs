//! Ids for rows that grow without bound: time-ordered, 53 bits, so that they are exact as JSON numbers in
//! JavaScript too (ADR 0003).
//!
//! Layout: 41 bits of milliseconds since 2024-01-01, 5 bits of node, 7 bits of sequence. A node that needs
//! more than 128 ids in a millisecond borrows from the next one, so ids of one node never repeat or fall.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use crate::clock::Clock;

/// Unix milliseconds before which no id was made.
pub const EPOCH_MS: i64 = 1_704_067_200_000;
const NODE_BITS: u32 = 5;
const SEQUENCE_BITS: u32 = 7;

/// Number of nodes that may make ids for one service at the same time.
pub const NODES: i64 = 1 << NODE_BITS;

/// An id source. Clones share the sequence.
#[derive(Debug, Clone)]
pub struct Ids {
    clock: Clock,
    node: i64,
    /// Last (millisecond << SEQUENCE_BITS | sequence) handed out.
    last: Arc<AtomicI64>,
}

impl Ids {
    /// `node` must be held by this process alone (`db::node_lease`).
    pub fn new(clock: Clock, node: i64) -> Self {
        assert!((0..NODES).contains(&node), "node {node} is outside 0..{NODES}");
        Self { clock, node, last: Arc::new(AtomicI64::new(0)) }
    }

    /// The next id: larger than every one before it from this source.
    pub fn next(&self) -> i64 {
        let now = (self.clock.now_ms() - EPOCH_MS).max(0) << SEQUENCE_BITS;
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let next = now.max(last + 1);
            match self.last.compare_exchange_weak(last, next, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => {
                    let ms = next >> SEQUENCE_BITS;
                    let sequence = next & ((1 << SEQUENCE_BITS) - 1);
                    return (ms << (NODE_BITS + SEQUENCE_BITS)) | (self.node << SEQUENCE_BITS) | sequence;
                }
                Err(seen) => last = seen,
            }
        }
    }

    /// `n` ids, rising.
    pub fn batch(&self, n: usize) -> Vec<i64> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// The millisecond (unix) an id was made in.
pub fn made_at_ms(id: i64) -> i64 {
    (id >> (NODE_BITS + SEQUENCE_BITS)) + EPOCH_MS
}

/// [`made_at_ms`] of a column, as both back ends compute it.
pub fn made_at_sql(column: &str) -> String {
    format!("(({column} >> {}) + {EPOCH_MS})", NODE_BITS + SEQUENCE_BITS)
}

/// The smallest id that can be made at `ms` (unix milliseconds): turns a time window into an id window.
pub fn floor_at(ms: i64) -> i64 {
    (ms - EPOCH_MS).max(0) << (NODE_BITS + SEQUENCE_BITS)
}

/// The part of an id that tells apart those of one millisecond, 0..4096.
pub fn within_ms(id: i64) -> i64 {
    id & ((1 << (NODE_BITS + SEQUENCE_BITS)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_stay_exact_in_javascript_and_carry_their_time() {
        let clock = Clock::manual(1_795_000_000_000);
        let ids = Ids::new(clock.clone(), 31);
        let made = ids.batch(1000);
        assert!(made.windows(2).all(|w| w[0] < w[1]));
        assert!(made.iter().all(|id| *id < (1 << 53)));
        assert_eq!(made_at_ms(made[0]), 1_795_000_000_000);
        assert!(made[0] >= floor_at(1_795_000_000_000));
        clock.advance_ms(100);
        assert!(ids.next() > *made.last().expect("made"));
    }

    #[test]
    fn a_clock_that_jumps_back_makes_no_repeat() {
        let clock = Clock::manual(1_795_000_000_000);
        let ids = Ids::new(clock.clone(), 0);
        let before = ids.next();
        clock.advance_ms(-60_000);
        assert!(ids.next() > before);
    }

    #[test]
    fn two_nodes_never_make_the_same_id() {
        let clock = Clock::manual(1_795_000_000_000);
        let (a, b) = (Ids::new(clock.clone(), 0).batch(500), Ids::new(clock, 1).batch(500));
        assert!(a.iter().all(|id| !b.contains(id)));
    }
}
