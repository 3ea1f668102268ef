//! Who is let in, and that routes, OpenAPI document and handlers agree.

use std::collections::BTreeSet;

use auth_service::app::ApiDoc;
use contracts::routes::{self, Access, Route, ServiceName};
use serde_json::json;
use utoipa::OpenApi;

use crate::{Auth, statuses};

fn mine() -> impl Iterator<Item = &'static Route> {
    routes::all().filter(|r| r.service == ServiceName::Auth)
}

/// The path with parameters filled in.
fn filled(route: &Route) -> String {
    let segments = route.path.split('/').map(|s| match s {
        "{name}" => "AUDIT_LIST",
        s if s.starts_with('{') => "1",
        s => s,
    });
    segments.collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_has_an_operation_and_every_operation_a_route() {
    let doc = serde_json::to_value(ApiDoc::openapi()).unwrap();
    let mut documented = BTreeSet::new();
    for (path, item) in doc["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            documented.insert((method.to_uppercase(), path.clone(), id.to_owned()));
        }
    }
    let table: BTreeSet<_> =
        mine().map(|r| (r.method.as_str().to_owned(), r.path.to_owned(), r.name.to_owned())).collect();
    assert_eq!(documented, table);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_answered_by_a_handler_and_by_none_without_the_gateway() {
    let auth = Auth::start().await;
    for route in mine() {
        let path = filled(route);
        let name = format!("{} {path}", route.method.as_str());
        let request = || crate::request(&auth.app, route.method.as_str(), &path);
        let direct = request().json(&json!({})).without_gateway().send().await;
        assert_eq!(statuses(&direct), (401, 6), "{name} was answered without the gateway");
        let forged = request().json(&json!({})).without_gateway().header("x-baodan-internal", "e30.e30.e30");
        assert_eq!(forged.send().await.status(), 401, "{name} took a forged token");
    }
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partners_and_strangers_are_refused_where_operators_belong() {
    let auth = Auth::start().await;
    for route in mine().filter(|r| r.access == Access::Account) {
        let path = filled(route);
        let name = format!("{} {path}", route.method.as_str());
        // A body good enough for every route, so that the refusal is not about the body.
        let body = json!({
            "account": "lily", "nickname": "x", "name": "AUDIT_LIST", "password": crate::PASSWORD, "account_id": 1,
            "partner_id": 1, "goods_ids": [1],
        });
        let request = || crate::request(&auth.app, route.method.as_str(), &path).json(&body);
        assert_eq!(statuses(&request().as_partner(7).send().await), (403, 3), "{name} as a partner");
        assert_eq!(statuses(&request().anonymous().send().await), (403, 3), "{name} as a stranger");
    }
    let list = auth.good("GET", "/api/account", json!(null)).await;
    assert_eq!(list["total"], 1, "something was made");
    auth.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_are_no_numbers_and_unknown_ones_are_404() {
    let auth = Auth::start().await;
    for id in ["abc", "1.5", "-", "99999999999999999999", "%F0%9F%98%80", "424242", "-1"] {
        for thing in ["account", "role", "partner", "supplier", "distributor"] {
            let answer = auth.send("GET", &format!("/api/{thing}/{id}"), json!(null)).await;
            assert_eq!(statuses(&answer), (404, 7), "{thing} {id}");
        }
        for owner in ["partner", "supplier"] {
            let answer = auth.send("GET", &format!("/api/{owner}/{id}/key"), json!(null)).await;
            assert_eq!(statuses(&answer), (404, 7), "{owner} {id} key");
        }
    }
    auth.finish().await;
}
