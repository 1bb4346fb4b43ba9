//! Live segments, read by `docs/format.md` alone: `reader.py` takes its offsets from the tables of
//! that page, in another language and with nothing of this crate, and each case compares what it
//! says with what the crate says. (That the tables are those of the code is a unit test:
//! `src/shm/format_page.rs`.)
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`). Where there is no
//! `python3`, the cases are skipped.

#[path = "../support/mod.rs"]
mod support;

mod primitives;
mod queues;
mod topics;

use serde_json::Value;
use std::path::Path;
use std::process::{Command, ExitCode};
use support::harness::Lanes;

fn main() -> ExitCode {
    if cfg!(shmq_portable_sync) {
        println!("skipped: docs/format.md describes the locks of Linux, not the portable ones");
        return ExitCode::SUCCESS;
    }
    let cases = [queues::cases(), topics::cases(), primitives::cases()].concat();
    support::harness::run(Lanes::Waits, &cases)
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/format.md");
const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/format/reader.py");

/// What the reader says of a segment, by the page.
fn read(name: &str) -> Value {
    read_by(Path::new(PAGE), name).unwrap_or_else(|refusal| panic!("the reader refuses {name:?}: {refusal}"))
}

/// The same by another page; the error is what the reader wrote.
fn read_by(page: &Path, name: &str) -> Result<Value, String> {
    let output = match Command::new("python3").arg(READER).arg(page).arg(format!("/dev/shm/shmq.{name}")).output() {
        Ok(output) => output,
        Err(error) => support::harness::skip(&format!("python3, which reads segments by docs/format.md, cannot be run: {error}")),
    };
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).expect("the reader writes JSON"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A number of the report, by its path.
#[track_caller]
fn number(report: &Value, pointer: &str) -> u64 {
    let value = report.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not in {report:#}"));
    value.as_u64().unwrap_or_else(|| panic!("{pointer} is {value}"))
}

/// A text of the report, by its path.
#[track_caller]
fn text<'r>(report: &'r Value, pointer: &str) -> &'r str {
    let value = report.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not in {report:#}"));
    value.as_str().unwrap_or_else(|| panic!("{pointer} is {value}"))
}

/// Compares what is common to all kinds: the header's constants, and the participants.
#[track_caller]
fn check_common(report: &Value, name: &str) {
    let inspector = shmq::inspect::Inspector::open(name).expect("it is there");
    let (about, seen) = (inspector.about(), inspector.snapshot());
    assert_eq!(text(report, "/kind"), format!("{:?}", about.kind));
    assert_eq!(text(report, "/state"), "ALIVE");
    assert_eq!(text(report, "/type_name"), about.type_name);
    assert_eq!(text(report, "/schema"), about.schema.unwrap_or_default());
    assert_eq!(text(report, "/structure"), about.structure.unwrap_or_default());
    assert_eq!(report["structure_hash"], report["header"]["structure_hash"]);
    assert_eq!(text(report, "/dead_letters"), about.dead_letters.unwrap_or_default());
    assert_eq!(number(report, "/header/message_bytes"), about.unit_bytes);
    assert_eq!(number(report, "/header/total_bytes"), about.segment_bytes);
    assert_eq!(number(report, "/header/max_participants"), u64::from(about.max_participants));
    assert_eq!(number(report, "/header/max_deliveries"), u64::from(about.max_deliveries));
    assert_eq!(number(report, "/header/max_spilled_bytes"), about.max_spilled_bytes);
    assert_eq!(number(report, "/header/persisted") == 1, seen.persisted);
    assert_eq!((report["closed"] == true, report["poisoned"] == true), (seen.closed, false));
    let of_reader: Vec<_> = report["participants"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (number(one, "/number"), number(one, "/pid"), one["alive"] == true))
        .collect();
    let of_crate: Vec<_> = seen.participants.iter().map(|one| (u64::from(one.entry), u64::from(one.pid), one.alive)).collect();
    assert_eq!(of_reader, of_crate, "participants: number, pid, alive");
    assert!(!of_crate.is_empty());
}
