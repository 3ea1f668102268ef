use actix_web::{
    App, HttpResponse,
    dev::ServiceResponse,
    test::{self, TestRequest},
    web,
};
use serde_json::json;

use super::*;
use crate::http::fields::Fields;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

struct Login {
    account: String,
    code: i64,
}

impl FromFields for Login {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { account: f.required_text("account", 32), code: f.required_int("code", 0..=9999) }
    }
}

async fn login(body: Body<Login>) -> HttpResponse {
    let sha256 = body.sha256.clone();
    HttpResponse::Ok()
        .json(json!({"account": body.account, "code": body.into_inner().code, "sha256": sha256}))
}

async fn merged(m: Merged) -> Result<HttpResponse, ApiError> {
    let login: Login = m.read()?;
    let (query, body) = (m.raw_query, String::from_utf8_lossy(&m.raw_body).into_owned());
    Ok(HttpResponse::Ok().json(json!({"account": login.account, "query": query, "body": body})))
}

async fn call(req: TestRequest) -> ServiceResponse {
    let app = test::init_service(
        App::new()
            .app_data(BodyLimit(64))
            .route("/login", web::post().to(login))
            .route("/other", web::post().to(login))
            .route("/q", web::get().to(async |q: Query<Login>| q.into_inner().account))
            .route("/m", web::route().to(merged)),
    )
    .await;
    test::call_service(&app, req.to_request()).await
}

async fn post(kind: Option<&str>, body: impl Into<Bytes>) -> (u16, Value) {
    let mut req = TestRequest::post().uri("/login").set_payload(body);
    if let Some(kind) = kind {
        req = req.insert_header(("content-type", kind));
    }
    let answer = call(req).await;
    (answer.status().as_u16(), test::read_body_json(answer).await)
}

#[actix_web::test]
async fn json_and_forms_read_the_same() {
    for (kind, body) in [
        (JSON, r#"{"account":"a","code":7}"#),
        ("Application/JSON; charset=utf-8", r#"{"account":"a","code":"7"}"#),
        (JSON, "\u{feff}{\"account\":\"x\",\"account\":\"a\",\"code\":7}"),
        (FORM, "account=a&code=7"),
        ("application/x-www-form-urlencoded;charset:utf-8;", "account=a&code=7\r\n"),
    ] {
        let (status, answer) = post(Some(kind), body).await;
        assert_eq!((status, &answer["account"], &answer["code"]), (200, &json!("a"), &json!(7)), "{body}");
    }
}

#[actix_web::test]
async fn what_cannot_be_read_is_400_with_status_1_and_a_sentence() {
    let deep = "[".repeat(60);
    let cases: [(Option<&str>, Vec<u8>); 11] = [
        (None, b"account=a".to_vec()),
        (Some("text/plain"), b"account=a".to_vec()),
        (Some("multipart/form-data; boundary=x"), b"--x".to_vec()),
        (Some("application/jsonx"), b"{}".to_vec()),
        (Some(JSON), b"{".to_vec()),
        (Some(JSON), b"[]".to_vec()),
        (Some(JSON), b"\"a\"".to_vec()),
        (Some(JSON), b"{\"account\":\"\xff\"}".to_vec()),
        (Some(JSON), deep.into_bytes()),
        (Some(FORM), b"account=\xff".to_vec()),
        (Some(FORM), b"account=%FF".to_vec()),
    ];
    for (kind, body) in cases {
        let shown = String::from_utf8_lossy(&body).into_owned();
        let (status, answer) = post(kind, body).await;
        assert_eq!((status, &answer["status"], &answer["errors"]), (400, &json!(1), &json!({})), "{shown}");
        assert!(answer["error"].as_str().is_some_and(|s| !s.is_empty()), "{shown}");
    }
}

#[actix_web::test]
async fn an_empty_body_is_an_empty_object_of_any_type() {
    for kind in [None, Some("text/plain"), Some(JSON), Some(FORM)] {
        let (status, answer) = post(kind, "").await;
        assert_eq!(status, 400);
        assert_eq!(answer["errors"], json!({"account": " account 不能为空", "code": " code 不能为空"}));
    }
}

#[actix_web::test]
async fn bodies_beyond_the_limit_are_413_announced_or_not() {
    let fits = format!("account=a&code=7&x={}", "y".repeat(64 - 19));
    assert_eq!(post(Some(FORM), fits.clone()).await.0, 200);
    let (status, answer) = post(Some(FORM), fits + "y").await;
    assert_eq!((status, &answer["status"]), (413, &json!(1)));

    let req = TestRequest::default().insert_header((CONTENT_LENGTH, "65")).to_http_request();
    req.extensions_mut().insert(BodyLimit(64));
    let error = read_body(&req, &mut Payload::None).await.expect_err("announced too large");
    assert_eq!(error.http_status().as_u16(), 413);

    let req = TestRequest::default().to_http_request();
    req.extensions_mut().insert(BodyLimit(64));
    let chunks = futures_util::stream::iter((0..3).map(|_| Ok(Bytes::from_static(&[b'x'; 30]))));
    let mut payload = Payload::Stream { payload: chunks.boxed_local() };
    let error = read_body(&req, &mut payload).await.expect_err("streamed too large");
    assert_eq!(error.http_status().as_u16(), 413);
}

#[actix_web::test]
async fn a_compressed_body_is_415() {
    let req = TestRequest::post().uri("/login").insert_header(("content-encoding", "gzip")).set_payload("x");
    assert_eq!(call(req).await.status().as_u16(), 415);
}

#[actix_web::test]
async fn the_fingerprint_tells_apart_bodies_and_paths() {
    let body = "account=a&code=7";
    let hash = async |path: &str, body: &'static str| {
        let req = TestRequest::post().uri(path).insert_header(("content-type", FORM)).set_payload(body);
        let answer: Value = test::read_body_json(call(req).await).await;
        answer["sha256"].as_str().expect("a hash").to_owned()
    };
    let first = hash("/login", body).await;
    assert_eq!(first, hash("/login", body).await);
    assert_ne!(first, hash("/other", body).await);
    assert_ne!(first, hash("/login?x=1", body).await);
    assert_ne!(first, hash("/login", "account=a&code=8").await);
}

#[actix_web::test]
async fn queries_are_read_by_the_same_rules() {
    let answer = call(TestRequest::get().uri("/q?account=%E7%AE%A1&code=1")).await;
    assert_eq!(test::read_body(answer).await, "管");
    for bad in ["/q", "/q?account=a&code=x", "/q?account=%FF&code=1"] {
        assert_eq!(call(TestRequest::get().uri(bad)).await.status().as_u16(), 400, "{bad}");
    }
}

#[actix_web::test]
async fn a_drop_in_entry_merges_query_and_body_of_any_type_and_keeps_both_raw() {
    let req = TestRequest::post()
        .uri("/m?account=q&code=1&z=a%2Bb")
        .insert_header(("content-type", "application/x-www-form-urlencoded;charset:utf-8;"))
        .set_payload("account=b+c");
    let answer: Value = test::read_body_json(call(req).await).await;
    assert_eq!(answer, json!({"account": "b c", "query": "account=q&code=1&z=a%2Bb", "body": "account=b+c"}));
    let req = TestRequest::post().uri("/m?code=1").set_payload(r#" {"account":"j"}"#);
    let answer: Value = test::read_body_json(call(req).await).await;
    assert_eq!(answer["account"], "j");
    let answer: Value = test::read_body_json(call(TestRequest::get().uri("/m?account=g&code=2")).await).await;
    assert_eq!(answer["account"], "g");
}
