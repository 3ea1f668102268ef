//! The tables as SeaORM sees them.

pub mod delivery_attempt;
pub mod partner;
pub mod subscription;
