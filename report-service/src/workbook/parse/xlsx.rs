//! xlsx, by calamine's lazy cell reader only: its dense ranges allocate whatever corner a file names.

use std::{
    fs::File,
    io::{BufReader, Seek},
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use calamine::{DataRef, Reader, Xlsx, XlsxError};

use super::{Cell, MAX_CELLS, MAX_COLUMNS, MAX_SHEETS, ReadError, Row, Sink, zip_guard};

/// An open workbook; its texts and styles are in memory, its sheets are not.
pub struct Book {
    inner: Xlsx<BufReader<File>>,
    names: Vec<String>,
}

impl Book {
    pub fn open(mut file: File) -> Result<Self, ReadError> {
        zip_guard::check(&mut file)?;
        file.rewind()?;
        let inner = careful(|| Xlsx::new(BufReader::new(file)))?.map_err(|e| refusal(&e))?;
        let names = inner.sheet_names().into_iter().take(MAX_SHEETS).collect();
        Ok(Self { inner, names })
    }

    pub fn sheets(&self) -> usize {
        self.names.len()
    }

    /// Hands on the rows of a sheet that have a cell.
    pub fn read(&mut self, sheet: usize, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        let name = self.names[sheet].clone();
        let mut reader = match careful(|| self.inner.worksheet_cells_reader(&name))? {
            Ok(reader) => reader,
            // A chart or macro sheet among the others.
            Err(XlsxError::NotAWorksheet(_) | XlsxError::WorksheetNotFound(_)) => return Ok(()),
            Err(e) => return Err(ReadError::broken(&e)),
        };
        let mut row = Row { number: 0, cells: Vec::new() };
        let mut cells: u64 = 0;
        while let Some(cell) = careful(|| reader.next_cell())?.map_err(|e| ReadError::broken(&e))? {
            let (at, column) = cell.get_position();
            cells += 1;
            if cells > MAX_CELLS || column >= 16_384 || at >= 1_048_576 {
                return Err(ReadError::too_large("工作表过大", "the sheet is too large"));
            }
            let number = at + 1;
            if number != row.number {
                if number < row.number {
                    return Err(ReadError::broken(&"rows out of order"));
                }
                let capacity = row.cells.len();
                let next = Row { number, cells: Vec::with_capacity(capacity) };
                let done = std::mem::replace(&mut row, next);
                if done.number > 0 && sink(done)?.is_break() {
                    return Ok(());
                }
            }
            let column = column as usize;
            if column < MAX_COLUMNS {
                if row.cells.len() <= column {
                    row.cells.resize(column + 1, Cell::Empty);
                }
                row.cells[column] = value(cell.get_value());
            }
        }
        if row.number > 0 {
            let _: ControlFlow<()> = sink(row)?;
        }
        Ok(())
    }
}

/// A file that makes calamine panic (a cell `A99999999999` does, where overflow is checked) is damaged, not our fault:
/// nothing of the reader is used after that.
fn careful<T>(read: impl FnOnce() -> T) -> Result<T, ReadError> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| ReadError::broken(&"the reader panicked"))
}

/// What opening says: a zip that is no workbook is the wrong kind, not a damaged one.
fn refusal(e: &XlsxError) -> ReadError {
    match e {
        XlsxError::Password => ReadError::WrongKind {
            zh: "文件有密码保护，无法读取",
            en: "the file is protected by a password",
        },
        XlsxError::FileNotFound(_) | XlsxError::RelationshipNotFound => ReadError::WrongKind {
            zh: "不是 Excel 工作簿，请上传 .xlsx、.xls 或 .csv 文件",
            en: "this archive is no workbook",
        },
        e => ReadError::broken(e),
    }
}

fn value(data: &DataRef<'_>) -> Cell {
    match data {
        DataRef::Empty => Cell::Empty,
        DataRef::SharedString(text) => Cell::text(text),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Cell::text(text),
        DataRef::Float(number) => Cell::Number(*number),
        DataRef::Int(number) => Cell::Number(*number as f64),
        // A number under a date format: a phone number is a number all the same.
        DataRef::DateTime(time) => Cell::Number(time.as_f64()),
        DataRef::Bool(value) => Cell::text(if *value { "TRUE" } else { "FALSE" }),
        DataRef::Error(error) => Cell::text(&error.to_string()),
    }
}
