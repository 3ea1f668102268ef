use std::{io::Write as _, path::Path};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

pub(super) const MIN_SECRET_CHARS: usize = 32;

/// Secrets. Lists are `id:secret,id:secret`; the first one signs or seals, all of them verify or open.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeySettings {
    /// Access tokens (HS256), by key id.
    pub token: Option<SecretString>,
    /// Seals secrets at rest, by key id.
    pub envelope: Option<SecretString>,
    /// Internal tokens between gateway and services.
    pub internal: Option<SecretString>,
}

/// A named secret of a [`KeySettings`] list.
#[derive(Debug, Clone)]
pub struct NamedKey {
    pub id: String,
    pub secret: SecretString,
}

/// Is it a secret that is written in examples, or one character again and again?
pub(super) fn well_known(secret: &str) -> bool {
    let lower = secret.to_lowercase();
    let distinct = secret.bytes().collect::<std::collections::HashSet<_>>().len();
    distinct < 6
        || [
            "changeme",
            "change-me",
            "secret",
            "password",
            "admin123",
            "123456",
            "your-",
            "example",
            "default",
        ]
        .iter()
        .any(|w| lower.contains(w))
}

/// Reads `id:secret,id:secret`.
pub(super) fn named_keys(list: Option<&SecretString>) -> Result<Vec<NamedKey>, &'static str> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let mut keys: Vec<NamedKey> = Vec::new();
    for part in list.expose_secret().split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (id, secret) = part.split_once(':').ok_or("has an entry without id")?;
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err("has an id that is not letters, digits, - or _");
        }
        if keys.iter().any(|k| k.id == id) {
            return Err("names an id twice");
        }
        keys.push(NamedKey { id: id.into(), secret: secret.into() });
    }
    Ok(keys)
}

/// Writes a file only its owner can read; it is whole or not there.
pub(super) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let part = path.with_extension("part");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}
