//! `application/x-www-form-urlencoded` text, also queries, as a JSON object: `file[src]=`,
//! `white_list[0][mobile]=`, `id[]=1`. What a hostile text can cost is bounded: pairs, depth, and an index
//! is a key of an ordered map, never a length. Duplicates: the last wins.

use std::collections::BTreeMap;

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use super::error::ApiError;

/// Pairs in one text.
pub const MAX_PAIRS: usize = 20_000;
/// Brackets in one name.
pub const MAX_DEPTH: usize = 8;
/// Values of one repeated name ([`repeated_values`]).
pub const MAX_REPEATED: usize = 1_000;

/// A step into a value. Indexes sort before names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Index(u64),
    Name(String),
}

enum Step {
    Key(Key),
    /// `[]`: behind the last index.
    Push,
}

enum Node {
    Text(String),
    Branch(BTreeMap<Key, Node>),
}

/// Reads a form body or a query.
///
/// # Errors
/// 400/1 when it is not UTF-8 after decoding, nested too deep, or has too many pairs.
pub fn parse_form(text: &str) -> Result<Map<String, Value>, ApiError> {
    let mut root: BTreeMap<String, Node> = BTreeMap::new();
    for (i, (name, value)) in pairs(text).enumerate() {
        if i == MAX_PAIRS {
            let (zh, en) = (
                format!("参数过多，最多 {MAX_PAIRS} 个"),
                format!("too many parameters, at most {MAX_PAIRS}"),
            );
            return Err(ApiError::unreadable_body(zh, en));
        }
        let (name, value) = (decode(name)?, decode(value)?);
        let (head, steps) = split_name(&name)?;
        if steps.is_empty() {
            root.insert(head, Node::Text(value));
        } else {
            insert(root.entry(head).or_insert_with(|| Node::Branch(BTreeMap::new())), steps, value);
        }
    }
    Ok(root.into_iter().map(|(name, node)| (name, node.into_value())).collect())
}

/// Reads a query string (without `?`).
///
/// # Errors
/// As [`parse_form`].
pub fn parse_query(text: &str) -> Result<Map<String, Value>, ApiError> {
    parse_form(text)
}

/// All values of a plain name that may be repeated (`key=a&key=b`), in order.
///
/// # Errors
/// 400/1 when it is not UTF-8 or repeated more than [`MAX_REPEATED`] times.
pub fn repeated_values(text: &str, name: &str) -> Result<Vec<String>, ApiError> {
    let mut values = Vec::new();
    for (found, value) in pairs(text).take(MAX_PAIRS) {
        if decode(found)? == name {
            values.push(decode(value)?);
        }
        if values.len() > MAX_REPEATED {
            let (zh, en) =
                (format!("不能超过 {MAX_REPEATED} 项"), format!("must have at most {MAX_REPEATED} items"));
            return Err(ApiError::invalid(name, zh, en));
        }
    }
    Ok(values)
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or((p, "")))
}

fn decode(text: &str) -> Result<String, ApiError> {
    let spaced = text.replace('+', " ");
    match percent_decode(spaced.as_bytes()).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => {
            Err(ApiError::unreadable_body("参数不是有效的 UTF-8 文本", "a parameter is not valid UTF-8"))
        }
    }
}

/// `a[b][0][]` as head and steps; brackets that do not pair make the whole a plain name.
fn split_name(name: &str) -> Result<(String, Vec<Step>), ApiError> {
    let plain = || (name.to_owned(), Vec::new());
    let Some(open) = name.find('[').filter(|at| *at > 0) else { return Ok(plain()) };
    let (head, mut rest) = name.split_at(open);
    let mut steps = Vec::new();
    while let Some((inside, behind)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        if steps.len() == MAX_DEPTH {
            return Err(ApiError::unreadable_body(
                format!("参数嵌套过深，最多 {MAX_DEPTH} 层"),
                format!("parameters are nested too deep, at most {MAX_DEPTH} levels"),
            ));
        }
        steps.push(match inside.trim() {
            "" => Step::Push,
            inside => Step::Key(key(inside)),
        });
        rest = behind;
    }
    Ok(if rest.is_empty() { (head.to_owned(), steps) } else { plain() })
}

/// A canonical decimal of up to 18 digits is an index, all else a name.
fn key(text: &str) -> Key {
    let decimal = text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(index) if decimal && (text == "0" || !text.starts_with('0')) => Key::Index(index),
        _ => Key::Name(text.to_owned()),
    }
}

