use actix_web::test::TestRequest;
use sea_orm_migration::{MigrationTrait, SchemaManager};

use super::*;
use crate::db::{DatabaseSettings, Plans, PlatformTables};

struct World {
    db: Db,
    clock: Clock,
    _folder: Folder,
}

struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// SQLite, or a schema of its own in the PostgreSQL that `BAODAN_TEST_POSTGRES_URL` names.
async fn world() -> World {
    let name = format!("idempotency_{}", crate::http::context::new_request_id());
    let folder = Folder(std::env::temp_dir().join(&name));
    std::fs::create_dir_all(&folder.0).expect("a folder");
    #[allow(clippy::disallowed_methods)] // a test's switch, not a setting
    let url = std::env::var("BAODAN_TEST_POSTGRES_URL").ok();
    let settings = DatabaseSettings {
        schema: url.as_ref().map(|_| name),
        url: url.map(Into::into),
        ..Default::default()
    };
    let db = Db::connect(&settings.for_service("test", &folder.0), Plans::Free).await.expect("a database");
    PlatformTables.up(&SchemaManager::new(db.conn())).await.expect("tables");
    db.conn().execute_unprepared("CREATE TABLE change (n INTEGER)").await.expect("a table");
    World { db, clock: Clock::manual(1_795_000_000_000), _folder: folder }
}

impl World {
    async fn begin(&self, key: &str, sha: &str) -> Result<Begin, ApiError> {
        begin(&self.db, &self.clock, "PLACE:1", &IdempotencyKey(Some(key.into())), sha).await
    }

    async fn fresh(&self, key: &str, sha: &str) -> Guard {
        match self.begin(key, sha).await {
            Ok(Begin::Fresh(guard)) => guard,
            other => panic!("not fresh: {other:?}"),
        }
    }

    /// Runs the change under `guard` and commits, as a handler does.
    async fn finish(&self, guard: &Guard, text: &str) -> Result<(), ApiError> {
        let tx = self.db.write_tx().await?;
        tx.execute_unprepared("INSERT INTO change VALUES (1)").await?;
        guard.store(&tx, 200, text).await?;
        Ok(tx.commit().await?)
    }

    async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) AS n FROM {table}");
        let statement = Statement::from_string(self.db.conn().get_database_backend(), sql);
        let row = self.db.conn().query_one_raw(statement).await.expect("a count").expect("a row");
        row.try_get("", "n").expect("a number")
    }

    async fn answer(&self, key: Option<&str>, sha: &str, fail: bool) -> Result<HttpResponse, ApiError> {
        let key = IdempotencyKey(key.map(str::to_owned));
        answer(&self.db, &self.clock, "PLACE:1", &key, sha, async |tx: &WriteTx| {
            tx.execute_unprepared("INSERT INTO change VALUES (1)").await?;
            if fail { Err(ApiError::refused("不行", "no")) } else { Ok(serde_json::json!({"id": 7})) }
        })
        .await
    }
}

