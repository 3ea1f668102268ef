//! Writes workbooks: the template, the export, the refused rows. Row by row into a temporary file, so that
//! the memory taken does not grow with the rows. Text is always typed as text: what begins with `=` is no formula.
//!
//! Runs on a blocking thread.

use std::fs::File;

use rust_xlsxwriter::{
    DataValidation, DataValidationRule, Format, FormatAlign, Note, Workbook, Worksheet, XlsxError,
};
use serde_json::Value;
use tokio::sync::mpsc::Receiver;

use super::{
    rules::{EXAMPLE, HEADER},
    store::ExportRow,
};
use crate::whitelist::rules::MAX_READS;

/// Rows of one sheet: below Excel's limit of 1,048,576.
const SHEET_ROWS: u32 = 1_000_000;
/// Characters that Excel takes in a cell.
const MAX_CELL_CHARS: usize = 32_767;
const WIDTHS: [f64; 5] = [22.0, 16.0, 28.0, 18.0, 12.0];
const NOTES: [&str; 5] = [
    "选填，最多 255 字\nOptional, at most 255 characters",
    "选填，最多 255 字\nOptional, at most 255 characters",
    "选填，最多 255 字\nOptional, at most 255 characters",
    "必填。同一报告内已有的号码会被跳过\nRequired. A number the report has already is skipped",
    "必填，不小于 0 的整数\nRequired, an integer, 0 or more",
];

fn header_format() -> Format {
    Format::new().set_bold().set_align(FormatAlign::Center)
}

/// Five columns with their widths and the header in the first row.
fn begin(sheet: &mut Worksheet) -> Result<(), XlsxError> {
    for (column, (title, width)) in (0..).zip(HEADER.into_iter().zip(WIDTHS)) {
        sheet.set_column_width(column, width)?;
        sheet.write_string_with_format(0, column, title, &header_format())?;
    }
    sheet.set_freeze_panes(1, 0)?;
    Ok(())
}

/// The template: header with notes, an example row, and rules for what may be typed.
pub fn template() -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.set_name("白名单")?;
    begin(sheet)?;
    for (column, note) in (0..).zip(NOTES) {
        sheet.insert_note(0, column, &Note::new(note).set_author("Baodan"))?;
    }
    // As text, so that a telephone number keeps all its digits.
    sheet.set_column_format(3, &Format::new().set_num_format("@"))?;
    let (user, position, company, mobile, reads) = EXAMPLE;
    for (column, text) in (0..).zip([user, position, company, mobile]) {
        sheet.write_string(1, column, text)?;
    }
    sheet.write_number(1, 4, reads as f64)?;
    let count = DataValidation::new()
        .allow_whole_number(DataValidationRule::Between(0, i32::try_from(MAX_READS).unwrap_or(i32::MAX)))
        .set_error_title("阅读次数")?
        .set_error_message("必须是不小于 0 的整数 / an integer, 0 or more")?;
    sheet.add_data_validation(1, 4, 1_048_575, 4, &count)?;
    let mobile = DataValidation::new()
        .allow_text_length(DataValidationRule::Between(1, 20))
        .set_error_title("电话")?
        .set_error_message("最多 20 位 / at most 20 characters")?;
    sheet.add_data_validation(1, 3, 1_048_575, 3, &mobile)?;
    workbook.save_to_buffer()
}

/// What an export or a list of refused rows is made of.
pub enum Rows<T> {
    Some(Vec<T>),
    /// All rows were sent. A channel that closes without it was given up.
    End,
}

/// Why a workbook was not finished.
#[derive(Debug)]
pub enum Unfinished {
    /// Whoever sent the rows gave up.
    GivenUp,
    Failed(XlsxError),
}

impl<E: Into<XlsxError>> From<E> for Unfinished {
    fn from(e: E) -> Self {
        Self::Failed(e.into())
    }
}

/// The white list as a workbook that an import takes back.
pub fn export(mut rows: Receiver<Rows<ExportRow>>) -> Result<File, Unfinished> {
    let mut workbook = Workbook::new();
    let mut sheet = workbook.add_worksheet_with_constant_memory()?;
    begin(sheet)?;
    let mut at = 0;
    loop {
        match rows.blocking_recv() {
            None => return Err(Unfinished::GivenUp),
            Some(Rows::End) => break,
            Some(Rows::Some(batch)) => {
                for (_, user, position, company, mobile, reads) in batch {
                    if at == SHEET_ROWS {
                        sheet = workbook.add_worksheet_with_constant_memory()?;
                        begin(sheet)?;
                        at = 0;
                    }
                    at += 1;
                    for (column, text) in (0..).zip([user, position, company, mobile]) {
                        if !text.is_empty() {
                            sheet.write_string(at, column, text)?;
                        }
                    }
                    sheet.write_number(at, 4, reads as f64)?;
                }
            }
        }
    }
    save(workbook)
}

/// A refused row: sheet row, why, its cells.
pub type Refused = (i64, String, Vec<Value>);

/// The refused rows under their author's own header, behind their row number and the reason.
pub fn errors(header: &[String], mut rows: Receiver<Rows<Refused>>) -> Result<File, Unfinished> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet_with_constant_memory()?;
    sheet.set_column_width(0, 8.0)?;
    sheet.set_column_width(1, 48.0)?;
    let titles = ["行号", "原因"].into_iter().chain(header.iter().map(String::as_str));
    for (column, title) in (0..).zip(titles) {
        sheet.write_string_with_format(0, column, title, &header_format())?;
    }
    let mut at = 0;
    loop {
        match rows.blocking_recv() {
            None => return Err(Unfinished::GivenUp),
            Some(Rows::End) => break,
            Some(Rows::Some(batch)) => {
                for (number, reason, cells) in batch {
                    at += 1;
                    sheet.write_number(at, 0, number as f64)?;
                    sheet.write_string(at, 1, reason)?;
                    for (column, cell) in (2..).zip(cells) {
                        write_cell(sheet, at, column, cell)?;
                    }
                }
            }
        }
    }
    save(workbook)
}

fn write_cell(sheet: &mut Worksheet, row: u32, column: u16, cell: Value) -> Result<(), XlsxError> {
    match cell {
        Value::Number(n) => sheet.write_number(row, column, n.as_f64().unwrap_or_default())?,
        Value::String(text) if !text.is_empty() => {
            sheet.write_string(row, column, text.chars().take(MAX_CELL_CHARS).collect::<String>())?
        }
        _ => sheet,
    };
    Ok(())
}

fn save(mut workbook: Workbook) -> Result<File, Unfinished> {
    let mut file = tempfile::tempfile().map_err(XlsxError::from)?;
    workbook.save_to_writer(&mut file)?;
    Ok(file)
}
