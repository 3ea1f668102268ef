//! What several targets share.

pub mod token;
pub mod workbook;
