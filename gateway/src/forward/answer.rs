//! The body of a service's answer on its way to the client. One that arrived whole is passed on as it is; a
//! longer one streams, and one that breaks off ends the client's connection, so that nobody takes it for whole.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_http::{ConnectionType, h1::ClientPayloadCodec};
use actix_web::{
    HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    http::header,
};
use bytes::{Bytes, BytesMut};
use contracts::routes::ServiceName;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::{codec::Decoder, io::poll_read_buf};

use super::{
    exchange::{BodyCodec, Incoming},
    failure::{BROKEN_BODY, Failure},
    headers::clean_answer,
    pool::Lease,
};

/// Longest silence of a service inside a body.
const SILENCE: Duration = Duration::from_secs(60);
/// Read at once while a body streams.
const CHUNK_BYTES: usize = 16 * 1024;

/// Turns a service's answer into the client's.
pub(crate) fn answer(
    incoming: Incoming,
    mut lease: Lease,
    request_id: &str,
) -> Result<HttpResponse, Failure> {
    let Incoming { mut head, body, request_done } = incoming;
    let reusable = request_done && head.connection_type() == ConnectionType::KeepAlive;
    let size = head.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.trim().parse().ok());
    let body = match body {
        BodyCodec::None => {
            if reusable {
                lease.give_back();
            }
            BoxBody::new(())
        }
        BodyCodec::Framed(mut codec) => match arrived(&mut codec, &mut lease.received)? {
            Arrived::Whole(bytes) => {
                if reusable {
                    lease.give_back();
                }
                BoxBody::new(bytes)
            }
            Arrived::Partly(first) => BoxBody::new(StreamedBody {
                size: size.map_or(BodySize::Stream, BodySize::Sized),
                codec,
                ready: first,
                service: lease.service(),
                lease: Some(lease),
                reusable,
                silence: None,
                request_id: request_id.to_owned(),
            }),
        },
    };
    let mut response = HttpResponse::new(head.status).set_body(body);
    clean_answer(&mut head.headers);
    *response.headers_mut() = head.headers;
    Ok(response)
}

enum Arrived {
    Whole(Bytes),
    Partly(Option<Bytes>),
}

/// What came together with the head.
fn arrived(codec: &mut ClientPayloadCodec, received: &mut BytesMut) -> Result<Arrived, Failure> {
    let bad = |e: actix_web::error::PayloadError| Failure::BadAnswer(e.to_string());
    match codec.decode(received).map_err(bad)? {
        None => Ok(Arrived::Partly(None)),
        Some(None) => Ok(Arrived::Whole(Bytes::new())),
        Some(Some(first)) => match codec.decode(received).map_err(bad)? {
            Some(None) => Ok(Arrived::Whole(first)),
            None => Ok(Arrived::Partly(Some(first))),
            Some(Some(second)) => {
                let mut both = BytesMut::from(&first[..]);
                both.extend_from_slice(&second);
                Ok(Arrived::Partly(Some(both.freeze())))
            }
        },
    }
}

/// A body that is still arriving.
struct StreamedBody {
    size: BodySize,
    codec: ClientPayloadCodec,
    ready: Option<Bytes>,
    service: ServiceName,
    lease: Option<Lease>,
    reusable: bool,
    silence: Option<Pin<Box<Sleep>>>,
    request_id: String,
}

impl StreamedBody {
    fn finish(&mut self) {
        if let Some(lease) = self.lease.take().filter(|_| self.reusable) {
            lease.give_back();
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(chunk) = self.ready.take() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        loop {
            let Some(lease) = &mut self.lease else { return Poll::Ready(None) };
            match self.codec.decode(&mut lease.received) {
                Ok(Some(Some(chunk))) => return Poll::Ready(Some(Ok(chunk))),
                Ok(Some(None)) => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Ok(None) => {}
                Err(e) => return Poll::Ready(Some(Err(io::Error::other(e)))),
            }
            if lease.received.capacity() - lease.received.len() < CHUNK_BYTES / 8 {
                lease.received.reserve(CHUNK_BYTES);
            }
            match poll_read_buf(Pin::new(&mut lease.io), cx, &mut lease.received) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
                Poll::Ready(Ok(_)) => self.silence = None,
                Poll::Ready(Err(e)) => return Poll::Ready(Some(Err(e))),
                Poll::Pending => {
                    let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(SILENCE)));
                    ready!(silence.as_mut().poll(cx));
                    silence.as_mut().reset(Instant::now() + SILENCE);
                    return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
                }
            }
        }
    }
}

impl MessageBody for StreamedBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let item = ready!(self.poll_chunk(cx));
        if let Some(Err(e)) = &item {
            let (service, request_id) = (self.service.as_str(), self.request_id.as_str());
            metrics::counter!("gateway_upstream_failures_total", "service" => service, "kind" => BROKEN_BODY)
                .increment(1);
            tracing::warn!(request_id, service, error = %e, "an answer broke off half-way");
            self.lease = None;
        }
        Poll::Ready(item)
    }
}
