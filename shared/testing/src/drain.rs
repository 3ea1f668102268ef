//! Whether everything that was published has been handled: the question behind `TestBed::finish`.

use std::collections::HashSet;

use platform::{clock, db::Db};
use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::{app::Node, tap::Tap};

/// The inbox forgets after this long (platform's housekeeping); a test that moves its clock may see it.
const INBOX_KEEP_MS: i64 = 7 * 86_400_000;

/// A parked event, for the message.
#[derive(Debug)]
#[expect(dead_code, reason = "its fields are read through Debug")]
pub(crate) struct Parked {
    consumer: String,
    kind: String,
    event_id: String,
    reason: String,
}

/// What is still under way, in one sentence; `None` when all is done.
///
/// The order matters. An event is in an outbox, or on the bus and seen by the tap, or handled; what its handler
/// wrote into an outbox was committed with its inbox row. So when the outboxes are empty, everything the
/// tap has seen is handled, and after that the outboxes are still empty and the tap has seen no more, nothing moves.
pub(crate) async fn undone(
    nodes: &[std::sync::Arc<Node>],
    tap: &Tap,
    now_ms: i64,
) -> Result<Option<String>, DbErr> {
    if let Some(full) = filled_outbox(nodes).await? {
        return Ok(Some(full));
    }
    tap.catch_up().await;
    let seen = tap.seen();
    if let Some(unhandled) = unhandled(nodes, &seen, now_ms).await? {
        return Ok(Some(unhandled));
    }
    if let Some(full) = filled_outbox(nodes).await? {
        return Ok(Some(full));
    }
    tap.catch_up().await;
    Ok((tap.len() > seen.len()).then(|| "new events are being published".to_owned()))
}

pub(crate) async fn filled_outbox(nodes: &[std::sync::Arc<Node>]) -> Result<Option<String>, DbErr> {
    for node in nodes {
        let sql = "SELECT kind, count(*) AS n FROM outbox GROUP BY kind ORDER BY kind";
        let rows = all(&node.db, sql).await?;
        if !rows.is_empty() {
            let kinds = rows
                .iter()
                .map(|row| {
                    Ok(format!("{} {}", row.try_get::<i64>("", "n")?, row.try_get::<String>("", "kind")?))
                })
                .collect::<Result<Vec<_>, DbErr>>()?;
            return Ok(Some(format!("the outbox of {} holds {}", node.name.as_str(), kinds.join(", "))));
        }
    }
    Ok(None)
}

async fn unhandled(
    nodes: &[std::sync::Arc<Node>],
    seen: &[contracts::event::Event],
    now_ms: i64,
) -> Result<Option<String>, DbErr> {
    let horizon = clock::rfc3339(now_ms - INBOX_KEEP_MS);
    for node in nodes {
        let specs: Vec<_> =
            node.consumers.iter().filter_map(|name| contracts::events::consumer(name)).collect();
        if specs.is_empty() {
            continue;
        }
        let sql = "SELECT consumer, event_id FROM inbox UNION SELECT consumer, event_id FROM parked_event";
        let handled = all(&node.db, sql)
            .await?
            .iter()
            .map(|row| Ok((row.try_get("", "consumer")?, row.try_get("", "event_id")?)))
            .collect::<Result<HashSet<(String, String)>, DbErr>>()?;
        for spec in specs {
            let of_this =
                |e: &&contracts::event::Event| spec.types.contains(&e.kind.as_str()) && e.time > horizon;
            let left =
                seen.iter().filter(of_this).find(|e| !handled.contains(&(spec.name.into(), e.id.clone())));
            if let Some(event) = left {
                return Ok(Some(format!("{} has not handled {} ({})", spec.name, event.id, event.kind)));
            }
        }
    }
    Ok(None)
}

pub(crate) async fn parked(db: &Db) -> Result<Vec<Parked>, DbErr> {
    let sql = "SELECT consumer, kind, event_id, reason FROM parked_event ORDER BY id";
    let rows = all(db, sql).await?;
    rows.iter()
        .map(|row| {
            Ok(Parked {
                consumer: row.try_get("", "consumer")?,
                kind: row.try_get("", "kind")?,
                event_id: row.try_get("", "event_id")?,
                reason: row.try_get("", "reason")?,
            })
        })
        .collect()
}

/// A stopped service leaves connections in its pool that died with its server's runtime; each is found out
/// by its first use.
async fn all(db: &Db, sql: &str) -> Result<Vec<sea_orm::QueryResult>, DbErr> {
    let conn = db.conn();
    let mut tries = 0;
    loop {
        tries += 1;
        match conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await {
            Err(e) if tries < 32 && e.to_string().contains("being shutdown") => {}
            answer => return answer,
        }
    }
}
