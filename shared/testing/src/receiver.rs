//! A partner's end of callbacks: a real HTTP server on loopback that records what arrives and answers as told.
//! Written on the bare socket, because it must also do what no HTTP library lets it: hang up in the middle.

mod wire;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use platform::lifecycle;
use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::wait_until;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    /// With the query.
    pub path: String,
    /// In the order and spelling of the wire.
    pub headers: Vec<(String, String)>,
    /// The bytes that signatures are made over.
    pub body: Bytes,
    pub at: std::time::Instant,
}

impl Received {
    /// The header's first value, "" when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// # Panics
    /// When the body is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(e) => panic!("{} {} carries no JSON ({e}): {}", self.method, self.path, self.text()),
        }
    }

    /// The pairs of an encoded form, decoded.
    pub fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    wait: Duration,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Bytes(Bytes),
    Hang,
    Close,
}

impl Reply {
    /// An ordinary answer.
    pub fn new(status: u16, body: &str) -> Self {
        Self::with_headers(status, &[], body)
    }

    /// An answer with more headers, for example `location` or `retry-after`.
    pub fn with_headers(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let mut text = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        Self::raw(text + "\r\n" + body)
    }

    /// These bytes, whatever they are.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self { wait: Duration::ZERO, what: What::Bytes(bytes.into()) }
    }

    /// Takes the request and never answers; the connection stays open.
    pub fn hang() -> Self {
        Self { wait: Duration::ZERO, what: What::Hang }
    }

    /// Takes the request and closes the connection.
    pub fn close() -> Self {
        Self { wait: Duration::ZERO, what: What::Close }
    }

    /// The same after a while, as a slow partner.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    next: VecDeque<Reply>,
    of_path: HashMap<String, Reply>,
    always: Option<Reply>,
}

/// The server. It ends when dropped.
pub struct CallbackReceiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl CallbackReceiver {
    /// Starts on a free port of 127.0.0.1; it answers 200 `success` until told otherwise.
    ///
    /// # Panics
    /// Without a free port.
    pub async fn start() -> Self {
        Self::start_on(0).await
    }

    /// Starts on this port of 127.0.0.1: a partner that was away is back.
    ///
    /// # Panics
    /// When the port is taken.
    pub async fn start_on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let serving = lifecycle::spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, serving }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port` + `path`
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers every request so, from now on.
    pub fn answer(&self, reply: Reply) {
        self.state().always = Some(reply);
    }

    /// Answers the next requests so, one each, whatever their path; then as before.
    pub fn answer_next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state().next.extend(replies);
    }

    /// Answers requests for this path (without its query) so, once no `answer_next` is left.
    pub fn answer_at(&self, path: &str, reply: Reply) {
        self.state().of_path.insert(path.to_owned(), reply);
    }

    /// What has arrived, in order of arrival.
    pub fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// Waits for at least `n` requests and answers all that have arrived.
    ///
    /// # Panics
    /// When they do not come.
    #[track_caller]
    pub fn wait_for(&self, n: usize) -> impl Future<Output = Vec<Received>> {
        let state = Arc::clone(&self.state);
        let what = format!("{n} callbacks at {}", self.address);
        wait_until(&what, async move || {
            let received = lock(&state).received.clone();
            (received.len() >= n).then_some(received)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for CallbackReceiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        connections.spawn(converse(stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

/// Requests of one connection, one after the other.
async fn converse(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Ok(Some(request)) = wire::read(&mut stream, &mut buffer).await {
        let reply = lock(&state).take(request);
        tokio::time::sleep(reply.wait).await;
        match reply.what {
            What::Bytes(bytes) if stream.write_all(&bytes).await.is_ok() => {}
            What::Hang => std::future::pending().await,
            What::Close | What::Bytes(_) => return,
        }
    }
}

impl State {
    /// Records the request and chooses its answer.
    fn take(&mut self, request: Received) -> Reply {
        let path = request.path.split('?').next().unwrap_or_default().to_owned();
        self.received.push(request);
        self.next
            .pop_front()
            .or_else(|| self.of_path.get(&path).cloned())
            .or_else(|| self.always.clone())
            .unwrap_or_else(|| Reply::new(200, "success"))
    }
}
