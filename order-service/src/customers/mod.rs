//! Customers: buyers and readers, known by their mobile. Made here or on the fly by an order.
//!
//! Route: `POST /api/customer`. Other features call [`find`] and [`find_or_make`].

pub mod http;
mod service;
mod store;

pub use service::{NewCustomer, find_or_make};
pub use store::find;
