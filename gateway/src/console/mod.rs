//! The web console's files, from `gateway.console_dir`, read into memory at the start (a change on disk needs a
//! restart, as a new version does). A path that is no file shows the console's own page for it. Without a
//! console `/` says what this is and where to go.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use platform::service::StartError;

use crate::assets::{Asset, Keep};

/// All files together, bytes: a console is a few megabytes.
const MAX_TOTAL_BYTES: u64 = 64 * 1024 * 1024;
/// Folders inside folders.
const MAX_DEPTH: usize = 8;
const INDEX: &str = "/index.html";
const PLACEHOLDER: &str = include_str!("placeholder.html");

/// The console, or its place.
pub(crate) struct Console {
    /// Path on the wire, decoded → file.
    files: HashMap<String, Asset>,
}

impl Console {
    /// Reads the folder; without one the placeholder stands at `/`.
    pub fn load(dir: Option<&Path>) -> Result<Self, StartError> {
        let mut files = HashMap::new();
        if let Some(dir) = dir {
            let unreadable = |e: io::Error| {
                StartError::Settings(format!("gateway.console_dir {} cannot be served: {e}", dir.display()))
            };
            let mut left = MAX_TOTAL_BYTES;
            read_folder(dir, "", MAX_DEPTH, &mut left, &mut files).map_err(unreadable)?;
            if !files.contains_key(INDEX) {
                return Err(unreadable(io::Error::other("there is no index.html")));
            }
        } else {
            let page = Bytes::from_static(PLACEHOLDER.as_bytes());
            files.insert("/".into(), Asset::new(page, "text/html; charset=utf-8", Keep::Ask));
        }
        Ok(Self { files })
    }

    /// The file or page at a canonical path.
    pub fn answer(&self, req: &HttpRequest) -> Option<HttpResponse> {
        let path = percent_decode_str(req.path()).decode_utf8().ok()?;
        let page = || {
            // What looks like a file and is none is not found; everything else is the console's to show.
            let last = path.rsplit('/').next().unwrap_or_default();
            if last.contains('.') { None } else { self.files.get(INDEX) }
        };
        self.files.get(path.as_ref()).or_else(page).map(|asset| asset.answer(req))
    }
}

fn read_folder(
    dir: &Path,
    prefix: &str,
    depth: usize,
    left: &mut u64,
    files: &mut HashMap<String, Asset>,
) -> io::Result<()> {
    if depth == 0 {
        return Err(io::Error::other("folders are nested too deep"));
    }
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Dot files are nobody's business.
        if name.starts_with('.') {
            continue;
        }
        let (path, wire): (PathBuf, String) = (entry.path(), format!("{prefix}/{name}"));
        let meta = std::fs::metadata(&path)?;
        if meta.is_dir() {
            read_folder(&path, &wire, depth - 1, left, files)?;
        } else {
            *left = left
                .checked_sub(meta.len())
                .ok_or_else(|| io::Error::other(format!("it holds more than {MAX_TOTAL_BYTES} bytes")))?;
            let keep = if wire.starts_with("/assets/") { Keep::Forever } else { Keep::Ask };
            let asset = Asset::named(&wire, Bytes::from(std::fs::read(&path)?), keep);
            files.insert(wire, asset);
        }
    }
    Ok(())
}
