//! `http` 0.2 for actix (`[patch.crates-io]` in the workspace's manifest): the types of `http` 1, which differ in
//! nothing that actix uses.
//!
//! Why: 0.2 takes no UTF-8 in a query. `curl "…/api/report?title=测试"`, the seed's own first example, sends it so, and
//! the server refused it with an empty 400 before any code of ours was asked. 1.3 and later take UTF-8, and it only.
//!
//! No member of the workspace, lest cargo-chef put an empty crate in its place. To be removed with an actix on http 1.

pub use current::*;
