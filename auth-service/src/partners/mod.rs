//! Partners: outside businesses with a login, keys, goods and distributors (`spec/orders.md`, "Who is who").
//!
//! Routes: `/api/partner`. Events out: `partner.changed`, and `key.changed` for every key whose state hangs on the
//! partner's; `policy.changed` and `token.revoked` for its login.
//!
//! Invariants: a partner has at most one login, an account of kind `partner` that carries the partner's name as its
//! nickname, is enabled with it and ends with it. Deleting keeps the row, so that histories keep their names; its keys and
//! distributors end with it. The goods listed here are an assignment handed to order-service, which owns
//! `goods.partner_id`.

pub mod http;
pub mod service;
pub mod store;
