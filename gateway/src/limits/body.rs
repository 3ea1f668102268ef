//! Bodies are bounded while they stream: by size, and by how long a client may keep silent inside one. Nothing
//! is buffered here.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    dev::Payload,
    error::PayloadError,
    http::StatusCode,
};
use bytes::Bytes;
use futures_util::Stream;
use platform::http::{ApiError, Message};
use tokio::time::{Instant, Sleep, sleep};

/// Longest silence inside a body.
const SILENCE: Duration = Duration::from_secs(30);

/// Why a body did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFault {
    #[error("the body is larger than the route's {0} bytes")]
    TooLarge(usize),
    #[error("the client went silent inside the body")]
    Silent,
    #[error("the client broke the body off")]
    Broken,
}

impl From<BodyFault> for ApiError {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge(limit) => Self::too_large(limit),
            BodyFault::Silent => {
                let message = Message::new("请求体接收超时", "the body took too long to arrive");
                Self::new(StatusCode::REQUEST_TIMEOUT, 1, message)
            }
            BodyFault::Broken => Self::unreadable_body("请求体不完整", "the body is not complete"),
        }
    }
}

/// A request's body, bounded.
pub(crate) struct BoundedBody {
    payload: Payload,
    limit_bytes: usize,
    seen_bytes: usize,
    silence: Option<Pin<Box<Sleep>>>,
}

impl BoundedBody {
    pub fn new(payload: Payload, limit_bytes: usize) -> Self {
        Self { payload, limit_bytes, seen_bytes: 0, silence: None }
    }

    /// What was not read. Kept alive until the answer is sent, it makes the server close the connection instead
    /// of reading a refused body to its end, which may never come.
    pub fn into_unread(self) -> Payload {
        self.payload
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.silence.get_or_insert_with(|| Box::pin(sleep(SILENCE))).as_mut().poll(cx)
    }
}

impl Stream for BoundedBody {
    type Item = Result<Bytes, BodyFault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match Pin::new(&mut self.payload).poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                self.seen_bytes = self.seen_bytes.saturating_add(chunk.len());
                if self.seen_bytes > self.limit_bytes {
                    return Poll::Ready(Some(Err(BodyFault::TooLarge(self.limit_bytes))));
                }
                if let Some(silence) = &mut self.silence {
                    silence.as_mut().reset(Instant::now() + SILENCE);
                }
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(BodyFault::Broken))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self.poll_silence(cx).map(|()| Some(Err(BodyFault::Silent))),
        }
    }
}

/// The same body for a handler in this process. What it found out stays with the gateway, which answers for it
/// whatever the handler makes of the error.
pub(crate) struct WatchedBody {
    body: Option<BoundedBody>,
    watch: BodyWatch,
}

/// The gateway's end of a [`WatchedBody`].
#[derive(Clone, Default)]
pub(crate) struct BodyWatch(Rc<RefCell<Watched>>);

#[derive(Default)]
struct Watched {
    fault: Option<BodyFault>,
    unread: Option<Payload>,
}

impl BodyWatch {
    pub fn fault(&self) -> Option<BodyFault> {
        self.0.borrow().fault
    }

    /// What the handler left unread.
    pub fn take_unread(&self) -> Option<Payload> {
        self.0.borrow_mut().unread.take()
    }
}

impl WatchedBody {
    pub fn new(payload: Payload, limit_bytes: usize, watch: BodyWatch) -> Self {
        Self { body: Some(BoundedBody::new(payload, limit_bytes)), watch }
    }
}

impl Stream for WatchedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(chunk))) => Poll::Ready(Some(Ok(chunk))),
            Poll::Ready(None) => {
                self.body = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(fault))) => {
                let mut watched = self.watch.0.borrow_mut();
                watched.fault = Some(fault);
                drop(watched);
                let error = match fault {
                    BodyFault::TooLarge(_) => PayloadError::Overflow,
                    BodyFault::Silent | BodyFault::Broken => PayloadError::Incomplete(None),
                };
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.watch.0.borrow_mut().unread = Some(body.into_unread());
        }
    }
}

/// An answer that is sent while its request's body is still arriving; see [`BoundedBody::into_unread`].
pub(crate) struct BesideUnread {
    answer: BoxBody,
    _unread: Payload,
}

impl BesideUnread {
    /// `answer`, holding `unread` until it is sent.
    pub fn hold(answer: BoxBody, unread: Payload) -> BoxBody {
        match unread {
            Payload::None => answer,
            unread => BoxBody::new(Self { answer, _unread: unread }),
        }
    }
}

impl MessageBody for BesideUnread {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(cx)
    }
}
