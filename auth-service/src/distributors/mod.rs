//! Distributors: they sell a partner's goods; orders placed through one are the partner's "type 2" orders.
//!
//! Routes: `/api/distributor`. Events out: `distributor.changed`.
//!
//! Invariants: a name is unique within its partner; a distributor stays with the partner it was made for. Deleting keeps
//! the row; deleting a partner ends its distributors without an event for each (`partner.changed` says deleted).

pub mod http;
pub mod service;
pub mod store;
