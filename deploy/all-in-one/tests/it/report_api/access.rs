//! Every endpoint × no token, expired token, no permission, permission not registered, permission in no role.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::routes::{Access, Route};
use serde_json::{Value, json};
use testing::{Request, wait_until};

use super::{ENDPOINTS, Operator, endpoints};
use crate::system::System;

/// The admin's token with other claims, signed with the system's own key.
fn resigned(system: &System, token: &str, change: impl FnOnce(&mut Value)) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    change(&mut claims);
    let signed = format!("{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()));
    let (_, key) = system.setting("BAODAN_KEYS__TOKEN").split_once(':').unwrap();
    let tag = platform::seal::hmac_sha256(key.as_bytes(), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn call(operator: &Operator, route: &Route) -> Request {
    let path: Vec<&str> = route.path.split('/').map(|s| if s.starts_with('{') { "1" } else { s }).collect();
    operator.client.request(route.method.as_str().parse().unwrap(), &path.join("/"))
}

/// (HTTP status, `status`) of an answer; a refusal has the contract's body.
async fn statuses(request: Request) -> (u16, i64) {
    let answer = request.send().await;
    let body: Value = serde_json::from_slice(answer.bytes()).unwrap_or_default();
    if answer.status() >= 400 {
        let told = body["error"].as_str().is_some_and(|e| !e.is_empty()) && body["errors"].is_object();
        assert!(told, "{} {}", answer.status(), answer.text());
    }
    (answer.status(), body["status"].as_i64().unwrap_or(-1))
}

/// Gateways follow a change of the policy within a second.
async fn until(operator: &Operator, route: &Route, expected: (u16, i64)) {
    let what = format!("{} {} answers {expected:?}", route.method.as_str(), route.path);
    wait_until(&what, async || {
        (statuses(call(operator, route).bearer(&operator.token)).await == expected).then_some(())
    })
    .await;
}

#[test]
fn all_23_endpoints_stand_in_the_route_table() {
    let there: Vec<_> = endpoints().iter().map(|r| (r.name, r.method.as_str(), r.path)).collect();
    let missing: Vec<_> = ENDPOINTS.iter().filter(|endpoint| !there.contains(endpoint)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_endpoint_refuses_whom_it_must_with_the_contracts_status() {
    let mut system = System::start().await;
    let operator = Operator::sign_in(&system).await;
    let guarded: Vec<&Route> = endpoints().into_iter().filter(|r| r.access != Access::Public).collect();
    let live = resigned(&system, &operator.token, |_| {});
    let expired = resigned(&system, &operator.token, |claims| {
        claims["exp"] = json!(claims["iat"].as_i64().unwrap() - 1);
    });
    let other = resigned(&system, &operator.token, |claims| claims["device"] = json!("another"));
    let forged = format!("{}.{}", other.rsplit_once('.').unwrap().0, live.rsplit_once('.').unwrap().1);
    let foreign = resigned(&system, &operator.token, |claims| claims["iss"] = json!("acp-api-elsewhere"));
    let powerless = operator.powerless().await;
    // The forger knows the craft: what ends the token is its time.
    assert_eq!(statuses(operator.client.get("/api/report").bearer(&live)).await, (200, 0));
    for route in &guarded {
        let place = format!("{} {}", route.name, route.path);
        assert_eq!(statuses(call(&operator, route)).await, (401, 6), "{place}: no token");
        for (what, token) in [("expired", &expired), ("another issuer", &foreign), ("forged", &forged)] {
            assert_eq!(statuses(call(&operator, route).bearer(token)).await, (401, 6), "{place}: {what}");
        }
        let bare = call(&operator, route).header("authorization", &expired);
        assert_eq!(statuses(bare).await, (401, 6), "{place}: expired, without Bearer");
        until_granted_not(&operator, route, &powerless).await;
    }
    let names: BTreeSet<&str> = guarded.iter().map(|r| r.name).collect();
    for name in &names {
        operator.request("DELETE", &format!("/api/permission/{name}")).send().await.expect_status(200);
    }
    for route in &guarded {
        until(&operator, route, (403, 4)).await;
        assert_eq!(statuses(call(&operator, route).bearer(&powerless)).await, (403, 4), "{}", route.name);
    }
    for name in &names {
        operator.json("POST", "/api/permission", &json!({"name": name}).to_string()).await;
    }
    for route in &guarded {
        until(&operator, route, (403, 5)).await;
        assert_eq!(statuses(call(&operator, route).bearer(&powerless)).await, (403, 5), "{}", route.name);
    }
    system.stop().await;
}

/// The account is new: the gateway hears of it within a second.
async fn until_granted_not(operator: &Operator, route: &Route, token: &str) {
    let what = format!("{} {} answers 403/3", route.method.as_str(), route.path);
    wait_until(&what, async || {
        (statuses(call(operator, route).bearer(token)).await == (403, 3)).then_some(())
    })
    .await;
}
