//! What people do with subscriptions and deliveries is in the audit: who, what, before and after or how many.

use contracts::{events::AuditRecorded, identity::ActorKind};
use serde_json::{Value, json};
use testing::{CallbackReceiver, Reply};

use crate::fixture::{Fixture, PARTNER, START_MS, change};

const HOUR_MS: i64 = 3_600_000;

impl Fixture {
    /// All entries so far, of which there are `n`.
    async fn told(&self, n: usize) -> Vec<AuditRecorded> {
        self.bed.settle().await;
        let entries = self.bed.published::<AuditRecorded>(n).await;
        let actions: Vec<&str> = entries.iter().map(|e| e.action.as_str()).collect();
        assert_eq!(entries.len(), n, "{actions:?}");
        entries
    }

    async fn do_it(&self, path: &str, body: Value) -> Value {
        let request = self.app.post(&format!("/api/callback/{path}")).as_account(7, "丽丽").json(&body);
        request.send().await.expect_status(200).json()["data"].clone()
    }
}

/// (action, target, id of the target)
fn what(entry: &AuditRecorded) -> (&str, &str, &str) {
    (&entry.action, &entry.target, &entry.target_id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_do_with_deliveries_is_told_with_its_count_and_refusals_are_not() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (id, _) = f.subscribe(&receiver.url("/")).await;
    let name = id.to_string();
    receiver.answer(Reply::new(404, ""));
    f.publish(&[change(1, 1), change(2, 1)]).await;
    while f.deliveries("status=parked").await.len() < 2 {
        f.after_ms(30 * HOUR_MS);
        f.send().await;
    }
    f.do_it("delivery/recover", json!({"since": "2026-11-21", "dry_run": true})).await;
    f.told(1).await;
    f.do_it("delivery/recover", json!({"since": "2026-11-21 00:00:00", "subscription_id": id})).await;
    f.do_it("delivery/recover", json!({"since": "2026-11-21", "partner_id": PARTNER})).await;
    f.do_it("delivery/recover", json!({"since": "2026-11-21"})).await;
    let entries = f.told(4).await;
    let midnight = (START_MS - START_MS % (24 * HOUR_MS)) / 1000 - 8 * 3600;
    assert_eq!(what(&entries[1]), ("delivery.recover", "subscription", name.as_str()));
    assert_eq!(entries[1].after, json!({"since": midnight, "count": 2}));
    assert_eq!((entries[1].actor.kind, entries[1].actor.id), (ActorKind::Account, 7));
    assert_eq!((entries[1].actor.name.as_str(), entries[1].request_id.is_empty()), ("丽丽", false));
    let partner = PARTNER.to_string();
    assert_eq!(what(&entries[2]), ("delivery.recover", "partner", partner.as_str()));
    assert_eq!((what(&entries[3]).2, &entries[3].after["count"]), ("*", &json!(0)), "nobody was left");

    receiver.answer(Reply::new(200, ""));
    f.send().await;
    let delivery = f.deliveries("").await[0]["id"].clone();
    let resend = format!("/api/callback/delivery/{delivery}/resend");
    f.app.post(&resend).as_partner(6).send().await.expect_status(404);
    f.app.post(&resend).as_partner(PARTNER).send().await.expect_status(200);
    let resent = f.told(5).await.remove(4);
    assert_eq!(what(&resent), ("delivery.resend", "delivery", delivery.to_string().as_str()));
    assert_eq!((resent.actor.kind, resent.actor.id), (ActorKind::Partner, 1000 + PARTNER));
    let view = |status: &str| json!({"subscription_id": id, "status": status, "tries": 1});
    assert_eq!((&resent.before, &resent.after), (&view("delivered"), &view("waiting")));

    let window = json!({"start": "2026-11-21", "end": "2026-11-21"});
    f.do_it(&format!("subscription/{id}/replay"), json!({"start": "2026-11-21", "dry_run": true})).await;
    f.do_it(&format!("subscription/{id}/replay"), window).await;
    let lacking = |dry_run: bool| json!({"subscription_id": id, "date": "2026-11-21", "dry_run": dry_run});
    f.do_it("statement", lacking(true)).await;
    f.do_it("statement", lacking(false)).await;
    let entries = f.told(7).await;
    assert_eq!(what(&entries[5]), ("subscription.replay", "subscription", name.as_str()));
    let replayed = json!({"start": midnight, "end": midnight + 86_399, "count": 2, "has_more": false});
    assert_eq!((&entries[5].before, &entries[5].after), (&Value::Null, &replayed));
    assert_eq!(what(&entries[6]), ("subscription.send_lacking", "subscription", name.as_str()));
    assert_eq!(entries[6].after, json!({"date": "2026-11-21", "count": 2, "has_more": false}));
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tests_probes_pauses_and_rotations_are_told_and_show_no_secret() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let (id, secret) = f.subscribe(&receiver.url("/")).await;
    let act = async |action: &str| f.do_it(&format!("subscription/{id}/{action}"), json!({})).await;
    receiver.answer_next([Reply::new(500, "geheime Antwort"), Reply::new(200, "")]);
    act("test").await;
    act("probe").await;
    act("pause").await;
    act("resume").await;
    let rotated = act("rotate-secret").await["secret"].as_str().unwrap().to_owned();
    // One that is probed when it is saved.
    let body = json!({"partner_id": PARTNER, "url": receiver.url("/second"), "probe": true});
    f.subscribe_with(body).await;
    let entries = f.told(8).await;
    let actions: Vec<&str> = entries.iter().map(|e| e.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "subscription.add",
            "subscription.test",
            "subscription.probe",
            "subscription.modify",
            "subscription.modify",
            "subscription.rotate_secret",
            "subscription.add",
            "subscription.probe",
        ]
    );
    assert_eq!(entries[1].after, json!({"acknowledged": false, "http_status": 500, "error": "HTTP 500"}));
    assert_eq!(entries[2].before, json!({"probe_result": "", "probed_at": 0}));
    assert_eq!(entries[2].after, json!({"probe_result": "accepts_anything", "probed_at": START_MS / 1000}));
    let status = |e: &AuditRecorded| (e.before["status"].clone(), e.after["status"].clone());
    assert_eq!(status(&entries[3]), (json!("active"), json!("paused")));
    assert_eq!(status(&entries[4]), (json!("paused"), json!("active")));
    let all = serde_json::to_string(&entries).unwrap();
    for hidden in [secret.as_str(), rotated.as_str(), "geheime"] {
        assert!(!all.contains(hidden), "{hidden} is in the audit");
    }
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_made_or_moved_by_the_drop_in_entry_are_told_once_as_the_partners() {
    let f = Fixture::with_partner(&[]).await;
    let register = "channels=2&api_token=geheim&api_url=https://example.com/";
    for path in ["a", "a", "b"] {
        f.sync(&format!("{register}{path}")).await;
    }
    f.publish(&[change(1, 1)]).await;
    f.sync("api_url=https://example.com/push").await;
    let entries = f.told(3).await;
    let actions: Vec<&str> = entries.iter().map(|e| e.action.as_str()).collect();
    assert_eq!(actions, ["subscription.add", "subscription.modify", "subscription.add"]);
    assert_eq!(entries[0].after["origin"], "drop_in");
    assert_eq!(
        (&entries[1].before["url"], &entries[1].after["url"]),
        (&json!("https://example.com/a"), &json!("https://example.com/b"))
    );
    assert_eq!(entries[2].after["origin"], "push");
    for entry in &entries {
        assert_eq!((entry.actor.kind, entry.actor.name.as_str()), (ActorKind::Partner, "晨光"));
        assert!(!entry.request_id.is_empty() && !entry.ip.is_empty(), "{entry:?}");
    }
    assert!(!serde_json::to_string(&entries).unwrap().contains("geheim"));
    f.bed.finish().await;
}
