//! The route table, the OpenAPI document in git and the running system say the same.

use std::collections::{BTreeMap, BTreeSet};

use contracts::routes::{self, Access, Dialect};
use serde_json::Value;
use testing::Client;

use crate::{
    process::{binary, run},
    system::System,
};

pub fn document() -> Value {
    let printed = run(std::process::Command::new(binary("baodan")).arg("openapi").env_clear());
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    serde_json::from_slice(&printed.stdout).unwrap()
}

#[test]
fn the_document_in_git_is_what_the_code_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(committed == document(), "docs/openapi.json is out of date: run `make openapi` and commit it");
}

#[test]
fn every_route_has_an_operation_and_every_operation_a_route() {
    let document = document();
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if ["get", "post", "put", "delete"].contains(&method.as_str()) {
                let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
                operations.insert((method.to_uppercase(), path.clone()), id);
            }
        }
    }
    let table: BTreeMap<(String, String), String> = routes::all()
        .map(|r| ((r.method.as_str().to_owned(), r.path.to_owned()), r.name.to_owned()))
        .collect();
    let differing: Vec<_> = table
        .keys()
        .chain(operations.keys())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(|key| table.get(*key) != operations.get(*key))
        .map(|key| format!("{key:?}: table {:?}, document {:?}", table.get(key), operations.get(key)))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// Every service describes its refusals in the one form they have on the wire.
#[test]
fn every_operation_says_how_it_refuses_and_fails() {
    let document = document();
    let failure = serde_json::json!({"$ref": "#/components/schemas/Failure"});
    for route in routes::all().filter(|r| r.dialect == Dialect::Admin) {
        let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
        let responses = operation["responses"].as_object().unwrap();
        let mut expected = BTreeSet::from(["4XX", "5XX"]);
        expected.extend((route.access != Access::Public).then_some("401"));
        expected.extend(route.needs_permission().then_some("403"));
        expected.extend(route.path.contains('{').then_some("404"));
        let missing: Vec<_> = expected.iter().filter(|s| !responses.contains_key(**s)).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", route.name);
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
            let at = response["$ref"].as_str().map(|at| at.trim_start_matches('#'));
            let response = at.map_or(response, |at| document.pointer(at).unwrap());
            assert_eq!(response["content"]["application/json"]["schema"], failure, "{} {status}", route.name);
            assert!(!response["description"].as_str().unwrap().is_empty(), "{} {status}", route.name);
        }
    }
}

/// No route opens without a credential, whatever the client says of itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_guarded_route_answers_401_without_a_token_and_with_forged_identities() {
    let mut system = System::start().await;
    let client = Client::plain(&system.url);
    for route in routes::all().filter(|r| !matches!(r.access, Access::Public | Access::Key)) {
        let path: String = route
            .path
            .split('/')
            .map(|s| if s.starts_with('{') { "1" } else { s })
            .collect::<Vec<_>>()
            .join("/");
        let method = route.method.as_str().parse().unwrap();
        let answer = client
            .request(method, &path)
            .header("x-baodan-internal", "forged")
            .header("X-Baodan_Internal", "forged")
            .header("x-user-id", "1")
            .header("x-forwarded-user", "admin")
            .send()
            .await;
        assert_eq!(answer.status(), 401, "{} {}: {}", route.name, path, answer.text());
        assert_eq!(answer.json()["status"], 6, "{}", route.name);
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_served_and_browsable_with_no_outside_request() {
    let mut system = System::start().await;
    let client = Client::plain(&system.url);
    let served = client.get("/api/openapi.json").send().await.expect_status(200).json();
    assert_eq!(served["openapi"].as_str().unwrap().split('.').take(2).collect::<Vec<_>>(), ["3", "1"]);
    let page = client.get("/docs/index.html").send().await.expect_status(200).text();
    assert!(page.contains("swagger"), "{page}");
    for outside in ["https://", "http://", "//cdn"] {
        let links = page.matches(&format!("src=\"{outside}")).count()
            + page.matches(&format!("href=\"{outside}")).count();
        assert_eq!(links, 0, "{page}");
    }
    system.stop().await;
}
