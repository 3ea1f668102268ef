//! SQL that more than one feature needs.

use sea_orm::{
    ColumnTrait,
    sea_query::{BinOper, Expr, ExprTrait, Func, SimpleExpr},
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
    // Both sides are lowered by the database: its idea of "lower" is not Rust's.
    let lowered = SimpleExpr::from(Func::lower(Expr::val(pattern)));
    Expr::expr(Func::lower(Expr::col(column.as_column_ref())))
        .binary(BinOper::Like, lowered.binary(BinOper::Escape, Expr::Constant('!'.into())))
}
