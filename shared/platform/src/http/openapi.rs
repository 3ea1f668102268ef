//! The refusals and failures of every operation in the OpenAPI documents. What an operation can answer follows from its
//! line in the route table and from its parameters, so it is said here once and no handler repeats it; a handler
//! that has more to say about a status describes it, and gets the body from here.
//!
//! Deliberately absent: the drop-in dialects, whose HTTP status is always 200 and whose bodies their handlers describe.

use std::collections::BTreeMap;

use contracts::routes::{self, Access, Dialect, Method, Route};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Content, OpenApi, Ref, RefOr, Response, ResponseBuilder,
        path::{Operation, PathItem},
    },
};

/// A request that was refused or has failed (`spec/report-admin-api.md`, "Status numbers").
#[derive(Debug, Serialize, ToSchema)]
pub struct Failure {
    /// 1 wrong field, 2 refused by a rule, 3-5 no permission, 6 no valid token, 7 not found, 8 Idempotency-Key in use or
    /// used for something else, 9 too many, 500 our fault.
    pub status: u16,
    /// One sentence for people; with the request's id where the fault is ours.
    pub error: String,
    /// Field → what is wrong with it.
    pub errors: BTreeMap<String, String>,
    /// Facts a program can act on, where there are some: the id that exists already, the states that are allowed.
    #[schema(value_type = Option<Object>)]
    pub data: Option<serde_json::Value>,
}

/// (status or range, name, description) of each answer.
const ANSWERS: [(&str, &str, &str); 6] = [
    ("400", "Wrong", "A field is missing or wrong (status 1; `errors` names it), or a rule forbids it (2)"),
    ("401", "Unauthenticated", "No valid token, or none that the gateway gave (6)"),
    (
        "403",
        "Forbidden",
        "The roles do not hold the permission (3), it is not registered (4), no role holds it (5)",
    ),
    ("404", "NotFound", "No such thing, or not the caller's (7)"),
    (
        "4XX",
        "Refused",
        "Refused for another reason: body too large or of a kind nobody reads (1), too many (9)",
    ),
    ("5XX", "Failed", "Our fault, or not possible just now (500); `Retry-After` says when it may be"),
];

/// The document with the failures of all its operations.
pub fn with_failures(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_default();
    components.schemas.insert(Failure::name().into(), Failure::schema());
    for (_, name, description) in ANSWERS {
        let response = ResponseBuilder::new().description(description).content(JSON, body()).build();
        components.responses.insert(name.into(), response.into());
    }
    for (path, item) in &mut document.paths.paths {
        for route in routes::all().filter(|r| r.path == *path && r.dialect == Dialect::Admin) {
            if let Some(operation) = operation(item, route.method) {
                describe(operation, route);
            }
        }
    }
    document
}

const JSON: &str = "application/json";

fn body() -> Content {
    Content::new(Some(RefOr::Ref(Ref::from_schema_name(Failure::name()))))
}

fn operation(item: &mut PathItem, method: Method) -> Option<&mut Operation> {
    match method {
        Method::Get => item.get.as_mut(),
        Method::Post => item.post.as_mut(),
        Method::Put => item.put.as_mut(),
        Method::Delete => item.delete.as_mut(),
    }
}

fn describe(operation: &mut Operation, route: &Route) {
    let reads =
        operation.request_body.is_some() || operation.parameters.as_ref().is_some_and(|p| !p.is_empty());
    let possible = |status: &str| match status {
        "400" => reads,
        "401" => route.access != Access::Public,
        "403" => route.needs_permission(),
        "404" => route.path.contains('{'),
        _ => true,
    };
    let responses = &mut operation.responses.responses;
    for (status, name, _) in ANSWERS.iter().filter(|(status, ..)| possible(status)) {
        responses.entry((*status).into()).or_insert_with(|| RefOr::Ref(Ref::from_response_name(*name)));
    }
    for (status, response) in responses {
        if let RefOr::T(Response { content, .. }) = response
            && status.starts_with(['4', '5'])
            && content.is_empty()
        {
            content.insert(JSON.into(), body().into());
        }
    }
}
