//! Texts, which may go on in the records behind their own.

use super::{ReadError, record::Records};

const MAX_STRINGS: usize = 1_000_000;

/// A text with its length (2 bytes) and flags before it, whole in its record.
pub fn unicode_string(data: &[u8]) -> Option<String> {
    let mut reader = Pieces { piece: data, records: None };
    reader.string()
}

pub fn shared_strings(data: &[u8], records: &mut Records<'_>) -> Result<Vec<String>, ReadError> {
    // Total and unique numbers are not believed; the texts themselves are counted.
    let mut reader = Pieces { piece: data.get(8..).unwrap_or_default(), records: Some(records) };
    let mut strings = Vec::new();
    while let Some(text) = reader.string() {
        if strings.len() == MAX_STRINGS {
            return Err(ReadError::too_large("文件中的文本过多", "the file has too many texts"));
        }
        strings.push(text);
    }
    Ok(strings)
}

/// The bytes of a record and of those that continue it.
struct Pieces<'a, 'r, 's> {
    piece: &'a [u8],
    records: Option<&'r mut Records<'s>>,
}

impl<'a, 'r, 's: 'a> Pieces<'a, 'r, 's> {
    /// Goes on to the next piece when this one is used up; false at the end.
    fn refill(&mut self) -> bool {
        while self.piece.is_empty() {
            match self.records.as_mut().and_then(|r| r.continued()) {
                Some(next) => self.piece = next,
                None => return false,
            }
        }
        true
    }

    fn byte(&mut self) -> Option<u8> {
        if !self.refill() {
            return None;
        }
        let (first, rest) = self.piece.split_first()?;
        self.piece = rest;
        Some(*first)
    }

    fn number(&mut self, bytes: u32) -> Option<usize> {
        (0..bytes).try_fold(0, |n, i| Some(n | usize::from(self.byte()?) << (8 * i)))
    }

    fn skip(&mut self, mut bytes: usize) -> Option<()> {
        while bytes > 0 {
            if !self.refill() {
                return None;
            }
            let step = bytes.min(self.piece.len());
            self.piece = &self.piece[step..];
            bytes -= step;
        }
        Some(())
    }

    /// Characters, then formatting runs and phonetics, which are skipped.
    fn string(&mut self) -> Option<String> {
        let mut left = self.number(2)?;
        let flags = self.byte()?;
        let runs = if flags & 8 != 0 { self.number(2)? } else { 0 };
        let phonetics = if flags & 4 != 0 { self.number(4)? } else { 0 };
        let mut wide = flags & 1 != 0;
        let mut units: Vec<u16> = Vec::new();
        while left > 0 {
            if self.piece.is_empty() {
                if !self.refill() {
                    return None;
                }
                // Characters that go on in the next record begin with new flags.
                wide = self.byte()? & 1 != 0;
            }
            let width = if wide { 2 } else { 1 };
            let step = left.min(self.piece.len() / width);
            if step == 0 {
                return None;
            }
            let (taken, rest) = self.piece.split_at(step * width);
            self.piece = rest;
            if wide {
                units.extend(taken.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])));
            } else {
                units.extend(taken.iter().map(|b| u16::from(*b)));
            }
            left -= step;
        }
        self.skip(runs * 4)?;
        self.skip(phonetics)?;
        Some(String::from_utf16_lossy(&units))
    }
}
