//! The bytes of a workbook's stream: a record is its kind, its length and its data. Nothing here knows what a
//! record is for.

pub const FORMULA: u16 = 0x0006;
pub const EOF: u16 = 0x000A;
pub const FILE_PASS: u16 = 0x002F;
pub const CONTINUE: u16 = 0x003C;
pub const BOUND_SHEET: u16 = 0x0085;
pub const MUL_RK: u16 = 0x00BD;
pub const RSTRING: u16 = 0x00D6;
pub const SST: u16 = 0x00FC;
pub const LABEL_SST: u16 = 0x00FD;
pub const NUMBER: u16 = 0x0203;
pub const LABEL: u16 = 0x0204;
pub const BOOL_ERR: u16 = 0x0205;
pub const STRING: u16 = 0x0207;
pub const RK: u16 = 0x027E;
pub const BOF: u16 = 0x0809;

/// Records of a stream: kind, length, data.
pub struct Records<'a> {
    stream: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let head = self.stream.get(self.at..self.at.checked_add(4)?)?;
        let (kind, length) = (u16_at(head, 0)?, usize::from(u16_at(head, 2)?));
        let data = self.stream.get(self.at + 4..self.at + 4 + length)?;
        self.at += 4 + length;
        Some((kind, data))
    }
}

impl<'a> Records<'a> {
    /// The records from a place in the stream on.
    pub fn starting_at(stream: &'a [u8], at: usize) -> Self {
        Self { stream, at }
    }

    /// The next record, if it continues the one before.
    pub fn continued(&mut self) -> Option<&'a [u8]> {
        let before = self.at;
        match self.next() {
            Some((CONTINUE, data)) => Some(data),
            _ => {
                self.at = before;
                None
            }
        }
    }
}

pub fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

pub fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

pub fn f64_at(data: &[u8], at: usize) -> Option<f64> {
    data.get(at..at + 8)?.try_into().ok().map(f64::from_le_bytes)
}
