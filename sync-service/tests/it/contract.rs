//! Route table, OpenAPI document and handlers say the same.

use std::collections::BTreeSet;

use contracts::routes::{self, Access, ServiceName};
use reqwest::Method;
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
