//! Template, import, export, convert.

use std::io::Cursor;

use calamine::{Data, Reader, Xlsx};
use contracts::events::{WhitelistBatchChanged, WhitelistChanged};
use encoding_rs::GBK;
use platform::{db::WriteTx, seal};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};
use testing::{Answer, App, wait_until};

use crate::{
    add_report, blamed, report_body,
    sheets::{self, HEADER, Put, crafted, form, form_as, inline_rows, simple, xlsx},
    start,
};

pub async fn upload(app: &App, path: &str, name: &str, file: &[u8]) -> Answer {
    let (kind, body) = form(name, file);
    app.post(path).body(kind, body).as_account(3, "导入人").send().await
}

pub async fn import(app: &App, report: i64, name: &str, file: &[u8]) -> Value {
    let path = format!("/api/report/{report}/excel");
    let answer = upload(app, &path, name, file).await.expect_status(200).json();
    assert_eq!(answer["status"], 0);
    answer["date"].clone()
}

/// Has the turn at the report's white list until it is dropped, as an import has it: what is imported meanwhile is
/// staged. SQLite, which stages all but small files, knows no turns.
pub async fn hold_turn(app: &App, report: i64) -> Option<WriteTx> {
    if !app.db().is_postgres() {
        return None;
    }
    let tx = app.db().write_tx().await.unwrap();
    let turn = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.white_list', $1))";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, turn, [report.into()]);
    tx.query_one_raw(statement).await.unwrap();
    Some(tx)
}

/// (total, success, repeat, error)
pub fn counts(date: &Value) -> (i64, i64, i64, i64) {
    let number = |key: &str| date[key].as_i64().unwrap();
    let all = (number("total"), number("success"), number("repeat"), number("error"));
    assert_eq!(all.0, all.1 + all.2 + all.3, "the counts do not add up: {date}");
    all
}

/// The first sheet's rows.
pub fn rows_of(file: &[u8]) -> Vec<Vec<Data>> {
    let mut book = Xlsx::new(Cursor::new(file.to_vec())).unwrap();
    let range = book.worksheet_range_at(0).unwrap().unwrap();
    range.rows().map(<[Data]>::to_vec).collect()
}

pub async fn white(app: &App, report: i64) -> Vec<Value> {
    let list =
        app.get(&format!("/api/report/{report}/white?limit=1000")).send().await.expect_status(200).json();
    list["date"]["data"].as_array().unwrap().clone()
}

