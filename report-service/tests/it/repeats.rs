//! The property: whatever stands in a white list, its export imports as nothing but repeats and changes nothing; as
//! xlsx, and as csv in UTF-8 and GBK as people save it.

use encoding_rs::GBK;
use platform::seal;
use serde_json::{Value, json};

use crate::{
    add_report, report_body,
    sheets::form,
    start,
    workbook::{counts, rows_of, white},
};

const LISTS: usize = 12;
const ROWS: u64 = 60;
/// What names, spreadsheets, csv and SQL make special, besides letters.
const PIECES: [&str; 24] = [
    "王", "小明", "ABC", "é", "𠮷", "😀", " ", "\t", "\n", "\r\n", "\"", "''", ",", ";", "=1+1", "@SUM(A1)",
    "-", "+86", "1e5", "007", "<b>", "&amp;", "\\", "%_",
];

/// Numbers that a seed repeats: a failure names it.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn text(&mut self) -> String {
        (0..self.below(6)).map(|_| PIECES[self.below(PIECES.len() as u64) as usize]).collect()
    }

    fn mobile(&mut self) -> String {
        let number = 13_000_000_000 + self.below(2_000_000_000);
        match self.below(8) {
            0 => format!("0{number}"),
            1 => format!("+86{number}"),
            2 => format!("010-{}", number % 100_000_000),
            3 => (number % 10_000).to_string(),
            4 => format!("{}{}", number, number % 1_000_000_000),
            // Out of a few, so that some stand twice.
            5 => (13_000_000_000 + self.below(5)).to_string(),
            _ => number.to_string(),
        }
    }

    fn row(&mut self) -> Value {
        json!({
            "given_user": self.text(), "given_position": self.text(), "given_company": self.text(),
            "mobile": self.mobile(), "read_count": self.below(1_000_000_001), "state": self.below(2),
        })
    }
}

fn csv(sheet: &[Vec<calamine::Data>]) -> String {
    let quoted = |cell: &calamine::Data| format!("\"{}\"", cell.to_string().replace('"', "\"\""));
    let line = |row: &Vec<calamine::Data>| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n";
    sheet.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_stands_in_a_white_list_its_export_imports_as_repeats_only() {
    let (bed, app) = start().await;
    for _ in 0..LISTS {
        let seed = u64::from_le_bytes(seal::random_bytes());
        let mut dice = Dice(seed);
        let rows: Vec<Value> = (0..=dice.below(ROWS)).map(|_| dice.row()).collect();
        let report = add_report(&app, &crate::with(report_body(), json!({"white_list": rows}))).await;
        let before = white(&app, report).await;
        assert_eq!(before.len(), rows.len(), "seed {seed}");
        let path = format!("/api/report/{report}/excel");
        let exported = app.get(&path).send().await.expect_status(200);
        let sheet = rows_of(exported.bytes());
        let text = csv(&sheet);
        for (name, file) in [
            ("a.xlsx", exported.bytes().to_vec()),
            ("plain.csv", text.clone().into_bytes()),
            ("marked.csv", format!("\u{feff}{text}").into_bytes()),
            ("gbk.csv", GBK.encode(&text).0.into_owned()),
        ] {
            let (kind, body) = form(name, &file);
            let answer = app.post(&path).body(kind, body).send().await.expect_status(200).json();
            let n = rows.len() as i64;
            assert_eq!(counts(&answer["date"]), (n, 0, n, 0), "{name}, seed {seed}: {answer}");
        }
        assert_eq!(white(&app, report).await, before, "seed {seed}");
    }
    bed.finish().await;
}
