//! An import is taken back while one of its readers reads: whoever has the entry first wins, and the other is told. On
//! PostgreSQL the one is held in the middle of its transaction until the other waits for it.

use contracts::events::{CustomerChanged, ReadingUsed, WhitelistBatchChanged, WhitelistChanged};
use platform::lifecycle::spawn;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};
use testing::{Answer, App, Mode, TestBed, wait_until};

use crate::{
    SEED_NOW_MS, add_report, report_body,
    sheets::simple,
    start,
    workbook::{import, white},
};

/// One more than an undo removes at once.
const ROWS: i64 = 501;
const FIRST_MOBILE: i64 = 13_800_000_000;
const READER: i64 = 7;

/// A report with an imported list; its first reader is a known customer.
struct Stage {
    bed: TestBed,
    app: App,
    report: i64,
    import: Value,
}

impl Stage {
    async fn set() -> Self {
        let (bed, app) = start().await;
        let customer = CustomerChanged {
            id: READER,
            version: 1,
            mobile: FIRST_MOBILE.to_string(),
            nick_name: "读者".into(),
            avatar: String::new(),
            regist_at: SEED_NOW_MS,
            last_login_at: 0,
            last_review_at: 0,
        };
        bed.publish(&[bed.event(&customer)]).await;
        bed.settle().await;
        let report = add_report(&app, &report_body()).await;
        let file = simple((0..ROWS).map(|n| ((FIRST_MOBILE + n).to_string(), 2.0)));
        let import = import(&app, report, "a.xlsx", &file).await["import_id"].clone();
        Self { bed, app, report, import }
    }

    fn read(&self) -> impl Future<Output = Answer> + Send + use<> {
        let (app, path) = (self.app.clone(), format!("/api/report/{}/read", self.report));
        async move { app.post(&path).json(&json!({"customer_id": READER})).send().await }
    }

    fn undo(&self) -> impl Future<Output = Answer> + Send + use<> {
        let (app, path) = (self.app.clone(), format!("/api/report/{}/import/{}", self.report, self.import));
        async move { app.delete(&path).send().await }
    }

    async fn state(&self) -> Value {
        let path = format!("/api/report/{}/import/{}", self.report, self.import);
        self.app.get(&path).send().await.expect_status(200).json()["data"]["state"].clone()
    }

    /// The answers of both. On PostgreSQL `first` runs into a row that `hold` locks, and only once `second` waits for
    /// what `first` has taken, is it let go. SQLite has one writer: one after the other is all there is.
    async fn collide<F, S>(&self, hold: &str, first: F, second: S) -> (Answer, Answer)
    where
        F: Future<Output = Answer> + Send + 'static,
        S: Future<Output = Answer> + Send + 'static,
    {
        if self.bed.mode() == Mode::Embedded {
            return (first.await, second.await);
        }
        let tx = self.app.db().write_tx().await.unwrap();
        let count = async |sql: &str| {
            let row =
                tx.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().unwrap();
            row.try_get_by_index::<i64>(0).unwrap()
        };
        assert_eq!(count(&format!("WITH held AS ({hold} FOR UPDATE) SELECT count(*) FROM held")).await, 1);
        let first = spawn(first);
        let stands = "FROM pg_stat_activity a WHERE pg_backend_pid() = ANY(pg_blocking_pids(a.pid))";
        wait_until("the first to stand", async || count(&format!("SELECT count(*) {stands}")).await == 1)
            .await;
        let second = spawn(second);
        let waits = format!(
            "SELECT count(*) FROM pg_stat_activity b WHERE pg_blocking_pids(b.pid) && ARRAY(SELECT a.pid {stands})"
        );
        wait_until("the second to wait for the first", async || count(&waits).await == 1).await;
        tx.rollback().await.unwrap();
        (first.await.unwrap(), second.await.unwrap())
    }

    async fn the_reading_holds(self, read: &Answer, undone: &Answer) {
        self.bed.settle().await;
        assert_eq!(
            (read.status(), &read.json()["data"]["residue_count"]),
            (200, &json!(1)),
            "{}",
            read.text()
        );
        assert_eq!((undone.status(), &undone.json()["status"]), (400, &json!(2)), "{}", undone.text());
        assert!(undone.json()["error"].as_str().unwrap().contains('1'), "{}", undone.text());
        let entries = white(&self.app, self.report).await;
        assert_eq!(entries.len() as i64, ROWS, "all of it stays");
        let left: i64 = entries.iter().map(|e| e["residue_count"].as_i64().unwrap()).sum();
        assert_eq!((left, self.state().await), (2 * ROWS - 1, json!("done")));
        assert_eq!(self.bed.published::<ReadingUsed>(1).await.len(), 1);
        let told = self.bed.published::<WhitelistBatchChanged>(2).await;
        assert!(told.iter().all(|batch| batch.entries.iter().all(|e| !e.deleted)), "nobody heard of an undo");
        self.bed.finish().await;
    }

    async fn the_undo_holds(self, undone: &Answer, read: &Answer) {
        self.bed.settle().await;
        assert_eq!(
            (undone.status(), &undone.json()["data"]["removed"]),
            (200, &json!(ROWS)),
            "{}",
            undone.text()
        );
        assert_eq!((read.status(), &read.json()["status"]), (400, &json!(2)), "{}", read.text());
        assert!(white(&self.app, self.report).await.is_empty());
        assert_eq!(self.state().await, json!("undone"));
        assert!(self.bed.published::<ReadingUsed>(0).await.is_empty(), "no reading of what is not there");
        let told = self.bed.published::<WhitelistBatchChanged>(3).await;
        let gone = told.iter().flat_map(|batch| &batch.entries).filter(|e| e.deleted).count() as i64;
        // The last one by itself.
        let singly = self.bed.published::<WhitelistChanged>(1).await;
        assert_eq!(gone + singly.iter().filter(|e| e.deleted).count() as i64, ROWS);
        self.bed.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_under_way_keeps_its_import() {
    let stage = Stage::set().await;
    let reader = format!("SELECT 1 FROM customer WHERE id = {READER}");
    let (read, undone) = stage.collide(&reader, stage.read(), stage.undo()).await;
    stage.the_reading_holds(&read, &undone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_under_way_leaves_nothing_to_read() {
    let stage = Stage::set().await;
    // Of the last batch: the reader's entry is gone by then.
    let last = format!("SELECT 1 FROM white_list_entry WHERE mobile = '{}'", FIRST_MOBILE + ROWS - 1);
    let (undone, read) = stage.collide(&last, stage.undo(), stage.read()).await;
    stage.the_undo_holds(&undone, &read).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_undo_and_a_reading_at_once_never_both_hold() {
    let stage = Stage::set().await;
    let (undo, read) = (spawn(stage.undo()), spawn(stage.read()));
    let (undone, read) = (undo.await.unwrap(), read.await.unwrap());
    if undone.status() == 200 {
        stage.the_undo_holds(&undone, &read).await;
    } else {
        stage.the_reading_holds(&read, &undone).await;
    }
}
