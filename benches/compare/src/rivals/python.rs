//! The Python rivals, run by `python3 python/rivals.py`; `SHMQ_COMPARE_PYTHON` names another
//! interpreter.

use crate::{
    results::Measurement,
    runner::{Measure, Runner},
};
use serde_json::Value;
use std::{
    env,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/rivals.py");
/// Longest for one measurement.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the interpreter has: kind, name in the tables.
pub fn kinds(notes: &mut Vec<String>) -> Vec<(&'static str, &'static str)> {
    let kinds = match run(&["check"]) {
        Ok(output) => output["kinds"].as_array().cloned().unwrap_or_default(),
        Err(why) => {
            notes.push(format!("the Python rivals: skipped, {why}"));
            return Vec::new();
        }
    };
    let mut all = vec![("mp", "multiprocessing.Queue (Python)")];
    let optional = [
        ("fifo", "faster-fifo get_many (Python)", "faster-fifo"),
        ("cloudtoid", "cloudtoid-interprocess (Python)", "cloudtoid-interprocess"),
    ];
    for (kind, name, package) in optional {
        if kinds.iter().any(|there| there == kind) {
            all.push((kind, name));
        } else {
            notes.push(format!("{package} (Python): skipped, not installed for this python3 (pip install {package})"));
        }
    }
    all
}

fn wait(child: &mut Child) -> Result<bool, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().map_err(|problem| problem.to_string())? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            // Its children are daemons of a forked context: they end when their pipes do.
            child.kill().and_then(|()| child.wait()).map_err(|problem| problem.to_string())?;
            return Err(format!("no result within {PATIENCE:?}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn run(words: &[&str]) -> Result<Value, String> {
    let python = env::var_os("SHMQ_COMPARE_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(&python);
    command.arg(SCRIPT).args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|problem| format!("{}: {problem}", python.display()))?;
    let success = wait(&mut child)?;
    let output = child.wait_with_output().map_err(|problem| problem.to_string())?;
    if !success {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(errors.lines().last().unwrap_or("it failed and said nothing").to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|problem| format!("it said {:?}: {problem}", output.stdout))
}

fn measurement(words: &[&str]) -> Result<Measurement, String> {
    let output = run(words)?;
    let nanos = output["nanos"].as_f64().ok_or("it printed no time")?;
    let percentiles = output["percentiles"].as_array().and_then(|all| {
        let all: Vec<f64> = all.iter().filter_map(Value::as_f64).collect();
        all.try_into().ok()
    });
    Ok(Measurement { nanos, percentiles, cpu_nanos: output["cpu_nanos"].as_f64() })
}

fn cores(runner: &Runner) -> String {
    runner.cores().iter().take(2).map(usize::to_string).collect::<Vec<_>>().join(",")
}

pub fn flow(kind: &'static str, bytes: usize, sides: u32) -> Measure {
    Box::new(move |runner| {
        let (bytes, sides) = (bytes.to_string(), sides.to_string());
        measurement(&["flow", kind, &bytes, &sides, &runner.effort.sample.as_secs_f64().to_string(), &cores(runner)])
    })
}

pub fn ping_pong(kind: &'static str) -> Measure {
    Box::new(move |runner| measurement(&["ping_pong", kind, &runner.effort.sleeping_turns.to_string(), &cores(runner)]))
}

pub fn first(kind: &'static str) -> Measure {
    Box::new(move |_| measurement(&["first", kind, "20"]))
}

pub fn idle(kind: &'static str) -> Measure {
    Box::new(move |runner| measurement(&["idle", kind, &runner.effort.idle.as_secs_f64().to_string(), &cores(runner)]))
}
