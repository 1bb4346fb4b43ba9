//! What Python's `multiprocessing` promises its users, row by row, and the test that holds this
//! crate to it.
//!
//! Each chapter begins with a list: the promise of a row, and below it the paths of tests,
//! `binary::chapter::name`. A promise that another binary already tests is not tested again; the
//! missing ones are tested here. A list that names a test that does not exist fails.
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`).

#[path = "../support/mod.rs"]
mod support;

mod pool;
mod process;
mod queue;
mod rest;

use std::path::Path;
use std::process::ExitCode;
use support::harness::{Case, Lanes};

/// Each chapter's name and text.
const CHAPTERS: [(&str, &str); 4] = [
    ("queue", include_str!("queue.rs")),
    ("process", include_str!("process.rs")),
    ("pool", include_str!("pool.rs")),
    ("rest", include_str!("rest.rs")),
];

fn main() -> ExitCode {
    let mut cases = [queue::cases(), process::cases(), pool::cases(), rest::cases()].concat();
    cases.extend(cases![every_row_names_tests_that_are_there, every_test_here_belongs_to_a_row]);
    support::harness::run(Lanes::Waits, &cases)
}

/// The rows of a chapter: what is promised, and the paths of its tests.
fn rows(text: &'static str) -> Vec<(String, Vec<&'static str>)> {
    let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        if let Some(promise) = line.strip_prefix("//! - ") {
            rows.push((promise.to_string(), Vec::new()));
        } else if let Some((row, rest)) = rows.last_mut().zip(line.strip_prefix("//!   ")) {
            match rest.strip_prefix("- `") {
                Some(path) => row.1.push(path.trim_end_matches('`')),
                None => row.0 = format!("{} {rest}", row.0),
            }
        }
    }
    rows
}

/// Is there a function of that name in a file?
fn has_function(file: &Path, name: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {name}(")))
}

fn every_row_names_tests_that_are_there() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut missing = Vec::new();
    for (chapter, text) in CHAPTERS {
        let rows = rows(text);
        assert!(rows.len() > 5, "the table of {chapter}");
        for (promise, paths) in rows {
            assert!(!paths.is_empty(), "{promise}: no test");
            for path in paths {
                let (file, name) = path.rsplit_once("::").expect("a path");
                let file = file.replace("::", "/") + ".rs";
                if !has_function(&tests.join(file), name) {
                    missing.push(path);
                }
            }
        }
    }
    assert!(missing.is_empty(), "named by the tables, and not there: {missing:#?}");
}

fn every_test_here_belongs_to_a_row() {
    for (chapter, text) in CHAPTERS {
        let named: Vec<&str> = rows(text).into_iter().flat_map(|(_, tests)| tests).collect();
        let cases: Vec<Case> = match chapter {
            "queue" => queue::cases(),
            "process" => process::cases(),
            "pool" => pool::cases(),
            _ => rest::cases(),
        };
        for case in cases {
            let path = format!("python_parity::{chapter}::{}", case.name);
            assert!(named.contains(&path.as_str()), "{path} belongs to no row");
        }
    }
}
