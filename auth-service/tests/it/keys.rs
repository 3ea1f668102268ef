use std::sync::Arc;

use auth_service::{SEALED, entities::api_key};
use contracts::events::{KeyChanged, KeyOwner, KeyUsed, sealed};
use futures_util::future::join_all;
use platform::{
    clock::Clock,
    rewrap::{self, Count, Mode},
    seal,
    service::Shared,
};
use sea_orm::EntityTrait;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{Auth, NOW_MS, statuses};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_and_sk_are_shown_once_and_travel_hashed_and_sealed() {
    let auth = Auth::start().await;
    let partner = auth.partner("chenguang").await;
    let path = format!("/api/partner/{partner}/key");
    let body = json!({
        "name": "主站", "sign_required": true, "sign_method": "sha256", "quota_per_second": "5", "quota_per_day": 200,
        "apiuser": "cg", "apipwd": "s3cret", "ip_allow": ["203.0.113.7", "10.0.0.9/8"],
    });
    let made = auth.good("POST", &path, body).await;
    let (key, sk) = (made["key"].as_str().unwrap(), made["sk"].as_str().unwrap());
    assert!(key.starts_with("bdp_") && key.len() == 44, "{key}");
    assert!(sk.len() == 32 && sk.bytes().all(|b| b.is_ascii_hexdigit()), "{sk}");
    assert_eq!(made["prefix"], key[..12]);

    let listed = auth.good("GET", &path, json!(null)).await;
    let row = &listed["data"][0];
    assert!(!listed.to_string().contains(key) && !listed.to_string().contains(sk));
    assert_eq!(
        (&row["prefix"], &row["status"], &row["name"]),
        (&made["prefix"], &json!("active"), &json!("主站"))
    );
    assert_eq!((&row["sign_required"], &row["sign_method"]), (&json!(true), &json!("sha256")));
    assert_eq!((&row["quota_per_second"], &row["quota_per_day"]), (&json!(5), &json!(200)));
    assert_eq!((&row["apiuser"], &row["apipwd_set"]), (&json!("cg"), &json!(true)));
    assert_eq!(row["ip_allow"], json!(["203.0.113.7/32", "10.0.0.0/8"]));
    assert_eq!((&row["last_used_at"], &row["expires_at"]), (&json!(0), &json!(0)));
    assert_eq!(auth.good("GET", &format!("/api/partner/{partner}"), json!(null)).await["key_count"], 1);

    let told = auth.bed.published::<KeyChanged>(1).await.remove(0);
    assert_eq!(told.owner, KeyOwner::Partner { partner_id: partner });
    assert_eq!(told.key_sha256, seal::sha256_hex(key.as_bytes()));
    assert!(told.enabled);
    let settings = told.partner_settings.unwrap();
    assert!(settings.sign_required && settings.sign_method == "sha256");
    let sealer = auth.ctx().await.platform.sealer;
    let open =
        |context: String, value: &str| sealer.open(&context, value).unwrap().expose_secret().to_owned();
    assert_eq!(open(sealed::key_sk(&told.key_sha256), &settings.sk_sealed), sk);
    let md5 = "33e1b232a4e6fa0028a6670753749a17"; // of "s3cret"
    assert_eq!(open(sealed::key_apipwd(&told.key_sha256), &settings.apipwd_md5_sealed), md5);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_the_defaults_of_the_contract_and_its_settings_change() {
    let auth = Auth::start().await;
    let partner = auth.partner("chenguang").await;
    let path = format!("/api/partner/{partner}/key");
    let id = auth.good("POST", &path, json!({})).await["id"].as_i64().unwrap();
    let row = auth.good("GET", &path, json!(null)).await["data"][0].clone();
    assert_eq!((&row["sign_required"], &row["sign_method"]), (&json!(false), &json!("md5")));
    assert_eq!((&row["quota_per_second"], &row["quota_per_day"]), (&json!(1), &json!(10_000)));
    let key = format!("{path}/{id}");
    for (body, field) in [
        (json!({"apiuser": "cg"}), "apipwd"),
        (json!({"apipwd": "x"}), "apiuser"),
        (json!({"sign_method": "sha1"}), "sign_method"),
        (json!({"quota_per_second": 0}), "quota_per_second"),
        (json!({"ip_allow": ["example.com"]}), "ip_allow.0"),
        (json!({"expires_at": -1}), "expires_at"),
    ] {
        let answer = auth.send("PUT", &key, body.clone()).await;
        assert_eq!(statuses(&answer), (400, 1), "{body}");
        assert!(answer.json()["errors"][field].is_string(), "{body}: {}", answer.text());
    }
    auth.good(
        "PUT",
        &key,
        json!({"apiuser": "cg", "apipwd": "s3cret", "ip_allow": "203.0.113.7, 198.51.100.0/24"}),
    )
    .await;
    let row = auth.good("GET", &path, json!(null)).await["data"][0].clone();
    assert_eq!(
        (&row["apipwd_set"], &row["ip_allow"]),
        (&json!(true), &json!(["203.0.113.7/32", "198.51.100.0/24"]))
    );
    auth.good("PUT", &key, json!({"apiuser": "", "ip_allow": []})).await;
    let row = auth.good("GET", &path, json!(null)).await["data"][0].clone();
    assert_eq!(
        (&row["apiuser"], &row["apipwd_set"], &row["ip_allow"]),
        (&json!(""), &json!(false), &json!([]))
    );
    let told = auth.bed.published::<KeyChanged>(3).await;
    assert_eq!(told.iter().map(|k| k.version).collect::<Vec<_>>(), [1, 2, 3]);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotating_makes_a_second_key_and_lets_the_first_run_out() {
    let clock = Clock::manual(NOW_MS);
    let auth = Auth::with_clock(clock.clone()).await;
    let partner = auth.partner("chenguang").await;
    let path = format!("/api/partner/{partner}/key");
    let body = json!({"quota_per_day": 77, "apiuser": "cg", "apipwd": "s3cret"});
    let first = auth.good("POST", &path, body).await;
    let rotate = format!("{path}/{}/rotate", first["id"]);
    let second = auth.good("POST", &rotate, json!({"overlap_seconds": 3600})).await;
    assert_ne!((&first["key"], &first["sk"]), (&second["key"], &second["sk"]));
    assert_eq!(statuses(&auth.send("POST", &rotate, json!({})).await), (400, 2), "rotated twice");

    let rows = auth.good("GET", &path, json!(null)).await["data"].clone();
    assert_eq!((&rows[0]["status"], &rows[1]["status"]), (&json!("expiring"), &json!("active")));
    assert_eq!(rows[0]["expires_at"], NOW_MS / 1000 + 3600);
    assert_eq!((&rows[1]["root_id"], &rows[1]["quota_per_day"]), (&first["id"], &json!(77)));
    let told = auth.bed.published::<KeyChanged>(3).await;
    let new = told.iter().find(|k| Some(k.id) == second["id"].as_i64()).unwrap();
    assert_eq!((Some(new.root_id), new.expires_at), (first["id"].as_i64(), 0));
    let old = told.iter().rfind(|k| Some(k.id) == first["id"].as_i64()).unwrap();
    assert_eq!((old.expires_at, old.enabled), (NOW_MS + 3_600_000, true));
    let sealer = auth.ctx().await.platform.sealer;
    let apipwd = &new.partner_settings.as_ref().unwrap().apipwd_md5_sealed;
    assert!(sealer.open(&sealed::key_apipwd(&new.key_sha256), apipwd).is_ok(), "apipwd was lost on the way");

    clock.advance_ms(3_600_000);
    let rows = auth.good("GET", &path, json!(null)).await["data"].clone();
    assert_eq!(rows[0]["status"], "expired");
    assert_eq!(auth.good("GET", &format!("/api/partner/{partner}"), json!(null)).await["key_count"], 1);
    let third = auth.good("POST", &format!("{path}/{}/rotate", second["id"]), json!({})).await;
    let rows = auth.good("GET", &path, json!(null)).await["data"].clone();
    assert_eq!((&rows[2]["id"], &rows[2]["root_id"]), (&third["id"], &first["id"]));
    assert_eq!(rows[1]["expires_at"], NOW_MS / 1000 + 3600 + 86_400, "a day when nothing is said");
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_rotations_one_makes_a_key() {
    let auth = Auth::start().await;
    let partner = auth.partner("chenguang").await;
    let path = format!("/api/partner/{partner}/key");
    let id = auth.good("POST", &path, json!({})).await["id"].as_i64().unwrap();
    let rotate = format!("{path}/{id}/rotate");
    let answers = join_all((0..6).map(|_| auth.send("POST", &rotate, json!({})))).await;
    assert_eq!(answers.iter().filter(|a| a.status() == 200).count(), 1);
    assert_eq!(auth.good("GET", &path, json!(null)).await["total"], 2);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_dead_for_good_and_belongs_to_its_owner_alone() {
    let auth = Auth::start().await;
    let (partner, other) = (auth.partner("chenguang").await, auth.partner("haiyang").await);
    let supplier = auth.supplier("顺达").await;
    let path = format!("/api/partner/{partner}/key");
    let id = auth.good("POST", &path, json!({})).await["id"].as_i64().unwrap();
    for foreign in [format!("/api/partner/{other}/key/{id}"), format!("/api/supplier/{supplier}/key/{id}")] {
        for method in ["PUT", "DELETE"] {
            assert_eq!(
                statuses(&auth.send(method, &foreign, json!({})).await),
                (404, 7),
                "{method} {foreign}"
            );
        }
        assert_eq!(statuses(&auth.send("POST", &format!("{foreign}/rotate"), json!({})).await), (404, 7));
    }
    let key = format!("{path}/{id}");
    for _ in 0..2 {
        auth.good("DELETE", &key, json!(null)).await;
    }
    assert_eq!(auth.good("GET", &path, json!(null)).await["data"][0]["status"], "revoked");
    assert_eq!(statuses(&auth.send("PUT", &key, json!({"name": "x"})).await), (400, 2));
    assert_eq!(statuses(&auth.send("POST", &format!("{key}/rotate"), json!({})).await), (400, 2));
    let told = auth.bed.published::<KeyChanged>(2).await;
    assert_eq!(told.iter().map(|k| (k.version, k.enabled)).collect::<Vec<_>>(), [(1, true), (2, false)]);
    // The partner's status does not bring it back.
    for status in ["disabled", "enabled"] {
        auth.good("PUT", &format!("/api/partner/{partner}"), json!({"status": status})).await;
    }
    assert_eq!(auth.bed.published::<KeyChanged>(2).await.len(), 2);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supplier_key_opens_goods_and_has_no_sk() {
    let auth = Auth::start().await;
    let supplier = auth.supplier("顺达").await;
    let path = format!("/api/supplier/{supplier}/key");
    for body in [json!({}), json!({"goods_ids": []}), json!({"goods_ids": ["x"]}), json!({"goods_ids": [0]})]
    {
        assert_eq!(statuses(&auth.send("POST", &path, body.clone()).await), (400, 1), "{body}");
    }
    let made = auth.good("POST", &path, json!({"goods_ids": [7, 3, 7]})).await;
    assert!(made["key"].as_str().unwrap().starts_with("bds_"));
    assert!(made.get("sk").is_none());
    let told = auth.bed.published::<KeyChanged>(1).await.remove(0);
    let owner = |goods_ids: Vec<i64>, name: &str| KeyOwner::Supplier {
        supplier_id: supplier,
        supplier_name: name.into(),
        goods_ids,
    };
    assert_eq!((told.owner, told.partner_settings), (owner(vec![3, 7], "顺达"), None));
    auth.good("PUT", &format!("{path}/{}", made["id"]), json!({"goods_ids": "[9]"})).await;
    auth.good("PUT", &format!("/api/supplier/{supplier}"), json!({"name": "顺达二部"})).await;
    auth.good("PUT", &format!("/api/supplier/{supplier}"), json!({"status": "disabled"})).await;
    auth.good("PUT", &format!("/api/supplier/{supplier}"), json!({"remark": "说明"})).await;
    let told = auth.bed.published::<KeyChanged>(4).await;
    assert_eq!(told.len(), 4, "a remark is no news about keys");
    assert_eq!((&told[2].owner, told[2].enabled), (&owner(vec![9], "顺达二部"), true));
    assert!(!told[3].enabled);
    let listed = auth.good("GET", &path, json!(null)).await;
    assert_eq!(
        (&listed["data"][0]["goods_ids"], &listed["data"][0]["status"]),
        (&json!([9]), &json!("active"))
    );
    let rotated = auth.good("POST", &format!("{path}/{}/rotate", made["id"]), json!({})).await;
    assert_ne!(rotated["key"], made["key"]);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_owner_has_a_bounded_number_of_live_keys() {
    let auth = Auth::start().await;
    let supplier = auth.supplier("顺达").await;
    let path = format!("/api/supplier/{supplier}/key");
    let answers = join_all((0..105).map(|_| auth.send("POST", &path, json!({"goods_ids": [1]})))).await;
    let made: Vec<Value> = answers.iter().filter(|a| a.status() == 200).map(|a| a.json()).collect();
    assert_eq!(made.len(), 100);
    assert!(answers.iter().filter(|a| a.status() != 200).all(|a| statuses(a) == (400, 2)));
    auth.good("DELETE", &format!("{path}/{}", made[0]["data"]["id"]), json!(null)).await;
    auth.good("POST", &path, json!({"goods_ids": [1]})).await;
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_use_of_a_key_comes_with_events_in_any_order() {
    let auth = Auth::start().await;
    let partner = auth.partner("chenguang").await;
    let path = format!("/api/partner/{partner}/key");
    let key_id = auth.good("POST", &path, json!({})).await["id"].as_i64().unwrap();
    let used = |at: i64, sign: &str| auth.bed.event(&KeyUsed { key_id, at, sign: sign.into() });
    let events =
        [used(3_000_000, "none"), used(9_000_000, "sha256"), used(5_000_000, "md5"), used(1_000_000, "md5")];
    auth.bed.publish(&events).await;
    let unknown = auth.bed.event(&KeyUsed { key_id: 4711, at: 1, sign: "none".into() });
    auth.bed.publish(&[unknown, events[0].clone()]).await;
    auth.bed.settle().await;
    let row = auth.good("GET", &path, json!(null)).await["data"][0].clone();
    assert_eq!((&row["last_used_at"], &row["last_md5_at"]), (&json!(9000), &json!(5000)));
    auth.good("PUT", &format!("{path}/{key_id}"), json!({"name": "x"})).await;
    let row = auth.good("GET", &path, json!(null)).await["data"][0].clone();
    assert_eq!(row["last_used_at"], 9000, "a change of settings lost the last use");
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_envelope_key_seals_again_what_the_old_one_sealed() {
    let auth = Auth::start().await;
    let partner = auth.partner("chenguang").await;
    let path = format!("/api/partner/{partner}/key");
    let body = json!({"apiuser": "cg", "apipwd": "s3cret"});
    let mut sks = Vec::new();
    for _ in 0..3 {
        sks.push(auth.good("POST", &path, body.clone()).await["sk"].as_str().unwrap().to_owned());
    }
    let mut settings = auth.bed.shared.settings.as_ref().clone();
    let old = settings.keys.envelope.take().unwrap();
    settings.keys.envelope = Some(format!("e2:{},{}", seal::random_token(32), old.expose_secret()).into());
    let rotated = crate::ctx(&Shared { settings: Arc::new(settings), ..auth.bed.shared.clone() }).await;
    let rotate =
        async || rewrap::run(auth.app.db(), &rotated.platform.sealer, SEALED, Mode::Rewrap).await.unwrap();
    let whole = Count { values: 3, present: 3, rewrapped: 3, broken: 0 };
    assert_eq!(rotate().await, [whole; 2]);
    assert_eq!(rotate().await, [Count { rewrapped: 0, ..whole }; 2], "sealed again without need");
    let rows = api_key::Entity::find().all(auth.app.db().conn()).await.unwrap();
    for (row, sk) in rows.iter().zip(&sks) {
        assert!(row.sk_sealed.0.starts_with("v1.e2.") && row.apipwd_md5_sealed.0.starts_with("v1.e2."));
        let opened =
            rotated.platform.sealer.open(&sealed::key_sk(&row.key_sha256), &row.sk_sealed.0).unwrap();
        assert_eq!(opened.expose_secret(), sk);
    }
    auth.finish().await;
}
