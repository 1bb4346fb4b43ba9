//! One trial: what the queue held before, which process dies or stops where, and how the third one
//! checks the result.

use super::kinds::Kind;
use super::ledger::{FIRST, Ledger, SECOND, SURVIVOR, VALUES};
use super::survivor::{Recovery, survive, work_beside};
use super::verbs::{Verb, Worker};
use crate::support::process::{PANICKED, die_with, exit_now, shared_words};
use shmq::Queue;
use shmq::inspect::Inspector;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A child that takes longer hangs.
const CHILD_BOUND_S: u32 = 60;
/// A trial that takes longer hangs: the process that runs it is ended by SIGALRM.
pub const TRIAL_BOUND_S: u32 = 180;

/// What happens to the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The first dies, then the second begins, and dies.
    BothDie,
    /// The first stops, the second dies meanwhile, then the first dies where it stopped.
    DiesStopped,
    /// The first stops, the second dies, the survivor works beside them, and the first goes on.
    GoesOn,
    /// Both stop, the survivor works beside them, and both go on, one after the other.
    BothGoOn,
}

pub const FATES: [Fate; 4] = [Fate::BothDie, Fate::DiesStopped, Fate::GoesOn, Fate::BothGoOn];

/// The history and the contents of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Empty,
    One,
    Two,
    Full,
    /// Two messages, of which the older was given back.
    GivenBack,
    /// A dropped loan, and one message behind it.
    Aborted,
    /// One message, and dropped loans behind it, whose room a putter needs.
    AbortedLast,
    /// Two messages of larger loans, the first of which gave up more of its room.
    CutOff,
}

pub const BEFORES: [Before; 8] = [
    Before::Empty,
    Before::One,
    Before::Two,
    Before::Full,
    Before::GivenBack,
    Before::Aborted,
    Before::AbortedLast,
    Before::CutOff,
];

/// Everything that determines a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    pub first: Verb,
    pub second: Verb,
    pub fate: Fate,
    pub before: Before,
    pub recovery: Recovery,
    /// Do the two attach as a part of what they do, so that the second takes the entry of the dead
    /// first one? Otherwise they attach before.
    pub late: bool,
    /// Numbers of the writes before which they die or stop.
    pub at: [u64; 2],
}

/// In the format of `SHMQ_TWO_DEATHS`.
impl fmt::Display for Trial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trial { first, second, fate, before, recovery, late, at: [i, j] } = self;
        let attached = if *late { "Late" } else { "Early" };
        write!(out, "{first:?} {second:?} {fate:?} {before:?} {recovery:?} {attached} {i} {j}")
    }
}

/// How far a trial got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Writes of the first and of the second, if it reached the end of its verb.
    pub ended: [Option<u64>; 2],
    pub kills: u64,
    pub stops: u64,
}

/// Where trials run, one after the other.
pub struct Ground {
    pub name: String,
    ledger: Ledger,
    writes: &'static [AtomicU64],
    /// The trial that is being run, as text, since the process that runs it may hang or end.
    doing: &'static [AtomicU64],
}

/// Words of that text.
const TEXT_WORDS: usize = 20;

/// How a child was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Ended,
    Killed,
    Stopped,
}

/// A child, which does not outlive its trial.
pub struct Forked {
    pid: libc::pid_t,
    what: &'static str,
    is_gone: bool,
}

impl Forked {
    pub fn start(what: &'static str, run: impl FnOnce()) -> Forked {
        let parent = std::process::id();
        // SAFETY: this process has one thread, so the child may do whatever its parent could.
        match unsafe { libc::fork() } {
            -1 => panic!("fork of {what}: {}", std::io::Error::last_os_error()),
            0 => {
                die_with(parent);
                // SAFETY: alarm takes a number. The default action of its signal ends the child.
                unsafe { libc::alarm(CHILD_BOUND_S) };
                exit_now(if catch_unwind(AssertUnwindSafe(run)).is_ok() { 0 } else { PANICKED })
            }
            pid => Forked { pid, what, is_gone: false },
        }
    }

