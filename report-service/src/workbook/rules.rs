//! What a row of a workbook means. Pure.

use std::collections::HashSet;

use platform::http::values::{is_mobile, normal_mobile};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::parse::{Cell, Columns, Row};
use crate::whitelist::rules::{MAX_READS, MAX_TEXT, NewEntry};

/// The columns of template, export and import, in this order.
pub const HEADER: [&str; 5] = ["昵称", "职位", "公司", "电话", "阅读次数"];
/// The template's example row; an import skips it.
pub const EXAMPLE: (&str, &str, &str, &str, i64) =
    ("示例：张三（请删除本行）", "经理", "示例公司", "13800138000", 100);

/// Why a row cannot be taken: Chinese, then English, for the error workbook.
pub type Reason = &'static str;

/// Reads a row of (昵称, 职位, 公司, 电话, 阅读次数); names everything that is wrong with it.
pub fn judge(cells: [&Cell; 5]) -> Result<NewEntry, Vec<Reason>> {
    let mut reasons = Vec::new();
    let mut text = |cell: &Cell, reason: Reason| {
        let text = display(cell);
        if text.chars().count() > MAX_TEXT {
            reasons.push(reason);
        }
        text
    };
    let given_user = text(cells[0], "昵称过长 / name too long");
    let given_position = text(cells[1], "职位过长 / position too long");
    let given_company = text(cells[2], "公司过长 / company too long");
    let mobile = mobile(cells[3]).unwrap_or_else(|reason| {
        reasons.push(reason);
        String::new()
    });
    let read_count = read_count(cells[4]).unwrap_or_else(|reason| {
        reasons.push(reason);
        0
    });
    if !reasons.is_empty() {
        return Err(reasons);
    }
    Ok(NewEntry { given_user, given_position, given_company, mobile, read_count, state: 0 })
}

/// Is it the template's own example?
pub fn is_example(cells: [&Cell; 5]) -> bool {
    display(cells[0]) == EXAMPLE.0 && display(cells[3]) == EXAMPLE.3
}

/// A cell as text: whole numbers without a point or exponent.
pub fn display(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text.replace('\0', ""),
        Cell::Number(number) => number_text(*number),
    }
}

fn number_text(number: f64) -> String {
    // Beyond 15 digits a float does not name one integer any more.
    if number.fract() == 0.0 && number.abs() < 1e15 { format!("{number:.0}") } else { number.to_string() }
}

/// A telephone number in any form people's spreadsheets hold.
fn mobile(cell: &Cell) -> Result<String, Reason> {
    const INVALID: Reason = "电话无效 / not a telephone number";
    let mobile = match cell {
        Cell::Empty => return Err("电话不能为空 / telephone missing"),
        Cell::Number(number) if (0.0..1e15).contains(number) => number_text(*number),
        Cell::Number(_) => return Err(INVALID),
        Cell::Text(text) => {
            // An apostrophe makes a number a text for spreadsheet programs.
            let plain = normal_mobile(text.trim_start_matches(['\'', '’', '‘']));
            match scientific(&plain) {
                Some(Ok(digits)) => digits,
                Some(Err(())) => {
                    return Err("电话成了科学计数法，数字已丢失 / digits lost to scientific notation");
                }
                None => plain,
            }
        }
    };
    if is_mobile(&mobile) { Ok(mobile) } else { Err(INVALID) }
}

/// `1.8434819907E10` as digits. Spreadsheet programs show long numbers as `1.84348E+10`: with a plus sign and
/// fewer digits than the number has; what such a text has lost cannot be guessed.
fn scientific(text: &str) -> Option<Result<String, ()>> {
    let (mantissa, exponent) = text.split_once(['E', 'e'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (displayed, exponent) = match exponent.strip_prefix('+') {
        Some(exponent) => (true, exponent),
        None => (false, exponent),
    };
    if whole.len() != 1 || !digits(whole) || !digits(fraction) || !digits(exponent) || exponent.len() > 2 {
        return None;
    }
    let exponent: usize = exponent.parse().ok()?;
    let significant = fraction.trim_end_matches('0');
    if significant.len() > exponent || (displayed && fraction.len() < exponent) {
        return Some(Err(()));
    }
    Some(Ok(format!("{whole}{significant:0<exponent$}")))
}

fn read_count(cell: &Cell) -> Result<i64, Reason> {
    const INVALID: Reason = "阅读次数必须是不小于 0 的整数 / read count must be an integer, 0 or more";
    let count = match cell {
        Cell::Empty => return Err("阅读次数不能为空 / read count missing"),
        Cell::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => *number as i64,
        Cell::Number(_) => return Err(INVALID),
        Cell::Text(text) => normal_mobile(text).parse().map_err(|_| INVALID)?,
    };
    if (0..=MAX_READS).contains(&count) { Ok(count) } else { Err(INVALID) }
}

/// A good row on its way to the database: sheet row, 昵称, 职位, 公司, 电话, 阅读次数.
pub type GoodRow = (u32, String, String, String, String, i64);
/// A bad row on its way back to its author: sheet row, reasons, its cells as they stand in the file.
pub type BadRow = (u32, String, Vec<Value>);

/// Rows of a file that travel together.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Batch {
    /// No mobile stands in the file's good rows twice.
    pub good: Vec<GoodRow>,
    /// Good rows whose mobile stands earlier in the file.
    pub repeats: usize,
    pub bad: Vec<BadRow>,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.good.len() + self.repeats + self.bad.len()
    }

    /// What would come of it if the report had none of its mobiles.
    pub fn counts(&self) -> Counts {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        Counts {
            success: number(self.good.len()),
            repeat: number(self.repeats),
            error: number(self.bad.len()),
        }
    }

    /// Judges a row and adds it; `known` are the mobiles of the file so far.
    pub fn push(&mut self, columns: &Columns, row: &Row, known: &mut Known) {
        match judge(columns.pick(row)) {
            Ok(e) if !known.insert(&e.mobile) => self.repeats += 1,
            Ok(e) => self.good.push((
                row.number,
                e.given_user,
                e.given_position,
                e.given_company,
                e.mobile,
                e.read_count,
            )),
            Err(reasons) => {
                let cells = row.cells.iter().map(json_cell).collect();
                self.bad.push((row.number, reasons.join("; "), cells));
            }
        }
    }
}

