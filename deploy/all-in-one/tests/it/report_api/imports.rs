//! A large import through kill -9 of everything: it goes on where it stopped, and no row comes twice.

use platform::db::{DatabaseSettings, Db, Plans, WriteTx};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use testing::{Mode, wait_at_most};

use super::{Operator, upload};
use crate::system::System;

const ROWS: i64 = 40_000;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(180);

async fn state(operator: &Operator, path: &str) -> Value {
    let seen = operator.get(path).await.expect_status(200).json()["data"].clone();
    let of = |key: &str| seen[key].as_i64().unwrap();
    assert_eq!(of("total"), of("success") + of("repeat") + of("error"), "{seen}");
    seen
}

/// A transaction in report-service's database, on PostgreSQL.
async fn beside(system: &System) -> Option<WriteTx> {
    if Mode::current() == Mode::Embedded {
        return None;
    }
    let settings = DatabaseSettings {
        url: Some(system.setting("BAODAN_DATABASE__URL").into()),
        schema: Some(system.setting("BAODAN_DATABASE__SCHEMA").into()),
        ..DatabaseSettings::default()
    };
    let settings = settings.for_service("report", std::path::Path::new(""));
    Some(Db::connect(&settings, Plans::Free).await.unwrap().write_tx().await.unwrap())
}

async fn add_report(operator: &Operator) -> Value {
    let report = json!({
        "title": "导入", "cover": "a.png", "intro": "x", "directory": "x", "price": 1, "read_count": 1, "status": 1,
        "file": {"file_name": "a", "src": "a.pdf", "format": "pdf", "size": 1},
    });
    operator.json("POST", "/api/report", &report.to_string()).await["date"]["id"].clone()
}

/// Every hundredth row is bad, and the last thousand are those of the beginning again.
fn file() -> String {
    let mut file = "昵称,职位,公司,电话,阅读次数\n".to_owned();
    for n in 0..ROWS {
        let mobile = 13_000_000_000 + n % (ROWS - 1000);
        let reads = if n % 100 == 7 { "viele" } else { "3" };
        file.push_str(&format!("用户{n},工程师,某某科技,{mobile},{reads}\n"));
    }
    file
}

/// All of [`file`] is in, once.
async fn finished(operator: &Operator, report: &Value, import: &Value) {
    let path = format!("/api/report/{report}/import/{import}");
    let done = wait_at_most(PATIENCE, "the import is done", async || {
        let seen = state(operator, &path).await;
        (seen["state"] == "done").then_some(seen)
    })
    .await;
    let counts = ["total", "success", "repeat", "error"].map(|key| done[key].as_i64().unwrap());
    let (bad, again) = (ROWS / 100, 990);
    assert_eq!(counts, [ROWS, ROWS - bad - again, again, bad]);
    assert_eq!(entries(operator, report).await, ROWS - bad - again);
}

async fn entries(operator: &Operator, report: &Value) -> i64 {
    let list = operator.get(&format!("/api/report/{report}/white?limit=1")).await.expect_status(200).json();
    list["date"]["total"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_import_survives_kill_9_of_everything_and_inserts_nothing_twice() {
    let mut system = System::start().await;
    let operator = Operator::sign_in(&system).await;
    let report = add_report(&operator).await;
    // As if another import had its turn there: all rows are staged.
    let turn = beside(&system).await;
    if let Some(turn) = &turn {
        let lock = format!(
            "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.white_list', {report}))"
        );
        turn.execute_unprepared(&lock).await.unwrap();
    }
    let answer =
        upload(&operator, &format!("/api/report/{report}/excel"), "名单.csv", file().as_bytes()).await;
    assert_eq!((&answer["date"]["state"], &answer["date"]["rows"]), (&json!("running"), &json!(ROWS)));
    system.kill();
    drop(turn);
    system.boot().await;
    // Once more in the middle.
    let import = &answer["date"]["import_id"];
    let path = format!("/api/report/{report}/import/{import}");
    wait_at_most(PATIENCE, "some rows are in", async || {
        (state(&operator, &path).await["success"].as_i64().unwrap() > 0).then_some(())
    })
    .await;
    system.kill();
    system.boot().await;
    finished(&operator, &report, import).await;
    system.stop().await;
}

/// PostgreSQL writes rows while the file is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_written_before_the_answer_are_gone_when_it_never_came() {
    let mut system = System::start().await;
    let operator = Operator::sign_in(&system).await;
    let report = add_report(&operator).await;
    let path = format!("/api/report/{report}/excel");
    if let Some(slow) = beside(&system).await {
        // Rows can be written, their import cannot.
        slow.execute_unprepared("LOCK TABLE white_list_import IN SHARE MODE").await.unwrap();
        let (kind, body) = super::multipart(&[], "名单.csv", file().as_bytes());
        let (answer, ()) = tokio::join!(operator.request("POST", &path).body(kind, body).try_send(), async {
            wait_at_most(PATIENCE, "all rows are written, uncommitted", async || {
                let waiting =
                    "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'white_list_import'::regclass";
                let statement = sea_orm::Statement::from_string(slow.get_database_backend(), waiting);
                slow.query_one_raw(statement).await.unwrap()
            })
            .await;
            system.kill();
        });
        assert!(answer.is_err() || answer.is_ok_and(|a| a.status() != 200), "nobody can have answered");
        drop(slow);
        system.boot().await;
        assert_eq!(entries(&operator, &report).await, 0);
    }
    let answer = upload(&operator, &path, "名单.csv", file().as_bytes()).await;
    finished(&operator, &report, &answer["date"]["import_id"]).await;
    system.stop().await;
}
