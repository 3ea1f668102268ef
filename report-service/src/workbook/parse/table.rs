//! Finds the header among a file's sheets and hands on the rows below it.

use std::{ops::ControlFlow, path::Path};

use super::{Book, Cell, MAX_ROWS, MAX_SHEETS, ReadError, Row};

/// Rows of a sheet that may stand above its header: titles, notes.
const MAX_ABOVE: usize = 20;

/// The five columns and the names they go by, the template's own first.
const NAMES: [&[&str]; 5] = [
    &["昵称", "姓名", "given_user"],
    &["职位", "职务", "given_position"],
    &["公司", "企业", "given_company"],
    &["电话", "手机", "手机号", "手机号码", "电话号码", "mobile"],
    &["阅读次数", "次数", "read_count"],
];
/// The columns nothing works without.
const REQUIRED: [usize; 2] = [3, 4];

/// Where the five columns stand, and what the whole header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    at: [Option<usize>; 5],
    /// The header as it stands in the file.
    pub header: Vec<String>,
}

impl Columns {
    /// The cells of 昵称, 职位, 公司, 电话, 阅读次数, in this order.
    pub fn pick<'a>(&self, row: &'a Row) -> [&'a Cell; 5] {
        self.at.map(|at| at.and_then(|at| row.cells.get(at)).unwrap_or(&Cell::Empty))
    }

    /// The columns a row names, if it names any; the first of two that are called the same counts.
    fn find(row: &Row) -> Option<Self> {
        let mut at = [None; 5];
        for (index, cell) in row.cells.iter().enumerate() {
            let Cell::Text(text) = cell else { continue };
            // People mark required columns with a star, or put a hint behind the name.
            let name: String =
                text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '*' | '＊')).collect();
            let name = name.split(['(', '（']).next().unwrap_or_default().to_lowercase();
            if let Some(column) = NAMES.iter().position(|names| names.contains(&name.as_str())) {
                at[column].get_or_insert(index);
            }
        }
        let header = row.cells.iter().map(|c| if let Cell::Text(t) = c { t.clone() } else { String::new() });
        at.iter().any(Option::is_some).then(|| Self { at, header: header.collect() })
    }

    fn missing(&self) -> Vec<&'static str> {
        REQUIRED.into_iter().filter(|c| self.at[*c].is_none()).map(|c| NAMES[c][0]).collect()
    }
}

/// Hands the rows below the header to `on_row`, without those that are blank in all five columns. The header
/// is looked for in the first rows of each sheet; the first sheet that has one is read, no other.
pub fn read_table(
    path: &Path,
    name: &str,
    mut on_row: impl FnMut(&Columns, Row) -> Result<(), ReadError>,
) -> Result<Columns, ReadError> {
    let mut book = Book::open(path, name)?;
    // The most a row came near to a header, for the message.
    let mut nearest: Option<Vec<&'static str>> = None;
    for sheet in 0..book.sheets().min(MAX_SHEETS) {
        let mut columns: Option<Columns> = None;
        let (mut above, mut rows) = (0, 0);
        book.read(sheet, &mut |row| {
            if row.cells.iter().all(Cell::is_empty) {
                return Ok(ControlFlow::Continue(()));
            }
            if let Some(columns) = &columns {
                if columns.pick(&row).iter().all(|c| c.is_empty()) {
                    return Ok(ControlFlow::Continue(()));
                }
                rows += 1;
                if rows > MAX_ROWS {
                    return Err(ReadError::too_large(
                        format!("数据超过 {MAX_ROWS} 行，请拆分后上传"),
                        format!("there are more than {MAX_ROWS} rows; split the file"),
                    ));
                }
                return on_row(columns, row).map(ControlFlow::Continue);
            }
            if let Some(found) = Columns::find(&row) {
                let missing = found.missing();
                if missing.is_empty() {
                    columns = Some(found);
                } else if nearest.as_ref().is_none_or(|n| missing.len() < n.len()) {
                    nearest = Some(missing);
                }
            }
            above += 1;
            Ok(if columns.is_none() && above >= MAX_ABOVE {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        if let Some(columns) = columns {
            return Ok(columns);
        }
    }
    let missing = nearest.unwrap_or_else(|| REQUIRED.map(|c| NAMES[c][0]).to_vec()).join("、");
    Err(ReadError::Unusable {
        zh: format!("缺少表头：{missing}，请使用示例文件的表头"),
        en: format!("the header lacks {missing}; use the header of the example file"),
    })
}
