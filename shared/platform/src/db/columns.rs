//! Many rows as the source of one statement, column by column.

use sea_orm::{DbBackend, Value};
use serde_json::{Value as Json, json};

/// Rows that a statement unfolds: one array a column on PostgreSQL (`unnest`; unfolding JSON costs it several times
/// as much), one JSON text on SQLite. All columns are of the same length.
///
/// ```
/// # use platform::db::Columns;
/// let rows = Columns::new().integers("id", [1, 2]).texts("name", ["a", "b"]);
/// let (from, values) = rows.source(sea_orm::DbBackend::Postgres, 1, "r");
/// assert_eq!(from, "(SELECT unnest($2::bigint[]) AS id, unnest($3::text[]) AS name) AS r");
/// assert_eq!(values.len(), 2);
/// ```
#[derive(Debug, Default)]
pub struct Columns {
    columns: Vec<(&'static str, Values)>,
}

#[derive(Debug)]
enum Values {
    Integers(Vec<i64>),
    Texts(Vec<String>),
}

impl Columns {
    /// No column yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column of numbers.
    pub fn integers(mut self, name: &'static str, values: impl IntoIterator<Item = i64>) -> Self {
        self.columns.push((name, Values::Integers(values.into_iter().collect())));
        self
    }

    /// Adds a column of texts. PostgreSQL refuses one that holds a zero byte.
    pub fn texts<T: Into<String>>(mut self, name: &'static str, values: impl IntoIterator<Item = T>) -> Self {
        self.columns.push((name, Values::Texts(values.into_iter().map(Into::into).collect())));
        self
    }

    /// The `FROM` source under the name `alias`, whose columns are those added, and its parameters: they follow the
    /// statement's `before` others.
    pub fn source(self, backend: DbBackend, before: usize, alias: &str) -> (String, Vec<Value>) {
        if backend == DbBackend::Postgres { self.arrays(before, alias) } else { self.json(before, alias) }
    }

    fn arrays(self, before: usize, alias: &str) -> (String, Vec<Value>) {
        let (mut columns, mut values) = (Vec::new(), Vec::<Value>::new());
        for (n, (name, column)) in (before + 1..).zip(self.columns) {
            let (kind, value) = match column {
                Values::Integers(numbers) => ("bigint", numbers.into()),
                Values::Texts(texts) => ("text", texts.into()),
            };
            columns.push(format!("unnest(${n}::{kind}[]) AS {name}"));
            values.push(value);
        }
        // Unfolded in the select list, row by row; as a table of its own it would be stored first.
        (format!("(SELECT {}) AS {alias}", columns.join(", ")), values)
    }

    fn json(self, before: usize, alias: &str) -> (String, Vec<Value>) {
        let mut names = Vec::new();
        let mut rows: Vec<Vec<Json>> = Vec::new();
        for (n, (name, column)) in self.columns.into_iter().enumerate() {
            names.push(format!("value->>{n} AS {name}"));
            let column: Vec<Json> = match column {
                Values::Integers(numbers) => numbers.into_iter().map(|v| json!(v)).collect(),
                Values::Texts(texts) => texts.into_iter().map(Json::from).collect(),
            };
            rows.resize_with(column.len(), Vec::new);
            rows.iter_mut().zip(column).for_each(|(row, value)| row.push(value));
        }
        let source = format!("(SELECT {} FROM json_each(${})) AS {alias}", names.join(", "), before + 1);
        (source, vec![json!(rows).to_string().into()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_gets_one_json_text() {
        let rows = Columns::new().integers("id", [1, -2]).texts("name", ["a\"b", ""]);
        let (from, values) = rows.source(DbBackend::Sqlite, 0, "r");
        assert_eq!(from, "(SELECT value->>0 AS id, value->>1 AS name FROM json_each($1)) AS r");
        assert_eq!(values, [Value::from(r#"[[1,"a\"b"],[-2,""]]"#)]);
    }

    #[test]
    fn no_row_is_an_empty_list() {
        let (_, values) = Columns::new().integers("id", []).source(DbBackend::Sqlite, 0, "r");
        assert_eq!(values, [Value::from("[]")]);
    }
}
