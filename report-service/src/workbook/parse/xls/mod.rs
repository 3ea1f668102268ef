//! xls (BIFF8, Excel 97 and later): the few records that hold values, read one by one.
//!
//! Own code, because calamine reserves room for whatever size a sheet claims and builds dense ranges: a file
//! of some hundred bytes ends the process. Here memory is bounded by the file's own size.

mod record;
mod text;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
};

use self::{
    record::{Records, f64_at, u16_at, u32_at},
    text::{shared_strings, unicode_string},
};
use super::{Cell, MAX_CELLS, MAX_COLUMNS, ReadError, Row, Sink};

/// The workbook stream is in memory; Excel's own limit of 65,536 rows stays far below.
const MAX_STREAM_BYTES: u64 = 24 * 1024 * 1024;

/// An open workbook.
pub struct Book {
    stream: Vec<u8>,
    strings: Vec<String>,
    /// Where each worksheet begins in the stream.
    sheets: Vec<usize>,
}

impl Book {
    pub fn open(file: File) -> Result<Self, ReadError> {
        let mut container =
            cfb::CompoundFile::open(BufReader::new(file)).map_err(|e| ReadError::broken(&e))?;
        let stream = match container.open_stream("/Workbook") {
            Ok(stream) => stream,
            Err(_) if container.exists("/EncryptedPackage") => return Err(protected()),
            Err(_) => {
                return Err(ReadError::WrongKind {
                    zh: "不是可读取的 Excel 工作簿，请另存为 .xlsx 后上传",
                    en: "this is no workbook that can be read; save it as .xlsx",
                });
            }
        };
        if stream.len() > MAX_STREAM_BYTES {
            return Err(ReadError::too_large(
                "文件过大，请另存为 .xlsx 后上传",
                "too large; save it as .xlsx",
            ));
        }
        let mut bytes = Vec::new();
        stream.take(MAX_STREAM_BYTES).read_to_end(&mut bytes).map_err(|e| ReadError::broken(&e))?;
        Self::parse(bytes)
    }

    /// Reads the stream's first part: which sheets there are, and their common texts.
    fn parse(stream: Vec<u8>) -> Result<Self, ReadError> {
        let mut book = Self { strings: Vec::new(), sheets: Vec::new(), stream: Vec::new() };
        let mut records = Records::starting_at(&stream, 0);
        while let Some((kind, data)) = records.next() {
            match kind {
                record::FILE_PASS => return Err(protected()),
                // Position, then visibility, then kind: 0 is a worksheet.
                record::BOUND_SHEET if data.get(5) == Some(&0) => {
                    book.sheets.push(u32_at(data, 0).unwrap_or(u32::MAX) as usize);
                }
                record::SST => book.strings = shared_strings(data, &mut records)?,
                record::EOF => break,
                _ => {}
            }
        }
        book.stream = stream;
        Ok(book)
    }

    pub fn sheets(&self) -> usize {
        self.sheets.len()
    }

    /// Hands on the rows of a sheet in order of their numbers.
    pub fn read(&mut self, sheet: usize, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        for (number, cells) in self.rows(self.sheets[sheet])? {
            if sink(Row { number: u32::from(number) + 1, cells })?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn rows(&self, from: usize) -> Result<BTreeMap<u16, Vec<Cell>>, ReadError> {
        let mut rows: BTreeMap<u16, Vec<Cell>> = BTreeMap::new();
        let mut put = |row: u16, column: u16, cell: Cell| {
            let column = usize::from(column);
            if column < MAX_COLUMNS && !cell.is_empty() {
                let cells = rows.entry(row).or_default();
                if cells.len() <= column {
                    cells.resize(column + 1, Cell::Empty);
                }
                cells[column] = cell;
            }
        };
        let records = Records::starting_at(&self.stream, from);
        let (mut depth, mut seen, mut formula_at) = (0_u32, 0_u64, None);
        for (kind, data) in records {
            seen += 1;
            if seen > MAX_CELLS {
                return Err(ReadError::too_large("工作表过大", "the sheet is too large"));
            }
            match kind {
                // A chart inside the sheet is a stream of its own.
                record::BOF => depth += 1,
                record::EOF if depth <= 1 => break,
                record::EOF => depth -= 1,
                _ if depth > 1 => {}
                // The text of the formula before.
                record::STRING => {
                    if let (Some((row, column)), Some(text)) = (formula_at.take(), unicode_string(data)) {
                        put(row, column, Cell::text(&text));
                    }
                }
                record::MUL_RK => mul_rk(data, &mut put),
                _ => {
                    if let (Some(row), Some(column)) = (u16_at(data, 0), u16_at(data, 2)) {
                        if kind == record::FORMULA {
                            formula_at = Some((row, column));
                        }
                        put(row, column, self.value(kind, data));
                    }
                }
            }
        }
        Ok(rows)
    }

    /// The value of a cell record; empty for all other records.
    fn value(&self, kind: u16, data: &[u8]) -> Cell {
        let number = |n: Option<f64>| n.filter(|n| n.is_finite()).map_or(Cell::Empty, Cell::Number);
        match kind {
            record::NUMBER => number(f64_at(data, 6)),
            record::RK => number(u32_at(data, 6).map(rk)),
            record::LABEL_SST => {
                let text = u32_at(data, 6).and_then(|i| self.strings.get(i as usize));
                text.map_or(Cell::Empty, |t| Cell::text(t))
            }
            record::LABEL | record::RSTRING => {
                data.get(6..).and_then(unicode_string).map_or(Cell::Empty, |t| Cell::text(&t))
            }
            record::BOOL_ERR => match (data.get(6), data.get(7)) {
                (Some(value), Some(0)) => Cell::text(if *value == 0 { "FALSE" } else { "TRUE" }),
                _ => Cell::text("#N/A"),
            },
            // A formula's last result; one that is no number has 0xFFFF at its end.
            record::FORMULA if u16_at(data, 12) != Some(0xFFFF) => number(f64_at(data, 6)),
            _ => Cell::Empty,
        }
    }
}

fn protected() -> ReadError {
    ReadError::WrongKind {
        zh: "文件有密码保护，无法读取", en: "the file is protected by a password"
    }
}

/// A number in 30 bits: the upper part of a float or an integer, possibly to be divided by 100.
fn rk(bits: u32) -> f64 {
    let number = if bits & 2 == 0 {
        f64::from_bits(u64::from(bits & !3) << 32)
    } else {
        f64::from((bits as i32) >> 2)
    };
    if bits & 1 == 0 { number } else { number / 100.0 }
}

fn mul_rk(data: &[u8], put: &mut impl FnMut(u16, u16, Cell)) {
    let (Some(row), Some(first)) = (u16_at(data, 0), u16_at(data, 2)) else { return };
    let cells = data.get(4..data.len().saturating_sub(2)).unwrap_or_default().chunks_exact(6);
    for (offset, cell) in cells.enumerate() {
        let column = u16::try_from(usize::from(first) + offset);
        if let (Ok(column), Some(bits)) = (column, u32_at(cell, 2)) {
            put(row, column, Cell::Number(rk(bits)));
        }
    }
}

#[cfg(test)]
mod tests;
