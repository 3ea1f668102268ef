//! The callbacks of a sync-service in another process.

use std::sync::Arc;

use contracts::{
    callbacks::{CallbackAnswer, CallbackEntry, CallbackLog, CallbackPlace, CallbacksUnavailable},
    routes::ServiceName,
};
use platform::{
    http::internal::{InternalClient, InternalError},
    service::{Shared, StartError},
};

/// The log of the sync-service that `gateway.upstreams.sync` names; without that setting one that is never there.
///
/// # Errors
/// The setting is wrong.
pub fn log(shared: &Shared) -> Result<Arc<dyn CallbackLog>, StartError> {
    if !shared.settings.gateway.upstreams.contains_key(ServiceName::Sync.as_str()) {
        return Ok(Arc::new(Nowhere));
    }
    Ok(Arc::new(HttpCallbacks(InternalClient::new(shared, ServiceName::Sync)?)))
}

/// Asks over HTTP: `GET /internal/order/{number}/callbacks`.
struct HttpCallbacks(InternalClient);

impl HttpCallbacks {
    async fn ask(
        &self,
        number: &str,
        after: CallbackPlace,
        limit: u64,
    ) -> Result<Vec<CallbackEntry>, InternalError> {
        let path = format!("/internal/order/{number}/callbacks");
        let query =
            [("at", after.at.to_string()), ("id", after.id.to_string()), ("limit", limit.to_string())];
        Ok(self.0.get(&path, &query).await?.json().await?)
    }
}

impl CallbackLog for HttpCallbacks {
    fn of_order<'a>(&'a self, number: &'a str, after: CallbackPlace, limit: u64) -> CallbackAnswer<'a> {
        Box::pin(async move {
            self.ask(number, after, limit).await.map_err(|e| CallbacksUnavailable(e.to_string()))
        })
    }
}

/// Nobody said where sync-service is.
struct Nowhere;

impl CallbackLog for Nowhere {
    fn of_order<'a>(&'a self, _: &'a str, _: CallbackPlace, _: u64) -> CallbackAnswer<'a> {
        let unset = "set BAODAN_GATEWAY__UPSTREAMS__SYNC for order-service as well";
        Box::pin(async move { Err(CallbacksUnavailable(unset.into())) })
    }
}
