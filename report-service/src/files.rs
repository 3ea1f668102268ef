//! Handing out a file without holding it in memory.

use std::{fs::File, io};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

const CHUNK_BYTES: usize = 64 * 1024;

/// A file's bytes from its beginning, with their number.
pub async fn stream(file: File) -> io::Result<(u64, impl Stream<Item = io::Result<Bytes>>)> {
    let mut file = tokio::fs::File::from_std(file);
    let length = file.metadata().await?.len();
    file.rewind().await?;
    let chunks = stream::try_unfold(file, |mut file| async move {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        let read = file.read_buf(&mut chunk).await?;
        Ok((read > 0).then(|| (chunk.freeze(), file)))
    });
    Ok((length, chunks))
}
