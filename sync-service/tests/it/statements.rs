use platform::seal;
use serde_json::{Value, json};
use testing::CallbackReceiver;

use crate::fixture::{Fixture, PARTNER, arrived, change, number};

const PATH: &str = "/api/callback/statement";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_compute_the_same_proof_of_a_day() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    let mut distributed = change(2, 1);
    distributed.order.distributor_id = 8;
    f.publish(&[change(1, 1), distributed, change(1, 2)]).await;
    f.after_ms(86_400_000);
    f.publish(&[change(1, 3)]).await;
    f.send().await;
    // The partner's side, from what arrived.
    let mut lines: Vec<(String, i64, String)> = receiver
        .received()
        .iter()
        .filter(|r| r.json()["timestamp"].as_str().unwrap().starts_with("2026-11-21"))
        .map(|r| {
            let data = &r.json()["data"];
            (
                data["number"].as_str().unwrap().to_owned(),
                data["order_seq"].as_i64().unwrap(),
                r.header("webhook-id").to_owned(),
            )
        })
        .collect();
    lines.sort();
    let list: String = lines.iter().map(|(n, s, id)| format!("{n},{s},{id}\n")).collect();
    let ours = f
        .app
        .get(&format!("{PATH}?date=2026-11-21"))
        .as_partner(PARTNER)
        .send()
        .await
        .expect_status(200)
        .json()["data"]
        .clone();
    let expected = json!({
        "partner_id": PARTNER, "date": "2026-11-21", "count": 3, "orders": 2, "sha256": seal::sha256_hex(list.as_bytes()),
        "data": [{"number": number(1), "order_seq": 2}, {"number": number(2), "order_seq": 1}], "next_cursor": "",
    });
    assert_eq!(ours, expected);
    let stretch = f
        .app
        .get(&format!("{PATH}?date=2026-11-21&partner_id={PARTNER}&limit=1"))
        .send()
        .await
        .json()["data"]
        .clone();
    assert_eq!((&stretch["sha256"], &stretch["next_cursor"]), (&ours["sha256"], &json!(number(1))));
    let rest = f
        .app
        .get(&format!("{PATH}?date=2026-11-21&partner_id={PARTNER}&cursor={}", number(1)))
        .send()
        .await
        .json()["data"]
        .clone();
    assert_eq!(rest["data"], json!([{"number": number(2), "order_seq": 1}]));
    let next_day =
        f.app.get(&format!("{PATH}?date=2026-11-22")).as_partner(PARTNER).send().await.json()["data"].clone();
    assert_eq!((&next_day["count"], &next_day["data"][0]["order_seq"]), (&json!(1), &json!(3)));
    let empty =
        f.app.get(&format!("{PATH}?date=2020-01-01")).as_partner(PARTNER).send().await.json()["data"].clone();
    assert_eq!((&empty["count"], &empty["sha256"]), (&json!(0), &json!(seal::sha256_hex(b""))));
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_partner_lacks_of_a_day_is_sent() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (id, _) = f.subscribe(&receiver.url("/")).await;
    f.publish(&[change(1, 1), change(1, 2), change(1, 3), change(2, 1)]).await;
    f.send().await;
    let ask = async |body: Value, partner: i64| f.app.post(PATH).as_partner(partner).json(&body).send().await;
    let mut body = json!({
        "subscription_id": id, "date": "2026-11-21", "have": [{"number": number(1), "order_seq": 1}], "dry_run": true,
    });
    let counted = ask(body.clone(), PARTNER).await.expect_status(200).json()["data"].clone();
    assert_eq!(counted, json!({"count": 3, "has_more": false, "dry_run": true}));
    body["dry_run"] = json!(false);
    ask(body.clone(), 6).await.expect_status(404);
    assert_eq!(ask(body, PARTNER).await.expect_status(200).json()["data"]["count"], 3);
    f.send().await;
    let mut sent = arrived(&receiver.received()[4..]);
    sent.sort_unstable();
    assert_eq!(sent, [(1, 2), (1, 3), (2, 1)]);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_input_is_named() {
    let f = Fixture::new(&[]).await;
    for query in [
        "",
        "date=x",
        "date=2026-02-30",
        "date=2026-11-21&limit=0",
        "date=2026-11-21&partner_id=x",
        "date=2026-11-21&limit=10001",
    ] {
        f.app.get(&format!("{PATH}?{query}")).send().await.expect_status(400);
    }
    let bodies = [
        (json!({}), "date"),
        (json!({"date": "2026-11-21"}), "subscription_id"),
        (json!({"date": "x", "subscription_id": 1}), "date"),
        (json!({"date": "2026-11-21", "subscription_id": 1, "have": 5}), "have"),
        (json!({"date": "2026-11-21", "subscription_id": 1, "have": [{"number": "1"}]}), "have.0.order_seq"),
        (json!({"date": "2026-11-21", "subscription_id": 1, "have": [{"order_seq": 1}]}), "have.0.number"),
        (json!({"date": "2026-11-21", "subscription_id": 1, "dry_run": "x"}), "dry_run"),
    ];
    for (body, field) in bodies {
        let refused = f.app.post(PATH).json(&body).send().await.expect_status(400).json();
        assert!(refused["errors"][field].is_string(), "{body}: {refused}");
    }
    let nobody = json!({"date": "2026-11-21", "subscription_id": 1});
    f.app.post(PATH).json(&nobody).send().await.expect_status(404);
    f.app.post(PATH).body("application/json", "[").send().await.expect_status(400);
    f.bed.finish().await;
}
