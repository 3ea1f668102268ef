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
