use secrecy::SecretString;
use serde::Deserialize;

/// Where covers and report files live: Qiniu Kodo when `access_key` is set, otherwise a local store in
/// `data_dir` that speaks the same tokens (`spec/report-admin-api.md`, "Storage").
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageSettings {
    /// Qiniu's AK; absent = the local store.
    pub access_key: Option<String>,
    /// Qiniu's SK.
    pub secret_key: Option<SecretString>,
    /// The bucket anybody may read.
    pub bucket: String,
    /// The bucket that is read by signed URLs only.
    pub private_bucket: String,
    /// Base of public URLs; absent = this system's own `/storage/public`.
    pub public_url: Option<String>,
    /// Base of signed URLs; absent = this system's own `/storage/private`.
    pub private_url: Option<String>,
    /// Base of Qiniu's management calls.
    pub manage_url: String,
    /// Life of an upload token.
    pub upload_token_seconds: i64,
    /// Life of a signed download URL.
    pub download_seconds: i64,
    /// Largest file the local store takes.
    pub max_upload_bytes: u64,
    /// Hand out upload tokens of the public bucket without a login.
    pub anonymous_upload_token: bool,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            access_key: None,
            secret_key: None,
            bucket: "baodan-public".into(),
            private_bucket: "baodan-private".into(),
            public_url: None,
            private_url: None,
            manage_url: "https://rs.qiniuapi.com".into(),
            upload_token_seconds: 3600,
            download_seconds: 3600,
            max_upload_bytes: 200 * 1024 * 1024,
            anonymous_upload_token: false,
        }
    }
}

impl StorageSettings {
    /// Is the local store in use?
    pub fn is_local(&self) -> bool {
        self.access_key.is_none()
    }

    /// Adds a sentence for each setting that cannot work.
    pub fn validate(&self, problems: &mut Vec<String>) {
        if self.access_key.is_some() {
            if self.secret_key.is_none() {
                problems.push(
                    "storage.access_key is set, storage.secret_key is not (BAODAN_STORAGE__SECRET_KEY)"
                        .into(),
                );
            }
            if self.public_url.is_none() || self.private_url.is_none() {
                problems.push(
                    "with Qiniu, storage.public_url and storage.private_url name the buckets' domains".into(),
                );
            }
        }
        let urls = [&self.public_url, &self.private_url, &Some(self.manage_url.clone())];
        if urls.into_iter().flatten().any(|u| !u.starts_with("http://") && !u.starts_with("https://")) {
            problems.push("the URLs of storage must start with http:// or https://".into());
        }
        if self.bucket == self.private_bucket {
            problems.push("storage.bucket and storage.private_bucket must differ".into());
        }
        if self.upload_token_seconds < 1 || self.download_seconds < 1 {
            problems.push("storage tokens must live for at least a second".into());
        }
    }
}
