use actix_web::web::{self, Json};
use platform::http::{ApiError, Fields, FromFields, Query, caller::Identity};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    rules::{DISTRIBUTOR, OWN},
    store::{self, Line},
};
use crate::{Ctx, wire::Data};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/api/callback/events").route(web::get().to(events)));
}

/// A change, as callbacks carry it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedEvent {
    /// The `webhook-id` of its callbacks.
    pub id: String,
    /// Its place in the feed.
    pub cursor: String,
    /// The body of the `standard` dialect: `{type, timestamp, data}`.
    #[schema(value_type = Object)]
    pub event: Box<RawValue>,
}

/// A stretch of the feed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Feed {
    pub data: Vec<FeedEvent>,
    /// For the next call, also when there is nothing new.
    pub next_cursor: String,
    /// There is more already.
    pub has_more: bool,
}

/// From where on, and whose.
#[derive(Debug)]
pub struct FeedQuery {
    cursor: i64,
    limit: usize,
    partner_id: Option<i64>,
    source: Option<i16>,
}

impl FromFields for FeedQuery {
    fn read(f: &mut Fields<'_>) -> Self {
        let limit = f.optional_int("limit", 1..=1000).unwrap_or(100);
        let source = f.optional_int("type", OWN.into()..=DISTRIBUTOR.into());
        Self {
            cursor: f.optional_int("cursor", 0..=i64::MAX).unwrap_or(0),
            limit: usize::try_from(limit).unwrap_or(100),
            partner_id: f.optional_int("partner_id", 0..=i64::MAX),
            source: source.and_then(|s| i16::try_from(s).ok()),
        }
    }
}

/// The same events that callbacks carry, by cursor: every change once, in the order of commits.
#[utoipa::path(get, path = "/api/callback/events", operation_id = "CALLBACK_EVENTS", tag = "changes",
    params(("cursor" = Option<i64>, Query, description = "next_cursor of the last call; absent = from the beginning"),
        ("limit" = Option<i64>, Query, description = "1 to 1000, default 100"),
        ("type" = Option<i64>, Query, description = "1 own orders, 2 orders of distributors; absent = both"),
        ("partner_id" = Option<i64>, Query, description = "operators only; default 0, the house itself")),
    responses((status = 200, body = Data<Feed>)))]
async fn events(
    ctx: web::Data<Ctx>,
    identity: Identity,
    query: Query<FeedQuery>,
) -> Result<Json<Data<Feed>>, ApiError> {
    let FeedQuery { cursor, limit, partner_id, source } = query.into_inner();
    let partner_id = identity.partner_scope().or(partner_id).unwrap_or(0);
    let mut lines = store::after(ctx.platform.db.conn(), partner_id, source, cursor, limit + 1).await?;
    let has_more = lines.len() > limit;
    lines.truncate(limit);
    let next_cursor = lines.last().map_or(cursor, |line| line.seq).to_string();
    let data = lines.into_iter().map(event).collect::<Result<_, _>>().map_err(ApiError::internal)?;
    Ok(Json(Data::new(Feed { data, next_cursor, has_more })))
}

fn event(line: Line) -> Result<FeedEvent, serde_json::Error> {
    Ok(FeedEvent {
        id: line.event_id,
        cursor: line.seq.to_string(),
        event: RawValue::from_string(line.standard)?,
    })
}

/// The OpenAPI part of this feature.
#[derive(utoipa::OpenApi)]
#[openapi(paths(events), components(schemas(FeedEvent, Feed)))]
pub struct Doc;
