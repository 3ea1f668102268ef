//! report-service as a process of its own.

use std::process::ExitCode;

use contracts::routes::ServiceName;

#[tokio::main]
async fn main() -> ExitCode {
    platform::run::service(
        ServiceName::Report,
        |_| Vec::new(),
        &[],
        async |shared| report_service::app::build(&shared).await,
    )
    .await
}
