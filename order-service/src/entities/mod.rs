//! Rows as they stand in the tables. Times are unix milliseconds, 0 = unset; amounts are fen.

pub mod customer;
pub mod goods;
pub mod invoice;
pub mod late_payment;
pub mod order_history;
pub mod order_outer_id;
pub mod orders;
pub mod supplier_batch;
pub mod supplier_key;

use platform::db::partitions::Monthly;

/// What is split by month on PostgreSQL; an order and its history go together.
pub static MONTHLY: [Monthly; 2] = [
    Monthly {
        table: "orders",
        column: "id",
        // A number holds its id's millisecond, so equal numbers meet in one month; a sequence counts service_no.
        unique: &[("number", "(number)"), ("service_no", "(service_no) WHERE service_no > 0")],
        storage: "",
        // Unpaid, or in any state of work but done and refunded: an index probe each.
        keep_while: "SELECT 1 AS one FROM {partition} WHERE state = 1
            UNION ALL SELECT 1 FROM goods AS g, generate_series(0, 9) AS s WHERE s NOT IN (3, 4)
                AND EXISTS (SELECT 1 FROM {partition} AS o WHERE o.goods_id = g.id AND o.fulfil_state = s)
            LIMIT 1",
    },
    Monthly { table: "order_history", column: "order_id", unique: &[], storage: "", keep_while: "" },
];
