//! xls (BIFF8, Excel 97 and later): the few records that hold values, read one by one.
//!
//! Own code, because calamine reserves room for whatever size a sheet claims and builds dense ranges: a file
//! of some hundred bytes ends the process. Here memory is bounded by the file's own size.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
};

use super::{Cell, MAX_CELLS, MAX_COLUMNS, ReadError, Row, Sink};

/// The workbook stream is in memory; Excel's own limit of 65,536 rows stays far below.
const MAX_STREAM_BYTES: u64 = 24 * 1024 * 1024;
const MAX_STRINGS: usize = 1_000_000;

mod record {
    pub const FORMULA: u16 = 0x0006;
    pub const EOF: u16 = 0x000A;
    pub const FILE_PASS: u16 = 0x002F;
    pub const CONTINUE: u16 = 0x003C;
    pub const BOUND_SHEET: u16 = 0x0085;
    pub const MUL_RK: u16 = 0x00BD;
    pub const RSTRING: u16 = 0x00D6;
    pub const SST: u16 = 0x00FC;
    pub const LABEL_SST: u16 = 0x00FD;
    pub const NUMBER: u16 = 0x0203;
    pub const LABEL: u16 = 0x0204;
    pub const BOOL_ERR: u16 = 0x0205;
    pub const STRING: u16 = 0x0207;
    pub const RK: u16 = 0x027E;
    pub const BOF: u16 = 0x0809;
}

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
        let mut records = Records { stream: &stream, at: 0 };
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
        let records = Records { stream: &self.stream, at: from };
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

/// Records of a stream: kind, length, data.
struct Records<'a> {
    stream: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let head = self.stream.get(self.at..self.at.checked_add(4)?)?;
        let (kind, length) = (u16_at(head, 0)?, usize::from(u16_at(head, 2)?));
        let data = self.stream.get(self.at + 4..self.at + 4 + length)?;
        self.at += 4 + length;
        Some((kind, data))
    }
}

impl<'a> Records<'a> {
    /// The next record, if it continues the one before.
    fn continued(&mut self) -> Option<&'a [u8]> {
        let before = self.at;
        match self.next() {
            Some((record::CONTINUE, data)) => Some(data),
            _ => {
                self.at = before;
                None
            }
        }
    }
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn f64_at(data: &[u8], at: usize) -> Option<f64> {
    data.get(at..at + 8)?.try_into().ok().map(f64::from_le_bytes)
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

/// A text with its length (2 bytes) and flags before it, whole in its record.
fn unicode_string(data: &[u8]) -> Option<String> {
    let mut reader = Pieces { piece: data, records: None };
    reader.string()
}

fn shared_strings(data: &[u8], records: &mut Records<'_>) -> Result<Vec<String>, ReadError> {
    // Total and unique numbers are not believed; the texts themselves are counted.
    let mut reader = Pieces { piece: data.get(8..).unwrap_or_default(), records: Some(records) };
    let mut strings = Vec::new();
    while let Some(text) = reader.string() {
        if strings.len() == MAX_STRINGS {
            return Err(ReadError::too_large("文件中的文本过多", "the file has too many texts"));
        }
        strings.push(text);
    }
    Ok(strings)
}

/// The bytes of a record and of those that continue it.
struct Pieces<'a, 'r, 's> {
    piece: &'a [u8],
    records: Option<&'r mut Records<'s>>,
}

