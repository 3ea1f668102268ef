//! How many readings of a report order are used: report-service counts them (white list first, then the oldest
//! order) and tells each by `reading.used`; what is shown here is quota − left.

pub mod events;
