//! What PostgreSQL does alone, by its own programs.

use std::process::Command;

use super::{Plan, said};

/// The run's database.
pub struct Postgres {
    pub url: String,
}

/// Where the copies are: pgbench's part of the database.
const COPY: &str = "public.bare_orders";

impl Postgres {
    fn psql(&self, sql: &str) -> Command {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url, "-c", sql]);
        command
    }

    /// What a statement answers, as text.
    pub async fn answer(&self, sql: &str) -> Result<String, String> {
        said(self.psql(sql)).await
    }

    /// A command that writes the result of `sql` to its output in COPY's form.
    pub fn copying(&self, sql: &str) -> Command {
        self.psql(&format!("COPY ({sql}) TO STDOUT"))
    }

    /// A copy of the orders that wait, as one table with the same indices.
    pub async fn copy(&self, goods: i64) -> Result<(), String> {
        for sql in [
            format!("DROP TABLE IF EXISTS {COPY}"),
            format!("CREATE TABLE {COPY} (LIKE \"order\".orders INCLUDING ALL EXCLUDING GENERATED)"),
            format!(
                "INSERT INTO {COPY} SELECT * FROM \"order\".orders WHERE goods_id = {goods} AND fulfil_state = 1"
            ),
            format!("VACUUM ANALYZE {COPY}"),
            "CHECKPOINT".to_owned(),
        ] {
            self.answer(&sql).await?;
        }
        Ok(())
    }

    /// The claim alone, by pgbench; orders a second.
    pub async fn claim(&self, goods: i64, plan: &Plan) -> Result<f64, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let script = folder.path().join("claim.sql");
        let sql = format!(
            "WITH picked AS MATERIALIZED (SELECT id FROM {COPY} WHERE goods_id = {goods} AND fulfil_state = 1 \
             ORDER BY id LIMIT {} FOR UPDATE SKIP LOCKED) UPDATE {COPY} AS o SET fulfil_state = 2, \
             version = o.version + 1, updated_at = 1, start_time = 1, supplier_id = 1 FROM picked \
             WHERE o.id = picked.id RETURNING o.*;\n",
            plan.batch
        );
        std::fs::write(&script, sql).map_err(|e| e.to_string())?;
        // Enough turns for every caller, and one in which it finds nothing.
        let turns = plan.orders.div_ceil(plan.batch).div_ceil(plan.callers as u64) + 1;
        let mut command = Command::new("pgbench");
        command.args(["-n", "-M", "prepared", "-c", &plan.callers.to_string(), "-j", "2"]);
        command.args(["-t", &turns.to_string(), "-f"]).arg(&script).arg(&self.url);
        let report = said(command).await?;
        let claimed = self.answer(&format!("SELECT count(*) FROM {COPY} WHERE fulfil_state = 2")).await?;
        if claimed.trim() != plan.orders.to_string() {
            return Err(format!("pgbench claimed {} of {}", claimed.trim(), plan.orders));
        }
        let per_second = tps(&report).ok_or_else(|| format!("pgbench said no tps: {report}"))?;
        let transactions = (turns * plan.callers as u64) as f64;
        Ok(plan.orders as f64 / (transactions / per_second))
    }
}

fn tps(report: &str) -> Option<f64> {
    report.lines().find_map(|l| l.trim().strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pgbench_is_understood() {
        let report = "number of clients: 16\nlatency average = 1.0 ms\ntps = 123.456 (without initial connection time)\n";
        assert_eq!(tps(report), Some(123.456));
        assert_eq!(tps("nothing"), None);
    }
}
