//! A workbook of 100,000 rows into a white list, against openpyxl (read_only) that only reads it.

use std::{path::Path, time::Duration};

use bench::{
    machine::{self, Foreign, Watch},
    report::{Section, Table, median, whole},
    system::{Mode, System},
    tools,
};
use rust_xlsxwriter::{Workbook, XlsxError};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

use super::{
    Growth,
    operator::{Imported, Operator},
    python::Python,
    verdict,
};

const TARGET_RATIO: f64 = 4.0;
const TARGET_GROWTH_MIB: f64 = 64.0;
/// Looks for what order-service knows, and how many of them.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: usize = 3000;
const OPENPYXL: &str = "\
import sys, time, openpyxl
started, rows = time.perf_counter(), 0
for row in openpyxl.load_workbook(sys.argv[1], read_only=True).active.iter_rows(values_only=True):
    rows += 1
assert rows > 1
print(time.perf_counter() - started)
";

pub struct Plan {
    pub rows: u32,
    pub rounds: usize,
}

/// How a workbook keeps its texts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As Excel and WPS write: one table of all texts.
    Shared,
    /// As exports of other systems often are: texts in the cells.
    Inline,
}

impl Form {
    const BOTH: [Self; 2] = [Self::Shared, Self::Inline];

    fn label(self) -> &'static str {
        match self {
            Self::Shared => "texts shared, as Excel writes",
            Self::Inline => "texts in the cells",
        }
    }
}

struct Contest {
    form: Form,
    file: tempfile::NamedTempFile,
    ours: Vec<Imported>,
    /// From the first byte sent until order-service knew all entries, seconds.
    followed: Vec<f64>,
    growth_mib: Vec<f64>,
    theirs: Vec<f64>,
}

pub async fn run(plan: &Plan) -> Result<Section, String> {
    let python = Python::prepare()?;
    let mut contests = Vec::new();
    for form in Form::BOTH {
        let file = tempfile::Builder::new().suffix(".xlsx").tempfile().map_err(|e| e.to_string())?;
        write(form, plan.rows, file.path()).map_err(|e| e.to_string())?;
        contests.push(Contest {
            form,
            file,
            ours: Vec::new(),
            followed: Vec::new(),
            growth_mib: Vec::new(),
            theirs: Vec::new(),
        });
    }
    let system = System::start(Mode::Distributed, tools::free_address()?).await?;
    let mut foreign = Foreign::default();
    let measured = rounds(plan, &system, &python, &mut contests, &mut foreign).await;
    let measured = measured.map_err(|e| format!("{e}\n{}", system.log_tails()));
    let mut versions = vec![machine::rustc()];
    versions.extend(system.versions());
    versions.extend(python.versions);
    system.end().await?;
    measured?;
    Ok(section(plan, &contests, &versions, &foreign))
}

/// Five columns as people have them: names, positions, companies, telephone numbers as text, counts.
fn write(form: Form, rows: u32, path: &Path) -> Result<(), XlsxError> {
    let mut workbook = Workbook::new();
    let sheet = match form {
        Form::Shared => workbook.add_worksheet(),
        Form::Inline => workbook.add_worksheet_with_constant_memory()?,
    };
    for (column, title) in (0..).zip(["昵称", "职位", "公司", "电话", "阅读次数"]) {
        sheet.write_string(0, column, title)?;
    }
    for row in 1..=rows {
        sheet.write_string(row, 0, format!("用户{row}"))?;
        sheet.write_string(row, 1, ["工程师", "经理", "研究员", "产品总监"][row as usize % 4])?;
        sheet.write_string(row, 2, format!("某某科技有限公司{}", row % 500))?;
        // Spread out, so that the database's index is written everywhere.
        let mobile = 13_000_000_000 + u64::from(row) * 7_919_333 % 999_999_937;
        sheet.write_string(row, 3, mobile.to_string())?;
        sheet.write_number(row, 4, f64::from(row % 100 + 1))?;
    }
    workbook.save(path)
}

