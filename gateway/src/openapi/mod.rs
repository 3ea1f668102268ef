//! The one OpenAPI document of all services at `/api/openapi.json`, and Swagger UI for it at `/docs`, out of this
//! binary: no page of it asks anything of another host.

use std::{collections::HashMap, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, http::header::LOCATION};
use bytes::Bytes;
use contracts::routes::SUPPLIER_ENTRY;
use platform::service::StartError;

use crate::assets::{Asset, Keep};

/// Written by `baodan openapi` from the services' own descriptions, kept in git.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

pub(crate) const DOCUMENT_PATH: &str = "/api/openapi.json";
/// Where the pages are; their links are relative, so the start page has a name.
const UI_PREFIX: &str = "/docs/";
const UI_START: &str = "/docs/index.html";

/// The pages of Swagger UI that its start page loads.
const UI_FILES: [&str; 8] = [
    "index.html",
    "index.css",
    "swagger-ui.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-16x16.png",
    "favicon-32x32.png",
];

/// Document and pages.
pub(crate) struct ApiDocs {
    document: Asset,
    ui: HashMap<&'static str, Asset>,
}

impl ApiDocs {
    /// `entry`: where the suppliers' drop-in entry is.
    pub fn load(entry: &str) -> Result<Self, StartError> {
        let broken =
            |e: &dyn std::fmt::Display| StartError::Settings(format!("Swagger UI cannot be served: {e}"));
        let config = utoipa_swagger_ui::Config::new([DOCUMENT_PATH])
            .validator_url("none")
            .try_it_out_enabled(true)
            .persist_authorization(false)
            .display_request_duration(true);
        let config = Arc::new(config);
        let mut ui = HashMap::new();
        for name in UI_FILES {
            let file = utoipa_swagger_ui::serve(name, Arc::clone(&config))
                .map_err(|e| broken(&e))?
                .ok_or_else(|| broken(&format!("{name} is missing")))?;
            let bytes = match file.bytes {
                std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
            };
            ui.insert(name, Asset::named(name, bytes, Keep::Ask));
        }
        let document = DOCUMENT.replace(&format!("\"{SUPPLIER_ENTRY}\""), &format!("\"{entry}\""));
        let document = Asset::new(Bytes::from(document), "application/json", Keep::Ask);
        Ok(Self { document, ui })
    }

    pub fn document(&self, req: &HttpRequest) -> HttpResponse {
        self.document.answer(req)
    }

    /// A page below `/docs`; `/docs` itself leads to the start page.
    pub fn page(&self, req: &HttpRequest) -> Option<HttpResponse> {
        match req.path().strip_prefix(UI_PREFIX) {
            None | Some("") => Some(HttpResponse::Found().insert_header((LOCATION, UI_START)).finish()),
            Some(name) => self.ui.get(name).map(|asset| asset.answer(req)),
        }
    }
}
