//! The process of order-service alone; `baodan` runs the same `app::build` beside the other services.

use std::process::ExitCode;

use contracts::routes::ServiceName;

#[tokio::main]
async fn main() -> ExitCode {
    platform::run::service(ServiceName::Order, order_service::app::check, &[], async |shared| {
        order_service::app::build(&shared).await
    })
    .await
}
