/// Longest account name.
pub const MAX_ACCOUNT_CHARS: usize = 64;

/// Is `name` fit to be an account's name? Letters and digits of any script, and `. _ - + @`, so that mobiles and mail
/// addresses are names too; no spaces and nothing invisible, which could pass one account off as another.
pub fn is_account_name(name: &str) -> bool {
    let chars = name.chars().count();
    (1..=MAX_ACCOUNT_CHARS).contains(&chars)
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_a_few_signs() {
        for name in ["admin", "13333891144", "li.na@example.com", "晨光书店", "a+b_c-d", &"x".repeat(64)]
        {
            assert!(is_account_name(name), "{name}");
        }
        for name in ["", " ", "a b", "a\0", "a\u{200b}", "😀", "a/b", "a\nb", "a:b", &"x".repeat(65)] {
            assert!(!is_account_name(name), "{name}");
        }
    }
}
