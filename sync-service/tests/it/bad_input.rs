use serde_json::{Value, json};

use crate::fixture::{Fixture, PARTNER};

const PATH: &str = "/api/callback/subscription";
const URL: &str = "https://example.com/";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wrong_field_of_a_subscription_is_named() {
    let f = Fixture::new(&[]).await;
    let (id, _) = f.subscribe(URL).await;
    let long = "x".repeat(3000);
    let table: &[(&str, Value)] = &[
        ("url", json!(1)),
        ("url", json!("https://example.com/\u{0}")),
        ("url", json!(format!("https://example.com/{long}"))),
        ("url", json!(["https://example.com/"])),
        ("url", json!("😀")),
        ("partner_id", json!(-1)),
        ("partner_id", json!("五")),
        ("partner_id", json!(1e30)),
        ("dialect", json!("GTH")),
        ("dialect", json!(true)),
        ("types", json!([])),
        ("types", json!([3])),
        ("types", json!([1, 2, 1])),
        ("types", json!({"a": 1})),
        ("events", json!(["Pay"])),
        ("events", json!(["😀"])),
        ("events", json!(vec!["pay"; 33])),
        ("events", json!(true)),
        ("api_token", json!(long)),
        ("api_token", json!("a\u{0}b")),
        ("api_token", json!({})),
        ("rate_limit", json!(-1)),
        ("rate_limit", json!(1_000_000)),
        ("rate_limit", json!("schnell")),
        ("latest_wins", json!("vielleicht")),
        ("latest_wins", json!([])),
        ("status", json!("disabled")),
        ("status", json!("gone")),
        ("status", json!(7)),
    ];
    for (field, value) in table {
        let mut body = json!({"partner_id": PARTNER, "url": URL});
        body[field] = value.clone();
        let refused = f.app.post(PATH).json(&body).send().await.expect_status(400).json();
        assert_eq!(refused["status"], 1, "{field} = {value}");
        let named = refused["errors"].as_object().unwrap().keys().any(|k| k.split('.').next() == Some(field));
        assert!(named, "{field} = {value}: {refused}");
        if *field != "partner_id" {
            let body = json!({ *field: value });
            f.app.put(&format!("{PATH}/{id}")).json(&body).send().await.expect_status(400);
        }
    }
    let missing = f.app.post(PATH).json(&json!({})).send().await.expect_status(400).json();
    assert_eq!(missing["errors"]["url"], " url 不能为空");
    let english = f.app.post(PATH).header("accept-language", "en").json(&json!({})).send().await.json();
    assert_eq!(english["errors"]["url"], " url is required");
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_bodies_ids_and_queries_are_refused_in_our_form() {
    let f = Fixture::new(&[]).await;
    let (id, _) = f.subscribe(URL).await;
    for (media, body) in [
        ("application/json", "{"),
        ("application/json", "[]"),
        ("text/plain", "url=x"),
        ("application/json", "\u{1}"),
    ] {
        let refused = f.app.post(PATH).body(media, body).send().await.expect_status(400).json();
        assert_eq!(refused["status"], 1, "{media} {body}");
        f.app.put(&format!("{PATH}/{id}")).body(media, body).send().await.expect_status(400);
    }
    for id in ["abc", "0", "-1", "999999999", "99999999999999999999", "1.5", "%00"] {
        let one = format!("{PATH}/{id}");
        f.app.get(&one).send().await.expect_status(404);
        f.app.put(&one).json(&json!({})).send().await.expect_status(404);
        f.app.delete(&one).send().await.expect_status(404);
        f.app.get(&format!("/api/callback/delivery/{id}")).send().await.expect_status(404);
    }
    let queries = [
        "limit=0",
        "limit=1001",
        "limit=x",
        "cursor=0",
        "cursor=-1",
        "cursor=x",
        "status=gone",
        "event=%00",
        "event=Pay",
        "start=gestern",
        "end=2026-13-01",
        "partner_id=-1",
        "subscription_id=0",
        "number=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ];
    for query in queries {
        let refused =
            f.app.get(&format!("/api/callback/delivery?{query}")).send().await.expect_status(400).json();
        let field = query.split('=').next().unwrap();
        assert!(refused["errors"][field].is_string(), "{query}: {refused}");
    }
    for query in ["page=0", "page=x", "limit=0", "limit=1001", "status=x", "partner_id=x"] {
        f.app.get(&format!("{PATH}?{query}")).send().await.expect_status(400);
    }
    let (delivery, nothing) =
        ("/api/callback/delivery/1?cursor=x", "/api/callback/delivery?number=%F0%9F%98%80");
    f.app.get(delivery).send().await.expect_status(400);
    f.app.get(nothing).send().await.expect_status(200);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_in_past_the_gateway() {
    let f = Fixture::new(&[]).await;
    let (id, _) = f.subscribe(URL).await;
    let one = format!("{PATH}/{id}");
    let requests = [
        f.app.get(PATH),
        f.app.post(PATH).json(&json!({"url": URL})),
        f.app.get(&one),
        f.app.put(&one).json(&json!({})),
        f.app.delete(&one),
        f.app.get("/api/callback/delivery"),
        f.app.get("/api/callback/delivery/1"),
    ];
    for request in requests {
        let refused =
            request.without_gateway().header("x-partner-id", "5").send().await.expect_status(401).json();
        assert_eq!(refused["status"], 6);
    }
    f.bed.finish().await;
}
