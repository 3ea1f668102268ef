//! Delivery of changes to receivers: at least once, deduplicable by `webhook-id` (the event's id, the same on
//! every try), in order per order, signed over stored bytes.
//!
//! Invariants:
//! - What is not acknowledged stands in `delivery_queue`, whose rows are made in the consumer's transaction.
//!   A sender leases a row by moving its `next_attempt_at` into the future under a token; if the sender dies,
//!   the row comes due again by itself.
//! - Of the rows of one (subscription, order) at most one is `READY`, the lowest `order_seq` left: deliveries for
//!   one order are serial, all others flow. Whoever finishes it makes the next one ready in the same transaction.
//! - Nothing is sent from within a transaction, and no address is dialled that [`guard`] has not seen.
//! - Statements come by the batch: intake, claim and record each cost a handful, whatever the number of rows.
//!
//! Files: [`intake`] (rows are made) → [`engine`] (what is sent when) → [`sender`] with [`dialects`] and [`guard`]
//! → [`record`] (what became of it); [`rules`] and [`breaker`] decide, [`store`] holds the statements.
//!
//! Routes: `/api/callback/delivery`.

mod breaker;
mod claim;
pub mod dialects;
pub mod engine;
pub mod guard;
pub mod house_key;
pub mod http;
pub mod http_actions;
pub mod intake;
pub mod jobs;
mod lane;
mod lanes;
pub mod observe;
mod pump;
mod record;
pub mod recovery;
pub mod rules;
pub mod sender;
pub mod store;
pub mod store_reads;
mod target;
pub mod trial;

pub use rules::Status;
