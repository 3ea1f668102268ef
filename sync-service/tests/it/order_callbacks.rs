use serde_json::{Value, json};
use testing::{CallbackReceiver, Reply};

use crate::fixture::{Fixture, PARTNER, START_MS, change, number};

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
async fn order_service_is_told_every_step_by_its_place_and_nobody_else_is() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (id, _) = f.subscribe(&receiver.url("/")).await;
    receiver.answer_next([Reply::new(502, "")]);
    f.publish(&[change(1, 1), change(1, 2)]).await;
    f.send().await;
    // After the refusal, so that it meets the first order.
    f.publish(&[change(2, 1)]).await;
    f.after_ms(7_000);
    f.send().await;
    let path = format!("/internal/order/{}/callbacks", number(1));
    f.app.get(&path).without_gateway().send().await.expect_status(401);
    let ask = async |query: &str| {
        let answer = f.app.get(&format!("{path}?{query}")).send().await.expect_status(200).json();
        answer.as_array().unwrap().clone()
    };
    let all = ask("").await;
    let said = |e: &Value| match e["kind"].as_str().unwrap() {
        "message" => format!("{}: message {}", e["order_seq"], e["status"]),
        _ => format!("{}: try {} {} {}", e["order_seq"], e["try"], e["http_status"], e["acknowledged"]),
    };
    assert_eq!(
        all.iter().map(said).collect::<Vec<_>>(),
        [
            "1: message \"delivered\"",
            "2: message \"delivered\"",
            "1: try 1 502 false",
            "1: try 2 200 true",
            "2: try 1 200 true"
        ]
    );
    let (message, failed) = (&all[0], &all[2]);
    assert_eq!((&message["subscription_id"], &message["at"]), (&json!(id), &json!(START_MS)));
    assert_eq!((&failed["error"], &failed["delivery_id"]), (&json!("HTTP 502"), &message["delivery_id"]));
    assert!(failed["next_attempt_at"].as_i64().unwrap() >= START_MS + 5_000, "{failed}");
    assert_eq!(f.deliveries("").await.len(), 3, "the other order's are no part of it");
    let (mut place, mut by_twos) = ((0, 0), Vec::new());
    loop {
        let stretch = ask(&format!("at={}&id={}&limit=2", place.0, place.1)).await;
        let Some(last) = stretch.last() else { break };
        place = (last["at"].as_i64().unwrap(), last["id"].as_i64().unwrap());
        by_twos.extend(stretch);
    }
    assert_eq!(by_twos, all);
    for number in ["x", "0", &"9".repeat(500)] {
        let none = f.app.get(&format!("/internal/order/{number}/callbacks")).send().await;
        assert_eq!(none.expect_status(200).json(), json!([]), "{number}");
    }
    for bad in ["limit=0", "limit=1002", "at=-1", "id=x"] {
        f.app.get(&format!("{path}?{bad}")).send().await.expect_status(400);
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
