//! A service that is not there, late, broken or early: each is told apart, nothing is done twice.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use contracts::routes::{Access, Dialect, Method, Route, ServiceName};
use futures_util::StreamExt;
use platform::lifecycle;
use testing::wait_until;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Bed, Mode, Plan, answer, statuses};

/// A service that answers by a script: what to do with the n-th request it gets.
#[derive(Clone)]
struct Scripted {
    address: SocketAddr,
    /// Heads of the requests that arrived, with what came of their bodies at once.
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    /// Connections it has hung up.
    closed: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Act {
    /// Write this and keep the connection.
    Say(String),
    /// Write this and hang up.
    SayAndClose(String),
    /// Say nothing until the other end goes away.
    Silence,
}

/// What to do with the n-th request, given its head.
type Script = Arc<dyn Fn(usize, &str) -> Act + Send + Sync>;

fn ok(body: &str) -> Act {
    Act::Say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

impl Scripted {
    /// `act` is asked with the number of the request, from 0, and its head.
    async fn start(act: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scripted = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
            closed: Arc::default(),
        };
        let (act, server): (Script, _) = (Arc::new(act), scripted.clone());
        lifecycle::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                server.connections.fetch_add(1, Ordering::SeqCst);
                lifecycle::spawn(serve(stream, server.clone(), act.clone()));
            }
        });
        scripted
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn serve(mut stream: TcpStream, server: Scripted, act: Script) {
    let mut buffer = Vec::new();
    loop {
        let mut chunk = vec![0; 65_536];
        let Ok(n) = stream.read(&mut chunk).await else { return };
        if n == 0 {
            return;
        }
        buffer.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&buffer).into_owned();
        // A POST of these tests has its body's end marked, others have none.
        let done = text.contains("\r\n\r\n")
            && (!text.starts_with("POST") || text.contains("END") || text.contains("EARLY"));
        if !done {
            continue;
        }
        buffer.clear();
        let number = {
            let mut seen = server.seen.lock().unwrap();
            seen.push(text.clone());
            seen.len() - 1
        };
        match act(number, &text) {
            Act::Say(bytes) => {
                if stream.write_all(bytes.as_bytes()).await.is_err() {
                    return;
                }
            }
            Act::SayAndClose(bytes) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                drop(stream);
                server.closed.fetch_add(1, Ordering::SeqCst);
                return;
            }
            Act::Silence => {
                let _ = stream.read(&mut [0; 16]).await;
                return;
            }
        }
    }
}

const fn route(name: &'static str, method: Method, path: &'static str, dialect: Dialect) -> Route {
    Route {
        name,
        method,
        path,
        service: ServiceName::Order,
        access: Access::Public,
        dialect,
        body_limit_bytes: 50_000_000,
        timeout_seconds: 1,
        idempotent: matches!(method, Method::Get),
    }
}

