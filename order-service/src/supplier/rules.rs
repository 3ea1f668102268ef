//! What a row looks like to a supplier, in JSON, CSV and templates; what the drop-in's parameters mean.

use std::borrow::Cow;

use chrono_tz::Tz;
use contracts::order_state::FulfilState;
use platform::clock::local_text;

use crate::entities::{goods, orders};

/// The columns of a row, in the order they are sent.
pub const COLUMNS: [&str; 31] = [
    "id",
    "user_note",
    "aa",
    "bb",
    "cc",
    "dd",
    "ee",
    "need_num_0",
    "need_num_1",
    "need_num_2",
    "need_num_3",
    "start_num",
    "now_num",
    "end_num",
    "order_state",
    "login_state",
    "start_time",
    "end_time",
    "add_time",
    "order_amount",
    "order_cardnum",
    "tui_amount",
    "tui_cardnum",
    "user_id",
    "card_id",
    "order_pay_type",
    "goods_id",
    "goods_type",
    "goods_type_title",
    "api_note",
    "admin_note",
];

/// These stand in JSON as numbers, everything else as text.
const NUMBERS: [&str; 2] = ["order_state", "login_state"];

/// Longest template, and how many columns one may name: an answer is at most so many times its orders.
pub const MAX_TEMPLATE_CHARS: usize = 8192;
pub const MAX_PLACEHOLDERS: usize = 200;

/// `spec/supplier-api.md`, "Presets".
pub const TXT: &str = "{id}----{aa}----{need_num_0}";

/// What every row of an answer has in common.
#[derive(Debug, Clone)]
pub struct RowStyle {
    /// The state that was asked for; a row shows it even when the hand-out moved the order on.
    pub state: FulfilState,
    pub goods_type: String,
    pub goods_type_title: String,
    pub tz: Tz,
}

impl RowStyle {
    pub fn new(goods: &goods::Model, state: FulfilState, tz: Tz) -> Self {
        let title = if goods.type_title.is_empty() { &goods.name } else { &goods.type_title };
        Self { state, goods_type: goods.type_id.to_string(), goods_type_title: title.clone(), tz }
    }
}

fn yuan(fen: i64) -> Cow<'static, str> {
    format!("{}.{:02}", fen / 100, fen % 100).into()
}

/// A column's text. `column` is one of [`COLUMNS`].
pub fn value<'a>(column: &str, o: &'a orders::Model, style: &'a RowStyle) -> Cow<'a, str> {
    let number = |n: i64| Cow::<str>::Owned(n.to_string());
    let time = |ms| Cow::<str>::Owned(local_text(ms, style.tz));
    match column {
        "id" => number(o.service_no),
        "user_note" => o.user_note.as_str().into(),
        "aa" => o.aa.as_str().into(),
        "bb" => o.bb.as_str().into(),
        "cc" => o.cc.as_str().into(),
        "dd" => o.dd.as_str().into(),
        "ee" => o.ee.as_str().into(),
        "need_num_0" => number(o.need_num_0),
        "need_num_1" => number(o.need_num_1),
        "need_num_2" => number(o.need_num_2),
        "need_num_3" => number(o.need_num_3),
        "start_num" => number(o.start_num),
        "now_num" => number(o.now_num),
        "end_num" => number(o.end_num),
        "order_state" => number(i64::from(i16::from(style.state))),
        "login_state" => number(i64::from(o.login_state)),
        "start_time" => time(o.start_time),
        "end_time" => time(o.end_time),
        "add_time" => time(o.checkout_at),
        "order_amount" => yuan(o.total_fen),
        "tui_amount" => yuan(o.refund_fen),
        // There are no points here; clients still read the two.
        "order_cardnum" | "tui_cardnum" | "card_id" => "0".into(),
        "user_id" => number(o.customer_id),
        "order_pay_type" => number(o.payment_channel),
        "goods_id" => number(o.goods_id),
        "goods_type" => style.goods_type.as_str().into(),
        "goods_type_title" => style.goods_type_title.as_str().into(),
        "api_note" => o.api_note.as_str().into(),
        "admin_note" => o.admin_note.as_str().into(),
        _ => "".into(),
    }
}

/// Appends the row as a JSON object.
pub fn json_row(out: &mut Vec<u8>, order: &orders::Model, style: &RowStyle) {
    for (i, column) in COLUMNS.iter().enumerate() {
        out.push(if i == 0 { b'{' } else { b',' });
        let value = value(column, order, style);
        out.push(b'"');
        out.extend_from_slice(column.as_bytes());
        out.extend_from_slice(b"\":");
        if NUMBERS.contains(column) {
            out.extend_from_slice(value.as_bytes());
        } else {
            json_text(out, &value);
        }
    }
    out.push(b'}');
}

