//! A gateway on a port of its own, with services that answer what they were asked.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use contracts::{
    identity::CallerKind,
    policy::{PolicyAccount, PolicyAnswer, PolicySnapshot, PolicySource, PolicyUnavailable},
    routes::{self, Route, ServiceName},
};
use gateway::Gateway;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use platform::{
    Service,
    clock::Clock,
    db::{DatabaseSettings, Db, Plans},
    http::{
        ApiError, BodyLimit,
        caller::{CallerCheck, Identity, InternalKey},
        extractor_config,
    },
    lifecycle,
    service::Shared,
    settings::{KeySettings, Settings},
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const NOW_S: i64 = 1_800_000_000;
pub const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
pub const OLD_KEY: &str = "zyxwvutsrqponmlkjihgfedcba9876543210";
pub const INTERNAL: &str = "internal-9876543210-abcdefghijklmnopq";
pub const ISSUER: &str = "acp-api-test";

/// Where the services are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Mounted,
    Proxied,
}

impl Mode {
    pub const BOTH: [Self; 2] = [Self::Mounted, Self::Proxied];
}

/// A policy that a test changes at will.
#[derive(Default)]
pub struct FakePolicy {
    pub snapshot: Mutex<PolicySnapshot>,
    pub down: AtomicBool,
    pub asked: AtomicUsize,
}

impl FakePolicy {
    /// Changes the policy, as auth-service does: the version rises.
    pub fn change(&self, change: impl FnOnce(&mut PolicySnapshot)) {
        let mut snapshot = self.snapshot.lock().unwrap();
        change(&mut snapshot);
        snapshot.version += 1;
    }
}

impl PolicySource for FakePolicy {
    fn fetch(&self, known_version: i64) -> PolicyAnswer<'_> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.down.load(Ordering::SeqCst) {
                return Err(PolicyUnavailable("it is down".into()));
            }
            let snapshot = self.snapshot.lock().unwrap().clone();
            Ok((snapshot.version != known_version).then_some(snapshot))
        })
    }
}

/// Accounts: 1 holds every permission, 2 none, 3 is disabled, 7 is a partner's login.
pub fn everything_registered() -> PolicySnapshot {
    let account = |id, kind, role_ids: &[i64], enabled| PolicyAccount {
        id,
        kind,
        nickname: format!("昵称{id}"),
        partner_id: if kind == CallerKind::Partner { 70 } else { 0 },
        role_ids: role_ids.to_vec(),
        enabled,
        tokens_valid_from: 0,
    };
    let all: Vec<String> = routes::permissions().map(str::to_owned).collect();
    PolicySnapshot {
        version: 1,
        registered: all.clone(),
        roles: [(1, all), (2, Vec::new())].into(),
        accounts: vec![
            account(1, CallerKind::Account, &[1], true),
            account(2, CallerKind::Account, &[2], true),
            account(3, CallerKind::Account, &[1], false),
            account(7, CallerKind::Partner, &[], true),
        ],
        revoked: Vec::new(),
    }
}

/// A running gateway.
pub struct Bed {
    pub address: SocketAddr,
    pub clock: Clock,
    pub policy: Arc<FakePolicy>,
    pub readiness: lifecycle::Readiness,
    pub shared: Shared,
    /// Not started unless a test does: the policy was fetched once.
    pub workers: Vec<lifecycle::Worker>,
    pub client: reqwest::Client,
    handle: actix_web::dev::ServerHandle,
    _folder: TempDir,
}

impl Drop for Bed {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

/// How a bed is made.
pub struct Plan {
    pub mode: Mode,
    /// Where all services are, when proxied; default: an echo.
    pub upstream: Option<SocketAddr>,
    pub routes: Vec<&'static Route>,
    pub settings: Box<dyn FnOnce(&mut Settings)>,
    pub snapshot: PolicySnapshot,
    pub policy: bool,
}

impl Plan {
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            upstream: None,
            routes: routes::all().collect(),
            settings: Box::new(|_| {}),
            snapshot: everything_registered(),
            policy: true,
        }
    }

    pub fn upstream(mut self, address: SocketAddr) -> Self {
        self.upstream = Some(address);
        self
    }

    /// Other routes than the real ones.
    pub fn routes(mut self, routes: Vec<Route>) -> Self {
        self.routes = routes.into_iter().map(|r| &*Box::leak(Box::new(r))).collect();
        self
    }

    pub fn settings(mut self, change: impl FnOnce(&mut Settings) + 'static) -> Self {
        self.settings = Box::new(change);
        self
    }

    /// Another policy than the one that opens everything.
    pub fn policy(mut self, change: impl FnOnce(&mut PolicySnapshot)) -> Self {
        change(&mut self.snapshot);
        self
    }

    /// Auth-service has not told anything yet.
    pub fn without_policy(mut self) -> Self {
        self.policy = false;
        self
    }

    pub async fn start(self) -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOW_S * 1000);
        let mut settings = settings(&folder);
        if self.mode == Mode::Proxied {
            let address = match self.upstream {
                Some(address) => address,
                None => echo_server(&clock),
            };
            let url = format!("http://{address}");
            settings.gateway.upstreams =
                ServiceName::ALL.iter().map(|s| (s.as_str().to_owned(), url.clone())).collect();
        }
        (self.settings)(&mut settings);
        let shared = Shared::with_clock(settings, clock.clone()).await.unwrap();
        let policy = Arc::new(FakePolicy::default());
        *policy.snapshot.lock().unwrap() = self.snapshot;
        let services = match self.mode {
            Mode::Mounted => vec![echo_service(&folder, self.routes.clone()).await],
            Mode::Proxied => Vec::new(),
        };
        let source: Arc<dyn PolicySource> = policy.clone();
        let gateway = Gateway::with_routes(&shared, source, services, self.routes).unwrap();
        if self.policy {
            assert!(gateway.refresh_policy().await);
        }
        let serving = gateway::serve(gateway, "127.0.0.1:0").unwrap();
        let handle = serving.server.handle();
        lifecycle::spawn(serving.server);
        serving.readiness.set(true);
        Bed {
            address: serving.addresses[0],
            clock,
            policy,
            readiness: serving.readiness,
            shared,
            workers: serving.workers,
            client: client(),
            handle,
            _folder: folder,
        }
    }
}

