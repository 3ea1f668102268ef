//! Secrets at rest: sealed under a named key, openable only in the place they were sealed for; and the few
//! pieces of cryptography used everywhere, so that no other module picks its own.
//!
//! A sealed value is `v1.<key id>.<base64url(nonce ‖ AES-256-GCM ciphertext ‖ tag)>`. The context (say
//! `partner_key:17:sk`) is authenticated with it, so a value copied to another row does not open.
//!
//! Rotation: put the new key first, leave the old ones behind it, rewrap what `needs_rewrap`, drop the old.
//! Deliberately absent: passwords (they are hashed, not sealed) and signing keys of tokens.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest, hkdf, hmac, rand,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretSlice, SecretString, zeroize::Zeroize};
use subtle::ConstantTimeEq;

/// Characters a sealing secret needs at least.
pub const MIN_SECRET_CHARS: usize = 32;
const MAX_KEY_ID_CHARS: usize = 32;
const VERSION: &str = "v1";

/// Why a value could not be sealed or opened. Never carries a secret or the sealed value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("no sealing key is configured")]
    NoKeys,
    #[error("a sealing key id is 1 to 32 of a-z, A-Z, 0-9, _ and -, and is used once; {0:?} is not")]
    BadKeyId(String),
    #[error("the secret of sealing key {0:?} is shorter than 32 characters")]
    ShortSecret(String),
    #[error("the sealed value has not the form v1.<key id>.<base64url>")]
    Malformed,
    #[error("the value was sealed with key {0:?}, which is not configured")]
    UnknownKey(String),
    #[error("the sealed value is damaged, or was sealed for another place")]
    NotAuthentic,
    #[error("the sealed value is not text")]
    NotText,
}

/// Seals with its first key, opens with all. Cheap to clone.
#[derive(Clone)]
pub struct Sealer {
    keys: Arc<[Key]>,
}

struct Key {
    id: String,
    key: LessSafeKey,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.keys.iter().map(|key| key.id.as_str()).collect();
        f.debug_struct("Sealer").field("key_ids", &ids).finish_non_exhaustive()
    }
}

impl Sealer {
    /// Derives one AES key from each (key id, secret) by HKDF-SHA256.
    ///
    /// # Errors
    /// No keys, a key id that is malformed or appears twice, a secret shorter than 32 characters.
    pub fn new(keys: Vec<(String, SecretString)>) -> Result<Self, SealError> {
        let mut derived: Vec<Key> = Vec::with_capacity(keys.len());
        for (id, secret) in keys {
            if !is_key_id(&id) || derived.iter().any(|known| known.id == id) {
                return Err(SealError::BadKeyId(id));
            }
            if secret.expose_secret().chars().count() < MIN_SECRET_CHARS {
                return Err(SealError::ShortSecret(id));
            }
            derived.push(Key { key: derive(&secret), id });
        }
        if derived.is_empty() {
            return Err(SealError::NoKeys);
        }
        Ok(Self { keys: derived.into() })
    }

