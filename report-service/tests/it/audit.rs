//! Every change an operator makes is told with how the thing looked before and after.

use contracts::events::AuditRecorded;
use serde_json::{Value, json};
use testing::{App, TestBed};

use crate::{add_report, report_body, sheets::form, start, with};

/// (action, target, target id) of what was told, in order.
async fn told(bed: &TestBed, n: usize) -> Vec<(String, String, String)> {
    bed.settle().await;
    let entries = bed.published::<AuditRecorded>(n).await;
    entries.into_iter().map(|e| (e.action, e.target, e.target_id)).collect()
}

async fn white_entry(app: &App, report: i64, mobile: &str) -> i64 {
    let body = json!({"mobile": mobile, "read_count": 5, "given_user": "朱思嘉"});
    let answer = app.post(&format!("/api/report/{report}/white")).json(&body).send().await.expect_status(200);
    answer.json()["date"]["id"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_told_once_and_what_is_refused_or_changes_nothing_is_not() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let path = format!("/api/report/{report}");
    app.put(&path).json(&json!({"price": 200})).send().await.expect_status(200);
    app.put(&path).json(&json!({"price": 200})).send().await.expect_status(200);
    app.put(&path).json(&json!({"price": "much"})).send().await.expect_status(400);
    let entry = white_entry(&app, report, "18434819907").await;
    app.put(&format!("{path}/white/{entry}"))
        .json(&json!({"residue_count": 9}))
        .send()
        .await
        .expect_status(200);
    app.put(&format!("{path}/white/{entry}"))
        .json(&json!({"residue_count": -1}))
        .send()
        .await
        .expect_status(400);
    let rows = json!({"white_list": [{"id": entry, "state": 1}, {"mobile": "13800000001", "read_count": 1}]});
    app.put(&path).json(&rows).send().await.expect_status(200);
    app.delete(&format!("{path}/white/{entry}")).send().await.expect_status(200);
    let (kind, body) = form("a.csv", "电话,阅读次数\n13800000002,1\n13800000003,1\n".as_bytes());
    app.post(&format!("{path}/excel?dry_run=1")).body(kind, body.clone()).send().await.expect_status(200);
    let import = app.post(&format!("{path}/excel")).body(kind, body).send().await.expect_status(200).json();
    let import = import["date"]["import_id"].clone();
    app.delete(&format!("{path}/import/{import}")).send().await.expect_status(200);
    app.delete(&path).send().await.expect_status(200);
    app.delete(&path).send().await.expect_status(404);

    let told = told(&bed, 10).await;
    let actions: Vec<&str> = told.iter().map(|(action, ..)| action.as_str()).collect();
    let expected = "report.add report.modify white_list.add white_list.modify white_list.modify white_list.add \
        white_list.delete import.add import.undo report.delete";
    assert_eq!(actions, expected.split(' ').collect::<Vec<_>>());
    let named = |at: usize| (told[at].1.as_str(), told[at].2.clone());
    assert_eq!(named(1), ("report", report.to_string()));
    assert_eq!(named(3), ("white_list", entry.to_string()));
    assert_eq!(named(8), ("import", import.to_string()));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_says_who_from_where_and_shows_what_the_api_showed() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let path = format!("/api/report/{report}");
    let shown = async || app.get(&path).send().await.expect_status(200).json()["data"].clone();
    let before = shown().await;
    let change = json!({"title": "新标题", "price": "199.5"});
    app.put(&path).as_account(7, "丽丽").json(&change).send().await.expect_status(200);
    let after = shown().await;
    let entry = white_entry(&app, report, "18434819907").await;
    bed.settle().await;
    let entries = bed.published::<AuditRecorded>(3).await;
    let modified = &entries[1];
    assert_eq!((&modified.before, &modified.after), (&before, &after));
    assert_eq!((modified.actor.id, modified.actor.name.as_str()), (7, "丽丽"));
    assert_eq!((modified.ip.as_str(), modified.at), ("127.0.0.1", crate::SEED_NOW_MS));
    assert_eq!(modified.request_id.len(), 32);
    assert_eq!((&entries[0].before, &entries[0].after["title"]), (&Value::Null, &json!("测试数据1")));
    let added = app.get(&format!("{path}/white/{entry}")).send().await.expect_status(200).json();
    assert_eq!(entries[2].after, with(added["data"].clone(), json!({"report_id": report})));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_itself_is_named_when_it_publishes() {
    let (bed, app) = start().await;
    let later = with(report_body(), json!({"publish_time": "2022-06-22 08:00:00"}));
    let report = add_report(&app, &later).await;
    bed.shared.clock.advance_ms(2 * 86_400_000);
    let entries = bed.published::<AuditRecorded>(2).await;
    let published = &entries[1];
    assert_eq!(
        (published.action.as_str(), published.target_id.clone()),
        ("report.publish", report.to_string())
    );
    assert_eq!(published.actor.name, "publisher");
    assert_eq!((&published.before["status"], &published.after["status"]), (&json!(0), &json!(1)));
    bed.finish().await;
}
