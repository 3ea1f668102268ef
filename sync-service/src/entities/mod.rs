//! The tables as SeaORM sees them.

pub mod delivery_attempt;
pub mod partner;
pub mod partner_key;
pub mod subscription;

use platform::db::partitions::Monthly;

/// What is split by month on PostgreSQL; a delivery and its attempts go together, in the order in which every
/// statement takes them.
pub static MONTHLY: [Monthly; 2] = [
    Monthly {
        table: "delivery",
        column: "id",
        // A net for each month. Over all of them a change goes once to a subscription because whoever makes a delivery
        // holds the feed's lock, and either has a new change or has looked for what is there.
        unique: &[("once", "(change_seq, subscription_id)")],
        // Room on each page for the one update a delivery gets, so that it touches no index.
        storage: "fillfactor = 75",
        keep_while: "SELECT 1 AS one FROM delivery_queue WHERE delivery_id >= {from} AND delivery_id < {to} LIMIT 1",
    },
    Monthly { table: "delivery_attempt", column: "delivery_id", unique: &[], storage: "", keep_while: "" },
];