    pub fn wait(&mut self) -> Found {
        let mut status = 0;
        // SAFETY: `status` is an int that the call may write.
        let found = unsafe { libc::waitpid(self.pid, &mut status, libc::WUNTRACED) };
        assert_eq!(found, self.pid, "waitpid: {}", std::io::Error::last_os_error());
        if libc::WIFSTOPPED(status) {
            return Found::Stopped;
        }
        self.is_gone = true;
        match (libc::WIFSIGNALED(status), libc::WTERMSIG(status), libc::WEXITSTATUS(status)) {
            (false, _, 0) => Found::Ended,
            (true, libc::SIGKILL, _) => Found::Killed,
            (true, libc::SIGALRM, _) => panic!("the {} process hangs", self.what),
            (true, signal, _) => panic!("the {} process ended by signal {signal}", self.what),
            (false, _, code) => panic!("the {} process failed: exit code {code}", self.what),
        }
    }

    fn send(&self, signal: i32) {
        // SAFETY: kill takes two numbers. The child was not waited for, so the pid is still its
        // own.
        let sent = unsafe { libc::kill(self.pid, signal) };
        assert_eq!(sent, 0, "kill: {}", std::io::Error::last_os_error());
    }

    pub fn go_on(&mut self) -> Found {
        self.send(libc::SIGCONT);
        self.wait()
    }

    pub fn kill(&mut self) {
        self.send(libc::SIGKILL);
        assert_eq!(self.wait(), Found::Killed, "the {} process", self.what);
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        if !self.is_gone {
            // SAFETY: the child was not waited for, so the pid is still its own. The status pointer
            // is null, which is permitted.
            unsafe {
                libc::kill(self.pid, libc::SIGKILL);
                libc::waitpid(self.pid, std::ptr::null_mut(), 0);
            }
        }
    }
}

/// Stops this process until its parent continues it.
pub fn stand_still() {
    // SAFETY: kill and getpid take no pointers; SIGSTOP stops this process.
    unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
}

impl Ground {
    pub fn new(name: String) -> Ground {
        Ground { name, ledger: Ledger::new(), writes: shared_words(2), doing: shared_words(TEXT_WORDS) }
    }

    fn note(&self, text: &str) {
        let mut bytes = text.bytes().chain(std::iter::repeat(b' '));
        for word in self.doing {
            word.store(u64::from_le_bytes(std::array::from_fn(|_| bytes.next().unwrap_or(b' '))), Relaxed);
        }
    }

    /// Describes the current or last trial, also for a process other than the one that runs the
    /// trials.
    pub fn describe(&self) -> String {
        let text: Vec<u8> = self.doing.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
        let snapshot = Inspector::open(&self.name).map(|inspector| inspector.snapshot());
        let entries = self.ledger.entries();
        let entries: Vec<_> = entries.iter().map(|entry| (entry.role, entry.step, entry.value)).collect();
        format!("SHMQ_TWO_DEATHS=\"{}\"\n{entries:?}\n{snapshot:#?}", String::from_utf8_lossy(&text).trim())
    }

