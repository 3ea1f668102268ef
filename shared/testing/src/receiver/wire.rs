//! Just enough HTTP/1.1 to read what clients send: one request with a length, chunked, or without body.

use std::io;

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Received;

/// A callback is a few kilobytes; more than this is a mistake of the test.
const LARGEST: usize = 64 * 1024 * 1024;
const MAX_HEADERS: usize = 100;

fn bad(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

/// Reads one request; `None` when the client has closed. What follows the request stays in `buffer`.
pub(super) async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Received>> {
    let (mut request, head, body) = loop {
        if let Some(head) = head(buffer)? {
            break head;
        }
        if !more(stream, buffer).await? {
            return Ok(None);
        }
    };
    if request.header("expect").eq_ignore_ascii_case("100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    buffer.drain(..head);
    request.body = match body {
        Length::Known(n) => {
            fill(stream, buffer, n).await?;
            buffer.drain(..n).collect()
        }
        Length::Chunked => chunks(stream, buffer).await?,
    };
    request.at = std::time::Instant::now();
    Ok(Some(request))
}

enum Length {
    Known(usize),
    Chunked,
}

/// The parsed head, its length in bytes, and how long the body is; `None` while it is not all there.
fn head(buffer: &[u8]) -> io::Result<Option<(Received, usize, Length)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(end) = parsed.parse(buffer).map_err(bad)? else { return Ok(None) };
    let request = Received {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        headers: parsed
            .headers
            .iter()
            .map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).into_owned()))
            .collect(),
        body: Bytes::new(),
        at: std::time::Instant::now(),
    };
    let length = match request.header("content-length") {
        _ if request.header("transfer-encoding").eq_ignore_ascii_case("chunked") => Length::Chunked,
        "" => Length::Known(0),
        n => Length::Known(n.parse().ok().filter(|n| *n <= LARGEST).ok_or_else(|| bad("content-length"))?),
    };
    Ok(Some((request, end, length)))
}

async fn chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Bytes> {
    let mut body = Vec::new();
    loop {
        let (start, size) = loop {
            match httparse::parse_chunk_size(buffer).map_err(|_| bad("chunk size"))? {
                httparse::Status::Complete((start, size)) => break (start, size),
                httparse::Status::Partial if more(stream, buffer).await? => {}
                httparse::Status::Partial => return Err(bad("cut off in a chunk")),
            }
        };
        let size =
            usize::try_from(size).ok().filter(|n| body.len() + n <= LARGEST).ok_or_else(|| bad("size"))?;
        fill(stream, buffer, start + size + 2).await?;
        body.extend_from_slice(&buffer[start..start + size]);
        buffer.drain(..start + size + 2);
        if size == 0 {
            return Ok(body.into());
        }
    }
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>, n: usize) -> io::Result<()> {
    while buffer.len() < n {
        if !more(stream, buffer).await? {
            return Err(bad("cut off in the body"));
        }
    }
    Ok(())
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    if buffer.len() > 2 * LARGEST {
        return Err(bad("too long"));
    }
    Ok(stream.read_buf(buffer).await? > 0)
}
