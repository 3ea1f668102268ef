use std::collections::BTreeMap;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use contracts::events::{
    KeyChanged, KeyOwner, KeyUsed, PartnerChanged, PartnerKeySettings, TokenRevoked, sealed,
};
use md5::{Digest, Md5};
use platform::seal;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use testing::{Answer, CallbackReceiver, Reply};

use crate::fixture::{Fixture, PARTNER, arrived, change, number};

const ENTRY: &str = "/api/gth/syc/order";
const KEY: &str = "35kj5jnlj53453kl5j43nj5";
const SK: &str = "56777ab62ff752fbd57ab7228fc2fc43";
const LOGIN: &str = "name=Admin&password=123456";
const ACCOUNT: i64 = 77;

/// As auth-service tells of it: no quotas a test would run into, no signature demanded.
fn open_settings(f: &Fixture, key: &str) -> PartnerKeySettings {
    let sha256 = seal::sha256_hex(key.as_bytes());
    PartnerKeySettings {
        sign_required: false,
        sign_method: "md5".into(),
        quota_per_second: 0,
        quota_per_day: 10_000,
        apiuser: String::new(),
        apipwd_md5_sealed: String::new(),
        ip_allow: Vec::new(),
        sk_sealed: f.ctx.platform.sealer.seal(&sealed::key_sk(&sha256), SK.as_bytes()),
    }
}

fn key(id: i64, version: i64, key: &str, settings: PartnerKeySettings) -> KeyChanged {
    KeyChanged {
        id,
        version,
        owner: KeyOwner::Partner { partner_id: PARTNER },
        key_sha256: seal::sha256_hex(key.as_bytes()),
        prefix: key[..6].into(),
        enabled: true,
        expires_at: 0,
        root_id: 0,
        partner_settings: Some(settings),
    }
}

fn partner(f: &Fixture, version: i64) -> PartnerChanged {
    let quick = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
    let hash = quick.hash_password_with_salt(b"123456", b"salt-of-16-bytes").unwrap().to_string();
    PartnerChanged {
        id: PARTNER,
        version,
        name: "晨光".into(),
        account_id: ACCOUNT,
        enabled: true,
        privacy: "masked".into(),
        login: "admin".into(),
        login_hash_sealed: f.ctx.platform.sealer.seal(&sealed::partner_login(PARTNER), hash.as_bytes()),
        goods_ids: Vec::new(),
        deleted: false,
    }
}

impl Fixture {
    /// A fixture whose partner has a login and a key.
    pub async fn with_partner(receivers: &[&CallbackReceiver]) -> Self {
        let f = Self::new(receivers).await;
        let events = [f.bed.event(&partner(&f, 1)), f.bed.event(&key(12, 1, KEY, open_settings(&f, KEY)))];
        f.bed.publish(&events).await;
        f.bed.settle().await;
        f
    }

    async fn key_changed(&self, changed: &KeyChanged) {
        self.bed.publish(&[self.bed.event(changed)]).await;
        self.bed.settle().await;
    }

    async fn get(&self, query: &str) -> Value {
        self.app.get(&format!("{ENTRY}?{query}")).anonymous().send().await.expect_status(200).json()
    }

    /// A call that must succeed, with key and login.
    pub async fn sync(&self, query: &str) -> Value {
        let answer = self.get(&format!("key={KEY}&{LOGIN}&{query}")).await;
        assert_eq!((&answer["code"], &answer["msg"]), (&json!(200), &json!("请求成功")), "{answer}");
        answer["data"].clone()
    }

    async fn code(&self, query: &str) -> i64 {
        self.get(query).await["code"].as_i64().unwrap()
    }
}

