//! auth-service as its callers see it, over HTTP, in both modes.

#![allow(clippy::unwrap_used)]

mod accounts;
mod audit;
mod bad_input;
mod bootstrap;
mod doors;
mod keys;
mod partners;
mod policy;
mod roles;
mod secrets;
mod suppliers;
mod throttle;
mod tokens;

use auth_service::{
    app::{self, Ctx},
    policy::LocalPolicy,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::{
    identity::{Caller, CallerKind, INTERNAL_TOKEN_HEADER, InternalClaims},
    policy::{PolicyAccount, PolicySnapshot},
};
use platform::{clock::Clock, http::caller::InternalKey, service::Shared, settings::Settings};
use serde_json::{Value, json};
use testing::{ADMIN_PASSWORD, Answer, App, Client, Request, TestBed};

/// A password that is accepted.
const PASSWORD: &str = "Lotus-pond-4471";
/// 2026-11-21, some second and a half.
const NOW_MS: i64 = 1_795_248_000_500;

/// auth-service on a bed of its own.
struct Auth {
    bed: TestBed,
    app: App,
    policy: LocalPolicy,
}

impl Auth {
    async fn start() -> Self {
        Self::with(Clock::system(), |_| {}).await
    }

    async fn with_clock(clock: Clock) -> Self {
        Self::with(clock, |_| {}).await
    }

    async fn with(clock: Clock, change: impl FnOnce(&mut Settings)) -> Self {
        let bed = TestBed::with(clock, change).await;
        Self::on(bed).await
    }

    async fn on(bed: TestBed) -> Self {
        let (service, bootstrap) = app::build_with_bootstrap(&bed.shared).await.unwrap();
        let app = bed.start(service).await;
        Self { bed, app, policy: bootstrap.policy }
    }

    async fn finish(self) {
        self.bed.finish().await;
    }

    async fn snapshot(&self) -> PolicySnapshot {
        self.policy.read(0).await.unwrap().expect("version 0 is never the present one")
    }

    async fn log_in(&self, account: &str, password: &str) -> Answer {
        let body = json!({"account": account, "password": password});
        self.app.post("/api/access/token").anonymous().json(&body).send().await
    }

    /// The token of a login that must work.
    async fn token(&self, account: &str, password: &str) -> String {
        let answer = self.log_in(account, password).await.expect_status(200).json();
        answer["data"]["token"].as_str().unwrap().to_owned()
    }

    async fn admin_token(&self) -> String {
        self.token("admin", ADMIN_PASSWORD).await
    }

    /// Logs out as the gateway passes it on for this token.
    async fn log_out(&self, token: &str) -> Answer {
        let claims = claims(token);
        let caller = Caller {
            kind: CallerKind::Account,
            account_id: claims["aud"].as_i64().unwrap(),
            nickname: "admin".into(),
            partner_id: 0,
            jti: claims["jti"].as_str().unwrap().into(),
        };
        self.signed("POST", "/api/access/logout", "/api/access/logout", caller).await
    }

    /// A request with an internal token of one's own, signed for `signed_path`.
    async fn signed(&self, method: &str, path: &str, signed_path: &str, caller: Caller) -> Answer {
        let claims = InternalClaims {
            caller,
            method: method.into(),
            path: signed_path.into(),
            rid: "test-request".into(),
            ip: "203.0.113.9".into(),
            exp: self.bed.shared.clock.now_s() + 60,
        };
        let key = InternalKey::new(self.bed.shared.settings.keys.internal.as_ref().unwrap());
        let client = Client::plain(self.app.base());
        request(&client, method, path).header(INTERNAL_TOKEN_HEADER, &key.sign(&claims).unwrap()).send().await
    }

    /// Would a gateway with today's snapshot let this token in?
    async fn lives(&self, token: &str) -> bool {
        let (claims, snapshot) = (claims(token), self.snapshot().await);
        let account = snapshot.accounts.iter().find(|a| Some(a.id) == claims["aud"].as_i64());
        account.is_some_and(|a: &PolicyAccount| {
            a.enabled && a.tokens_valid_from <= claims["iat"].as_i64().unwrap()
        }) && !snapshot.revoked.iter().any(|r| r.jti == claims["jti"].as_str().unwrap())
    }

    /// Sends and expects 200; answers `data`.
    async fn good(&self, method: &str, path: &str, body: Value) -> Value {
        self.send(method, path, body).await.expect_status(200).json()["data"].clone()
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = request(&self.app, method, path);
        if body.is_null() { request.send().await } else { request.json(&body).send().await }
    }

    /// Makes an account; answers its id.
    async fn account(&self, account: &str, role_ids: &[i64]) -> i64 {
        let body =
            json!({"account": account, "password": PASSWORD, "nickname": account, "role_ids": role_ids});
        self.good("POST", "/api/account", body).await["id"].as_i64().unwrap()
    }

    /// Makes a role; answers its id.
    async fn role(&self, name: &str, permissions: &[&str]) -> i64 {
        let body = json!({"name": name, "permissions": permissions});
        self.good("POST", "/api/role", body).await["id"].as_i64().unwrap()
    }

    /// Makes a partner with a login of the same name; answers its id.
    async fn partner(&self, name: &str) -> i64 {
        let body = json!({"name": name, "login": name, "password": PASSWORD});
        self.good("POST", "/api/partner", body).await["id"].as_i64().unwrap()
    }

    async fn supplier(&self, name: &str) -> i64 {
        self.good("POST", "/api/supplier", json!({"name": name})).await["id"].as_i64().unwrap()
    }

    /// For jobs and for what cannot be seen from outside.
    async fn ctx(&self) -> Ctx {
        ctx(&self.bed.shared).await
    }
}

/// A second replica's context on the same database.
async fn ctx(shared: &Shared) -> Ctx {
    use auth_service::migrations::Migrator;
    let platform = platform::Platform::start::<Migrator>(shared, contracts::routes::ServiceName::Auth);
    Ctx::new(platform.await.unwrap()).unwrap()
}

fn request(client: &Client, method: &str, path: &str) -> Request {
    match method {
        "GET" => client.get(path),
        "POST" => client.post(path),
        "PUT" => client.put(path),
        "DELETE" => client.delete(path),
        other => panic!("{other} is no method of this API"),
    }
}

/// The middle part of a token, as the clients of the seed decode it.
fn claims(token: &str) -> Value {
    let middle = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(middle).unwrap()).unwrap()
}

/// (HTTP status, status in the body).
fn statuses(answer: &Answer) -> (u16, i64) {
    (answer.status(), answer.json()["status"].as_i64().unwrap_or(-1))
}
