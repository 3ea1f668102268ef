//! Files as people and attackers make them.

use std::io::Write;

use rust_xlsxwriter::Workbook;
use zip::{ZipWriter, write::SimpleFileOptions};

/// A cell to write.
#[derive(Clone)]
pub enum Put {
    Text(String),
    Number(f64),
    Nothing,
}

impl From<&str> for Put {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<f64> for Put {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

pub const HEADER: [&str; 5] = ["昵称", "职位", "公司", "电话", "阅读次数"];

/// An xlsx with these rows from the first one on.
pub fn xlsx(rows: &[Vec<Put>]) -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (r, row) in (0..).zip(rows) {
        for (c, cell) in (0..).zip(row) {
            match cell {
                Put::Text(text) => drop(sheet.write_string(r, c, text).unwrap()),
                Put::Number(number) => drop(sheet.write_number(r, c, *number).unwrap()),
                Put::Nothing => {}
            }
        }
    }
    workbook.save_to_buffer().unwrap()
}

/// Header and one row for each (mobile, reads).
pub fn simple(rows: impl IntoIterator<Item = (String, f64)>) -> Vec<u8> {
    let mut all = vec![HEADER.map(Put::from).to_vec()];
    all.extend(rows.into_iter().map(|(mobile, reads)| {
        vec!["某人".into(), "".into(), "某公司".into(), mobile.as_str().into(), reads.into()]
    }));
    xlsx(&all)
}

/// A multipart body with the file under `file`; its media type and bytes.
pub fn form(name: &str, file: &[u8]) -> (&'static str, Vec<u8>) {
    form_as("file", name, file)
}

pub fn form_as(field: &str, name: &str, file: &[u8]) -> (&'static str, Vec<u8>) {
    let mut body = format!(
        "--bao\r\ncontent-disposition: form-data; name=\"x\"\r\n\r\n1\r\n--bao\r\ncontent-disposition: form-data; \
         name=\"{field}\"; filename=\"{name}\"\r\ncontent-type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--bao--\r\n");
    ("multipart/form-data; boundary=bao", body)
}

const WORKBOOK: &str = r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>"#;
const RELATIONS: &str = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;
const ROOT: &str = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
const TYPES: &str = r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>"#;

/// An xlsx made by hand: `sheet` is what stands in sheetData, `strings` the whole shared strings part; `more`
/// are further parts.
pub fn crafted(sheet: &[u8], strings: Option<&[u8]>, more: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    let mut add = |name: &str, pieces: &[&[u8]]| {
        zip.start_file(name, options).unwrap();
        pieces.iter().for_each(|piece| zip.write_all(piece).unwrap());
    };
    add("[Content_Types].xml", &[TYPES.as_bytes()]);
    add("_rels/.rels", &[ROOT.as_bytes()]);
    add("xl/workbook.xml", &[WORKBOOK.as_bytes()]);
    add("xl/_rels/workbook.xml.rels", &[RELATIONS.as_bytes()]);
    let head = br#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>"#;
    add("xl/worksheets/sheet1.xml", &[head, sheet, b"</sheetData></worksheet>"]);
    if let Some(strings) = strings {
        add("xl/sharedStrings.xml", &[strings]);
    }
    for (name, bytes) in more {
        add(name, &[bytes]);
    }
    zip.finish().unwrap().into_inner()
}

/// `<row>`s with inline texts, from row 1 on.
pub fn inline_rows(rows: &[&[&str]]) -> String {
    let mut text = String::new();
    for (n, row) in (1..).zip(rows) {
        text += &format!("<row r=\"{n}\">");
        for (cell, letter) in row.iter().zip('A'..) {
            text += &format!("<c r=\"{letter}{n}\" t=\"inlineStr\"><is><t>{cell}</t></is></c>");
        }
        text += "</row>";
    }
    text
}
