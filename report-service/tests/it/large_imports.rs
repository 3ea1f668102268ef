//! Files whose rows are staged before they are imported, and what others hear of them.

use std::collections::BTreeMap;

use contracts::events::{WhitelistBatchChanged, WhitelistChanged};
use platform::{clock::Clock, ids};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use testing::{App, TestBed, wait_until};

use crate::{
    add_report, report_body,
    sheets::{HEADER, crafted, inline_rows, simple},
    start,
    workbook::{counts, finished, hold_turn, import, upload, white},
};

const NOW_MS: i64 = 1_795_269_845_026;
const HOUR_MS: i64 = 3_600_000;

/// The service on a bed that had one before.
async fn again(bed: &TestBed) -> App {
    bed.start(report_service::app::build(&bed.shared).await.unwrap()).await
}

/// The same, with a worker that does not work.
async fn again_without(bed: &TestBed, worker: &str) -> App {
    bed.start_without(&[worker], report_service::app::build(&bed.shared).await.unwrap()).await
}

async fn staged(app: &App) -> i64 {
    number(app, "SELECT count(*) AS n FROM white_list_import_batch").await
}

async fn number(app: &App, sql: &str) -> i64 {
    let conn = app.db().conn();
    let row = conn.query_one_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    row.unwrap().try_get("", "n").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_breaks_off_after_many_rows_leaves_nothing_behind() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let mobiles: Vec<String> = (0..11_000).map(|n| (13_800_000_000_i64 + n).to_string()).collect();
    let rows: Vec<[&str; 5]> = mobiles.iter().map(|m| ["某人", "", "某公司", m.as_str(), "2"]).collect();
    let all: Vec<&[&str]> = std::iter::once(&HEADER[..]).chain(rows.iter().map(|r| &r[..])).collect();
    let broken =
        crafted(format!("{}<row r=\"11002\"><c r=\"A11002\"><v>1", inline_rows(&all)).as_bytes(), None, &[]);
    let path = format!("/api/report/{report}/excel");
    upload(&app, &path, "a.xlsx", &broken).await.expect_status(400);
    assert_eq!(staged(&app).await, 0);
    assert!(white(&app, report).await.is_empty());
    let list = app.get(&format!("/api/report/{report}/import")).send().await.expect_status(200).json();
    assert_eq!(list["data"]["total"], 0);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staged_rows_that_never_became_an_import_are_forgotten() {
    let bed = TestBed::with(Clock::manual(NOW_MS), |_| {}).await;
    let app = again(&bed).await;
    let tx = app.db().write_tx().await.unwrap();
    for import_id in [ids::floor_at(NOW_MS - HOUR_MS - 1), ids::floor_at(NOW_MS - HOUR_MS + 1)] {
        let sql =
            format!("INSERT INTO white_list_import_batch (import_id, seq, body) VALUES ({import_id}, 0, '')");
        tx.execute_unprepared(&sql).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(staged(&app).await, 2);
    app.stop().await;
    let app = again(&bed).await;
    wait_until("the old ones are forgotten", async || (staged(&app).await < 2).then_some(())).await;
    assert_eq!(staged(&app).await, 1, "what may still become an import stays");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_hear_of_an_import_late_but_right() {
    let (bed, first) = start().await;
    let report = add_report(&first, &report_body()).await;
    first.stop().await;
    let app = again_without(&bed, "white-list-teller").await;
    let file = simple((0..6_000).map(|n| ((13_800_000_000_i64 + n).to_string(), 2.0)));
    let import = import(&app, report, "a.xlsx", &file).await;
    let done = finished(&app, report, &import).await;
    assert_eq!(counts(&done), (6_000, 6_000, 0, 0));
    bed.settle().await;
    assert!(bed.events().await.iter().all(|e| !e.kind.starts_with("whitelist.")), "nobody tells of it yet");
    // Before anybody has heard of them, one entry is changed and another removed.
    let entries = white(&app, report).await;
    let entry = |n: usize| format!("/api/report/{report}/white/{}", entries[n]["id"]);
    app.put(&entry(3)).json(&json!({"given_user": "改名"})).send().await.expect_status(200);
    app.delete(&entry(4)).send().await.expect_status(200);
    app.stop().await;
    let app = again(&bed).await;
    let heard = wait_until("all entries are told", async || {
        // As readers do: the highest version counts, whatever comes first.
        let mut newest: BTreeMap<i64, WhitelistChanged> = BTreeMap::new();
        let single = bed.published::<WhitelistChanged>(2).await;
        let batches = bed.published::<WhitelistBatchChanged>(0).await;
        for entry in single.into_iter().chain(batches.into_iter().flat_map(|b| b.entries)) {
            if newest.get(&entry.id).is_none_or(|known| known.version < entry.version) {
                newest.insert(entry.id, entry);
            }
        }
        (newest.len() == 6_000).then_some(newest)
    })
    .await;
    let of = |n: usize| &heard[&entries[n]["id"].as_i64().unwrap()];
    assert_eq!((of(3).version, of(3).given_user.as_str(), of(3).deleted), (2, "改名", false));
    assert_eq!((of(4).version, of(4).deleted), (2, true));
    assert_eq!(heard.values().filter(|e| e.version == 1 && !e.deleted && e.read_count == 2).count(), 5_998);
    bed.settle().await;
    drop(app);
    bed.finish().await;
}

/// What is read faster than it is written waits in memory, then in the database; none of it overtakes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_keep_the_order_of_the_file_wherever_they_waited() {
    const ROWS: i64 = 66_000;
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let mut file = format!("{}\n", HEADER.join(","));
    for n in 0..ROWS {
        file.push_str(&format!("某人,,某公司,{},1\n", 13_800_000_000_i64 + n));
    }
    let postgres = app.db().is_postgres();
    let slow = if postgres { Some(app.db().write_tx().await.unwrap()) } else { None };
    if let Some(slow) = &slow {
        slow.execute_unprepared("LOCK TABLE white_list_entry IN SHARE MODE").await.unwrap();
    }
    let path = format!("/api/report/{report}/excel");
    let (answer, ()) = tokio::join!(upload(&app, &path, "a.csv", file.as_bytes()), async {
        if postgres {
            wait_until("rows find no room in memory", async || (staged(&app).await > 0).then_some(())).await;
        }
        drop(slow);
    });
    let import = answer.expect_status(200).json()["date"].clone();
    assert_eq!(counts(&finished(&app, report, &import).await), (ROWS, ROWS, 0, 0));
    assert_eq!(staged(&app).await, 0);
    let overtaken = "SELECT count(*) AS n FROM
        (SELECT mobile, lag(mobile) OVER (ORDER BY id) AS before FROM white_list_entry) AS w WHERE mobile <= before";
    assert_eq!(number(&app, overtaken).await, 0);
    bed.settle().await;
    bed.published::<WhitelistBatchChanged>(ROWS as usize / 500).await;
    bed.finish().await;
}

/// An import under way keeps nobody from the report it goes into, only other imports and rows that go by mobile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_can_be_changed_while_an_import_has_its_white_list() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let turn = hold_turn(&app, report).await;
    let path = format!("/api/report/{report}");
    app.put(&path).json(&json!({"title": "改名"})).send().await.expect_status(200);
    let entry = json!({"mobile": "13900000000", "read_count": 1});
    app.post(&format!("{path}/white")).json(&entry).send().await.expect_status(200);
    let rows = json!({"white_list": [{"mobile": "13900000000", "read_count": 5}]});
    let (changed, ()) = tokio::join!(app.put(&path).json(&rows).send(), async {
        if turn.is_some() {
            let waiting = "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database =
                (SELECT oid FROM pg_database WHERE datname = current_database())";
            wait_until("the rows wait", async || (number(&app, waiting).await > 0).then_some(())).await;
        }
        drop(turn);
    });
    changed.expect_status(200);
    let white = white(&app, report).await;
    assert_eq!((white.len(), &white[0]["read_count"]), (1, &json!(5)));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_large_imports_that_overlap_insert_each_mobile_once() {
    let (bed, first) = start().await;
    let report = add_report(&first, &report_body()).await;
    first.stop().await;
    let app = again_without(&bed, "white-list-importer").await;
    let turn = hold_turn(&app, report).await;
    let mut imports = Vec::new();
    for from in [0, 8_000] {
        let file = simple((from..from + 16_000).map(|n| ((13_800_000_000_i64 + n).to_string(), 2.0)));
        imports.push(import(&app, report, "a.xlsx", &file).await);
    }
    drop(turn);
    app.stop().await;
    // On PostgreSQL the second replica takes up the import that the first does not hold.
    let apps = [again(&bed).await, again(&bed).await];
    let (mut success, mut repeat) = (0, 0);
    for import in &imports {
        let done = counts(&finished(&apps[0], report, import).await);
        success += done.1;
        repeat += done.2;
    }
    assert_eq!((success, repeat), (24_000, 8_000));
    let list = apps[1].get(&format!("/api/report/{report}/white?limit=1")).send().await.json();
    assert_eq!(list["date"]["total"], 24_000);
    bed.published::<WhitelistBatchChanged>(48).await;
    bed.finish().await;
}
