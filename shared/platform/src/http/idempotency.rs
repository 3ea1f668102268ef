//! `Idempotency-Key` (`spec/orders.md`, "Intake and life"): same key and request = the same answer, another
//! request = 422, still running = 409, kept 24 h.
//!
//! Invariant: the answer is stored in the transaction of the change, so either both are there or none. A
//! failed try is forgotten. A runner that died loses its lock after [`LOCK_MS`]; whoever takes it over
//! moves `locked_until`, which fences the dead one off should it come back.
//!
//! Never call [`begin`] or [`Guard::release`] while holding a `WriteTx`: on SQLite there is one writer.

use actix_web::{
    FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder,
    dev::Payload,
    http::{StatusCode, header::ContentType},
};
use contracts::identity::Caller;
use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use serde::Serialize;

use super::error::ApiError;
use crate::{
    clock::Clock,
    db::{Db, WriteTx},
};

/// How long a runner may be silent before another takes over. Short, because a client whose request died with its
/// process meets 409 for so long; safe, because whoever was only slow is fenced off.
pub const LOCK_MS: i64 = 10_000;
/// How long an answer is kept.
pub const KEEP_MS: i64 = 24 * 60 * 60 * 1000;
/// Rows one statement of [`purge`] deletes, and statements one call makes.
const PURGE_BATCH: i64 = 500;
const PURGE_BATCHES: usize = 40;
/// Set on an answer that was stored by an earlier request.
pub const REPLAYED_HEADER: &str = "idempotent-replayed";

/// The request's `Idempotency-Key`: 1 to 255 visible ASCII characters, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl FromRequest for IdempotencyKey {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = req.headers().get_all("idempotency-key");
        std::future::ready(match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None)
                if (1..=255).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic) =>
            {
                Ok(Self(value.to_str().ok().map(str::to_owned)))
            }
            _ => Err(ApiError::invalid(
                "Idempotency-Key",
                "必须是 1 到 255 个可见 ASCII 字符",
                "must be 1 to 255 visible ASCII characters",
            )),
        })
    }
}

/// A scope for [`begin`]: two callers may use the same key without meeting.
pub fn scope(route: &str, caller: &Caller) -> String {
    format!("{route}:{:?}:{}:{}", caller.kind, caller.account_id, caller.partner_id)
}

/// What to do with the request.
#[derive(Debug)]
pub enum Begin {
    /// Do it, and store the answer with the change.
    Fresh(Guard),
    /// It was done; answer the same.
    Replay { status: u16, answer: String },
}

/// The right to run a request under its key. Nothing, when the request had no key.
#[derive(Debug)]
#[must_use = "store the answer or release the key"]
pub struct Guard(Option<Held>);

#[derive(Debug)]
struct Held {
    scope: String,
    key: String,
    /// The fence: it grows with every change of hands.
    locked_until: i64,
}

struct Row {
    body_sha256: String,
    locked_until: i64,
    created_at: i64,
    stored: Option<(u16, String)>,
}

/// Asks for the right to run. `scope` keeps callers and routes apart (see [`scope`]); `body_sha256` is
/// [`super::body::Body::sha256`].
///
/// # Errors
/// 409/8 while another runs, 422/8 when the key was used for another request.
pub async fn begin(
    db: &Db,
    clock: &Clock,
    scope: &str,
    key: &IdempotencyKey,
    body_sha256: &str,
) -> Result<Begin, ApiError> {
    let Some(key) = &key.0 else { return Ok(Begin::Fresh(Guard(None))) };
    let now = clock.now_ms();
    let held = Held { scope: scope.to_owned(), key: key.clone(), locked_until: now + LOCK_MS };
    // Should a crash take the lock back, it takes the change back with it: that commits later.
    let tx = db.write_tx_unhurried().await?;
    let inserted = run(
        &tx,
        r#"INSERT INTO idempotency_key (scope, "key", body_sha256, locked_until, created_at)
           VALUES ($1, $2, $3, $4, $5) ON CONFLICT (scope, "key") DO NOTHING"#,
        [scope.into(), key.as_str().into(), body_sha256.into(), held.locked_until.into(), now.into()],
    )
    .await?;
    if inserted == 1 {
        tx.commit().await?;
        return Ok(Begin::Fresh(Guard(Some(held))));
    }
    // Absent after a conflict: it was released or purged this moment; the caller may try again at once.
    let Some(row) = find(&tx, &held).await? else { return Err(ApiError::running().with_retry_after(1)) };
    let kept = row.created_at > now - KEEP_MS;
    match row.stored {
        Some((status, answer)) if kept => {
            if row.body_sha256 != body_sha256 {
                return Err(ApiError::idempotency_mismatch());
            }
            return Ok(Begin::Replay { status, answer });
        }
        None if row.locked_until > now => {
            if row.body_sha256 != body_sha256 {
                return Err(ApiError::idempotency_mismatch());
            }
            let seconds = u64::try_from((row.locked_until - now) / 1000 + 1).unwrap_or(1);
            return Err(ApiError::running().with_retry_after(seconds.min(5)));
        }
        // Outdated, or its runner died.
        _ => {}
    }
    if take_over(&tx, &held, &row, body_sha256, now).await? == 0 {
        return Err(ApiError::running().with_retry_after(1));
    }
    tx.commit().await?;
    Ok(Begin::Fresh(Guard(Some(held))))
}

