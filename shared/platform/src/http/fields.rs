//! Reads a parsed object (JSON body, form, query) into a typed request and collects **all** field errors
//! on the way, under their dotted names (`spec/report-admin-api.md`, "Conventions").
//!
//! A number and its string form are both accepted; texts are trimmed; null is absent; `""` is absent
//! except for an optional text, where it clears. Unknown fields are ignored. A method that finds fault
//! returns a placeholder, which nobody sees, because [`read`] then fails as a whole.

use std::{borrow::Cow, ops::RangeInclusive};

use chrono::NaiveDate;
use serde_json::{Map, Value};

use super::{
    error::{ApiError, Message},
    values::{self, NumberError},
};

/// Errors told at most; a body of 10,000 bad rows is not worth more.
const MAX_ERRORS: usize = 100;

/// A request that can be read from fields.
pub trait FromFields: Sized {
    fn read(f: &mut Fields<'_>) -> Self;
}

/// For requests whose fields are read elsewhere.
impl FromFields for () {
    fn read(_: &mut Fields<'_>) -> Self {}
}

/// Reads `object` as a `T`, or names every field that is missing or wrong (400/1).
pub fn read<T: FromFields>(object: &Map<String, Value>) -> Result<T, ApiError> {
    let mut errors = Vec::new();
    let value = T::read(&mut Fields { object, prefix: String::new(), errors: &mut errors });
    if errors.is_empty() { Ok(value) } else { Err(ApiError::invalid_fields(errors)) }
}

/// One object of a request and the place errors go to.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Dotted name of this object with its last dot, "" at the top.
    prefix: String,
    errors: &'a mut Vec<(String, Message)>,
}

/// A field's scalar, trimmed.
enum Scalar<'a> {
    Absent,
    Text(Cow<'a, str>),
    /// A list, an object or a boolean.
    Other,
}

fn scalar(value: Option<&Value>) -> Scalar<'_> {
    match value {
        None | Some(Value::Null) => Scalar::Absent,
        Some(Value::String(s)) => Scalar::Text(s.trim().into()),
        Some(Value::Number(n)) => Scalar::Text(n.to_string().into()),
        Some(_) => Scalar::Other,
    }
}

