//! What a buyer wants of a service order that is paid: refund, refill, renewal, a changed password. Each is an
//! event of the fulfilment table; the supplier sees the order under `tdz`, `bdz`, `xfz`, `gmz`.
//!
//! Route: `POST /api/order/{number}/request`.

pub mod http;
