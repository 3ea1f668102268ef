use platform::http::values::MAX_FEN;

/// What `size` pieces cost, in fen; `None` beyond what an amount may be.
pub fn total_fen(price_fen: i64, size: i64) -> Option<i64> {
    price_fen.checked_mul(size).filter(|total| *total <= MAX_FEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_do_not_run_over() {
        assert_eq!(total_fen(500, 3), Some(1500));
        assert_eq!(total_fen(0, i64::MAX), Some(0));
        assert_eq!(total_fen(MAX_FEN, 2), None);
        assert_eq!(total_fen(i64::MAX, i64::MAX), None);
    }
}
