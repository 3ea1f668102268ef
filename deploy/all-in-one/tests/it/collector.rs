//! A collector of spans: takes OTLP/HTTP as the real one does and keeps what it was told.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::span::SpanKind,
};
use prost::Message;

/// Largest batch of spans.
const MAX_BATCH_BYTES: usize = 16 << 20;

/// A span as it was told.
#[derive(Debug, Clone)]
pub struct Span {
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    /// Empty: it has none.
    pub parent: Vec<u8>,
    pub name: String,
    pub kind: SpanKind,
    /// `service.name` of the process.
    pub process: String,
    pub attributes: HashMap<String, String>,
}

pub struct Collector {
    pub url: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    pub fn start() -> Self {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let store = web::Data::from(Arc::clone(&spans));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(store.clone())
                .app_data(web::PayloadConfig::new(MAX_BATCH_BYTES))
                .route("/v1/traces", web::post().to(take))
        })
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        platform::lifecycle::spawn(server.run());
        Self { url, spans }
    }

    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

async fn take(body: web::Bytes, store: web::Data<Mutex<Vec<Span>>>) -> HttpResponse {
    let request = ExportTraceServiceRequest::decode(&*body).unwrap();
    for told in request.resource_spans {
        let resource = texts(told.resource.map(|r| r.attributes).unwrap_or_default());
        let process = resource.get("service.name").cloned().unwrap_or_default();
        let spans = told.scope_spans.into_iter().flat_map(|scope| scope.spans);
        store.lock().unwrap().extend(spans.map(|span| Span {
            kind: span.kind(),
            trace: span.trace_id,
            id: span.span_id,
            parent: span.parent_span_id,
            name: span.name,
            process: process.clone(),
            attributes: texts(span.attributes),
        }));
    }
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

fn texts(attributes: Vec<KeyValue>) -> HashMap<String, String> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.into_iter().filter_map(|a| Some((a.key, text(a.value?.value?)))).collect()
}
