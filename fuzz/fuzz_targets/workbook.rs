#![no_main]
//! An uploaded file as it is: xlsx, xls or csv. Only the last asks for a name.

use std::cell::RefCell;

use fuzz::workbook::{Upload, unwind};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static UPLOAD: RefCell<Upload> = RefCell::default();
}

fuzz_target!(init: unwind(), |input: &[u8]| {
    UPLOAD.with_borrow_mut(|upload| upload.read(input, "a.csv"));
});
