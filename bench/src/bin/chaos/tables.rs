//! The findings as a section of the report.

use bench::{
    machine,
    report::{Section, Table, whole},
};

use crate::{Plan, Run, truth::Account};

/// What a set of runs found.
#[derive(Default)]
pub struct Found {
    pub accounts: Vec<Account>,
    /// Promises beside the accounts: (what, figure, kept).
    pub proofs: Vec<(String, String, bool)>,
    pub versions: Vec<String>,
}

impl Found {
    /// Every broken promise, one sentence each.
    pub fn broken(&self) -> Vec<String> {
        let proofs = self.proofs.iter().filter(|(_, _, kept)| !kept);
        let proofs = proofs.map(|(what, figure, _)| format!("{what}: {figure}"));
        self.accounts.iter().flat_map(Account::broken).chain(proofs).collect()
    }
}

const HEAD: [&str; 11] = [
    "",
    "accepted",
    "in the history",
    "delivered",
    "parked",
    "lost",
    "out of order",
    "repeats, same id and bytes",
    "requests repeated by clients",
    "drained in s",
    "",
];

pub fn section(run: Run, plan: &Plan, found: &Found) -> Section {
    let (subject, title) = match run {
        Run::Faults => ("faults", "进程、服务器与接收方故障 Processes, servers and receivers fail"),
        Run::Points => ("points", "崩溃点逐个走过 Every crash point, one by one"),
        Run::Embedded => ("embedded", "单进程反复强杀 One process, killed again and again"),
        Run::Replicas => ("replicas", "双副本滚动重启 Two of everything, restarted one by one"),
    };
    let mut table = Table::new(format!("{} changes a second wanted", plan.rate), &HEAD);
    found.accounts.iter().for_each(|account| table.row(row(account)));
    let mut tables = vec![table];
    if !found.proofs.is_empty() {
        let mut proofs = Table::new("Beside it", &["", "found", ""]);
        for (what, figure, kept) in &found.proofs {
            let verdict = if *kept { "kept" } else { "**broken**" };
            proofs.row(vec![what.clone(), figure.clone(), verdict.into()]);
        }
        tables.push(proofs);
    }
    let broken = found.broken();
    let verdict = match broken.is_empty() {
        true => "Every promise was kept.".to_owned(),
        false => format!("**Broken: {}.**", broken.join("; ")),
    };
    let mut versions = vec![machine::rustc()];
    versions.extend(found.versions.clone());
    Section {
        subject,
        title,
        circumstances: format!("{}\n\n{verdict}", machine::place(&versions)),
        tables,
        notes: Vec::new(),
    }
}

fn row(account: &Account) -> Vec<String> {
    let (b, f) = (&account.books, &account.books.faults);
    let count = |n: u64| whole(n as f64);
    let repeats = match f.altered {
        0 => count(f.duplicates),
        altered => format!("{}, **{altered} altered**", count(f.duplicates)),
    };
    vec![
        account.name.clone(),
        format!("{} ({:.0}/s for {:.0} s)", count(b.accepted), account.kept.rate, account.kept.seconds),
        count(b.changes),
        count(b.delivered),
        count(b.parked),
        count(b.lost + b.forgotten + b.invented),
        count(f.out_of_order),
        repeats,
        count(b.failed_requests),
        format!("{:.1}", account.drain.as_secs_f64()),
        account.note.clone(),
    ]
}
