//! Where covers and report files lie (`spec/report-admin-api.md`, "Storage"): Qiniu Kodo, or a local store
//! that speaks the same tokens, so that upload and download work with no account.
//!
//! Invariants: signing is our own code over HMAC-SHA1, byte-equal to Qiniu's vectors; an upload token opens its
//! bucket until its deadline and overwrites nothing; a private file is read by a signed URL only.
//!
//! Routes: `/api/qiniu/token`, `/api/qiniu/copyfile`, `/api/report/downloadurl`, and for the local store
//! `/storage/upload`, `/storage/public/…`, `/storage/private/…`.
//!
//! Other features call [`Storage::public_url`].

pub mod http;
pub mod http_local;
mod local;
mod qiniu;
mod rules;
mod service;
mod store;

use std::sync::Arc;

use platform::{seal, service::StartError, settings::Settings};
use secrecy::ExposeSecret;

use self::{
    local::{Kept, LocalStore},
    qiniu::{CopyError, Qiniu},
    rules::Keys,
};

/// The storage of this service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Storage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keys: Keys,
    public_base: String,
    private_base: String,
    bucket: String,
    private_bucket: String,
    upload_token_seconds: i64,
    download_seconds: i64,
    max_upload_bytes: u64,
    anonymous_upload_token: bool,
    files: Files,
}

#[derive(Debug)]
enum Files {
    Local(LocalStore),
    Qiniu(Qiniu),
}

impl Storage {
    /// # Errors
    /// When the settings name no usable address.
    pub fn new(settings: &Settings) -> Result<Self, StartError> {
        let storage = &settings.storage;
        let base = |url: &Option<String>, bucket: &str| match url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}/storage/{bucket}", settings.listen),
        };
        let (keys, files) = match (&storage.access_key, &storage.secret_key) {
            (Some(access), Some(secret)) => {
                let keys = Keys { access: access.clone(), secret: secret.clone() };
                let qiniu =
                    Qiniu::new(&storage.manage_url).map_err(|e| StartError::Settings(e.to_string()))?;
                (keys, Files::Qiniu(qiniu))
            }
            _ => (local_keys(settings)?, Files::Local(LocalStore::new(&settings.data_dir))),
        };
        Ok(Self(Arc::new(Inner {
            keys,
            public_base: base(&storage.public_url, "public"),
            private_base: base(&storage.private_url, "private"),
            bucket: storage.bucket.clone(),
            private_bucket: storage.private_bucket.clone(),
            upload_token_seconds: storage.upload_token_seconds,
            download_seconds: storage.download_seconds,
            max_upload_bytes: storage.max_upload_bytes,
            anonymous_upload_token: storage.anonymous_upload_token,
            files,
        })))
    }

    /// The address anybody can read `src` at: an absolute URL stays, a storage key is percent-encoded
    /// behind the public bucket's base. "" stays "".
    pub fn public_url(&self, src: &str) -> String {
        if src.is_empty() || rules::is_absolute(src) {
            src.to_owned()
        } else {
            rules::join(&self.0.public_base, src)
        }
    }

    /// Copies a file from the public to the private bucket.
    async fn copy(&self, key: &str, force: bool, now_ms: i64) -> Result<(), StorageError> {
        let (from, to) = (self.0.bucket.clone(), self.0.private_bucket.clone());
        match &self.0.files {
            Files::Qiniu(qiniu) => Ok(qiniu.copy(&self.0.keys, (&from, &to), key, force, now_ms).await?),
            Files::Local(local) => {
                let (local, key) = (local.clone(), key.to_owned());
                let copied =
                    tokio::task::spawn_blocking(move || local.copy(&key, &from, &to, force)).await??;
                match copied {
                    None => Err(CopyError::NotFound.into()),
                    Some(Kept::Taken) => Err(CopyError::Exists.into()),
                    Some(Kept::New | Kept::Same) => Ok(()),
                }
            }
        }
    }
}

/// Keys of the local store, the same in every process of one system.
fn local_keys(settings: &Settings) -> Result<Keys, StartError> {
    let internal = settings.keys.internal.as_ref();
    let internal = internal.ok_or_else(|| StartError::Settings("keys.internal is missing".into()))?;
    let secret = seal::hmac_sha256(internal.expose_secret().as_bytes(), b"baodan/storage/v1");
    Ok(Keys { access: "local".into(), secret: seal::sha256_hex(&secret).into() })
}

/// Why the storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The files that were not found; the rest was copied.
    #[error("{0:?} are not in the bucket")]
    Missing(Vec<String>),
    #[error("{0:?} lies in the private bucket already")]
    Exists(String),
    #[error("the local store failed: {0}")]
    Disk(#[from] std::io::Error),
    #[error("the local store ended badly: {0}")]
    Task(#[from] tokio::task::JoinError),
    #[error(transparent)]
    Db(#[from] sea_orm::DbErr),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_and_absolute_urls_stay() {
        let mut settings = Settings::default();
        settings.keys.internal = Some("0123456789abcdefghijklmnopqrstuvwxyz".into());
        settings.storage.public_url = Some("http://static.example.com/".into());
        let storage = Storage::new(&settings).expect("a storage");
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
