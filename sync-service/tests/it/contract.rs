//! Route table, OpenAPI document and handlers say the same.

use std::collections::BTreeSet;

use contracts::routes::{self, Access, Dialect, Route, ServiceName};
use reqwest::Method;
use serde_json::Value;
use testing::TestBed;

use crate::fixture::Fixture;

fn table() -> BTreeSet<(String, String, String)> {
    routes::all()
        .filter(|r| r.service == ServiceName::Sync)
        .map(|r| (r.method.as_str().to_lowercase(), r.path.to_owned(), r.name.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openapi_document_and_the_route_table_name_the_same_operations() {
    let bed = TestBed::new().await;
    let service = sync_service::app::build(&bed.shared).await.unwrap();
    let document = serde_json::to_value(&service.openapi).unwrap();
    let mut documented = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap().to_owned();
            documented.insert((method.clone(), path.clone(), name));
        }
    }
    assert_eq!(documented, table());
    bed.start(service).await;
    bed.finish().await;
}

/// What the document says of this answer, references followed; `None` = nothing.
fn declared<'d>(document: &'d Value, route: &Route, status: u16) -> Option<&'d Value> {
    let responses = &document["paths"][route.path][route.method.as_str().to_lowercase()]["responses"];
    let response =
        responses.get(status.to_string()).or_else(|| responses.get(format!("{}XX", status / 100)))?;
    let response = resolved(document, response);
    Some(resolved(document, &response["content"]["application/json"]["schema"]))
}

fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(at) => document.pointer(at.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_refused_as_the_document_says() {
    let bed = TestBed::new().await;
    let service = sync_service::app::build(&bed.shared).await.unwrap();
    let document = serde_json::to_value(&service.openapi).unwrap();
    let app = bed.start(service).await;
    let mut seen = BTreeSet::new();
    for route in routes::all().filter(|r| r.service == ServiceName::Sync && r.dialect == Dialect::Admin) {
        let method: Method = route.method.as_str().parse().unwrap();
        let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
        let path = |id: &str| {
            let parts = route.path.split('/').map(|part| if part.starts_with('{') { id } else { part });
            parts.collect::<Vec<_>>().join("/")
        };
        let mut provoked = Vec::new();
        if route.access != Access::Public {
            provoked.push((401, app.request(method.clone(), &path("1")).without_gateway()));
        }
        if route.path.contains('{') {
            provoked.push((404, app.request(method.clone(), &path("x"))));
        }
        if operation["requestBody"].is_object() {
            provoked.push((400, app.request(method.clone(), &path("1")).body("application/json", "{")));
            let compressed = app.request(method.clone(), &path("1")).body("application/json", "{}");
            provoked.push((415, compressed.header("content-encoding", "gzip")));
        }
        for (expected, request) in provoked {
            let answer = request.send().await;
            let (status, body) = (answer.status(), answer.json());
            assert_eq!(status, expected, "{}: {body}", route.name);
            let schema =
                declared(&document, route, status).unwrap_or_else(|| panic!("{} {status}", route.name));
            let body = body.as_object().unwrap();
            for name in schema["required"].as_array().unwrap() {
                assert!(body.contains_key(name.as_str().unwrap()), "{} {status} lacks {name}", route.name);
            }
            for name in body.keys() {
                assert!(schema["properties"][name].is_object(), "{} {status} has {name}", route.name);
            }
            seen.insert(status);
        }
    }
    assert_eq!(seen, BTreeSet::from([400, 401, 404, 415]));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_has_a_handler_and_no_handler_opens_past_the_gateway() {
    let f = Fixture::new(&[]).await;
    for route in routes::all().filter(|r| r.service == ServiceName::Sync) {
        let path = route
            .path
            .replace("{subscription_id}", "1")
            .replace("{delivery_id}", "1")
            .replace("{number}", "1");
        let method: Method = route.method.as_str().parse().unwrap();
        let answer = f.app.request(method, &path).without_gateway().header("x-partner-id", "5").send().await;
        match route.access {
            // Our public keys are for everybody.
            Access::Public => assert_eq!(answer.status(), 200, "{path}"),
            // This entry's HTTP status is always 200.
            Access::Key => {
                assert_eq!((answer.status(), answer.json()["code"].as_i64()), (200, Some(403)), "{path}")
            }
            _ => assert_eq!((answer.status(), answer.json()["status"].as_i64()), (401, Some(6)), "{path}"),
        }
    }
    f.bed.finish().await;
}
