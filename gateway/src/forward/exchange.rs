//! One request and its answer on one connection. The answer is read while the request is still being sent, so
//! that a service that refuses early is heard; bodies stream both ways, nothing is collected.

use actix_http::{
    ConnectionType, ResponseHead,
    h1::{ClientCodec, ClientPayloadCodec, MessageType},
};
use actix_web::http::{StatusCode, Version, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{ReadHalf, WriteHalf},
    time::{Duration, timeout},
};
use tokio_util::codec::Decoder;

use super::{failure::Failure, pool::Lease};
use crate::limits::{Announced, BoundedBody};

/// A request's body on its way.
pub(crate) struct Outgoing {
    pub framing: Announced,
    /// Read before a connection was taken; a clone is cheap.
    pub first: Option<Bytes>,
    pub rest: Option<BoundedBody>,
}

/// The head of an answer, and how its body comes.
pub(crate) struct Incoming {
    pub head: ResponseHead,
    pub body: BodyCodec,
    /// The whole request was sent; otherwise the connection cannot be used again.
    pub request_done: bool,
}

/// How the body of an answer is delimited.
pub(crate) enum BodyCodec {
    None,
    Framed(ClientPayloadCodec),
}

/// Sends `head` and the body, waits for the answer's head. `seconds` begin when the request has left.
pub(crate) async fn exchange(
    lease: &mut Lease,
    mut codec: ClientCodec,
    mut head: BytesMut,
    body: &mut Outgoing,
    seconds: u64,
) -> Result<Incoming, Failure> {
    if let Some(first) = &body.first {
        put_chunk(&mut head, first, body.framing);
        if body.rest.is_none() {
            put_end(&mut head, body.framing);
        }
    }
    let (mut read, mut write) = lease.io.split();
    write_first(&mut write, &head).await?;
    let patience = Duration::from_secs(seconds);
    let late = |_| Failure::TooLate(seconds);
    let mut request_done = true;
    let head = match &mut body.rest {
        None => {
            timeout(patience, read_head(&mut read, &mut lease.received, &mut codec)).await.map_err(late)??
        }
        Some(rest) => {
            let early = tokio::select! {
                biased;
                head = read_head(&mut read, &mut lease.received, &mut codec) => Some(head?),
                sent = send_rest(&mut write, rest, body.framing, patience) => match sent {
                    // A service that has answered need not read on; what it said may still be in the pipe.
                    Err(Failure::Broken(e)) => {
                        request_done = false;
                        let said = timeout(patience, read_head(&mut read, &mut lease.received, &mut codec)).await;
                        Some(said.map_err(late)?.map_err(|_| Failure::Broken(e))?)
                    }
                    other => other.map(|()| None)?,
                },
            };
            match early {
                Some(head) => {
                    request_done = false;
                    head
                }
                None => {
                    body.rest = None;
                    timeout(patience, read_head(&mut read, &mut lease.received, &mut codec))
                        .await
                        .map_err(late)??
                }
            }
        }
    };
    let body = body_codec(&head, codec)?;
    Ok(Incoming { head, body, request_done })
}

/// Writes the head; an error before the first byte is one of an unsent request.
async fn write_first(write: &mut WriteHalf<'_>, bytes: &[u8]) -> Result<(), Failure> {
    let sent = write.write(bytes).await.map_err(Failure::Unsent)?;
    if sent < bytes.len() {
        write.write_all(&bytes[sent..]).await.map_err(Failure::Broken)?;
    }
    Ok(())
}

async fn send_rest(
    write: &mut WriteHalf<'_>,
    rest: &mut BoundedBody,
    framing: Announced,
    patience: Duration,
) -> Result<(), Failure> {
    let mut out = BytesMut::new();
    while let Some(chunk) = rest.next().await {
        let chunk = chunk?;
        out.clear();
        put_chunk(&mut out, &chunk, framing);
        let written = timeout(patience, write.write_all(&out)).await;
        written.map_err(|_| Failure::TooLate(patience.as_secs()))?.map_err(Failure::Broken)?;
    }
    out.clear();
    put_end(&mut out, framing);
    if out.is_empty() { Ok(()) } else { write.write_all(&out).await.map_err(Failure::Broken) }
}

fn put_chunk(out: &mut BytesMut, chunk: &[u8], framing: Announced) {
    match framing {
        Announced::Chunked if chunk.is_empty() => {}
        Announced::Chunked => {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        Announced::Nothing | Announced::Bytes(_) => out.extend_from_slice(chunk),
    }
}

fn put_end(out: &mut BytesMut, framing: Announced) {
    if framing == Announced::Chunked {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}

/// The head of the final answer; interim ones (1xx) are passed over.
async fn read_head(
    read: &mut ReadHalf<'_>,
    received: &mut BytesMut,
    codec: &mut ClientCodec,
) -> Result<ResponseHead, Failure> {
    loop {
        let head = codec.decode(received).map_err(|e| Failure::BadAnswer(e.to_string()))?;
        match head {
            Some(head) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                return Err(Failure::BadAnswer("it switched protocols".into()));
            }
            Some(head) if head.status.is_informational() => continue,
            Some(head) => return Ok(head),
            None => {}
        }
        if read.read_buf(received).await.map_err(Failure::Broken)? == 0 {
            return Err(Failure::Broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

/// How the body comes. An answer that is delimited by the end of the connection is refused: cut off, it could
/// not be told from a whole one.
fn body_codec(head: &ResponseHead, codec: ClientCodec) -> Result<BodyCodec, Failure> {
    if head.version != Version::HTTP_11 {
        return Err(Failure::BadAnswer("it is not HTTP/1.1".into()));
    }
    // They have none, whatever length they tell (RFC 9110, 8.6).
    if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(BodyCodec::None);
    }
    match codec.message_type() {
        MessageType::Payload => Ok(BodyCodec::Framed(codec.into_payload_codec())),
        MessageType::Stream => Err(Failure::BadAnswer("it is not delimited".into())),
        MessageType::None => {
            let says_none = head.headers.contains_key(header::CONTENT_LENGTH);
            if !says_none && head.connection_type() == ConnectionType::Close {
                return Err(Failure::BadAnswer("it is not delimited".into()));
            }
            Ok(BodyCodec::None)
        }
    }
}
