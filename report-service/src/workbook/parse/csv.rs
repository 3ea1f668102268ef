//! csv in UTF-8 (with or without a byte order mark), UTF-16 with one, or GBK; commas, semicolons or tabs.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek},
};

use encoding_rs::{Encoding, GB18030, UTF_8};
use encoding_rs_io::DecodeReaderBytesBuilder;

use super::{Cell, MAX_CELLS, MAX_COLUMNS, ReadError, Row, Sink, read_up_to};

/// May a file of this name be a text file?
pub fn is_text_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".csv") || name.ends_with(".txt") || name.ends_with(".tsv")
}

/// A text file whose encoding is known.
pub struct Book {
    file: File,
    encoding: &'static Encoding,
    delimiter: u8,
}

impl Book {
    pub fn open(mut file: File) -> Result<Self, ReadError> {
        let encoding = encoding_of(&mut file)?;
        let delimiter = delimiter_of(&mut file, encoding)?;
        Ok(Self { file, encoding, delimiter })
    }

    /// Hands on the rows that are not empty lines, under the row numbers a spreadsheet program shows.
    pub fn read(&mut self, sink: &mut Sink<'_>) -> Result<(), ReadError> {
        self.file.rewind()?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .from_reader(Lines {
                inner: decoded(&self.file, self.encoding).chain(&b"\n"[..]),
                after_return: false,
            });
        let mut record = csv::StringRecord::new();
        let (mut cells, mut inside, mut last) = (0, 0, 0);
        while reader.read_record(&mut record).map_err(refusal)? {
            // A line break inside quotes starts no row; an empty line is one.
            let breaks = |field: &str| memchr::memchr_iter(b'\n', field.as_bytes()).count() as u64;
            inside += record.iter().map(breaks).sum::<u64>();
            let number = reader.position().line().saturating_sub(1 + inside);
            // Where quotes do not match, lines are counted differently; rows rise whatever a file holds.
            let number = number.max(last + 1);
            last = number;
            cells += record.len() as u64;
            if cells > MAX_CELLS {
                return Err(ReadError::too_large("文件过大", "the file has too many cells"));
            }
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let row = Row { number, cells: record.iter().take(MAX_COLUMNS).map(Cell::text).collect() };
            if sink(row)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn decoded(file: &File, encoding: &'static Encoding) -> impl Read {
    DecodeReaderBytesBuilder::new()
        .encoding(Some(encoding))
        .bom_override(true)
        .strip_bom(true)
        .build(BufReader::new(file))
}

/// Makes every line end a line feed, so that the reader's line numbers can be counted on.
struct Lines<R> {
    inner: R,
    after_return: bool,
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.inner.read(buffer)?;
            let mut kept = 0;
            for at in 0..read {
                let byte = buffer[at];
                if !(byte == b'\n' && self.after_return) {
                    buffer[kept] = if byte == b'\r' { b'\n' } else { byte };
                    kept += 1;
                }
                self.after_return = byte == b'\r';
            }
            // Nothing kept of something read is not the end.
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}

fn refusal(e: csv::Error) -> ReadError {
    match e.into_kind() {
        csv::ErrorKind::Io(e) => ReadError::Io(e),
        other => ReadError::broken(&format!("{other:?}")),
    }
}

/// UTF-8 if the whole file is; else what its mark says; else GBK, as Excel in China writes.
fn encoding_of(file: &mut File) -> Result<&'static Encoding, ReadError> {
    let mut buffer = vec![0; 64 * 1024];
    let mut first = read_up_to(file, &mut buffer[..4])?;
    if let Some((encoding, _)) = Encoding::for_bom(&buffer[..first]) {
        return Ok(encoding);
    }
    let mut utf8 = true;
    // Bytes of a character that lies across two reads, `first` at the beginning.
    let mut kept = std::mem::take(&mut first);
    loop {
        let read = file.read(&mut buffer[kept..])?;
        let filled = kept + read;
        if memchr::memchr(0, &buffer[..filled]).is_some() {
            return Err(ReadError::WrongKind {
                zh: "不是文本文件，请上传 .xlsx、.xls 或 .csv 文件",
                en: "this is no text file",
            });
        }
        match std::str::from_utf8(&buffer[..filled]) {
            Ok(_) => kept = 0,
            Err(e) if e.error_len().is_none() && read > 0 => {
                let from = e.valid_up_to();
                kept = filled - from;
                buffer.copy_within(from..filled, 0);
            }
            Err(_) => {
                utf8 = false;
                kept = 0;
            }
        }
        if read == 0 {
            return Ok(if utf8 { UTF_8 } else { GB18030 });
        }
    }
}

/// The separator that the first line has most of.
fn delimiter_of(file: &mut File, encoding: &'static Encoding) -> Result<u8, ReadError> {
    file.rewind()?;
    let mut head = vec![0; 4096];
    let read = read_up_to(&mut decoded(file, encoding), &mut head)?;
    let line = head[..read].split(|b| *b == b'\n').find(|l| !l.trim_ascii().is_empty()).unwrap_or_default();
    let count = |d: u8| memchr::memchr_iter(d, line).count();
    // In doubt a comma: the last of equals wins.
    Ok([b';', b'\t', b','].into_iter().max_by_key(|d| count(*d)).unwrap_or(b','))
}

#[cfg(test)]
mod tests {
    use std::{io::Write, ops::ControlFlow};

    use super::*;

    fn rows(text: &[u8]) -> Vec<(u32, Vec<String>)> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(text).expect("written");
        file.rewind().expect("rewound");
        let mut rows = Vec::new();
        let mut book = Book::open(file).expect("text");
        book.read(&mut |row| {
            let cells =
                row.cells.iter().map(|c| if let Cell::Text(t) = c { t.clone() } else { String::new() });
            rows.push((row.number, cells.collect()));
            Ok(ControlFlow::Continue(()))
        })
        .expect("readable");
        rows
    }

    #[test]
    fn rows_rise_also_where_quotes_do_not_match() {
        // fuzz/corpus/workbook/crooked.csv
        let crooked = b"\xea\xc7\xb3\xc6;\xd6\xb0\xce\xbb?;\xb9\xab\xcb\xb3\xc6;\xd6\xb0\xce\xbb?;\xb9\xab\xcb\xbe;\xb5\xe7\xbb\xb0;\xd4\xc4\xb6\xc1\xb4\xce\xca\
              \xfd\r\n\"\xc4\xb3;\xc8\xcb\"9\"a\"\"b\";\xb9\xab\xcb\xbe;13800000000;3\r\xbe;\xb5\
              \xe7\xbb\xb0;\xd4\xc4\xb6\xc1\xb4\xce\xca\xfd\r\n\"\xcb\xbe;13800000000;\n;\r;3;1.39\
              E10;1\n";
        let numbers: Vec<u32> = rows(crooked).iter().map(|r| r.0).collect();
        assert!(numbers.len() > 2 && numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }

    #[test]
    fn rows_have_the_numbers_a_spreadsheet_program_shows() {
        for ending in ["\n", "\r\n", "\r"] {
            for end in ["", ending] {
                let text =
                    format!("a,b{ending}{ending}{ending}\"x{ending}y\",z{ending}\"q\"\"q\",{ending}c,d{end}");
                let numbers: Vec<u32> = rows(text.as_bytes()).iter().map(|r| r.0).collect();
                assert_eq!(numbers, [1, 4, 5, 6], "{text:?}");
            }
        }
        assert!(rows(b"").is_empty());
        assert_eq!(rows(b"a"), [(1, vec!["a".to_owned()])]);
    }

    #[test]
    fn utf8_is_told_from_gbk_also_across_reads() {
        for padding in 65_530..65_540 {
            let text = format!("{}电话", "x".repeat(padding));
            assert!(rows(text.as_bytes())[0].1[0].starts_with("xxx"));
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(text.as_bytes()).expect("written");
            file.rewind().expect("rewound");
            assert_eq!(encoding_of(&mut file).expect("text"), UTF_8, "{padding}");
        }
        assert_eq!(rows(&GB18030.encode("电话,阅读次数").0)[0].1, ["电话", "阅读次数"]);
        assert_eq!(rows("\u{feff}电话;次数".as_bytes())[0].1, ["电话", "次数"]);
    }
}
