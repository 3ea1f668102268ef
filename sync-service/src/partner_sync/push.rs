//! Channel 1 with an api_url: the same rows, pushed there in batches.

use platform::{clock, db::WriteTx, telemetry};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    access::Entrant,
    rules::{PUSHED, Params},
    service::{SyncError, brought_up_to_date, dropped_in},
    store::{self, NewBatch},
};
use crate::{
    changes::store::lock_feed,
    ctx::Ctx,
    delivery::intake::{self, Handoff, Wanted},
    subscriptions::service::{Origin, create_in},
};

/// Queues the rows for the api_url, at most [`PUSHED`] to a batch, one batch after the other.
pub async fn enqueue(
    ctx: &Ctx,
    tx: &WriteTx,
    who: &Entrant,
    params: &Params,
    batch_no: &str,
    list: &[Map<String, Value>],
) -> Result<Handoff, SyncError> {
    // Another call for the same address must not put its batches beside these.
    lock_feed(tx).await?;
    let subscription = match store::push_address(tx, who.partner.id, &params.api_url).await? {
        Some(there) => brought_up_to_date(ctx, tx, who, there, params).await?,
        // It wants no changes by itself: it is an address and its secrets.
        None => create_in(ctx, tx, &who.who, dropped_in(who, params, (false, false), Origin::Push)).await?.0,
    };
    let at_ms = ctx.platform.clock.now_ms();
    let mut batches = Vec::new();
    let mut wanted = Vec::new();
    for rows in list.chunks(PUSHED) {
        let id = ctx.platform.ids.next();
        batches.push(bytes(id, params.source, batch_no, rows, at_ms)?);
        wanted.push(Wanted {
            subscription_id: subscription.id,
            partner_id: subscription.partner_id,
            change_seq: -id,
            // Batches of one address go one after the other, as the changes of one order do.
            order_id: -subscription.id,
            order_seq: id,
            latest_wins: false,
        });
    }
    store::insert_batches(tx, &batches).await?;
    Ok(intake::enqueue(ctx, tx, wanted, |_| None, None).await?)
}

/// One batch in both dialects.
fn bytes(
    id: i64,
    source: i16,
    batch_no: &str,
    rows: &[Map<String, Value>],
    at_ms: i64,
) -> Result<NewBatch, serde_json::Error> {
    #[derive(Serialize)]
    struct Pushed<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
        timestamp: String,
        data: Data<'a>,
    }
    #[derive(Serialize)]
    struct Data<'a> {
        batch_no: &'a str,
        #[serde(rename = "type")]
        source: i16,
        total: usize,
        list: &'a [Map<String, Value>],
    }
    let event_id = format!("bat_{id}");
    let data = Data { batch_no, source, total: rows.len(), list: rows };
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("batch_no", batch_no)
        .append_pair("type", &source.to_string())
        .append_pair("total", &rows.len().to_string())
        .append_pair("list", &serde_json::to_string(rows)?)
        .append_pair("event_id", &event_id)
        .append_pair("timestamp", &at_ms.div_euclid(1000).to_string());
    let gth = form.finish();
    let standard =
        serde_json::to_string(&Pushed { kind: "order.synced", timestamp: clock::rfc3339(at_ms), data })?;
    let traceparent = telemetry::current_traceparent().unwrap_or_default();
    Ok(NewBatch { id, event_id, standard, gth, traceparent })
}
