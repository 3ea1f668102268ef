//! Qiniu's signatures, keys and file types (`spec/report-admin-api.md`, "Storage"). Pure.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Everything but RFC 3986's unreserved characters, and `/`, which parts a key into folders.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// Media type of a management call.
pub const FORM: &str = "application/x-www-form-urlencoded";
/// Bytes of a key of the local store.
const MAX_KEY_BYTES: usize = 512;

/// AK and SK.
#[derive(Debug, Clone)]
pub struct Keys {
    pub access: String,
    pub secret: SecretString,
}

impl Keys {
    /// `AK:` and the url-safe padded base64 of HMAC-SHA1 over `data`.
    pub fn sign(&self, data: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.secret.expose_secret().as_bytes());
        let tag = hmac::sign(&key, data.as_bytes());
        format!("{}:{}", self.access, URL_SAFE.encode(tag))
    }

    /// A token that lets its bearer upload into `bucket` until `deadline` (unix seconds).
    pub fn upload_token(&self, bucket: &str, deadline: i64) -> String {
        let bucket = serde_json::Value::from(bucket);
        let policy = URL_SAFE.encode(format!("{{\"scope\":{bucket},\"deadline\":{deadline}}}"));
        format!("{}:{policy}", self.sign(&policy))
    }

    /// The bucket an upload token opens at `now`, if we signed it and it has not run out.
    pub fn opened_by(&self, token: &str, now: i64) -> Option<String> {
        #[derive(Deserialize)]
        struct Policy {
            scope: String,
            deadline: i64,
        }
        let (signature, policy) = token.rsplit_once(':')?;
        if !same(&self.sign(policy), signature) {
            return None;
        }
        let policy: Policy = serde_json::from_slice(&URL_SAFE.decode(policy).ok()?).ok()?;
        (policy.deadline >= now).then_some(policy.scope)
    }

    /// `<base>/<key>?e=<expires>&token=…`: opens a private file until `expires` (unix seconds).
    pub fn private_url(&self, base: &str, key: &str, expires: i64) -> String {
        let url = format!("{}?e={expires}", join(base, key));
        let token = self.sign(&url);
        format!("{url}&token={token}")
    }

    /// Does `token` open the private file at `now`?
    pub fn opens(&self, base: &str, key: &str, expires: i64, token: &str, now: i64) -> bool {
        let url = format!("{}?e={expires}", join(base, key));
        same(&self.sign(&url), token) && expires >= now
    }

    /// The `Authorization` of a management call without a body (Qiniu's signature, version 2).
    pub fn management(&self, path: &str, host: &str, date: &str) -> String {
        let data = format!("POST {path}\nHost: {host}\nContent-Type: {FORM}\nX-Qiniu-Date: {date}\n\n");
        format!("Qiniu {}", self.sign(&data))
    }
}

fn same(ours: &str, theirs: &str) -> bool {
    platform::seal::constant_time_eq(ours.as_bytes(), theirs.as_bytes())
}

/// The path of a copy from one bucket to another under the same key.
pub fn copy_path(key: &str, from: &str, to: &str, force: bool) -> String {
    let entry = |bucket: &str| URL_SAFE.encode(format!("{bucket}:{key}"));
    format!("/copy/{}/{}/force/{force}", entry(from), entry(to))
}

/// A key behind a base, percent-encoded.
pub fn join(base: &str, key: &str) -> String {
    format!("{base}/{}", utf8_percent_encode(key.trim_start_matches('/'), PATH))
}

/// Is it an `http` or `https` URL rather than a storage key?
pub fn is_absolute(src: &str) -> bool {
    let begins = |with: &str| src.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with));
    begins("http://") || begins("https://")
}

/// The storage key `src` means: itself, or what stands behind our own public base; `None` for a file that
/// lies elsewhere.
pub fn key_of(src: &str, public_base: &str) -> Option<String> {
    if !is_absolute(src) {
        return Some(src.trim_start_matches('/').to_owned());
    }
    let behind = src.strip_prefix(public_base)?.strip_prefix('/')?;
    let path = behind.split(['?', '#']).next().unwrap_or(behind);
    percent_decode_str(path).decode_utf8().ok().map(|key| key.into_owned())
}

/// Can the local store keep a file under this key, and the gateway pass on its address?
pub fn is_local_key(key: &str) -> bool {
    let segment = |s: &str| !matches!(s, "" | "." | "..");
    !key.is_empty()
        && key.len() <= MAX_KEY_BYTES
        && key.split('/').all(segment)
        && !key.chars().any(|c| c.is_control() || matches!(c, '\\' | '%'))
}

/// A kind of file the local store takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileType {
    pub media_type: &'static str,
    magic: &'static [u8],
}

const fn kind(media_type: &'static str, magic: &'static [u8]) -> FileType {
    FileType { media_type, magic }
}

const ZIP: &[u8] = b"PK\x03\x04";
const OLE: &[u8] = b"\xD0\xCF\x11\xE0";

