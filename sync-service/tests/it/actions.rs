use std::collections::HashSet;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use platform::seal;
use serde_json::{Value, json};
use testing::{CallbackReceiver, Received, Reply};

use crate::fixture::{Fixture, PARTNER, arrived, change, states};

const PATH: &str = "/api/callback/subscription";
const HOUR_MS: i64 = 3_600_000;

fn v1(received: &Received, secret: &str) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let head = format!("{}.{}.", received.header("webhook-id"), received.header("webhook-timestamp"));
    format!("v1,{}", STANDARD.encode(seal::hmac_sha256(&key, &[head.as_bytes(), &received.body].concat())))
}

impl Fixture {
    async fn act(&self, id: i64, action: &str, body: Value) -> Value {
        let answer = self.app.post(&format!("{PATH}/{id}/{action}")).json(&body).send().await;
        answer.expect_status(200).json()["data"].clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_and_resume_hold_back_and_let_go() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (id, _) = f.subscribe(&receiver.url("/")).await;
    assert_eq!(f.act(id, "pause", json!({})).await, json!({"id": id}));
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    assert!(receiver.received().is_empty());
    f.act(id, "resume", json!({})).await;
    f.send().await;
    assert_eq!(arrived(&receiver.received()), [(1, 1)]);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_is_signed_rightly_and_a_probe_wrongly() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (id, secret) = f.subscribe(&receiver.url("/")).await;
    let tried = f.act(id, "test", json!({})).await;
    assert_eq!(
        (&tried["acknowledged"], &tried["http_status"], &tried["answer"]),
        (&json!(true), &json!(200), &json!("success"))
    );
    let test = &receiver.received()[0];
    assert_eq!(test.header("webhook-signature"), v1(test, &secret));
    assert!(test.header("webhook-id").starts_with("test_") && test.json()["type"] == "callback.test");

    let probed = f.act(id, "probe", json!({})).await;
    assert_eq!(probed["probe_result"], "accepts_anything", "it acknowledged a wrong signature");
    let probe = &receiver.received()[1];
    assert_ne!(probe.header("webhook-signature"), v1(probe, &secret));
    let shown = f.app.get(&format!("{PATH}/{id}")).send().await.json()["data"].clone();
    assert_eq!(
        (&shown["probe_result"], &shown["probed_at"]),
        (&json!("accepts_anything"), &json!(f.clock.now_s()))
    );

    receiver.answer_next([Reply::new(401, "bad signature")]);
    assert_eq!(f.act(id, "probe", json!({})).await["probe_result"], "checks");
    receiver.answer_next([Reply::close()]);
    assert_eq!(f.act(id, "probe", json!({})).await["probe_result"], "no_answer");
    assert!(f.deliveries("").await.is_empty(), "neither is a delivery");
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_of_a_gth_receiver_has_a_wrong_sign_and_can_be_asked_for_on_saving() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    receiver.answer_next([Reply::new(200, "sign error")]);
    let body = json!({"partner_id": PARTNER, "url": receiver.url("/"), "dialect": "gth", "api_token": "t", "probe": true});
    let (id, _) = f.subscribe_with(body).await;
    let form = receiver.received()[0].form();
    let mut pairs: Vec<String> =
        form.iter().filter(|(n, v)| n != "sign" && !v.is_empty()).map(|(n, v)| format!("{n}={v}")).collect();
    pairs.sort();
    let sign = &form.iter().find(|(n, _)| n == "sign").unwrap().1;
    assert_ne!(*sign, hex::encode(Md5::digest(pairs.join("&") + "t")));
    let shown = f.app.get(&format!("{PATH}/{id}")).send().await.json()["data"].clone();
    assert_eq!(shown["probe_result"], "checks");
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_secret_is_rotated_both_sign_and_then_the_new_one_alone() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (id, old) = f.subscribe(&receiver.url("/")).await;
    let rotated = f.act(id, "rotate-secret", json!({"overlap_hours": 2})).await;
    let new = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    let during = &receiver.received()[0];
    assert_eq!(during.header("webhook-signature"), format!("{} {}", v1(during, &new), v1(during, &old)));
    f.after_ms(2 * HOUR_MS);
    f.publish(&[change(1, 2)]).await;
    f.send().await;
    let after = &receiver.received()[1];
    assert_eq!(after.header("webhook-signature"), v1(after, &new));
    // Without an overlap the old one ends at once.
    let newest =
        f.act(id, "rotate-secret", json!({"overlap_hours": 0})).await["secret"].as_str().unwrap().to_owned();
    f.publish(&[change(1, 3)]).await;
    f.send().await;
    let last = &receiver.received()[2];
    assert_eq!(last.header("webhook-signature"), v1(last, &newest));
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_an_api_token_is_rotated_a_receiver_with_the_old_one_still_gets_a_sign_it_knows() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let body = json!({"partner_id": PARTNER, "url": receiver.url("/"), "dialect": "gth", "api_token": "old"});
    let (id, _) = f.subscribe_with(body).await;
    f.act(id, "rotate-secret", json!({"overlap_hours": 1, "api_token": "new"})).await;
    let signed_with = |r: &Received, token: &str| {
        let form = r.form();
        let mut pairs: Vec<String> = form
            .iter()
            .filter(|(n, v)| n != "sign" && !v.is_empty())
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        pairs.sort();
        form.last().unwrap() == &("sign".to_owned(), hex::encode(Md5::digest(pairs.join("&") + token)))
    };
    receiver.answer_next([Reply::new(200, "sign error"), Reply::new(200, "success")]);
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    let received = receiver.received();
    assert!(signed_with(&received[0], "new") && signed_with(&received[1], "old"));
    assert_eq!(f.deliveries("status=delivered").await.len(), 1);
    f.after_ms(HOUR_MS);
    receiver.answer_next([Reply::new(200, "sign error")]);
    f.publish(&[change(1, 2)]).await;
    f.send().await;
    assert_eq!(
        (receiver.received().len(), f.deliveries("status=waiting").await.len()),
        (3, 1),
        "the overlap is over"
    );
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_asymmetric_subscription_is_signed_with_the_published_key_as_well() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let body = json!({"partner_id": PARTNER, "url": receiver.url("/"), "asymmetric": true});
    let (_, secret) = f.subscribe_with(body).await;
    f.publish(&[change(1, 1)]).await;
    // Every replica signs with the same key.
    f.another_sender().await.run_once().await.unwrap();
    let received = &receiver.received()[0];
    let keys = f.app.get("/api/callback/keys").anonymous().send().await.expect_status(200).json();
    let public = keys["data"][0]["public_key"].as_str().unwrap().strip_prefix("whpk_").unwrap();
    let (symmetric, asymmetric) = received.header("webhook-signature").split_once(' ').unwrap();
    assert_eq!(symmetric, v1(received, &secret));
    let signature = STANDARD.decode(asymmetric.strip_prefix("v1a,").unwrap()).unwrap();
    let head = format!("{}.{}.", received.header("webhook-id"), received.header("webhook-timestamp"));
    let public = UnparsedPublicKey::new(&ED25519, STANDARD.decode(public).unwrap());
    public.verify(&[head.as_bytes(), &received.body].concat(), &signature).expect("a good signature");
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_delivery_is_sent_again_with_the_same_webhook_id() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    let id = f.deliveries("").await[0]["id"].clone();
    let path = format!("/api/callback/delivery/{id}/resend");
    f.app.post(&path).as_partner(6).send().await.expect_status(404);
    f.app.post(&path).as_partner(PARTNER).send().await.expect_status(200);
    assert_eq!(f.deliveries("status=waiting").await.len(), 1);
    f.send().await;
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    assert_eq!(
        (received[0].header("webhook-id"), &received[0].body),
        (received[1].header("webhook-id"), &received[1].body)
    );
    assert_eq!(f.detail(&id).await["attempts"].as_array().unwrap().len(), 2);
    // One that waits for its next try goes at once.
    receiver.answer_next([Reply::new(500, "")]);
    f.publish(&[change(2, 1)]).await;
    f.send().await;
    let waiting = f.deliveries("status=waiting").await[0]["id"].clone();
    f.app.post(&format!("/api/callback/delivery/{waiting}/resend")).send().await.expect_status(200);
    f.send().await;
    assert_eq!(f.deliveries("status=delivered").await.len(), 2);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parked_deliveries_are_counted_and_then_recovered_in_order() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (id, _) = f.subscribe(&receiver.url("/")).await;
    receiver.answer(Reply::new(404, ""));
    f.publish(&[change(1, 1), change(1, 2), change(2, 1)]).await;
    // Each runs through its whole schedule; the second of order 1 begins when the first has been parked.
    while f.deliveries("status=parked").await.len() < 3 {
        f.after_ms(30 * HOUR_MS);
        f.send().await;
    }
    let before = receiver.received().len();
    receiver.answer(Reply::new(200, ""));
    let recover = async |body: Value, partner: Option<i64>| {
        let request = f.app.post("/api/callback/delivery/recover").json(&body);
        let request = if let Some(partner) = partner { request.as_partner(partner) } else { request };
        request.send().await.expect_status(200).json()["data"].clone()
    };
    let counted = recover(json!({"since": "2026-11-21", "dry_run": true}), None).await;
    assert_eq!(counted, json!({"count": 3, "has_more": false, "dry_run": true}));
    assert_eq!(recover(json!({"since": "2026-11-22", "dry_run": true}), None).await["count"], 0);
    assert_eq!(recover(json!({"since": "2026-11-21", "partner_id": PARTNER}), Some(6)).await["count"], 0);
    assert_eq!(recover(json!({"since": "2026-11-21", "subscription_id": id + 1}), None).await["count"], 0);
    f.send().await;
    assert_eq!(receiver.received().len(), before, "counting sends nothing");
    assert_eq!(
        recover(json!({"since": "2026-11-21 00:00:00", "subscription_id": id}), Some(PARTNER)).await["count"],
        3
    );
    f.send().await;
    let received = arrived(&receiver.received()[before..]);
    assert_eq!(received.len(), 3);
    assert_eq!(received.iter().filter(|(o, _)| *o == 1).map(|(_, s)| *s).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(f.deliveries("status=parked").await.len(), 0);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_is_replayed_as_far_as_the_subscription_wants_it() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (first, _) = f.subscribe(&receiver.url("/first")).await;
    f.publish(&[change(1, 1), change(1, 2), change(2, 1)]).await;
    f.send().await;
    assert_eq!(receiver.received().len(), 3);
    f.after_ms(48 * HOUR_MS);
    f.publish(&[change(3, 1)]).await;
    f.send().await;
    // One that is made today can have what happened before it.
    let (second, _) = f
        .subscribe_with(json!({"partner_id": PARTNER, "url": receiver.url("/second"), "events": ["place"]}))
        .await;
    let window = json!({"start": "2026-11-21", "end": "2026-11-22"});
    let mut dry = window.clone();
    dry["dry_run"] = json!(true);
    assert_eq!(f.act(second, "replay", dry).await, json!({"count": 2, "has_more": false, "dry_run": true}));
    assert_eq!(f.act(second, "replay", window.clone()).await["count"], 2);
    assert_eq!(f.act(first, "replay", window).await["count"], 3);
    f.send().await;
    let received = receiver.received();
    let of =
        |path: &str| arrived(&received[4..].iter().filter(|r| r.path == path).cloned().collect::<Vec<_>>());
    let mut seconds = of("/second");
    seconds.sort_unstable();
    assert_eq!(seconds, [(1, 1), (2, 1)]);
    let again = of("/first");
    assert_eq!(
        again.iter().filter(|(o, _)| *o == 1).map(|(_, s)| *s).collect::<Vec<_>>(),
        [1, 2],
        "in order"
    );
    assert_eq!(again.len(), 3);
    let ids =
        |range: &[Received]| range.iter().map(|r| r.header("webhook-id").to_owned()).collect::<HashSet<_>>();
    let replayed: Vec<Received> = received[4..].iter().filter(|r| r.path == "/first").cloned().collect();
    assert_eq!(ids(&received[..3]), ids(&replayed), "the same ids");
    assert_eq!(
        states(&f.deliveries(&format!("subscription_id={first}")).await).len(),
        4,
        "no second delivery"
    );
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_on_what_is_not_ones_own_or_with_bad_input_are_refused() {
    let f = Fixture::new(&[]).await;
    let (id, _) = f.subscribe("https://example.com/").await;
    for action in ["pause", "resume", "test", "probe", "rotate-secret", "replay"] {
        let body = json!({"start": "2026-11-21"});
        f.app
            .post(&format!("{PATH}/{id}/{action}"))
            .as_partner(6)
            .json(&body)
            .send()
            .await
            .expect_status(404);
        f.app.post(&format!("{PATH}/0/{action}")).json(&body).send().await.expect_status(404);
        f.app.post(&format!("{PATH}/x/{action}")).json(&body).send().await.expect_status(404);
    }
    let refused = [
        (format!("{PATH}/{id}/rotate-secret"), json!({"overlap_hours": 169}), "overlap_hours"),
        (format!("{PATH}/{id}/rotate-secret"), json!({"overlap_hours": "x"}), "overlap_hours"),
        (format!("{PATH}/{id}/rotate-secret"), json!({"api_token": ["x"]}), "api_token"),
        (format!("{PATH}/{id}/replay"), json!({}), "start"),
        (format!("{PATH}/{id}/replay"), json!({"start": "gestern"}), "start"),
        (format!("{PATH}/{id}/replay"), json!({"start": "2026-11-21", "end": "x"}), "end"),
        (format!("{PATH}/{id}/replay"), json!({"start": "2026-11-21", "dry_run": "x"}), "dry_run"),
        ("/api/callback/delivery/recover".into(), json!({}), "since"),
        ("/api/callback/delivery/recover".into(), json!({"since": 5}), "since"),
        (
            "/api/callback/delivery/recover".into(),
            json!({"since": "2026-11-21", "subscription_id": 0}),
            "subscription_id",
        ),
        (
            "/api/callback/delivery/recover".into(),
            json!({"since": "2026-11-21", "partner_id": -1}),
            "partner_id",
        ),
    ];
    for (path, body, field) in refused {
        let answer = f.app.post(&path).json(&body).send().await.expect_status(400).json();
        assert!(answer["errors"][field].is_string(), "{path} {body}: {answer}");
    }
    for id in ["0", "x", "99999999999999999999"] {
        f.app.post(&format!("/api/callback/delivery/{id}/resend")).send().await.expect_status(404);
    }
    f.app
        .post("/api/callback/delivery/recover")
        .body("application/json", "{")
        .send()
        .await
        .expect_status(400);
    f.bed.finish().await;
}