fn insert(mut node: &mut Node, steps: Vec<Step>, value: String) {
    for step in steps {
        if let Node::Text(_) = node {
            *node = Node::Branch(BTreeMap::new());
        }
        let Node::Branch(branch) = node else { return };
        let key = match step {
            Step::Key(key) => key,
            Step::Push => match branch.range(..Key::Name(String::new())).next_back() {
                Some((Key::Index(last), _)) => Key::Index(last + 1),
                _ => Key::Index(0),
            },
        };
        node = branch.entry(key).or_insert_with(|| Node::Branch(BTreeMap::new()));
    }
    *node = Node::Text(value);
}

impl Node {
    /// A branch whose keys are all indexes is a list in their order; the holes close.
    fn into_value(self) -> Value {
        match self {
            Self::Text(text) => Value::String(text),
            Self::Branch(branch) if branch.keys().all(|k| matches!(k, Key::Index(_))) => {
                Value::Array(branch.into_values().map(Self::into_value).collect())
            }
            Self::Branch(branch) => Value::Object(
                branch
                    .into_iter()
                    .map(|(key, node)| match key {
                        Key::Index(index) => (index.to_string(), node.into_value()),
                        Key::Name(name) => (name, node.into_value()),
                    })
                    .collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(text: &str) -> Value {
        Value::Object(parse_form(text).expect("readable"))
    }

    #[test]
    fn nested_names_become_objects_and_lists() {
        assert_eq!(
            parsed("title=%E6%8A%A5%E5%91%8A+1&file[src]=a.pdf&file%5Bsize%5D=3&id[]=5&id[]=6"),
            json!({"title": "报告 1", "file": {"src": "a.pdf", "size": "3"}, "id": ["5", "6"]})
        );
        assert_eq!(
            parsed("w[10][m]=c&w[2][m]=b&w[0][m]=a&w[0][n]=1&w[][m]=d"),
            json!({"w": [{"m": "a", "n": "1"}, {"m": "b"}, {"m": "c"}, {"m": "d"}]})
        );
    }

    #[test]
    fn the_last_of_duplicates_wins_also_against_another_shape() {
        assert_eq!(parsed("a=1&a=2"), json!({"a": "2"}));
        assert_eq!(parsed("a=1&a[b]=2"), json!({"a": {"b": "2"}}));
        assert_eq!(parsed("a[b]=2&a=1"), json!({"a": "1"}));
        assert_eq!(parsed("a[b][c]=1&a[b]=2&a[0]=3"), json!({"a": {"b": "2", "0": "3"}}));
    }

    #[test]
    fn odd_names_are_plain_names() {
        for name in ["[a]", "a[b", "a]b", "a[b]c", "a[b]c[d]", "[", "]", "[]", "a[[", "é"] {
            assert_eq!(parsed(&format!("{name}=1")), json!({ name: "1" }), "{name}");
        }
        assert_eq!(parsed(""), json!({}));
        assert_eq!(parsed("&&&"), json!({}));
        assert_eq!(parsed("a&b=&=c"), json!({"a": "", "b": "", "": "c"}));
        assert_eq!(parsed("a=1=2&p=100%"), json!({"a": "1=2", "p": "100%"}));
        assert_eq!(parsed("a[00]=1&a[-1]=2"), json!({"a": {"00": "1", "-1": "2"}}));
    }

    #[test]
    fn a_huge_index_costs_nothing() {
        assert_eq!(parsed("a[999999999999999999]=x&a[]=y&a[3]=z"), json!({"a": ["z", "x", "y"]}));
        assert_eq!(parsed("a[18446744073709551616]=x"), json!({"a": {"18446744073709551616": "x"}}));
    }

    #[test]
    fn depth_number_of_pairs_and_bad_utf8_are_refused() {
        assert!(parse_form(&format!("a{}=1", "[x]".repeat(MAX_DEPTH))).is_ok());
        for bad in [
            format!("a{}=1", "[x]".repeat(MAX_DEPTH + 1)),
            format!("a{}=1", "[]".repeat(100_000)),
            "a=1&".repeat(MAX_PAIRS + 1),
            (0..=MAX_PAIRS).map(|i| format!("k{i}=1&")).collect(),
            "a=%FF".into(),
            "%C3%28=1".into(),
        ] {
            let error = parse_form(&bad).expect_err("refused");
            assert_eq!((error.http_status().as_u16(), error.status()), (400, 1), "{:.40}", bad);
        }
        assert!(parse_form(&"a=1&".repeat(MAX_PAIRS)).is_ok());
    }

    #[test]
    fn repeated_plain_names_are_all_kept() {
        assert_eq!(repeated_values("key=a&x=1&key=b%20c", "key").expect("readable"), ["a", "b c"]);
        assert!(repeated_values(&"key=a&".repeat(MAX_REPEATED + 1), "key").is_err());
    }
}
