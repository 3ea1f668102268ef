//! The live preview of a template, for the console's page of goods.

use actix_web::web;
use contracts::order_state::FulfilState;
use platform::http::{ApiError, Body, Fields, FromFields, caller::Identity};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    http::template_error,
    rules::{self, Format, RowStyle},
    store,
};
use crate::{
    app::Ctx,
    entities::orders,
    goods,
    wire::{self, Data},
};

pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.route("/api/goods/{goods_id}/preview", web::post().to(preview));
}

/// Orders shown at most.
const ROWS: u64 = 5;

/// What to try out.
#[derive(Debug, ToSchema)]
pub struct PreviewBody {
    /// `json`, a preset's name, or a template; absent = the goods' own.
    pub format: Option<String>,
}

impl FromFields for PreviewBody {
    fn read(f: &mut Fields<'_>) -> Self {
        let format = f.value("format").and_then(|v| v.as_str()).map(str::to_owned);
        Self { format }
    }
}

/// What a download would look like.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    pub text: String,
    /// Newest orders shown; 0 = there are none, and the text shows an example.
    pub orders: usize,
    /// Columns a template may name.
    pub columns: Vec<&'static str>,
    /// Ready addresses, one per state; the key is to be filled in.
    pub urls: Vec<StateUrl>,
}

/// The download address of one state.
#[derive(Debug, Serialize, ToSchema)]
pub struct StateUrl {
    pub state: &'static str,
    pub title: &'static str,
    pub url: String,
}

/// Renders a template with the goods' newest orders. Nothing changes.
#[utoipa::path(post, path = "/api/goods/{goods_id}/preview", operation_id = "GOODS_PREVIEW", tag = "goods",
    params(("goods_id" = i64, Path)), request_body = PreviewBody,
    responses((status = 200, body = Data<Preview>), (status = 404, description = "no such goods")))]
pub async fn preview(
    ctx: web::Data<Ctx>,
    _identity: Identity,
    id: web::Path<i64>,
    body: Body<PreviewBody>,
) -> Result<web::Json<Data<Preview>>, ApiError> {
    let found = goods::find(ctx.platform.db.conn(), *id).await?.filter(|g| g.deleted_at == 0);
    let goods = found.ok_or_else(wire::no_such_goods)?;
    let format =
        Format::resolve(body.format.as_deref().unwrap_or_default(), &goods).map_err(template_error)?;
    let mut rows = store::newest(&ctx.platform.db, goods.id, ROWS).await?;
    let orders = rows.len();
    if rows.is_empty() {
        rows.push(rules::example(&goods, ctx.platform.clock.now_ms()));
    }
    let text = render(&format, &rows, |state| RowStyle::new(&goods, state, ctx.platform.tz));
    let entry = ctx.platform.settings.supplier.path();
    let urls = FulfilState::ALL.into_iter().map(|s| url(&entry, goods.id, s)).collect();
    let columns = rules::COLUMNS.to_vec();
    Ok(web::Json(Data::of(Preview { text, orders, columns, urls })))
}

fn render(format: &Format, rows: &[orders::Model], style: impl Fn(FulfilState) -> RowStyle) -> String {
    let mut out = Vec::new();
    if *format == Format::Csv {
        rules::csv_line(&mut out, rules::COLUMNS.iter().map(|c| (*c).into()));
    }
    for (i, order) in rows.iter().enumerate() {
        let style = style(order.fulfilment().unwrap_or(FulfilState::NotStarted));
        match format {
            Format::Json => {
                out.extend_from_slice(if i == 0 { b"" } else { b"\n" });
                rules::json_row(&mut out, order, &style);
            }
            Format::Csv => {
                rules::csv_line(&mut out, rules::COLUMNS.iter().map(|c| rules::value(c, order, &style)))
            }
            Format::Template(template) => template.line(&mut out, order, &style),
            Format::Nothing => {}
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn url(entry: &str, goods_id: i64, state: FulfilState) -> StateUrl {
    let code = state.code();
    let url =
        format!("{entry}?m=home&c=api&a=down_orders&goods_id={goods_id}&state={code}&format=json&apikey=");
    StateUrl { state: code, title: state.title().0, url }
}
