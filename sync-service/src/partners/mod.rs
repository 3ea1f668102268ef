//! What this service keeps of partners: above all, how customers are shown to them.
//!
//! Events in: `partner.changed` (consumer `sync.partners`).

pub mod events;
pub mod store;