fn json_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a text is JSON, and a Vec takes it");
}

/// Appends a CSV line (RFC 4180). A cell a spreadsheet would run as a formula begins with an apostrophe.
pub fn csv_line<'a>(out: &mut Vec<u8>, cells: impl Iterator<Item = Cow<'a, str>>) {
    for (i, cell) in cells.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
        let quoted = formula || cell.contains(['"', ',', '\r', '\n']);
        if quoted {
            out.push(b'"');
        }
        if formula {
            out.push(b'\'');
        }
        out.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
        if quoted {
            out.push(b'"');
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// A parsed template: one line per order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Column(&'static str),
}

/// Why a template is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("the template is longer than {MAX_TEMPLATE_CHARS} characters")]
    TooLong,
    #[error("the template names more than {MAX_PLACEHOLDERS} columns")]
    TooManyColumns,
}

impl Template {
    /// Reads `{column}`, `[column]`, `\n`, `\t`, `\r`; anything else stands for itself.
    ///
    /// # Errors
    /// Too long, or too many columns.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.chars().count() > MAX_TEMPLATE_CHARS {
            return Err(TemplateError::TooLong);
        }
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        let mut columns = 0;
        while let Some(c) = rest.chars().next() {
            if let Some((column, behind)) = placeholder(rest) {
                columns += 1;
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Column(column));
                rest = behind;
            } else if let Some((control, behind)) = escape(rest) {
                plain.push(control);
                rest = behind;
            } else {
                plain.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        if columns > MAX_PLACEHOLDERS {
            return Err(TemplateError::TooManyColumns);
        }
        if !plain.ends_with('\n') {
            plain.push('\n');
        }
        pieces.push(Piece::Text(plain));
        Ok(Self(pieces))
    }

    /// Appends the order's line. A buyer's line breaks and tabs become blanks, so that one order stays one line.
    pub fn line(&self, out: &mut Vec<u8>, order: &orders::Model, style: &RowStyle) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Column(column) => {
                    let value = value(column, order, style);
                    if value.contains(char::is_control) {
                        out.extend_from_slice(value.replace(char::is_control, " ").as_bytes());
                    } else {
                        out.extend_from_slice(value.as_bytes());
                    }
                }
            }
        }
    }
}

fn placeholder(text: &str) -> Option<(&'static str, &str)> {
    let close = match text.as_bytes().first()? {
        b'{' => '}',
        b'[' => ']',
        _ => return None,
    };
    let (name, behind) = text[1..].split_once(close)?;
    COLUMNS.iter().find(|c| **c == name).map(|c| (*c, behind))
}

fn escape(text: &str) -> Option<(char, &str)> {
    let control = match text.as_bytes().get(..2)? {
        b"\\n" => '\n',
        b"\\t" => '\t',
        b"\\r" => '\r',
        _ => return None,
    };
    Some((control, &text[2..]))
}

/// An order as it could be, for previews of goods that have none yet.
pub fn example(goods: &goods::Model, now: i64) -> orders::Model {
    orders::Model {
        service_no: 10001,
        number: "2611211404050261234".into(),
        state: 3,
        fulfil_state: Some(FulfilState::NotStarted.into()),
        customer_id: 1,
        goods_id: goods.id,
        kind: goods.kind.clone(),
        title: goods.name.clone(),
        price_fen: goods.price_fen,
        size: 100,
        total_fen: goods.price_fen.saturating_mul(100),
        need_num_0: 100,
        checkout_at: now,
        paid_at: now,
        aa: "https://example.com/1".into(),
        ..Default::default()
    }
}

/// How an answer is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
    Template(Template),
    /// Neither the call nor the goods name one: nothing can be handed out.
    Nothing,
}

impl Format {
    /// What `format` means for these goods: `json`, a preset's name, or a template; absent = the goods' own.
    ///
    /// # Errors
    /// A template beyond the limits.
    pub fn resolve(wanted: &str, goods: &goods::Model) -> Result<Self, TemplateError> {
        let wanted = if wanted.is_empty() { goods.format.as_str() } else { wanted };
        match wanted.trim().to_ascii_lowercase().as_str() {
            "" => return Ok(Self::Nothing),
            "json" => return Ok(Self::Json),
            "csv" => return Ok(Self::Csv),
            "txt" => return Template::parse(TXT).map(Self::Template),
            _ => {}
        }
        let presets: Vec<crate::goods::Preset> = serde_json::from_str(&goods.presets).unwrap_or_default();
        let preset = presets.iter().find(|p| p.name == wanted.trim());
        Template::parse(preset.map_or(wanted, |p| &p.format)).map(Self::Template)
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
