//! The white list: list, search, add, detail, edit, delete.

use contracts::events::{WhitelistBatchChanged, WhitelistChanged};
use serde_json::{Value, json};
use testing::App;

use crate::{add_report, blamed, report_body, start, with};

/// The seed's own command.
fn seed_entry() -> Value {
    json!({"given_user": "朱思嘉", "given_position": "php", "given_company": "爱集微", "read_count": 100, "mobile": "18434819907"})
}

async fn add_entry(app: &App, report: i64, body: &Value) -> i64 {
    let path = format!("/api/report/{report}/white");
    let answer = app.post(&path).json(body).as_account(3, "朱思嘉").send().await.expect_status(200).json();
    assert_eq!(answer["status"], 0);
    answer["date"]["id"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_is_added_listed_shown_edited_and_removed() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let id = add_entry(&app, report, &seed_entry()).await;
    let list =
        app.get(&format!("/api/report/{report}/white?search=1990")).send().await.expect_status(200).json();
    assert_eq!(
        list,
        json!({"status": 0, "date": {
            "current_page": 1, "last_page": 1, "per_page": 20, "total": 1, "data": [{
                "id": id, "given_user": "朱思嘉", "given_position": "php", "given_company": "爱集微",
                "mobile": "18434819907", "read_count": 100, "residue_count": 100,
                "last_modify_author": "朱思嘉", "updated_at": "2022-06-20 10:00:00", "state": 0,
            }],
        }})
    );
    let path = format!("/api/report/{report}/white/{id}");
    let info = app.get(&path).send().await.expect_status(200).json();
    assert_eq!(
        info,
        json!({"status": 0, "data": {
            "id": id, "given_user": "朱思嘉", "given_position": "php", "given_company": "爱集微",
            "mobile": "18434819907", "read_count": 100, "residue_count": 100, "state": 0,
        }})
    );
    bed.shared.clock.advance_ms(1000);
    let edit = json!({"given_user": "史蒂夫", "given_position": "php", "given_company": "爱集微", "residue_count": 120, "state": 1});
    let answer = app.put(&path).json(&edit).as_account(4, "改").send().await.expect_status(200).json();
    assert_eq!(answer, json!({"status": 0, "date": {"id": id}}));
    let row = app.get(&format!("/api/report/{report}/white")).send().await.json()["date"]["data"][0].clone();
    assert_eq!(
        (&row["read_count"], &row["residue_count"], &row["state"]),
        (&json!(120), &json!(120), &json!(1))
    );
    assert_eq!(
        (&row["last_modify_author"], &row["updated_at"]),
        (&json!("改"), &json!("2022-06-20 10:00:01"))
    );
    // An absent state is 0, as the seed says; everything else stays.
    app.put(&path).json(&json!({"residue_count": "7"})).send().await.expect_status(200);
    let data = app.get(&path).send().await.json()["data"].clone();
    assert_eq!(
        (&data["state"], &data["residue_count"], &data["read_count"]),
        (&json!(0), &json!(7), &json!(120))
    );
    assert_eq!(data["given_user"], "史蒂夫");
    app.delete(&path).send().await.expect_status(200);
    app.get(&path).send().await.expect_status(404);
    app.delete(&path).send().await.expect_status(404);
    let events = bed.published::<WhitelistChanged>(4).await;
    let seen: Vec<_> = events.iter().map(|e| (e.version, e.residue_count, e.state, e.deleted)).collect();
    assert_eq!(seen, [(1, 100, 0, false), (2, 120, 1, false), (3, 7, 0, false), (4, 7, 0, true)]);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_search_looks_into_four_fields_and_takes_every_character_literally() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let entry = |user: &str, company: &str, mobile: &str| {
        with(seed_entry(), json!({"given_user": user, "given_company": company, "mobile": mobile}))
    };
    let plain = add_entry(&app, report, &entry("test", "甲", "13800000001")).await;
    let percent = add_entry(&app, report, &entry("50%", "乙", "13800000002")).await;
    let under = add_entry(&app, report, &entry("a_b", "TEST 公司", "13800000003")).await;
    let other = json!({"mobile": "13800000004", "read_count": 1, "given_position": "test"});
    let path = format!("/api/report/{report}/white");
    let answer = app.post(&path).json(&other).as_account(5, "Tester").send().await.expect_status(200).json();
    let by_tester = answer["date"]["id"].as_i64().unwrap();
    for (search, expected) in [
        ("", vec![plain, percent, under, by_tester]),
        ("test", vec![plain, under, by_tester]),
        ("%25", vec![percent]),
        ("_", vec![under]),
        ("!", vec![]),
        ("0000000", vec![plain, percent, under, by_tester]),
        ("13800000002", vec![percent]),
        ("%E6%9C%B1%E6%80%9D", vec![plain, percent, under]),
        ("php", vec![]),
        ("%5C", vec![]),
    ] {
        let list = app.get(&format!("{path}?search={search}")).send().await.expect_status(200).json();
        let ids: Vec<i64> =
            list["date"]["data"].as_array().unwrap().iter().map(|r| r["id"].as_i64().unwrap()).collect();
        assert_eq!(ids, expected, "{search}");
        assert_eq!(list["date"]["total"], expected.len(), "{search}");
    }
    let page = app.get(&format!("{path}?limit=3&page=2")).send().await.expect_status(200).json();
    let date = &page["date"];
    assert_eq!(
        (&date["last_page"], &date["total"], &date["data"][0]["id"]),
        (&json!(2), &json!(4), &json!(by_tester))
    );
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_come_as_numbers_or_texts_and_wrong_fields_are_named() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let path = format!("/api/report/{report}/white");
    let post = |body: Value| app.post(&path).json(&body);
    post(json!({"mobile": 18434819907_i64, "read_count": "3"})).send().await.expect_status(200);
    app.post(&path).form("mobile=%EF%BC%91%EF%BC%98434819907&read_count=3").send().await.expect_status(200);
    let list = app.get(&format!("{path}?search=18434819907")).send().await.json();
    assert_eq!(list["date"]["total"], 2, "the same mobile may stand twice");
    for (body, names) in [
        (json!({}), vec!["mobile", "read_count"]),
        (json!({"mobile": "", "read_count": ""}), vec!["mobile", "read_count"]),
        (json!({"mobile": "😀", "read_count": -1, "state": "on"}), vec!["mobile", "read_count", "state"]),
        (
            json!({"mobile": "1", "read_count": 1.5, "given_user": "x".repeat(256)}),
            vec!["given_user", "read_count"],
        ),
        (json!({"mobile": ["1"], "read_count": 99999999999_i64}), vec!["mobile", "read_count"]),
    ] {
        let answer = post(body.clone()).send().await.expect_status(400).json();
        assert_eq!(blamed(&answer), names, "{body}");
    }
    let entry = add_entry(&app, report, &seed_entry()).await;
    let edit =
        app.put(&format!("{path}/{entry}")).json(&json!({"residue_count": -1, "state": 2})).send().await;
    assert_eq!(blamed(&edit.expect_status(400).json()), ["residue_count", "state"]);
    let other = add_report(&app, &report_body()).await;
    for gone in [
        format!("/api/report/{other}/white/{entry}"),
        format!("/api/report/999/white/{entry}"),
        format!("{path}/x"),
    ] {
        app.get(&gone).send().await.expect_status(404);
        app.put(&gone).json(&json!({"residue_count": 1})).send().await.expect_status(404);
    }
    app.get("/api/report/999/white").send().await.expect_status(404);
    app.post("/api/report/999/white").json(&seed_entry()).send().await.expect_status(404);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_entries_of_one_request_are_told_in_batches() {
    let (bed, app) = start().await;
    let rows: Vec<Value> =
        (0..1200).map(|n| json!({"mobile": 13_800_000_000_i64 + n, "read_count": 1})).collect();
    let report = add_report(&app, &with(report_body(), json!({"white_list": rows}))).await;
    let batches = bed.published::<WhitelistBatchChanged>(3).await;
    assert_eq!(batches.iter().map(|b| b.entries.len()).collect::<Vec<_>>(), [500, 500, 200]);
    let mobiles: Vec<String> = batches.iter().flat_map(|b| &b.entries).map(|e| e.mobile.clone()).collect();
    assert_eq!((mobiles[0].as_str(), mobiles[1199].as_str()), ("13800000000", "13800001199"));
    assert!(batches.iter().flat_map(|b| &b.entries).all(|e| e.report_id == report && e.version == 1));
    let too_many: Vec<Value> = (0..10_001).map(|_| json!({"mobile": "1", "read_count": 1})).collect();
    let refused =
        app.post("/api/report").json(&with(report_body(), json!({"white_list": too_many}))).send().await;
    assert_eq!(blamed(&refused.expect_status(400).json()), ["white_list"]);
    bed.finish().await;
}
