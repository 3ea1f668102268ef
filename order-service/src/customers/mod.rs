//! Customers: buyers and readers, known by their mobile. Made by hand, on the fly by an order, or by a
//! white-list entry; each is told to report-service by `customer.changed`.
//!
//! Routes: `POST` and `GET /api/customer` (19), `GET` (21) and `PUT /api/customer/{customer_id}`. Other features
//! call [`find`], [`find_or_make`] and [`note_reviews`].
//!
//! A subscription is a paid order (at `paid_at`) or an enabled white-list entry (at its making); `white_list_grant`
//! follows the entries by `whitelist.changed`, the highest version of each wins.
//!
//! Times: `regist_at` is when the customer was first heard of, unless who makes it says otherwise;
//! `last_login_at` is what the shop reports (`PUT`); `last_review_at` follows `reading.used` and the shop. The latter two only
//! rise. A reading changes no version and is told to nobody: report-service, which told it, knows.

pub mod events;
pub mod http;
pub mod http_list;
mod listing;
mod service;
mod store;
mod store_list;

pub use service::{NewCustomer, find_or_make};
pub use store::{find, note_reviews};
