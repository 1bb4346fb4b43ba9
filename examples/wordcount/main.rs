//! The main job: counts the words of files with several processes, through two bounded queues in
//! shared memory.
//!
//! ```text
//!               blocks: text, cut between words
//!   parent  ──────────────────────────────────>  workers (forked; each leases a block
//!   reads files straight into the ring,  <─────  and counts it in place)
//!   adds up                              answers: counts of one block
//! ```
//!
//! `cargo run --release --example wordcount -- [--workers N] [--top K] FILE...`; without files, it
//! counts the project's README.md. It prints the words that came most often, and
//! `lines L words W bytes B workers N seconds S`: lines and bytes as `wc -lc`, words as Python's
//! `len(data.split())`. Kill a worker while it runs (`kill -9`): the totals come out the same.

mod answer;
mod crew;
mod reader;
mod signals;
mod text;
mod totals;
mod words;

use std::collections::HashSet;
use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use shmq::{GetError, PutError};

use crate::answer::take_number;
use crate::crew::{Crew, NUMBER_BYTES};
use crate::reader::Reader;
use crate::totals::Totals;

const USAGE: &str = "usage: wordcount [--workers N] [--top K] FILE...";
/// Blocks are about this long, shorter if there is less text than that for each worker.
const BLOCK_BYTES: std::ops::Range<u64> = 64 << 10..1 << 20;
/// Input from which on progress is shown.
const LONG_INPUT_BYTES: u64 = 32 << 20;
/// How often the parent checks for signals and dead workers, and updates the progress bar.
const TICK: Duration = Duration::from_millis(100);

/// Why there is no result, and the exit code that says so.
pub struct Failure {
    code: u8,
    why: String,
}

impl Failure {
    fn new(code: u8, why: impl ToString) -> Failure {
        Failure { code, why: why.to_string() }
    }

    fn of_file(path: &Path, error: &io::Error) -> Failure {
        Failure::new(2, format!("{}: {error}", path.display()))
    }

    fn of_signal(signal: i32) -> Failure {
        Failure::new(128 + signal as u8, "interrupted")
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::new(1, error)
    }
}

struct Options {
    workers: usize,
    top: usize,
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, why }) => {
            let _ = writeln!(io::stderr(), "wordcount: {why}");
            ExitCode::from(code)
        }
    }
}