async fn rounds(
    plan: &Plan,
    system: &System,
    python: &Python,
    contests: &mut [Contest],
    foreign: &mut Foreign,
) -> Result<(), String> {
    let operator = Operator::sign_in(&system.url, &system.password).await?;
    let url = system.database_url().ok_or("the system has no PostgreSQL")?;
    let database = Database::connect(url).await.map_err(|e| e.to_string())?;
    let mut entries = 0;
    for round in 0..=plan.rounds {
        // The first round warms up: connections, plans, the page cache.
        bench::say(&format!("round {round} of {}", plan.rounds));
        for contest in contests.iter_mut() {
            let file = std::fs::read(contest.file.path()).map_err(|e| e.to_string())?;
            let report = operator.report().await?;
            let (growth, watch) = (Growth::begin(system)?, Watch::begin(system.cpu()?.all()));
            let ours = operator.import(report, &file, i64::from(plan.rows)).await?;
            foreign.end(&watch, system.cpu()?.all());
            let growth_mib = growth.end_mib(system)?;
            entries += i64::from(plan.rows);
            until_followed(&database, entries).await?;
            let followed = ours.started.elapsed().as_secs_f64();
            // What follows the import (events, other services) must not slow the baseline down.
            system.until_at_rest().await?;
            let watch = Watch::begin(system.cpu()?.all());
            let theirs = python.measure(OPENPYXL, &[contest.file.path()])?;
            foreign.end(&watch, system.cpu()?.all());
            if round > 0 {
                contest.ours.push(ours);
                contest.followed.push(followed);
                contest.growth_mib.push(growth_mib);
                contest.theirs.push(theirs);
            }
        }
    }
    Ok(())
}

/// Waits until order-service knows so many entries.
async fn until_followed(database: &DatabaseConnection, entries: i64) -> Result<(), String> {
    let statement =
        Statement::from_string(DbBackend::Postgres, "SELECT count(*) AS n FROM \"order\".white_list_grant");
    for _ in 0..LOOKS {
        let row = database.query_one_raw(statement.clone()).await.map_err(|e| e.to_string())?;
        let known: i64 = row.map_or(Ok(0), |row| row.try_get("", "n")).map_err(|e| e.to_string())?;
        if known >= entries {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err("order-service does not follow".into())
}

fn section(plan: &Plan, contests: &[Contest], versions: &[String], foreign: &Foreign) -> Section {
    let head = [
        "workbook",
        "",
        "seconds",
        "rows/s",
        "× openpyxl",
        "answered after s",
        "others knew after s",
        "memory grew by MiB",
    ];
    let title = format!(
        "{} rows into an empty white list, from the first byte sent until the import is done",
        whole(f64::from(plan.rows))
    );
    let mut table = Table::new(title, &head);
    let (mut ratios, mut growths) = (Vec::new(), Vec::new());
    for contest in contests {
        let done: Vec<f64> = contest.ours.iter().map(|i| i.done).collect();
        let answered: Vec<f64> = contest.ours.iter().map(|i| i.answered).collect();
        let ratio = median(&contest.theirs.iter().zip(&done).map(|(t, o)| t / o).collect::<Vec<_>>());
        let growth = contest.growth_mib.iter().copied().fold(0.0, f64::max);
        let rate = |seconds: f64| whole(f64::from(plan.rows) / seconds);
        table.row(vec![
            contest.form.label().into(),
            "baodan: read, judged, written".into(),
            format!("{:.2}", median(&done)),
            rate(median(&done)),
            format!("{ratio:.1}"),
            format!("{:.2}", median(&answered)),
            format!("{:.2}", median(&contest.followed)),
            format!("{growth:.0}"),
        ]);
        let theirs = median(&contest.theirs);
        let dash = || "–".to_owned();
        let cells = [format!("{theirs:.2}"), rate(theirs), "1.0".into(), dash(), dash(), dash()];
        let mut row = vec![contest.form.label().into(), "openpyxl, read_only: read only".into()];
        row.extend(cells);
        table.row(row);
        ratios.push(ratio);
        growths.push(growth);
    }
    let ratio = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let growth = growths.iter().copied().fold(0.0, f64::max);
    let rounds = format!("{} alternating rounds after a warm-up, medians (memory: the largest)", plan.rounds);
    Section {
        subject: "import",
        title: "导入 Import of a workbook",
        circumstances: machine::circumstances(&rounds, versions, foreign),
        tables: vec![table],
        notes: vec![
            format!("Targets: at least {TARGET_RATIO:.0}× openpyxl: {}, {ratio:.1}×; report-service's memory grows by less than {TARGET_GROWTH_MIB:.0} MiB: {}, {growth:.0} MiB.", verdict(ratio >= TARGET_RATIO), verdict(growth < TARGET_GROWTH_MIB)),
            "Ours goes through the gateway into PostgreSQL (five processes, RabbitMQ and Redis running) and is seen done by asking every 5 ms; then it is told to the other services, whose work is in the column of what others knew. openpyxl's time is taken inside Python, without its start and its imports.".into(),
            "Memory: the peak of report-service's resident set while importing, less what it was before.".into(),
        ],
    }
}