async fn find<C: ConnectionTrait>(conn: &C, held: &Held) -> Result<Option<Row>, DbErr> {
    let sql = r#"SELECT body_sha256, locked_until, created_at, status, answer
                 FROM idempotency_key WHERE scope = $1 AND "key" = $2"#;
    let values = [held.scope.as_str().into(), held.key.as_str().into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let Some(row) = conn.query_one_raw(statement).await? else { return Ok(None) };
    let status: Option<i32> = row.try_get("", "status")?;
    let answer: Option<String> = row.try_get("", "answer")?;
    Ok(Some(Row {
        body_sha256: row.try_get("", "body_sha256")?,
        locked_until: row.try_get("", "locked_until")?,
        created_at: row.try_get("", "created_at")?,
        stored: status.and_then(|s| u16::try_from(s).ok()).zip(answer),
    }))
}

/// Compare-and-set on what was read: of two that find a dead runner, one wins.
async fn take_over(tx: &WriteTx, held: &Held, seen: &Row, body_sha256: &str, now: i64) -> Result<u64, DbErr> {
    run(
        tx,
        r#"UPDATE idempotency_key
           SET locked_until = $1, body_sha256 = $2, created_at = $3, status = NULL, answer = NULL
           WHERE scope = $4 AND "key" = $5 AND locked_until = $6 AND created_at = $7
             AND (answer IS NULL OR created_at <= $8)"#,
        [
            held.locked_until.into(),
            body_sha256.into(),
            now.into(),
            held.scope.as_str().into(),
            held.key.as_str().into(),
            seen.locked_until.into(),
            seen.created_at.into(),
            (now - KEEP_MS).into(),
        ],
    )
    .await
}

async fn run<C: ConnectionTrait, const N: usize>(
    conn: &C,
    sql: &str,
    values: [Value; N],
) -> Result<u64, DbErr> {
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    Ok(conn.execute_raw(statement).await?.rows_affected())
}

impl Guard {
    /// Stores the answer in the caller's transaction; commit it with the change.
    ///
    /// # Errors
    /// 409/8 when the lock was lost meanwhile: drop the transaction, another runs or ran the request.
    pub async fn store<C: ConnectionTrait>(&self, tx: &C, status: u16, answer: &str) -> Result<(), ApiError> {
        let Some(held) = &self.0 else { return Ok(()) };
        let stored = run(
            tx,
            r#"UPDATE idempotency_key SET status = $1, answer = $2
               WHERE scope = $3 AND "key" = $4 AND locked_until = $5 AND answer IS NULL"#,
            [
                i32::from(status).into(),
                answer.into(),
                held.scope.as_str().into(),
                held.key.as_str().into(),
                held.locked_until.into(),
            ],
        )
        .await?;
        if stored == 1 { Ok(()) } else { Err(ApiError::running().with_retry_after(1)) }
    }

    /// Forgets a failed try. What cannot be deleted now runs out by itself after [`LOCK_MS`].
    pub async fn release(self, db: &Db) {
        let Some(held) = self.0 else { return };
        let delete = async {
            let tx = db.write_tx_unhurried().await?;
            let sql = r#"DELETE FROM idempotency_key
                         WHERE scope = $1 AND "key" = $2 AND locked_until = $3 AND answer IS NULL"#;
            let values = [held.scope.as_str().into(), held.key.as_str().into(), held.locked_until.into()];
            run(&tx, sql, values).await?;
            tx.commit().await
        };
        if let Err(error) = delete.await {
            tracing::warn!(scope = held.scope, %error, "an idempotency key could not be released");
        }
    }
}

/// A POST under its key in one step: runs `work` in a writing transaction, stores its answer there and
/// commits, or replays the stored one. Without a key it is the transaction alone. Answers 200.
///
/// # Errors
/// What `work` says (nothing is kept of it), and those of [`begin`].
pub async fn answer<A: Serialize, E: Into<ApiError>>(
    db: &Db,
    clock: &Clock,
    scope: &str,
    key: &IdempotencyKey,
    body_sha256: &str,
    work: impl AsyncFnOnce(&WriteTx) -> Result<A, E>,
) -> Result<HttpResponse, ApiError> {
    answer_with_status(db, clock, scope, key, body_sha256, async |tx| Ok::<_, E>((200, work(tx).await?)))
        .await
}

/// As [`answer`], for work that names its HTTP status: a refusal that is kept all the same, because it wrote.
///
/// # Errors
/// As [`answer`].
pub async fn answer_with_status<A: Serialize, E: Into<ApiError>>(
    db: &Db,
    clock: &Clock,
    scope: &str,
    key: &IdempotencyKey,
    body_sha256: &str,
    work: impl AsyncFnOnce(&WriteTx) -> Result<(u16, A), E>,
) -> Result<HttpResponse, ApiError> {
    let guard = match begin(db, clock, scope, key, body_sha256).await? {
        Begin::Fresh(guard) => guard,
        Begin::Replay { status, answer } => return Ok(replay(status, answer)),
    };
    match change(db, &guard, work).await {
        Ok((status, text)) => Ok(json_answer(status).body(text)),
        Err(e) => {
            guard.release(db).await;
            Err(e)
        }
    }
}

fn json_answer(status: u16) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::OK));
    response.content_type(ContentType::json());
    response
}

