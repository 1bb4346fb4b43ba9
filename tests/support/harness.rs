//! A test harness that forks: each case runs in a process and a process group of its own, off a
//! single-threaded `main`.
//!
//! ```text
//!   main --fork--> lane --fork--> case --fork--> its children      one case at a time in each lane
//!                    |             |
//!                    |             +-- ends: status, children and segments left behind are checked
//!                    +-- bound over: what its processes and queues are doing is printed,
//!                        the group is killed, the case has failed
//! ```
//!
//! Each lane has a `/dev/shm` of its own, so that cases in different lanes do not see each other.
//! Where that is not permitted, and with `--nocapture`, `main` is the only lane.
//!
//! Takes libtest's arguments as far as they are needed here: filters, `--exact`, `--skip`,
//! `--list`, `--ignored`, `--nocapture`, `--report-time`, `--test-threads` (lanes; or
//! `RUST_TEST_THREADS`).

use super::process::{
    Exit, adopt_orphans, describe_process, die_with, exit_now, keep_pids, poll_exit, register_pid, shared_words, state_and_group,
    take_pids,
};
use super::sandbox::own_shm;
use super::{describe_segment, seed, set_prefix, shm_files};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::panic::catch_unwind;
use std::process::ExitCode;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Exit code of a case that cannot run here; the last line that it printed gives the reason.
const SKIPPED: i32 = 77;
/// Long enough for several of the longest waits, one after the other, to expire and to report what
/// they waited for.
const DEFAULT_BOUND: Duration = Duration::from_secs(600);

/// How long a case may take: `SHMQ_TEST_BOUND_S` seconds, if set, for runs that do more than usual.
fn bound_of(case: &Case) -> Duration {
    std::env::var("SHMQ_TEST_BOUND_S").map_or(case.bound, |text| Duration::from_secs(text.parse().expect("a number of seconds")))
}

/// One test.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub run: fn(),
    pub bound: Duration,
    /// It kills creators, which may leave temporaries for the next create to remove.
    pub leaves_temporaries: bool,
    /// It runs with `--ignored`, and only then.
    pub ignored: bool,
}

impl Case {
    pub const fn new(name: &'static str, run: fn()) -> Case {
        Case { name, run, bound: DEFAULT_BOUND, leaves_temporaries: false, ignored: false }
    }

    pub const fn leaves_temporaries(self) -> Case {
        Case { leaves_temporaries: true, ..self }
    }
}

