use platform::seal;
use secrecy::{ExposeSecret, SecretString};

/// Characters a new password needs.
pub const MIN_PASSWORD_CHARS: usize = 10;
/// Characters a password may have: hashing must not be made expensive by its length.
pub const MAX_PASSWORD_CHARS: usize = 128;
const MIN_DISTINCT_CHARS: usize = 5;
/// Characters that must be left when a word everybody tries first is taken out.
const MIN_BESIDE_WORD_CHARS: usize = 7;

/// Words that guessing programs begin with, as every list of leaked passwords shows them.
const WORDS: &[&str] = &[
    "password",
    "passw0rd",
    "p@ssw0rd",
    "p@ssword",
    "admin",
    "administrator",
    "root",
    "qwerty",
    "qwertyuiop",
    "qazwsx",
    "1q2w3e4r",
    "1qaz2wsx",
    "zxcvbnm",
    "asdfghjkl",
    "iloveyou",
    "welcome",
    "letmein",
    "monkey",
    "dragon",
    "football",
    "baseball",
    "superman",
    "sunshine",
    "princess",
    "abc123",
    "changeme",
    "secret",
    "default",
    "woaini",
    "5201314",
    "baodan",
    "mima",
    "test",
    "guest",
    "user",
    "login",
    "master",
    "hello",
];

/// Why a password is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weak {
    Short,
    WellKnown,
    LikeTheAccount,
}

impl Weak {
    /// What to say after the field's name, in Chinese and English.
    pub fn words(self) -> (String, String) {
        match self {
            Self::Short => (
                format!("至少需要 {MIN_PASSWORD_CHARS} 个字符"),
                format!("must have at least {MIN_PASSWORD_CHARS} characters"),
            ),
            Self::WellKnown => {
                ("过于常见，请换一个".into(), "is a well-known or repetitive password, choose another".into())
            }
            Self::LikeTheAccount => {
                ("不能与账号相近".into(), "must not be the account's name or close to it".into())
            }
        }
    }
}

/// Whether `password` may be set for `account`: at least 10 characters, not well known, not the account's name.
///
/// # Errors
/// The first rule it breaks.
pub fn check(password: &SecretString, account: &str) -> Result<(), Weak> {
    let lower = password.expose_secret().to_lowercase();
    let chars: Vec<char> = lower.chars().collect();
    if chars.len() < MIN_PASSWORD_CHARS {
        return Err(Weak::Short);
    }
    let account = account.to_lowercase();
    if account.chars().count() >= 3 && left_without(&lower, &account) < MIN_BESIDE_WORD_CHARS {
        return Err(Weak::LikeTheAccount);
    }
    let mut distinct = chars.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let one_word = WORDS.iter().any(|word| left_without(&lower, word) < MIN_BESIDE_WORD_CHARS);
    if distinct.len() < MIN_DISTINCT_CHARS || is_a_run(&chars) || one_word {
        return Err(Weak::WellKnown);
    }
    Ok(())
}

/// Characters of `text` that are left when `word` is taken out wherever it stands; all of them when it does not.
fn left_without(text: &str, word: &str) -> usize {
    if text.contains(word) { text.replace(word, "").chars().count() } else { usize::MAX }
}

/// `1234567890`, `abcdefghij`, `9876543210`, and any of them written twice: nearly every step is +1, -1 or 0.
fn is_a_run(chars: &[char]) -> bool {
    let steps = chars.windows(2).filter(|w| (w[0] as i64 - w[1] as i64).abs() <= 1).count();
    steps + 3 >= chars.len()
}

/// A password nobody can guess: 120 random bits in 20 characters.
pub fn random() -> SecretString {
    seal::random_token(15).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_well_known_and_telling_passwords_are_refused() {
        let cases = [
            ("", Weak::Short),
            ("123456", Weak::Short),
            ("一二三四五六七八九", Weak::Short),
            ("1234567890", Weak::WellKnown),
            ("0987654321", Weak::WellKnown),
            ("12345678901234567890", Weak::WellKnown),
            ("aaaaaaaaaaaa", Weak::WellKnown),
            ("abababababab", Weak::WellKnown),
            ("abcdefghijkl", Weak::WellKnown),
            ("password1234", Weak::WellKnown),
            ("PassWord2026", Weak::WellKnown),
            ("qwertyuiop12", Weak::WellKnown),
            ("admin123456", Weak::LikeTheAccount),
            ("Admin-admin", Weak::LikeTheAccount),
        ];
        for (password, expected) in cases {
            assert_eq!(check(&password.into(), "admin"), Err(expected), "{password}");
        }
        assert_eq!(check(&"13333891144".into(), "13333891144"), Err(Weak::LikeTheAccount));
    }

    #[test]
    fn long_and_unlikely_ones_are_accepted() {
        for password in
            ["correct horse battery", "一只会飞的猪在天上唱歌", "Xk29-vmQ71zz", "tEst😀emoji密码12"]
        {
            assert_eq!(check(&password.into(), "admin"), Ok(()), "{password}");
        }
        for _ in 0..200 {
            assert_eq!(check(&random(), "admin"), Ok(()));
        }
    }
}
