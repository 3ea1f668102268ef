use actix_web::{HttpResponse, web};
use contracts::identity::Actor;
use platform::http::{ApiError, Body, Fields, FromFields, IdempotencyKey, caller::Identity, idempotency};
use utoipa::ToSchema;

use crate::{
    app::Ctx,
    intake::http::{MAX_INPUT_CHARS, Standing},
    lifecycle::{By, LifecycleError, rules::FulfilEvent},
    wire::{Data, OrderNumber},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/order/{number}/request", web::post().to(ask));
}

/// A buyer's wish.
#[derive(Debug, ToSchema)]
pub struct RequestBody {
    /// `refund`, `refill`, `renew` or `password`.
    #[schema(value_type = String)]
    pub kind: FulfilEvent,
    /// In the buyer's words; stands in the history.
    pub reason: String,
    /// Inputs that change with it (a new password), by name `aa` … `ee`; absent = as they are.
    #[schema(value_type = Option<crate::admin_orders::rows::Inputs>)]
    pub inputs: [Option<String>; 5],
}

impl FromFields for RequestBody {
    fn read(f: &mut Fields<'_>) -> Self {
        let inputs = |f: &mut Fields<'_>| {
            ["aa", "bb", "cc", "dd", "ee"].map(|name| f.optional_text(name, MAX_INPUT_CHARS))
        };
        Self {
            kind: kind(f),
            reason: f.optional_text("reason", 500).unwrap_or_default(),
            inputs: f.optional_object("inputs", inputs).unwrap_or_default(),
        }
    }
}

fn kind(f: &mut Fields<'_>) -> FulfilEvent {
    let text = f.required_text("kind", 20);
    match text.as_str() {
        "refund" => FulfilEvent::AskRefund,
        "refill" => FulfilEvent::AskRefill,
        "renew" => FulfilEvent::AskRenewal,
        "password" => FulfilEvent::AskPassword,
        "" => FulfilEvent::AskRefund,
        _ => {
            let (zh, en) =
                ("必须是 refund、refill、renew 或 password", "must be refund, refill, renew or password");
            f.error("kind", zh, en);
            FulfilEvent::AskRefund
        }
    }
}

/// Notes a buyer's wish; what is possible depends on the fulfilment state.
#[utoipa::path(post, path = "/api/order/{number}/request", operation_id = "ORDER_REQUEST", tag = "orders",
    params(("number" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = RequestBody,
    responses((status = 200, body = Data<Standing>), (status = 400, description = "not in this state"),
        (status = 404, description = "no such order")))]
pub async fn ask(
    ctx: web::Data<Ctx>,
    identity: Identity,
    key: IdempotencyKey,
    number: web::Path<OrderNumber>,
    body: Body<RequestBody>,
) -> Result<HttpResponse, ApiError> {
    let scope = idempotency::scope("ORDER_REQUEST", &identity.caller);
    let actor = Actor::from(&identity.caller);
    let platform = &ctx.platform;
    idempotency::answer(&platform.db, &platform.clock, &scope, &key, &body.sha256, async |tx| {
        let by = By { actor: &actor, reason: &body.reason };
        let order = ctx.lifecycle.ask(tx, &number, body.kind, &body.inputs, by).await?;
        Ok::<_, LifecycleError>(Data::of(Standing::from(order)))
    })
    .await
}
