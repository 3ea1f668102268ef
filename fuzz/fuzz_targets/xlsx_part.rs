#![no_main]
//! One part of an otherwise good xlsx: past the archive's checksums, into the XML. The first line of the input names
//! the part, the rest is what stands in it.

use std::{
    cell::RefCell,
    io::{Cursor, Write},
};

use fuzz::workbook::{Upload, unwind};
use libfuzzer_sys::fuzz_target;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// The good ones; the seeds hold the same under the same names.
const PARTS: [(&str, &str); 6] = [
    ("_rels/.rels", include_str!("../corpus/xlsx_part/root")),
    ("xl/worksheets/sheet1.xml", include_str!("../corpus/xlsx_part/sheet")),
    ("xl/sharedStrings.xml", include_str!("../corpus/xlsx_part/strings")),
    ("xl/workbook.xml", include_str!("../corpus/xlsx_part/workbook")),
    ("xl/_rels/workbook.xml.rels", include_str!("../corpus/xlsx_part/relations")),
    ("xl/styles.xml", include_str!("../corpus/xlsx_part/styles")),
];

thread_local! {
    static UPLOAD: RefCell<Upload> = RefCell::default();
}

/// How many rows are read of the package whose part `name` is `xml`.
fn rows(name: &[u8], xml: &[u8]) -> u32 {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (part, seed) in PARTS {
        let (_, good) = seed.split_once('\n').expect("a name and a part");
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(part, stored).expect("a part");
        zip.write_all(if part.as_bytes() == name { xml } else { good.as_bytes() }).expect("its bytes");
    }
    let file = zip.finish().expect("an archive").into_inner();
    UPLOAD.with_borrow_mut(|upload| upload.read(&file, "a.xlsx"))
}

fuzz_target!(
    init: {
        assert_eq!(rows(b"", b""), 2, "the good package is read");
        unwind();
    },
    |input: &[u8]| {
        let line = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
        rows(&input[..line], input.get(line + 1..).unwrap_or_default());
    }
);
