use contracts::events::AuditRecorded;
use serde_json::{Value, json};

use crate::fixture::{Fixture, PARTNER};

const PATH: &str = "/api/callback/subscription";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_is_made_read_changed_and_deleted() {
    let f = Fixture::new(&[]).await;
    let body = json!({
        "partner_id": PARTNER, "url": "https://example.com/cb", "dialect": "gth", "types": [2], "events": ["pay", "edit"],
        "api_token": "geheim-123", "rate_limit": 10, "latest_wins": true,
    });
    let (id, secret) = f.subscribe_with(body).await;
    assert!(secret.starts_with("whsec_") && secret.len() > 40);
    let one = format!("{PATH}/{id}");
    let shown = f.app.get(&one).send().await.expect_status(200).json()["data"].clone();
    let expected = json!({
        "id": id, "partner_id": PARTNER, "url": "https://example.com/cb", "dialect": "gth", "types": [2],
        "events": ["pay", "edit"], "rate_limit": 10, "latest_wins": true, "status": "active", "status_reason": "",
        "has_api_token": true, "asymmetric": false,
        "origin": "api", "failing_since": 0, "probe_result": "", "probed_at": 0, "created_at": f.clock.now_s(), "updated_at": f.clock.now_s(),
    });
    assert_eq!(shown, expected);
    f.after_ms(5_000);
    let answer = f
        .app
        .put(&one)
        .form("dialect=standard&types[]=1&types[]=2&events=&api_token=&status=paused")
        .send()
        .await;
    assert_eq!(answer.expect_status(200).json(), json!({"status": 0, "data": {"id": id}}));
    let changed = f.app.get(&one).send().await.expect_status(200).json()["data"].clone();
    assert_eq!(
        (&changed["dialect"], &changed["types"], &changed["events"]),
        (&json!("standard"), &json!([1, 2]), &json!([]))
    );
    assert_eq!((&changed["status"], &changed["has_api_token"]), (&json!("paused"), &json!(false)));
    assert_eq!(
        (&changed["url"], &changed["latest_wins"]),
        (&json!("https://example.com/cb"), &json!(true)),
        "absent = unchanged"
    );
    assert_eq!(changed["updated_at"].as_i64().unwrap(), f.clock.now_s());
    f.app.delete(&one).send().await.expect_status(200);
    f.app.get(&one).send().await.expect_status(404);
    f.app.put(&one).json(&json!({})).send().await.expect_status(404);
    f.app.delete(&one).send().await.expect_status(404);
    let told = f.bed.published::<AuditRecorded>(3).await;
    let actions: Vec<&str> = told.iter().map(|e| e.action.as_str()).collect();
    assert_eq!(actions, ["subscription.add", "subscription.modify", "subscription.delete"]);
    assert_eq!((&told[0].after, &told[1].before, &told[1].after), (&shown, &shown, &changed));
    assert_eq!((&told[2].before, told[2].target_id.clone()), (&changed, id.to_string()));
    assert!(!format!("{told:?}").contains("geheim") && !format!("{told:?}").contains(&secret));
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_sees_and_makes_its_own_only() {
    let f = Fixture::new(&[]).await;
    let (house, _) = f.subscribe_with(json!({"url": "https://example.com/house"})).await;
    let (foreign, _) = f.subscribe_with(json!({"partner_id": 6, "url": "https://example.com/6"})).await;
    let mine =
        f.app.post(PATH).as_partner(PARTNER).json(&json!({"url": "https://example.com/5"})).send().await;
    let mine = mine.expect_status(200).json()["data"]["id"].clone();
    let list = |partner| f.app.get(PATH).as_partner(partner).send();
    let ids = |answer: &Value| {
        answer["data"]["data"].as_array().unwrap().iter().map(|s| s["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&list(PARTNER).await.json()), std::slice::from_ref(&mine));
    assert_eq!(ids(&list(6).await.json()), [json!(foreign)]);
    // The filter of operators does not open the door.
    let asked = f.app.get(&format!("{PATH}?partner_id=6")).as_partner(PARTNER).send().await.json();
    assert_eq!(ids(&asked), [mine]);
    let for_another = json!({"partner_id": 6, "url": "https://example.com/"});
    f.app.post(PATH).as_partner(PARTNER).json(&for_another).send().await.expect_status(400);
    for id in [house, foreign] {
        let one = format!("{PATH}/{id}");
        f.app.get(&one).as_partner(PARTNER).send().await.expect_status(404);
        f.app
            .put(&one)
            .as_partner(PARTNER)
            .json(&json!({"status": "paused"}))
            .send()
            .await
            .expect_status(404);
        f.app.delete(&one).as_partner(PARTNER).send().await.expect_status(404);
    }
    let all = f.app.get(PATH).send().await.json();
    assert_eq!(
        (&all["data"]["total"], &all["data"]["current_page"], &all["data"]["per_page"]),
        (&json!(3), &json!(1), &json!(20))
    );
    let second = f.app.get(&format!("{PATH}?page=2&limit=2")).send().await.json();
    assert_eq!((ids(&second), &second["data"]["last_page"]), (vec![json!(house)], &json!(2)));
    let houses = f.app.get(&format!("{PATH}?partner_id=0&status=active")).send().await.json();
    assert_eq!(ids(&houses), [json!(house)]);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_shown_once_and_stored_sealed() {
    let f = Fixture::new(&[]).await;
    let body = json!({"partner_id": PARTNER, "url": "https://example.com/", "dialect": "gth", "api_token": "geheim-123"});
    let (id, secret) = f.subscribe_with(body).await;
    let plain = secret.strip_prefix("whsec_").unwrap();
    for path in [PATH.to_owned(), format!("{PATH}/{id}"), "/api/callback/delivery".to_owned()] {
        let text = f.app.get(&path).send().await.expect_status(200).text();
        assert!(!text.contains(plain) && !text.contains("geheim-123"), "{path}: {text}");
    }
    let sql = sea_orm::Statement::from_string(
        f.app.db().conn().get_database_backend(),
        "SELECT secret, api_token FROM subscription",
    );
    use sea_orm::ConnectionTrait;
    let row = f.app.db().conn().query_one_raw(sql).await.unwrap().unwrap();
    for column in ["secret", "api_token"] {
        let stored: String = row.try_get("", column).unwrap();
        assert!(
            stored.starts_with("v1.e1") && !stored.contains(plain) && !stored.contains("geheim"),
            "{stored}"
        );
    }
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_cannot_have_endlessly_many() {
    let f = Fixture::new(&[]).await;
    for n in 0..100 {
        f.subscribe(&format!("https://example.com/{n}")).await;
    }
    let body = json!({"partner_id": PARTNER, "url": "https://example.com/"});
    let refused = f.app.post(PATH).json(&body).send().await.expect_status(400).json();
    assert_eq!(refused["status"], 2);
    f.bed.finish().await;
}
