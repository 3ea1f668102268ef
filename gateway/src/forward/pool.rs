//! Connections to the replicas of one service, of one worker: kept, checked, bounded. Not shared between workers (a shared
//! client cost 19 % of the throughput), so nothing here is locked.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix_http::ServiceConfig;
use bytes::BytesMut;
use contracts::routes::ServiceName;
use platform::settings::UpstreamAddress;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{failure::Failure, replicas::Replicas};

/// Connections of one worker to one service at the most.
const MAX_CONNECTIONS: usize = 1024;
/// Longest wait for one of them.
const QUEUE_PATIENCE: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Shorter than any server keeps a quiet connection (actix: 5 s), so that it does not hang up under a request.
const MAX_IDLE: Duration = Duration::from_secs(4);
/// After this a connection is made anew, so that a moved service is found by its name again.
const MAX_AGE: Duration = Duration::from_secs(120);
/// An ordinary answer fits in whole.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// More retries than one for every five requests are no help but load: each request earns a fraction of one.
const RETRIES_PER_REQUEST: f32 = 0.2;
const MAX_RETRIES_SAVED: f32 = 10.0;

/// One service's connections.
pub(crate) struct Pool {
    pub replicas: Arc<Replicas>,
    pub codec: ServiceConfig,
    /// By replica.
    lines: Vec<Line>,
    permits: Arc<Semaphore>,
    retries_saved: Cell<f32>,
}

/// The connections to one replica.
struct Line {
    address: UpstreamAddress,
    /// `host: …` of every request.
    authority: String,
    idle: RefCell<VecDeque<Connection>>,
}

/// An open connection with nothing under way.
struct Connection {
    io: TcpStream,
    made: Instant,
    used: Instant,
}

/// A connection in use. Dropped it is closed; [`Lease::give_back`] keeps it for the next request.
pub(crate) struct Lease {
    pub io: TcpStream,
    /// What has arrived and is not decoded.
    pub received: BytesMut,
    made: Instant,
    replica: usize,
    pool: Rc<Pool>,
    permit: OwnedSemaphorePermit,
}

impl Pool {
    /// `codec` is made once per worker: it keeps a clock task of its own.
    pub fn new(replicas: Arc<Replicas>, codec: ServiceConfig) -> Rc<Self> {
        let line = |address: &UpstreamAddress| Line {
            address: address.clone(),
            authority: address.authority(),
            idle: RefCell::default(),
        };
        Rc::new(Self {
            lines: replicas.addresses().map(line).collect(),
            replicas,
            codec,
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            retries_saved: Cell::new(MAX_RETRIES_SAVED),
        })
    }

    /// A live connection to the next replica, kept or new. Counts the request towards the retry budget.
    pub async fn lease(self: &Rc<Self>, fresh: bool) -> Result<Lease, Failure> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => timeout(QUEUE_PATIENCE, Arc::clone(&self.permits).acquire_owned())
                .await
                .map_err(|_| Failure::Busy)?
                .map_err(|_| Failure::Busy)?,
        };
        let replica = self.replicas.next();
        let line = &self.lines[replica];
        let kept = if fresh { None } else { line.take_kept() };
        let (io, made) = match kept {
            Some(kept) => (kept.io, kept.made),
            None => {
                let io = line.connect().await.inspect_err(|_| self.replicas.refused(replica))?;
                (io, Instant::now())
            }
        };
        Ok(Lease {
            io,
            received: BytesMut::with_capacity(READ_BUFFER_BYTES),
            made,
            replica,
            pool: Rc::clone(self),
            permit,
        })
    }

    /// Is there a replica that a further try may go to at once?
    pub fn has_another(&self) -> bool {
        self.lines.len() > 1 && self.replicas.anybody_there()
    }

    /// A request was begun.
    pub fn earn_retry(&self) {
        self.retries_saved.set((self.retries_saved.get() + RETRIES_PER_REQUEST).min(MAX_RETRIES_SAVED));
    }

    /// May one more request be tried again?
    pub fn spend_retry(&self) -> bool {
        let saved = self.retries_saved.get();
        let enough = saved >= 1.0;
        if enough {
            self.retries_saved.set(saved - 1.0);
        }
        enough
    }
}

impl Line {
    /// The connection used last, if it still lives; those before it may be closed for lack of use.
    fn take_kept(&self) -> Option<Connection> {
        let now = Instant::now();
        let mut idle = self.idle.borrow_mut();
        while let Some(kept) = idle.pop_back() {
            if now - kept.used < MAX_IDLE && now - kept.made < MAX_AGE && is_quiet(&kept.io) {
                return Some(kept);
            }
        }
        None
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        let connecting = TcpStream::connect((self.address.host.as_str(), self.address.port));
        let io = timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| Failure::Connect(std::io::ErrorKind::TimedOut.into()))?
            .map_err(Failure::Connect)?;
        io.set_nodelay(true).map_err(Failure::Connect)?;
        Ok(io)
    }
}

/// Neither closed by the other end nor holding bytes that belong to no request.
fn is_quiet(io: &TcpStream) -> bool {
    let mut byte = [0];
    matches!(io.try_read(&mut byte), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock)
}

impl Lease {
    pub fn service(&self) -> ServiceName {
        self.pool.replicas.service
    }

    /// `host: …` of a request on it.
    pub fn authority(&self) -> &str {
        &self.pool.lines[self.replica].authority
    }

    /// Keeps the connection for the next request. Nothing may be under way on it.
    pub fn give_back(self) {
        let Self { io, received, made, replica, pool, permit } = self;
        if !received.is_empty() {
            return;
        }
        let used = Instant::now();
        let mut idle = pool.lines[replica].idle.borrow_mut();
        // The oldest stand in front; a burst's connections are let go one by one after it.
        if idle.front().is_some_and(|c| c.used.elapsed() >= MAX_IDLE) {
            idle.pop_front();
        }
        idle.push_back(Connection { io, made, used });
        drop(idle);
        drop(permit);
    }
}
