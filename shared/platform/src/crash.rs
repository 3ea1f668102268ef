//! Named moments at which a fault run ends a process, to see that nothing is lost whatever line it dies on
//! (`make chaos`, `docs/reliability.md`). Without the cargo feature `crash-points` nothing of it is compiled in.

/// A moment at which a process can be made to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    pub name: &'static str,
    /// A process that passes it when orders change.
    pub process: &'static str,
    /// What has happened by then, and what has not.
    pub moment: &'static str,
}

const ORDER: &str = "order-service";
const SYNC: &str = "sync-service";

const fn p(name: &'static str, process: &'static str, moment: &'static str) -> Point {
    Point { name, process, moment }
}

/// All of them, in the order an event passes them.
pub const POINTS: &[Point] = &[
    p("change.uncommitted", ORDER, "a change, its history and its event are written, not committed"),
    p("change.committed", ORDER, "committed; the relay is not woken, the caller has no answer"),
    p("relay.leased", ORDER, "the relay's lease is taken or renewed, nothing is read"),
    p("outbox.claimed", ORDER, "a batch is read, not published"),
    p("outbox.published", ORDER, "the broker has confirmed, the rows are not deleted"),
    p("outbox.deleted", ORDER, "the rows are deleted"),
    p("inbox.handled", SYNC, "the consumer's work is written, not committed"),
    p("inbox.committed", SYNC, "committed, not acknowledged to the broker"),
    p("inbox.acknowledged", SYNC, "acknowledged; the sender is woken already"),
    p("delivery.claimed", SYNC, "due deliveries are leased, nothing is sent"),
    p("delivery.sent", SYNC, "receivers have answered, nothing of it is written"),
    p("delivery.recording", SYNC, "results and the next in line are written, not committed"),
    p("delivery.recorded", SYNC, "results are committed, the next in line is not sent"),
    p("node.renewed", SYNC, "the lease of the node that ids are made with is renewed"),
];

/// Dies here if the environment says so: `CRASH_POINT=<name>`, or `<name>:<n>` for the nth time it is passed.
#[cfg(feature = "crash-points")]
pub fn point(name: &'static str) {
    armed::pass(name);
}

/// Nothing: see the module.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn point(_name: &'static str) {}

#[cfg(feature = "crash-points")]
mod armed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    };

    static ARMED: OnceLock<Option<(String, AtomicU32)>> = OnceLock::new();

    #[allow(clippy::disallowed_methods)] // a fault run's own variable: no setting of a service, and not in production
    fn read() -> Option<(String, AtomicU32)> {
        let told = std::env::var("CRASH_POINT").ok()?;
        let (name, times) = told.split_once(':').unwrap_or((&told, "1"));
        assert!(super::POINTS.iter().any(|p| p.name == name), "CRASH_POINT={told} is no point");
        Some((name.to_owned(), AtomicU32::new(times.parse().expect("CRASH_POINT=<name>:<n>"))))
    }

    #[allow(clippy::disallowed_methods, clippy::print_stderr)] // to die without an orderly end is what it is for
    pub(super) fn pass(name: &str) {
        let Some((armed, left)) = ARMED.get_or_init(read) else { return };
        if armed == name && left.fetch_sub(1, Ordering::SeqCst) == 1 {
            eprintln!("crash point {name}");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::POINTS;

    /// Names in calls of `crash::point` below `folder`.
    fn called(folder: &Path, names: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()) {
            if entry.is_dir() {
                called(&entry, names);
            } else if entry.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&entry).expect("source");
                let calls = text.split(concat!("crash::", "point(\"")).skip(1);
                names.extend(calls.filter_map(|c| c.split_once('"')).map(|(name, _)| name.to_owned()));
            }
        }
    }

    #[test]
    fn every_point_of_the_list_stands_in_the_source_once_and_none_beside_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut names = Vec::new();
        for folder in ["shared/platform/src", "order-service/src", "sync-service/src"] {
            called(&root.join(folder), &mut names);
        }
        let listed: BTreeSet<&str> = POINTS.iter().map(|p| p.name).collect();
        assert_eq!(listed.len(), POINTS.len(), "a name is listed twice");
        assert_eq!(names.len(), POINTS.len(), "a point is called twice, or not at all: {names:?}");
        assert_eq!(names.iter().map(String::as_str).collect::<BTreeSet<_>>(), listed);
    }
}
