//! Several replicas of a service, each at an address of its own; and the gateway as one of several.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};
use contracts::routes::ServiceName;
use platform::lifecycle::{self, Workers};
use testing::wait_until;
use tokio::net::TcpListener;

use crate::support::{Bed, Mode, Plan};

/// One replica of every service.
struct Replica {
    address: SocketAddr,
    ready: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    served: Arc<AtomicUsize>,
    handle: ServerHandle,
}

impl Replica {
    fn start() -> Self {
        let (ready, asked, served) =
            (Arc::new(AtomicBool::new(true)), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let seen = (Arc::clone(&ready), Arc::clone(&asked), Arc::clone(&served));
        let server = HttpServer::new(move || {
            let (ready, asked, served) = seen.clone();
            App::new()
                .route(
                    "/readyz",
                    web::get().to(move || {
                        asked.fetch_add(1, Ordering::SeqCst);
                        let ready = ready.load(Ordering::SeqCst);
                        std::future::ready(if ready {
                            HttpResponse::Ok()
                        } else {
                            HttpResponse::ServiceUnavailable()
                        })
                    }),
                )
                .default_service(web::to(move || {
                    served.fetch_add(1, Ordering::SeqCst);
                    std::future::ready(HttpResponse::Ok().body("served"))
                }))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        lifecycle::spawn(server);
        Self { address, ready, asked, served, handle }
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn bed(addresses: &[SocketAddr]) -> Bed {
    let urls: Vec<String> = addresses.iter().map(|a| format!("http://{a}")).collect();
    let urls = urls.join(",");
    Plan::new(Mode::Proxied)
        .settings(move |s| {
            s.gateway.upstreams =
                ServiceName::ALL.iter().map(|s| (s.as_str().to_owned(), urls.clone())).collect();
        })
        .start()
        .await
}

/// Requests that may not be sent twice; each must be answered.
async fn requests(bed: &Bed, count: usize) {
    for n in 0..count {
        let request = bed.post("/api/access/token").json(&serde_json::json!({"account": "a"}));
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "request {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_the_requests_and_one_that_is_gone_costs_none() {
    let (one, two) = (Replica::start(), Replica::start());
    let bed = bed(&[one.address, two.address]).await;
    requests(&bed, 20).await;
    assert_eq!((one.served(), two.served()), (10, 10));
    // Gone without a word; nobody has asked it for readiness yet.
    two.handle.stop(false).await;
    requests(&bed, 40).await;
    assert_eq!((one.served(), two.served()), (50, 10));
    // Nobody at all: one answer that says so, and the first that is back is found.
    one.handle.stop(false).await;
    let response = bed.post("/api/access/token").body("{}").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_not_ready_gets_no_requests_until_it_is() {
    let (one, two) = (Replica::start(), Replica::start());
    let mut bed = bed(&[one.address, two.address]).await;
    two.ready.store(false, Ordering::SeqCst);
    let workers = Workers::start(std::mem::take(&mut bed.workers));
    // The answer to the first question has been taken note of when the second comes.
    wait_until("it to be asked", async || two.asked() >= 2).await;
    requests(&bed, 20).await;
    assert_eq!((one.served(), two.served()), (20, 0));
    two.ready.store(true, Ordering::SeqCst);
    wait_until("it to get requests again", async || {
        requests(&bed, 2).await;
        two.served() > 0
    })
    .await;
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_stops_answers_and_hangs_up() {
    let service = Replica::start();
    let bed = bed(&[service.address]).await;
    let closes = async || {
        let response = bed.get("/healthz").send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        response.headers().get("connection").is_some_and(|v| v == "close")
    };
    assert!(!closes().await);
    bed.readiness.set(false);
    assert!(closes().await, "its last answer does not say so");
    requests(&bed, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_address_is_not_asked() {
    let service = Replica::start();
    let bed = bed(&[service.address]).await;
    assert!(!bed.workers.iter().any(|w| w.name() == "replica-watch"));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let two = Plan::new(Mode::Proxied)
        .settings(move |s| {
            let urls = format!("http://{},http://{nobody}", service.address);
            s.gateway.upstreams =
                ServiceName::ALL.iter().map(|s| (s.as_str().to_owned(), urls.clone())).collect();
        })
        .start()
        .await;
    assert!(two.workers.iter().any(|w| w.name() == "replica-watch"));
}
