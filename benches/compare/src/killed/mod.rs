//! What each rival does when one of its processes is killed (`SIGKILL`).
//!
//! ```text
//!   bench ── forks ──▶ umpires: each a few kills of one rival and one victim
//!                        └─ fork ──▶ a victim and its survivors (party.rs, roles.rs)
//! ```
//!
//! Each kill has a fresh channel. Three victims: a producer at work, a consumer at work, a consumer
//! asleep in an empty channel. In the victim's place another process goes on, which is already
//! attached or, where the design allows only one, a replacement that attaches after the death. Each
//! process notes in a shared ledger what it put and took (`ledger.rs`), by which the kill is judged
//! (`verdict.rs`).
//!
//! Umpires take turns on the processors (`stage.rs`), and leave them while survivors hang until the
//! bound.

mod broadcast;
mod iceoryx;
mod leases;
mod ledger;
pub mod order;
mod party;
mod report;
mod roles;
mod roster;
pub mod self_test;
mod stage;
mod umpire;
mod verdict;

pub use report::{Lines, csv, json};
pub use umpire::Outcome;

use crate::forked::kernel;
use ledger::Ledger;
use order::Order;
use party::Team;
use roles::{Contender, Playing};
use stage::Stage;
use std::{
    env,
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::{FromRawFd, OwnedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::{Duration, Instant},
};

/// Which process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    Producer,
    Consumer,
    Sleeper,
}

pub const VICTIMS: [Victim; 3] = [Victim::Producer, Victim::Consumer, Victim::Sleeper];

impl Victim {
    pub fn name(self) -> &'static str {
        match self {
            Victim::Producer => "producer",
            Victim::Consumer => "consumer",
            Victim::Sleeper => "sleeping consumer",
        }
    }
}

/// A rival whose processes are killed.
pub struct Rival {
    pub name: String,
    team: Team,
    /// Several producers may be attached at once: one goes on beside the victim. Else one comes in
    /// its place.
    many_producers: bool,
    many_consumers: bool,
    /// Messages that a consumer takes in a call.
    call: u64,
}

impl Rival {
    /// Whose messages of 64 B are put and taken one by one, by as many as like.
    fn new<C: Contender>(name: &str) -> Rival {
        let team = Team::Forked(Playing::<C>::boxed());
        Rival { name: name.into(), team, many_producers: true, many_consumers: true, call: 1 }
    }

    fn one_producer(self) -> Rival {
        Rival { many_producers: false, ..self }
    }

    fn one_consumer(self) -> Rival {
        Rival { many_consumers: false, ..self }
    }

    /// A kind of the Python program's.
    fn python(kind: &'static str, name: &str, call: u64) -> Rival {
        Rival { name: name.into(), team: Team::Python(kind), many_producers: true, many_consumers: true, call }
    }
}

/// The kills of a rival with one victim.
pub struct Kills {
    pub victim: Victim,
    pub outcomes: Vec<Outcome>,
    /// Rounds that could not begin, and why.
    pub failed: Vec<String>,
}

/// All kills.
#[derive(Default)]
pub struct Results {
    pub seed: u64,
    pub took: Duration,
    /// By rival.
    pub rows: Vec<(String, Vec<Kills>)>,
}

/// Kills of one umpire.
const BATCH: u64 = 10;
/// Umpires at a time.
const UMPIRES: usize = 24;
/// Longest life of an umpire.
const PATIENCE: Duration = Duration::from_secs(100);
/// Attempts to begin a round.
const ATTEMPTS: u32 = 3;

struct Job {
    row: usize,
    victim: Victim,
    from: u64,
    to: u64,
}

struct Umpire {
    pid: libc::pid_t,
    results: File,
    since: Instant,
    job: Job,
}

/// The rivals that were asked for.
pub fn rivals(order: &Order) -> Vec<Rival> {
    let wanted = |rival: &Rival| {
        let title = format!("killed: {}", rival.name.to_lowercase());
        order.only.is_empty() || order.only.iter().any(|what| title.contains(what.as_str()))
    };
    let mut rivals = roster::rivals(order.python);
    rivals.retain(wanted);
    rivals
}

/// What all names of a run begin with.
fn prefix() -> String {
    format!("killed-{}-", std::process::id())
}

