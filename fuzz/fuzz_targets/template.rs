#![no_main]
//! What a supplier downloads. The input is a supplier's template and, behind the first NUL, what a buyer wrote: neither
//! may make lines, columns, formulas or sizes of its own.

use std::borrow::Cow;

use contracts::order_state::FulfilState;
use libfuzzer_sys::fuzz_target;
use order_service::fuzzing::{
    COLUMNS, Format, MAX_PLACEHOLDERS, MAX_TEMPLATE_CHARS, RowStyle, TemplateError, csv_line, example, goods,
    json_row, orders, value,
};
use platform::settings::Settings;
use serde_json::Value;

/// 2026-11-21, unix milliseconds.
const NOW: i64 = 1_795_269_845_026;
/// A spreadsheet runs a cell that begins with one of these.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

fn goods() -> goods::Model {
    goods::Model {
        id: 5,
        kind: goods::SERVICE.into(),
        name: "点赞".into(),
        cover: String::new(),
        price_fen: 5,
        partner_id: 0,
        report_id: 0,
        report_version: 0,
        read_count: 0,
        status: 1,
        initial_state: 1,
        format: String::new(),
        presets: r#"[{"name": "short", "format": "{id}"}]"#.into(),
        input_labels: "[]".into(),
        unit: String::new(),
        type_id: 0,
        type_title: String::new(),
        deleted_at: 0,
        created_at: 0,
        updated_at: 0,
    }
}

/// No more lines than the template has, as wide as it lets them be.
fn template_is_bounded(text: &str, order: &orders::Model, style: &RowStyle, goods: &goods::Model) {
    match Format::resolve(text, goods) {
        Ok(Format::Template(template)) => {
            let mut out = Vec::new();
            template.line(&mut out, order, style);
            let line = String::from_utf8(out).expect("UTF-8");
            assert!(line.ends_with('\n'), "{text:?}");
            let widest = COLUMNS.iter().map(|c| value(c, order, style).len()).max().expect("columns");
            // A preset is short, and longer than its name.
            let longest = text.len().max(goods.presets.len());
            assert!(
                line.len() <= longest + 1 + MAX_PLACEHOLDERS * widest,
                "{} bytes of {text:?}",
                line.len()
            );
            // No more lines than the template itself has.
            let own = text.matches('\n').count() + text.matches("\\n").count() + 1;
            assert!(line.matches('\n').count() <= own, "{line:?} of {text:?}");
        }
        Ok(Format::Json | Format::Csv | Format::Nothing) => {}
        Err(TemplateError::TooLong) => {
            assert!(text.chars().count() > MAX_TEMPLATE_CHARS);
        }
        Err(TemplateError::TooManyColumns) => {
            assert!(text.matches(['{', '[']).count() > MAX_PLACEHOLDERS, "{text:?}");
        }
    }
}

/// As many cells as columns, each what the buyer wrote or that behind an apostrophe, none of them a formula.
fn csv_is_inert(order: &orders::Model, style: &RowStyle) {
    let cells = || COLUMNS.iter().map(|c| value(c, order, style));
    let mut out = Vec::new();
    csv_line(&mut out, cells());
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&out[..]);
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("CSV");
    assert_eq!(rows.len(), 1, "{:?}", String::from_utf8_lossy(&out));
    assert_eq!(rows[0].len(), COLUMNS.len());
    for (read, written) in rows[0].iter().zip(cells()) {
        assert!(!read.starts_with(FORMULA), "{read:?}");
        let plain = if written.starts_with(FORMULA) { read.strip_prefix('\'') } else { Some(read) };
        assert_eq!(plain, Some(&*written));
    }
}

fn json_is_what_was_written(order: &orders::Model, style: &RowStyle) {
    let mut out = Vec::new();
    json_row(&mut out, order, style);
    let row: Value = serde_json::from_slice(&out).expect("JSON");
    for column in ["aa", "bb", "user_note"] {
        assert_eq!(row[column].as_str().map(Cow::Borrowed), Some(value(column, order, style)), "{column}");
    }
}

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let (template, buyer) = text.split_once('\0').unwrap_or((&text, "=1+1"));
    let goods = goods();
    let style = RowStyle::new(&goods, FulfilState::NotStarted, Settings::default().timezone);
    let mut order = orders::Model { aa: buyer.into(), ..example(&goods, NOW) };
    order.bb = buyer.chars().rev().collect();
    order.user_note = buyer.get(1..).unwrap_or_default().into();
    template_is_bounded(template, &order, &style, &goods);
    csv_is_inert(&order, &style);
    json_is_what_was_written(&order, &style);
});
