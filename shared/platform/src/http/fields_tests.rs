use serde_json::json;

use super::*;

/// Reads one field by `read`; the value, or the errors as `name words`.
fn one<T>(object: Value, read: impl FnOnce(&mut Fields<'_>) -> T) -> Result<T, Vec<String>> {
    let object = object.as_object().expect("an object").clone();
    let mut errors = Vec::new();
    let value = read(&mut Fields { object: &object, prefix: String::new(), errors: &mut errors });
    if errors.is_empty() {
        return Ok(value);
    }
    Err(errors.into_iter().map(|(name, m)| format!("{name} {}", m.en)).collect())
}

fn fails<T: std::fmt::Debug>(result: Result<T, Vec<String>>, words: &str) {
    let errors = result.expect_err("an error");
    assert!(errors.len() == 1 && errors[0].contains(words), "{errors:?} lacks {words}");
}

#[derive(Debug)]
struct Row {
    mobile: String,
    read_count: i64,
}

impl FromFields for Row {
    fn read(f: &mut Fields<'_>) -> Self {
        Self { mobile: f.required_mobile("mobile"), read_count: f.required_int("read_count", 0..=1000) }
    }
}

#[derive(Debug)]
struct Report {
    title: String,
    price_fen: i64,
    src: String,
    white_list: Option<Vec<Row>>,
}

impl FromFields for Report {
    fn read(f: &mut Fields<'_>) -> Self {
        Self {
            title: f.required_text("title", 10),
            price_fen: f.required_yuan("price"),
            src: f.required_object("file", |f| f.required_text("src", 100)),
            white_list: f.optional_list("white_list", 3, Row::read),
        }
    }
}

fn names(object: &Value) -> Vec<String> {
    let error = read::<Report>(object.as_object().expect("an object")).expect_err("an error");
    assert_eq!((error.http_status().as_u16(), error.status()), (400, 1));
    error.errors().iter().map(|(name, _)| name.clone()).collect()
}

#[test]
fn a_whole_request_is_read_with_numbers_as_texts_and_texts_as_numbers() {
    let object = json!({
        "title": 2024, "price": "19.9", "file": {"src": " a.pdf "}, "unknown": [1],
        "white_list": [{"mobile": 18434819907_i64, "read_count": "5"}],
    });
    let report: Report = read(object.as_object().expect("an object")).expect("valid");
    assert_eq!((report.title.as_str(), report.price_fen, report.src.as_str()), ("2024", 1990, "a.pdf"));
    let rows = report.white_list.expect("rows");
    assert_eq!((rows[0].mobile.as_str(), rows[0].read_count), ("18434819907", 5));
}

#[test]
fn all_errors_are_told_at_once_under_dotted_names() {
    assert_eq!(names(&json!({})), ["title", "price", "file"]);
    let object = json!({
        "title": "", "price": 1.005, "file": {"src": null},
        "white_list": [{"mobile": "x", "read_count": -1}, 7, {"mobile": "1", "read_count": 1}],
    });
    assert_eq!(
        names(&object),
        ["title", "price", "file.src", "white_list.0.mobile", "white_list.0.read_count", "white_list.1"]
    );
    let many: Vec<Value> = (0..4).map(|_| json!({})).collect();
    assert_eq!(
        names(&json!({"title": "a", "price": 1, "file": [], "white_list": many})),
        ["file", "white_list"]
    );
}

#[test]
fn texts_are_trimmed_measured_in_characters_and_free_of_nul() {
    assert_eq!(one(json!({"t": "  报告😀  "}), |f| f.required_text("t", 3)), Ok("报告😀".into()));
    assert_eq!(one(json!({"t": ""}), |f| f.optional_text("t", 3)), Ok(Some(String::new())));
    assert_eq!(one(json!({"t": null}), |f| f.optional_text("t", 3)), Ok(None));
    fails(one(json!({"t": "报告报告"}), |f| f.required_text("t", 3)), "at most 3 characters");
    fails(one(json!({"t": "a\0b"}), |f| f.required_text("t", 9)), "not allowed");
    fails(one(json!({"t": " "}), |f| f.required_text("t", 9)), "is required");
    for wrong in [json!({"t": []}), json!({"t": {}}), json!({"t": true})] {
        fails(one(wrong, |f| f.required_text("t", 9)), "must be a text");
    }
}

#[test]
fn integers_keep_to_their_range() {
    for good in [json!(5), json!("5"), json!(" 5 "), json!(5.0), json!("5.0")] {
        assert_eq!(one(json!({"n": good}), |f| f.required_int("n", 1..=9)), Ok(5));
    }
    for empty in [json!(null), json!(""), json!(" ")] {
        assert_eq!(one(json!({"n": empty}), |f| f.optional_int("n", 1..=9)), Ok(None));
    }
    for far in [json!(0), json!(10), json!("-1"), json!(u64::MAX), json!("99999999999999999999")] {
        fails(one(json!({"n": far}), |f| f.optional_int("n", 1..=9)), "must be from 1 to 9");
    }
    for wrong in [json!(1.5), json!("1e1"), json!("abc"), json!(true), json!([1]), json!(1e300)] {
        fails(one(json!({"n": wrong}), |f| f.required_int("n", 1..=9)), "must be an integer");
    }
    fails(one(json!({"n": -1}), |f| f.required_int("n", 0..=i64::MAX)), "at least 0");
}

#[test]
fn yuan_booleans_mobiles_and_dates_take_every_spelling() {
    for good in [json!(100), json!("100"), json!(100.0), json!("100.00")] {
        assert_eq!(one(json!({"p": good}), |f| f.required_yuan("p")), Ok(10_000));
    }
    fails(one(json!({"p": 1e20}), |f| f.required_yuan("p")), "in yuan");
    fails(one(json!({"p": i64::MAX}), |f| f.required_yuan("p")), "too large");
    fails(one(json!({"p": -1}), |f| f.optional_yuan("p")), "in yuan");
    for (value, expected) in
        [(json!(true), true), (json!(0), false), (json!("TRUE"), true), (json!("0"), false)]
    {
        assert_eq!(one(json!({"b": value}), |f| f.optional_bool("b")), Ok(Some(expected)));
    }
    fails(one(json!({"b": 2}), |f| f.optional_bool("b")), "true or false");
    assert_eq!(one(json!({"m": 18434819907_i64}), |f| f.required_mobile("m")), Ok("18434819907".into()));
    fails(one(json!({"m": " \u{3000} "}), |f| f.required_mobile("m")), "is required");
    fails(one(json!({"m": "1\u{0}2"}), |f| f.required_mobile("m")), "telephone");
    let day = NaiveDate::from_ymd_opt(2024, 9, 1);
    assert_eq!(one(json!({"d": "2024-09-01 10:00:00"}), |f| f.optional_date("d")), Ok(day));
    fails(one(json!({"d": "soon"}), |f| f.optional_date("d")), "date");
    fails(one(json!({}), |f| f.required_date("d")), "is required");
}

#[test]
fn integer_lists_take_every_spelling_and_are_bounded() {
    for good in [json!([1, 2]), json!(["1", "2"]), json!("1,2"), json!("[1, 2]"), json!({"0": 1, "7": 2})] {
        assert_eq!(one(json!({"id": good}), |f| f.optional_int_list("id", 2)), Ok(Some(vec![1, 2])));
    }
    assert_eq!(one(json!({"id": 7}), |f| f.optional_int_list("id", 2)), Ok(Some(vec![7])));
    for empty in [json!(""), json!("[]"), json!([])] {
        assert_eq!(one(json!({"id": empty}), |f| f.optional_int_list("id", 2)), Ok(Some(vec![])));
    }
    fails(one(json!({"id": "1,2,3"}), |f| f.optional_int_list("id", 2)), "at most 2 items");
    fails(one(json!({"id": [1, 2, 3]}), |f| f.optional_int_list("id", 2)), "at most 2 items");
    fails(one(json!({"id": "1,x"}), |f| f.optional_int_list("id", 2)), "id.1 must be an integer");
    fails(one(json!({"id": [1, null]}), |f| f.optional_int_list("id", 2)), "id.1 must be an integer");
    fails(one(json!({"id": {"a": 1}}), |f| f.optional_int_list("id", 2)), "must be a list");
    let long = ",".repeat(1_000_000);
    fails(one(json!({"id": long}), |f| f.optional_int_list("id", 2)), "at most 2 items");
}

#[test]
fn text_lists_take_one_text_or_many() {
    let texts = |v: Value| one(json!({"key": v}), |f| f.optional_text_list("key", 2, 3));
    assert_eq!(texts(json!("a")), Ok(Some(vec!["a".into()])));
    assert_eq!(texts(json!(["a", "b"])), Ok(Some(vec!["a".into(), "b".into()])));
    fails(texts(json!(["a", ""])), "key.1 is required");
    fails(texts(json!(["a", "b", "c"])), "at most 2 items");
}

#[test]
fn the_list_of_errors_is_bounded() {
    let rows: Vec<Value> = (0..10_000).map(|_| json!({})).collect();
    let errors = one(json!({"r": rows}), |f| f.optional_list("r", 10_000, Row::read)).expect_err("errors");
    assert_eq!(errors.len(), MAX_ERRORS);
}
