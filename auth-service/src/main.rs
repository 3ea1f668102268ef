//! auth-service as a process of its own.

use std::{io::Write as _, process::ExitCode};

use contracts::routes::ServiceName;
use secrecy::ExposeSecret;

#[tokio::main]
async fn main() -> ExitCode {
    platform::run::service(
        ServiceName::Auth,
        |_| Vec::new(),
        auth_service::SEALED,
        async |shared| {
            let (service, bootstrap) = auth_service::app::build_with_bootstrap(&shared).await?;
            if let Some(password) = &bootstrap.made_password {
                // The only time it can be read; a log would keep it.
                let _ = writeln!(std::io::stdout(), "account admin, password {}", password.expose_secret());
            }
            Ok(service)
        },
    )
    .await
}
