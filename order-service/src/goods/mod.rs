//! Goods (业务): what is sold. A report's goods are made and kept in step by `report.changed` (the highest
//! version wins, one goods per report); service goods are kept by hand.
//!
//! Routes: `/api/goods`, `/api/goods/{goods_id}`. Other features read [`find`].

pub mod events;
pub mod http;
mod rules;
mod service;
mod store;

pub use rules::{Preset, closed};
pub use store::find;
