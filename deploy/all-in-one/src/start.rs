//! Starting the whole system in this process.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
    sync::Arc,
    time::Duration,
};

use auth_service::bootstrap::Bootstrap;
use contracts::routes::ServiceName;
use gateway::{Gateway, Serving};
use platform::{
    Service, lifecycle,
    rewrap::Column,
    service::{Shared, StartError},
    settings::Settings,
};
use secrecy::{ExposeSecret, SecretString};
use sync_service::LocalCallbacks;
use utoipa::openapi::OpenApi;

/// A system that is wired and listens, not yet serving.
pub struct Started {
    /// The gateway's address, for people.
    pub url: String,
    /// Known at the first start, or when it was given.
    pub admin_password: Option<SecretString>,
    serving: Serving,
    drain: Duration,
    /// Held until the end.
    _folder: Option<File>,
}

/// The columns of sealed values of all services.
pub const SEALED: [(ServiceName, &[Column]); 2] =
    [(ServiceName::Auth, auth_service::SEALED), (ServiceName::Sync, sync_service::SEALED)];

/// Builds all services and mounts them in the gateway's server.
pub async fn start(settings: Settings) -> Result<Started, StartError> {
    let given = settings.admin_password.clone();
    let drain = settings.drain(true);
    let folder = settings.database.is_sqlite().then(|| lock(&settings.data_dir)).transpose()?;
    let shared = Shared::from_settings(settings).await?;
    let (services, bootstrap) = services(&shared).await?;
    let gateway = Gateway::new(&shared, Arc::new(bootstrap.policy), services)?;
    let listen = &shared.settings.listen;
    let serving = gateway::serve(gateway, listen)
        .map_err(|e| StartError::Settings(format!("cannot listen on {listen}: {e}")))?;
    let address = serving.addresses.first().map_or_else(|| listen.clone(), ToString::to_string);
    let url = format!("http://{address}");
    greet(&url, bootstrap.made_password.as_ref());
    Ok(Started { url, admin_password: bootstrap.made_password.or(given), serving, drain, _folder: folder })
}

/// One process at a time in a data folder. On SQLite a sender that starts takes every lease it finds for that of a
/// dead predecessor; beside a living one it would send everything twice. The kernel lets go of the lock when the
/// process ends, however it ends.
fn lock(data_dir: &Path) -> Result<File, StartError> {
    let unusable = |e: io::Error| {
        StartError::Settings(format!("the data folder {} cannot be used: {e}", data_dir.display()))
    };
    fs::create_dir_all(data_dir).map_err(unusable)?;
    let path = data_dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(e)) => Err(unusable(e)),
        Err(TryLockError::WouldBlock) => Err(StartError::Settings(format!(
            "另一个 baodan 正在使用数据目录 · another baodan is at work in the data folder {}: end it, or name another folder by --data-dir",
            data_dir.display()
        ))),
    }
}

/// All services, on `shared`.
async fn services(shared: &Shared) -> Result<(Vec<Service>, Bootstrap), StartError> {
    let (auth, bootstrap) = auth_service::app::build_with_bootstrap(shared).await?;
    let report = report_service::app::build(shared).await?;
    let sync = sync_service::app::build(shared).await?;
    let callbacks = Arc::new(LocalCallbacks::new(sync.db.clone()));
    let order = order_service::app::build_with(shared, callbacks).await?;
    Ok((vec![auth, report, order, sync], bootstrap))
}

impl Started {
    /// Serves until told to stop.
    pub async fn run(self) -> io::Result<()> {
        let Serving { server, workers, readiness, .. } = self.serving;
        lifecycle::run(server, workers, readiness, self.drain).await
    }
}

/// Applies the migrations of all services; building them does it.
pub async fn migrate(mut settings: Settings) -> Result<(), StartError> {
    settings.database.auto_migrate = true;
    services(&Shared::from_settings(settings).await?).await.map(|_| ())
}

/// The services' own OpenAPI documents, from a system on `settings` that is built and never started.
pub async fn documents(settings: Settings) -> Result<Vec<OpenApi>, StartError> {
    let (services, _) = services(&Shared::from_settings(settings).await?).await?;
    Ok(services.into_iter().map(|s| s.openapi).collect())
}

/// The only place that shows the made password, once, on the terminal and not in a log.
#[allow(clippy::print_stdout)]
fn greet(url: &str, made_password: Option<&SecretString>) {
    println!("报单 Baodan  {url}  （接口文档 · API: {url}/docs）");
    if let Some(password) = made_password {
        println!("首次启动，请记下管理员密码，仅显示这一次 · first start, shown this once:");
        println!("  admin / {}", password.expose_secret());
    }
}
