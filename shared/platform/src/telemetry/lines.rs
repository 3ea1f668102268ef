//! Log lines on their way out. With a system call for every line, all threads on one file, the access log cost
//! the gateway half of its throughput; so lines are gathered for a moment and written together.
//!
//! Invariants: lines keep their order. Warnings and errors are written before the call that made them goes on,
//! with everything before them. A killed process loses at most the last [`GATHER`] of the lesser ones. No
//! more than [`MAX_PENDING_BYTES`] wait: whoever fills that writes it himself, so that nothing is dropped.

use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long lines may wait for company.
const GATHER: Duration = Duration::from_millis(20);
const MAX_PENDING_BYTES: usize = 1024 * 1024;

/// Where the lines of this process go. Clones write to the same place.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    /// Locked before `pending`, and over the write, which keeps the order.
    output: Mutex<Output>,
    pending: Mutex<Pending>,
    filled: Condvar,
}

struct Output {
    to: Box<dyn Write + Send>,
    /// Changes places with what is pending, so that its memory serves again: it is filled by one thread and would be
    /// freed by another, and fresh memory costs a page fault each time.
    spare: Vec<u8>,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    /// Every line is written at once: there is no thread that would do it.
    direct: bool,
}

impl Lines {
    /// Lines to `output`, with a thread of their own that writes them.
    pub fn start(output: Box<dyn Write + Send>) -> Self {
        let lines = Self(Arc::new(Shared {
            output: Mutex::new(Output { to: output, spare: Vec::new() }),
            pending: Mutex::default(),
            filled: Condvar::new(),
        }));
        let writer = lines.clone();
        let spawned =
            std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || writer.write_on());
        if spawned.is_err() {
            lines.finish();
        }
        lines
    }

    /// Writes what is left; from now on every line is written at once.
    pub fn finish(&self) {
        locked(&self.0.pending).direct = true;
        self.0.filled.notify_all();
        self.flush();
    }

    fn append(&self, line: &[u8], at_once: bool) {
        let mut pending = locked(&self.0.pending);
        let first = pending.bytes.is_empty();
        pending.bytes.extend_from_slice(line);
        let at_once = at_once || pending.direct || pending.bytes.len() > MAX_PENDING_BYTES;
        drop(pending);
        if at_once {
            self.flush();
        } else if first {
            self.0.filled.notify_one();
        }
    }

    /// A log that cannot be written is no reason to stop working.
    fn flush(&self) {
        let mut output = locked(&self.0.output);
        let Output { to, spare } = &mut *output;
        std::mem::swap(spare, &mut locked(&self.0.pending).bytes);
        let _ = to.write_all(spare).and_then(|()| to.flush());
        spare.clear();
    }

    #[allow(clippy::disallowed_methods)] // a thread of its own, which has nothing else to do
    fn write_on(&self) {
        loop {
            let mut pending = locked(&self.0.pending);
            while pending.bytes.is_empty() && !pending.direct {
                pending = self.0.filled.wait(pending).unwrap_or_else(PoisonError::into_inner);
            }
            if pending.direct {
                return;
            }
            drop(pending);
            std::thread::sleep(GATHER);
            self.flush();
        }
    }
}

fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lines")
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, at_once: false }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        Line { lines: self, at_once: *meta.level() <= Level::WARN }
    }
}

/// One line; it comes whole, in one call.
pub(super) struct Line<'a> {
    lines: &'a Lines,
    at_once: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.append(line, self.at_once);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::{super::page::Page, *};

    fn logging(lines: &Lines, work: impl FnOnce()) {
        let layer =
            tracing_subscriber::fmt::layer().with_writer(lines.clone()).with_ansi(false).without_time();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    }

    #[test]
    fn a_warning_is_out_at_once_and_takes_along_what_came_before() {
        let page = Page::default();
        let lines = Lines::start(Box::new(page.clone()));
        logging(&lines, || {
            tracing::info!("first");
            tracing::warn!("second");
            let text = page.text();
            let (first, second) = (text.find("first"), text.find("second"));
            assert!(first.is_some() && first < second, "{text}");
        });
    }

    #[test]
    fn lines_of_many_threads_stay_whole_and_none_is_lost() {
        let page = Page::default();
        let lines = Lines::start(Box::new(page.clone()));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let lines = &lines;
                scope.spawn(move || {
                    logging(lines, || (0..5000).for_each(|n| tracing::info!("line {thread} {n:>6} end")));
                });
            }
        });
        lines.finish();
        let text = page.text();
        assert_eq!(text.lines().count(), 20_000);
        assert!(text.lines().all(|l| l.ends_with(" end")));
        let of_one: Vec<&str> = text.lines().filter(|l| l.contains("line 2 ")).collect();
        assert!(of_one.is_sorted(), "the lines of one thread changed places");
    }

    #[test]
    fn after_the_end_lines_still_come_out() {
        let page = Page::default();
        let lines = Lines::start(Box::new(page.clone()));
        lines.finish();
        logging(&lines, || tracing::info!("late"));
        assert!(page.text().contains("late"));
    }
}
