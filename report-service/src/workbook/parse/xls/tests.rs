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
    put(&mut stream, record::MUL_RK, &[&[0, 0, 2, 0, 0, 0], &half[..], &[0, 0], &half[..], &[3, 0]].concat());
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
fn a_stream_that_ends_anywhere_is_read_or_refused() {
    let whole = workbook();
    for cut in 0..whole.len() {
        rows(whole[..cut].to_vec());
    }
}
