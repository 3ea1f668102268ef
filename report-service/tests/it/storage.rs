//! Upload tokens, download addresses, copies; Qiniu and the local store.

use std::sync::{Arc, Mutex};

use actix_web::{App as Server, HttpRequest, HttpResponse, HttpServer, web};
use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use platform::{lifecycle, settings::Settings};
use serde_json::{Value, json};
use testing::{App, TestBed};

use crate::{SEED_NOW_MS, add_report, blamed, report_body, start_with, with};

const NOW: i64 = SEED_NOW_MS / 1000;
const AK: &str = "abcdefghklmnopq";
const SK: &str = "1234567890";

/// Signing once more, apart from the service's own code.
fn sign(data: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SK.as_bytes());
    format!("{AK}:{}", URL_SAFE.encode(hmac::sign(&key, data.as_bytes())))
}

fn qiniu(settings: &mut Settings, manage_url: &str) {
    settings.storage.access_key = Some(AK.into());
    settings.storage.secret_key = Some(SK.into());
    settings.storage.bucket = "jiwei-market".into();
    settings.storage.private_bucket = "jiwei-private".into();
    settings.storage.private_url = Some("https://privte.laoyaoba.com".into());
    settings.storage.manage_url = manage_url.into();
}

async fn report_with_file(app: &App, src: &str) -> i64 {
    let file = json!({"file_name": "x", "src": src, "format": "pdf", "size": 1});
    add_report(app, &with(report_body(), json!({"file": file}))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upload_tokens_are_qinius_own() {
    let (bed, app) = start_with(|s| qiniu(s, "http://127.0.0.1:9")).await;
    let token = async |query: &str| {
        let answer = app.get(&format!("/api/qiniu/token{query}")).send().await.expect_status(200).json();
        assert_eq!(answer["status"], 0);
        answer["qiniu_token"].as_str().unwrap().to_owned()
    };
    let expected = |bucket: &str| {
        let policy = URL_SAFE.encode(format!(r#"{{"scope":"{bucket}","deadline":{}}}"#, NOW + 3600));
        format!("{}:{policy}", sign(&policy))
    };
    assert_eq!(token("").await, expected("jiwei-market"));
    assert_eq!(token("?type=default").await, expected("jiwei-market"));
    assert_eq!(token("?type=private").await, expected("jiwei-private"));
    let refused = app.get("/api/qiniu/token?type=other").send().await.expect_status(400).json();
    assert_eq!(blamed(&refused), ["type"]);
    app.get("/api/qiniu/token").anonymous().send().await.expect_status(401);
    // The local store's places do not exist beside Qiniu.
    app.get("/storage/public/a.pdf").anonymous().send().await.expect_status(404);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_opens_the_public_buckets_token_to_anybody() {
    let (bed, app) = start_with(|s| s.storage.anonymous_upload_token = true).await;
    app.get("/api/qiniu/token").anonymous().send().await.expect_status(200);
    app.get("/api/qiniu/token?type=private").anonymous().send().await.expect_status(401);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reports_file_is_found_by_its_name_and_signed() {
    let (bed, app) = start_with(|s| qiniu(s, "http://127.0.0.1:9")).await;
    report_with_file(&app, "uploads/02_SHELL编程之变量定义.pdf").await;
    let find =
        async |name: &str| app.get(&format!("/api/report/downloadurl?report_name={name}")).send().await;
    let encoded = "02_SHELL%E7%BC%96%E7%A8%8B%E4%B9%8B%E5%8F%98%E9%87%8F%E5%AE%9A%E4%B9%89.pdf";
    let url = format!("https://privte.laoyaoba.com/uploads/{encoded}?e={}", NOW + 3600);
    let expected = json!({"status": 0, "data": format!("{url}&token={}", sign(&url))});
    assert_eq!(find(encoded).await.expect_status(200).json(), expected);
    // By name and format; the newest report of several.
    assert_eq!(find("x.pdf").await.expect_status(200).json(), expected);
    let id = report_with_file(&app, "http://s.laoyaoba.com/new%20one.pdf").await;
    let newest = find("x.pdf").await.expect_status(200).json();
    assert!(
        newest["data"].as_str().unwrap().starts_with("https://privte.laoyaoba.com/new%20one.pdf?e="),
        "{newest}"
    );
    app.delete(&format!("/api/report/{id}")).send().await.expect_status(200);
    assert_eq!(find("x.pdf").await.expect_status(200).json(), expected);
    report_with_file(&app, "https://elsewhere.example/there.pdf").await;
    assert_eq!(find("there.pdf").await.json()["data"], "https://elsewhere.example/there.pdf");
    find("none.pdf").await.expect_status(404);
    assert_eq!(blamed(&find("").await.expect_status(400).json()), ["report_name"]);
    bed.finish().await;
}

/// Copies that a Qiniu of the test's own was asked for: (key, force).
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// Answers 401 to what is not signed as Qiniu's version 2 wants it.
async fn copy(
    asked: web::Data<Asked>,
    req: HttpRequest,
    path: web::Path<(String, String, String)>,
) -> HttpResponse {
    let header = |name: &str| req.headers().get(name).map_or("", |v| v.to_str().unwrap()).to_owned();
    let data = format!(
        "POST {}\nHost: {}\nContent-Type: {}\nX-Qiniu-Date: {}\n\n",
        req.path(),
        header("host"),
        header("content-type"),
        header("x-qiniu-date")
    );
    let signed = header("authorization") == format!("Qiniu {}", sign(&data));
    if !signed || header("x-qiniu-date") != "20220620T020000Z" {
        return HttpResponse::Unauthorized().finish();
    }
    let entry = |text: &str| String::from_utf8(URL_SAFE.decode(text).unwrap()).unwrap();
    let (from, to, force) = path.into_inner();
    let (from, to) = (entry(&from), entry(&to));
    let key = from.strip_prefix("jiwei-market:").unwrap().to_owned();
    assert_eq!(to, format!("jiwei-private:{key}"));
    asked.lock().unwrap().push((key.clone(), force.clone()));
    let status = match key.as_str() {
        "missing.pdf" => 612,
        "there.pdf" if force == "false" => 614,
        "broken.pdf" => 599,
        _ => 200,
    };
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).body("{}")
}

async fn qiniu_server() -> (Asked, String, actix_web::dev::ServerHandle) {
    let asked = Asked::default();
    let data = web::Data::new(Arc::clone(&asked));
    let server = HttpServer::new(move || {
        Server::new().app_data(data.clone()).route("/copy/{from}/{to}/force/{force}", web::post().to(copy))
    })
    .workers(1)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let url = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    lifecycle::spawn(server);
    (asked, url, handle)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_are_signed_requests_to_qiniu() {
    let (asked, url, server) = qiniu_server().await;
    let (bed, app) = start_with(|s| qiniu(s, &url)).await;
    let taken = || std::mem::take(&mut *asked.lock().unwrap());
    let pair = |key: &str, force: &str| (key.to_owned(), force.to_owned());
    let copy = async |query: &str| app.get(&format!("/api/qiniu/copyfile{query}")).send().await;

    let answer = copy("?key=a%20b.pdf&key=%E6%8A%A5.pdf&force=true").await.expect_status(200).json();
    assert_eq!(answer, json!({"status": 0, "data": {"message": "File copied successfully"}}));
    assert_eq!(taken(), [pair("a b.pdf", "true"), pair("报.pdf", "true")]);
    let refused = copy("?key=there.pdf").await.expect_status(400).json();
    assert_eq!(refused["status"], 2);
    copy("?key=there.pdf&force=1").await.expect_status(200);
    assert_eq!(copy("?key=missing.pdf").await.expect_status(404).json()["status"], 7);
    let ours = copy("?key=broken.pdf").await.expect_status(502).json();
    assert_eq!(ours["status"], 500);
    taken();

    for src in ["one.pdf", "there.pdf", "http://s.laoyaoba.com/two.pdf", "https://elsewhere.example/x.pdf"] {
        report_with_file(&app, src).await;
    }
    app.post("/api/qiniu/copyfile").json(&json!({})).send().await.expect_status(200);
    assert_eq!(taken(), [pair("one.pdf", "false"), pair("there.pdf", "false"), pair("two.pdf", "false")]);
    // What lies there is not copied again; a report that gets another file is.
    copy("").await.expect_status(200);
    assert_eq!(taken(), []);
    let file = json!({"file_name": "x", "src": "three.pdf", "format": "pdf", "size": 1});
    app.put("/api/report/1").json(&json!({"file": file})).send().await.expect_status(200);
    report_with_file(&app, "missing.pdf").await;
    copy("").await.expect_status(404);
    assert_eq!(taken(), [pair("three.pdf", "false"), pair("missing.pdf", "false")]);
    server.stop(false).await;
    bed.finish().await;
}

/// A form as Qiniu's own clients send it.
fn form(token: &str, key: &str, file: &[u8]) -> (&'static str, Vec<u8>) {
    let mut body = Vec::new();
    for (name, value) in [("token", token), ("key", key), ("x:extra", "1")] {
        body.extend(
            format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    body.extend(b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n");
    body.extend_from_slice(file);
    body.extend(b"\r\n--b--\r\n");
    ("multipart/form-data; boundary=b", body)
}

async fn local() -> (TestBed, App) {
    start_with(|s| {
        s.storage.public_url = None;
        s.storage.max_upload_bytes = 100_000;
    })
    .await
}

async fn token_of(app: &App, kind: &str) -> String {
    let answer = app.get(&format!("/api/qiniu/token?type={kind}")).send().await.expect_status(200).json();
    answer["qiniu_token"].as_str().unwrap().to_owned()
}

async fn put(app: &App, token: &str, key: &str, file: &[u8]) -> testing::Answer {
    let (kind, body) = form(token, key, file);
    app.post("/storage/upload").anonymous().body(kind, body).send().await
}

/// The path and query of an address on the bed's own store.
fn local_path(url: &Value) -> String {
    let url = url.as_str().unwrap();
    format!("/storage/{}", url.split_once("/storage/").unwrap().1)
}

const PDF: &[u8] = b"%PDF-1.7 \0\x01\x02 report";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0cover";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cover_and_a_report_go_in_and_come_out_without_an_account() {
    let (bed, app) = local().await;
    let (open, closed) = (token_of(&app, "default").await, token_of(&app, "private").await);
    let kept = put(&app, &open, "covers/封面 1.png", PNG).await.expect_status(200).json();
    assert_eq!(kept, json!({"status": 0, "key": "covers/封面 1.png", "size": PNG.len()}));
    put(&app, &closed, "reports/报告.pdf", PDF).await.expect_status(200);
    let file = json!({"file_name": "报告", "src": "reports/报告.pdf", "format": "pdf", "size": PDF.len()});
    let body = with(report_body(), json!({"cover": "covers/封面 1.png", "file": file}));
    let id = add_report(&app, &body).await;
    let detail = app.get(&format!("/api/report/{id}")).send().await.expect_status(200).json();
    let cover = app.get(&local_path(&detail["data"]["cover"])).anonymous().send().await.expect_status(200);
    assert_eq!((cover.header("content-type"), &cover.bytes()[..]), ("image/png", PNG));
    assert_eq!(cover.header("x-content-type-options"), "nosniff");
    // The report's file is not in the public bucket.
    app.get(&local_path(&detail["data"]["file_address"])).anonymous().send().await.expect_status(404);

    let name = "/api/report/downloadurl?report_name=%E6%8A%A5%E5%91%8A.pdf";
    let signed = app.get(name).send().await.expect_status(200).json();
    let path = local_path(&signed["data"]);
    let report = app.get(&path).anonymous().send().await.expect_status(200);
    assert_eq!((report.header("content-type"), &report.bytes()[..]), ("application/pdf", PDF));
    let (plain, token) = path.split_once("&token=").unwrap();
    for bad in [
        plain.to_owned(),
        format!("{plain}&token=x"),
        path.replace("?e=1", "?e=2"),
        format!("/storage/private/other.pdf?{}&token={token}", plain.split_once('?').unwrap().1),
    ] {
        let answer = app.get(&bad).anonymous().send().await;
        assert!([400, 401].contains(&answer.status()), "{bad}: {}", answer.status());
    }
    bed.shared.clock.advance_ms(3_601_000);
    app.get(&path).anonymous().send().await.expect_status(401);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_makes_a_public_file_downloadable_in_private() {
    let (bed, app) = local().await;
    let open = token_of(&app, "default").await;
    put(&app, &open, "r/a.pdf", PDF).await.expect_status(200);
    report_with_file(&app, "r/a.pdf").await;
    let signed = app.get("/api/report/downloadurl?report_name=a.pdf").send().await.expect_status(200).json();
    let path = local_path(&signed["data"]);
    app.get(&path).anonymous().send().await.expect_status(404);
    app.get("/api/qiniu/copyfile").send().await.expect_status(200);
    assert_eq!(&app.get(&path).anonymous().send().await.expect_status(200).bytes()[..], PDF);
    app.get("/api/qiniu/copyfile?key=r/none.pdf").send().await.expect_status(404);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_store_takes_only_what_it_should() {
    let (bed, app) = local().await;
    let token = token_of(&app, "default").await;
    let foreign = format!("local:{}", &sign("x")[AK.len() + 1..]);
    for (what, token, key, file, status) in [
        ("no token", "", "a.pdf", PDF, 401),
        ("another's token", foreign.as_str(), "a.pdf", PDF, 401),
        ("a climbing key", &token, "../a.pdf", PDF, 400),
        ("an absolute key", &token, "/a.pdf", PDF, 400),
        ("a key that no address can carry", &token, "100%.pdf", PDF, 400),
        ("no key", &token, "", PDF, 400),
        ("a page", &token, "a.html", b"<script>", 415),
        ("a drawing that may run", &token, "a.svg", b"<svg/>", 415),
        ("a page called pdf", &token, "a.pdf", b"<html>", 415),
        ("nothing", &token, "a.pdf", b"", 415),
        ("too much", &token, "a.pdf", &[b"%PDF-", &[0; 100_000][..]].concat(), 413),
    ] {
        let answer = put(&app, token, key, file).await;
        assert_eq!(answer.status(), status, "{what}: {}", answer.text());
    }
    put(&app, &token, "a.pdf", PDF).await.expect_status(200);
    put(&app, &token, "a.pdf", PDF).await.expect_status(200);
    let other = put(&app, &token, "a.pdf", b"%PDF-other").await.expect_status(400).json();
    assert_eq!(other["status"], 2);
    assert_eq!(&app.get("/storage/public/a.pdf").anonymous().send().await.bytes()[..], PDF);
    app.get("/storage/private/a.pdf?e=99999999999&token=x").anonymous().send().await.expect_status(401);
    for path in ["/storage/public/none.pdf", "/storage/public/", "/storage/public/..%2f..%2fsecrets.toml"] {
        app.get(path).anonymous().send().await.expect_status(404);
    }
    bed.shared.clock.advance_ms(3_601_000);
    put(&app, &token, "b.pdf", PDF).await.expect_status(401);
    bed.finish().await;
}
