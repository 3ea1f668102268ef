//! The files of the local store. A file lies under the hash of its key, so no key can name a place outside.
//!
//! Runs on blocking threads.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use platform::seal::sha256_hex;
use tempfile::{NamedTempFile, PersistError};

/// What became of a file that was to be kept.
#[derive(Debug, PartialEq, Eq)]
pub enum Kept {
    New,
    /// The very same file was there.
    Same,
    /// Another file is there under this key; it stays.
    Taken,
}

/// The local store: one folder a bucket.
#[derive(Debug, Clone)]
pub struct LocalStore {
    folder: PathBuf,
}

impl LocalStore {
    pub fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("storage") }
    }

    fn place(&self, bucket: &str, key: &str) -> PathBuf {
        let hash = sha256_hex(key.as_bytes());
        self.folder.join(&sha256_hex(bucket.as_bytes())[..16]).join(&hash[..2]).join(hash)
    }

    /// A file to write an upload into, on the store's own disk.
    pub fn incoming(&self) -> io::Result<NamedTempFile> {
        fs::create_dir_all(&self.folder)?;
        NamedTempFile::new_in(&self.folder)
    }

    /// Keeps a written file under a key that is free; whole or not at all.
    pub fn keep(&self, bucket: &str, key: &str, file: NamedTempFile) -> io::Result<Kept> {
        let place = self.place(bucket, key);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        file.as_file().sync_all()?;
        match file.persist_noclobber(&place) {
            Ok(_) => Ok(Kept::New),
            Err(PersistError { error, file }) if error.kind() == io::ErrorKind::AlreadyExists => {
                let same = same_bytes(file.reopen()?, File::open(&place)?)?;
                Ok(if same { Kept::Same } else { Kept::Taken })
            }
            Err(e) => Err(e.error),
        }
    }

    /// The file under a key.
    pub fn open(&self, bucket: &str, key: &str) -> io::Result<Option<File>> {
        match File::open(self.place(bucket, key)) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Copies a file to another bucket; `None` when there is none.
    pub fn copy(&self, key: &str, from: &str, to: &str, force: bool) -> io::Result<Option<Kept>> {
        let Some(mut source) = self.open(from, key)? else { return Ok(None) };
        let mut copy = self.incoming()?;
        io::copy(&mut source, &mut copy)?;
        if !force {
            return self.keep(to, key, copy).map(Some);
        }
        let place = self.place(to, key);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        copy.as_file().sync_all()?;
        copy.persist(&place).map_err(|e| e.error)?;
        Ok(Some(Kept::New))
    }
}

fn same_bytes(mut a: File, mut b: File) -> io::Result<bool> {
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let n = a.read(&mut left)?;
        if n == 0 {
            return Ok(true);
        }
        b.read_exact(&mut right[..n])?;
        if left[..n] != right[..n] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn incoming(store: &LocalStore, bytes: &[u8]) -> NamedTempFile {
        let mut file = store.incoming().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    fn text(store: &LocalStore, bucket: &str, key: &str) -> Option<String> {
        store.open(bucket, key).expect("readable").map(|f| io::read_to_string(f).expect("text"))
    }

    #[test]
    fn files_are_kept_once_and_copied_between_buckets() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = LocalStore::new(folder.path());
        assert_eq!(store.keep("a", "../k", incoming(&store, b"1")).expect("kept"), Kept::New);
        assert_eq!(store.keep("a", "../k", incoming(&store, b"1")).expect("kept"), Kept::Same);
        assert_eq!(store.keep("a", "../k", incoming(&store, b"2")).expect("kept"), Kept::Taken);
        assert_eq!(text(&store, "a", "../k").as_deref(), Some("1"));
        assert_eq!(text(&store, "b", "../k"), None);
        assert_eq!(store.copy("../k", "a", "b", false).expect("copied"), Some(Kept::New));
        assert_eq!(store.copy("none", "a", "b", false).expect("looked"), None);
        assert_eq!(store.keep("a", "x", incoming(&store, b"new")).expect("kept"), Kept::New);
        assert_eq!(store.keep("b", "x", incoming(&store, b"old")).expect("kept"), Kept::New);
        assert_eq!(store.copy("x", "a", "b", false).expect("looked"), Some(Kept::Taken));
        assert_eq!(store.copy("x", "a", "b", true).expect("copied"), Some(Kept::New));
        assert_eq!(text(&store, "b", "x").as_deref(), Some("new"));
        // Nothing outside the store's own folder, and no upload left behind.
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        let rest = fs::read_dir(folder.path().join("storage")).expect("a folder");
        assert!(rest.into_iter().all(|e| e.expect("an entry").path().is_dir()));
    }
}
