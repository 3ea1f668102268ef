use std::{net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::json;
use testing::{CallbackReceiver, Reply};

use crate::fixture::{Fixture, PARTNER, change};

/// A name server of the attacker's: every name leads to these addresses.
struct Names(Vec<&'static str>);

impl Resolve for Names {
    fn resolve(&self, _: Name) -> Resolving {
        let found: Vec<SocketAddr> =
            self.0.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        Box::pin(async move {
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_not_followed() {
    let (outside, inside) = (CallbackReceiver::start().await, CallbackReceiver::start().await);
    let f = Fixture::new(&[&outside]).await;
    f.subscribe(&outside.url("/")).await;
    for status in [301, 302, 303, 307, 308] {
        outside.answer_next([Reply::with_headers(status, &[("location", &inside.url("/admin"))], "")]);
        f.publish(&[change(status.into(), 1)]).await;
        f.send().await;
    }
    assert!(inside.received().is_empty());
    let waiting = f.deliveries("status=waiting").await;
    assert_eq!(waiting.len(), 5);
    assert!(waiting.iter().all(|d| d["last_error"].as_str().unwrap().contains("redirects are not followed")));
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_inside_is_refused_when_it_is_dialled() {
    let inside = CallbackReceiver::start().await;
    let port = inside.address().port();
    let f = Fixture::with("", Arc::new(Names(vec!["127.0.0.1", "::1", "169.254.169.254"]))).await;
    // Nothing is wrong with the URL itself.
    f.subscribe(&format!("http://rebind.example:{port}/")).await;
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    assert!(inside.received().is_empty());
    let error = f.deliveries("status=waiting").await[0]["last_error"].clone();
    assert_eq!(error, "the name leads to an address that callbacks may not reach");
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_named_with_its_port_is_reached_wherever_it_is() {
    let inside = CallbackReceiver::start().await;
    let port = inside.address().port();
    let f = Fixture::with(&format!("inbox.local:{port}"), Arc::new(Names(vec!["127.0.0.1"]))).await;
    f.subscribe(&format!("http://inbox.local:{port}/")).await;
    let other = CallbackReceiver::start().await;
    f.subscribe(&format!("http://inbox.local:{}/", other.address().port())).await;
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    assert_eq!((inside.received().len(), other.received().len()), (1, 0), "its other ports stay shut");
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_inside_is_no_callback_url() {
    let f = Fixture::with("", Arc::new(Names(vec!["127.0.0.1"]))).await;
    let urls = [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0177.0.0.1:8080/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://user:pass@example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "example.com",
    ];
    let (id, _) = f.subscribe("https://example.com/cb").await;
    for url in urls {
        let refused = f
            .app
            .post("/api/callback/subscription")
            .json(&json!({"partner_id": PARTNER, "url": url}))
            .send()
            .await;
        let refused = refused.expect_status(400).json();
        assert_eq!(refused["status"], 1, "{url}");
        assert!(refused["errors"]["url"].is_string(), "{url}: {refused}");
        let path = format!("/api/callback/subscription/{id}");
        f.app.put(&path).json(&json!({"url": url})).send().await.expect_status(400);
    }
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_no_longer_allow_an_address_stop_it_at_once() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    f.publish(&[change(1, 1)]).await;
    let mut strict = (*f.ctx.platform.settings).clone();
    strict.callback_allow = String::new();
    let mut platform = f.ctx.platform.clone();
    platform.settings = Arc::new(strict);
    let engine =
        sync_service::delivery::engine::Engine::new(&platform, Arc::new(Names(vec![]))).await.unwrap();
    engine.run_once().await.unwrap();
    assert!(receiver.received().is_empty());
    let error = f.deliveries("status=waiting").await[0]["last_error"].as_str().unwrap().to_owned();
    assert!(error.contains("inside the house"), "{error}");
    f.bed.finish().await;
}