fn run() -> Result<(), Failure> {
    let start = Instant::now();
    let Some(options) = parse(std::env::args_os().skip(1))? else {
        println!("{USAGE}");
        return Ok(());
    };
    let input_bytes = check(&options.files)?;
    signals::notice(libc::SIGINT);
    signals::notice(libc::SIGTERM);
    let totals = count(&options, input_bytes)?;
    match report(&totals, &options, start.elapsed()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// `None`: the user wants to know the usage.
fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Option<Options>, Failure> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut options = Options { workers, top: 10, files: Vec::new() };
    while let Some(argument) = arguments.next() {
        let mut number = |what, from, to| {
            let given = arguments.next().unwrap_or_default();
            let number = given.to_str().and_then(|given| given.parse().ok()).filter(|number| (from..=to).contains(number));
            number.ok_or_else(|| Failure::new(2, format!("{what} takes a number from {from} to {to}\n{USAGE}")))
        };
        match argument.to_str() {
            Some("--workers") => options.workers = number("--workers", 1, 256)?,
            Some("--top") => options.top = number("--top", 0, usize::MAX)?,
            Some("--help" | "-h") => return Ok(None),
            Some("--") => options.files.extend(arguments.by_ref().map(PathBuf::from)),
            Some(unknown) if unknown.starts_with("-") => return Err(Failure::new(2, format!("no option {unknown}\n{USAGE}"))),
            _ => options.files.push(argument.into()),
        }
    }
    if options.files.is_empty() {
        options.files.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    }
    Ok(Some(options))
}

/// Finds out early what cannot be read. Gives the bytes to come; pipes may bring more.
fn check(files: &[PathBuf]) -> Result<u64, Failure> {
    let mut bytes = 0;
    for path in files {
        let refuse = |error| Failure::of_file(path, &error);
        let metadata = fs::metadata(path).map_err(refuse)?;
        if metadata.is_dir() {
            return Err(refuse(ErrorKind::IsADirectory.into()));
        }
        if metadata.is_file() {
            File::open(path).map_err(refuse)?;
            bytes += metadata.len();
        }
    }
    Ok(bytes)
}

fn count(options: &Options, input_bytes: u64) -> Result<Totals, Failure> {
    let share = input_bytes / (4 * options.workers as u64);
    let block_bytes = share.clamp(BLOCK_BYTES.start, BLOCK_BYTES.end).next_multiple_of(4096) as usize;
    // One at each worker, and some ready for the workers that finish next.
    let in_flight = options.workers + options.workers.min(8);
    let mut crew = Crew::start(options.workers, in_flight, NUMBER_BYTES + block_bytes)?;
    let bar = progress_bar(input_bytes);

    let mut reader = Reader::new(&options.files);
    let mut totals = Totals::default();
    let mut unanswered = HashSet::new();
    let mut numbers = 0..;
    let mut at_end = false;
    let mut next_tick = Instant::now();
    while !at_end || !unanswered.is_empty() {
        while !at_end && unanswered.len() < in_flight {
            // A worker may be slow to let go of a block that it has answered: then take in answers
            // first, if any are to come.
            let patience = if unanswered.is_empty() { TICK } else { Duration::ZERO };
            let mut loan = match crew.blocks.loan_len_timeout(NUMBER_BYTES + block_bytes, patience) {
                Err(PutError::Timeout) => break,
                loan => loan?,
            };
            let (head, text) = loan.split_at_mut(NUMBER_BYTES);
            let filled = reader.fill(text, &mut totals, || signals::received().is_some());
            match filled.map_err(|(path, error)| Failure::of_file(path, &error)) {
                Ok(0) => at_end = true, // and the loan is dropped
                Ok(length) => {
                    let number: u64 = numbers.next().expect("endless");
                    head.copy_from_slice(&number.to_le_bytes());
                    loan.commit_len(NUMBER_BYTES + length)?;
                    unanswered.insert(number);
                }
                Err(failure) => return Err(signals::received().map_or(failure, Failure::of_signal)),
            }
        }
        if !unanswered.is_empty() {
            match crew.answers.lease_timeout(TICK) {
                Ok(answer) => {
                    let mut at = 0;
                    let number = take_number(&answer, &mut at);
                    // A block that was taken over from a dead worker may have been answered
                    // already.
                    if number.is_some_and(|number| unanswered.remove(&number)) {
                        totals.add_answer(&answer, at).ok_or_else(|| Failure::new(1, "an answer makes no sense"))?;
                    }
                }
                Err(GetError::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if next_tick <= Instant::now() {
            next_tick = Instant::now() + TICK;
            bar.set_position(totals.bytes);
            if let Some(signal) = signals::received() {
                return Err(Failure::of_signal(signal));
            }
            crew.tend()?;
        }
    }
    bar.finish_and_clear();
    crew.dismiss()?;
    Ok(totals)
}

fn progress_bar(input_bytes: u64) -> ProgressBar {
    if input_bytes < LONG_INPUT_BYTES || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} to go");
    ProgressBar::new(input_bytes).with_style(style.expect("a template that is right"))
}

fn report(totals: &Totals, options: &Options, took: Duration) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for (word, count, missing) in totals.top(options.top) {
        let about = if missing > 0 { '~' } else { ' ' };
        let word: String = String::from_utf8_lossy(word).chars().map(printable).collect();
        writeln!(out, "{count:>12}{about} {word}")?;
    }
    if totals.floor > 0 {
        writeln!(
            out,
            "(too many different words to keep: of rare ones, and those marked ~, up to {} were not counted)",
            totals.floor
        )?;
    }
    let Totals { lines, words, bytes, .. } = totals;
    writeln!(out, "lines {lines} words {words} bytes {bytes} workers {} seconds {:.3}", options.workers, took.as_secs_f64())?;
    out.flush()
}

fn printable(letter: char) -> char {
    if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }
}