pub async fn finished(app: &App, report: i64, import: &Value) -> Value {
    let path = format!("/api/report/{report}/import/{}", import["import_id"]);
    wait_until("the import is done", async || {
        let info = app.get(&path).send().await.expect_status(200).json()["data"].clone();
        counts(&info);
        (info["state"] == "done").then_some(info)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_template_has_notes_rules_and_an_example_that_no_import_takes() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let answer = app.get("/api/white/example").send().await.expect_status(200);
    assert_eq!(
        answer.header("content-type"),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    );
    let name = answer.header("content-disposition").to_owned();
    assert!(
        name.contains("filename=\"white-list-example.xlsx\"") && name.contains("filename*=UTF-8''"),
        "{name}"
    );
    let file = answer.bytes().to_vec();
    let rows = rows_of(&file);
    assert_eq!(rows[0].iter().map(ToString::to_string).collect::<Vec<_>>(), HEADER);
    assert_eq!((&rows[1][3], &rows[1][4]), (&Data::String("13800138000".into()), &Data::Float(100.0)));
    let mut zip = zip::ZipArchive::new(Cursor::new(&file)).unwrap();
    let mut part = |name: &str| std::io::read_to_string(zip.by_name(name).unwrap()).unwrap();
    assert!(part("xl/comments1.xml").contains("必填"));
    let sheet = part("xl/worksheets/sheet1.xml");
    assert!(
        sheet.contains(r#"<dataValidation type="whole""#) && sheet.contains(r#"type="textLength""#),
        "{sheet}"
    );
    assert_eq!(counts(&import(&app, report, "示例.xlsx", &file).await), (0, 0, 0, 0));
    let converted = upload(&app, "/api/white/example", "示例.xlsx", &file).await.expect_status(200).json();
    assert_eq!(converted, json!({"status": 0, "data": []}));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_finds_its_columns_counts_rows_and_sends_the_bad_ones_back() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let body = json!({"mobile": "13900000000", "read_count": 1});
    app.post(&format!("/api/report/{report}/white")).json(&body).send().await.expect_status(200);
    let none = || Put::Nothing;
    let file = xlsx(&[
        vec!["2022 年白名单".into()],
        vec![],
        vec!["电话*".into(), "备注".into(), "阅读次数（次）".into(), "公 司".into(), "昵称".into()],
        vec![18434819907_f64.into(), "a".into(), 100.0.into(), "爱集微".into(), "朱思嘉".into()],
        vec!["１８４ ３４８１ ９９０８".into(), none(), "5".into(), none(), 42.0.into()],
        vec![none(), "只有备注".into(), none(), none(), none()],
        vec!["  ".into(), none(), none(), none(), "".into()],
        vec!["18434819907.0".into(), none(), 3.0.into(), none(), "重复".into()],
        vec!["13900000000".into(), none(), 3.0.into(), none(), "已有".into()],
        vec!["abc".into(), "留下".into(), "-1".into(), none(), "=1+1".into()],
        vec![none(), none(), 7.5.into(), none(), "无电话".into()],
        vec!["1.8E10".into(), none(), 0.0.into()],
        vec![],
    ]);
    let answer = import(&app, report, "名单.xlsx", &file).await;
    assert_eq!(counts(&answer), (7, 3, 2, 2));
    assert_eq!((&answer["state"], &answer["rows"]), (&json!("done"), &json!(7)));
    let entries = white(&app, report).await;
    let seen: Vec<_> = entries
        .iter()
        .map(|e| {
            (
                e["given_user"].as_str().unwrap(),
                e["mobile"].as_str().unwrap(),
                e["read_count"].as_i64().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("", "13900000000", 1),
        ("朱思嘉", "18434819907", 100),
        ("42", "18434819908", 5),
        ("", "18000000000", 0),
    ];
    assert_eq!(seen, expected);
    assert_eq!(
        (&entries[1]["last_modify_author"], &entries[1]["given_company"]),
        (&json!("导入人"), &json!("爱集微"))
    );
    assert_eq!(bed.published::<WhitelistChanged>(4).await.len(), 4);

    let error_file = app.get(answer["error_file"].as_str().unwrap()).send().await.expect_status(200);
    let rows = rows_of(error_file.bytes());
    let header: Vec<String> = rows[0].iter().map(ToString::to_string).collect();
    assert_eq!(header, ["行号", "原因", "电话*", "备注", "阅读次数（次）", "公 司", "昵称"]);
    assert_eq!(rows.len(), 3);
    let text = |cell: &Data| cell.to_string();
    assert_eq!(rows[1][0], Data::Float(10.0));
    assert!(
        text(&rows[1][1]).contains("电话无效") && text(&rows[1][1]).contains("阅读次数"),
        "{:?}",
        rows[1]
    );
    assert_eq!((text(&rows[1][3]).as_str(), text(&rows[1][6]).as_str()), ("留下", "=1+1"));
    assert_eq!((&rows[2][0], &rows[2][4]), (&Data::Float(11.0), &Data::Float(7.5)));
    // The corrected error file is a file to import: what was right is not asked again.
    assert_eq!(counts(&import(&app, report, "again.xlsx", error_file.bytes()).await), (2, 0, 0, 2));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_workbooks_are_read_with_their_formulas_and_long_texts() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let answer = import(&app, report, "white.xls", include_bytes!("files/white.xls")).await;
    // Its last row holds a formula that was never calculated.
    assert_eq!(counts(&answer), (5, 3, 0, 2));
    let entries = white(&app, report).await;
    let seen: Vec<_> =
        entries.iter().map(|e| (e["mobile"].as_str().unwrap(), e["read_count"].as_i64().unwrap())).collect();
    assert_eq!(seen, [("18434819907", 100), ("18434819908", 100), ("18434819910", 7)]);
    assert_eq!(entries[2]["given_user"], "空行之后".repeat(50));
    assert_eq!(entries[0]["given_position"], "php");
    let errors = rows_of(app.get(answer["error_file"].as_str().unwrap()).send().await.bytes());
    assert_eq!(errors[1][0], Data::Float(6.0));

    let report = add_report(&app, &report_body()).await;
    let answer = import(&app, report, "long.xls", include_bytes!("files/long-texts.xls")).await;
    assert_eq!(counts(&answer), (300, 300, 0, 0));
    for (n, entry) in white(&app, report).await.iter().enumerate() {
        assert_eq!(entry["given_user"], format!("名{n}{}", "长".repeat(90)));
        assert_eq!(entry["given_position"], format!("{}{n}", "p".repeat(120)));
        assert_eq!(entry["mobile"], format!("138{n:08}"));
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_is_read_in_every_encoding_and_under_the_rows_numbers_a_program_shows() {
    let (bed, app) = start().await;
    let text = "昵称,职位,公司,电话,阅读次数\r\n张三,经理,\"某,公司\",13800000001,10\r\n\r\n\
        \"李\n四\",,,1.38E10,20\r\n王五,,,1.38E+10,30\r\n,,,,\r\n";
    let utf16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let semicolons = "昵称;电话;阅读次数\n张三;13800000001;10\n李四;13800000000;20\n王五;1.38E+10;30\n";
    let tabs = semicolons.replace(';', "\t");
    for (what, name, file) in [
        ("utf-8", "a.csv", text.as_bytes().to_vec()),
        ("utf-8 with a mark", "a.CSV", format!("\u{feff}{text}").into_bytes()),
        ("gbk", "a.csv", GBK.encode(text).0.into_owned()),
        ("utf-16", "a.txt", utf16),
        ("semicolons", "a.csv", semicolons.as_bytes().to_vec()),
        ("tabs", "a.tsv", tabs.into_bytes()),
    ] {
        let report = add_report(&app, &report_body()).await;
        let answer = import(&app, report, name, &file).await;
        assert_eq!(counts(&answer), (3, 2, 0, 1), "{what}");
        let entries = white(&app, report).await;
        assert_eq!(
            (&entries[0]["given_user"], &entries[1]["mobile"]),
            (&json!("张三"), &json!("13800000000")),
            "{what}"
        );
        let errors = rows_of(app.get(answer["error_file"].as_str().unwrap()).send().await.bytes());
        let expected = if what == "semicolons" || what == "tabs" { 4.0 } else { 5.0 };
        assert_eq!(errors[1][0], Data::Float(expected), "{what}");
        assert!(errors[1][1].to_string().contains("科学计数法"), "{what}");
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_comes_back_as_nothing_but_repeats() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let odd = [
        "=HYPERLINK(\"http://x\")",
        "+86 1",
        "-1",
        "@x",
        " 前后空格 ",
        "a\tb",
        "换\n行",
        "<&>\"'",
        "😀",
        "007",
        "1e5",
        "",
    ];
    let rows: Vec<Value> = (0..200)
        .map(|n| {
            let text = format!("{}{}", odd[n % odd.len()], if n % 3 == 0 { n.to_string() } else { String::new() });
            json!({"given_user": text, "given_company": odd[(n + 5) % odd.len()], "mobile": format!("0{}", 13_800_000_000_i64 + n as i64), "read_count": n})
        })
        .collect();
    app.put(&format!("/api/report/{report}"))
        .json(&json!({"white_list": rows}))
        .send()
        .await
        .expect_status(200);
    let before = white(&app, report).await;
    let path = format!("/api/report/{report}/excel");
    let exported = app.get(&path).send().await.expect_status(200);
    assert!(exported.header("content-disposition").contains(&format!("white-list-{report}.xlsx")));
    let sheet = rows_of(exported.bytes());
    assert_eq!(sheet.len(), 201);
    // Typed as text: no program takes it for a formula.
    assert_eq!(sheet[1][0], Data::String(before[0]["given_user"].as_str().unwrap().into()));
    assert_eq!(sheet[1][3], Data::String("013800000000".into()));
    let csv: String = sheet
        .iter()
        .map(|row| {
            row.iter()
                .map(|c| format!("\"{}\"", c.to_string().replace('"', "\"\"")))
                .collect::<Vec<_>>()
                .join(",")
                + "\r\n"
        })
        .collect();
    let (gbk, _, lossy) = GBK.encode(&csv);
    assert!(lossy, "the emoji is not in GBK; its row must be a repeat all the same");
    for (name, file) in [
        ("a.xlsx", exported.bytes().to_vec()),
        ("a.csv", csv.clone().into_bytes()),
        ("g.csv", gbk.into_owned()),
    ] {
        assert_eq!(counts(&import(&app, report, name, &file).await), (200, 0, 200, 0), "{name}");
    }
    assert_eq!(white(&app, report).await, before);
    let ids: Vec<i64> = before.iter().map(|e| e["id"].as_i64().unwrap()).collect();
    let (a, b) = (ids[3], ids[100]);
    for query in [
        format!("id=[{a},{b}]"),
        format!("id={a},{b}"),
        format!("id[]={b}&id[]={a}"),
        format!("id=%5B{a}%2C+{b}%5D"),
    ] {
        let some = rows_of(app.get(&format!("{path}?{query}")).send().await.expect_status(200).bytes());
        assert_eq!(some.len(), 3, "{query}");
        assert_eq!(some[2][3].to_string(), before[100]["mobile"].as_str().unwrap());
    }
    assert_eq!(rows_of(app.get(&format!("{path}?id=[]")).send().await.expect_status(200).bytes()).len(), 1);
    app.get(&format!("{path}?id=x")).send().await.expect_status(400);
    app.get("/api/report/99/excel").send().await.expect_status(404);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seeds_conversion_keeps_numbers_and_stores_nothing() {
    let (bed, app) = start().await;
    let row = |n: f64| {
        let text = |t: &str| Put::Text(format!("{t}{n}"));
        vec![text("朱思嘉"), text("php"), text("爱集微"), n.into(), (99.0 + n).into()]
    };
    let file = xlsx(&[
        HEADER.map(Put::from).to_vec(),
        row(1.0),
        row(2.0),
        vec!["三".into(), Put::Nothing, Put::Nothing, "13800000000".into(), 1.5.into()],
    ]);
    let answer =
        upload(&app, "/api/white/example", "抽奖人员示例表.xlsx", &file).await.expect_status(200).json();
    assert_eq!(
        answer,
        json!({"status": 0, "data": [
            {"given_user": "朱思嘉1", "given_position": "php1", "given_company": "爱集微1", "mobile": 1, "read_count": 100},
            {"given_user": "朱思嘉2", "given_position": "php2", "given_company": "爱集微2", "mobile": 2, "read_count": 101},
            {"given_user": "三", "given_position": "", "given_company": "", "mobile": "13800000000", "read_count": 1.5},
        ]})
    );
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_gives_the_counts_of_the_import_and_writes_nothing() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let rows = (0..6000).map(|n| {
        let mobile = 13_800_000_000_i64 + n % 5500;
        (if n % 100 == 7 { "bad".into() } else { mobile.to_string() }, 1.0)
    });
    let file = simple(rows);
    let path = format!("/api/report/{report}/excel");
    let dry =
        upload(&app, &format!("{path}?dry_run=1"), "a.xlsx", &file).await.expect_status(200).json()["date"]
            .clone();
    assert_eq!(
        (&dry["state"], &dry["import_id"], &dry["rows"]),
        (&json!("dry_run"), &json!(0), &json!(6000))
    );
    assert!(white(&app, report).await.is_empty());
    let committed = import(&app, report, "a.xlsx", &file).await;
    assert_eq!(committed["rows"], json!(6000));
    let done = finished(&app, report, &committed).await;
    assert_eq!(counts(&done), counts(&dry));
    assert_eq!(counts(&dry), (6000, 5445, 495, 60));
    // And again: all that was good is a repeat now.
    let dry = upload(&app, &format!("{path}?dry_run=true"), "a.xlsx", &file).await.expect_status(200).json();
    assert_eq!(counts(&dry["date"]), (6000, 0, 5940, 60));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_import_survives_a_restart_and_inserts_nothing_twice() {
    let (bed, first) = start().await;
    let report = add_report(&first, &report_body()).await;
    first.stop().await;
    // Nobody works on imports: the upload is there, and nothing is done.
    let service = report_service::app::build(&bed.shared).await.unwrap();
    let app = bed.start_without(&["white-list-importer"], service).await;
    let file = simple((0..13_000).map(|n| (format!("{}", 13_800_000_000_i64 + n % 12_000), 2.0)));
    let turn = hold_turn(&app, report).await;
    let answer = import(&app, report, "a.xlsx", &file).await;
    drop(turn);
    assert_eq!((&answer["state"], counts(&answer)), (&json!("running"), (0, 0, 0, 0)));
    let undo = format!("/api/report/{report}/import/{}", answer["import_id"]);
    assert_eq!(app.delete(&undo).send().await.expect_status(400).json()["status"], 2);
    app.stop().await;
    // Two replicas take it up.
    let mut apps = Vec::new();
    for _ in 0..2 {
        let service = report_service::app::build(&bed.shared).await.unwrap();
        apps.push(bed.start(service).await);
    }
    let done = finished(&apps[0], report, &answer).await;
    assert_eq!(counts(&done), (13_000, 12_000, 1_000, 0));
    let list = apps[1].get(&format!("/api/report/{report}/white?limit=1")).send().await.json();
    assert_eq!(list["date"]["total"], 12_000);
    bed.settle().await;
    let told: usize = bed.published::<WhitelistBatchChanged>(24).await.iter().map(|b| b.entries.len()).sum();
    assert_eq!(told, 12_000);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_taken_back_unless_somebody_used_it() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let kept = json!({"mobile": "13900000000", "read_count": 1});
    app.post(&format!("/api/report/{report}/white")).json(&kept).send().await.expect_status(200);
    let file = simple((0..600).map(|n| (format!("{}", 13_800_000_000_i64 + n), 2.0)));
    let first = import(&app, report, "a.xlsx", &file).await;
    let path = format!("/api/report/{report}/import/{}", first["import_id"]);
    let undone = app.delete(&path).send().await.expect_status(200).json();
    assert_eq!(undone["data"], json!({"id": first["import_id"], "removed": 600}));
    assert_eq!(white(&app, report).await.len(), 1);
    assert_eq!(app.delete(&path).send().await.expect_status(400).json()["status"], 2);
    let batches = bed.published::<WhitelistBatchChanged>(4).await;
    assert_eq!(batches.iter().filter(|b| b.entries.iter().all(|e| e.deleted && e.version == 2)).count(), 2);

    let second = import(&app, report, "b.xlsx", &file).await;
    assert_eq!(counts(&second), (600, 600, 0, 0));
    let entry = white(&app, report).await[5]["id"].clone();
    app.put(&format!("/api/report/{report}/white/{entry}"))
        .json(&json!({"residue_count": 1}))
        .send()
        .await
        .expect_status(200);
    let path = format!("/api/report/{report}/import/{}", second["import_id"]);
    let refused = app.delete(&path).send().await.expect_status(400).json();
    assert_eq!(refused["status"], 2);
    assert!(refused["error"].as_str().unwrap().contains('1'), "{refused}");
    assert_eq!(white(&app, report).await.len(), 601);
    let list =
        app.get(&format!("/api/report/{report}/import?limit=1")).send().await.expect_status(200).json();
    assert_eq!(
        (&list["data"]["total"], &list["data"]["data"][0]["file_name"]),
        (&json!(2), &json!("b.xlsx"))
    );
    assert_eq!(list["data"]["data"][0]["author"], "导入人");
    app.get(&format!("/api/report/{report}/import/1")).send().await.expect_status(404);
    app.delete(&format!("/api/report/{report}/import/1")).send().await.expect_status(404);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_imports_of_one_file_at_once_insert_it_once() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let file = simple((0..3000).map(|n| (format!("{}", 13_800_000_000_i64 + n), 2.0)));
    let one = async || counts(&import(&app, report, "a.xlsx", &file).await);
    let all = tokio::join!(one(), one(), one(), one());
    let success = all.0.1 + all.1.1 + all.2.1 + all.3.1;
    assert_eq!(success, 3000, "{all:?}");
    let list = app.get(&format!("/api/report/{report}/white?limit=1")).send().await.json();
    assert_eq!(list["date"]["total"], 3000);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_cannot_be_used_are_refused_and_leave_nothing_behind() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let path = format!("/api/report/{report}/excel");
    let header = inline_rows(&[&HEADER]);
    let good = simple([("13800000000".to_owned(), 1.0)]);
    let png = b"\x89PNG\r\n\x1a\n0000".to_vec();
    let mut random_xls = include_bytes!("files/white.xls").to_vec();
    random_xls.truncate(3000);
    let no_count = xlsx(&[vec!["昵称".into(), "电话".into()], vec!["a".into(), "13800000000".into()]]);
    let docx = {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("word/document.xml", zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, b"<w/>").unwrap();
        zip.finish().unwrap().into_inner()
    };
    let out_of_order = crafted(
        b"<row r=\"5\"><c r=\"A5\"><v>1</v></c></row><row r=\"2\"><c r=\"A2\"><v>1</v></c></row>",
        None,
        &[],
    );
    for (what, name, file, status) in [
        ("a picture", "a.png", png.clone(), 415),
        ("a picture called csv", "a.csv", [&png[..], b"\0\0"].concat(), 415),
        ("a picture called xlsx", "a.xlsx", png, 415),
        ("a web page called xls", "a.xls", b"<html><table></table></html>".to_vec(), 415),
        ("another office file", "a.xlsx", docx, 415),
        ("half a file", "a.xlsx", good[..good.len() / 2].to_vec(), 400),
        ("a broken old file", "a.xls", random_xls, 400),
        ("no header", "a.csv", b"1,2,3\n4,5,6\n".to_vec(), 400),
        ("no column of counts", "a.xlsx", no_count, 400),
        ("an empty sheet", "a.xlsx", crafted(b"", None, &[]), 400),
        ("rows out of order", "a.xlsx", out_of_order, 400),
        // The xlsx library panics on it where overflow is checked.
        (
            "a cell that is nowhere",
            "a.xlsx",
            crafted(b"<row r=\"1\"><c r=\"A99999999999\"><v>1</v></c></row>", None, &[]),
            400,
        ),
        (
            "cut off in a cell",
            "a.xlsx",
            crafted(format!("{header}<row r=\"2\"><c r=\"A2\"><v>1").as_bytes(), None, &[]),
            400,
        ),
    ] {
        let answer = upload(&app, &path, name, &file).await;
        assert_eq!(answer.status(), status, "{what}: {}", answer.text());
        let body = answer.json();
        assert_eq!(body["status"], 1, "{what}");
        assert!(!body["error"].as_str().unwrap().is_empty(), "{what}");
        upload(&app, "/api/white/example", name, &file).await.expect_status(status);
    }
    let missing =
        upload(&app, &path, "a.csv", b"a,\xE7\x94\xB5\xE8\xAF\x9D\n1,2\n").await.expect_status(400).json();
    assert_eq!(missing["error"], "缺少表头：阅读次数，请使用示例文件的表头");
    assert!(white(&app, report).await.is_empty());
    let list = app.get(&format!("/api/report/{report}/import")).send().await.expect_status(200).json();
    assert_eq!(list["data"]["total"], 0);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_are_refused_before_they_cost_memory() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let path = format!("/api/report/{report}/excel");
    let header = inline_rows(&[&HEADER]);
    let sst = |head: &str, text: &[u8]| {
        [format!("<sst {head}><si><t>").as_bytes(), text, b"</t></si></sst>"].concat()
    };
    let zeros = vec![b' '; 40 * 1024 * 1024];
    let long_cell = [
        header.as_bytes(),
        b"<row r=\"2\"><c r=\"A2\" t=\"inlineStr\"><is><t>",
        &zeros,
        b"</t></is></c></row>",
    ]
    .concat();
    let huge: Vec<u8> = vec![b'<'; 130 * 1024 * 1024];
    let corner = format!("{header}<row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row>");
    let beyond = format!("{header}<row r=\"4000000\"><c r=\"A4000000\"><v>1</v></c></row>");
    let wide: String = (0..300_000).map(|_| "<c><v>1</v></c>").collect();
    for (what, file, statuses) in [
        (
            "100 GB of texts announced",
            crafted(header.as_bytes(), Some(&sst("uniqueCount=\"4000000000\"", b"a")), &[]),
            [413],
        ),
        (
            "announced behind blanks",
            crafted(
                header.as_bytes(),
                Some(&sst(&format!("uniqueCount{}= \"4000000000\"", " ".repeat(300)), b"a")),
                &[],
            ),
            [413],
        ),
        ("40 MB of texts", crafted(header.as_bytes(), Some(&sst("", &zeros)), &[]), [413]),
        ("one cell of 40 MB", crafted(&long_cell, None, &[]), [413]),
        (
            "260 MB unpacked",
            crafted(header.as_bytes(), None, &[("xl/a.xml", &huge), ("xl/b.xml", &huge)]),
            [413],
        ),
        ("a style sheet of 40 MB", crafted(header.as_bytes(), None, &[("xl/styles.xml", &zeros)]), [413]),
        ("a row beyond the last", crafted(beyond.as_bytes(), None, &[]), [413]),
        ("a million columns", crafted(format!("<row r=\"1\">{wide}</row>").as_bytes(), None, &[]), [413]),
    ] {
        assert!(file.len() < 2 * 1024 * 1024, "{what}: {}", file.len());
        let answer = upload(&app, &path, "a.xlsx", &file).await;
        assert!(statuses.contains(&answer.status()), "{what}: {} {}", answer.status(), answer.text());
    }
    // The last corner of a sheet costs nothing.
    assert_eq!(
        counts(&import(&app, report, "a.xlsx", &crafted(corner.as_bytes(), None, &[])).await),
        (0, 0, 0, 0)
    );
    let many_parts: Vec<String> = (0..2_100).map(|n| format!("p/{n}")).collect();
    let many: Vec<(&str, &[u8])> = many_parts.iter().map(|n| (n.as_str(), &b""[..])).collect();
    upload(&app, &path, "a.xlsx", &crafted(header.as_bytes(), None, &many)).await.expect_status(413);
    let too_large = vec![b'x'; 32 * 1024 * 1024 + 1];
    upload(&app, &path, "a.csv", &too_large).await.expect_status(413);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entities_and_formulas_do_nothing() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let rows = inline_rows(&[&HEADER, &["&lt;b&gt;", "", "", "13800000001", "1"]]);
    let formula = "<row r=\"3\"><c r=\"A3\" t=\"str\"><f>HYPERLINK(\"http://x\")</f><v>点我</v></c><c r=\"D3\"><f>13800000001+1</f><v>13800000002</v></c><c r=\"E3\"><f>1+1</f><v>2</v></c></row>";
    let entity = "<row r=\"4\"><c r=\"A4\" t=\"inlineStr\"><is><t>&xxe;</t></is></c></row>";
    let good = crafted(format!("{rows}{formula}").as_bytes(), None, &[]);
    assert_eq!(counts(&import(&app, report, "a.xlsx", &good).await), (2, 2, 0, 0));
    let entries = white(&app, report).await;
    assert_eq!((&entries[0]["given_user"], &entries[1]["given_user"]), (&json!("<b>"), &json!("点我")));
    let evil = crafted(
        format!("{rows}{entity}").as_bytes(),
        Some(b"<!DOCTYPE x [<!ENTITY xxe SYSTEM \"file:///etc/passwd\">]><sst/>"),
        &[],
    );
    let answer = upload(&app, &format!("/api/report/{report}/excel"), "a.xlsx", &evil).await;
    assert!(!answer.text().contains("root:"), "{}", answer.text());
    assert!(white(&app, report).await.iter().all(|e| !e["given_user"].as_str().unwrap().contains("root:")));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_are_none_are_named() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let path = format!("/api/report/{report}/excel");
    let (kind, body) = form_as("datei", "a.csv", b"x");
    let answer = app.post(&path).body(kind, body).send().await.expect_status(400).json();
    assert_eq!(blamed(&answer), ["file"]);
    let (kind, body) = form("a.csv", b"");
    assert_eq!(blamed(&app.post(&path).body(kind, body).send().await.expect_status(400).json()), ["file"]);
    let (kind, body) = form("a.csv", b"x");
    let cut =
        app.post(&path).body(kind, body[..body.len() - 20].to_vec()).send().await.expect_status(400).json();
    assert_eq!(cut["status"], 1);
    for (kind, body) in [("application/json", "{}"), ("text/plain", "x"), ("multipart/form-data", "x")] {
        let answer = app.post(&path).body(kind, body).send().await.expect_status(400).json();
        assert_eq!(answer["status"], 1, "{kind}");
    }
    let (kind, body) = form("a.csv", "电话,阅读次数\n13800000000,1\n".as_bytes());
    app.post("/api/report/99/excel").body(kind, body).send().await.expect_status(404);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_files_are_answered_and_never_end_the_process() {
    let (bed, app) = start().await;
    let report = add_report(&app, &report_body()).await;
    let path = format!("/api/report/{report}/excel?dry_run=1");
    let files: [(&str, Vec<u8>); 3] = [
        ("a.xls", include_bytes!("files/white.xls").to_vec()),
        ("a.xlsx", sheets::simple([("13800000000".to_owned(), 1.0)])),
        ("a.csv", "昵称,电话,阅读次数\n\"张,13800000000,1\n".into()),
    ];
    for n in 0..150_u64 {
        let (name, file) = &files[n as usize % files.len()];
        let mut file = file.clone();
        for _ in 0..=n % 7 {
            let at = u64::from_le_bytes(seal::random_bytes()) as usize % file.len();
            file[at] = seal::random_bytes::<1>()[0];
        }
        let answer = upload(&app, &path, name, &file).await;
        assert!(
            [200, 400, 413, 415].contains(&answer.status()),
            "{name}: {} {}",
            answer.status(),
            answer.text()
        );
    }
    app.get("/healthz").send().await.expect_status(200);
    bed.finish().await;
}
