#![no_main]
//! An uploaded file as it is: xlsx, xls or csv. Only the last asks for a name.

use std::cell::RefCell;

use fuzz::workbook::{Upload, unwind};
use libfuzzer_sys::fuzz_target;

/// One of each kind; each holds rows.
const GOOD: [&[u8]; 5] = [
    include_bytes!("../corpus/workbook/deflated.xlsx"),
    include_bytes!("../corpus/workbook/white.xls"),
    include_bytes!("../corpus/workbook/utf8.csv"),
    include_bytes!("../corpus/workbook/utf16.csv"),
    include_bytes!("../corpus/workbook/gbk.csv"),
];

thread_local! {
    static UPLOAD: RefCell<Upload> = RefCell::default();
}

fn rows(file: &[u8]) -> u32 {
    UPLOAD.with_borrow_mut(|upload| upload.read(file, "a.csv"))
}

fuzz_target!(
    init: {
        assert_eq!(GOOD.map(|file| rows(file) > 0), [true; 5], "the good ones are read");
        unwind();
    },
    |input: &[u8]| {
        rows(input);
    }
);