    /// Seals `plain` for the place named by `context`; the same call never gives the same value twice.
    pub fn seal(&self, context: &str, plain: &[u8]) -> String {
        let key = &self.keys[0]; // `new` refuses an empty list
        let header = format!("{VERSION}.{}.", key.id);
        let nonce: [u8; NONCE_LEN] = random_bytes();
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = key
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                aad(&header, context),
                &mut sealed[NONCE_LEN..],
            )
            .expect("AES-GCM seals whatever is shorter than 64 GiB");
        sealed.extend_from_slice(tag.as_ref());
        header + &URL_SAFE_NO_PAD.encode(sealed)
    }

    /// Opens a sealed text.
    ///
    /// # Errors
    /// Malformed, unknown key, damaged or sealed for another context, or not UTF-8.
    pub fn open(&self, context: &str, sealed: &str) -> Result<SecretString, SealError> {
        let plain = self.open_vec(context, sealed)?;
        match String::from_utf8(plain) {
            Ok(text) => Ok(SecretString::from(text)),
            Err(err) => {
                err.into_bytes().zeroize();
                Err(SealError::NotText)
            }
        }
    }

    /// Opens a sealed value that need not be text.
    ///
    /// # Errors
    /// As `open`, without the last.
    pub fn open_bytes(&self, context: &str, sealed: &str) -> Result<SecretSlice<u8>, SealError> {
        self.open_vec(context, sealed).map(SecretSlice::from)
    }

    /// Whether `sealed` is under any other key than the first: time to open it and seal it again.
    pub fn needs_rewrap(&self, sealed: &str) -> bool {
        parts(sealed).is_none_or(|(id, _)| id != self.keys[0].id)
    }

    fn open_vec(&self, context: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let (id, body) = parts(sealed).ok_or(SealError::Malformed)?;
        let key = self
            .keys
            .iter()
            .find(|key| key.id == id)
            .ok_or_else(|| SealError::UnknownKey(id.chars().take(MAX_KEY_ID_CHARS).collect()))?;
        let mut bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| SealError::Malformed)?;
        let nonce = bytes.first_chunk::<NONCE_LEN>().copied().ok_or(SealError::Malformed)?;
        let header = &sealed[..sealed.len() - body.len()];
        let plain_len = key
            .key
            .open_in_place(Nonce::assume_unique_for_key(nonce), aad(header, context), &mut bytes[NONCE_LEN..])
            .map_err(|_| SealError::NotAuthentic)?
            .len();
        bytes.copy_within(NONCE_LEN..NONCE_LEN + plain_len, 0);
        bytes[plain_len..].zeroize();
        bytes.truncate(plain_len);
        Ok(bytes)
    }
}

fn is_key_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=MAX_KEY_ID_CHARS).contains(&id.len()) && id.bytes().all(allowed)
}

fn derive(secret: &SecretString) -> LessSafeKey {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"baodan/seal/v1");
    let prk = salt.extract(secret.expose_secret().as_bytes());
    let okm = prk.expand(&[b"aes-256-gcm"], &AES_256_GCM).expect("32 bytes are within HKDF's bound");
    LessSafeKey::new(UnboundKey::from(okm))
}

/// The header holds no NUL and ends with a dot, so header and context cannot be read in two ways.
fn aad(header: &str, context: &str) -> Aad<Vec<u8>> {
    Aad::from([header.as_bytes(), context.as_bytes()].concat())
}

/// (key id, base64url body).
fn parts(sealed: &str) -> Option<(&str, &str)> {
    sealed.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(data: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, data))
}

/// HMAC-SHA256; a key of any length.
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    let mut out = [0; 32];
    out.copy_from_slice(tag.as_ref());
    out
}

/// `N` bytes from the system's cryptographic source.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    fill_random(&mut out);
    out
}

/// A token of `bytes` random bytes as base64url without padding: 4 characters for every 3 bytes.
pub fn random_token(bytes: usize) -> String {
    let mut raw = vec![0; bytes];
    fill_random(&mut raw);
    URL_SAFE_NO_PAD.encode(raw)
}

#[allow(clippy::disallowed_methods)] // the one place that asks for randomness
fn fill_random(out: &mut [u8]) {
    rand::fill(out).expect("a process without randomness must not go on");
}

