//! The only public door of Baodan: finds the route, checks token and permission, limits, forwards.
//!
//! Owns: nothing in a database. Routes in: `contracts::routes` and its own pages (`/`, `/docs`,
//! `/api/openapi.json`, `/healthz`, `/readyz`, `/metrics`). Events in: `policy.changed` and `token.revoked`, as a
//! reason to ask auth-service for the policy. Events out: none.
//!
//! Invariants: a request that is not in the route table reaches no service; no header of a client outside the
//! allow-list reaches a service; who a caller is travels only in the signed internal token; a path has one spelling.
//! Deliberately absent: TLS and HTTP/2 (what stands in front ends them; plain HTTP/1.1 arrives here), CORS (the
//! console has the same origin), caching of answers, rewriting of bodies.

mod access;
mod app;
mod assets;
pub mod cli;
mod config;
mod console;
mod door;
mod forward;
mod health;
mod limits;
mod observe;
mod openapi;
mod routes;

pub use access::HttpPolicySource;
#[cfg(feature = "fuzzing")]
pub use access::fuzzing;
pub use app::{Gateway, Serving, check, serve};
