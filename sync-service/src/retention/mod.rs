//! What this service forgets, and when: long answers of receivers, deliveries that ended with their attempts, lines
//! of the change feed (settings `callback.keep_…_days`; 0 = for ever). In small transactions, one replica at a time.
//!
//! Invariants: what is not acknowledged is never forgotten, however old. A line of the feed goes only when no delivery
//! needs its bytes and its order has no younger line, so that "new or changed" and the repeat of an event are still
//! told apart by what is left.
//!
//! Elsewhere: inbox rows and idempotency keys (platform's housekeeping, `inbox_keep_days`), revoked tokens
//! (`partners`). Parked events wait for a person and are never deleted.

pub mod jobs;
mod store;
