//! Statements: what happened to a partner's orders on one day, in a form both sides can compute and compare; and
//! "send me what I lack".
//!
//! The list of a day has one line `number,order_seq,event_id` for each change that happened on it in the business
//! time zone, sorted by number and order_seq, each ended by a line feed; its SHA-256 is the proof. A partner computes
//! the same from the callbacks it has (`event_id` is their `webhook-id`).
//!
//! Routes: `/api/callback/statement`.

pub mod http;
mod rules;
mod service;
