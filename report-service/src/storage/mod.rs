//! Where covers and report files live, as far as their addresses go (`spec/report-admin-api.md`, "Storage").
//!
//! Other features call [`Storage::public_url`].

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use platform::settings::Settings;

/// Everything but RFC 3986's unreserved characters, and `/`, which parts a key into folders.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The storage of this service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Storage {
    public_base: String,
}

impl Storage {
    pub fn new(settings: &Settings) -> Self {
        let public_base = match &settings.storage.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}/storage/public", settings.listen),
        };
        Self { public_base }
    }

    /// The address anybody can read `src` at: an absolute URL stays, a storage key is percent-encoded
    /// behind the public bucket's base. "" stays "".
    pub fn public_url(&self, src: &str) -> String {
        if src.is_empty() || is_absolute(src) { src.to_owned() } else { join(&self.public_base, src) }
    }
}

/// Is it an `http` or `https` URL rather than a storage key?
pub fn is_absolute(src: &str) -> bool {
    let lower = src.get(..8).unwrap_or(src).to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

fn join(base: &str, key: &str) -> String {
    format!("{base}/{}", utf8_percent_encode(key.trim_start_matches('/'), PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_and_absolute_urls_stay() {
        let storage = Storage { public_base: "http://static.example.com".into() };
        for (src, url) in [
            ("20210108:eep-h5-title.png", "http://static.example.com/20210108%3Aeep-h5-title.png"),
            ("static/test.pdf", "http://static.example.com/static/test.pdf"),
            ("编程 1%.pdf", "http://static.example.com/%E7%BC%96%E7%A8%8B%201%25.pdf"),
            ("HTTPS://cdn.example.com/a b.png", "HTTPS://cdn.example.com/a b.png"),
            ("javascript:alert(1)", "http://static.example.com/javascript%3Aalert%281%29"),
            ("", ""),
            ("报", "http://static.example.com/%E6%8A%A5"),
        ] {
            assert_eq!(storage.public_url(src), url);
        }
    }
}
