use std::{ops::Deref, sync::Arc};

use actix_web::dev::ServerHandle;
use contracts::routes::ServiceName;
use platform::{
    Service,
    db::Db,
    http::caller::InternalKey,
    lifecycle::{self, Readiness, Workers},
    run,
    service::Shared,
};
use tokio::sync::Mutex;

use crate::{Client, PATIENCE, client::Signer};

/// A service that runs on a bed, and the client to talk to it. Cheap to clone.
#[derive(Clone)]
pub struct App {
    client: Client,
    node: Arc<Node>,
}

/// What the bed knows of a service it started.
pub(crate) struct Node {
    pub name: ServiceName,
    pub db: Db,
    pub consumers: Vec<&'static str>,
    live: Mutex<Option<(ServerHandle, Workers)>>,
}

impl Deref for App {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl App {
    /// Starts the service's server and all workers but those named in `without`.
    pub(crate) fn start(shared: &Shared, service: Service, without: &[&str]) -> Self {
        let readiness = Readiness::default();
        let (server, addresses) =
            run::server(shared, &service, &readiness).expect("a port of the loopback address");
        let mut workers = service.workers;
        for name in without {
            let before = workers.len();
            workers.retain(|w| w.name() != *name);
            let known: Vec<&str> = workers.iter().map(|w| w.name()).collect();
            assert!(workers.len() < before, "{name} is no worker of this service; there are {known:?}");
        }
        let handle = server.handle();
        lifecycle::spawn(server);
        let live = (handle, Workers::start(workers));
        readiness.set(true);
        let internal = shared.settings.keys.internal.as_ref().expect("the bed sets an internal key");
        let signer = Signer { key: InternalKey::new(internal), clock: shared.clock.clone() };
        let node = Node {
            name: service.name,
            db: service.db,
            consumers: service.consumers,
            live: Mutex::new(Some(live)),
        };
        Self { client: Client::new(&format!("http://{}", addresses[0]), Some(signer)), node: Arc::new(node) }
    }

    pub(crate) fn node(&self) -> Arc<Node> {
        Arc::clone(&self.node)
    }

    /// The service's own database, for what cannot be seen from outside.
    pub fn db(&self) -> &Db {
        &self.node.db
    }

    pub fn name(&self) -> ServiceName {
        self.node.name
    }

    /// Ends server and workers in order, as SIGTERM does; the database stays for the next start.
    pub async fn stop(&self) {
        self.node.stop().await;
    }
}

impl Node {
    /// # Panics
    /// When a worker does not end: it ignores its token.
    pub(crate) async fn stop(&self) {
        let Some((server, workers)) = self.live.lock().await.take() else { return };
        let ending = async {
            // The tests have their answers; keep-alive connections need not be waited for.
            server.stop(false).await;
            workers.stop().await;
        };
        let ended = tokio::time::timeout(PATIENCE, ending).await;
        assert!(ended.is_ok(), "a worker of {}-service did not end when told to", self.name.as_str());
    }
}