/// A list of cases, named like their functions.
#[macro_export]
macro_rules! cases {
    ($($(#[$attribute:meta])* $function:ident $(.$refine:ident())*),* $(,)?) => {
        vec![$($(#[$attribute])* $crate::support::harness::Case::new(stringify!($function), $function) $(.$refine())*),*]
    };
}

/// Are the cases requested that are too long for ordinary runs?
pub fn asks_for_ignored() -> bool {
    Options::parse().only_ignored
}

/// Ends the case: it cannot run here.
pub fn skip(reason: &str) -> ! {
    eprintln!("\n{reason}");
    exit_now(SKIPPED)
}

#[derive(Default)]
struct Options {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    list: bool,
    only_ignored: bool,
    show_output: bool,
    report_time: bool,
    lanes: Option<usize>,
}

impl Options {
    fn parse() -> Options {
        let mut options = Options::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => options.list = true,
                "--exact" => options.exact = true,
                "--ignored" => options.only_ignored = true,
                "--nocapture" | "--no-capture" => options.show_output = true,
                "--report-time" => options.report_time = true,
                "--skip" => options.skips.extend(arguments.next()),
                "--test-threads" => options.lanes = arguments.next().and_then(|text| text.parse().ok()),
                "--format" | "--color" | "--logfile" | "--shuffle-seed" | "-Z" => drop(arguments.next()),
                flag if flag.starts_with("--test-threads=") => options.lanes = flag["--test-threads=".len()..].parse().ok(),
                flag if flag.starts_with('-') => {}
                _ => options.filters.push(argument),
            }
        }
        options
    }

    fn wants(&self, case: &Case) -> bool {
        let name = case.name;
        let matches = |pattern: &String| if self.exact { name == pattern } else { name.contains(pattern.as_str()) };
        case.ignored == self.only_ignored
            && (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.skips.iter().any(matches)
    }
}

enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

/// How many cases may run at once.
#[derive(Clone, Copy)]
pub enum Lanes {
    /// They measure, or storm for a given time: one.
    One,
    /// They compute: one for each processor.
    Processors,
    /// They wait, most of the time: twice as many.
    Waits,
}

impl Lanes {
    fn count(self, options: &Options) -> usize {
        if options.show_output {
            return 1;
        }
        let asked = || std::env::var("RUST_TEST_THREADS").ok()?.parse().ok();
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
        let usual = match self {
            Lanes::One => 1,
            Lanes::Processors => processors,
            Lanes::Waits => 2 * processors,
        };
        options.lanes.or_else(asked).unwrap_or(usual).max(1)
    }
}

/// The state that the lanes share: which case is next, and the results of the others.
struct Board {
    words: &'static [AtomicU64],
    reports: File,
    names: File,
}

const NEXT: usize = 0;
const FAILED: usize = 1;
const SKIPS: usize = 2;

impl Board {
    fn new() -> Board {
        let file = |what: &str| unlinked_file(&format!("t{}-{what}-", std::process::id()));
        Board { words: shared_words(3), reports: file("reports"), names: file("names") }
    }

    fn count(&self, what: usize) -> usize {
        self.words[what].load(Relaxed) as usize
    }

    fn add_failure(&self, name: &str, report: &str) {
        self.words[FAILED].fetch_add(1, Relaxed);
        let write = |mut file: &File, text: String| file.write_all(text.as_bytes()).expect("a file takes a report");
        write(&self.reports, format!("---- {name} ----\n{report}\n\n"));
        write(&self.names, format!("    {name}\n"));
    }
}

/// Runs the cases that the arguments select.
pub fn run(lanes: Lanes, cases: &[Case]) -> ExitCode {
    let options = Options::parse();
    let chosen: Vec<&Case> = cases.iter().filter(|case| options.wants(case)).collect();
    if options.list {
        chosen.iter().for_each(|case| println!("{}: test", case.name));
        println!("\n{} tests, 0 benchmarks", chosen.len());
        return ExitCode::SUCCESS;
    }
    adopt_orphans();
    heed_signals();
    let started = Instant::now();
    let board = Board::new();
    println!("\nrunning {} tests (SHMQ_TEST_SEED={})", chosen.len(), seed());
    let count = lanes.count(&options).min(chosen.len());
    if count > 1 && may_own_shm() {
        run_lanes(count, &chosen, &options, &board);
    } else {
        run_next_cases(&chosen, &options, &board, true);
    }
    let (failed, skipped) = (board.count(FAILED), board.count(SKIPS));
    if failed > 0 {
        println!("\nfailures:\n\n{}failures:\n{}", text_of(&board.reports), text_of(&board.names));
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {skipped} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        chosen.len().saturating_sub(failed + skipped),
        cases.len() - chosen.len(),
        started.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(PANICKED_BINARY) }
}

/// May this user have a `/dev/shm` of its own? A child tries it, and ends.
fn may_own_shm() -> bool {
    // SAFETY: main is single-threaded, so the child may do whatever its parent could.
    match unsafe { libc::fork() } {
        -1 => false,
        0 => exit_now(i32::from(!own_shm())),
        pid => wait_for_case(pid, DEFAULT_BOUND) == Some(Exit::Code(0)),
    }
}

fn run_lanes(count: usize, chosen: &[&Case], options: &Options, board: &Board) {
    std::io::stdout().flush().expect("stdout takes what was printed");
    let main = std::process::id();
    let start = |_| {
        // SAFETY: main is single-threaded, so the child may do whatever its parent could.
        match unsafe { libc::fork() } {
            -1 => panic!("fork of a lane: {}", std::io::Error::last_os_error()),
            0 => {
                die_with(main);
                adopt_orphans();
                assert!(own_shm(), "what was permitted once is again");
                run_next_cases(chosen, options, board, false);
                exit_now(0)
            }
            pid => pid,
        }
    };
    for lane in (0..count).map(start).collect::<Vec<_>>() {
        let exit = loop {
            match wait_for_case(lane, DEFAULT_BOUND) {
                Some(exit) => break exit,
                None => continue,
            }
        };
        if exit != Exit::Code(0) {
            board.add_failure("a lane", &format!("ended with {exit:?}, and its cases with it"));
        }
    }
}

/// Runs one case after the other, as long as there are any that no lane has begun.
fn run_next_cases(chosen: &[&Case], options: &Options, board: &Board, is_alone: bool) {
    keep_pids();
    loop {
        let number = board.words[NEXT].fetch_add(1, Relaxed) as usize;
        let Some(case) = chosen.get(number) else { return };
        // Other lanes write to the same output, so a line is written as a whole.
        let mut line = format!("test {} ... ", case.name);
        if is_alone {
            print!("{}", std::mem::take(&mut line));
            std::io::stdout().flush().expect("stdout takes a line");
        }
        let case_started = Instant::now();
        line += &match run_case(case, number, options) {
            Outcome::Passed if options.report_time => format!("ok <{:.3}s>\n", case_started.elapsed().as_secs_f64()),
            Outcome::Passed => "ok\n".to_string(),
            Outcome::Skipped(reason) => {
                board.words[SKIPS].fetch_add(1, Relaxed);
                format!("ignored, {reason}\n")
            }
            Outcome::Failed(report) => {
                board.add_failure(case.name, &report);
                "FAILED\n".to_string()
            }
        };
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("stdout takes a line");
    }
}

/// Everything that was written to a file.
fn text_of(mut file: &File) -> String {
    let mut bytes = Vec::new();
    let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Signals that end programs also end the tests: a shell that started them in the background set
/// these to be ignored.
fn heed_signals() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        // SAFETY: SIG_DFL installs no handler, and the program has one thread.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// The exit code of libtest.
const PANICKED_BINARY: u8 = 101;

fn run_case(case: &Case, number: usize, options: &Options) -> Outcome {
    let prefix = format!("t{}-c{number}-", std::process::id());
    let output = unlinked_file(&prefix);
    take_pids();
    let parent = std::process::id();
    // SAFETY: main is single-threaded, so the child may do whatever its parent could.
    let pid = match unsafe { libc::fork() } {
        -1 => return Outcome::Failed(format!("fork: {}", std::io::Error::last_os_error())),
        0 => {
            die_with(parent);
            enter_case(&output, options.show_output);
            set_prefix(prefix);
            let code = if catch_unwind(case.run).is_ok() { 0 } else { i32::from(PANICKED_BINARY) };
            exit_now(code)
        }
        pid => pid,
    };
    let mut problems = Vec::new();
    let exit = match wait_for_case(pid, bound_of(case)) {
        Some(exit) => exit,
        None => {
            problems.push(format!("hangs: not over after {:?}\n{}", bound_of(case), describe_hang(pid, &prefix)));
            // SAFETY: kill takes two numbers; the group is the one that the case made for itself.
            unsafe { libc::kill(-pid, libc::SIGKILL) };
            wait_for_case(pid, DEFAULT_BOUND).unwrap_or(Exit::Signal(libc::SIGKILL))
        }
    };
    problems.extend(children_left(pid));
    problems.extend(segments_left(&prefix, case.leaves_temporaries));
    let said = text_of(&output);
    match exit {
        Exit::Code(0) => {}
        Exit::Code(SKIPPED) if problems.is_empty() => {
            return Outcome::Skipped(said.lines().last().unwrap_or("cannot run here").to_string());
        }
        other => problems.push(format!("ended with {other:?}")),
    }
    if problems.is_empty() { Outcome::Passed } else { Outcome::Failed(format!("{said}\n{}", problems.join("\n"))) }
}

/// Runs in the process of the case: it gets a process group of its own, its output goes to the file
/// of `main`, and it adopts orphans.
fn enter_case(output: &File, show_output: bool) {
    register_pid();
    adopt_orphans();
    // SAFETY: setpgid and dup2 take numbers; the descriptors are open.
    unsafe {
        libc::setpgid(0, 0);
        if !show_output {
            libc::dup2(output.as_raw_fd(), libc::STDOUT_FILENO);
            libc::dup2(output.as_raw_fd(), libc::STDERR_FILENO);
        }
    }
}

/// A file that no other process can open.
pub fn unlinked_file(prefix: &str) -> File {
    let path = std::env::temp_dir().join(format!("shmq-{prefix}output"));
    let file = File::options().read(true).append(true).create_new(true).open(&path);
    let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    std::fs::remove_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file
}

fn wait_for_case(pid: libc::pid_t, bound: Duration) -> Option<Exit> {
    let end = Instant::now() + bound;
    loop {
        if let Some(exit) = poll_exit(pid) {
            return Some(exit);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Children that the case left behind are children of this process now. Ends them and reports them.
fn children_left(group: libc::pid_t) -> Vec<String> {
    let mut left = Vec::new();
    loop {
        let mut status = 0;
        // SAFETY: `status` is an int that the call may write.
        match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
            -1 => return left,
            0 => {
                left.extend(group_members(group).into_iter().map(|pid| format!("left a child: {}", describe_process(pid))));
                // SAFETY: kill takes two numbers. The case made the group for itself, and its only
                // members are children that are left.
                if unsafe { libc::kill(-group, libc::SIGKILL) } == -1 {
                    left.push("left a child outside its process group".to_string());
                    return left;
                }
                // SAFETY: `status` is an int that the call may write, and outlives it.
                unsafe { libc::waitpid(-1, &mut status, 0) };
            }
            pid => left.push(format!("left a child that no code waited for: process {pid}, status {status:#x}")),
        }
    }
}

fn segments_left(prefix: &str, temporaries_allowed: bool) -> Vec<String> {
    let mut left: Vec<String> = shm_files(&format!("shmq.{prefix}"));
    for pid in take_pids() {
        let temporaries = shm_files(&format!(".shmq-{pid}-"));
        if temporaries_allowed {
            temporaries.iter().for_each(|file| drop(std::fs::remove_file(format!("/dev/shm/{file}"))));
        } else {
            left.extend(temporaries);
        }
    }
    left.sort();
    left.dedup();
    for file in &left {
        let _ = std::fs::remove_file(format!("/dev/shm/{file}"));
    }
    left.into_iter().map(|file| format!("left a segment: /dev/shm/{file}")).collect()
}

fn group_members(group: libc::pid_t) -> Vec<libc::pid_t> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| state_and_group(pid).is_some_and(|(_, of)| of == group)).collect()
}

fn describe_hang(group: libc::pid_t, prefix: &str) -> String {
    let mut text = String::new();
    for pid in group_members(group) {
        text += &format!("  {}\n", describe_process(pid));
    }
    for file in shm_files(&format!("shmq.{prefix}")) {
        text += &describe_segment(&format!("/dev/shm/{file}"));
    }
    text
}
