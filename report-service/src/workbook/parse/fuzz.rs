//! Workbooks as damage and malice leave them: read or refused, never the end of the process.

use std::io::{Cursor, Read, Write};

use rust_xlsxwriter::Workbook;
use testing::Fuzz;
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::{Cell, MAX_CELL_CHARS, MAX_COLUMNS, ReadError, read_table};

const CSV: &str =
    "昵称,职位,公司,电话,阅读次数\r\n\"某,人\",\"a\"\"b\",公司,13800000000,3\r\n,,,13900000000,1\n";

fn xlsx() -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (row, cells) in
        (0..).zip([["昵称", "电话", "阅读次数"], ["某人", "13800000000", "3"], ["=1+1", "13900000000", "2"]])
    {
        for (column, cell) in (0..).zip(cells) {
            sheet.write_string(row, column, cell).expect("a cell");
        }
    }
    sheet.write_number(3, 2, 5.0).expect("a cell");
    workbook.save_to_buffer().expect("a workbook")
}

/// Reads it under each of the names; what is refused says why in both languages.
fn read(bytes: &[u8], names: &[&str]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room on the disk");
    for name in names {
        let seen = read_table(file.path(), name, |columns, row| {
            assert!(row.cells.len() <= MAX_COLUMNS);
            for cell in columns.pick(&row) {
                if let Cell::Text(text) = cell {
                    assert!(text.chars().count() <= MAX_CELL_CHARS);
                }
            }
            Ok(())
        });
        if let Err(e @ (ReadError::Io(_) | ReadError::Stopped)) = seen {
            panic!("{name} is not to blame for {e}");
        }
    }
}

#[test]
fn damaged_files_are_read_or_refused() {
    let fuzz = Fuzz {
        folder: concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/workbook"),
        examples: vec![
            xlsx(),
            include_bytes!("../../../tests/it/files/white.xls").to_vec(),
            CSV.as_bytes().to_vec(),
        ],
        words: &[
            b"PK\x03\x04",
            b"PK\x01\x02",
            b"PK\x05\x06",
            b"\"",
            b",",
            b"\r\n",
            b"\xff\xfe",
            b"\xef\xbb\xbf",
            b"\xd0\xcf\x11\xe0",
        ],
        cases: 1_500,
    };
    fuzz.run(|input| read(input, &["a.csv", "a.xlsx"]));
}

/// The parts of an xlsx, packed anew after the damage: past the zip's checksums, into the XML.
#[test]
fn damaged_parts_of_an_xlsx_are_read_or_refused() {
    let mut archive = ZipArchive::new(Cursor::new(xlsx())).expect("a zip");
    let parts: Vec<(String, Vec<u8>)> = (0..archive.len())
        .map(|index| {
            let mut part = archive.by_index(index).expect("a part");
            let mut bytes = Vec::new();
            part.read_to_end(&mut bytes).expect("its bytes");
            (part.name().expect("a name").to_string(), bytes)
        })
        .collect();
    for (name, bytes) in parts.iter().filter(|(name, _)| {
        ["sheet1.xml", "sharedStrings.xml", "workbook.xml", "styles.xml", ".rels"]
            .iter()
            .any(|end| name.ends_with(end))
    }) {
        let fuzz = Fuzz {
            folder: concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/xlsx-part"),
            examples: vec![bytes.clone()],
            words: &[
                b"<",
                b"/>",
                b"</",
                b"<c r=\"XFD1048576\">",
                b"<v>",
                b"t=\"s\"",
                b"&#0;",
                b"<!DOCTYPE x [",
                b"&x;",
                b"<si><t>",
                b"\"",
                b"<row r=\"",
            ],
            cases: 500,
        };
        fuzz.run(|input| {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            for (other, bytes) in &parts {
                zip.start_file(other.as_str(), SimpleFileOptions::default()).expect("a part");
                zip.write_all(if other == name { input } else { bytes }).expect("its bytes");
            }
            read(zip.finish().expect("a zip").get_ref(), &["a.xlsx"]);
        });
    }
}
