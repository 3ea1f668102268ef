//! Files that are served from memory: read once, found by their exact path (so no path can lead anywhere else),
//! with an ETag, packed with gzip at the first wish and kept packed.

use std::{io::Write as _, sync::OnceLock};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
        VARY,
    },
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// Smaller files are not worth packing.
const MIN_GZIP_BYTES: usize = 1024;

/// How long a browser may use a file without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It asks each time, and mostly hears 304.
    Ask,
    /// The name changes with the content.
    Forever,
}

/// One file.
pub(crate) struct Asset {
    bytes: Bytes,
    content_type: HeaderValue,
    etag: String,
    keep: Keep,
    packed: OnceLock<Option<Bytes>>,
}

impl Asset {
    pub fn new(bytes: Bytes, content_type: &str, keep: Keep) -> Self {
        let digest = platform::seal::sha256_hex(&bytes);
        Self {
            bytes,
            content_type: HeaderValue::from_str(content_type)
                .unwrap_or(HeaderValue::from_static("application/octet-stream")),
            etag: format!("W/\"{}\"", &digest[..32]),
            keep,
            packed: OnceLock::new(),
        }
    }

    /// Named by its path: the type follows from the extension.
    pub fn named(path: &str, bytes: Bytes, keep: Keep) -> Self {
        let guess = mime_guess::from_path(path).first_or_octet_stream();
        let text = guess.type_() == mime_guess::mime::TEXT || guess.subtype() == mime_guess::mime::JAVASCRIPT;
        let content_type = if text { format!("{guess}; charset=utf-8") } else { guess.to_string() };
        Self::new(bytes, &content_type, keep)
    }

    /// The answer to a GET or HEAD of it.
    pub fn answer(&self, req: &HttpRequest) -> HttpResponse {
        let cache = match self.keep {
            Keep::Ask => "no-cache",
            Keep::Forever => "public, max-age=31536000, immutable",
        };
        let known = req.headers().get_all(IF_NONE_MATCH).filter_map(|v| v.to_str().ok());
        let mut builder = if known.flat_map(|v| v.split(',')).any(|tag| tag.trim() == self.etag) {
            HttpResponse::NotModified()
        } else {
            HttpResponse::Ok()
        };
        builder
            .insert_header((ETAG, self.etag.as_str()))
            .insert_header((CACHE_CONTROL, cache))
            .insert_header((VARY, "accept-encoding"));
        let mut response = builder.finish();
        if response.status() == actix_web::http::StatusCode::NOT_MODIFIED {
            return response;
        }
        response.headers_mut().insert(CONTENT_TYPE, self.content_type.clone());
        match self.packed().filter(|_| takes_gzip(req)) {
            Some(packed) => {
                response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                response.set_body(actix_web::body::BoxBody::new(packed.clone()))
            }
            None => response.set_body(actix_web::body::BoxBody::new(self.bytes.clone())),
        }
    }

    /// The packed form, if packing helps.
    fn packed(&self) -> Option<&Bytes> {
        let pack = || {
            let kind = self.content_type.to_str().unwrap_or_default();
            let text = ["text/", "javascript", "json", "svg"].iter().any(|word| kind.contains(word));
            if !text || self.bytes.len() < MIN_GZIP_BYTES {
                return None;
            }
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
            encoder.write_all(&self.bytes).and_then(|()| encoder.finish()).ok().map(Bytes::from)
        };
        self.packed.get_or_init(pack).as_ref()
    }
}

fn takes_gzip(req: &HttpRequest) -> bool {
    let accepted = req.headers().get_all(ACCEPT_ENCODING).filter_map(|v| v.to_str().ok());
    accepted.flat_map(|v| v.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let gzip = parts.next().is_some_and(|coding| coding.eq_ignore_ascii_case("gzip"));
        let refused = parts.any(|p| p.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32)));
        gzip && !refused
    })
}
