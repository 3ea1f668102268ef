//! What this service forgets, and when: long answers of receivers, deliveries that ended with their attempts, lines
//! of the change feed (settings `callback.keep_…_days`; 0 = for ever), and marks of the drop-in entry that say nothing
//! any more. In small transactions, one replica at a time.
//!
//! On PostgreSQL deliveries go by whole months (ADR 0007): a month is dropped once all of it is over the time and
//! nothing of it is in the queue, so that they are kept for at least that long. SQLite deletes them row by row.
//!
//! Invariants: what is not acknowledged is never forgotten, however old. A line of the feed goes only when no delivery
//! needs its bytes and its order has no younger line, so that "new or changed" and the repeat of an event are still
//! told apart by what is left. A mark goes only when a sync looks no further back without it
//! (`spec/partner-sync-api.md`, "What a sync returns"): the answer is the same with and without.
//!
//! Elsewhere: inbox rows and idempotency keys (platform's housekeeping, `inbox_keep_days`), revoked tokens
//! (`partners`). Parked events wait for a person and are never deleted.

pub mod jobs;
mod store;
