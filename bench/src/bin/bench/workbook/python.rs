//! Python with the baselines' packages, in a virtualenv below the target folder that this run makes if need be.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use bench::tools;

/// The newest when this was written; what was used stands in the report.
const PACKAGES: [&str; 2] = ["openpyxl==3.1.5", "XlsxWriter==3.3.1"];

/// A Python that has openpyxl and XlsxWriter.
pub struct Python {
    program: PathBuf,
    pub versions: Vec<String>,
}

impl Python {
    pub fn prepare() -> Result<Self, String> {
        let folder = folder()?;
        let program = folder.join("bin/python");
        if asked(&program).is_none() {
            bench::say("making a virtualenv with openpyxl and XlsxWriter");
            tools::ensure("python3", "python3")?;
            let venv = || run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
            if venv().is_err() {
                tools::ensure("pip3", "python3-venv")?;
                venv()?;
            }
            run(Command::new(&program).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
        }
        let versions = asked(&program).ok_or_else(|| format!("{} lacks the packages", folder.display()))?;
        Ok(Self { program, versions })
    }

    /// Runs a script; the number of its last line.
    pub fn measure(&self, script: &str, arguments: &[&Path]) -> Result<f64, String> {
        let mut command = Command::new(&self.program);
        let said = run(command.args(["-c", script]).args(arguments))?;
        let last = said.lines().last().unwrap_or_default();
        last.trim().parse().map_err(|_| format!("Python said {last:?} instead of a number"))
    }
}

/// `<target>/bench-venv`, beside the folder of this program.
fn folder() -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|e| e.to_string())?;
    let target = here.parent().and_then(Path::parent).ok_or("this program lies in no folder")?;
    Ok(target.join("bench-venv"))
}

fn asked(program: &Path) -> Option<Vec<String>> {
    let script = "import sys, openpyxl, xlsxwriter\n\
        print('Python', sys.version.split()[0]); print('openpyxl', openpyxl.__version__)\n\
        print('XlsxWriter', xlsxwriter.__version__)";
    let said = run(Command::new(program).args(["-c", script])).ok()?;
    Some(said.lines().map(str::to_owned).collect())
}

fn run(command: &mut Command) -> Result<String, String> {
    let what = command.get_program().display().to_string();
    let output = command.output().map_err(|e| format!("{what}: {e}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{what} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
