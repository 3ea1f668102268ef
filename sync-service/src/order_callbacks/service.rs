use contracts::callbacks::{
    CallbackAnswer, CallbackEntry, CallbackLog, CallbackPlace, CallbacksUnavailable, MOST_ENTRIES,
};
use platform::db::Db;
use sea_orm::DbErr;

use super::{rules::is_number, store};

/// An order's callbacks straight from this service's database: for an order-service in the same process, and behind
/// `GET /internal/order/{number}/callbacks` for the others.
#[derive(Clone)]
pub struct LocalCallbacks(Db);

impl LocalCallbacks {
    pub fn new(db: Db) -> Self {
        Self(db)
    }

    /// As [`CallbackLog::of_order`].
    pub(super) async fn read(
        &self,
        number: &str,
        after: CallbackPlace,
        limit: u64,
    ) -> Result<Vec<CallbackEntry>, DbErr> {
        if !is_number(number) {
            return Ok(Vec::new());
        }
        store::log(self.0.conn(), number, after, limit.min(MOST_ENTRIES)).await
    }
}

impl CallbackLog for LocalCallbacks {
    fn of_order<'a>(&'a self, number: &'a str, after: CallbackPlace, limit: u64) -> CallbackAnswer<'a> {
        Box::pin(async move {
            self.read(number, after, limit).await.map_err(|e| CallbacksUnavailable(e.to_string()))
        })
    }
}