/// Endings and what they promise. Absent: everything a browser would run on our own origin (html, svg, js).
const TYPES: &[(&str, FileType)] = &[
    ("jpg", kind("image/jpeg", b"\xFF\xD8\xFF")),
    ("jpeg", kind("image/jpeg", b"\xFF\xD8\xFF")),
    ("png", kind("image/png", b"\x89PNG\r\n\x1a\n")),
    ("gif", kind("image/gif", b"GIF8")),
    ("webp", kind("image/webp", b"RIFF")),
    ("pdf", kind("application/pdf", b"%PDF-")),
    ("epub", kind("application/epub+zip", ZIP)),
    ("docx", kind("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ZIP)),
    ("xlsx", kind("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ZIP)),
    ("pptx", kind("application/vnd.openxmlformats-officedocument.presentationml.presentation", ZIP)),
    ("doc", kind("application/msword", OLE)),
    ("xls", kind("application/vnd.ms-excel", OLE)),
    ("ppt", kind("application/vnd.ms-powerpoint", OLE)),
];

/// The type a key's ending promises, if the store takes it.
pub fn type_of(key: &str) -> Option<FileType> {
    let (_, ending) = key.rsplit_once('.')?;
    TYPES.iter().find(|(e, _)| ending.eq_ignore_ascii_case(e)).map(|(_, t)| *t)
}

impl FileType {
    /// Does a file that begins so keep the promise?
    pub fn keeps(self, head: &[u8]) -> bool {
        head.starts_with(self.magic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys { access: "abcdefghklmnopq".into(), secret: "1234567890".into() }
    }

    #[test]
    fn signatures_are_byte_equal_to_the_vectors() {
        assert_eq!(keys().sign("test"), "abcdefghklmnopq:mSNBTR7uS2crJsyFr2Amwv1LaYg=");
        let policy = URL_SAFE.encode(r#"{"scope":"jiwei-market","deadline":1654769358}"#);
        let token = keys().upload_token("jiwei-market", 1_654_769_358);
        assert_eq!(token, format!("abcdefghklmnopq:h86YJW7Ip4Gw_kRKxcQhjHIN-wQ=:{policy}"));
        // The seed's own token ends so.
        assert!(token.ends_with(":eyJzY29wZSI6Imppd2VpLW1hcmtldCIsImRlYWRsaW5lIjoxNjU0NzY5MzU4fQ=="));
        assert_eq!(
            keys().sign("http://www.qiniu.com?go=1&e=1234571490"),
            "abcdefghklmnopq:8vzBeLZ9W3E4kbBLFLW0Xe0u7v4="
        );
    }

    #[test]
    fn upload_tokens_open_their_bucket_until_their_deadline() {
        let token = keys().upload_token("b", 100);
        assert_eq!(keys().opened_by(&token, 100).as_deref(), Some("b"));
        assert_eq!(keys().opened_by(&token, 101), None);
        let other = Keys { secret: "x".into(), ..keys() };
        assert_eq!(other.opened_by(&token, 100), None);
        for bad in
            ["", ":", "a:b", "a:b:c", &token[1..], &token[..token.len() - 1], "::", &format!("{token}=")]
        {
            assert_eq!(keys().opened_by(bad, 1), None, "{bad}");
        }
    }

    #[test]
    fn private_urls_sign_the_encoded_address_and_end_with_the_token() {
        let base = "https://privte.laoyaoba.com";
        let url = keys().private_url(base, "uploads/02_SHELL编程之变量定义.pdf", 1_686_924_541);
        let signed = "https://privte.laoyaoba.com/uploads/02_SHELL%E7%BC%96%E7%A8%8B%E4%B9%8B%E5%8F%98%E9%87%8F%E5%AE%9A%E4%B9%89.pdf?e=1686924541";
        assert_eq!(url, format!("{signed}&token={}", keys().sign(signed)));
        let (_, token) = url.split_once("&token=").expect("a token");
        let key = "uploads/02_SHELL编程之变量定义.pdf";
        assert!(keys().opens(base, key, 1_686_924_541, token, 1_686_924_541));
        assert!(!keys().opens(base, key, 1_686_924_541, token, 1_686_924_542), "expired");
        assert!(!keys().opens(base, key, 1_686_924_542, token, 0), "another time");
        assert!(!keys().opens(base, "uploads/other.pdf", 1_686_924_541, token, 0), "another file");
    }

    #[test]
    fn a_management_call_signs_method_path_host_type_and_date() {
        let path = copy_path("a.pdf", "pub", "priv", true);
        assert_eq!(path, "/copy/cHViOmEucGRm/cHJpdjphLnBkZg==/force/true");
        let data = format!(
            "POST {path}\nHost: rs.qiniuapi.com\nContent-Type: application/x-www-form-urlencoded\n\
             X-Qiniu-Date: 20220620T020000Z\n\n"
        );
        let signed = keys().management(&path, "rs.qiniuapi.com", "20220620T020000Z");
        assert_eq!(signed, format!("Qiniu {}", keys().sign(&data)));
    }

    #[test]
    fn keys_are_told_from_urls() {
        let base = "http://s.example.com";
        for (src, key) in [
            ("a/b.pdf", Some("a/b.pdf")),
            ("/a/b.pdf", Some("a/b.pdf")),
            ("http://s.example.com/a%20b.pdf?x=1", Some("a b.pdf")),
            ("http://s.example.com.evil/a.pdf", None),
            ("HTTPS://other.example/a.pdf", None),
        ] {
            assert_eq!(key_of(src, base).as_deref(), key, "{src}");
        }
        for good in ["a.pdf", "uploads/报告 1.pdf", "a..b/c.pdf"] {
            assert!(is_local_key(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/./b", "a\\b", "a%b", "a\nb", "a\0", &"x".repeat(513)] {
            assert!(!is_local_key(bad), "{bad}");
        }
    }

    #[test]
    fn a_file_must_be_what_its_ending_says() {
        assert_eq!(type_of("a/b.PDF").map(|t| t.media_type), Some("application/pdf"));
        assert!(type_of("a.png").is_some_and(|t| t.keeps(b"\x89PNG\r\n\x1a\n...")));
        assert!(!type_of("a.png").is_some_and(|t| t.keeps(b"<html>")));
        for none in ["a", "a.html", "a.svg", "a.js", "a.pdf.exe", "pdf"] {
            assert_eq!(type_of(none), None, "{none}");
        }
    }
}
