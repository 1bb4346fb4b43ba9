//! Trials by the hundred, in children of their own: a trial that kills or hangs its child is
//! reported with its number and the verb it was in.
//!
//! `SHMQ_TEST_SEED` repeats a run, `SHMQ_GARBAGE_TRIAL=n` only its trial n, `SHMQ_GARBAGE_TIMES=k`
//! makes k times as many.

use crate::support::process::{Child, Exit, describe_process, fork, shared_words};
use crate::support::{BY_ITSELF, Rng, shm_files, unique_name};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant};

/// Trials at a time.
const WORKERS: u64 = 2;
/// No verb takes longer, on any machine: their own deadlines are a millisecond, some wait 50 ms for
/// a lock.
const HANG: Duration = BY_ITSELF;
/// Words of a worker: trial, steps made, and the name of the step.
const WORDS: usize = 8;
const NAME_WORDS: usize = WORDS - 2;
const NO_TRIAL: u64 = u64::MAX;

/// The progress of a worker, in words that survive it.
#[derive(Clone, Copy)]
pub struct Progress(&'static [AtomicU64]);

impl Progress {
    pub fn new() -> Progress {
        let words = shared_words(WORDS);
        words[0].store(NO_TRIAL, Relaxed);
        Progress(words)
    }

    pub fn step(self, name: &'static str) {
        let mut bytes = [0u8; NAME_WORDS * 8];
        let kept = name.len().min(bytes.len());
        bytes[..kept].copy_from_slice(&name.as_bytes()[..kept]);
        for (word, eight) in self.0[2..].iter().zip(bytes.chunks_exact(8)) {
            word.store(u64::from_le_bytes(eight.try_into().expect("a chunk of 8")), Relaxed);
        }
        self.0[1].fetch_add(1, Release);
    }

    pub fn begin(self, trial: u64) {
        self.0[0].store(trial, Relaxed);
        self.step("beginning");
    }

    fn steps(self) -> u64 {
        self.0[1].load(Relaxed)
    }

    fn in_words(self) -> String {
        let bytes: Vec<u8> = self.0[2..].iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
        let name = String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned();
        format!("trial {}, step {} ({name})", self.0[0].load(Relaxed) as i64, self.steps())
    }
}

/// A child whose steps are watched.
pub struct Watched {
    child: Option<Child>,
    pid: u32,
    progress: Progress,
    seen: u64,
    since: Instant,
}

impl Watched {
    pub fn start(what: &'static str, run: impl FnOnce(Progress)) -> Watched {
        let progress = Progress::new();
        let child = fork(what, || run(progress));
        Watched { pid: child.pid(), child: Some(child), progress, seen: 0, since: Instant::now() }
    }

    /// Is it still running? A child that died, failed or makes no progress fails the test.
    #[track_caller]
    pub fn check(&mut self) -> bool {
        let Some(child) = &mut self.child else { return false };
        if child.has_ended() {
            let exit = child.wait();
            assert_eq!(exit, Exit::Code(0), "a worker in {}", self.progress.in_words());
            self.child = None;
            return false;
        }
        if self.progress.steps() != self.seen {
            (self.seen, self.since) = (self.progress.steps(), Instant::now());
        }
        assert!(
            self.since.elapsed() < HANG,
            "hangs for {HANG:?} in {}: {}\n{}",
            self.progress.in_words(),
            describe_process(self.pid as i32),
            stack_of(self.pid)
        );
        true
    }

    /// Kills it, wherever it is.
    pub fn kill(mut self) {
        if let Some(child) = self.child.take() {
            child.kill();
        }
    }
}

/// The user-space stack, where a debugger is installed.
fn stack_of(pid: u32) -> String {
    let asked = std::process::Command::new("gdb").args(["-p", &pid.to_string(), "-batch", "-ex", "bt 20"]).output();
    asked.map_or_else(|error| format!("(no stack: gdb: {error})"), |said| String::from_utf8_lossy(&said.stdout).into_owned())
}

/// Checks all of them until none runs.
#[track_caller]
pub fn watch(workers: &mut [Watched]) {
    let mut pause = Duration::from_micros(100);
    while workers.iter_mut().filter(|worker| worker.child.is_some()).fold(false, |any, worker| worker.check() | any) {
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

fn from_environment(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text:?} is not a number")))
}

/// The factor on the usual number of trials that the environment asks for.
pub fn times() -> u64 {
    from_environment("SHMQ_GARBAGE_TIMES").unwrap_or(1).max(1)
}

/// Runs `count` trials (or a multiple, as the environment says). `trial` receives its number, a
/// name for its segment and its own random numbers.
pub fn trials(what: &'static str, count: u64, trial: impl Fn(u64, &str, Rng, Progress)) {
    let base = Rng::new(what).draw();
    let name = unique_name("garbage");
    let only = from_environment("SHMQ_GARBAGE_TRIAL");
    let run = |worker: u64, progress: Progress| {
        let name = format!("{name}-{worker}");
        for number in (worker..count * times()).step_by(WORKERS as usize) {
            if only.is_none_or(|only| only == number) {
                progress.begin(number);
                trial(number, &name, Rng::from_state(base ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)), progress);
                remove(&name);
            }
        }
    };
    let mut workers: Vec<Watched> = (0..WORKERS).map(|worker| Watched::start(what, |progress| run(worker, progress))).collect();
    watch(&mut workers);
    let left = shm_files(&format!("shmq.{name}"));
    assert!(left.is_empty(), "left: {left:?}");
}

/// The path of the segment of that name.
pub fn path_of(name: &str) -> String {
    format!("/dev/shm/shmq.{name}")
}

/// Removes a name by hand, as a user does that knows its segment to be garbage.
pub fn remove(name: &str) {
    match std::fs::remove_file(path_of(name)) {
        Ok(()) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{name}: {error}"),
    }
}