impl<'a, 'r, 's: 'a> Pieces<'a, 'r, 's> {
    /// Goes on to the next piece when this one is used up; false at the end.
    fn refill(&mut self) -> bool {
        while self.piece.is_empty() {
            match self.records.as_mut().and_then(|r| r.continued()) {
                Some(next) => self.piece = next,
                None => return false,
            }
        }
        true
    }

    fn byte(&mut self) -> Option<u8> {
        if !self.refill() {
            return None;
        }
        let (first, rest) = self.piece.split_first()?;
        self.piece = rest;
        Some(*first)
    }

    fn number(&mut self, bytes: u32) -> Option<usize> {
        (0..bytes).try_fold(0, |n, i| Some(n | usize::from(self.byte()?) << (8 * i)))
    }

    fn skip(&mut self, mut bytes: usize) -> Option<()> {
        while bytes > 0 {
            if !self.refill() {
                return None;
            }
            let step = bytes.min(self.piece.len());
            self.piece = &self.piece[step..];
            bytes -= step;
        }
        Some(())
    }

    /// Characters, then formatting runs and phonetics, which are skipped.
    fn string(&mut self) -> Option<String> {
        let mut left = self.number(2)?;
        let flags = self.byte()?;
        let runs = if flags & 8 != 0 { self.number(2)? } else { 0 };
        let phonetics = if flags & 4 != 0 { self.number(4)? } else { 0 };
        let mut wide = flags & 1 != 0;
        let mut units: Vec<u16> = Vec::new();
        while left > 0 {
            if self.piece.is_empty() {
                if !self.refill() {
                    return None;
                }
                // Characters that go on in the next record begin with new flags.
                wide = self.byte()? & 1 != 0;
            }
            let width = if wide { 2 } else { 1 };
            let step = left.min(self.piece.len() / width);
            if step == 0 {
                return None;
            }
            let (taken, rest) = self.piece.split_at(step * width);
            self.piece = rest;
            if wide {
                units.extend(taken.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])));
            } else {
                units.extend(taken.iter().map(|b| u16::from(*b)));
            }
            left -= step;
        }
        self.skip(runs * 4)?;
        self.skip(phonetics)?;
        Some(String::from_utf16_lossy(&units))
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    fn put(stream: &mut Vec<u8>, kind: u16, data: &[u8]) {
        stream.extend(kind.to_le_bytes());
        stream.extend(u16::try_from(data.len()).expect("short").to_le_bytes());
        stream.extend(data);
    }

    fn at(row: u16, column: u16) -> Vec<u8> {
        [row, column, 0].iter().flat_map(|n| n.to_le_bytes()).collect()
    }

    /// A text cut in the middle of its characters, the rest in other width.
    fn workbook() -> Vec<u8> {
        let mut stream = Vec::new();
        put(&mut stream, record::BOF, &[0; 16]);
        let mut first = vec![1, 0, 0, 0, 1, 0, 0, 0];
        first.extend([6, 0, 1 | 8 | 4, 1, 0, 3, 0, 0, 0]);
        first.extend("报告".encode_utf16().flat_map(u16::to_le_bytes));
        put(&mut stream, record::SST, &first);
        put(&mut stream, record::CONTINUE, &[0, b'a', b'b', b'c']);
        put(&mut stream, record::CONTINUE, &[0, b'd', 9, 9, 9, 9, 7, 7, 7]);
        let place = u32::try_from(stream.len() + 4 + 8 + 4).expect("short");
        let mut sheet = place.to_le_bytes().to_vec();
        sheet.extend([0, 0, 1, 0]);
        put(&mut stream, record::BOUND_SHEET, &sheet);
        put(&mut stream, record::EOF, &[]);
        put(&mut stream, record::BOF, &[0; 16]);
        put(&mut stream, record::BOF, &[0; 16]); // a chart
        put(&mut stream, record::NUMBER, &[at(0, 9), 1.0_f64.to_le_bytes().to_vec()].concat());
        put(&mut stream, record::EOF, &[]);
        put(&mut stream, record::LABEL_SST, &[at(1, 0), vec![0, 0, 0, 0]].concat());
        put(&mut stream, record::LABEL_SST, &[at(1, 1), vec![9, 0, 0, 0]].concat());
        put(&mut stream, record::RK, &[at(0, 0), (100_u32 << 2 | 2).to_le_bytes().to_vec()].concat());
        put(&mut stream, record::RK, &[at(0, 1), (150_u32 << 2 | 3).to_le_bytes().to_vec()].concat());
        let half = ((0.5_f64.to_bits() >> 32) as u32).to_le_bytes();
        put(
            &mut stream,
            record::MUL_RK,
            &[&[0, 0, 2, 0, 0, 0], &half[..], &[0, 0], &half[..], &[3, 0]].concat(),
        );
        let text_result = [0, 0, 0, 0, 0, 0, 0xFF, 0xFF];
        put(&mut stream, record::FORMULA, &[at(0, 4), text_result.to_vec(), vec![0; 8]].concat());
        put(&mut stream, record::STRING, &[2, 0, 0, b'o', b'k']);
        put(&mut stream, record::FORMULA, &[at(0, 5), 7.0_f64.to_le_bytes().to_vec(), vec![0; 8]].concat());
        put(&mut stream, record::BOOL_ERR, &[at(0, 6), vec![1, 0]].concat());
        put(&mut stream, record::LABEL, &[at(0, 7), vec![1, 0, 0, b'L']].concat());
        put(&mut stream, record::EOF, &[]);
        put(&mut stream, record::NUMBER, &[at(9, 9), 1.0_f64.to_le_bytes().to_vec()].concat());
        stream
    }

    fn rows(stream: Vec<u8>) -> Option<Vec<Row>> {
        let mut book = Book::parse(stream).ok()?;
        let mut rows = Vec::new();
        for sheet in 0..book.sheets() {
            book.read(sheet, &mut |row| {
                rows.push(row);
                Ok(ControlFlow::Continue(()))
            })
            .ok()?;
        }
        Some(rows)
    }

    #[test]
    fn every_kind_of_cell_is_read() {
        let rows = rows(workbook()).expect("readable");
        let (number, text) = (|n| Cell::Number(n), |t: &str| Cell::Text(t.into()));
        let first = vec![
            number(100.0),
            number(1.5),
            number(0.5),
            number(0.5),
            text("ok"),
            number(7.0),
            text("TRUE"),
            text("L"),
        ];
        let expected = [Row { number: 1, cells: first }, Row { number: 2, cells: vec![text("报告abcd")] }];
        assert_eq!(rows, expected);
    }

    #[test]
    fn no_damage_makes_it_panic_or_run_on() {
        let whole = workbook();
        for cut in 0..whole.len() {
            rows(whole[..cut].to_vec());
        }
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let mut damaged = whole.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (seed >> 33) as usize % damaged.len();
                damaged[at] = (seed >> 16) as u8;
            }
            rows(damaged);
        }
    }
}
