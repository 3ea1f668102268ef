//! The tables of this service, as the migrations make them. Times are unix milliseconds, 0 = unset.

pub mod report;
#[expect(dead_code)] // read from stage to stage
pub mod white_list_entry;
