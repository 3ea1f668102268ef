//! Sizes a zip archive before anything of it is unpacked. The zip crate stops at an entry's declared size, so
//! the sum of the declared sizes is a true bound of what reading can cost.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use memchr::memmem;
use zip::ZipArchive;

use super::ReadError;

/// Entries of an archive: Excel writes some tens.
const MAX_ENTRIES: usize = 2_000;
const MAX_UNPACKED_BYTES: u64 = 256 * 1024 * 1024;
/// All texts of a workbook; they are in memory at once.
const MAX_SHARED_STRINGS_BYTES: u64 = 32 * 1024 * 1024;
/// Styles, relations, the workbook itself: in memory at once too.
const MAX_PART_BYTES: u64 = 4 * 1024 * 1024;
/// A part up to here may be one single token, and cost its own size.
const UNSCANNED_BYTES: u64 = 16 * 1024 * 1024;
/// Longest distance between two `<` of a larger part: no cell text is longer.
const MAX_TOKEN_BYTES: usize = 256 * 1024;
/// Texts a workbook may announce; the reader reserves room for them before it has seen one.
const MAX_STRINGS: u64 = 3_000_000;

/// Refuses archives that would cost too much to read.
pub fn check(file: &mut File) -> Result<(), ReadError> {
    check_directory(file)?;
    file.rewind()?;
    let mut archive = ZipArchive::new(&*file).map_err(|e| ReadError::broken(&e))?;
    if archive.len() > MAX_ENTRIES {
        return Err(too_many_entries());
    }
    let mut unpacked: u64 = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|e| ReadError::broken(&e))?;
        let name = entry.name().map_err(|e| ReadError::broken(&e))?.to_ascii_lowercase();
        let size = entry.size();
        drop(entry);
        unpacked = unpacked.saturating_add(size);
        let strings = name.ends_with("sharedstrings.xml");
        let limit = if strings {
            MAX_SHARED_STRINGS_BYTES
        } else if name.ends_with("styles.xml") || name.ends_with("workbook.xml") || name.ends_with(".rels") {
            MAX_PART_BYTES
        } else {
            MAX_UNPACKED_BYTES
        };
        if size > limit || unpacked > MAX_UNPACKED_BYTES {
            return Err(ReadError::too_large("文件解压后过大", "the file is too large when unpacked"));
        }
        if strings || size > UNSCANNED_BYTES {
            let part = archive.by_index(index).map_err(|e| ReadError::broken(&e))?;
            scan(part, strings)?;
        }
    }
    Ok(())
}

fn too_many_entries() -> ReadError {
    ReadError::too_large("文件内部条目过多", "the file has too many parts inside")
}

/// Looks at the archive's last record, so that a directory of a million entries is refused before it is read.
fn check_directory(file: &mut File) -> Result<(), ReadError> {
    const RECORD: usize = 22;
    let length = file.seek(SeekFrom::End(0))?;
    let tail = length.min((RECORD + usize::from(u16::MAX)) as u64);
    file.seek(SeekFrom::End(-i64::try_from(tail).unwrap_or(0)))?;
    let mut bytes = Vec::new();
    file.take(tail).read_to_end(&mut bytes)?;
    let mut found = false;
    for at in memmem::find_iter(&bytes, b"PK\x05\x06") {
        let Some(record) = bytes.get(at..at + RECORD) else { continue };
        found = true;
        let entries = u16::from_le_bytes([record[10], record[11]]);
        // 0xFFFF means "see the zip64 record": more than any spreadsheet has.
        if usize::from(entries) > MAX_ENTRIES {
            return Err(too_many_entries());
        }
    }
    if found { Ok(()) } else { Err(ReadError::broken(&"no end of central directory")) }
}

/// Reads a part through once: no token may be longer than a cell could be, no announced number of texts
/// larger than a workbook could hold.
fn scan(mut part: impl Read, strings: bool) -> Result<(), ReadError> {
    const ANNOUNCES: &[u8] = b"uniqueCount";
    const ATTRIBUTE_BYTES: usize = 64;
    let mut buffer = vec![0; 128 * 1024];
    let mut kept = 0;
    let mut since_tag = 0_usize;
    loop {
        let read = part.read(&mut buffer[kept..]).map_err(|e| ReadError::broken(&e))?;
        if read == 0 {
            return Ok(());
        }
        let filled = kept + read;
        if memchr::memchr(0, &buffer[kept..filled]).is_some() {
            return Err(ReadError::Unusable {
                zh: "文件编码不受支持，请另存为新的 .xlsx 文件".into(),
                en: "the file's encoding is not supported; save it anew as .xlsx".into(),
            });
        }
        let mut last = kept;
        for at in memchr::memchr_iter(b'<', &buffer[kept..filled]).map(|at| at + kept) {
            since_tag += at - last;
            token_fits(since_tag)?;
            (since_tag, last) = (0, at);
        }
        since_tag += filled - last;
        token_fits(since_tag)?;
        if strings {
            for at in memmem::find_iter(&buffer[..filled], ANNOUNCES) {
                let seen_whole = at + ATTRIBUTE_BYTES <= filled;
                announced_fits(&buffer[at + ANNOUNCES.len()..filled], seen_whole)?;
            }
        }
        // An attribute may lie across two reads.
        kept = filled.min(ATTRIBUTE_BYTES);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

fn token_fits(length: usize) -> Result<(), ReadError> {
    if length <= MAX_TOKEN_BYTES {
        return Ok(());
    }
    Err(ReadError::too_large("文件中有过长的单元格", "the file has a cell that is too long"))
}

/// Reads `="123"`, the number of texts that the part says it has. What is no attribute is a cell's text; an
/// attribute that is cut off is looked at again, unless `whole`.
fn announced_fits(text: &[u8], whole: bool) -> Result<(), ReadError> {
    let too_many = || ReadError::too_large("文件中的文本过多", "the file announces too many texts");
    let text = text.trim_ascii_start();
    let Some(value) = text.strip_prefix(b"=").map(<[u8]>::trim_ascii_start) else {
        return if whole && text.is_empty() { Err(too_many()) } else { Ok(()) };
    };
    let mut number: u64 = 0;
    for byte in value.iter().skip(1) {
        match byte {
            b'0'..=b'9' => number = number.saturating_mul(10).saturating_add(u64::from(byte - b'0')),
            _ => return if number <= MAX_STRINGS { Ok(()) } else { Err(too_many()) },
        }
    }
    if whole || number > MAX_STRINGS { Err(too_many()) } else { Ok(()) }
}
