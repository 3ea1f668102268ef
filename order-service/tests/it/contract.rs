//! The OpenAPI document says what the route table says, and nothing answers behind the gateway's back.

use std::collections::BTreeSet;

use contracts::routes::Access;
use testing::TestBed;

use crate::own_routes;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openapi_document_and_the_route_table_name_the_same_operations() {
    let bed = TestBed::new().await;
    let service = order_service::app::build(&bed.shared).await.unwrap();
    let document = serde_json::to_value(&service.openapi).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            described.insert((method.to_uppercase(), path.clone(), name.to_owned()));
        }
    }
    let listed: BTreeSet<_> =
        own_routes().map(|r| (r.method.as_str().to_owned(), r.path.to_owned(), r.name.to_owned())).collect();
    assert_eq!(described, listed);
    bed.start(service).await;
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_but_those_with_keys_answers_a_request_that_did_not_come_through_the_gateway() {
    let (bed, app) = crate::start().await;
    for route in own_routes().filter(|r| r.access != Access::Key) {
        let path = ["{goods_id}", "{number}", "{customer_id}"]
            .iter()
            .fold(route.path.to_owned(), |p, name| p.replace(name, "1"));
        let method = route.method.as_str().parse().unwrap();
        let answer = app.request(method, &path).without_gateway().send().await;
        assert_eq!(answer.status(), 401, "{} {}", route.method.as_str(), route.path);
        assert_eq!(answer.json()["status"], 6);
    }
    bed.finish().await;
}

#[test]
fn the_diagram_of_the_states_is_the_one_of_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/states.md");
    let (stored, made) =
        (std::fs::read_to_string(path).unwrap_or_default(), order_service::lifecycle::rules::diagram());
    let fresh = concat!(env!("CARGO_TARGET_TMPDIR"), "/states.md");
    std::fs::write(fresh, &made).unwrap();
    assert!(stored == made, "docs/states.md is not what the tables say; cp {fresh} {path}");
}