async fn bed(upstream: SocketAddr) -> Bed {
    let routes = vec![
        route("READ", Method::Get, "/api/read", Dialect::Admin),
        route("WRITE", Method::Post, "/api/write", Dialect::Admin),
        route("CLAIM", Method::Get, "/api/claim", Dialect::Supplier).not_idempotent(),
        route("SHOP", Method::Get, "/shop.php", Dialect::Supplier),
    ];
    Plan::new(Mode::Proxied).routes(routes).upstream(upstream).start().await
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_503_late_is_504_and_broken_is_502() {
    let bed_of_nobody = bed(nobody().await).await;
    for request in [bed_of_nobody.get("/api/read"), bed_of_nobody.post("/api/write").body("END")] {
        let response = request.send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (503, &"1".parse().unwrap())
        );
    }
    let silent = Scripted::start(|_, _| Act::Silence).await;
    let late = bed(silent.address).await;
    assert_eq!(statuses(late.get("/api/read")).await, (504, 500));
    assert_eq!(silent.requests(), 1, "a late answer is not asked for again");
    for broken in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nundelimited",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nundelimited",
    ] {
        let broken = Scripted::start(move |_, _| Act::SayAndClose(broken.into())).await;
        let bed = bed(broken.address).await;
        let (status, body) = answer(bed.post("/api/write").body("END")).await;
        assert_eq!((status, &body["status"]), (502, &500.into()));
        let text = body.to_string();
        assert!(
            text.contains("请求编号") && !text.contains("127.0.0.1") && !text.contains("upstream"),
            "{text}"
        );
        assert_eq!(broken.requests(), 1, "a POST was sent twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_speak_the_dialect_of_their_route() {
    let bed = bed(nobody().await).await;
    let (status, body) = answer(bed.get("/shop.php")).await;
    assert_eq!((status, &body["status"], &body["rows"]), (200, &false.into(), &serde_json::json!([])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_safe_is_tried_again() {
    // The first request on each new service dies; whoever asks again is answered.
    let dying = || Scripted::start(|n, _| if n == 0 { Act::SayAndClose(String::new()) } else { ok("fine") });
    let service = dying().await;
    assert_eq!(statuses(bed(service.address).await.get("/api/read")).await.0, 200);
    assert_eq!(service.requests(), 2, "a GET is asked again");
    for (method, path) in [("POST", "/api/write"), ("GET", "/api/claim")] {
        let service = dying().await;
        let bed = bed(service.address).await;
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = bed.client.request(method.clone(), bed.url(path));
        let response =
            if method == reqwest::Method::POST { request.body("END") } else { request }.send().await.unwrap();
        let broken = if path == "/api/claim" { 200 } else { 502 };
        assert_eq!(response.status().as_u16(), broken);
        assert_eq!(service.requests(), 1, "{method} {path} may have been acted on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_have_a_budget() {
    let service = Scripted::start(|_, _| Act::SayAndClose(String::new())).await;
    let bed = bed(service.address).await;
    for _ in 0..200 {
        assert_eq!(statuses(bed.get("/api/read")).await, (502, 500));
    }
    // Two workers with 10 saved each, and a fifth of the requests.
    let retries = service.requests() - 200;
    assert!((10..=2 * 10 + 200 / 5).contains(&retries), "{retries}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_kept_and_dead_ones_are_not_used() {
    let service = Scripted::start(|n, _| match n {
        // Answered, then closed without a word about it: the next request must not fall into it.
        4 => Act::SayAndClose("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into()),
        // Something nobody asked for lies in the pipe.
        6 => Act::Say(
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen"
                .into(),
        ),
        n => ok(&n.to_string()),
    })
    .await;
    let plan = Plan::new(Mode::Proxied)
        .routes(vec![route("WRITE", Method::Post, "/api/write", Dialect::Admin)])
        .upstream(service.address)
        .settings(|s| s.http_workers = 1);
    let bed = plan.start().await;
    let mut said = Vec::new();
    for n in 0..9 {
        let response = bed.post("/api/write").body("END").send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "request {n}");
        said.push(response.text().await.unwrap());
        if n == 4 {
            // The close has to arrive before the next request can see it.
            wait_until("the close", async || service.closed.load(Ordering::SeqCst) == 1).await;
        }
    }
    assert_eq!(said, ["0", "1", "2", "3", "", "5", "", "7", "8"]);
    assert_eq!(service.connections.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_is_not_taken_for_whole() {
    for cut in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nha",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let service = Scripted::start(move |_, _| Act::SayAndClose(cut.into())).await;
        let bed = bed(service.address).await;
        let got = bed.get("/api/read").send().await;
        let whole = match got {
            Ok(response) => response.bytes().await.is_ok(),
            Err(_) => false,
        };
        assert!(!whole, "{cut:?} was delivered as a whole answer");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_before_the_upload_is_through_is_heard() {
    let refusal = "HTTP/1.1 415 Unsupported Media Type\r\ncontent-length: 2\r\n\r\nno";
    let service = Scripted::start(move |_, _| Act::Say(refusal.into())).await;
    let bed = bed(service.address).await;
    let mut stream = TcpStream::connect(bed.address).await.unwrap();
    // The rest of this body never comes.
    let head = "POST /api/write HTTP/1.1\r\nHost: g\r\nContent-Length: 1000000\r\n\r\nEARLY";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with("HTTP/1.1 415") && said.ends_with("no"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interim_and_bodiless_answers_are_understood() {
    let service = Scripted::start(|n, _| {
        Act::Say(match n {
            0 => {
                "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
                    .into()
            }
            1 => "HTTP/1.1 204 No Content\r\n\r\n".into(),
            2 => "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: \"a\"\r\n\r\n".into(),
            3 => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".into(),
            _ => "HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\ncontent-length: 0\r\n\r\n".into(),
        })
    })
    .await;
    let bed = bed(service.address).await;
    for (status, body) in [(200, "ok"), (204, ""), (304, ""), (200, "ok"), (302, "")] {
        let response = bed.get("/api/read").send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.text().await.unwrap(), body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_answer_streams_at_the_clients_pace() {
    const CHUNK: usize = 65_536;
    const CHUNKS: usize = 1024;
    let sent = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let counter = sent.clone();
    lifecycle::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let chunk = [format!("{CHUNK:x}\r\n").into_bytes(), vec![b'x'; CHUNK], b"\r\n".to_vec()].concat();
        for _ in 0..CHUNKS {
            stream.write_all(&chunk).await.unwrap();
            counter.fetch_add(CHUNK, Ordering::SeqCst);
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    });
    let bed = bed(address).await;
    let mut body = bed.get("/api/read").send().await.unwrap().bytes_stream();
    let mut got = body.next().await.unwrap().unwrap().len();
    // The client pauses: the service can get no further ahead than the buffers on the way are deep.
    let mut last = usize::MAX;
    wait_until("the service to stand still", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = sent.load(Ordering::SeqCst);
        std::mem::replace(&mut last, now) == now
    })
    .await;
    assert!(last < CHUNK * CHUNKS / 2, "{last} bytes were taken from the service for {got} read");
    while let Some(chunk) = body.next().await {
        got += chunk.unwrap().len();
    }
    assert_eq!(got, CHUNK * CHUNKS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_takes_its_request_along() {
    let service = Scripted::start(|_, _| Act::Silence).await;
    let routes =
        vec![Route { timeout_seconds: 600, ..route("READ", Method::Get, "/api/read", Dialect::Admin) }];
    let bed = Plan::new(Mode::Proxied).routes(routes).upstream(service.address).start().await;
    let mut stream = TcpStream::connect(bed.address).await.unwrap();
    stream.write_all(b"GET /api/read HTTP/1.1\r\nHost: g\r\n\r\n").await.unwrap();
    wait_until("the service is asked", async || service.requests() == 1).await;
    let gone = Arc::clone(&service.seen);
    assert!(Arc::strong_count(&gone) > 3, "a connection holds it as well");
    drop(stream);
    // The service's read ends when the gateway drops its connection; it then lets go of its counter.
    wait_until("the service is let go", async || Arc::strong_count(&gone) <= 3).await;
}
