use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use platform::seal;
use serde_json::json;
use testing::{CallbackReceiver, Received, Reply};

use crate::fixture::{Fixture, PARTNER, START_MS, change, number};

/// What a receiver does with the Standard Webhooks headers.
fn verifies(received: &Received, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut signed =
        format!("{}.{}.", received.header("webhook-id"), received.header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&received.body);
    let expected = format!("v1,{}", STANDARD.encode(seal::hmac_sha256(&key, &signed)));
    received.header("webhook-signature").split(' ').any(|s| s == expected)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_arrives_as_a_signed_standard_webhook() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (_, secret) = f.subscribe(&receiver.url("/cb?tenant=1")).await;
    let events = f.publish(&[change(1, 1)]).await;
    f.send().await;
    let received = receiver.received();
    assert_eq!(received.len(), 1);
    let callback = &received[0];
    assert_eq!((callback.method.as_str(), callback.path.as_str()), ("POST", "/cb?tenant=1"));
    assert_eq!(callback.header("content-type"), "application/json");
    assert_eq!(callback.header("webhook-id"), events[0].id);
    assert_eq!(callback.header("webhook-timestamp"), (START_MS / 1000).to_string());
    assert!(verifies(callback, &secret));
    assert!(!verifies(callback, &format!("whsec_{}", STANDARD.encode([7; 32]))));
    let body = callback.json();
    assert_eq!((&body["type"], &body["timestamp"]), (&json!("order.state_changed"), &json!(events[0].time)));
    let data = &body["data"];
    assert_eq!(
        (&data["number"], &data["total"], &data["type"]),
        (&json!(number(1)), &json!("1990"), &json!(1))
    );
    assert_eq!((&data["nick_name"], &data["mobile"]), (&json!("张**"), &json!("184****9907")));
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gth_receiver_gets_a_form_with_both_signatures_and_must_say_success() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let token = "jW5DoNjzP7NXb1nvf4ZKGb4bH0fWbbiwokzoyo8QX7cmSuy4l6";
    let body = json!({"partner_id": PARTNER, "url": receiver.url("/"), "dialect": "gth", "api_token": token});
    let (_, secret) = f.subscribe_with(body).await;
    receiver.answer_next([Reply::new(200, "received, but not done")]);
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    assert_eq!(f.deliveries("status=waiting").await.len(), 1, "200 without the word is no acknowledgement");
    f.after_ms(7_000);
    receiver.answer_next([Reply::new(200, r#"{"code": "200", "msg": "好"}"#)]);
    f.send().await;
    assert_eq!(f.deliveries("status=delivered").await.len(), 1);

    let received = receiver.received();
    let callback = &received[1];
    assert_eq!(callback.header("content-type"), "application/x-www-form-urlencoded");
    assert!(verifies(callback, &secret), "the standard signature is over the whole body as sent");
    let form = callback.form();
    let value = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap();
    assert_eq!((value("order_no"), value("outer_id"), value("state")), (number(1).as_str(), "outer-1", "1"));
    assert_eq!((value("status"), value("prev_status"), value("reason")), ("", "", ""));
    assert_eq!((value("order_seq"), value("type")), ("1", "1"));
    // The receiver's own arithmetic.
    let mut pairs: Vec<String> =
        form.iter().filter(|(n, v)| n != "sign" && !v.is_empty()).map(|(n, v)| format!("{n}={v}")).collect();
    pairs.sort();
    assert_eq!(value("sign"), hex::encode(Md5::digest(pairs.join("&") + token)));
    // The same stored bytes on every try.
    let without_sign = |r: &Received| r.text().split("&sign=").next().unwrap().to_owned();
    assert_eq!(without_sign(&received[0]), without_sign(&received[1]));
    assert_eq!(received[0].header("webhook-id"), received[1].header("webhook-id"));
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_token_a_gth_callback_has_no_sign() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe_with(json!({"partner_id": PARTNER, "url": receiver.url("/"), "dialect": "gth"})).await;
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    let received = receiver.received();
    assert!(!received[0].text().contains("sign="), "{}", received[0].text());
    assert!(!received[0].header("webhook-signature").is_empty());
    f.bed.finish().await;
}

/// One thread, so that the spans of this test are seen by everything that it runs.
#[tokio::test]
async fn a_callback_goes_on_with_the_trace_of_its_change_also_when_it_is_tried_again() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let _spans = tracing::subscriber::set_default(tracing_subscriber::registry());
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/new")).await;
    let token = "jW5DoNjzP7NXb1nvf4ZKGb4bH0fWbbiwokzoyo8QX7cmSuy4l6";
    f.subscribe_with(
        json!({"partner_id": PARTNER, "url": receiver.url("/old"), "dialect": "gth", "api_token": token}),
    )
    .await;
    let mut events: Vec<_> =
        [change(1, 1), change(2, 1)].iter().map(|c| f.bed.event_about(&c.order.number, c)).collect();
    events[0].traceparent = Some(TRACE.to_owned());
    receiver.answer_next([
        Reply::new(500, ""),
        Reply::new(500, ""),
        Reply::new(500, ""),
        Reply::new(500, ""),
    ]);
    f.bed.publish(&events).await;
    f.bed.settle().await;
    f.send().await;
    f.after_ms(10_000);
    f.send().await;
    let received = receiver.received();
    assert_eq!(received.len(), 8);
    for callback in received {
        // The older dialect is as its receivers know it, and a change without a trace has none to go on with.
        let traced = callback.path == "/new" && callback.header("webhook-id") == events[0].id;
        assert_eq!(callback.header("traceparent"), if traced { TRACE } else { "" }, "{callback:?}");
    }
    f.bed.finish().await;
}
