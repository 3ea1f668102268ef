//! SQL that more than one feature needs.

use sea_orm::{
    ColumnTrait, Value,
    sea_query::{Expr, SimpleExpr},
};

/// Does the column contain the text, whatever the case? `%`, `_` and the escape character itself are literal.
pub fn contains(column: impl ColumnTrait, text: &str) -> SimpleExpr {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    let column = Expr::col(column.as_column_ref());
    Expr::cust_with_exprs("lower($1) LIKE lower($2) ESCAPE '!'", [column, Expr::val(Value::from(pattern))])
}
