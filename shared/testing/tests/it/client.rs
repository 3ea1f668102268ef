use platform::clock::Clock;
use serde_json::json;
use testing::{Client, TestBed, raw_http};

use crate::mini;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_sees_the_caller_the_test_asks_as() {
    let bed = TestBed::new().await;
    let app = bed.start(mini::report(&bed.shared).await).await;
    let admin = app.get("/api/whoami").send().await.expect_status(200).json();
    assert_eq!(admin, json!({"kind": "account", "account_id": 1, "nickname": "admin", "partner": null}));
    let other = app.get("/api/whoami").as_account(5, "小李").send().await.json();
    assert_eq!((&other["account_id"], &other["nickname"]), (&json!(5), &json!("小李")));
    let partner = app.get("/api/whoami").as_partner(7).send().await.json();
    assert_eq!((&partner["kind"], &partner["partner"]), (&json!("partner"), &json!(7)));
    assert_eq!(app.get("/api/whoami").anonymous().send().await.json()["kind"], "anonymous");
    app.get("/api/whoami").without_gateway().send().await.expect_status(401);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_and_answers_pass_unchanged() {
    let bed = TestBed::new().await;
    let app = bed.start(mini::report(&bed.shared).await).await;
    let answer = app.put("/api/echo?a=%20b&c=1").header("x-own", "1").json(&json!({"报": 1})).send().await;
    assert_eq!((answer.status(), answer.header("X-Echo")), (200, "yes"));
    let seen = answer.json();
    assert_eq!((&seen["method"], &seen["query"]), (&json!("PUT"), &json!("a=%20b&c=1")));
    assert_eq!((&seen["type"], &seen["own"]), (&json!("application/json"), &json!("1")));
    assert_eq!(seen["body"], "{\"报\":1}");
    let form = app.post("/api/echo").form("a[0][b]=1").send().await.json();
    assert_eq!(
        (&form["type"], &form["body"]),
        (&json!("application/x-www-form-urlencoded"), &json!("a[0][b]=1"))
    );
    let key = async || app.post("/api/echo").idempotency_key().send().await.json()["key"].clone();
    assert_ne!(key().await, key().await);
    assert_eq!(app.delete("/api/nowhere").send().await.expect_status(404).json()["status"], 7);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_signed_on_the_beds_own_clock() {
    let clock = Clock::manual(1_000_000_000_000);
    let bed = TestBed::with_clock(clock.clone()).await;
    let app = bed.start(mini::report(&bed.shared).await).await;
    app.get("/api/whoami").send().await.expect_status(200);
    clock.advance_ms(3_600_000);
    app.get("/api/whoami").send().await.expect_status(200);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unexpected_status_shows_the_body() {
    let bed = TestBed::new().await;
    let app = bed.start(mini::report(&bed.shared).await).await;
    let answer = app.get("/api/nowhere").send().await;
    let failed = std::panic::catch_unwind(move || answer.expect_status(200)).unwrap_err();
    let message = failed.downcast_ref::<String>().unwrap();
    assert!(message.contains("GET /api/nowhere answered 404") && message.contains("资源不存在"), "{message}");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_client_signs_nothing_and_a_raw_request_goes_as_written() {
    let bed = TestBed::new().await;
    let app = bed.start(mini::report(&bed.shared).await).await;
    Client::plain(app.base()).get("/api/whoami").send().await.expect_status(401);
    Client::plain("http://127.0.0.1:1").get("/").try_send().await.unwrap_err();
    let address = app.base().strip_prefix("http://").unwrap().parse().unwrap();
    let answer = raw_http(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nok"), "{answer}");
    bed.finish().await;
}
