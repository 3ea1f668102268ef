//! Passwords: hashing with argon2id, and which ones are accepted (`rules`).
//!
//! A hash takes 19 MiB and tens of milliseconds on purpose; so the number of them at once is bounded, and so is
//! the number of callers that wait for their turn. Hashing never runs on a thread that serves requests.

mod rules;

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::{Error as PhcError, phc::PasswordHash},
};
use platform::{http::Fields, seal};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use rules::{MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS, Weak, check, random};

/// OWASP's first choice for argon2id: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes at once at the most, whatever the number of cores: 76 MiB.
const MAX_AT_WORK: usize = 4;
/// Callers that may be at work or wait; the next one is told to come again.
const MAX_INSIDE: usize = 256;

/// Why a password could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    #[error("too many passwords wait to be checked")]
    Busy,
    #[error("a stored password hash cannot be used: {0}")]
    Phc(#[from] PhcError),
    #[error("password hashing ended badly: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Wrong,
    /// `outdated`: the hash was made with other parameters than today's; hash again.
    Right {
        outdated: bool,
    },
}

/// Hashes and compares. Cheap to clone; clones share the bounds.
#[derive(Clone)]
pub struct Hasher {
    params: Params,
    at_work: Arc<Semaphore>,
    inside: Arc<Semaphore>,
    /// Compared with when there is no account, so that the answer takes the same time.
    nobody: Arc<str>,
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new(Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constants within argon2's bounds"))
    }
}

impl Hasher {
    /// With parameters of one's own; [`Self::default`] has the recommended ones.
    pub fn new(params: Params) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // The form of a hash with random content: nothing is ever equal to it.
        let nobody = format!(
            "$argon2id$v=19$m={},t={},p={}${}${}",
            params.m_cost(),
            params.t_cost(),
            params.p_cost(),
            b64(&seal::random_bytes::<16>()),
            b64(&seal::random_bytes::<32>()),
        );
        Self {
            params,
            at_work: Arc::new(Semaphore::new(cores.clamp(1, MAX_AT_WORK))),
            inside: Arc::new(Semaphore::new(MAX_INSIDE)),
            nobody: nobody.into(),
        }
    }

    /// The password's hash in PHC form, under a fresh salt.
    ///
    /// # Errors
    /// Too many wait already.
    pub async fn hash(&self, password: &SecretString) -> Result<String, HashError> {
        let turn = self.turn().await?;
        let (params, password) = (self.params.clone(), password.clone());
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let salt: [u8; 16] = seal::random_bytes();
            let hash: PasswordHash =
                argon2id(params).hash_password_with_salt(password.expose_secret().as_bytes(), &salt)?;
            Ok(hash.to_string())
        })
        .await?
    }

    /// Compares with a stored hash; `None` = there is no such account, which takes as long and is always wrong.
    ///
    /// # Errors
    /// Too many wait already; the stored hash is no argon2 hash.
    pub async fn verify(&self, password: &SecretString, stored: Option<&str>) -> Result<Verdict, HashError> {
        let turn = self.turn().await?;
        let (params, password) = (self.params.clone(), password.clone());
        let stored = stored.unwrap_or(&self.nobody).to_owned();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let hash = PasswordHash::new(&stored).map_err(PhcError::from)?;
            match argon2id(params.clone()).verify_password(password.expose_secret().as_bytes(), &hash) {
                Ok(()) => Ok(Verdict::Right { outdated: is_outdated(&hash, &params) }),
                Err(PhcError::PasswordInvalid) => Ok(Verdict::Wrong),
                Err(e) => Err(e.into()),
            }
        })
        .await?
    }

    /// A place in the queue and then a turn; both are held until the blocking work has ended, also when the
    /// caller has gone meanwhile.
    async fn turn(&self) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), HashError> {
        let inside = Arc::clone(&self.inside).try_acquire_owned().map_err(|_| HashError::Busy)?;
        let turn = Arc::clone(&self.at_work).acquire_owned().await.map_err(|_| HashError::Busy)?;
        Ok((inside, turn))
    }
}

