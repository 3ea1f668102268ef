//! The tables of this service, as the migrations make them. Times are unix milliseconds, 0 = unset.

pub mod report;
pub mod white_list_entry;
pub mod white_list_import;
