#![allow(clippy::unwrap_used)]

mod bed;
mod client;
mod mini;
mod receiver;
mod system;
