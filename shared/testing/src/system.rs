//! Tests of the binaries themselves: where five processes find databases, bus and quotas of their own.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use crate::{
    bed::{MAX_CONNECTIONS, new_id},
    mode,
    postgres::{self, Postgres},
    tap,
};

/// The `BAODAN_…` variables of a system on PostgreSQL, RabbitMQ and Redis that shares nothing with others.
/// What it leaves behind is removed by [`forget_system`], or an hour later by another test.
///
/// # Panics
/// When PostgreSQL does not answer.
pub fn system_environment() -> BTreeMap<String, String> {
    let id = new_id();
    let bed = id.clone();
    block_on(async move { Postgres::register(&bed).await?.close().await })
        .expect("PostgreSQL: run `make test-env`");
    let variables = [
        ("DATABASE__URL", postgres::service_url().expose_secret().to_owned()),
        ("DATABASE__SCHEMA", format!("{id}_{{service}}")),
        ("DATABASE__MAX_CONNECTIONS", MAX_CONNECTIONS.to_string()),
        ("BUS__URL", mode::amqp_url().expose_secret().to_owned()),
        ("BUS__PREFIX", id.clone()),
        ("REDIS__URL", mode::redis_url().expose_secret().to_owned()),
        ("REDIS__PREFIX", id),
    ];
    variables.into_iter().map(|(name, value)| (format!("BAODAN_{name}"), value)).collect()
}

/// Removes schemas, queues and exchange of a system that has ended; `prefix` is its `BAODAN_BUS__PREFIX`.
/// For a `drop`: what cannot be removed now is swept later.
pub fn forget_system(prefix: &str) {
    let id = prefix.to_owned();
    let _ = block_on(async move {
        tap::delete_queues(&mode::amqp_url(), std::slice::from_ref(&id)).await.map_err(|e| e.to_string())?;
        let postgres = Postgres::register(&id).await.map_err(|e| e.to_string())?;
        postgres.drop_bed().await.map_err(|e| e.to_string())
    });
}

/// Runs `future` to its end from code that is not async, inside a runtime or outside.
fn block_on<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let thread = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(future)
    });
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
