//! Log lines as JSON, one object a line, with the keys of `tracing-subscriber`'s own: `timestamp`, `level`, the event's
//! fields, `target`, and `span` when there is one. That one checks each comma and quote as text and sends it on through a
//! virtual call; here they fill a buffer, which the gateway's throughput needs (docs/adr/0011-json-log-lines.md).

use std::{cell::Cell, fmt};

use serde::ser::{SerializeMap, Serializer as _};
use serde_json::{Map, Serializer, Value};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_serde::{AsSerde, SerdeMapVisitor};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormattedFields,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::{LookupSpan, SpanRef},
};

thread_local! {
    /// Kept for the next line of this thread.
    static BUFFERS: Cell<Buffers> = Cell::default();
}

#[derive(Default)]
struct Buffers {
    line: Vec<u8>,
    timestamp: String,
}

/// The format of [`super::LogFormat::Json`]; spans keep their fields with [`JsonFields`].
#[derive(Debug)]
pub(super) struct JsonLine;

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // Taken, not borrowed: a `Debug` among the fields may log in its turn.
        let mut buffers = BUFFERS.take();
        fill(&mut buffers, context, event, &mut writer)?;
        BUFFERS.set(buffers);
        Ok(())
    }
}

fn fill<S>(
    Buffers { line, timestamp }: &mut Buffers,
    context: &FmtContext<'_, S, JsonFields>,
    event: &Event<'_>,
    writer: &mut Writer<'_>,
) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    timestamp.clear();
    SystemTime.format_time(&mut Writer::new(timestamp))?;
    line.clear();
    let span = event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current());
    write_object(line, timestamp, event, span).map_err(|_| fmt::Error)?;
    line.push(b'\n');
    writer.write_str(std::str::from_utf8(line).map_err(|_| fmt::Error)?)
}

fn write_object<S>(
    line: &mut Vec<u8>,
    timestamp: &str,
    event: &Event<'_>,
    span: Option<SpanRef<'_, S>>,
) -> serde_json::Result<()>
where
    S: for<'a> LookupSpan<'a>,
{
    // What came by the `log` crate names its origin in fields.
    let normalized = event.normalized_metadata();
    let meta = normalized.as_ref().unwrap_or_else(|| event.metadata());
    let mut serializer = Serializer::new(line);
    let mut object = serializer.serialize_map(None)?;
    object.serialize_entry("timestamp", timestamp)?;
    object.serialize_entry("level", &meta.level().as_serde())?;
    let mut fields = SerdeMapVisitor::new(object);
    event.record(&mut fields);
    let mut object = fields.take_serializer()?;
    object.serialize_entry("target", meta.target())?;
    if let Some(span) = span {
        object.serialize_entry("span", &described(&span))?;
    }
    object.end()
}

/// The span's fields and its name.
fn described<S>(span: &SpanRef<'_, S>) -> Map<String, Value>
where
    S: for<'a> LookupSpan<'a>,
{
    let extensions = span.extensions();
    let fields = extensions.get::<FormattedFields<JsonFields>>();
    let mut object: Map<String, Value> =
        fields.and_then(|fields| serde_json::from_str(fields).ok()).unwrap_or_default();
    object.insert("name".to_owned(), span.metadata().name().into());
    object
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing_log::log;
    use tracing_subscriber::{Layer, Registry, fmt, layer::SubscriberExt};

    use super::{super::page::Page, *};

    /// The lines that `work` logs in our format and in the library's, without their times.
    fn lines(work: impl Fn()) -> [Vec<Value>; 2] {
        let written = |format: fn(Page) -> Box<dyn Layer<Registry> + Send + Sync>| {
            let page = Page::default();
            let subscriber = tracing_subscriber::registry().with(format(page.clone()));
            tracing::subscriber::with_default(subscriber, &work);
            page.text().lines().map(without_time).collect()
        };
        [
            written(|page| {
                let layer = fmt::layer().with_writer(move || page.clone());
                layer.fmt_fields(JsonFields::new()).event_format(JsonLine).boxed()
            }),
            written(|page| {
                let layer = fmt::layer().with_writer(move || page.clone());
                layer.json().flatten_event(true).with_span_list(false).boxed()
            }),
        ]
    }

    fn without_time(line: &str) -> Value {
        let mut object: Map<String, Value> = serde_json::from_str(line).unwrap();
        let time = object.remove("timestamp").unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).is_ok(), "{line}");
        object.into()
    }

    #[test]
    fn a_line_reads_as_the_librarys_own_does() {
        let [ours, library] = lines(|| {
            tracing::info!(target: "gateway::access", status = 200_u16, ms = 1.25, route = "a/b", "answered");
            tracing::warn!(quoted = "\"\\\u{0}\n报单🙂", negative = -1_i64, yes = true, none = f64::NAN);
            tracing::error!(debug = ?vec![Some("x")], display = %io::Error::other("broken"), "id {}", 7);
            tracing::debug!({ "dotted.name" = 1_u128, r#type = "kept" }, "{{}}");
            let span = tracing::info_span!("request", id = "r1", route = tracing::field::Empty);
            span.record("route", "late");
            span.in_scope(|| {
                tracing::info!("inside");
                tracing::info!(parent: None, "beside");
                tracing::info_span!("inner", n = 1).in_scope(|| tracing::info!("deeper"));
            });
            tracing::info!(parent: &span, "named");
        });
        assert_eq!(ours.len(), 8);
        assert_eq!(ours, library);
        assert_eq!(ours[4]["span"], serde_json::json!({ "id": "r1", "route": "late", "name": "request" }));
    }

    #[test]
    fn a_line_of_the_log_crate_names_its_origin() {
        let record = || {
            let record = log::Record::builder()
                .level(log::Level::Warn)
                .target("elsewhere")
                .args(format_args!("by log"))
                .build();
            tracing_log::format_trace(&record).unwrap();
        };
        let [ours, library] = lines(record);
        assert_eq!(ours, library);
        assert_eq!(ours[0]["target"], "elsewhere");
    }
}
