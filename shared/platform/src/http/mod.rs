//! The HTTP pieces every service and the gateway share: the request's context, errors in three wire
//! dialects, typed reading of bodies and queries, idempotency, the caller, the outgoing client,
//! questions inside the house, failures in OpenAPI.
//!
//! Deliberately absent: routes, business rules, and any trust in a client's header (see `caller`).

pub mod body;
pub mod caller;
pub mod client;
pub mod context;
pub mod error;
pub mod fields;
pub mod form;
pub mod idempotency;
pub mod internal;
pub mod openapi;
mod render;
pub mod values;

pub use body::{Body, BodyLimit, Merged, Query};
pub use client::{OutgoingSettings, outgoing};
pub use context::{Language, RequestContext, request_context};
pub use error::{ApiError, ForbiddenKind, Message};
pub use fields::{Fields, FromFields};
pub use idempotency::{Begin, Guard, IdempotencyKey};
pub use render::{extractor_config, method_not_allowed_handler, not_found_handler};