/// A cell as JSON: a numeric cell stays a number, whole ones without a point.
pub fn json_cell(cell: &Cell) -> Value {
    match cell {
        Cell::Empty => Value::from(""),
        Cell::Text(text) => Value::from(text.replace('\0', "")),
        Cell::Number(n) if n.fract() == 0.0 && n.abs() < 1e15 => Value::from(*n as i64),
        Cell::Number(n) => Value::from(*n),
    }
}

/// What an import did with rows so far; `total()` is the sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub success: i64,
    pub repeat: i64,
    pub error: i64,
}

impl Counts {
    pub fn total(self) -> i64 {
        self.success + self.repeat + self.error
    }

    /// The same where so many of the good rows are new to the report.
    #[must_use]
    pub fn with_fresh(self, fresh: usize) -> Self {
        let fresh = i64::try_from(fresh).unwrap_or(i64::MAX);
        Self { success: fresh, repeat: self.repeat + self.success - fresh, ..self }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.success += more.success;
        self.repeat += more.repeat;
        self.error += more.error;
    }
}

/// Mobiles that came earlier in the file. Numbers take 8 bytes each.
#[derive(Debug, Default)]
pub struct Known {
    numbers: HashSet<u64>,
    texts: HashSet<String>,
}

impl Known {
    /// Notes a mobile; false when it was known.
    pub fn insert(&mut self, mobile: &str) -> bool {
        let plain = mobile.len() <= 18 && mobile.bytes().all(|b| b.is_ascii_digit());
        // A one in front keeps leading zeros apart.
        match format!("1{mobile}").parse() {
            Ok(number) if plain => self.numbers.insert(number),
            _ => self.texts.insert(mobile.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Cell {
        Cell::Text(text.into())
    }

    #[test]
    fn telephone_numbers_are_read_as_the_person_meant() {
        for (cell, expected) in [
            (Cell::Number(18_434_819_907.0), "18434819907"),
            (Cell::Number(1.8e10), "18000000000"),
            (text("18434819907.0"), "18434819907"),
            (text("1.8434819907E10"), "18434819907"),
            (text("1.8E10"), "18000000000"),
            (text("1.8434819907e+10"), "18434819907"),
            (text("1.84348199070E+10"), "18434819907"),
            (text("184 3481 9907"), "18434819907"),
            (text("１８４３４８１９９０７"), "18434819907"),
            (text("'18434819907"), "18434819907"),
            (text("133422898123"), "133422898123"),
            (text("+86 18434819907"), "+8618434819907"),
            (text("010-12345678"), "010-12345678"),
            (Cell::Number(1.0), "1"),
        ] {
            assert_eq!(mobile(&cell), Ok(expected.into()), "{cell:?}");
        }
        for cell in [
            Cell::Empty,
            text("1.84348E+10"),
            text("1.84E+10"),
            text("1.8434819907E9"),
            text("电话"),
            text("1843481990x"),
            text("E10"),
            text("1.5"),
            Cell::Number(18_434_819_907.5),
            Cell::Number(-18_434_819_907.0),
            Cell::Number(1.8e19),
            Cell::Number(f64::NAN),
            text("123456789012345678901"),
        ] {
            assert!(mobile(&cell).is_err(), "{cell:?}");
        }
    }

    #[test]
    fn counts_are_whole_and_not_negative() {
        for (cell, expected) in [
            (Cell::Number(100.0), 100),
            (text("100"), 100),
            (text("100.0"), 100),
            (text("１００"), 100),
            (Cell::Number(0.0), 0),
        ] {
            assert_eq!(read_count(&cell), Ok(expected), "{cell:?}");
        }
        for cell in [
            Cell::Empty,
            Cell::Number(1.5),
            Cell::Number(-1.0),
            Cell::Number(1e300),
            Cell::Number(f64::INFINITY),
            text("1e3"),
            text("many"),
            text("1000000001"),
        ] {
            assert!(read_count(&cell).is_err(), "{cell:?}");
        }
    }

    #[test]
    fn everything_wrong_with_a_row_is_named() {
        let long = text(&"长".repeat(256));
        let row = [&long, &Cell::Empty, &Cell::Empty, &Cell::Empty, &text("x")];
        assert_eq!(judge(row).expect_err("refused").len(), 3);
        let number = Cell::Number(42.0);
        let mobile = text("18434819907");
        let good = judge([&number, &number, &Cell::Empty, &mobile, &number]).expect("good");
        assert_eq!((good.given_user.as_str(), good.given_company.as_str(), good.read_count), ("42", "", 42));
    }

    #[test]
    fn repeats_are_told_by_the_whole_number() {
        let mut known = Known::default();
        for (mobile, new) in [
            ("18434819907", true),
            ("18434819907", false),
            ("018434819907", true),
            ("+8618434819907", true),
            ("+8618434819907", false),
            ("12345678901234567890", true),
            ("12345678901234567890", false),
            ("7", true),
            ("07", true),
        ] {
            assert_eq!(known.insert(mobile), new, "{mobile}");
        }
    }
}
