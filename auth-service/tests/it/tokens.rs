use argon2::Params;
use auth_service::{entities::account, password::Hasher, tokens::jobs};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::{
    events::{PartnerChanged, PolicyChanged, TokenRevoked, sealed},
    identity::CallerKind,
};
use futures_util::future::join_all;
use platform::{clock::Clock, lifecycle::Turn, seal};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use testing::ADMIN_PASSWORD;

use crate::{Auth, NOW_MS, PASSWORD, claims, statuses};

fn is_hex8(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|s| s.len() == 8 && s.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_and_the_token_have_the_form_the_seeds_clients_know() {
    let auth = Auth::with_clock(Clock::manual(NOW_MS)).await;
    let answer = auth.log_in("admin", ADMIN_PASSWORD).await.expect_status(200).json();
    assert_eq!(answer["status"], 0);
    let data = &answer["data"];
    let mut keys: Vec<&String> = data.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["expire_time", "nickname", "token", "token_method", "token_type"]);
    assert_eq!(
        (&data["token_method"], &data["token_type"], &data["nickname"]),
        (&"HS256".into(), &"Bearer".into(), &"admin".into())
    );
    let now = NOW_MS / 1000;
    assert_eq!(data["expire_time"], now + 86_400);

    let token = data["token"].as_str().unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    let header = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    assert_eq!(header, r#"{"typ":"JWT","alg":"HS256","kid":"k1"}"#);
    let middle = claims(token);
    let names: Vec<&String> = middle.as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 9, "{middle}");
    assert!(is_hex8(&middle["code"]) && is_hex8(&middle["ident"]), "{middle}");
    assert_eq!(middle["device"], "");
    assert!(middle["aud"].is_i64(), "aud is a JSON number: {middle}");
    assert_eq!(middle["aud"], 1);
    assert_eq!(middle["iss"], "acp-api-test");
    assert_eq!(middle["sub"], "acp_mobile_user");
    assert_eq!((&middle["iat"], &middle["exp"]), (&json!(now), &json!(now + 86_400)));
    assert!(middle["jti"].as_str().unwrap().len() >= 16);

    let key = auth.bed.shared.settings.token_keys().remove(0);
    let signed = format!("{}.{}", parts[0], parts[1]);
    let mac = seal::hmac_sha256(key.secret.expose_secret().as_bytes(), signed.as_bytes());
    assert_eq!(parts[2], URL_SAFE_NO_PAD.encode(mac));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tokens_never_share_their_random_parts() {
    let auth = Auth::with_clock(Clock::manual(NOW_MS)).await;
    let (a, b) = (claims(&auth.admin_token().await), claims(&auth.admin_token().await));
    for name in ["code", "ident", "jti"] {
        assert_ne!(a[name], b[name], "{name}");
    }
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_token_key_signs_and_settings_name_subject_and_environment() {
    let auth = Auth::with(Clock::system(), |s| {
        let old = s.keys.token.take().unwrap();
        let new = format!("k2:{},{}", seal::random_token(32), old.expose_secret());
        s.keys.token = Some(new.into());
        s.auth.token_subject = "shop".into();
        s.environment = "staging".into();
    })
    .await;
    let token = auth.admin_token().await;
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!(header["kid"], "k2");
    assert_eq!((&claims(&token)["sub"], &claims(&token)["iss"]), (&json!("shop"), &json!("acp-api-staging")));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_device_header_stands_in_the_token() {
    let auth = Auth::start().await;
    let body = json!({"account": "admin", "password": ADMIN_PASSWORD});
    let with = |device: String| {
        auth.app.post("/api/access/token").anonymous().json(&body).header("x-device-id", &device)
    };
    let answer = with("iPhone 45".into()).send().await.expect_status(200).json();
    assert_eq!(claims(answer["data"]["token"].as_str().unwrap())["device"], "iPhone 45");
    let odd = with("x".repeat(129)).send().await;
    assert_eq!(statuses(&odd), (400, 1));
    assert!(odd.json()["errors"]["X-Device-Id"].is_string());
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_and_numbers_and_any_case_of_the_name_are_accepted() {
    let auth = Auth::start().await;
    let body = json!({"account": "13333891144", "password": "90817263545362", "nickname": "小朱"});
    auth.good("POST", "/api/account", body).await;
    let form =
        auth.app.post("/api/access/token").anonymous().form("account=13333891144&password=90817263545362");
    form.send().await.expect_status(200);
    let numbers = json!({"account": 13_333_891_144_i64, "password": 90_817_263_545_362_i64});
    let answer =
        auth.app.post("/api/access/token").anonymous().json(&numbers).send().await.expect_status(200).json();
    assert_eq!(answer["data"]["nickname"], "小朱");
    auth.log_in("ADMIN", ADMIN_PASSWORD).await.expect_status(200);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_account_wrong_password_and_disabled_account_answer_the_same() {
    let auth = Auth::start().await;
    let id = auth.account("lily", &[]).await;
    auth.good("PUT", &format!("/api/account/{id}"), json!({"enabled": false})).await;
    let mut bodies = Vec::new();
    let cases = [
        ("nobody", PASSWORD),
        ("admin", "not-the-password"),
        ("lily", PASSWORD),
        ("lily", "not-the-password"),
        ("ад\u{200b}мин😀", "x"),
    ];
    for (account, password) in cases {
        let answer = auth.log_in(account, password).await;
        assert_eq!(statuses(&answer), (401, 6), "{account}");
        bodies.push(answer.text());
    }
    assert!(bodies.windows(2).all(|w| w[0] == w[1]), "{bodies:?}");
    let english = auth.app.post("/api/access/token").anonymous().header("accept-language", "en");
    let english = english.json(&json!({"account": "nobody", "password": "x"})).send().await.json();
    assert_eq!(english["error"], "wrong account or password");
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logging_out_ends_this_token_and_no_other() {
    let auth = Auth::with_clock(Clock::manual(NOW_MS)).await;
    let (one, other) = (auth.admin_token().await, auth.admin_token().await);
    let jti = claims(&one)["jti"].as_str().unwrap().to_owned();
    let before = auth.snapshot().await.version;
    for _ in 0..2 {
        auth.log_out(&one).await.expect_status(200);
    }
    assert!(!auth.lives(&one).await && auth.lives(&other).await);
    let snapshot = auth.snapshot().await;
    assert!(snapshot.version > before);
    let listed: Vec<_> = snapshot.revoked.iter().filter(|r| r.jti == jti).collect();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].exp >= claims(&one)["exp"].as_i64().unwrap(), "forgotten while it would still be good");
    let told = auth.bed.published::<TokenRevoked>(2).await;
    assert_eq!((told[0].jti.as_str(), told[0].account_id), (jti.as_str(), 1));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_forgotten_once_it_would_have_expired() {
    let clock = Clock::manual(NOW_MS);
    let auth = Auth::with_clock(clock.clone()).await;
    let token = auth.admin_token().await;
    auth.log_out(&token).await.expect_status(200);
    let ctx = auth.ctx().await;
    let version = auth.snapshot().await.version;
    assert_eq!(jobs::purge(&ctx).await.unwrap(), Turn::Idle);
    assert_eq!(auth.snapshot().await.revoked.len(), 1);
    clock.advance_ms(86_400_000);
    assert_eq!(auth.snapshot().await.revoked.len(), 0, "an expired token need not be listed");
    assert_eq!(jobs::purge(&ctx).await.unwrap(), Turn::Done);
    assert_eq!(jobs::purge(&ctx).await.unwrap(), Turn::Idle);
    assert_eq!(auth.snapshot().await.version, version, "forgetting is no change of the policy");
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ending_all_tokens_spares_those_made_after_it_within_the_same_second() {
    // The clock stands still: every token and every end falls into one second.
    let auth = Auth::with_clock(Clock::manual(NOW_MS)).await;
    let mut old = vec![auth.admin_token().await];
    for round in 0..3 {
        let answer = auth.good("POST", "/api/access/revoke", json!({"account_id": 1})).await;
        assert_eq!(answer["id"], 1);
        let new = auth.admin_token().await;
        for token in &old {
            assert!(!auth.lives(token).await, "round {round}: an old token lives");
        }
        assert!(auth.lives(&new).await, "round {round}: a new token is dead");
        assert_eq!(claims(&new)["exp"].as_i64().unwrap() - claims(&new)["iat"].as_i64().unwrap(), 86_400);
        old.push(new);
    }
    let told = auth.bed.published::<TokenRevoked>(3).await;
    assert!(told.iter().all(|t| t.jti.is_empty() && t.account_id == 1));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ending_all_tokens_of_an_unknown_account_is_404() {
    let auth = Auth::start().await;
    let answer = auth.send("POST", "/api/access/revoke", json!({"account_id": 999})).await;
    assert_eq!(statuses(&answer), (404, 7));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logins_racing_a_change_of_password_leave_no_token_of_the_old_one() {
    let auth = Auth::with(Clock::system(), |s| s.auth.login_failures_per_account = 1000).await;
    let id = auth.account("lily", &[]).await;
    let path = format!("/api/account/{id}");
    let change = auth.send("PUT", &path, json!({"password": "Another-pond-5582"}));
    let logins = join_all((0..12).map(|_| auth.log_in("lily", PASSWORD)));
    let (changed, logins) = tokio::join!(change, logins);
    changed.expect_status(200);
    for answer in logins {
        if answer.status() == 200 {
            let token = answer.json()["data"]["token"].as_str().unwrap().to_owned();
            assert!(!auth.lives(&token).await, "a token of the old password lives");
        } else {
            assert_eq!(statuses(&answer), (401, 6));
        }
    }
    let token = auth.token("lily", "Another-pond-5582").await;
    assert!(auth.lives(&token).await);
    auth.log_in("lily", PASSWORD).await.expect_status(401);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ones_own_password_needs_the_present_one_and_ends_all_tokens() {
    let auth = Auth::start().await;
    let id = auth.account("lily", &[]).await;
    let token = auth.token("lily", PASSWORD).await;
    let change = |old: &str, new: &str| {
        let body = json!({"old_password": old, "password": new});
        auth.app.post("/api/access/password").as_account(id, "lily").json(&body).send()
    };
    let wrong = change("not-the-password", "Another-pond-5582").await;
    assert_eq!(statuses(&wrong), (400, 1));
    assert!(wrong.json()["errors"]["old_password"].is_string());
    let weak = change(PASSWORD, "1234567890").await;
    assert!(weak.json()["errors"]["password"].is_string());
    assert!(auth.lives(&token).await);
    change(PASSWORD, "Another-pond-5582").await.expect_status(200);
    assert!(!auth.lives(&token).await);
    auth.token("lily", "Another-pond-5582").await;
    auth.log_in("lily", PASSWORD).await.expect_status(401);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_a_token_cannot_guess_the_password_with_it() {
    let auth = Auth::with(Clock::system(), |s| s.auth.login_failures_per_account = 3).await;
    let body = json!({"old_password": "guess", "password": "Another-pond-5582"});
    for _ in 0..3 {
        let answer = auth.send("POST", "/api/access/password", body.clone()).await;
        assert_eq!(statuses(&answer), (400, 1));
    }
    let answer = auth.send("POST", "/api/access/password", body).await;
    assert_eq!(statuses(&answer), (429, 9));
    assert_eq!(statuses(&auth.log_in("admin", ADMIN_PASSWORD).await), (429, 9));
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_tells_whose_it_is_and_what_it_opens() {
    let auth = Auth::start().await;
    let role = auth.role("clerks", &["AUDIT_LIST", "ACCOUNT_LIST"]).await;
    let id = auth.account("lily", &[role]).await;
    let me = auth.app.get("/api/access/me").as_account(id, "lily").send().await.expect_status(200).json();
    assert_eq!(me["data"]["account"], "lily");
    assert_eq!(me["data"]["permissions"], json!(["ACCOUNT_LIST", "AUDIT_LIST"]));
    assert_eq!((&me["data"]["kind"], &me["data"]["last_login_at"]), (&json!("account"), &json!(0)));
    auth.token("lily", PASSWORD).await;
    let me = auth.app.get("/api/access/me").as_account(id, "lily").send().await.json();
    assert!(me["data"]["last_login_at"].as_i64().unwrap() > 0);
    auth.app.get("/api/access/me").anonymous().send().await.expect_status(401);
    auth.finish().await;
}

/// Gives an account the hash of weaker parameters, as an older version would have.
async fn weaken(auth: &Auth, account: &str, password: &str) -> String {
    let weak = Hasher::new(Params::new(8, 1, 1, None).unwrap());
    let hash = weak.hash(&SecretString::from(password)).await.unwrap();
    account::Entity::update_many()
        .col_expr(account::Column::PasswordHash, hash.as_str().into())
        .filter(account::Column::AccountKey.eq(account))
        .exec(auth.app.db().conn())
        .await
        .unwrap();
    hash
}

async fn hash_of(auth: &Auth, name: &str) -> String {
    let row =
        account::Entity::find().filter(account::Column::AccountKey.eq(name)).one(auth.app.db().conn()).await;
    row.unwrap().unwrap().password_hash.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_renews_a_hash_of_older_parameters_and_tells_who_keeps_it() {
    let auth = Auth::start().await;
    auth.account("lily", &[]).await;
    let partner = auth.partner("chenguang").await;
    for name in ["lily", "chenguang"] {
        let weak = weaken(&auth, name, PASSWORD).await;
        auth.log_in(name, "not-the-password").await.expect_status(401);
        assert_eq!(hash_of(&auth, name).await, weak);
        let token = auth.token(name, PASSWORD).await;
        assert!(auth.lives(&token).await);
        assert!(hash_of(&auth, name).await.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{name}");
        let renewed = hash_of(&auth, name).await;
        auth.token(name, PASSWORD).await;
        assert_eq!(hash_of(&auth, name).await, renewed, "hashed again without need");
    }
    let told = auth.bed.published::<PartnerChanged>(2).await;
    let last = told.last().unwrap();
    let sealer = auth.ctx().await.platform.sealer;
    let opened = sealer.open(&sealed::partner_login(partner), &last.login_hash_sealed).unwrap();
    assert_eq!(opened.expose_secret(), hash_of(&auth, "chenguang").await);
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partners_login_gets_a_token_of_its_kind() {
    let auth = Auth::start().await;
    let partner = auth.partner("chenguang").await;
    let token = auth.token("chenguang", PASSWORD).await;
    let id = claims(&token)["aud"].as_i64().unwrap();
    let snapshot = auth.snapshot().await;
    let account = snapshot.accounts.iter().find(|a| a.id == id).unwrap();
    assert_eq!((account.kind, account.partner_id), (CallerKind::Partner, partner));
    assert!(account.role_ids.is_empty());
    let me = auth.app.get("/api/access/me").as_account(id, "chenguang").send().await.json();
    assert_eq!((&me["data"]["kind"], &me["data"]["partner_id"]), (&json!("partner"), &json!(partner)));
    assert!(!auth.bed.published::<PolicyChanged>(2).await.is_empty());
    auth.finish().await;
}
