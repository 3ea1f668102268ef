//! The W3C trace context: one `traceparent` from the door through events to the partner's callback.
//!
//! With a collector the spans carry it; without one it is kept beside the span it came in with, so that a
//! trace begun by others is handed on all the same. Deliberately absent: `tracestate`.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Registry, registry::LookupSpan};

use crate::seal::random_bytes;

/// A parsed `traceparent`, kept in the extensions of a span.
struct Incoming(SpanContext);

/// The `traceparent` to send on from here: the current span's when spans are exported, otherwise the one that
/// `parent_from` gave to it or to a span around it. `None`: there is none, start one by `new_traceparent`.
pub fn current_traceparent() -> Option<String> {
    traceparent_of(&Span::current())
}

/// The same of a span that need not be the current one.
pub fn traceparent_of(span: &Span) -> Option<String> {
    let exported = span.context().span().span_context().clone();
    if exported.is_valid() && !exported.is_remote() {
        return Some(written(&exported));
    }
    span.with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let spans = registry.span(id)?;
        spans.scope().find_map(|span| span.extensions().get::<Incoming>().map(|known| written(&known.0)))
    })
    .flatten()
}

/// Makes `span` a child of the remote span that `traceparent` names. Call it before `span` is entered or
/// read; `false` when the header is not valid or the span is switched off, then nothing is changed.
pub fn parent_from(traceparent: &str, span: &Span) -> bool {
    let Some(parent) = parsed(traceparent) else { return false };
    // Fails without a collector (no layer to tell) and for a span entered already; the extension stays.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent.clone()));
    span.with_subscriber(|(id, dispatch)| {
        let span = dispatch.downcast_ref::<Registry>()?.span(id)?;
        span.extensions_mut().replace(Incoming(parent));
        Some(())
    })
    .flatten()
    .is_some()
}

/// A fresh, valid, sampled `traceparent`: the root of a new trace.
pub fn new_traceparent() -> String {
    // All zeros is the one invalid value of each.
    let trace = u128::from_be_bytes(random_bytes()).max(1);
    let span = u64::from_be_bytes(random_bytes()).max(1);
    format!("00-{trace:032x}-{span:016x}-01")
}

fn written(context: &SpanContext) -> String {
    let sampled = u8::from(context.is_sampled());
    format!("00-{}-{}-{sampled:02x}", context.trace_id(), context.span_id())
}

/// <https://www.w3.org/TR/trace-context/#traceparent-header>: lower-case hex, no zero ids, `ff` is no version;
/// a later version may carry more behind the flags.
fn parsed(traceparent: &str) -> Option<SpanContext> {
    let text = traceparent.trim();
    let (known, more) = text.split_at_checked(55)?;
    let mut fields = known.split('-');
    let version = hex_field(fields.next()?, 2)?;
    let trace = hex_field(fields.next()?, 32)?;
    let span = hex_field(fields.next()?, 16)?;
    let flags = hex_field(fields.next()?, 2)?;
    let more_is_fine = more.is_empty() || (version != "00" && more.starts_with('-'));
    if version == "ff" || fields.next().is_some() || !more_is_fine {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

fn hex_field(field: &str, length: usize) -> Option<&str> {
    let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (field.len() == length && field.bytes().all(lower_hex)).then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_valid_headers_are_read() {
        let round = |text: &str| parsed(text).map(|context| written(&context));
        assert_eq!(round(GOOD).as_deref(), Some(GOOD));
        assert_eq!(round(&GOOD.replace("-01", "-00")).as_deref(), Some(&*GOOD.replace("-01", "-00")));
        let later = format!("cc{}-what-comes", &GOOD[2..]);
        assert_eq!(round(&later).as_deref(), Some(GOOD), "a later version is read as this one");
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033310-1",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333单-01",
        ] {
            assert_eq!(round(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_new_one_is_valid_and_never_the_same() {
        let (one, two) = (new_traceparent(), new_traceparent());
        assert!(parsed(&one).is_some_and(|context| context.is_sampled()), "{one}");
        assert_ne!(one, two);
    }

    #[test]
    fn without_a_collector_the_incoming_one_is_handed_on() {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            assert_eq!(current_traceparent(), None);
            let request = tracing::info_span!("request");
            assert!(!parent_from("nonsense", &request));
            assert!(parent_from(GOOD, &request));
            let _request = request.enter();
            let inner = tracing::info_span!("inner").entered();
            assert_eq!(current_traceparent().as_deref(), Some(GOOD));
            drop(inner);
            assert_eq!(current_traceparent().as_deref(), Some(GOOD));
        });
    }

    #[test]
    fn the_context_survives_a_log_level_that_hides_its_span() {
        use tracing_subscriber::{EnvFilter, Layer, filter::filter_fn};
        let lines = crate::telemetry::Lines::start(Box::new(std::io::sink()));
        let subscriber = tracing_subscriber::registry()
            .with(crate::telemetry::log_layer(Default::default(), lines).with_filter(EnvFilter::new("error")))
            .with(crate::telemetry::KeepSpans.with_filter(filter_fn(crate::telemetry::worth_a_trace)));
        tracing::subscriber::with_default(subscriber, || {
            let request = tracing::info_span!("request");
            assert!(parent_from(GOOD, &request));
            let _request = request.enter();
            assert_eq!(current_traceparent().as_deref(), Some(GOOD));
        });
    }

    #[test]
    fn nothing_is_installed_and_nothing_panics() {
        tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || {
            let span = tracing::info_span!("request");
            assert!(!parent_from(GOOD, &span));
            assert_eq!(span.in_scope(current_traceparent), None);
        });
    }
}
