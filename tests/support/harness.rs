//! A test harness that forks: each case runs in a process and a process group of its own, off a single-threaded `main`.
//!
//! ```text
//!   main --fork--> case --fork--> its children          one case at a time
//!     |             |
//!     |             +-- ends: status, children and segments left behind are checked
//!     +-- bound over: what its processes and queues are doing is printed, the group is killed, the case has failed
//! ```
//!
//! Takes libtest's arguments as far as they matter here: filters, `--exact`, `--skip`, `--list`, `--ignored`,
//! `--nocapture`, `--report-time`.

use super::process::{
    Exit, adopt_orphans, describe_process, die_with, exit_now, keep_pids, poll_exit, register_pid, state_and_group, take_pids,
};
use super::{describe_segment, seed, set_prefix, shm_files};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Exit code of a case that cannot run here; the last line that it printed says why.
const SKIPPED: i32 = 77;
/// Several waits of the longest kind, one after the other, end before it and say what they waited for.
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
    /// Kills creators, which may leave temporaries for the next create to sweep.
    pub leaves_temporaries: bool,
    /// Runs with `--ignored`, and only then.
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

/// A list of cases, named as their functions.
#[macro_export]
macro_rules! cases {
    ($($(#[$attribute:meta])* $function:ident $(.$refine:ident())*),* $(,)?) => {
        vec![$($(#[$attribute])* $crate::support::harness::Case::new(stringify!($function), $function) $(.$refine())*),*]
    };
}

/// Are the cases asked for that are too long for every day?
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
                "--test-threads" | "--format" | "--color" | "--logfile" | "--shuffle-seed" | "-Z" => drop(arguments.next()),
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

/// Runs the cases that the arguments ask for.
pub fn run(cases: &[Case]) -> ExitCode {
    let options = Options::parse();
    let chosen: Vec<&Case> = cases.iter().filter(|case| options.wants(case)).collect();
    if options.list {
        chosen.iter().for_each(|case| println!("{}: test", case.name));
        println!("\n{} tests, 0 benchmarks", chosen.len());
        return ExitCode::SUCCESS;
    }
    adopt_orphans();
    keep_pids();
    heed_signals();
    let started = Instant::now();
    println!("\nrunning {} tests (SHMQ_TEST_SEED={})", chosen.len(), seed());
    let mut failures = Vec::new();
    let mut skipped = 0;
    for (number, case) in chosen.iter().enumerate() {
        print!("test {} ... ", case.name);
        std::io::stdout().flush().expect("stdout takes a line");
        let case_started = Instant::now();
        match run_case(case, number, &options) {
            Outcome::Passed if options.report_time => println!("ok <{:.3}s>", case_started.elapsed().as_secs_f64()),
            Outcome::Passed => println!("ok"),
            Outcome::Skipped(reason) => {
                skipped += 1;
                println!("ignored, {reason}");
            }
            Outcome::Failed(report) => {
                println!("FAILED");
                failures.push((case.name, report));
            }
        }
    }
    if !failures.is_empty() {
        println!("\nfailures:\n");
        failures.iter().for_each(|(name, report)| println!("---- {name} ----\n{report}\n"));
        println!("failures:");
        failures.iter().for_each(|(name, _)| println!("    {name}"));
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; {skipped} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failures.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failures.len() - skipped,
        failures.len(),
        cases.len() - chosen.len(),
        started.elapsed().as_secs_f64()
    );
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(PANICKED_BINARY) }
}

/// What ends programs ends the tests': a shell that started them in the background had it ignored.
fn heed_signals() {
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
        // SAFETY: the default action of a signal, in a program with one thread.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// As libtest's.
const PANICKED_BINARY: u8 = 101;

fn run_case(case: &Case, number: usize, options: &Options) -> Outcome {
    let prefix = format!("t{}-c{number}-", std::process::id());
    let mut output = unlinked_file(&prefix);
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
            // SAFETY: the group that the case made for itself.
            unsafe { libc::kill(-pid, libc::SIGKILL) };
            wait_for_case(pid, DEFAULT_BOUND).unwrap_or(Exit::Signal(libc::SIGKILL))
        }
    };
    problems.extend(children_left(pid));
    problems.extend(segments_left(&prefix, case.leaves_temporaries));
    let mut said = String::new();
    let _ = output.seek(SeekFrom::Start(0)).and_then(|_| {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes)?;
        said = String::from_utf8_lossy(&bytes).into_owned();
        Ok(())
    });
    match exit {
        Exit::Code(0) => {}
        Exit::Code(SKIPPED) if problems.is_empty() => {
            return Outcome::Skipped(said.lines().last().unwrap_or("cannot run here").to_string());
        }
        other => problems.push(format!("ended with {other:?}")),
    }
    if problems.is_empty() { Outcome::Passed } else { Outcome::Failed(format!("{said}\n{}", problems.join("\n"))) }
}

/// In the case's process: a group of its own, its output where main finds it, its orphans with it.
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

/// A file that nobody else sees.
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

/// Children that the case left behind are ours now. Ends them and says so.
fn children_left(group: libc::pid_t) -> Vec<String> {
    let mut left = Vec::new();
    loop {
        let mut status = 0;
        // SAFETY: `status` is an int that the call may write.
        match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
            -1 => return left,
            0 => {
                left.extend(group_members(group).into_iter().map(|pid| format!("left a child: {}", describe_process(pid))));
                // SAFETY: the group that the case made for itself; it has no members but children that are left.
                if unsafe { libc::kill(-group, libc::SIGKILL) } == -1 {
                    left.push("left a child outside its process group".to_string());
                    return left;
                }
                // SAFETY: as above.
                unsafe { libc::waitpid(-1, &mut status, 0) };
            }
            pid => left.push(format!("left a child that nobody waited for: process {pid}, status {status:#x}")),
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
