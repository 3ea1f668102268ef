//! A white list of 1,000,000 rows out of the database into a workbook, against XlsxWriter (constant_memory) that
//! writes constants.

use std::path::Path;

use bench::{
    machine::{self, Foreign, Watch},
    report::{Section, Table, median, whole},
    system::{Mode, System},
    tools,
};

use sea_orm::{ConnectionTrait, Database};

use super::{Growth, operator::Operator, python::Python, verdict};

const TARGET_RATIO: f64 = 5.0;
/// Memory counts as flat up to here.
const FLAT_MIB: f64 = 64.0;
const XLSXWRITER: &str = "\
import sys, time, xlsxwriter
rows = int(sys.argv[2])
started = time.perf_counter()
book = xlsxwriter.Workbook(sys.argv[1], {'constant_memory': True})
sheet = book.add_worksheet()
for row in range(rows):
    sheet.write_string(row, 0, '用户12345')
    sheet.write_string(row, 1, '工程师')
    sheet.write_string(row, 2, '某某科技有限公司123')
    sheet.write_string(row, 3, '13800138000')
    sheet.write_number(row, 4, 100)
book.close()
print(time.perf_counter() - started)
";
/// The number of the sheet's last row.
const LAST_ROW: &str = "\
import re, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as book, book.open('xl/worksheets/sheet1.xml') as sheet:
    tail = b''
    while chunk := sheet.read(1 << 20):
        tail = (tail + chunk)[-4096:]
print(re.findall(rb'<row r=\"(\\d+)\"', tail)[-1].decode())
";

pub struct Plan {
    pub rows: u32,
    pub rounds: usize,
}

struct Round {
    ours: f64,
    theirs: f64,
    growth_mib: f64,
}

pub async fn run(plan: &Plan) -> Result<Section, String> {
    let python = Python::prepare()?;
    let system = System::start(Mode::Distributed, tools::free_address()?).await?;
    let mut foreign = Foreign::default();
    let measured = rounds(plan, &system, &python, &mut foreign).await;
    let measured = measured.map_err(|e| format!("{e}\n{}", system.log_tails()));
    let mut versions = vec![machine::rustc()];
    versions.extend(system.versions());
    versions.extend(python.versions);
    system.end().await?;
    Ok(section(plan, &measured?, &versions, &foreign))
}

/// Rows as an import would have made them.
async fn fill(system: &System, report: i64, rows: u32) -> Result<(), String> {
    let sql = format!(
        "INSERT INTO report.white_list_entry (id, report_id, version, given_user, given_position, given_company, mobile,
            read_count, residue_count, state, author, import_id, created_at, updated_at)
         SELECT 1000000000 + n, {report}, 1, '用户' || n, (ARRAY['工程师', '经理', '研究员', '产品总监'])[n % 4 + 1],
            '某某科技有限公司' || n % 500, (13000000000 + n::bigint * 7919333 % 999999937)::text, n % 100 + 1, n % 100 + 1, 0,
            'bench', 0, 1, 1
         FROM generate_series(1, {rows}) AS n"
    );
    let url = system.database_url().ok_or("the system has no PostgreSQL")?;
    let database = Database::connect(url).await.map_err(|e| e.to_string())?;
    for sql in [sql.as_str(), "VACUUM ANALYZE report.white_list_entry"] {
        database.execute_unprepared(sql).await.map_err(|e| e.to_string())?;
    }
    database.close().await.map_err(|e| e.to_string())
}

async fn rounds(
    plan: &Plan,
    system: &System,
    python: &Python,
    foreign: &mut Foreign,
) -> Result<Vec<Round>, String> {
    let operator = Operator::sign_in(&system.url, &system.password).await?;
    let report = operator.report().await?;
    fill(system, report, plan.rows).await?;
    system.until_at_rest().await?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let (ours_file, theirs_file) = (folder.path().join("ours.xlsx"), folder.path().join("theirs.xlsx"));
    let mut found = Vec::new();
    for round in 1..=plan.rounds {
        bench::say(&format!("round {round} of {}", plan.rounds));
        let (growth, watch) = (Growth::begin(system)?, Watch::begin(system.cpu()?.all()));
        let ours = operator.export(report, &ours_file).await?;
        let growth_mib = growth.end_mib(system)?;
        let rows = plan.rows.to_string();
        let theirs = python.measure(XLSXWRITER, &[&theirs_file, Path::new(&rows)])?;
        foreign.end(&watch, system.cpu()?.all());
        let last = python.measure(LAST_ROW, &[&ours_file])?;
        if last != f64::from(plan.rows + 1) {
            return Err(format!("the export ends at row {last} and not below {} rows", plan.rows));
        }
        found.push(Round { ours, theirs, growth_mib });
    }
    Ok(found)
}

fn section(plan: &Plan, rounds: &[Round], versions: &[String], foreign: &Foreign) -> Section {
    let title =
        format!("{} rows of five columns, from the request to the last byte", whole(f64::from(plan.rows)));
    let mut table = Table::new(title, &["", "seconds", "rows/s", "× XlsxWriter", "memory grew by MiB"]);
    let of = |figure: fn(&Round) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
    let rate = |seconds: f64| whole(f64::from(plan.rows) / seconds);
    let (ours, theirs, ratio) = (of(|r| r.ours), of(|r| r.theirs), of(|r| r.theirs / r.ours));
    let growth = rounds.iter().map(|r| r.growth_mib).fold(0.0, f64::max);
    table.row(vec![
        "baodan: out of PostgreSQL, through the gateway".into(),
        format!("{ours:.2}"),
        rate(ours),
        format!("{ratio:.1}"),
        format!("{growth:.0}"),
    ]);
    table.row(vec![
        "XlsxWriter, constant_memory, constants".into(),
        format!("{theirs:.2}"),
        rate(theirs),
        "1.0".into(),
        "–".into(),
    ]);
    Section {
        subject: "export",
        title: "导出 Export of a white list",
        circumstances: machine::circumstances(&format!("{} alternating rounds, medians (memory: the largest)", plan.rounds), versions, foreign),
        tables: vec![table],
        notes: vec![
            format!("Targets: at least {TARGET_RATIO:.0}× XlsxWriter: {}, {ratio:.1}×; memory flat (under {FLAT_MIB:.0} MiB): {}, {growth:.0} MiB.", verdict(ratio >= TARGET_RATIO), verdict(growth < FLAT_MIB)),
            "Every downloaded workbook was opened and its last row's number checked. XlsxWriter's time is taken inside Python, without its start and imports, and includes no database and no HTTP.".into(),
            "Memory: the peak of report-service's resident set while exporting, less what it was before.".into(),
        ],
    }
}