fn argon2id(params: Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn is_outdated(hash: &PasswordHash, today: &Params) -> bool {
    hash.algorithm != Algorithm::Argon2id.ident()
        || hash.version != Some(Version::V0x13.into())
        || Params::try_from(hash).map_or(true, |p| {
            (p.m_cost(), p.t_cost(), p.p_cost()) != (today.m_cost(), today.t_cost(), today.p_cost())
        })
}

fn b64(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
    STANDARD_NO_PAD.encode(bytes)
}

/// A password field, exactly as it was typed: spaces count. A number counts as its digits.
pub fn read_required(f: &mut Fields<'_>, field: &str) -> SecretString {
    let missing = match f.value(field) {
        None => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    if missing {
        f.error(field, "不能为空", "is required");
    }
    read_optional(f, field).unwrap_or_else(|| SecretString::from(""))
}

/// As [`read_required`]; absent or empty = not given.
pub fn read_optional(f: &mut Fields<'_>, field: &str) -> Option<SecretString> {
    let text = match f.value(field)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => {
            f.error(field, "必须是文本", "must be a text");
            return None;
        }
    };
    if text.contains('\0') {
        f.error(field, "含有不允许的字符", "contains a character that is not allowed");
        return None;
    }
    if text.chars().count() > MAX_PASSWORD_CHARS {
        let (zh, en) = (
            format!("不能超过 {MAX_PASSWORD_CHARS} 个字符"),
            format!("must be at most {MAX_PASSWORD_CHARS} characters"),
        );
        f.error(field, zh, en);
        return None;
    }
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> Hasher {
        Hasher::new(Params::new(8, 1, 1, None).expect("small parameters"))
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let hasher = quick();
        let (right, wrong) =
            (SecretString::from("密码 with spaces "), SecretString::from("密码 with spaces"));
        let hash = hasher.hash(&right).await.expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert_ne!(hash, hasher.hash(&right).await.expect("hashed"), "no fresh salt");
        let verdict = hasher.verify(&right, Some(&hash)).await.expect("compared");
        assert_eq!(verdict, Verdict::Right { outdated: false });
        assert_eq!(hasher.verify(&wrong, Some(&hash)).await.expect("compared"), Verdict::Wrong);
    }

    #[tokio::test]
    async fn nobody_is_compared_with_and_always_wrong() {
        let hasher = quick();
        for password in ["", "x", "密码"] {
            assert_eq!(hasher.verify(&password.into(), None).await.expect("compared"), Verdict::Wrong);
        }
    }

    #[test]
    fn nobody_costs_what_todays_hashes_cost() {
        let hasher = Hasher::default();
        let nobody = PasswordHash::new(&hasher.nobody).expect("a PHC string");
        assert!(
            !is_outdated(&nobody, &hasher.params),
            "an unknown account answers sooner or later than a known one"
        );
        assert_ne!(hasher.nobody, Hasher::default().nobody);
    }

    #[tokio::test]
    async fn a_hash_of_other_parameters_is_outdated() {
        let password = SecretString::from("correct horse battery");
        let hash = quick().hash(&password).await.expect("hashed");
        let stronger = Hasher::new(Params::new(16, 1, 1, None).expect("small parameters"));
        let verdict = stronger.verify(&password, Some(&hash)).await.expect("compared");
        assert_eq!(verdict, Verdict::Right { outdated: true });
    }

    #[tokio::test]
    async fn a_broken_hash_is_an_error_and_not_a_wrong_password() {
        for broken in ["", "plain", "$argon2id$v=19$m=8,t=1,p=1", "$2b$12$abc"] {
            let result = quick().verify(&"x".into(), Some(broken)).await;
            assert!(!matches!(result, Ok(Verdict::Right { .. })), "{broken}: {result:?}");
        }
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[tokio::test(flavor = "multi_thread")]
    async fn the_memory_of_hashes_is_given_back() {
        let resident_kib = || -> i64 {
            let status = std::fs::read_to_string("/proc/self/status").expect("a status");
            let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("a size");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        platform::memory::give_back_large_blocks();
        let (hasher, password) = (Hasher::default(), SecretString::from("correct horse battery"));
        hasher.verify(&password, None).await.expect("compared");
        let before = resident_kib();
        let all = (0..16).map(|_| hasher.verify(&password, None));
        futures_util::future::try_join_all(all).await.expect("compared");
        let grown = resident_kib() - before;
        assert!(grown < i64::from(MEMORY_KIB) / 2, "{grown} KiB are kept after all are done");
    }

    #[tokio::test]
    async fn beyond_the_queue_callers_are_sent_away() {
        let hasher = quick();
        let all = Arc::clone(&hasher.inside).acquire_many_owned(MAX_INSIDE as u32).await.expect("open");
        assert!(matches!(hasher.hash(&"x".into()).await, Err(HashError::Busy)));
        drop(all);
        hasher.hash(&"x".into()).await.expect("room again");
    }
}
