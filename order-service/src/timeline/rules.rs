//! Two columns of time become one. Pure.

use contracts::callbacks::{CallbackEntry, CallbackPlace};

use crate::entities::order_history;

/// Where a page ended in each of the two columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The last change's `order_seq`.
    pub seq: i64,
    pub callbacks: CallbackPlace,
}

impl Cursor {
    /// As callers carry it.
    pub fn text(self) -> String {
        format!("{}-{}-{}", self.seq, self.callbacks.at, self.callbacks.id)
    }

    /// What [`Self::text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |t: &str| t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse().ok()).flatten();
        let mut parts = text.split('-').map(number);
        let (seq, at, id) = (parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(Self { seq, callbacks: CallbackPlace { at, id } })
    }
}

/// What stands in the column.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Change(order_history::Model),
    Callback(CallbackEntry),
}

/// The next `limit` lines behind `from`, and where they end if there are more. Both columns come as far as they are
/// known, each in its own order, with one line more than `limit` if there is one. At the same moment changes go first.
pub fn merge(
    changes: Vec<order_history::Model>,
    callbacks: Vec<CallbackEntry>,
    limit: usize,
    from: Cursor,
) -> (Vec<Line>, Option<Cursor>) {
    let more = changes.len() + callbacks.len() > limit;
    let (mut changes, mut callbacks) = (changes.into_iter().peekable(), callbacks.into_iter().peekable());
    let (mut lines, mut end) = (Vec::new(), from);
    while lines.len() < limit {
        let first = match (changes.peek(), callbacks.peek()) {
            (Some(change), Some(callback)) => change.at <= callback.place.at,
            (change, _) => change.is_some(),
        };
        let line = if first {
            changes.next().map(|change| {
                end.seq = change.seq;
                Line::Change(change)
            })
        } else {
            callbacks.next().map(|callback| {
                end.callbacks = callback.place;
                Line::Callback(callback)
            })
        };
        match line {
            Some(line) => lines.push(line),
            None => break,
        }
    }
    (lines, more.then_some(end))
}

#[cfg(test)]
mod tests {
    use contracts::callbacks::CallbackStep;

    use super::*;

    fn change(seq: i64, at: i64) -> order_history::Model {
        order_history::Model {
            order_id: 1,
            seq,
            at,
            event: "edit".into(),
            actor_kind: "system".into(),
            actor_id: 0,
            actor_name: String::new(),
            from_state: None,
            to_state: 1,
            from_fulfil: None,
            to_fulfil: None,
            reason: String::new(),
            changed: "{}".into(),
        }
    }

    fn callback(at: i64, id: i64) -> CallbackEntry {
        let place = CallbackPlace { at, id };
        let step = CallbackStep::Message { status: "waiting".into() };
        CallbackEntry {
            place,
            order_seq: 1,
            subscription_id: 1,
            delivery_id: id,
            event_id: String::new(),
            step,
        }
    }

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let cursor = Cursor { seq: 3, callbacks: CallbackPlace { at: 1_795_000_000_000, id: 7 } };
        assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        for text in
            ["", "1", "1-2", "1-2-", "1-2-3-4", "-1-2-3", "a-2-3", "+1-2-3", "1-2-99999999999999999999"]
        {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    /// The column page by page, as somebody reads it who goes on by the cursor.
    fn pages(
        changes: &[order_history::Model],
        callbacks: &[CallbackEntry],
        limit: usize,
        away: impl Fn(usize) -> bool,
    ) -> Vec<String> {
        let (mut cursor, mut told) = (Cursor::default(), Vec::new());
        for page in 0.. {
            let more_changes: Vec<_> =
                changes.iter().filter(|c| c.seq > cursor.seq).take(limit + 1).cloned().collect();
            let more_callbacks: Vec<_> = callbacks
                .iter()
                .filter(|c| !away(page) && c.place > cursor.callbacks)
                .take(limit + 1)
                .cloned()
                .collect();
            let (lines, next) = merge(more_changes, more_callbacks, limit, cursor);
            assert!(lines.len() <= limit);
            told.extend(lines.into_iter().map(|line| match line {
                Line::Change(c) => format!("change {} at {}", c.seq, c.at),
                Line::Callback(c) => format!("callback {} at {}", c.place.id, c.place.at),
            }));
            match next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        told
    }

    #[test]
    fn pages_of_any_size_are_the_same_column() {
        // The third change was made by a replica whose clock is behind.
        let changes = [change(1, 10), change(2, 20), change(3, 15), change(4, 40)];
        let callbacks =
            [callback(10, 90), callback(10, 91), callback(20, 92), callback(25, 80), callback(50, 93)];
        let whole = pages(&changes, &callbacks, 100, |_| false);
        let expected = [
            "change 1 at 10",
            "callback 90 at 10",
            "callback 91 at 10",
            "change 2 at 20",
            "change 3 at 15",
            "callback 92 at 20",
            "callback 80 at 25",
            "change 4 at 40",
            "callback 93 at 50",
        ];
        assert_eq!(whole, expected);
        for limit in 1..=10 {
            assert_eq!(pages(&changes, &callbacks, limit, |_| false), whole, "pages of {limit}");
        }
    }

    #[test]
    fn what_was_missing_on_a_page_comes_on_the_next() {
        let changes = [change(1, 10), change(2, 20), change(3, 30)];
        let callbacks = [callback(11, 90), callback(21, 91)];
        let told = pages(&changes, &callbacks, 2, |page| page == 0);
        assert_eq!(
            told,
            ["change 1 at 10", "change 2 at 20", "callback 90 at 11", "callback 91 at 21", "change 3 at 30"]
        );
        assert_eq!(merge(Vec::new(), Vec::new(), 5, Cursor::default()), (Vec::new(), None));
    }
}