/// All kills of all rivals. The process must have one thread.
pub fn run(rivals: &[Rival], order: &Order) -> io::Result<Results> {
    let began = Instant::now();
    let (stage, prefix) = (Stage::new()?, prefix());
    let empty = |rival: &Rival| {
        let kills = VICTIMS.map(|victim| Kills { victim, outcomes: Vec::new(), failed: Vec::new() });
        (rival.name.clone(), Vec::from(kills))
    };
    let mut rows: Vec<(String, Vec<Kills>)> = rivals.iter().map(empty).collect();
    let mut jobs = Vec::new();
    for from in (0..order.kills).step_by(BATCH as usize) {
        for victim in VICTIMS {
            jobs.extend((0..rivals.len()).map(|row| Job { row, victim, from, to: (from + BATCH).min(order.kills) }));
        }
    }
    jobs.reverse();
    let mut umpires: Vec<Umpire> = Vec::new();
    while !jobs.is_empty() || !umpires.is_empty() {
        while umpires.len() < UMPIRES {
            let Some(job) = jobs.pop() else { break };
            umpires.push(begin(&rivals[job.row], job, order, &stage, &prefix)?);
        }
        if let Some(at) = umpires.iter().position(|umpire| kernel::ended(umpire.pid, false).is_some()) {
            let umpire = umpires.swap_remove(at);
            take_in(&mut rows, umpire);
            eprint!("\r\x1b[Kkills: {} groups left", jobs.len() + umpires.len());
        }
        if let Some(late) = umpires.iter().find(|umpire| umpire.since.elapsed() > PATIENCE) {
            kernel::kill(late.pid); // its processes die with it
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    eprint!("\r\x1b[K");
    sweep(&prefix);
    for (_, kills) in &mut rows {
        kills.iter_mut().for_each(|kills| kills.outcomes.sort_by_key(|outcome| outcome.seed));
    }
    Ok(Results { seed: order.seed, took: began.elapsed(), rows })
}

/// Takes away what an umpire left that was ended.
fn sweep(prefix: &str) {
    for directory in [PathBuf::from("/dev/shm"), env::temp_dir()] {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().contains(prefix) {
                let path = entry.path();
                let _gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            }
        }
    }
}

fn begin(rival: &Rival, job: Job, order: &Order, stage: &Stage, prefix: &str) -> io::Result<Umpire> {
    let mut fds = [0; 2];
    // SAFETY: the pointer is to two integers.
    if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: new and ours.
    let [from, to] = fds.map(|fd| File::from(unsafe { OwnedFd::from_raw_fd(fd) }));
    let pid = kernel::fork(|| {
        let done = umpire(rival, &job, order.seed, stage, prefix, to);
        i32::from(done.is_err())
    });
    Ok(Umpire { pid, results: from, since: Instant::now(), job })
}

/// An umpire's life. Its outcomes fit into the pipe.
fn umpire(rival: &Rival, job: &Job, seed: u64, stage: &Stage, prefix: &str, mut to: File) -> io::Result<()> {
    let ledger = Ledger::new()?;
    let mut python = None;
    for number in job.from..job.to {
        let (mut attempt, seed) = (0, seed.wrapping_add(number));
        loop {
            attempt += 1;
            let name = format!("{prefix}{}-{}-{number}-{attempt}", job.row, job.victim as u8);
            let body = AssertUnwindSafe(|| umpire::round(rival, job.victim, seed, &name, ledger, &mut python, stage));
            let outcome = catch_unwind(body).unwrap_or_else(|_| Err("the umpire panicked".into()));
            match outcome {
                Err(_) if attempt < ATTEMPTS => continue,
                outcome => writeln!(to, "{}", report::line(&outcome))?,
            }
            break;
        }
    }
    Ok(())
}

/// Takes in what an umpire found.
fn take_in(rows: &mut [(String, Vec<Kills>)], mut umpire: Umpire) {
    let mut text = String::new();
    let read = umpire.results.read_to_string(&mut text);
    let Job { row, victim, from, to } = umpire.job;
    let Some(kills) = rows[row].1.iter_mut().find(|kills| kills.victim == victim) else { return };
    for line in text.lines() {
        match report::outcome(line) {
            Ok(outcome) => kills.outcomes.push(outcome),
            Err(why) => kills.failed.push(why),
        }
    }
    let missing = (to - from).saturating_sub(text.lines().count() as u64);
    if missing > 0 || read.is_err() {
        kills.failed.push(format!("{missing} kills without a result: their umpire ended"));
    }
}
