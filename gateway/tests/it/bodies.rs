//! Bodies are bounded by what they announce and by what arrives.

use contracts::routes::{Access, Dialect, Method, Route, ServiceName};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Bed, Mode, Plan, answer, token};

const LIMIT: usize = 100_000;

fn upload(name: &'static str, path: &'static str, access: Access, dialect: Dialect) -> Route {
    Route {
        name,
        method: Method::Post,
        path,
        service: ServiceName::Report,
        access,
        dialect,
        body_limit_bytes: LIMIT,
        timeout_seconds: 10,
        idempotent: false,
    }
}

async fn bed(mode: Mode) -> Bed {
    let routes = vec![
        upload("UPLOAD", "/api/upload", Access::Public, Dialect::Admin),
        upload("PAYMENT_REPORT_ADD", "/api/closed", Access::Account, Dialect::Admin),
        upload("SHOP", "/shop.php", Access::Key, Dialect::Supplier),
    ];
    Plan::new(mode).routes(routes).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gigabyte_is_refused_by_its_announcement_without_being_read() {
    for mode in Mode::BOTH {
        let bed = bed(mode).await;
        // Nothing of the body is ever sent: an answer proves that none was waited for.
        let head = "POST /api/upload HTTP/1.1\r\nHost: g\r\nContent-Length: 1073741824\r\n\r\n";
        let answer = bed.raw(head).await;
        assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("\"status\":1"), "{mode:?} {answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
        let expecting = head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
        let answer = bed.raw(&expecting).await;
        assert!(answer.contains("HTTP/1.1 413"), "{mode:?} {answer}");
        let supplier = bed.raw(&head.replace("/api/upload", "/shop.php")).await;
        assert!(supplier.starts_with("HTTP/1.1 200") && supplier.contains("\"status\":false"), "{supplier}");
    }
}

/// Sends chunks without end until the gateway hangs up; answers what it said.
async fn endless(bed: &Bed, path: &str) -> String {
    let mut stream = TcpStream::connect(bed.address).await.unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let listening = platform::lifecycle::spawn(async move {
        let mut said = Vec::new();
        // A reset after the answer is as good an end as a closed connection.
        let _ = read.read_to_end(&mut said).await;
        String::from_utf8_lossy(&said).into_owned()
    });
    let chunk = format!("{:x}\r\n{}\r\n", 8192, "a".repeat(8192));
    let sending = async { while write.write_all(chunk.as_bytes()).await.is_ok() {} };
    let hung_up = tokio::time::timeout(testing::PATIENCE, sending).await;
    assert!(hung_up.is_ok(), "the gateway reads {path} without end");
    listening.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_beyond_the_limit_are_cut_off_with_413() {
    for mode in Mode::BOTH {
        let bed = bed(mode).await;
        let said = endless(&bed, "/api/upload").await;
        assert!(said.starts_with("HTTP/1.1 413") && said.contains("\"status\":1"), "{mode:?} {said}");
        assert!(!said.contains("echo could not"), "the handler's own words went out: {said}");
        // Refused before the body was looked at: not read to its end either.
        let said = endless(&bed, "/api/closed").await;
        assert!(said.starts_with("HTTP/1.1 401"), "{mode:?} {said}");
        let said = endless(&bed, "/api/nothing").await;
        assert!(said.starts_with("HTTP/1.1 404"), "{mode:?} {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_up_to_the_limit_pass_unchanged_in_both_framings() {
    for mode in Mode::BOTH {
        let bed = bed(mode).await;
        for size in [0, 1, 7, 8192, 65_537, LIMIT] {
            let body = "x".repeat(size);
            let (status, echo) = answer(bed.post("/api/upload").body(body.clone())).await;
            assert_eq!((status, &echo["body_bytes"]), (200, &size.into()), "{mode:?} {size}");
            let mut raw = String::from("POST /api/upload HTTP/1.1\r\nHost: g\r\nConnection: close\r\n");
            raw += "Transfer-Encoding: chunked\r\n\r\n";
            for part in body.as_bytes().chunks(10_000) {
                raw += &format!("{:x}\r\n{}\r\n", part.len(), String::from_utf8_lossy(part));
            }
            let said = bed.raw(&(raw + "0\r\n\r\n")).await;
            let echo: Value = serde_json::from_str(said.split_once("\r\n\r\n").unwrap().1).unwrap();
            assert_eq!(echo["body_bytes"], size, "{mode:?} {size} in chunks");
        }
        let (status, _) = answer(bed.post("/api/upload").body("x".repeat(LIMIT + 1))).await;
        assert_eq!(status, 413);
        let (status, echo) = answer(bed.post("/api/closed").bearer_auth(token(1)).body("a=1")).await;
        assert_eq!((status, &echo["body"]), (200, &"a=1".into()));
        if mode == Mode::Mounted {
            assert_eq!(echo["limit"], LIMIT, "a handler here knows the route's limit");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smuggled_second_requests_are_not_seen() {
    for mode in Mode::BOTH {
        let bed = bed(mode).await;
        let inner = "GET /internal/policy HTTP/1.1\r\nHost: g\r\n\r\n";
        for head in [
            format!(
                "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}",
                5 + inner.len()
            ),
            format!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{inner}"),
            format!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{inner}"),
            format!("Content-Length: 0\r\nContent-Length: {}\r\n\r\n{inner}", inner.len()),
            format!("Content-Length: +{}\r\n\r\n{inner}", inner.len()),
        ] {
            let answer = bed
                .raw(&format!("POST /api/upload HTTP/1.1\r\nHost: g\r\nConnection: close\r\n{head}"))
                .await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{mode:?} {head:?}: {answer}");
            assert!(!answer.contains("\"echo\""), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_no_client_sends_are_refused() {
    for mode in Mode::BOTH {
        let bed = bed(mode).await;
        let long = "a".repeat(20_000);
        let long = bed
            .raw(&format!("GET /api/upload?{long} HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n"))
            .await;
        assert!(long.starts_with("HTTP/1.1 414"), "{long}");
        let fat = format!("X-Fat: {}\r\n", "a".repeat(40_000));
        let fat =
            bed.raw(&format!("GET /api/upload HTTP/1.1\r\nHost: g\r\nConnection: close\r\n{fat}\r\n")).await;
        assert!(fat.starts_with("HTTP/1.1 431"), "{fat}");
        let many = "X-Many: 1\r\n".repeat(200);
        let many =
            bed.raw(&format!("GET /api/upload HTTP/1.1\r\nHost: g\r\nConnection: close\r\n{many}\r\n")).await;
        assert!(many.starts_with("HTTP/1.1 4") && !many.contains("\"echo\""), "{many}");
    }
}
