//! What stands behind the gateways under measurement: a service that answers 1 KiB of JSON and does nothing
//! else, which also plays auth-service's policy for our gateway.

use std::net::SocketAddr;

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};
use contracts::{
    identity::CallerKind,
    policy::{PolicyAccount, PolicySnapshot},
    routes,
};

use crate::gateway::token::ACCOUNT;

/// The path that is measured: a list an operator's console asks for.
pub const PATH: &str = "/api/report";
const BODY_BYTES: usize = 1024;
const ROLE: i64 = 1;

/// A running upstream; ends with this value.
pub struct Upstream {
    pub address: SocketAddr,
    handle: ServerHandle,
}

impl Upstream {
    pub fn start(workers: usize) -> Result<Self, String> {
        let server = HttpServer::new(|| {
            App::new()
                .app_data(web::Data::new(body()))
                .app_data(web::Data::new(policy()))
                .route(PATH, web::get().to(answer))
                .route("/internal/policy", web::get().to(answer_policy))
                .route("/readyz", web::get().to(HttpResponse::Ok))
        })
        .workers(workers)
        .disable_signals()
        .bind("127.0.0.1:0")
        .map_err(|e| format!("the upstream cannot listen: {e}"))?;
        let address = server.addrs().first().copied().ok_or("the upstream has no address")?;
        let server = server.run();
        let handle = server.handle();
        platform::lifecycle::spawn(server);
        Ok(Self { address, handle })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        platform::lifecycle::spawn(self.handle.stop(false));
    }
}

async fn answer(body: web::Data<web::Bytes>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body.as_ref().clone())
}

/// The version that the asking gateway has.
#[derive(serde::Deserialize)]
struct Known {
    version: i64,
}

async fn answer_policy(policy: web::Data<PolicySnapshot>, known: web::Query<Known>) -> HttpResponse {
    if known.version == policy.version {
        return HttpResponse::NotModified().finish();
    }
    HttpResponse::Ok().json(policy.as_ref())
}

/// A list answer of exactly 1 KiB.
fn body() -> web::Bytes {
    let frame =
        |filling: &str| format!(r#"{{"status":0,"data":{{"total":1,"data":[{{"title":"{filling}"}}]}}}}"#);
    web::Bytes::from(frame(&"x".repeat(BODY_BYTES - frame("").len())))
}

/// Every permission registered, one role that holds all, one account in it: the whole check is made.
fn policy() -> PolicySnapshot {
    let names: Vec<String> = routes::permissions().map(str::to_owned).collect();
    PolicySnapshot {
        version: 1,
        registered: names.clone(),
        roles: [(ROLE, names)].into(),
        accounts: vec![PolicyAccount {
            id: ACCOUNT,
            kind: CallerKind::Account,
            nickname: "bench".into(),
            partner_id: 0,
            role_ids: vec![ROLE],
            enabled: true,
            tokens_valid_from: 0,
        }],
        revoked: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_a_kibibyte_of_json() {
        assert_eq!(body().len(), BODY_BYTES);
        serde_json::from_slice::<serde_json::Value>(&body()).expect("JSON");
    }

    #[test]
    fn the_account_may_call_the_path() {
        let route =
            routes::all().find(|r| r.path == PATH && r.method == routes::Method::Get).expect("a route");
        assert!(policy().roles[&ROLE].iter().any(|p| p == route.name));
    }
}
