use std::borrow::Cow;

use super::*;

fn order() -> orders::Model {
    orders::Model {
        id: 77,
        number: "2611211044050261234".into(),
        service_no: 42,
        version: 2,
        state: 3,
        fulfil_state: Some(2),
        partner_id: 0,
        distributor_id: 0,
        outer_id: "o-1".into(),
        customer_id: 9,
        nick_name: "小明".into(),
        avatar: String::new(),
        mobile: "13000000000".into(),
        goods_id: 5,
        kind: "service".into(),
        report_id: 0,
        title: "点赞".into(),
        cover: String::new(),
        price_fen: 5,
        size: 100,
        total_fen: 501,
        refund_fen: 0,
        refund_due_fen: 0,
        payment_source: 3,
        payment_channel: 1,
        third_trade_num: String::new(),
        third_trade_identity: String::new(),
        checkout_at: 1_795_269_845_026,
        expire_at: 0,
        paid_at: 1_795_269_845_026,
        fulfilled_at: 0,
        updated_at: 0,
        aa: "=cmd|' /C calc'!A0".into(),
        bb: "a\"b,c\r\nd".into(),
        cc: "<script>".into(),
        dd: "'; DROP TABLE orders; --".into(),
        ee: "😀".into(),
        user_note: String::new(),
        api_note: String::new(),
        admin_note: String::new(),
        need_num_0: 100,
        need_num_1: 0,
        need_num_2: 0,
        need_num_3: 0,
        start_num: 0,
        now_num: 0,
        end_num: 0,
        login_state: 0,
        start_time: 0,
        end_time: 0,
        initial_state: 1,
        supplier_id: 0,
        batch_id: 0,
        lease_until: 0,
        claimed_from: 1,
        read_quota: 0,
        read_used: 0,
    }
}

fn style() -> RowStyle {
    RowStyle {
        state: FulfilState::NotStarted,
        goods_type: "0".into(),
        goods_type_title: "点赞".into(),
        tz: chrono_tz::Asia::Shanghai,
    }
}

fn line(template: &str) -> String {
    let mut out = Vec::new();
    Template::parse(template).expect("within the limits").line(&mut out, &order(), &style());
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn every_scalar_of_a_row_is_a_text_but_the_two_states() {
    let mut out = Vec::new();
    json_row(&mut out, &order(), &style());
    let row: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
    let row = row.as_object().expect("an object");
    assert_eq!(row.len(), COLUMNS.len());
    for (name, value) in row {
        let number = matches!(name.as_str(), "order_state" | "login_state");
        assert_eq!((value.is_i64(), value.is_string()), (number, !number), "{name}: {value}");
    }
    assert_eq!(row["id"], "42");
    assert!(row["id"].as_str().expect("a text").len() < 12);
    assert_eq!(row["order_state"], 1, "the state that was asked for");
    assert_eq!(row["order_amount"], "5.01");
    assert_eq!(row["add_time"], "2026-11-21 22:04:05");
    assert_eq!((&row["start_time"], &row["start_num"]), (&"".into(), &"0".into()));
    assert_eq!(row["bb"], "a\"b,c\r\nd");
}

#[test]
fn templates_name_columns_in_both_brackets_and_keep_what_they_do_not_know() {
    assert_eq!(line("{id}----{dd}----{need_num_0}"), "42----'; DROP TABLE orders; ------100\n");
    assert_eq!(line("[id]\\t[ee]"), "42\t😀\n");
    assert_eq!(line("{id}\\r\\n"), "42\r\n");
    assert_eq!(line("{nope} [nope] {id {ID} {} \\x \\"), "{nope} [nope] {id {ID} {} \\x \\\n");
    assert_eq!(line(""), "\n");
    assert_eq!(line("{{id}}"), "{42}\n");
}

#[test]
fn a_buyers_line_breaks_do_not_make_lines() {
    assert_eq!(line("{bb}|"), "a\"b,c  d|\n");
}

#[test]
fn templates_have_limits() {
    assert_eq!(Template::parse(&"x".repeat(MAX_TEMPLATE_CHARS + 1)), Err(TemplateError::TooLong));
    assert_eq!(Template::parse(&"{id}".repeat(MAX_PLACEHOLDERS + 1)), Err(TemplateError::TooManyColumns));
    assert!(Template::parse(&"{id}".repeat(MAX_PLACEHOLDERS)).is_ok());
}

#[test]
fn csv_is_quoted_by_the_rfc_and_runs_no_formula() {
    let mut out = Vec::new();
    let (order, style) = (order(), style());
    csv_line(&mut out, ["id", "aa", "bb", "cc"].iter().map(|c| value(c, &order, &style)));
    let text = String::from_utf8(out).expect("UTF-8");
    assert_eq!(text, "42,\"'=cmd|' /C calc'!A0\",\"a\"\"b,c\r\nd\",<script>\r\n");
    for start in ["=1", "+1", "-1", "@x", "\tx", "\rx", "＝1"] {
        let mut out = Vec::new();
        csv_line(&mut out, std::iter::once(Cow::Borrowed(start)));
        assert!(out.starts_with(b"\"'"), "{start:?}");
    }
}

#[test]
fn a_format_is_json_a_preset_a_template_or_the_goods_own() {
    let goods = |format: &str| goods::Model {
        id: 5,
        kind: "service".into(),
        name: "点赞".into(),
        cover: String::new(),
        price_fen: 5,
        partner_id: 0,
        report_id: 0,
        report_version: 0,
        read_count: 0,
        status: 1,
        initial_state: 1,
        format: format.into(),
        presets: r#"[{"name": "短", "format": "{id}"}]"#.into(),
        input_labels: "[]".into(),
        unit: String::new(),
        type_id: 0,
        type_title: String::new(),
        deleted_at: 0,
        created_at: 0,
        updated_at: 0,
    };
    let template = |text: &str| Ok(Format::Template(Template::parse(text).expect("a template")));
    assert_eq!(Format::resolve("JSON", &goods("")), Ok(Format::Json));
    assert_eq!(Format::resolve("csv", &goods("")), Ok(Format::Csv));
    assert_eq!(Format::resolve("txt", &goods("")), template(TXT));
    assert_eq!(Format::resolve("短", &goods("")), template("{id}"));
    assert_eq!(Format::resolve("{aa} ", &goods("")), template("{aa} "));
    assert_eq!(Format::resolve("", &goods("{bb}")), template("{bb}"));
    assert_eq!(Format::resolve("", &goods("")), Ok(Format::Nothing));
}