async fn change<A: Serialize, E: Into<ApiError>>(
    db: &Db,
    guard: &Guard,
    work: impl AsyncFnOnce(&WriteTx) -> Result<(u16, A), E>,
) -> Result<(u16, String), ApiError> {
    let tx = db.write_tx().await?;
    let done = async {
        let (status, answer) = work(&tx).await.map_err(Into::into)?;
        let text = serde_json::to_string(&answer).map_err(ApiError::internal)?;
        guard.store(&tx, status, &text).await?;
        Ok((status, text))
    };
    match done.await {
        Ok(answer) => {
            tx.commit().await?;
            Ok(answer)
        }
        Err(e) => {
            // The cause is told, not a rollback that failed as well: the connection is given up then.
            let _ = tx.rollback().await;
            Err(e)
        }
    }
}

/// The answer of [`Begin::Replay`].
pub fn replay(status: u16, answer: String) -> HttpResponse {
    json_answer(status).insert_header((REPLAYED_HEADER, "true")).body(answer)
}

/// Deletes what is older than [`KEEP_MS`], in bounded batches; for a timed job. Returns the number of rows.
pub async fn purge(db: &Db, clock: &Clock) -> Result<u64, DbErr> {
    let mut deleted = 0;
    for _ in 0..PURGE_BATCHES {
        let tx = db.write_tx_unhurried().await?;
        let now = clock.now_ms();
        let batch = run(
            &tx,
            r#"DELETE FROM idempotency_key WHERE (scope, "key") IN (
                 SELECT scope, "key" FROM idempotency_key WHERE created_at <= $1 AND locked_until <= $2
                 ORDER BY created_at LIMIT $3)"#,
            [(now - KEEP_MS).into(), now.into(), PURGE_BATCH.into()],
        )
        .await?;
        tx.commit().await?;
        deleted += batch;
        if batch < PURGE_BATCH as u64 {
            break;
        }
    }
    Ok(deleted)
}

#[cfg(test)]
#[path = "idempotency_tests.rs"]
mod tests;
