//! Reports: add, list, detail.

use contracts::events::{ReportChanged, WhitelistChanged};
use serde_json::{Value, json};

use crate::{add_report, blamed, report_body, start, with};

/// The seed's own command: its white list has the mobile where the position belongs.
fn seed_command() -> Value {
    serde_json::from_str(
        r#"{"title":"测试数据1","cover":"15421639996676.jpeg","type_id":1,"intro":"简介","directory":"目录介绍","file":{"file_name":"test","src":"static/test.pdf","format":"pdf","size":1000},"price":100,"read_count":300,"status":1,"publish_time":"2022-06-22 08:00:00","white_list":[{"given_user":"朱思嘉","given_position":"18434910083","given_company":"爱集微","read_count":100},{"given_user":"史蒂夫","given_position":"18434910085","given_company":"爱集微","read_count":100}]}"#,
    )
    .unwrap()
}

/// The seed's documented body: the same mobile twice.
fn seed_body() -> Value {
    let row = |user: &str| {
        json!({"given_user": user, "given_position": "php", "given_company": "爱集微",
        "mobile": "18434819900", "read_count": 100, "state": 0})
    };
    with(seed_command(), json!({"short_intro": "购买须知", "white_list": [row("朱思嘉"), row("史蒂夫")]}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seeds_add_command_works_and_tells_the_others() {
    let (bed, app) = start().await;
    let answer = app.post("/api/report").json(&seed_command()).send().await.expect_status(200);
    assert_eq!(answer.json(), json!({"status": 0, "date": {"id": 1}}));
    let changed = bed.published::<ReportChanged>(1).await;
    let expected = ReportChanged {
        id: 1,
        version: 1,
        title: "测试数据1".into(),
        cover: "http://s.laoyaoba.com/15421639996676.jpeg".into(),
        price_fen: 10_000,
        read_count: 300,
        // Its publish time, 2022-06-22, has not come yet.
        status: 0,
        deleted: false,
    };
    assert_eq!(changed, [expected]);
    let entries = bed.published::<WhitelistChanged>(2).await;
    assert_eq!(entries.iter().map(|e| e.mobile.as_str()).collect::<Vec<_>>(), ["18434910083", "18434910085"]);
    assert!(
        entries.iter().all(|e| (e.report_id, e.read_count, e.residue_count, e.state) == (1, 100, 100, 0))
    );
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_detail_has_the_contracts_keys_and_types() {
    let (bed, app) = start().await;
    let id = add_report(&app, &seed_body()).await;
    let detail = app.get(&format!("/api/report/{id}")).send().await.expect_status(200).json();
    assert_eq!(
        detail,
        json!({"status": 0, "data": {
            "id": 1, "title": "测试数据1", "cover": "http://s.laoyaoba.com/15421639996676.jpeg", "type_id": 1,
            "intro": "简介", "directory": "目录介绍", "file_address": "http://s.laoyaoba.com/static/test.pdf",
            "price": 100, "read_count": 300, "status": 0, "publish_time": "2022-06-22 08:00:00",
            "short_intro": "购买须知",
        }})
    );
    let bare =
        with(report_body(), json!({"status": 0, "price": "19.90", "cover": "https://a.example/x y.png"}));
    let id = add_report(&app, &bare).await;
    let detail = app.get(&format!("/api/report/{id}")).send().await.expect_status(200).json();
    let data = &detail["data"];
    assert_eq!(
        (&data["type_id"], &data["publish_time"], &data["short_intro"]),
        (&json!(0), &json!(""), &json!(""))
    );
    assert_eq!((&data["price"], &data["cover"]), (&json!(19.9), &json!("https://a.example/x y.png")));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_has_the_contracts_rows_newest_first() {
    let (bed, app) = start().await;
    let first = add_report(&app, &report_body()).await;
    let past = json!({"status": 1, "publish_time": "2022-06-16 8:00", "title": "2", "cover": "20210108:eep-h5-title.png"});
    let second = add_report(&app, &with(report_body(), past)).await;
    let list = app.get("/api/report").send().await.expect_status(200).json();
    assert_eq!(
        list,
        json!({"status": 0, "data": {
            "current_page": 1, "last_page": 1, "per_page": 20, "total": 2, "data": [
                {"id": second, "cover": "http://s.laoyaoba.com/20210108%3Aeep-h5-title.png", "title": "2",
                 "price": 100, "subscribe_count": 0, "status": 1, "publish_at": "2022-06-16 08:00:00",
                 "type_name": ""},
                {"id": first, "cover": "http://s.laoyaoba.com/15421639996676.jpeg", "title": "测试数据1",
                 "price": 100, "subscribe_count": 0, "status": 1, "publish_at": "2022-06-20 10:00:00",
                 "type_name": ""},
            ],
        }})
    );
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nested_form_is_read_as_the_json_is() {
    let (bed, app) = start().await;
    let form = "title=%E6%B5%8B%E8%AF%95&cover=c.png&intro=i&directory=d&file%5Bfile_name%5D=t&file[src]=s%2Ft.pdf\
        &file[format]=pdf&file[size]=10&price=19.99&read_count=5&status=0\
        &white_list[0][mobile]=18434819900&white_list[0][read_count]=3&white_list[1][given_position]=18434819901\
        &white_list[1][read_count]=4&white_list[1][state]=1";
    let answer = app.post("/api/report").form(form).send().await.expect_status(200);
    assert_eq!(answer.json(), json!({"status": 0, "date": {"id": 1}}));
    let detail = app.get("/api/report/1").send().await.expect_status(200).json();
    assert_eq!((&detail["data"]["title"], &detail["data"]["price"]), (&json!("测试"), &json!(19.99)));
    let entries = bed.published::<WhitelistChanged>(2).await;
    let seen: Vec<_> = entries.iter().map(|e| (e.mobile.as_str(), e.read_count, e.state)).collect();
    assert_eq!(seen, [("18434819900", 3, 0), ("18434819901", 4, 1)]);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_missing_and_every_wrong_field_is_named_at_once() {
    let (bed, app) = start().await;
    let post = async |body: &Value| app.post("/api/report").json(body).send().await.expect_status(400).json();
    let empty = post(&json!({})).await;
    let required = ["cover", "directory", "file", "intro", "price", "read_count", "status", "title"];
    assert_eq!(blamed(&empty), required);
    assert_eq!(empty["errors"]["title"], " title 不能为空");
    let file = post(&with(report_body(), json!({"file": {"size": "big"}}))).await;
    assert_eq!(blamed(&file), ["file.file_name", "file.format", "file.size", "file.src"]);
    for (change, names) in [
        (json!({"title": "x".repeat(256)}), vec!["title"]),
        (json!({"title": "a\u{0}b", "intro": ["x"]}), vec!["intro", "title"]),
        (json!({"price": -1, "read_count": 1.5}), vec!["price", "read_count"]),
        (json!({"price": "19.999"}), vec!["price"]),
        (json!({"price": "1e3", "status": 3}), vec!["price", "status"]),
        (json!({"publish_time": "tomorrow", "type_id": "x"}), vec!["publish_time", "type_id"]),
        (json!({"white_list": "x"}), vec!["white_list"]),
        (
            json!({"white_list": [{"mobile": "18434819900", "read_count": 1}, {"given_position": "php"}, 7]}),
            vec!["white_list.1.mobile", "white_list.1.read_count", "white_list.2"],
        ),
    ] {
        assert_eq!(blamed(&post(&with(report_body(), change.clone())).await), names, "{change}");
    }
    let list = app.get("/api/report").send().await.expect_status(200).json();
    assert_eq!(list["data"]["total"], 0, "a refused report was kept");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emoji_and_full_texts_come_back_as_they_were_sent() {
    let (bed, app) = start().await;
    let intro = "😀🇨🇳 <b>'; DROP TABLE report; --</b>".repeat(500);
    let id = add_report(&app, &with(report_body(), json!({"title": "😀".repeat(255), "intro": intro}))).await;
    let detail = app.get(&format!("/api/report/{id}")).send().await.expect_status(200).json();
    assert_eq!(detail["data"]["title"], "😀".repeat(255));
    assert_eq!(detail["data"]["intro"], intro);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_under_the_same_idempotency_key_adds_nothing() {
    let (bed, app) = start().await;
    let post = |body: &Value| app.post("/api/report").header("idempotency-key", "k-1").json(body);
    let first = post(&report_body()).send().await.expect_status(200);
    let again = post(&report_body()).send().await.expect_status(200);
    assert_eq!(first.json(), again.json());
    assert_eq!(again.header("idempotent-replayed"), "true");
    post(&with(report_body(), json!({"title": "other"}))).send().await.expect_status(422);
    let list = app.get("/api/report").send().await.expect_status(200).json();
    assert_eq!(list["data"]["total"], 1);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_requests_and_unknown_ids_are_refused_in_the_contracts_form() {
    let (bed, app) = start().await;
    let not_json =
        app.post("/api/report").body("application/json", "{").send().await.expect_status(400).json();
    assert_eq!((&not_json["status"], &not_json["errors"]), (&json!(1), &json!({})));
    app.post("/api/report").body("multipart/form-data; boundary=x", "--x").send().await.expect_status(400);
    app.post("/api/report").body("text/plain", "title=1").send().await.expect_status(400);
    for path in ["/api/report/1", "/api/report/abc", "/api/report/-1", "/api/report/99999999999999999999"] {
        let answer = app.get(path).send().await.expect_status(404).json();
        assert_eq!((&answer["status"], &answer["errors"]), (&json!(7), &json!({})), "{path}");
    }
    for query in
        ["page=0", "page=-1", "page=x", "limit=0", "limit=1001", "limit=", "status=3", "start_ctime=x"]
    {
        let answer = app.get(&format!("/api/report?{query}")).send().await;
        let expected = if query == "limit=" { 200 } else { 400 };
        assert_eq!(answer.status(), expected, "{query}");
    }
    bed.finish().await;
}

/// The ids a list answers.
async fn listed(app: &testing::App, query: &str) -> Vec<i64> {
    let list = app.get(&format!("/api/report?{query}")).send().await.expect_status(200).json();
    list["data"]["data"].as_array().unwrap().iter().map(|r| r["id"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_is_narrowed_by_every_filter() {
    let (bed, app) = start().await;
    let add = async |changes: Value| add_report(&app, &with(report_body(), changes)).await;
    let old = add(json!({"title": "100% 报告", "publish_time": "2022-06-15 23:59:59", "type_id": 1})).await;
    let first =
        add(json!({"title": "测试 A_b", "publish_time": "2022-06-16 00:00:00", "type_id": "2"})).await;
    let last = add(json!({"title": "测试 aXb", "status": 2, "publish_time": "2022-06-22 23:59:59"})).await;
    let unset = add(json!({"title": "无日期", "status": 0})).await;
    // The seed's own query; 测试 in UTF-8.
    let seed = "title=%E6%B5%8B%E8%AF%95&start_ctime=2022-06-16&end_ctime=2022-06-22";
    for (query, expected) in [
        ("", vec![unset, last, first, old]),
        (seed, vec![last, first]),
        ("start_ctime=2022-06-16&end_ctime=2022-06-16", vec![first]),
        // Up to today, 2022-06-20, when only the first day is given.
        ("start_ctime=2022-06-15", vec![first, old]),
        ("end_ctime=2022-06-15", vec![old]),
        ("end_ctime=2022-06-15+00%3A00%3A00", vec![old]),
        ("title=a_B", vec![first]),
        ("title=%25", vec![old]),
        ("title=!", vec![]),
        ("title=%27%20OR%201%3D1--", vec![]),
        ("type_id=2", vec![first]),
        ("status=0", vec![unset]),
        ("status=1", vec![first, old]),
        ("status=2&type_id=0", vec![last]),
        ("limit=3&page=2", vec![old]),
        ("limit=1000&page=9223372036854775807", vec![]),
    ] {
        assert_eq!(listed(&app, query).await, expected, "{query}");
    }
    let page = app.get("/api/report?limit=3&page=2").send().await.expect_status(200).json();
    let data = &page["data"];
    assert_eq!(
        (&data["current_page"], &data["last_page"], &data["per_page"]),
        (&json!(2), &json!(2), &json!(3))
    );
    assert_eq!(data["total"], 4);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seeds_modify_command_works_and_ignores_rows_without_id_and_mobile() {
    let (bed, app) = start().await;
    let id = add_report(&app, &report_body()).await;
    let command: Value = serde_json::from_str(
        r#"{"price":120,"read_count":310,"status":1,"publish_time":"2022-06-22 08:00:00","white_list":[{"given_user":"朱思嘉","given_position":"php","given_company":"爱集微","residue_count":100,"state":0},{"given_user":"史蒂夫","given_position":"php","given_company":"爱集微","residue_count":100,"state":0}]}"#,
    )
    .unwrap();
    let answer = app.put(&format!("/api/report/{id}")).json(&command).send().await.expect_status(200);
    assert_eq!(answer.json(), json!({"status": 0, "date": {"id": id}}));
    let detail = app.get(&format!("/api/report/{id}")).send().await.expect_status(200).json();
    let data = &detail["data"];
    assert_eq!(
        (&data["price"], &data["read_count"], &data["title"]),
        (&json!(120), &json!(310), &json!("测试数据1"))
    );
    // Scheduled: shown as waiting until then.
    assert_eq!((&data["status"], &data["publish_time"]), (&json!(0), &json!("2022-06-22 08:00:00")));
    let changes = bed.published::<ReportChanged>(2).await;
    assert_eq!(changes.iter().map(|c| (c.version, c.status)).collect::<Vec<_>>(), [(1, 1), (2, 0)]);
    bed.settle().await;
    assert!(bed.published::<WhitelistChanged>(0).await.is_empty());
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absent_fields_stay_and_a_change_of_nothing_is_no_change() {
    let (bed, app) = start().await;
    let id = add_report(&app, &seed_body()).await;
    let path = format!("/api/report/{id}");
    let before = app.get(&path).send().await.expect_status(200).json();
    app.put(&path).json(&json!({})).send().await.expect_status(200);
    app.put(&path)
        .form("short_intro=%E8%B4%AD%E4%B9%B0%E9%A1%BB%E7%9F%A5&price=100.00")
        .send()
        .await
        .expect_status(200);
    assert_eq!(app.get(&path).send().await.json(), before);
    let body = json!({"title": "新", "short_intro": "", "file": {"file_name": "b", "src": "b.pdf", "format": "pdf", "size": 1}});
    app.put(&path).json(&body).send().await.expect_status(200);
    let after = app.get(&path).send().await.json()["data"].clone();
    assert_eq!((&after["title"], &after["short_intro"]), (&json!("新"), &json!("")));
    assert_eq!(after["file_address"], "http://s.laoyaoba.com/b.pdf");
    assert_eq!(after["intro"], "简介");
    let bad = json!({"title": "", "price": "x", "status": 9, "file": {"src": "b.pdf"}});
    let bad = app.put(&path).json(&bad).send().await.expect_status(400).json();
    assert_eq!(blamed(&bad), ["file.file_name", "file.format", "file.size", "price", "status", "title"]);
    app.put("/api/report/99").json(&json!({"price": 1})).send().await.expect_status(404);
    let versions: Vec<i64> = bed.published::<ReportChanged>(2).await.iter().map(|c| c.version).collect();
    assert_eq!(versions, [1, 2]);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_modification_changes_and_adds_white_list_rows_all_or_nothing() {
    let (bed, app) = start().await;
    let id = add_report(&app, &seed_body()).await;
    let path = format!("/api/report/{id}");
    let white = async || {
        let list = app.get(&format!("{path}/white")).send().await.expect_status(200).json();
        list["date"]["data"].as_array().unwrap().clone()
    };
    let rows = white().await;
    let (first, second) = (&rows[0]["id"], &rows[1]["id"]);
    let refused = json!({"price": 1, "white_list": [
        {"id": first, "residue_count": 7}, {"id": 1, "residue_count": 7}, {"mobile": "13900000000"},
    ]});
    let refused = app.put(&path).json(&refused).send().await.expect_status(400).json();
    assert_eq!(blamed(&refused), ["white_list.1.id"]);
    let refused = app.put(&path).json(&json!({"white_list": [{"mobile": "13900000000"}]})).send().await;
    assert_eq!(blamed(&refused.expect_status(400).json()), ["white_list.0.read_count"]);
    assert_eq!(white().await, rows, "a refused change left something behind");

    let change = json!({"white_list": [
        {"id": second, "residue_count": 150, "state": 1, "mobile": "13800000000"},
        {"mobile": "18434819900", "residue_count": 40},
        {"mobile": 13900000000_i64, "residue_count": 5, "given_user": "新"},
    ]});
    app.put(&path).json(&change).as_account(7, "修改人").send().await.expect_status(200);
    let rows = white().await;
    let seen: Vec<_> = rows
        .iter()
        .map(|r| {
            (
                r["mobile"].as_str().unwrap(),
                r["read_count"].as_i64().unwrap(),
                r["residue_count"].as_i64().unwrap(),
                r["state"].as_i64().unwrap(),
                r["last_modify_author"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("18434819900", 100, 40, 0, "修改人"),
            ("13800000000", 150, 150, 1, "修改人"),
            ("13900000000", 5, 5, 0, "修改人"),
        ]
    );
    let events = bed.published::<WhitelistChanged>(5).await;
    let versions: Vec<i64> = events.iter().map(|e| e.version).collect();
    assert_eq!(versions, [1, 1, 2, 2, 1]);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_report_leaves_the_lists_and_is_told_once() {
    let (bed, app) = start().await;
    let id = add_report(&app, &seed_body()).await;
    let path = format!("/api/report/{id}");
    let answer = app.delete(&path).send().await.expect_status(200).json();
    assert_eq!(answer, json!({"status": 0, "date": {"id": id}}));
    assert!(listed(&app, "").await.is_empty());
    app.get(&path).send().await.expect_status(404);
    app.delete(&path).send().await.expect_status(404);
    app.put(&path).json(&json!({"price": 1})).send().await.expect_status(404);
    app.get(&format!("{path}/white")).send().await.expect_status(404);
    let changes = bed.published::<ReportChanged>(2).await;
    assert_eq!(changes.iter().map(|c| (c.version, c.deleted)).collect::<Vec<_>>(), [(1, false), (2, true)]);
    // Its publish time comes and nothing happens.
    bed.shared.clock.advance_ms(10 * 86_400_000);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_report_is_published_once_also_after_downtime() {
    let (bed, app) = start().await;
    let soon = add_report(&app, &with(report_body(), json!({"publish_time": "2022-06-20 11:00:00"}))).await;
    let later = add_report(&app, &with(report_body(), json!({"publish_time": "2022-06-22 08:00:00"}))).await;
    assert_eq!(listed(&app, "status=1").await, Vec::<i64>::new());
    bed.shared.clock.advance_ms(3_600_000);
    let changes = bed.published::<ReportChanged>(3).await;
    assert_eq!((changes[2].id, changes[2].version, changes[2].status), (soon, 2, 1));
    assert_eq!(listed(&app, "status=1").await, [soon]);

    app.stop().await;
    bed.shared.clock.advance_ms(5 * 86_400_000);
    let two = [(); 2].map(|()| report_service::app::build(&bed.shared));
    for build in two {
        bed.start(build.await.unwrap()).await;
    }
    let changes = bed.published::<ReportChanged>(4).await;
    assert_eq!((changes[3].id, changes[3].version, changes[3].status), (later, 2, 1));
    bed.settle().await;
    assert_eq!(bed.published::<ReportChanged>(4).await.len(), 4);
    bed.finish().await;
}