/// Compares secrets without telling by its duration where they differ; only the lengths may show.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(letter: &str) -> SecretString {
        SecretString::from(letter.repeat(32))
    }

    fn sealer(keys: &[(&str, &str)]) -> Sealer {
        let keys = keys.iter().map(|(id, letter)| ((*id).to_owned(), secret(letter))).collect();
        Sealer::new(keys).expect("good keys")
    }

    #[test]
    fn a_sealed_value_opens_in_its_own_place_only() {
        let sealer = sealer(&[("k1", "a")]);
        let sealed = sealer.seal("partner:1:sk", "密钥 56777ab6".as_bytes());
        assert!(sealed.starts_with("v1.k1."), "{sealed}");
        assert_ne!(sealed, sealer.seal("partner:1:sk", "密钥 56777ab6".as_bytes()));
        assert_eq!(sealer.open("partner:1:sk", &sealed).unwrap().expose_secret(), "密钥 56777ab6");
        assert_eq!(sealer.open("partner:2:sk", &sealed).unwrap_err(), SealError::NotAuthentic);
        assert_eq!(sealer.open("", &sealed).unwrap_err(), SealError::NotAuthentic);
        let empty = sealer.seal("c", b"");
        assert_eq!(sealer.open("c", &empty).unwrap().expose_secret(), "");
    }

    #[test]
    fn rotation_opens_old_values_and_names_those_to_rewrap() {
        let old = sealer(&[("k1", "a")]);
        let both = sealer(&[("k2", "b"), ("k1", "a")]);
        let new = sealer(&[("k2", "b")]);
        let sealed = old.seal("c", b"plain");
        assert!(both.needs_rewrap(&sealed) && !old.needs_rewrap(&sealed) && both.needs_rewrap("junk"));
        let rewrapped = both.seal("c", both.open("c", &sealed).unwrap().expose_secret().as_bytes());
        assert!(!both.needs_rewrap(&rewrapped));
        assert_eq!(new.open("c", &rewrapped).unwrap().expose_secret(), "plain");
        assert_eq!(new.open("c", &sealed).unwrap_err(), SealError::UnknownKey("k1".into()));
    }

    #[test]
    fn the_key_id_is_authenticated() {
        let sealer = sealer(&[("k1", "a"), ("k2", "a")]); // one secret under two ids
        let moved = sealer.seal("c", b"plain").replacen("v1.k1.", "v1.k2.", 1);
        assert_eq!(sealer.open("c", &moved).unwrap_err(), SealError::NotAuthentic);
    }

    #[test]
    fn damage_anywhere_is_refused_and_never_panics() {
        let sealer = sealer(&[("k1", "a")]);
        let sealed = sealer.seal("c", b"plain text");
        for cut in 0..sealed.len() {
            assert!(sealer.open("c", &sealed[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(sealer.open("c", &String::from_utf8(bytes).unwrap()).is_err(), "changed at {at}");
        }
        for junk in
            ["", ".", "v1", "v1.", "v1..", "v1.k1.", "v1.k1.?", "v2.k1.AAAA", "v1.单.AAAA", "v1.k1.AA=="]
        {
            assert!(sealer.open("c", junk).is_err(), "{junk}");
        }
    }

    #[test]
    fn bytes_open_as_bytes_and_not_as_text() {
        let sealer = sealer(&[("k1", "a")]);
        let sealed = sealer.seal("c", &[0xff, 0, 0xfe]);
        assert_eq!(sealer.open_bytes("c", &sealed).unwrap().expose_secret(), &[0xff, 0, 0xfe]);
        assert_eq!(sealer.open("c", &sealed).unwrap_err(), SealError::NotText);
    }

    #[test]
    fn bad_keys_are_refused_and_debug_shows_none() {
        let new = |keys: &[(&str, SecretString)]| {
            Sealer::new(keys.iter().map(|(id, secret)| ((*id).to_owned(), secret.clone())).collect())
        };
        assert_eq!(new(&[]).unwrap_err(), SealError::NoKeys);
        for id in ["", "a.b", "a b", "单", &"x".repeat(33)] {
            assert_eq!(new(&[(id, secret("a"))]).unwrap_err(), SealError::BadKeyId(id.into()));
        }
        assert!(matches!(new(&[("k", secret("a")), ("k", secret("b"))]), Err(SealError::BadKeyId(_))));
        let short = SecretString::from("a".repeat(31));
        assert_eq!(new(&[("k", short)]).unwrap_err(), SealError::ShortSecret("k".into()));
        let debug = format!("{:?}", sealer(&[("k1", "q")]));
        assert!(debug.contains("k1") && !debug.contains("qq"), "{debug}");
    }

    #[test]
    fn helpers_agree_with_published_vectors() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256_hex(b""), empty);
        // RFC 4231, test case 2.
        let tag = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(hmac_sha256(b"Jefe", b"what do ya want for nothing?")), tag);
        assert_eq!(random_token(32).len(), 43);
        assert_ne!(random_bytes::<16>(), random_bytes::<16>());
        assert!(constant_time_eq(b"same", b"same"));
        assert!(!constant_time_eq(b"same", b"sane") && !constant_time_eq(b"same", b"sam"));
    }
}