impl<'a> Fields<'a> {
    /// Notes an error for `name` of this object; the words go on after the name: `不能为空`.
    pub fn error(&mut self, name: &str, zh: impl Into<Cow<'static, str>>, en: impl Into<Cow<'static, str>>) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push((format!("{}{name}", self.prefix), Message::new(zh, en)));
        }
    }

    fn missing(&mut self, name: &str) {
        self.error(name, "不能为空", "is required");
    }

    /// Is the field there and not null?
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The field as it came, null counting as absent.
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|v| !v.is_null())
    }

    /// A scalar's text; "" counts as absent.
    fn filled(&mut self, name: &str, zh: &'static str, en: &'static str) -> Option<Cow<'a, str>> {
        match scalar(self.object.get(name)) {
            Scalar::Text(text) if !text.is_empty() => Some(text),
            Scalar::Other => {
                self.error(name, zh, en);
                None
            }
            Scalar::Text(_) | Scalar::Absent => None,
        }
    }

    /// Runs `read` and adds "is required" when it neither found a value nor an error.
    fn required<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let before = self.errors.len();
        let value = read(self);
        if value.is_none() && self.errors.len() == before {
            self.missing(name);
        }
        value
    }

    /// A text of 1 to `max_chars` characters.
    pub fn required_text(&mut self, name: &str, max_chars: usize) -> String {
        self.required(name, |f| f.optional_text(name, max_chars).filter(|t| !t.is_empty()))
            .unwrap_or_default()
    }

    /// A text of at most `max_chars` characters; `Some("")` when it was sent empty.
    pub fn optional_text(&mut self, name: &str, max_chars: usize) -> Option<String> {
        match scalar(self.object.get(name)) {
            Scalar::Absent => None,
            Scalar::Other => {
                self.error(name, "必须是文本", "must be a text");
                None
            }
            Scalar::Text(text) if text.contains('\0') => {
                self.error(name, "含有不允许的字符", "contains a character that is not allowed");
                None
            }
            Scalar::Text(text) if text.chars().count() > max_chars => {
                self.error(
                    name,
                    format!("不能超过 {max_chars} 个字符"),
                    format!("must be at most {max_chars} characters"),
                );
                None
            }
            Scalar::Text(text) => Some(text.into_owned()),
        }
    }

    /// An integer in `range`; 0 when it is wrong.
    pub fn required_int(&mut self, name: &str, range: RangeInclusive<i64>) -> i64 {
        self.required(name, |f| f.optional_int(name, range)).unwrap_or_default()
    }

    /// An integer in `range`.
    pub fn optional_int(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let text = self.filled(name, "必须是整数", "must be an integer")?;
        self.int(name, &text, &range)
    }

    fn int(&mut self, name: &str, text: &str, range: &RangeInclusive<i64>) -> Option<i64> {
        match values::parse_int(text) {
            Ok(n) if range.contains(&n) => return Some(n),
            Ok(_) | Err(NumberError::Range) => {
                let (low, high) = (range.start(), range.end());
                if *high == i64::MAX {
                    self.error(
                        name,
                        format!("不能小于 {low} 或过大"),
                        format!("must be at least {low} and not too large"),
                    );
                } else {
                    self.error(
                        name,
                        format!("必须在 {low} 到 {high} 之间"),
                        format!("must be from {low} to {high}"),
                    );
                }
            }
            Err(NumberError::Form) => self.error(name, "必须是整数", "must be an integer"),
        }
        None
    }

    /// Yuan with at most two decimals, as fen; at most [`values::MAX_FEN`].
    pub fn required_yuan(&mut self, name: &str) -> i64 {
        self.required(name, |f| f.optional_yuan(name)).unwrap_or_default()
    }

    /// Yuan with at most two decimals, as fen.
    pub fn optional_yuan(&mut self, name: &str) -> Option<i64> {
        let (zh, en) =
            ("必须是最多两位小数的金额（元）", "must be an amount in yuan with at most two decimals");
        let text = self.filled(name, zh, en)?;
        match values::parse_yuan(&text) {
            Ok(fen) => return Some(fen),
            Err(NumberError::Form) => self.error(name, zh, en),
            Err(NumberError::Range) => self.error(name, "金额过大", "is too large"),
        }
        None
    }

    /// `true`, `false`, 1, 0, as JSON or as text.
    pub fn optional_bool(&mut self, name: &str) -> Option<bool> {
        if let Some(Value::Bool(b)) = self.object.get(name) {
            return Some(*b);
        }
        let (zh, en) = ("必须是 true 或 false", "must be true or false");
        let text = self.filled(name, zh, en)?;
        let value = values::parse_bool(&text);
        if value.is_none() {
            self.error(name, zh, en);
        }
        value
    }

    /// A telephone number, normalised ([`values::normal_mobile`]).
    pub fn required_mobile(&mut self, name: &str) -> String {
        self.required(name, |f| f.optional_mobile(name)).unwrap_or_default()
    }

    /// A telephone number, normalised ([`values::normal_mobile`]).
    pub fn optional_mobile(&mut self, name: &str) -> Option<String> {
        let (zh, en) = ("不是有效的电话号码", "is not a telephone number");
        let mobile = values::normal_mobile(&self.filled(name, zh, en)?);
        if mobile.is_empty() {
            return None;
        }
        if !values::is_mobile(&mobile) {
            self.error(name, zh, en);
            return None;
        }
        Some(mobile)
    }

    /// A day; the first 10 characters count.
    pub fn required_date(&mut self, name: &str) -> NaiveDate {
        self.required(name, |f| f.optional_date(name)).unwrap_or_default()
    }

    /// A day; the first 10 characters count.
    pub fn optional_date(&mut self, name: &str) -> Option<NaiveDate> {
        let (zh, en) = ("必须是 YYYY-MM-DD 格式的日期", "must be a date as YYYY-MM-DD");
        let text = self.filled(name, zh, en)?;
        let date = values::parse_date(&text);
        if date.is_none() {
            self.error(name, zh, en);
        }
        date
    }

    /// An object read by `read`; errors inside are named `name.field`. A missing one is "required" as a whole.
    pub fn required_object<T>(&mut self, name: &str, read: impl Fn(&mut Fields<'_>) -> T) -> T {
        self.required(name, |f| f.optional_object(name, &read)).unwrap_or_else(|| placeholder(&read))
    }

    /// An object read by `read`.
    pub fn optional_object<T>(&mut self, name: &str, read: impl Fn(&mut Fields<'_>) -> T) -> Option<T> {
        match self.value(name)? {
            Value::Object(object) => Some(read(&mut self.inner(name, object))),
            Value::String(s) if s.trim().is_empty() => None,
            _ => {
                self.error(name, "必须是对象", "must be an object");
                None
            }
        }
    }

    fn inner<'b>(&'b mut self, name: &str, object: &'b Map<String, Value>) -> Fields<'b> {
        Fields { object, prefix: format!("{}{name}.", self.prefix), errors: self.errors }
    }

    /// A list of at most `max_items` objects, each read by `read`; errors are named `name.0.field`.
    pub fn optional_list<T>(
        &mut self,
        name: &str,
        max_items: usize,
        read: impl Fn(&mut Fields<'_>) -> T,
    ) -> Option<Vec<T>> {
        let items = self.items(name, max_items)?;
        let mut list = Vec::with_capacity(items.len());
        for (i, item) in items.into_iter().enumerate() {
            let name = format!("{name}.{i}");
            list.push(match item {
                Value::Object(object) => read(&mut self.inner(&name, object)),
                _ => {
                    self.error(&name, "必须是对象", "must be an object");
                    placeholder(&read)
                }
            });
        }
        Some(list)
    }

    /// The values of a list field; an object whose keys are all numbers is a list with holes (PHP sends such).
    fn items(&mut self, name: &str, max_items: usize) -> Option<Vec<&'a Value>> {
        let items: Option<Vec<&Value>> = match self.value(name)? {
            Value::Array(items) => Some(items.iter().collect()),
            Value::String(s) if s.trim().is_empty() => Some(Vec::new()),
            Value::Object(object) => {
                let numbered: Option<Vec<(u64, &Value)>> =
                    object.iter().map(|(k, v)| Some((k.parse().ok()?, v))).collect();
                numbered.map(|mut rows| {
                    rows.sort_by_key(|(k, _)| *k);
                    rows.into_iter().map(|(_, v)| v).collect()
                })
            }
            _ => None,
        };
        match items {
            Some(items) if items.len() > max_items => {
                self.error(
                    name,
                    format!("不能超过 {max_items} 项"),
                    format!("must have at most {max_items} items"),
                );
                None
            }
            None => {
                self.error(name, "必须是列表", "must be a list");
                None
            }
            items => items,
        }
    }

    /// A list of positive integers: a JSON list, `1,2`, `[1,2]`, or repeated `name[]`.
    pub fn optional_int_list(&mut self, name: &str, max_items: usize) -> Option<Vec<i64>> {
        let texts: Vec<Scalar<'a>> = match self.value(name)? {
            Value::Array(_) | Value::Object(_) => {
                self.items(name, max_items)?.into_iter().map(|v| scalar(Some(v))).collect()
            }
            _ => {
                let text =
                    self.filled(name, "必须是整数列表", "must be a list of integers").unwrap_or_default();
                let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(&text).trim();
                let parts = inner.split(',').filter(|_| !inner.is_empty()).take(max_items + 1);
                parts.map(|t| Scalar::Text(t.trim().trim_matches('"').to_owned().into())).collect()
            }
        };
        if texts.len() > max_items {
            self.error(
                name,
                format!("不能超过 {max_items} 项"),
                format!("must have at most {max_items} items"),
            );
            return None;
        }
        let mut list = Vec::with_capacity(texts.len());
        for (i, text) in texts.into_iter().enumerate() {
            let name = format!("{name}.{i}");
            match text {
                Scalar::Text(text) => list.extend(self.int(&name, &text, &(1..=i64::MAX))),
                Scalar::Absent | Scalar::Other => self.error(&name, "必须是整数", "must be an integer"),
            }
        }
        Some(list)
    }

    /// A list of texts: a JSON list, repeated `name[]`, or a single text.
    pub fn optional_text_list(
        &mut self,
        name: &str,
        max_items: usize,
        max_chars: usize,
    ) -> Option<Vec<String>> {
        if let Value::String(_) | Value::Number(_) = self.value(name)? {
            return Some(self.optional_text(name, max_chars).into_iter().filter(|t| !t.is_empty()).collect());
        }
        let rows: Map<String, Value> = self
            .items(name, max_items)?
            .into_iter()
            .enumerate()
            .map(|(i, v)| (i.to_string(), v.clone()))
            .collect();
        let mut inner =
            Fields { object: &rows, prefix: format!("{}{name}.", self.prefix), errors: self.errors };
        Some((0..rows.len()).map(|i| inner.required_text(&i.to_string(), max_chars)).collect())
    }
}

/// A `T` for a place whose object is missing; its own complaints are not told.
fn placeholder<T>(read: &impl Fn(&mut Fields<'_>) -> T) -> T {
    read(&mut Fields { object: &Map::new(), prefix: String::new(), errors: &mut Vec::new() })
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
