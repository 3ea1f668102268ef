//! What order-service asks of this one, when it runs in another process.

use actix_web::web::{self, Json};
use contracts::callbacks::{CallbackEntry, CallbackPlace, MOST_ENTRIES};
use platform::http::{ApiError, Fields, FromFields, Query, caller::Identity};

use super::service::LocalCallbacks;
use crate::Ctx;

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/internal/order/{number}/callbacks").route(web::get().to(log)));
}

/// From where on, and how many.
struct LogQuery {
    after: CallbackPlace,
    limit: u64,
}

impl FromFields for LogQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        let mut number = |name| f.optional_int(name, 0..=i64::MAX).unwrap_or(0);
        let after = CallbackPlace { at: number("at"), id: number("id") };
        let most = i64::try_from(MOST_ENTRIES).unwrap_or(i64::MAX);
        Self { after, limit: f.optional_int("limit", 1..=most).unwrap_or(most).unsigned_abs() }
    }
}

/// `GET /internal/order/{number}/callbacks?at=&id=&limit=`: the entries of the order behind that place. For
/// order-service only: it is in no route table, and the internal token it wants is signed for this very path.
async fn log(
    ctx: web::Data<Ctx>,
    _order_service: Identity,
    number: web::Path<String>,
    query: Query<LogQuery>,
) -> Result<Json<Vec<CallbackEntry>>, ApiError> {
    let LogQuery { after, limit } = query.into_inner();
    let local = LocalCallbacks::new(ctx.platform.db.clone());
    Ok(Json(local.read(&number, after, limit).await?))
}
