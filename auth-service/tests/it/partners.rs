use contracts::events::{DistributorChanged, KeyChanged, PartnerChanged, sealed};
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{Auth, PASSWORD, claims, statuses};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_is_made_with_its_login_and_the_others_are_told() {
    let auth = Auth::start().await;
    let body = json!({"name": "晨光书店 😀", "login": "ChenGuang", "password": PASSWORD, "privacy": "none", "goods": [3, "4"]});
    let id = auth.good("POST", "/api/partner", body).await["id"].as_i64().unwrap();
    let row = auth.good("GET", &format!("/api/partner/{id}"), json!(null)).await;
    assert_eq!(
        (&row["name"], &row["login"], &row["status"]),
        (&json!("晨光书店 😀"), &json!("ChenGuang"), &json!("enabled"))
    );
    assert_eq!(
        (&row["privacy"], &row["goods"], &row["key_count"]),
        (&json!("none"), &json!([3, 4]), &json!(0))
    );
    let token = auth.token("chenguang", PASSWORD).await;
    assert_eq!(claims(&token)["aud"], row["account_id"]);

    let told = auth.bed.published::<PartnerChanged>(1).await;
    let told = told.last().unwrap();
    assert_eq!(
        (told.id, told.version, told.name.as_str(), told.login.as_str()),
        (id, 1, "晨光书店 😀", "chenguang")
    );
    assert_eq!((told.enabled, told.deleted, told.privacy.as_str()), (true, false, "none"));
    assert_eq!(
        (told.goods_ids.as_slice(), Some(told.account_id)),
        ([3, 4].as_slice(), row["account_id"].as_i64())
    );
    let ctx = auth.ctx().await;
    let hash = ctx.platform.sealer.open(&sealed::partner_login(id), &told.login_hash_sealed).unwrap();
    assert!(hash.expose_secret().starts_with("$argon2id$"));
    assert!(ctx.platform.sealer.open(&sealed::partner_login(id + 1), &told.login_hash_sealed).is_err());
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_can_be_added_renamed_and_given_a_new_password() {
    let auth = Auth::start().await;
    let id = auth.good("POST", "/api/partner", json!({"name": "晨光"})).await["id"].as_i64().unwrap();
    let path = format!("/api/partner/{id}");
    assert_eq!(auth.good("GET", &path, json!(null)).await["account_id"], 0);
    for body in [json!({"login": "chenguang"}), json!({"password": PASSWORD})] {
        let answer = auth.send("PUT", &path, body.clone()).await;
        assert_eq!(statuses(&answer), (400, 1), "{body}");
    }
    auth.good("PUT", &path, json!({"login": "chenguang", "password": PASSWORD})).await;
    let token = auth.token("chenguang", PASSWORD).await;
    auth.good("PUT", &path, json!({"name": "晨光书店"})).await;
    assert!(auth.lives(&token).await);
    let account = claims(&token)["aud"].as_i64().unwrap();
    let nickname = auth.snapshot().await.accounts.into_iter().find(|a| a.id == account).unwrap().nickname;
    assert_eq!(nickname, "晨光书店");
    auth.good("PUT", &path, json!({"login": "cg-books"})).await;
    assert!(!auth.lives(&token).await);
    let token = auth.token("cg-books", PASSWORD).await;
    auth.good("PUT", &path, json!({"password": "Another-pond-5582"})).await;
    assert!(!auth.lives(&token).await);
    auth.log_in("cg-books", PASSWORD).await.expect_status(401);
    auth.token("cg-books", "Another-pond-5582").await;
    let told = auth.bed.published::<PartnerChanged>(5).await;
    let versions: Vec<i64> = told.iter().map(|t| t.version).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabling_a_partner_ends_its_tokens_and_closes_its_keys() {
    let auth = Auth::start().await;
    let id = auth.partner("chenguang").await;
    let path = format!("/api/partner/{id}");
    auth.good("POST", &format!("{path}/key"), json!({})).await;
    let token = auth.token("chenguang", PASSWORD).await;
    auth.good("PUT", &path, json!({"status": "disabled"})).await;
    assert!(!auth.lives(&token).await);
    auth.log_in("chenguang", PASSWORD).await.expect_status(401);
    let keys = auth.bed.published::<KeyChanged>(2).await;
    assert_eq!((keys[0].enabled, keys[1].enabled), (true, false));
    assert_eq!((keys[0].version, keys[1].version), (1, 2));
    auth.good("PUT", &path, json!({"status": "enabled"})).await;
    assert!(!auth.lives(&token).await, "an old token lives again");
    auth.token("chenguang", PASSWORD).await;
    assert!(auth.bed.published::<KeyChanged>(3).await[2].enabled);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_partner_ends_login_keys_and_distributors_and_frees_the_names() {
    let auth = Auth::start().await;
    let id = auth.partner("chenguang").await;
    let path = format!("/api/partner/{id}");
    auth.good("POST", &format!("{path}/key"), json!({})).await;
    let shop = auth.good("POST", "/api/distributor", json!({"partner_id": id, "name": "城南店"})).await;
    let token = auth.token("chenguang", PASSWORD).await;
    auth.good("DELETE", &path, json!(null)).await;
    assert!(!auth.lives(&token).await);
    for gone in [path.clone(), format!("{path}/key"), format!("/api/distributor/{}", shop["id"])] {
        assert_eq!(statuses(&auth.send("GET", &gone, json!(null)).await), (404, 7), "{gone}");
    }
    assert_eq!(auth.good("GET", "/api/partner", json!(null)).await["total"], 0);
    let told = auth.bed.published::<PartnerChanged>(2).await;
    assert_eq!((told[1].deleted, told[1].enabled, told[1].account_id), (true, false, 0));
    assert_eq!((told[1].login.as_str(), told[1].login_hash_sealed.as_str()), ("", ""));
    assert!(!auth.bed.published::<KeyChanged>(2).await[1].enabled);
    let again = auth.partner("chenguang").await;
    assert_ne!(again, id);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn names_and_logins_are_unique_also_under_concurrency() {
    let auth = Auth::start().await;
    let body = |name: &str, login: &str| json!({"name": name, "login": login, "password": PASSWORD});
    let answers =
        join_all((0..4).map(|_| auth.send("POST", "/api/partner", body("晨光", "chenguang")))).await;
    let mut got: Vec<_> = answers.iter().map(statuses).collect();
    got.sort_unstable();
    assert_eq!(got, [(200, 0), (400, 2), (400, 2), (400, 2)]);
    for (name, login) in [("晨光", "other"), ("other", "CHENGUANG"), ("other", "admin")] {
        assert_eq!(
            statuses(&auth.send("POST", "/api/partner", body(name, login)).await),
            (400, 2),
            "{name} {login}"
        );
    }
    assert_eq!(
        auth.good("GET", "/api/partner", json!(null)).await["total"],
        1,
        "a half-made partner was left"
    );
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_fields_are_named_and_lists_filtered() {
    let auth = Auth::start().await;
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(65))),
        ("name", json!({"a": 1})),
        ("login", json!("a b")),
        ("password", json!("short")),
        ("status", json!("maybe")),
        ("privacy", json!("everything")),
        ("goods", json!(["x"])),
        ("goods", json!([0])),
    ] {
        let mut body = json!({"name": "晨光", "login": "chenguang", "password": PASSWORD});
        body[field] = value.clone();
        let answer = auth.send("POST", "/api/partner", body).await;
        assert_eq!(statuses(&answer), (400, 1), "{field} {value}");
        let errors = answer.json()["errors"].clone();
        assert!(
            errors.as_object().unwrap().keys().any(|k| k.starts_with(field)),
            "{field} {value}: {errors}"
        );
    }
    auth.partner("chenguang").await;
    let other = auth.partner("haiyang").await;
    auth.good("PUT", &format!("/api/partner/{other}"), json!({"status": "disabled"})).await;
    for (query, total) in
        [("search=GUANG", 1), ("status=disabled", 1), ("status=enabled", 1), ("", 2), ("limit=1", 2)]
    {
        let list = auth.good("GET", &format!("/api/partner?{query}"), json!(null)).await;
        assert_eq!(list["total"], total, "{query}");
    }
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_distributor_is_made_changed_and_deleted_and_the_others_are_told() {
    let auth = Auth::start().await;
    let (a, b) = (auth.partner("chenguang").await, auth.partner("haiyang").await);
    let new = |partner: i64, name: &str| json!({"partner_id": partner, "name": name});
    let id = auth.good("POST", "/api/distributor", new(a, "城南店")).await["id"].as_i64().unwrap();
    assert_eq!(statuses(&auth.send("POST", "/api/distributor", new(a, "城南店")).await), (400, 2));
    auth.good("POST", "/api/distributor", new(b, "城南店")).await;
    assert_eq!(statuses(&auth.send("POST", "/api/distributor", new(999, "x")).await), (400, 1));
    let path = format!("/api/distributor/{id}");
    auth.good("PUT", &path, json!({"name": "城北店", "status": "disabled"})).await;
    let row = auth.good("GET", &path, json!(null)).await;
    assert_eq!(
        (&row["name"], &row["status"], &row["partner_id"]),
        (&json!("城北店"), &json!("disabled"), &json!(a))
    );
    let list = auth.good("GET", &format!("/api/distributor?partner_id={b}"), json!(null)).await;
    assert_eq!(list["total"], 1);
    auth.good("DELETE", &path, json!(null)).await;
    assert_eq!(statuses(&auth.send("PUT", &path, json!({"name": "x"})).await), (404, 7));
    auth.good("POST", "/api/distributor", new(a, "城北店")).await;
    let told: Vec<_> =
        auth.bed.published::<DistributorChanged>(5).await.into_iter().filter(|d| d.id == id).collect();
    assert_eq!(
        told.iter().map(|d| (d.version, d.enabled, d.deleted)).collect::<Vec<_>>(),
        [(1, true, false), (2, false, false), (3, false, true)]
    );
    auth.finish().await;
}
