//! Tokens that are signed here as ours are: past the signature, into what a token says.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

/// The secret of every target; no other system has it.
pub const SECRET: &str = "the-fuzzers-own-key-of-40-characters-000";
/// Unix seconds.
pub const NOW: i64 = 1_795_269_845;

/// A token with the header and the claims of the input.
pub struct Forged {
    pub token: String,
    pub header: Value,
    pub claims: Value,
}

/// `{header}` and `{claims}` on two lines, signed with [`SECRET`]; `None` for all other inputs.
pub fn forged(input: &[u8]) -> Option<Forged> {
    let line = input.iter().position(|b| *b == b'\n').filter(|_| input.starts_with(b"{"))?;
    let (header, claims) = (&input[..line], &input[line + 1..]);
    let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(tag, &mut token);
    // Where a claim is not looked at, its text may be anything.
    let json = |bytes| serde_json::from_str(&String::from_utf8_lossy(bytes)).unwrap_or_default();
    Some(Forged { token, header: json(header), claims: json(claims) })
}
