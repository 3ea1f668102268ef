//! Rows as they stand in the tables. Times are unix milliseconds, 0 = unset; amounts are fen.

pub mod customer;
pub mod goods;
pub mod invoice;
pub mod late_payment;
pub mod order_history;
pub mod orders;
pub mod supplier_batch;
pub mod supplier_key;
