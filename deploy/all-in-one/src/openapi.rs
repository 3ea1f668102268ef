//! The one OpenAPI 3.1 document: the services' own documents, merged.

use std::process::ExitCode;

use platform::{run::refuse, settings::Settings};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use crate::start;

/// Prints the document; `docs/openapi.json` in git is this output.
#[allow(clippy::print_stdout)]
pub async fn print() -> ExitCode {
    match document().await {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(e) => refuse(&e),
    }
}

async fn document() -> Result<String, String> {
    // The services say what they offer when they are built; that needs databases, thrown away right after.
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let mut settings = Settings { data_dir: folder.path().into(), ..Settings::default() };
    settings.fill_embedded_secrets().map_err(|e| e.to_string())?;
    let parts = start::documents(settings).await.map_err(|e| e.to_string())?;
    merge(parts).to_pretty_json().map_err(|e| e.to_string())
}

fn merge(parts: Vec<OpenApi>) -> OpenApi {
    let info = InfoBuilder::new()
        .title("报单 Baodan")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("报告、订单、供应商与合作方的接口。Reports, orders, suppliers and partners."))
        .build();
    let mut document = OpenApiBuilder::new().info(info).build();
    parts.into_iter().for_each(|part| document.merge(part));
    document
}
