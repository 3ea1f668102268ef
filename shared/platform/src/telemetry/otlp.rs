//! Spans to a collector by OTLP/HTTP (protobuf), in batches, from a thread of their own.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter},
};

use super::TelemetrySettings;

/// The traces address behind a base address.
///
/// # Errors
/// One sentence when it is not an http or https address.
pub(super) fn traces_url(endpoint: &str) -> Result<String, String> {
    let mut url = url::Url::parse(endpoint)
        .map_err(|err| format!("telemetry.otlp_endpoint is not an address: {err}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("telemetry.otlp_endpoint is not an http or https address".to_owned());
    }
    if url.path() == "/" {
        url.set_path("/v1/traces");
    }
    Ok(url.into())
}

pub(super) fn provider(
    service_name: &str,
    endpoint: &str,
    s: &TelemetrySettings,
) -> Result<SdkTracerProvider, String> {
    let inner = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(traces_url(endpoint)?)
        .with_timeout(Duration::from_secs(s.otlp_timeout_seconds))
        .build()
        .map_err(|err| format!("the span exporter could not be built: {err}"))?;
    // The batch thread polls the exporter without a tokio around it, which the HTTP client needs. A small
    // runtime of its own lets spans leave even while the service's runtime is shutting down or is busy.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|err| format!("the span exporter has no runtime: {err}"))?;
    let resource = Resource::builder()
        .with_service_name(service_name.to_owned())
        .with_attribute(KeyValue::new("service.namespace", "baodan"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let ratio = if s.trace_sample_ratio.is_nan() { 1.0 } else { s.trace_sample_ratio };
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
        .with_batch_exporter(OwnRuntime { inner, runtime, failing: AtomicBool::new(false) })
        .build())
}

/// See `provider`. Dropped on the batch thread, where dropping a runtime is allowed.
#[derive(Debug)]
struct OwnRuntime {
    inner: opentelemetry_otlp::SpanExporter,
    runtime: tokio::runtime::Runtime,
    /// Whether the last batch failed: one line per outage, not per batch.
    failing: AtomicBool,
}

impl SpanExporter for OwnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.runtime.block_on(self.inner.export(batch));
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(err) => {
                metrics::counter!("telemetry_spans_dropped_total").increment(spans as u64);
                if !was_failing {
                    tracing::warn!(error = %err, spans, "the collector does not take spans; they are dropped");
                }
            }
            Ok(()) if was_failing => tracing::info!("the collector takes spans again"),
            Ok(()) => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{current_traceparent, parent_from};
    use opentelemetry::trace::TracerProvider as _;
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn a_base_address_gets_the_traces_path_and_another_path_is_kept() {
        assert_eq!(traces_url("http://c:4318").unwrap(), "http://c:4318/v1/traces");
        assert_eq!(traces_url("http://c:4318/").unwrap(), "http://c:4318/v1/traces");
        assert_eq!(traces_url("https://c/otlp/v1/traces").unwrap(), "https://c/otlp/v1/traces");
        assert!(traces_url("c:4318").is_err() && traces_url("").is_err());
    }

    /// Takes one request and answers 200; gives the request back.
    fn collector() -> (String, std::thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
            let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
            while !complete(&seen) {
                let n = stream.read(&mut chunk).expect("a request");
                assert!(n > 0, "the request ends early");
                seen.extend_from_slice(&chunk[..n]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("an answer");
            seen
        });
        (address, thread)
    }

    fn complete(request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request).to_ascii_lowercase();
        let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        request.len() >= head + 4 + length.and_then(|n| n.trim().parse::<usize>().ok()).unwrap_or(0)
    }

    #[tokio::test]
    async fn shutdown_sends_the_spans_with_their_remote_parent_even_on_one_thread() {
        let (address, thread) = collector();
        let provider = provider("order-service", &address, &TelemetrySettings::default()).unwrap();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("accept the order");
            assert!(parent_from(parent, &span));
            let _entered = span.enter();
            let own = current_traceparent().expect("a context");
            assert_eq!(own[..36], parent[..36], "the same trace");
            assert_ne!(own, parent, "a span of its own");
        });
        provider.shutdown_with_timeout(Duration::from_secs(5)).expect("a flush");
        let request = thread.join().expect("the collector");
        let text = String::from_utf8_lossy(&request);
        assert!(text.starts_with("POST /v1/traces "), "{text}");
        assert!(text.contains("accept the order") && text.contains("order-service"), "{text}");
        let parent_id = hex::decode(&parent[36..52]).unwrap();
        assert!(request.windows(8).any(|eight| eight == parent_id), "the remote parent is named");
    }
}