fn code(result: Result<Begin, ApiError>) -> u16 {
    result.expect_err("an error").http_status().as_u16()
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_another_one_422() {
    let w = world().await;
    let guard = w.fresh("k", "a").await;
    assert_eq!(code(w.begin("k", "a").await), 409);
    assert_eq!(code(w.begin("k", "b").await), 422);
    w.finish(&guard, "{\"id\":1}").await.expect("done");
    match w.begin("k", "a").await.expect("a replay") {
        Begin::Replay { status, answer } => assert_eq!((status, answer.as_str()), (200, "{\"id\":1}")),
        Begin::Fresh(_) => panic!("ran twice"),
    }
    assert_eq!(code(w.begin("k", "b").await), 422);
    w.fresh("other", "a").await.release(&w.db).await;
    let elsewhere = begin(&w.db, &w.clock, "PLACE:2", &IdempotencyKey(Some("k".into())), "b").await;
    assert!(matches!(elsewhere, Ok(Begin::Fresh(_))), "scopes do not meet");
}

#[tokio::test]
async fn a_failed_try_is_forgotten() {
    let w = world().await;
    w.fresh("k", "a").await.release(&w.db).await;
    let guard = w.fresh("k", "b").await;
    let tx = w.db.write_tx().await.expect("a transaction");
    guard.store(&tx, 200, "{}").await.expect("stored");
    drop(tx);
    assert_eq!(code(w.begin("k", "b").await), 409);
    guard.release(&w.db).await;
    w.fresh("k", "b").await.release(&w.db).await;
    assert_eq!(w.count("idempotency_key").await, 0);
}

#[tokio::test]
async fn a_dead_runner_is_taken_over_and_fenced_off() {
    let w = world().await;
    let dead = w.fresh("k", "a").await;
    w.clock.advance_ms(LOCK_MS - 1);
    assert_eq!(code(w.begin("k", "a").await), 409);
    w.clock.advance_ms(1);
    let heir = w.fresh("k", "a").await;
    let refused = w.finish(&dead, "dead").await.expect_err("fenced off");
    assert_eq!(refused.http_status().as_u16(), 409);
    assert_eq!(w.count("change").await, 0, "the fence rolled its change back");
    w.finish(&heir, "heir").await.expect("done");
    assert_eq!(w.count("change").await, 1);
    assert!(w.finish(&heir, "again").await.is_err(), "an answer is stored once");
    dead.release(&w.db).await;
    assert!(matches!(w.begin("k", "a").await, Ok(Begin::Replay { answer, .. }) if answer == "heir"));
}

#[tokio::test]
async fn of_two_that_find_a_dead_runner_one_wins() {
    let w = world().await;
    let _dead = w.fresh("k", "a").await;
    w.clock.advance_ms(LOCK_MS);
    let all = futures_util::future::join_all((0..8).map(|_| w.begin("k", "a"))).await;
    let fresh = all.iter().filter(|r| matches!(r, Ok(Begin::Fresh(_)))).count();
    let running = all.iter().filter(|r| r.as_ref().is_err_and(|e| e.http_status().as_u16() == 409)).count();
    assert_eq!((fresh, running), (1, 7));
}

#[tokio::test]
async fn an_answer_is_kept_a_day_and_purged_after() {
    let w = world().await;
    for i in 0..PURGE_BATCH + 10 {
        let guard = w.fresh(&format!("k{i}"), "a").await;
        w.finish(&guard, "{}").await.expect("done");
    }
    w.clock.advance_ms(KEEP_MS - 1);
    assert!(matches!(w.begin("k0", "a").await, Ok(Begin::Replay { .. })));
    assert_eq!(purge(&w.db, &w.clock).await.expect("purged"), 0);
    w.clock.advance_ms(1);
    let guard = w.fresh("k0", "another body").await;
    assert_eq!(purge(&w.db, &w.clock).await.expect("purged"), 509, "all but the one that runs again");
    w.finish(&guard, "{}").await.expect("its row is still there");
}

#[tokio::test]
async fn the_one_step_form_replays_forgets_failures_and_works_without_a_key() {
    let w = world().await;
    let error = w.answer(Some("k"), "a", true).await.expect_err("refused");
    assert_eq!((error.status(), w.count("change").await, w.count("idempotency_key").await), (2, 0, 0));
    for (replayed, _) in [(false, 1), (true, 2)] {
        let answer = w.answer(Some("k"), "a", false).await.expect("an answer");
        assert_eq!(answer.headers().contains_key(REPLAYED_HEADER), replayed);
        assert_eq!(answer.headers().get("content-type").expect("a type"), "application/json");
        let body = actix_web::body::to_bytes(answer.into_body()).await.expect("a body");
        assert_eq!(body, "{\"id\":7}");
        assert_eq!(w.count("change").await, 1);
    }
    assert_eq!(w.answer(Some("k"), "b", false).await.expect_err("mismatch").http_status().as_u16(), 422);
    for n in [2, 3] {
        w.answer(None, "a", false).await.expect("an answer");
        assert_eq!(w.count("change").await, n);
    }
    assert_eq!(w.count("idempotency_key").await, 1);
}

#[tokio::test]
async fn many_at_once_change_once() {
    let w = world().await;
    let all = futures_util::future::join_all((0..20).map(|_| w.answer(Some("k"), "a", false))).await;
    assert_eq!(w.count("change").await, 1);
    for result in all {
        assert!(result.is_ok() || result.is_err_and(|e| e.http_status().as_u16() == 409));
    }
}

#[actix_web::test]
async fn keys_are_visible_ascii_and_stand_once() {
    let read = async |values: &[&[u8]]| {
        let mut req = TestRequest::default();
        for value in values {
            let value = actix_web::http::header::HeaderValue::from_bytes(value).expect("a header value");
            req = req.append_header(("idempotency-key", value));
        }
        IdempotencyKey::extract(&req.to_http_request()).await
    };
    assert_eq!(read(&[]).await.expect("none"), IdempotencyKey(None));
    assert_eq!(read(&[b"a-1"]).await.expect("one"), IdempotencyKey(Some("a-1".into())));
    assert!(read(&[&[b'x'; 255]]).await.is_ok());
    for bad in [&[b"".as_slice()][..], &[b"a b"], &[&[b'x'; 256]], &["é".as_bytes()], &[b"a", b"b"]] {
        let error = read(bad).await.expect_err("refused");
        assert_eq!((error.http_status().as_u16(), error.status()), (400, 1));
    }
}