/// (order, order_seq) of an answer of channel 1.
pub fn orders(data: &Value) -> Vec<(i64, i64)> {
    let row =
        |o: &Value| (o["number"].as_str().unwrap()[10..].parse().unwrap(), o["order_seq"].as_i64().unwrap());
    data["list"].as_array().unwrap().iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_come_once_and_again_only_when_they_changed() {
    let f = Fixture::with_partner(&[]).await;
    let mut distributed = change(2, 1);
    distributed.order.distributor_id = 8;
    let mut foreign = change(3, 1);
    foreign.order.partner_id = 6;
    f.publish(&[change(1, 1), distributed, foreign, change(1, 2), change(4, 1)]).await;
    let own = f.sync("").await;
    assert_eq!(orders(&own), [(1, 2), (4, 1)], "the newest state of each, own orders only");
    assert_eq!((&own["total"], &own["has_more"]), (&json!(2), &json!(false)));
    let row = &own["list"][0];
    assert_eq!(
        (&row["mobile"], &row["nick_name"], &row["total"]),
        (&json!("184****9907"), &json!("张**"), &json!("1990"))
    );
    assert_eq!(orders(&f.sync("").await), [], "a second call right after returns nothing");
    // Another type and another api_url have marks of their own.
    assert_eq!(orders(&f.sync("type=2").await), [(2, 1)]);
    f.publish(&[change(1, 3)]).await;
    assert_eq!(orders(&f.sync("type=1&channels=1").await), [(1, 3)]);
    // A rotated key goes on where its chain was.
    let mut rotated = key(13, 1, "another-key-of-the-chain", open_settings(&f, "another-key-of-the-chain"));
    rotated.root_id = 12;
    f.key_changed(&rotated).await;
    let answer = f.get(&format!("key=another-key-of-the-chain&{LOGIN}")).await;
    assert_eq!((&answer["code"], orders(&answer["data"])), (&json!(200), vec![]));
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_seven_days_is_not_synced_without_a_window() {
    let f = Fixture::with_partner(&[]).await;
    f.publish(&[change(1, 1)]).await;
    f.after_ms(9 * 86_400_000);
    let mut young = change(2, 1);
    young.order.checkout_at = f.clock.now_ms();
    f.publish(&[young]).await;
    assert_eq!(orders(&f.sync("").await), [(2, 1)]);
    assert_eq!(orders(&f.sync("start=2026-11-21&end=2026-11-22").await), [(1, 1)]);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_returns_everything_every_time_and_leaves_the_mark() {
    let f = Fixture::with_partner(&[]).await;
    f.publish(&[change(1, 1), change(2, 1), change(2, 2)]).await;
    let window = "start=2026-11-21%2000:00:00&end=2026-11-21%2023:59:59";
    for _ in 0..2 {
        assert_eq!(orders(&f.sync(window).await), [(1, 1), (2, 2)]);
    }
    assert_eq!(orders(&f.sync("start=2026-11-22").await), []);
    assert_eq!(orders(&f.sync("end=2026-11-20").await), []);
    assert_eq!(orders(&f.sync("").await), [(1, 1), (2, 2)], "the mark did not move");
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_thousand_orders_come_in_several_calls() {
    let f = Fixture::with_partner(&[]).await;
    for chunk in 0..5 {
        let changes: Vec<_> = (1..=241).map(|n| change(chunk * 241 + n, 1)).collect();
        f.publish(&changes).await;
    }
    let first = f.sync("").await;
    assert_eq!((&first["total"], &first["has_more"]), (&json!(1000), &json!(true)));
    let second = f.sync("").await;
    assert_eq!((&second["total"], &second["has_more"]), (&json!(205), &json!(false)));
    let mut all = orders(&first);
    all.extend(orders(&second));
    all.sort_unstable();
    assert_eq!(all, (1..=1205).map(|n| (n, 1)).collect::<Vec<_>>());
    // In a window the cursor goes on.
    let first = f.sync("start=2026-11-21").await;
    let second = f.sync(&format!("start=2026-11-21&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(
        (orders(&first).len(), orders(&second).len(), &second["has_more"]),
        (1000, 205, &json!(false))
    );
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_entry_takes_any_content_type_and_body_wins_over_query() {
    let f = Fixture::with_partner(&[]).await;
    f.publish(&[change(1, 1)]).await;
    let form = format!("key={KEY}&{LOGIN}&start=2026-11-21");
    let odd = f
        .app
        .post(ENTRY)
        .anonymous()
        .body("application/x-www-form-urlencoded;charset:utf-8;", form.clone())
        .send()
        .await;
    assert_eq!(orders(&odd.expect_status(200).json()["data"]), [(1, 1)]);
    let body = json!({"key": KEY, "name": "admin", "password": "123456", "start": "2026-11-21", "type": "1"});
    let as_json = f.app.post(&format!("{ENTRY}?type=2&key=wrong")).anonymous().json(&body).send().await;
    assert_eq!(orders(&as_json.expect_status(200).json()["data"]), [(1, 1)]);
    let bare = f
        .app
        .get(&format!("{ENTRY}?{LOGIN}&start=2026-11-21"))
        .anonymous()
        .header("authorization", KEY)
        .send()
        .await;
    assert_eq!(orders(&bare.expect_status(200).json()["data"]), [(1, 1)]);
    let shape: Vec<String> = f.get(&form).await.as_object().unwrap().keys().cloned().collect();
    assert_eq!(shape, ["code", "data", "debug", "exec_time", "ip", "msg", "user_ip"]);
    let answer = f.get(&form).await;
    assert!(
        answer["exec_time"].as_f64().unwrap() > 0.0
            && answer["user_ip"] == "127.0.0.1"
            && answer["debug"] == ""
    );
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_keys_logins_and_parameters_are_told_apart() {
    let f = Fixture::with_partner(&[]).await;
    for (query, code, words) in [
        (String::new(), 400, "key"),
        (LOGIN.to_owned(), 400, "key"),
        (format!("key=wrong&{LOGIN}"), 403, "接口密钥无效"),
        (format!("key={KEY}"), 400, "password"),
        (format!("key={KEY}&name=admin"), 400, "password"),
        (format!("key={KEY}&name=admin&password=wrong"), 403, "登录账号或密码错误"),
        (format!("key={KEY}&name=other&password=123456"), 403, "登录账号或密码错误"),
        (format!("key={KEY}&token=x.y.z"), 403, "token"),
        (format!("key={KEY}&{LOGIN}&type=3"), 400, "type"),
        (format!("key={KEY}&{LOGIN}&channels=9"), 400, "channels"),
        (format!("key={KEY}&{LOGIN}&channels=2"), 400, "api_url"),
        (format!("key={KEY}&{LOGIN}&start=yesterday"), 400, "start"),
        (format!("key={KEY}&{LOGIN}&start=2026-11-22&end=2026-11-21"), 400, "end"),
        (format!("key={KEY}&{LOGIN}&api_url=http://127.0.0.1/"), 400, "api_url"),
        (format!("key={KEY}&{LOGIN}&channels=2&api_url=http://169.254.169.254/"), 400, "api_url"),
        (format!("key={KEY}&{LOGIN}&channels=2&api_url=gopher://example.com/"), 400, "api_url"),
        ("key=%ff".into(), 400, "UTF-8"),
        (format!("key=%F0%9F%98%80%00&{LOGIN}"), 400, "key"),
    ] {
        let answer = f.get(&query).await;
        assert_eq!(answer["code"], code, "{query}: {answer}");
        assert!(answer["msg"].as_str().unwrap().contains(words), "{query}: {answer}");
        assert_eq!(answer["data"], Value::Null);
    }
    let post = |body: &'static str| f.app.post(ENTRY).anonymous().body("application/json", body).send();
    for body in ["{", "[]", "{\"key\": {}}"] {
        let answer = post(body).await.expect_status(200).json();
        assert_eq!(answer["code"], 400, "{body}: {answer}");
    }
    let past = f
        .app
        .get(&format!("{ENTRY}?key={KEY}&{LOGIN}"))
        .without_gateway()
        .send()
        .await
        .expect_status(200)
        .json();
    assert_eq!(past["code"], 403);
    f.bed.finish().await;
}

fn md5_sign(raw: &str) -> String {
    hex::encode(Md5::digest(format!("{raw}{SK}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_may_demand_a_signature_over_the_raw_bytes() {
    let f = Fixture::with_partner(&[]).await;
    let raw = format!(
        "key={KEY}&name=admin&password=123456&start=2024-09-01+00%3A00%3A00&end=2024-12-31+23%3A59%3A00"
    );
    let signed = async |raw: &str, header: &str, sign: &str| -> Value {
        f.app
            .get(&format!("{ENTRY}?{raw}"))
            .anonymous()
            .header(header, sign)
            .send()
            .await
            .expect_status(200)
            .json()
    };
    // Switched off: whatever is sent is ignored.
    assert_eq!(signed(&raw, "sign", "nonsense").await["code"], 200);
    let mut settings = open_settings(&f, KEY);
    settings.sign_required = true;
    f.key_changed(&key(12, 2, KEY, settings.clone())).await;
    assert_eq!(f.code(&raw).await, 403);
    // The vector of the seed: key, SK and query are its own.
    let vector = signed(&raw, "sign", "2de9fb2aab0249c7801b6ee8bde19ce3").await;
    assert_eq!(vector["code"], 200, "{vector}");
    let wrong = signed(&raw, "sign", "2de9fb2aab0249c7801b6ee8bde19ce4").await;
    assert!(wrong["msg"].as_str().unwrap().contains("签名错误"), "{wrong}");
    assert_eq!(
        signed(&raw.replace('+', "%20"), "sign", &md5_sign(&raw)).await["code"],
        403,
        "the same meaning, other bytes"
    );
    let hmac = hex::encode(seal::hmac_sha256(SK.as_bytes(), raw.as_bytes()));
    assert_eq!(signed(&raw, "sign-sha256", &hmac).await["code"], 200);
    let body = f.app.post(ENTRY).anonymous().header("sign", &md5_sign(&raw)).form(&raw).send().await;
    assert_eq!(body.json()["code"], 200, "the body exactly as it came");
    settings.sign_method = "sha256".into();
    f.key_changed(&key(12, 3, KEY, settings)).await;
    let md5 = signed(&raw, "sign", &md5_sign(&raw)).await;
    assert!(md5["msg"].as_str().unwrap().contains("sign-sha256"), "{md5}");
    assert_eq!(signed(&raw, "sign-sha256", &hmac).await["code"], 200);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credential_addresses_expiry_and_revocation_close_the_door() {
    let f = Fixture::with_partner(&[]).await;
    let query = format!("key={KEY}&{LOGIN}");
    assert_eq!(f.code(&query).await, 200);
    let sha256 = seal::sha256_hex(KEY.as_bytes());
    let mut settings = open_settings(&f, KEY);
    settings.apiuser = "user123".into();
    let md5 = hex::encode(Md5::digest("pass123"));
    settings.apipwd_md5_sealed = f.ctx.platform.sealer.seal(&sealed::key_apipwd(&sha256), md5.as_bytes());
    f.key_changed(&key(12, 2, KEY, settings)).await;
    assert_eq!(f.code(&query).await, 403);
    assert_eq!(f.code(&format!("{query}&apiuser=user123&apipwd=wrong")).await, 403);
    assert_eq!(f.code(&format!("{query}&apiuser=user123&apipwd=pass123")).await, 200);
    assert_eq!(f.code(&format!("{query}&apiuser=user123&apipwd={md5}")).await, 200);
    let with = |version, change: &dyn Fn(&mut KeyChanged)| {
        let mut changed = key(12, version, KEY, open_settings(&f, KEY));
        change(&mut changed);
        changed
    };
    f.key_changed(&with(3, &|k| {
        k.partner_settings.as_mut().unwrap().ip_allow = vec!["203.0.113.0/24".into()]
    }))
    .await;
    assert!(f.get(&query).await["msg"].as_str().unwrap().contains("IP"));
    f.key_changed(&with(4, &|k| k.partner_settings.as_mut().unwrap().ip_allow = vec!["127.0.0.0/8".into()]))
        .await;
    assert_eq!(f.code(&query).await, 200);
    let soon = f.clock.now_ms() + 1_000;
    f.key_changed(&with(5, &|k| k.expires_at = soon)).await;
    assert_eq!(f.code(&query).await, 200);
    f.after_ms(1_000);
    assert_eq!(f.code(&query).await, 403);
    f.key_changed(&with(6, &|k| k.enabled = false)).await;
    // An older event that comes late changes nothing.
    f.key_changed(&with(2, &|_| {})).await;
    assert_eq!(f.code(&query).await, 403);
    f.key_changed(&with(7, &|_| {})).await;
    assert_eq!(f.code(&query).await, 200);
    let mut disabled = partner(&f, 2);
    disabled.enabled = false;
    f.bed.publish(&[f.bed.event(&disabled)]).await;
    f.bed.settle().await;
    assert_eq!(f.code(&query).await, 403);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_the_partners_login_opens_until_it_is_revoked() {
    let f = Fixture::with_partner(&[]).await;
    let keys = f.bed.shared.settings.token_keys();
    let now = f.clock.now_s();
    let token = |aud: i64, iss: &str, exp: i64, alg: jsonwebtoken::Algorithm, kid: &str| {
        let claims = json!({"aud": aud, "iss": iss, "iat": now, "exp": exp, "jti": "j1"});
        let header = jsonwebtoken::Header { kid: Some(kid.into()), ..jsonwebtoken::Header::new(alg) };
        let secret = jsonwebtoken::EncodingKey::from_secret(keys[0].secret.expose_secret().as_bytes());
        jsonwebtoken::encode(&header, &claims, &secret).unwrap()
    };
    let issuer = f.bed.shared.settings.issuer();
    let kid = keys[0].id.clone();
    use jsonwebtoken::Algorithm::{HS256, HS384};
    let good = token(ACCOUNT, &issuer, now + 60, HS256, &kid);
    let code = async |token: &str| f.code(&format!("key={KEY}&token={token}")).await;
    assert_eq!(code(&good).await, 200);
    for bad in [
        token(ACCOUNT + 1, &issuer, now + 60, HS256, &kid),
        token(ACCOUNT, "somebody-else", now + 60, HS256, &kid),
        token(ACCOUNT, &issuer, now, HS256, &kid),
        token(ACCOUNT, &issuer, now + 60, HS384, &kid),
        token(ACCOUNT, &issuer, now + 60, HS256, "unknown"),
        format!("{good}x"),
        "eyJhbGciOiJub25lIn0.e30.".into(),
    ] {
        assert_eq!(code(&bad).await, 403, "{bad}");
    }
    let revoked = TokenRevoked { version: 1, jti: "j1".into(), account_id: ACCOUNT };
    f.bed.publish(&[f.bed.event(&revoked)]).await;
    f.bed.settle().await;
    assert_eq!(code(&good).await, 403);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ending_all_tokens_ends_those_given_so_far() {
    let f = Fixture::with_partner(&[]).await;
    let key_of = &f.bed.shared.settings.token_keys()[0];
    let token = |iat: i64| {
        let claims = json!({"aud": ACCOUNT, "iss": f.bed.shared.settings.issuer(), "iat": iat, "exp": iat + 600, "jti": "j"});
        let header = jsonwebtoken::Header { kid: Some(key_of.id.clone()), ..jsonwebtoken::Header::default() };
        let secret = jsonwebtoken::EncodingKey::from_secret(key_of.secret.expose_secret().as_bytes());
        jsonwebtoken::encode(&header, &claims, &secret).unwrap()
    };
    let all = TokenRevoked { version: 1, jti: String::new(), account_id: ACCOUNT };
    f.bed.publish(&[f.bed.event(&all)]).await;
    f.bed.settle().await;
    let now = f.clock.now_s();
    assert_eq!(f.code(&format!("key={KEY}&token={}", token(now))).await, 403);
    assert_eq!(f.code(&format!("key={KEY}&token={}", token(now + 1))).await, 200);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_hold_and_say_when_they_open() {
    let f = Fixture::with_partner(&[]).await;
    let mut settings = open_settings(&f, KEY);
    (settings.quota_per_second, settings.quota_per_day) = (0, 3);
    f.key_changed(&key(12, 2, KEY, settings)).await;
    let call =
        async || -> Answer { f.app.get(&format!("{ENTRY}?key={KEY}&{LOGIN}")).anonymous().send().await };
    let mut left = Vec::new();
    for _ in 0..3 {
        let answer = call().await;
        assert_eq!(answer.json()["code"], 200);
        left.push((
            answer.header("x-quota-day-limit").to_owned(),
            answer.header("x-quota-day-left").to_owned(),
        ));
    }
    let pair = |left: &str| ("3".to_owned(), left.to_owned());
    assert_eq!(left, [pair("2"), pair("1"), pair("0")]);
    let refused = call().await.expect_status(200);
    assert_eq!(refused.json()["code"], 403);
    assert!(
        refused.json()["msg"].as_str().unwrap().starts_with("今日调用次数已用完，"),
        "{}",
        refused.text()
    );
    assert!(refused.header("retry-after").parse::<i64>().unwrap() > 80_000);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_wrong_passwords_make_the_key_wait() {
    let f = Fixture::with_partner(&[]).await;
    for n in 0..20 {
        let answer = f.get(&format!("key={KEY}&name=admin&password=wrong{n}")).await;
        assert!(answer["msg"].as_str().unwrap().contains("密码错误"), "{answer}");
    }
    let locked = f.get(&format!("key={KEY}&{LOGIN}")).await;
    assert_eq!(locked["code"], 403);
    assert!(locked["msg"].as_str().unwrap().contains("起可再次调用"), "{locked}");
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_use_of_a_key_is_told_at_most_every_five_minutes() {
    let f = Fixture::with_partner(&[]).await;
    for _ in 0..3 {
        f.sync("").await;
    }
    let told = f.bed.published::<KeyUsed>(1).await;
    assert_eq!(told, [KeyUsed { key_id: 12, at: f.clock.now_ms(), sign: "none".into() }]);
    f.after_ms(5 * 60_000 + 1);
    f.sync("").await;
    assert_eq!(f.bed.published::<KeyUsed>(2).await.len(), 2);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channel_two_registers_sends_what_changed_and_then_every_change() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::with_partner(&[&receiver]).await;
    let mut distributed = change(9, 1);
    distributed.order.distributor_id = 8;
    f.publish(&[change(1, 1), change(1, 2), change(2, 1), distributed]).await;
    let url = receiver.url("/cb");
    let registered = f.sync(&format!("channels=2&api_url={url}&api_token=t1")).await;
    assert_eq!((&registered["status"], &registered["replayed"]), (&json!("active"), &json!(2)));
    f.send().await;
    let form = |r: &testing::Received| r.form().into_iter().collect::<BTreeMap<String, String>>();
    let mut got: Vec<(String, String)> = receiver
        .received()
        .iter()
        .map(|r| (form(r)["order_no"].clone(), form(r)["order_seq"].clone()))
        .collect();
    got.sort();
    assert_eq!(got, [(number(1), "2".into()), (number(2), "1".into())]);
    // From then on every change.
    f.publish(&[change(1, 3), change(3, 1)]).await;
    f.send().await;
    assert_eq!(receiver.received().len(), 4);
    // Calling again changes the address and sends nothing twice.
    let moved = receiver.url("/moved");
    let again = f.sync(&format!("channels=2&api_url={moved}&api_token=t2")).await;
    assert_eq!((&again["subscription_id"], &again["replayed"]), (&registered["subscription_id"], &json!(0)));
    f.publish(&[change(4, 1)]).await;
    f.send().await;
    let last = &receiver.received()[4];
    assert_eq!(last.path, "/moved");
    let mut pairs: Vec<String> = last
        .form()
        .iter()
        .filter(|(n, v)| n != "sign" && !v.is_empty())
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    pairs.sort();
    assert_eq!(form(last)["sign"], hex::encode(Md5::digest(pairs.join("&") + "t2")));
    // A window replays, with the same ids.
    let window = f.sync(&format!("channels=2&api_url={moved}&start=2026-11-21&end=2026-11-21")).await;
    assert_eq!(window["replayed"], 6);
    f.send().await;
    let ids = receiver
        .received()
        .iter()
        .map(|r| r.header("webhook-id").to_owned())
        .collect::<std::collections::HashSet<_>>();
    assert_eq!((receiver.received().len(), ids.len()), (11, 6));
    // Type 2 is a subscription of its own.
    let other = f.sync(&format!("channels=2&type=2&api_url={url}")).await;
    assert_ne!(other["subscription_id"], registered["subscription_id"]);
    assert_eq!(other["replayed"], 1);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channel_one_with_an_address_pushes_batches_of_a_hundred_in_order() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::with_partner(&[&receiver]).await;
    let changes: Vec<_> = (1..=230).map(|n| change(n, 1)).collect();
    f.publish(&changes).await;
    receiver.answer_next([Reply::new(500, "")]);
    let answer = f.sync(&format!("api_url={}&api_token=t", receiver.url("/push"))).await;
    assert_eq!(orders(&answer).len(), 230);
    f.send().await;
    assert_eq!(receiver.received().len(), 1, "the next batch waits for the first");
    f.after_ms(6_000);
    f.send().await;
    let batches: Vec<BTreeMap<String, String>> =
        receiver.received()[1..].iter().map(|r| r.form().into_iter().collect()).collect();
    let totals: Vec<&str> = batches.iter().map(|b| b["total"].as_str()).collect();
    assert_eq!(totals, ["100", "100", "30"]);
    assert!(batches.iter().all(|b| b["batch_no"] == answer["batch_no"].as_str().unwrap()));
    let list: Vec<Value> =
        batches.iter().flat_map(|b| serde_json::from_str::<Vec<Value>>(&b["list"]).unwrap()).collect();
    assert_eq!(json!(list), answer["list"]);
    assert_eq!(orders(&f.sync(&format!("api_url={}", receiver.url("/push"))).await), []);
    f.send().await;
    assert_eq!(receiver.received().len(), 4, "nothing new, nothing pushed");
    // The pushes stand in the list of deliveries, and the address gets no changes by itself.
    f.publish(&[change(1, 2)]).await;
    f.send().await;
    assert_eq!(receiver.received().len(), 4);
    assert_eq!(f.deliveries("status=delivered").await.len(), 3);
    let id = f.deliveries("").await[0]["id"].clone();
    assert!(f.detail(&id).await["body"].as_str().unwrap().starts_with("batch_no="));
    f.app.post(&format!("/api/callback/delivery/{id}/resend")).send().await.expect_status(200);
    f.send().await;
    assert_eq!(receiver.received().len(), 5);
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_partner_gets_nothing_until_it_is_enabled_again() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::with_partner(&[&receiver]).await;
    f.subscribe(&receiver.url("/")).await;
    let tell = async |version, enabled, privacy: &str| {
        let changed = PartnerChanged { enabled, privacy: privacy.into(), ..partner(&f, version) };
        f.bed.publish(&[f.bed.event(&changed)]).await;
        f.bed.settle().await;
    };
    tell(2, false, "masked").await;
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    assert!(receiver.received().is_empty());
    tell(3, true, "plain").await;
    f.publish(&[change(2, 1)]).await;
    f.send().await;
    let mut received = arrived(&receiver.received());
    received.sort_unstable();
    assert_eq!(received, [(1, 1), (2, 1)]);
    // Bytes are as they were when the change happened; answers are as the setting is today.
    let mobiles: BTreeMap<i64, String> = receiver
        .received()
        .iter()
        .map(|r| {
            (arrived(std::slice::from_ref(r))[0].0, r.json()["data"]["mobile"].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(mobiles, BTreeMap::from([(1, "184****9907".into()), (2, "18434819907".into())]));
    let rows = f.sync("").await;
    assert!(rows["list"].as_array().unwrap().iter().all(|o| o["mobile"] == "18434819907"), "{rows}");
    f.bed.finish().await;
}
