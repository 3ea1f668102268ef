//! What a subject found, and the file it is written to: one section a subject, so that one subject can be
//! measured again without the others.

use std::{fmt::Write as _, fs, path::Path};

/// A table with its heading row.
pub struct Table {
    pub title: String,
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(title: impl Into<String>, head: &[&'static str]) -> Self {
        Self { title: title.into(), head: head.to_vec(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.head.len(), "{}", self.title);
        self.rows.push(cells);
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let head: Vec<String> = self.head.iter().map(|h| (*h).to_owned()).collect();
        let mut text = format!("**{}**\n\n{}|", self.title, line(&head));
        text.push_str(&"---|".repeat(self.head.len()));
        text.push('\n');
        self.rows.iter().for_each(|row| text.push_str(&line(row)));
        text
    }
}

/// One subject's findings.
pub struct Section {
    /// The word on the command line.
    pub subject: &'static str,
    pub title: &'static str,
    /// The machine, the day, the commit: see [`crate::machine::circumstances`].
    pub circumstances: String,
    pub tables: Vec<Table>,
    /// How it was measured, what the figures do not say.
    pub notes: Vec<String>,
}

impl Section {
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\n", self.title, self.circumstances);
        for table in &self.tables {
            let _ = writeln!(text, "{}", table.markdown());
        }
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text
    }
}

/// Puts the section in its place in the file: at the end, or over its older self. A file that is not there yet
/// begins with `preamble`.
pub fn write(path: &Path, preamble: &str, section: &Section) -> Result<(), String> {
    let old = fs::read_to_string(path).unwrap_or_default();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    fs::write(path, merged(&old, preamble, section.subject, &section.markdown()))
        .map_err(|e| format!("{}: {e}", path.display()))
}

fn merged(old: &str, preamble: &str, subject: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- begin {subject} -->\n"), format!("<!-- end {subject} -->\n"));
    let new = format!("{begin}\n{text}\n{end}");
    let body = if old.starts_with("# ") { old } else { preamble };
    match body.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1))) {
        Some((before, after)) => format!("{before}{new}{after}"),
        None => format!("{body}\n{new}"),
    }
}

/// The middle one; of an even number the mean of the two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => f64::NAN,
        _ if n % 2 == 1 => sorted[n / 2],
        _ => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Nearest rank: the smallest value that `percent` of all do not exceed.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

/// Thousands with commas: `39,100`.
pub fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && c.is_ascii_digit() {
            text.push(',');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_its_older_selfs_place() {
        let first = merged("", "# Title\n", "a", "one");
        let both = merged(&first, "", "b", "two");
        let again = merged(&both, "", "a", "three");
        assert!(again.starts_with("# ") && again.contains("three") && again.contains("two"), "{again}");
        assert!(!again.contains("one\n"), "{again}");
        assert!(again.find("three") < again.find("two"), "{again}");
        assert_eq!(merged(&again, "", "a", "three"), again);
    }

    #[test]
    fn figures_in_the_middle_and_at_the_end() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((percentile(&hundred, 50.0), percentile(&hundred, 99.0)), (50.0, 99.0));
        assert!(percentile(&[], 50.0).is_nan());
    }

    #[test]
    fn thousands() {
        assert_eq!([0.4, 999.0, 1000.0, 1_234_567.4].map(whole), ["0", "999", "1,000", "1,234,567"]);
    }
}
