//! What each process did, in one order, in memory that survives all of them; and the check that it
//! is consistent.
//!
//! A process is killed inside the crate only, so each entry is written completely, and there is one
//! call between two entries of a process.

use crate::support::process::shared_words;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Numbers of the processes: the survivor prepares the queue, and checks it at the end.
pub const SURVIVOR: u64 = 0;
pub const FIRST: u64 = 1;
pub const SECOND: u64 = 2;

/// Values of a process begin at its number times this.
pub const VALUES: u64 = 1000;

const ENTRIES: usize = 1000;

/// The kind of an entry about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// It may be committed from here on.
    Puts = 1,
    Put,
    NotPut,
    /// Up to that many messages may be taken by copy from here on, until `CopyEnded`.
    Copies,
    Copied,
    CopyEnded,
    /// One may be leased from here on, until `Leased` or `NotLeased`.
    Leases,
    Leased,
    NotLeased,
    Releases,
    Released,
    GaveBack,
    /// A getter got `Closed`.
    SawClosed,
    /// A join began, and was `Ok`.
    Joins,
    Joined,
}

impl Step {
    fn of(number: u8) -> Step {
        use Step::*;
        let all = [
            Puts, Put, NotPut, Copies, Copied, CopyEnded, Leases, Leased, NotLeased, Releases, Released, GaveBack, SawClosed,
            Joins, Joined,
        ];
        all[number as usize - 1]
    }
}

/// An entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub role: u64,
    pub step: Step,
    pub value: u64,
}

/// The entries of a trial.
#[derive(Clone, Copy)]
pub struct Ledger {
    count: &'static AtomicU64,
    entries: &'static [AtomicU64],
}

impl Ledger {
    pub fn new() -> Ledger {
        let words = shared_words(ENTRIES + 1);
        Ledger { count: &words[0], entries: &words[1..] }
    }

    pub fn clear(self) {
        self.count.store(0, Relaxed);
    }

    pub fn write(self, role: u64, step: Step, value: u64) {
        let number = self.count.fetch_add(1, Relaxed) as usize;
        self.entries[number].store(role << 56 | (step as u64) << 48 | value, Release);
    }

    pub fn entries(self) -> Vec<Entry> {
        let count = self.count.load(Acquire) as usize;
        let read = |word: &AtomicU64| {
            let word = word.load(Acquire);
            Entry { role: word >> 56, step: Step::of((word >> 48) as u8), value: word & ((1 << 48) - 1) }
        };
        self.entries[..count].iter().map(read).collect()
    }
}

/// What the entries up to some moment mean.
#[derive(Debug, Default)]
pub struct Books {
    /// Certainly committed.
    committed: BTreeSet<u64>,
    /// Committed or not: the process died, or still is, in between.
    perhaps: BTreeSet<u64>,
    /// Finished, and by which process.
    finished: BTreeMap<u64, u64>,
    /// Finished or not.
    perhaps_finished: BTreeSet<u64>,
    /// Leased, and neither released nor given back; and by which process.
    open_leases: BTreeMap<u64, u64>,
    /// How many leases of it were recorded.
    leases: BTreeMap<u64, u64>,
    /// For each process, the number of messages that may be lost with it because it was copying
    /// them.
    lost: BTreeMap<u64, u64>,
    /// Processes that are, or died, in a lease.
    leasing: BTreeSet<u64>,
}

impl Books {
    /// Panics if a message was finished twice, or if one was finished that was never put.
    pub fn of(entries: &[Entry]) -> Books {
        let mut books = Books::default();
        for entry in entries {
            books.enter(*entry);
        }
        books
    }

    fn enter(&mut self, Entry { role, step, value }: Entry) {
        match step {
            Step::Puts => drop(self.perhaps.insert(value)),
            Step::Put => {
                assert!(self.perhaps.remove(&value), "{value} is put without a beginning");
                self.committed.insert(value);
            }
            Step::NotPut => drop(self.perhaps.remove(&value)),
            Step::Copies => drop(self.lost.insert(role, value)),
            Step::CopyEnded => drop(self.lost.remove(&role)),
            Step::Leases => drop(self.leasing.insert(role)),
            Step::NotLeased => drop(self.leasing.remove(&role)),
            Step::Copied => self.finish(role, value),
            Step::Leased => {
                self.must_exist(value);
                self.leasing.remove(&role);
                assert!(!self.finished.contains_key(&value), "{value} was finished, and is leased by {role}");
                self.open_leases.insert(value, role);
                *self.leases.entry(value).or_default() += 1;
            }
            Step::Releases => drop(self.perhaps_finished.insert(value)),
            Step::Released => {
                self.open_leases.remove(&value);
                self.finish(role, value);
            }
            Step::GaveBack => drop(self.open_leases.remove(&value)),
            Step::SawClosed | Step::Joins | Step::Joined => {}
        }
    }

