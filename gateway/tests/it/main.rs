//! The gateway by HTTP, before stand-ins for the services: in its own process and before others.

#![allow(clippy::unwrap_used)]

mod bodies;
mod headers;
mod logs;
mod pages;
mod paths;
mod permissions;
mod policy;
mod replicas;
mod support;
mod tokens;
mod upstream;
