use serde_json::{Value, json};
use testing::{CallbackReceiver, Reply};

use crate::fixture::{Fixture, PARTNER, change, number};

impl Fixture {
    async fn why(&self, order: i64) -> Value {
        let path = format!("/api/order/{}/callbacks", number(order));
        let answer = self.app.get(&path).as_partner(PARTNER).header("accept-language", "en").send().await;
        answer.expect_status(200).json()["data"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sentence_says_why_the_partner_has_or_has_not_got_it() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let path = format!("/api/order/{}/callbacks", number(1));
    f.app.get(&path).send().await.expect_status(404);
    f.publish(&[change(1, 1)]).await;
    assert!(f.why(1).await["sentence"].as_str().unwrap().contains("no subscription wants them"));
    let (id, _) = f.subscribe(&receiver.url("/")).await;
    assert!(f.why(1).await["sentence"].as_str().unwrap().contains("older than the subscriptions"));
    receiver.answer_next([Reply::new(502, "")]);
    f.publish(&[change(1, 2), change(1, 3)]).await;
    f.send().await;
    let failing = f.why(1).await;
    let sentence = failing["sentence"].as_str().unwrap();
    let start = format!(
        "the receiver of subscription {id} has not acknowledged change 2: 1 tries (HTTP 502), the next try is at 2026-11-21 "
    );
    assert!(
        sentence.starts_with(&start) && sentence.ends_with("1 later changes wait their turn"),
        "{sentence}"
    );
    assert_eq!(
        (failing["changes"].as_array().unwrap().len(), failing["deliveries"].as_array().unwrap().len()),
        (3, 2)
    );
    assert_eq!(failing["subscriptions"][0]["waiting"], 2);
    f.app.post(&format!("/api/callback/subscription/{id}/pause")).send().await.expect_status(200);
    assert!(f.why(1).await["sentence"].as_str().unwrap().contains("is paused"));
    f.app.post(&format!("/api/callback/subscription/{id}/resume")).send().await.expect_status(200);
    f.after_ms(6_000);
    f.send().await;
    let done = f.why(1).await;
    assert!(done["sentence"].as_str().unwrap().starts_with("all 2 callbacks were acknowledged"), "{done}");
    let chinese = f.app.get(&path).send().await.json()["data"]["sentence"].as_str().unwrap().to_owned();
    assert!(chinese.starts_with("全部 2 次回调均已被接收方确认"), "{chinese}");
    f.app.get(&path).as_partner(6).send().await.expect_status(404);
    for number in ["x", "%00", "0", &"9".repeat(500)] {
        f.app.get(&format!("/api/order/{number}/callbacks")).send().await.expect_status(404);
    }
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_can_be_copied_as_curl() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let body =
        json!({"partner_id": PARTNER, "url": receiver.url("/cb"), "dialect": "gth", "api_token": "geheim"});
    f.subscribe_with(body).await;
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    let id = f.deliveries("").await[0]["id"].clone();
    let curl = f.detail(&id).await["attempts"][0]["curl"].as_str().unwrap().to_owned();
    let received = &receiver.received()[0];
    assert!(
        curl.contains(&receiver.url("/cb")) && curl.contains(received.header("webhook-signature")),
        "{curl}"
    );
    assert!(curl.ends_with(&format!("--data-binary '{}'", received.text())), "the very bytes: {curl}");
    assert!(!curl.contains("geheim"));
    f.bed.finish().await;
}
