//! The OpenAPI document says what the route table says.

use std::collections::BTreeSet;

use contracts::routes::{self, ServiceName};
use testing::TestBed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_openapi_document_and_the_route_table_name_the_same_operations() {
    let bed = TestBed::new().await;
    let service = report_service::app::build(&bed.shared).await.unwrap();
    let document = serde_json::to_value(&service.openapi).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            described.insert((method.to_uppercase(), path.clone(), name.to_owned()));
        }
    }
    let table = routes::all().filter(|r| r.service == ServiceName::Report);
    let listed: BTreeSet<_> =
        table.map(|r| (r.method.as_str().to_owned(), r.path.to_owned(), r.name.to_owned())).collect();
    assert_eq!(described, listed);
    bed.start(service).await;
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_answers_a_request_that_did_not_come_through_the_gateway() {
    let (bed, app) = crate::start().await;
    for route in routes::all().filter(|r| r.service == ServiceName::Report) {
        let path = route
            .path
            .replace("{report_id}", "1")
            .replace("{white_list_id}", "1")
            .replace("{import_id}", "1")
            .replace("{*key}", "a.pdf");
        let method = route.method.as_str().parse().unwrap();
        let answer = app.request(method, &path).without_gateway().send().await;
        assert_eq!(answer.status(), 401, "{} {}", route.method.as_str(), route.path);
        assert_eq!(answer.json()["status"], 6);
    }
    bed.finish().await;
}
