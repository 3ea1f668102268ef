//! Reads people's spreadsheets row by row: xlsx, xls and csv, whatever the file is called. Nothing here trusts
//! the file: sizes are checked before anything is unpacked, rows are handed on as they are read.
//!
//! Runs on a blocking thread; knows nothing of HTTP and the database.

mod csv;
mod table;
mod xls;
mod xlsx;
mod zip_guard;

use std::{
    fs::File,
    io::{self, Read, Seek},
    ops::ControlFlow,
    path::Path,
};

pub use table::{Columns, read_table};

/// Columns kept of a row; what stands further right is not read.
pub const MAX_COLUMNS: usize = 64;
/// Rows with something in them.
pub const MAX_ROWS: u32 = 500_000;
/// Cells of a sheet, wherever they stand.
const MAX_CELLS: u64 = 20_000_000;
/// Characters kept of a cell: more than any column takes, so that a longer text is refused as too long.
pub const MAX_CELL_CHARS: usize = 1_000;
/// Sheets looked into for the header.
const MAX_SHEETS: usize = 20;

/// A cell, as far as a white list is concerned.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Empty,
    Text(String),
    Number(f64),
}

impl Cell {
    /// A text cell; blank text is an empty cell.
    fn text(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::Empty;
        }
        match text.char_indices().nth(MAX_CELL_CHARS) {
            Some((at, _)) => Self::Text(text[..at].to_owned()),
            None => Self::Text(text.to_owned()),
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

/// A row under its own number in the sheet, from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub number: u32,
    pub cells: Vec<Cell>,
}

/// Why a file is not taken. The texts say it in Chinese and English.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not a spreadsheet, or one of a kind that is not read.
    #[error("unsupported file: {en}")]
    WrongKind { zh: &'static str, en: &'static str },
    /// A spreadsheet that cannot be used.
    #[error("unusable file: {en}")]
    Unusable { zh: String, en: String },
    /// Beyond a limit.
    #[error("too large: {en}")]
    TooLarge { zh: String, en: String },
    /// Our own disk failed.
    #[error("the uploaded file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Whoever takes the rows gave up.
    #[error("reading was stopped")]
    Stopped,
}

impl ReadError {
    fn too_large(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self::TooLarge { zh: zh.into(), en: en.into() }
    }

    fn broken(cause: &dyn std::fmt::Display) -> Self {
        tracing::debug!(%cause, "a spreadsheet cannot be read");
        Self::Unusable { zh: "文件已损坏，无法读取".into(), en: "the file is damaged".into() }
    }
}

/// Takes rows; breaks to see no more of this sheet.
type Sink<'a> = dyn FnMut(Row) -> Result<ControlFlow<()>, ReadError> + 'a;

/// A file whose kind is known and whose size has been checked.
enum Book {
    Xlsx(Box<xlsx::Book>),
    Xls(xls::Book),
    Csv(csv::Book),
}

impl Book {
    fn open(path: &Path, name: &str) -> Result<Self, ReadError> {
        let mut file = File::open(path)?;
        let mut magic = [0; 8];
        let read = read_up_to(&mut file, &mut magic)?;
        file.rewind()?;
        match &magic[..read] {
            [b'P', b'K', 3, 4, ..] => Ok(Self::Xlsx(Box::new(xlsx::Book::open(file)?))),
            [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1] => Ok(Self::Xls(xls::Book::open(file)?)),
            _ if csv::is_text_name(name) => Ok(Self::Csv(csv::Book::open(file)?)),
            _ => Err(ReadError::WrongKind {
                zh: "不支持的文件类型，请上传 .xlsx、.xls 或 .csv 文件",
                en: "this is no .xlsx, .xls or .csv file",
            }),
        }
    }

    fn sheets(&self) -> usize {
        match self {
            Self::Xlsx(book) => book.sheets(),
            Self::Xls(book) => book.sheets(),
            Self::Csv(_) => 1,
        }
    }

    fn read(&mut self, sheet: usize, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        match self {
            Self::Xlsx(book) => book.read(sheet, sink),
            Self::Xls(book) => book.read(sheet, sink),
            Self::Csv(book) => book.read(sink),
        }
    }
}

fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}
