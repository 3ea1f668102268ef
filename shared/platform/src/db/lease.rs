//! Named leases in the database: one holder at a time, taken over when the holder falls silent, with a
//! fence number that rises at every change of hands. Used for the outbox relay and for id nodes.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::{clock::Clock, db::Db, ids};

/// Who holds leases in this process: unique per start.
#[derive(Debug, Clone)]
pub struct Holder(String);

impl Holder {
    pub fn new(name: &str) -> Self {
        Self(format!("{name}-{}-{}", std::process::id(), crate::seal::random_token(6)))
    }
}

/// Takes or renews the lease `name` for `for_ms`. `Some(fence)` while this holder has it.
pub async fn take(
    db: &Db,
    clock: &Clock,
    name: &str,
    holder: &Holder,
    for_ms: i64,
) -> Result<Option<i64>, DbErr> {
    let now = clock.now_ms();
    let conn = db.conn();
    // The fence stays when the same holder renews and rises when the lease changes hands.
    let sql = "INSERT INTO lease (name, holder, fence, until_ms) VALUES ($1, $2, 1, $3)
        ON CONFLICT (name) DO UPDATE SET
            fence = lease.fence + CASE WHEN lease.holder = excluded.holder THEN 0 ELSE 1 END,
            holder = excluded.holder, until_ms = excluded.until_ms
        WHERE lease.holder = excluded.holder OR lease.until_ms < $4
        RETURNING fence";
    let values = [name.into(), holder.0.as_str().into(), (now + for_ms).into(), now.into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    conn.query_one_raw(statement).await?.map(|row| row.try_get("", "fence")).transpose()
}

/// Gives a lease back so that another need not wait for it to run out.
pub async fn release(db: &Db, name: &str, holder: &Holder) -> Result<(), DbErr> {
    let conn = db.conn();
    let sql = "UPDATE lease SET until_ms = 0 WHERE name = $1 AND holder = $2";
    let values = [name.into(), holder.0.as_str().into()];
    conn.execute_raw(Statement::from_sql_and_values(conn.get_database_backend(), sql, values))
        .await
        .map(|_| ())
}

/// Milliseconds a process may be silent before another takes its id node.
pub const NODE_LEASE_MS: i64 = 60_000;

/// Takes a free id node; `None` when all [`ids::NODES`] are held by live processes.
pub async fn take_node(db: &Db, clock: &Clock, holder: &Holder) -> Result<Option<i64>, DbErr> {
    for node in 0..ids::NODES {
        if take(db, clock, &node_name(node), holder, NODE_LEASE_MS).await?.is_some() {
            return Ok(Some(node));
        }
    }
    Ok(None)
}

/// Name of the lease of id node `node`.
pub fn node_name(node: i64) -> String {
    format!("id-node-{node:02}")
}