    fn finish(&mut self, role: u64, value: u64) {
        self.must_exist(value);
        let before = self.finished.insert(value, role);
        assert_eq!(before, None, "{value} was finished, and is finished again by {role}");
    }

    fn must_exist(&self, value: u64) {
        let exists = self.committed.contains(&value) || self.perhaps.contains(&value);
        assert!(exists, "{value} was never put, and is delivered");
    }

    /// Committed, and certainly not finished, except for as many as may be lost with a copying
    /// process.
    fn unfinished(&self) -> Vec<u64> {
        let is_open = |value: &&u64| !self.finished.contains_key(value) && !self.perhaps_finished.contains(value);
        self.committed.iter().filter(is_open).copied().collect()
    }

    fn lost(&self) -> u64 {
        self.lost.values().sum()
    }

    /// How often it was leased before, at least.
    pub fn leases_of(&self, value: u64) -> u64 {
        self.leases.get(&value).copied().unwrap_or(0)
    }
}

/// Checks everything that was recorded, now that the others are gone and the survivor has drained
/// the queue: `left` is what it found, which is not in the entries. `in_turn`: the first process
/// was dead, or gone, before the second began.
pub fn check(entries: &[Entry], left: &[u64], in_turn: bool) {
    let books = Books::of(entries);
    let mut found = BTreeSet::new();
    for value in left {
        books.must_exist(*value);
        assert!(!books.finished.contains_key(value), "{value} was finished, and is delivered again");
        assert!(found.insert(*value), "{value} is delivered twice");
    }
    let missing: Vec<u64> = books.unfinished().into_iter().filter(|value| !found.contains(value)).collect();
    assert!(
        missing.len() as u64 <= books.lost(),
        "{missing:?} reached no process, and no more than {} may have gone with a copy",
        books.lost()
    );
    for (number, entry) in entries.iter().enumerate() {
        let began_at = |steps: &[Step]| {
            let is_it = |at: &usize| entries[*at].role == entry.role && steps.contains(&entries[*at].step);
            (0..number).rev().find(is_it).expect("a call has a beginning")
        };
        match entry.step {
            Step::SawClosed => {
                let began = began_at(&[Step::Copies, Step::Leases]);
                let is_gone = |role: u64| in_turn && role == FIRST && entry.role != FIRST;
                check_closed(entries, began..=number, is_gone, left);
            }
            Step::Joined => check_joined(&Books::of(&entries[..began_at(&[Step::Joins])]), &Books::of(&entries[..number])),
            _ => {}
        }
    }
}

/// After `Closed`, no message comes except those that live processes held on lease during the call
/// that returned it.
fn check_closed(entries: &[Entry], call: RangeInclusive<usize>, is_gone: impl Fn(u64) -> bool, left: &[u64]) {
    let later = &entries[*call.end()..];
    let seer = entries[*call.end()].role;
    let moments: Vec<Books> = call.map(|number| Books::of(&entries[..number])).collect();
    let taken = later.iter().filter(|entry| matches!(entry.step, Step::Copied | Step::Leased)).map(|entry| entry.value);
    for value in taken.chain(left.iter().copied()) {
        let was_on_lease = moments.iter().any(|then| {
            // Inside a lease or a copy; a copy of a large message is made from a lease.
            then.leasing.iter().chain(then.lost.keys()).any(|&role| !is_gone(role) && role != seer)
                || then.open_leases.get(&value).is_some_and(|&role| !is_gone(role))
        });
        assert!(was_on_lease, "{value} came after Closed was returned");
    }
    for entry in later.iter().filter(|entry| entry.step == Step::Put) {
        let was_begun = moments.iter().any(|then| then.perhaps.contains(&entry.value));
        assert!(was_begun, "{} was put after Closed was returned", entry.value);
    }
}

/// A join waits for everything that was committed when it began.
fn check_joined(began: &Books, then: &Books) {
    let unfinished: Vec<u64> = then.unfinished().into_iter().filter(|value| began.committed.contains(value)).collect();
    assert!(unfinished.len() as u64 <= then.lost(), "join was Ok, and {unfinished:?} were not finished");
}