    /// Runs a trial. `Err` describes the failure.
    pub fn run<K: Kind>(&self, trial: Trial) -> Result<Outcome, String> {
        // SAFETY: alarm takes a number.
        unsafe { libc::alarm(TRIAL_BOUND_S) };
        self.ledger.clear();
        self.note(&format!("{} {trial}", K::NAME));
        let queue = K::create(&self.name);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run_on::<K>(trial, &queue)));
        outcome.map_err(|panic| format!("{}\n{}", said(&*panic), self.describe()))
    }

    fn run_on<K: Kind>(&self, trial: Trial, queue: &Queue<K::T>) -> Outcome {
        let mut survivor = Worker::<K>::new(queue, self.ledger, SURVIVOR, true);
        prepare(&mut survivor, trial.before);
        let all_die = trial.fate == Fate::BothDie;
        let signals = match trial.fate {
            Fate::BothDie => [libc::SIGKILL, libc::SIGKILL],
            Fate::DiesStopped | Fate::GoesOn => [libc::SIGSTOP, libc::SIGKILL],
            Fate::BothGoOn => [libc::SIGSTOP, libc::SIGSTOP],
        };
        let start = |number: usize, waits: bool| {
            let (what, role, verb) = [("first", FIRST, trial.first), ("second", SECOND, trial.second)][number];
            Forked::start(what, || {
                let arm = || shmq::counted::arm(trial.at[number], signals[number]);
                if trial.late {
                    arm();
                }
                // It attaches, whatever it does later.
                queue.recover();
                if waits {
                    stand_still();
                }
                if !trial.late {
                    arm();
                }
                Worker::<K>::new(queue, self.ledger, role, all_die).run(verb);
                self.writes[number].store(shmq::counted::disarm(), Relaxed);
            })
        };
        let mut outcome = Outcome::default();
        let mut second_waits = (!trial.late).then(|| {
            let mut second = start(1, true);
            assert_eq!(second.wait(), Found::Stopped, "the second, attached");
            second
        });
        let mut first = start(0, false);
        let found = first.wait();
        outcome.note(0, found, self.writes[0].load(Relaxed));
        let (mut second, found_second) = match second_waits.take() {
            Some(mut second) => {
                let found = second.go_on();
                (second, found)
            }
            None => {
                let mut second = start(1, false);
                let found = second.wait();
                (second, found)
            }
        };
        outcome.note(1, found_second, self.writes[1].load(Relaxed));
        survivor.alone = false;
        survivor.next_value = VALUES / 2;
        let stopped = [found == Found::Stopped, found_second == Found::Stopped];
        if stopped != [false, false] && trial.fate != Fate::DiesStopped {
            work_beside(&mut survivor, trial.recovery);
        }
        if trial.fate == Fate::DiesStopped && stopped[0] {
            first.kill();
            outcome.kills += 1;
        } else {
            let in_turn = if (trial.at[0] + trial.at[1]) % 2 == 0 { [0, 1] } else { [1, 0] };
            for number in in_turn.into_iter().filter(|&number| stopped[number]) {
                let process = if number == 0 { &mut first } else { &mut second };
                assert_eq!(process.go_on(), Found::Ended, "the {} process, which went on", process.what);
            }
        }
        // A participant that has not scanned for dead processes yet: one that did so a moment ago
        // would wait for a while.
        let queue = Queue::<K::T>::open(&self.name).expect("it is there");
        survive(&mut Worker::<K> { queue: &queue, ..survivor }, trial.recovery, all_die);
        outcome
    }
}

impl Outcome {
    fn note(&mut self, number: usize, found: Found, writes: u64) {
        match found {
            Found::Ended => self.ended[number] = Some(writes),
            Found::Killed => self.kills += 1,
            Found::Stopped => self.stops += 1,
        }
    }
}

pub fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_else(|| "a panic".to_string())
}

fn prepare<K: Kind>(survivor: &mut Worker<'_, K>, before: Before) {
    let (laps, count) = match before {
        Before::Empty => (0, 0),
        Before::One => (1, 1),
        Before::Two => (3, 2),
        Before::Full => (2, 3),
        Before::GivenBack => (2, 2),
        Before::Aborted | Before::AbortedLast => (3, 1),
        Before::CutOff => (2, 0),
    };
    let queue = survivor.queue;
    for _ in 0..laps {
        queue.try_put(&K::encode(0)).expect("there is room");
        queue.try_get().expect("a message");
        queue.task_done().expect("it was taken");
    }
    if before == Before::Aborted {
        survivor.run(Verb::LoanDropped);
    }
    survivor.next_value = 1;
    (0..count).for_each(|_| survivor.run(Verb::Put));
    match before {
        Before::GivenBack => survivor.run(Verb::LeaseGivenBack),
        Before::AbortedLast => (0..2).for_each(|_| survivor.run(Verb::LoanDropped)),
        Before::CutOff => {
            survivor.next_value = 3;
            (0..2).for_each(|_| survivor.run(Verb::LoanCommitted));
        }
        _ => {}
    }
}
