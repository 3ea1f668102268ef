//! sync-service as a process of its own.

use std::process::ExitCode;

use contracts::routes::ServiceName;

#[tokio::main]
async fn main() -> ExitCode {
    platform::run::service(
        ServiceName::Sync,
        sync_service::app::check,
        sync_service::SEALED,
        async |shared| sync_service::app::build(&shared).await,
    )
    .await
}
