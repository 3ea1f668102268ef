//! The tables as SeaORM sees them.

pub mod delivery_attempt;
pub mod partner;
pub mod partner_key;
pub mod subscription;
