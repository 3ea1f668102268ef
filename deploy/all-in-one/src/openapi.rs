//! The one OpenAPI 3.1 document: the services' own documents, merged.

use std::{collections::BTreeMap, process::ExitCode};

use platform::{run::refuse, settings::Settings};
use serde_json::Value;
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
    merge(parts)?.to_pretty_json().map_err(|e| e.to_string())
}

/// Fails when two services mean different things by one name: the document would describe one of them wrongly.
fn merge(parts: Vec<OpenApi>) -> Result<OpenApi, String> {
    let mut meant: BTreeMap<&String, Value> = BTreeMap::new();
    let mut twice = Vec::new();
    for (name, schema) in parts.iter().filter_map(|p| p.components.as_ref()).flat_map(|c| &c.schemas) {
        let mut meaning = serde_json::to_value(schema).map_err(|e| e.to_string())?;
        forget_descriptions(&mut meaning);
        if meant.insert(name, meaning.clone()).is_some_and(|other| other != meaning) {
            twice.push(name);
        }
    }
    if !twice.is_empty() {
        return Err(format!(
            "schemas of different services have one name, give them `#[schema(as = …)]`: {twice:?}"
        ));
    }
    let info = InfoBuilder::new()
        .title("报单 Baodan")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("报告、订单、供应商与合作方的接口。Reports, orders, suppliers and partners."))
        .build();
    let mut document = OpenApiBuilder::new().info(info).build();
    parts.into_iter().for_each(|part| document.merge(part));
    Ok(document)
}

/// The same thing may be described in other words.
fn forget_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|name, value| name != "description" || !value.is_string());
            fields.values_mut().for_each(forget_descriptions);
        }
        Value::Array(list) => list.iter_mut().for_each(forget_descriptions),
        _ => {}
    }
}