/// A client that does what it is told and nothing else.
pub fn client() -> reqwest::Client {
    platform::http::outgoing(&platform::http::OutgoingSettings::default()).build().unwrap()
}

fn settings(folder: &TempDir) -> Settings {
    Settings {
        environment: "test".into(),
        data_dir: folder.path().to_owned(),
        http_workers: 2,
        keys: KeySettings {
            token: Some(format!("new:{KEY},old:{OLD_KEY}").into()),
            envelope: Some(format!("e:{KEY}").into()),
            internal: Some(INTERNAL.into()),
        },
        ..Settings::default()
    }
}

impl Bed {
    pub async fn new(mode: Mode) -> Self {
        Plan::new(mode).start().await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(self.url(path))
    }

    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(self.url(path))
    }

    /// Sends bytes as they are and reads until the gateway closes.
    pub async fn raw(&self, request: &str) -> String {
        testing::raw_http(self.address, request.as_bytes()).await
    }
}

/// HTTP status and body of an answer; the body is `Null` when it is no JSON.
pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

/// HTTP status and `status` of an answer, as the contract's table pairs them.
pub async fn statuses(request: reqwest::RequestBuilder) -> (u16, i64) {
    let (http, body) = answer(request).await;
    (http, body["status"].as_i64().unwrap_or(-1))
}

/// The claims of a good token of `account`.
pub fn claims(account: i64) -> Value {
    json!({
        "code": "0a1b2c3d", "device": "", "aud": account, "iss": ISSUER, "sub": "acp_mobile_user",
        "ident": "4d3c2b1a", "iat": NOW_S - 10, "exp": NOW_S + 86_390, "jti": format!("jti-{account}"),
    })
}

/// Signs `claims` as auth-service does.
pub fn sign(claims: &Value) -> String {
    sign_with(claims, Some("new"), KEY)
}

pub fn sign_with(claims: &Value, kid: Option<&str>, key: &str) -> String {
    let mut header = Header::new(Algorithm::HS256);
    header.kid = kid.map(str::to_owned);
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

/// A good token of `account`.
pub fn token(account: i64) -> String {
    sign(&claims(account))
}

/// Tells what it received: the request line, every header, the body, and who is said to be calling.
async fn echo(req: HttpRequest, identity: Result<Identity, ApiError>, body: web::Payload) -> HttpResponse {
    let limit = BodyLimit::of(&req).0;
    let body = match body.to_bytes_limited(64 * 1024 * 1024).await {
        Ok(Ok(body)) => body,
        // As a handler answers that does not know better.
        Ok(Err(_)) | Err(_) => return HttpResponse::BadRequest().body("echo could not read the body"),
    };
    let headers: Vec<[String; 2]> = req
        .headers()
        .iter()
        .map(|(n, v)| [n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()])
        .collect();
    let caller = identity.ok().map(|i| json!({"caller": i.caller, "ip": i.ip, "request_id": i.request_id}));
    HttpResponse::Ok().json(json!({
        "echo": true, "method": req.method().as_str(), "path": req.path(), "query": req.query_string(),
        "headers": headers, "body_bytes": body.len(), "body": String::from_utf8_lossy(&body[..body.len().min(4096)]),
        "identity": caller, "limit": limit,
    }))
}

/// A server that echoes, in the place of all services.
fn echo_server(clock: &Clock) -> SocketAddr {
    let check = CallerCheck { key: InternalKey::new(&INTERNAL.into()), clock: clock.clone() };
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(check.clone()))
            .app_data(web::PayloadConfig::new(64 * 1024 * 1024))
            .configure(extractor_config)
            .default_service(web::to(echo))
    })
    .workers(1)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let address = server.addrs()[0];
    lifecycle::spawn(server.run());
    address
}

/// The same, mounted under every route of the table.
async fn echo_service(folder: &TempDir, routes: Vec<&'static Route>) -> Service {
    let url = format!("sqlite://{}", folder.path().join("echo.db").display());
    let db =
        Db::connect(&DatabaseSettings { url: Some(url.into()), ..DatabaseSettings::default() }, Plans::Free)
            .await
            .unwrap();
    Service {
        name: ServiceName::Report,
        db,
        openapi: Default::default(),
        configure: Arc::new(move |cfg| {
            for route in &routes {
                let method = actix_web::http::Method::from_bytes(route.method.as_str().as_bytes()).unwrap();
                // The table's word for "the rest of the path" in actix's spelling.
                let path = route.path.replace("{*key}", "{key:.*}");
                cfg.route(&path, web::method(method).to(echo));
            }
            // A path of the services' own that the gateway opens to nobody.
            cfg.route("/internal/policy", web::get().to(echo));
        }),
        consumers: Vec::new(),
        workers: Vec::new(),
    }
}

/// Path of a route with every parameter filled in.
pub fn concrete(route: &Route) -> String {
    route.path.split('/').map(|s| if s.starts_with('{') { "12" } else { s }).collect::<Vec<_>>().join("/")
}
