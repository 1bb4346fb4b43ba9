//! Commands, and what became of them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// What became of a recipe.
pub enum Outcome {
    /// It passed.
    Done,
    /// It cannot run here, for this reason.
    Skipped(String),
}

/// Failure says which command.
pub type Result<T = Outcome> = std::result::Result<T, String>;

/// A command line, split at spaces, with variables of its environment.
fn command(variables: &[(&str, &str)], line: &str) -> Command {
    let shown: String = variables.iter().map(|(name, value)| format!("{name}={value:?} ")).collect();
    println!("$ {shown}{line}");
    let mut words = line.split_whitespace();
    let program = words.next().expect("a command");
    // `cargo` is the one that runs this, of whatever toolchain.
    let program = if program == "cargo" { env!("CARGO") } else { program };
    let mut command = Command::new(program);
    command.args(words).envs(variables.iter().copied());
    command
}

fn expect_success(line: &str, status: std::io::Result<std::process::ExitStatus>) -> Result<()> {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{line}: {status}")),
        Err(error) => Err(format!("{line}: {error}")),
    }
}

/// Runs it; it must succeed.
pub fn run(variables: &[(&str, &str)], line: &str) -> Result<()> {
    expect_success(line, command(variables, line).status())
}

/// Runs them one after the other; each must succeed.
pub fn run_each(variables: &[(&str, &str)], lines: &[&str]) -> Result {
    lines.iter().try_for_each(|line| run(variables, line))?;
    Ok(Outcome::Done)
}

/// Runs a script that exits with 77, after a line that says why, where it cannot run.
pub fn run_script(line: &str) -> Result {
    match command(&[], line).env("CARGO", env!("CARGO")).status() {
        Ok(status) if status.code() == Some(77) => Ok(Outcome::Skipped("the line above says why".to_string())),
        status => expect_success(line, status).map(|()| Outcome::Done),
    }
}

/// Runs it, shows each line that it prints, and returns them; it must succeed.
pub fn run_and_keep(variables: &[(&str, &str)], line: &str) -> Result<Vec<String>> {
    let mut child = command(variables, line).stdout(Stdio::piped()).spawn().map_err(|error| format!("{line}: {error}"))?;
    let mut kept = Vec::new();
    for said in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let said = said.map_err(|error| format!("{line}: {error}"))?;
        println!("{said}");
        kept.push(said);
    }
    expect_success(line, child.wait())?;
    Ok(kept)
}

/// What it prints to its standard output, not shown.
pub fn output_of(variables: &[(&str, &str)], line: &str) -> Result<String> {
    let output = command(variables, line).stderr(Stdio::inherit()).output().map_err(|error| format!("{line}: {error}"))?;
    expect_success(line, Ok(output.status))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Is there such a program, and does it run?
pub fn is_there(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Segments of this crate's in `/dev/shm`.
pub fn segments() -> Vec<String> {
    let names =
        std::fs::read_dir("/dev/shm").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with("shmq.") || name.starts_with(".shmq-")).collect()
}
