//! Which process put each message and which finished it, in words that survive all of them.
//!
//! ```text
//!   a put:    draw (ATTEMPTED) -> put -> PUT, or REFUSED
//!                              killed in between: it may be in the queue or not
//!   a lease:  lease -> deliveries noted -> settling = n -> release -> FINISHED -> settling = 0
//!                              killed in between: in doubt, unless another finishes it later
//! ```

use crate::support::process::shared_words;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// Messages that a ledger has room for.
const ROOM: usize = 4_000_000;
/// A storm ends when less is left.
const LEFT_AT_END: u64 = 500_000;

/// A process is about to put it.
const ATTEMPTED: u64 = 1;
/// Its put returned `Ok`.
const PUT: u64 = 1 << 1;
/// Its put returned an error, or it was given up before: it must never arrive.
const REFUSED: u64 = 1 << 2;
/// How often its lease was completed, or its copy returned.
const FINISHED: u64 = 1 << 8;
/// How often a holder was killed between its release and its note.
const DOUBTED: u64 = 1 << 32;

/// The highest value of `Lease::deliveries`.
const MOST_DELIVERIES: u64 = 255;

#[derive(Clone, Copy)]
pub struct Ledger {
    entries: &'static [AtomicU64],
    /// The highest delivery count that a holder saw, for each message.
    deliveries: &'static [AtomicU64],
    /// For each process: the message that it is finishing, plus 1; 0 for none.
    settling: &'static [AtomicU64],
    next: &'static AtomicU64,
    stop: &'static AtomicU64,
    leases: &'static AtomicU64,
    redelivered: &'static AtomicU64,
    given_back: &'static AtomicU64,
}

impl Ledger {
    /// A ledger for processes in that many places.
    pub fn new(places: usize) -> Ledger {
        let words = shared_words(5);
        Ledger {
            entries: shared_words(ROOM),
            deliveries: shared_words(ROOM),
            settling: shared_words(places),
            next: &words[0],
            stop: &words[1],
            leases: &words[2],
            redelivered: &words[3],
            given_back: &words[4],
        }
    }

    /// Empties the ledger. No other process may be alive.
    pub fn clear(&self) {
        let used = self.drawn();
        let words = [self.next, self.stop, self.leases, self.redelivered, self.given_back].into_iter();
        let pages = self.entries[..used].iter().chain(&self.deliveries[..used]).chain(self.settling);
        words.chain(pages).for_each(|word| word.store(0, SeqCst));
    }

    fn drawn(&self) -> usize {
        (self.next.load(SeqCst) as usize).min(ROOM)
    }

    pub fn is_nearly_full(&self) -> bool {
        self.next.load(SeqCst) > ROOM as u64 - LEFT_AT_END
    }

    pub fn stop(&self) {
        self.stop.store(1, SeqCst);
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(SeqCst) != 0
    }

    /// Numbers that no other process has, to be put now. `None`: the storm is over.
    pub fn draw(&self, count: usize) -> Option<Vec<u64>> {
        let first = self.next.fetch_add(count as u64, SeqCst) as usize;
        while first + count > ROOM && !self.is_stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.is_stopped() {
            return None;
        }
        self.entries[first..first + count].iter().for_each(|entry| entry.store(ATTEMPTED, SeqCst));
        Some((first as u64..(first + count) as u64).collect())
    }

    /// The put of a number returned `Ok`.
    pub fn put(&self, number: u64) {
        self.entries[number as usize].fetch_or(PUT, SeqCst);
    }

    /// The put of a number returned an error.
    pub fn refused(&self, number: u64) {
        self.entries[number as usize].fetch_or(REFUSED, SeqCst);
    }

    fn expect_unfinished(&self, number: u64) {
        let entry = self.entries.get(number as usize).map_or(0, |entry| entry.load(SeqCst));
        assert!(entry & ATTEMPTED != 0 && entry & REFUSED == 0, "no process put {number}: entry {entry:#x}");
        assert!(finished(entry) == 0, "{number} comes again, and was finished: entry {entry:#x}");
    }

    /// A lease of a message begins.
    pub fn leased(&self, number: u64, deliveries: u32) {
        self.expect_unfinished(number);
        let deliveries = u64::from(deliveries);
        // Its previous holder noted its own delivery before it let go of it.
        let before = self.deliveries[number as usize].fetch_max(deliveries, SeqCst);
        assert!(before < deliveries || deliveries == MOST_DELIVERIES, "{number}: delivery {deliveries} comes after {before}");
        self.leases.fetch_add(1, SeqCst);
        self.redelivered.fetch_add(u64::from(deliveries > 1), SeqCst);
    }

    /// A lease is about to be given back.
    pub fn giving_back(&self) {
        self.given_back.fetch_add(1, SeqCst);
    }

    /// Completes a lease by `end`.
    pub fn finish(&self, place: usize, number: u64, end: impl FnOnce()) {
        self.settling[place].store(number + 1, SeqCst);
        end();
        self.entries[number as usize].fetch_add(FINISHED, SeqCst);
        self.settling[place].store(0, SeqCst);
    }

    /// A message was taken by copy.
    pub fn copied(&self, number: u64) {
        self.expect_unfinished(number);
        self.entries[number as usize].fetch_add(FINISHED, SeqCst);
    }

    /// Settles the account of a killed process: the one in that place is gone.
    pub fn settle_for_the_dead(&self, place: usize) {
        if let Some(number) = self.settling[place].swap(0, SeqCst).checked_sub(1) {
            self.entries[number as usize].fetch_add(DOUBTED, SeqCst);
        }
    }

    /// Adds everything up. No other process may be alive.
    pub fn audit(&self) -> Audit {
        let mut audit = Audit {
            leases: self.leases.load(SeqCst),
            redelivered: self.redelivered.load(SeqCst),
            given_back: self.given_back.load(SeqCst),
            ..Audit::default()
        };
        let used = self.drawn();
        for (number, (entry, deliveries)) in self.entries[..used].iter().zip(self.deliveries).enumerate() {
            let (entry, deliveries) = (entry.load(SeqCst), deliveries.load(SeqCst));
            let (put, finished, doubted) = (entry & PUT != 0, finished(entry), entry >= DOUBTED);
            audit.put += u64::from(put);
            audit.unknown += u64::from(entry & (ATTEMPTED | PUT | REFUSED) == ATTEMPTED);
            audit.finished += finished;
            audit.redelivered_messages += u64::from(deliveries > 1);
            audit.most_deliveries = audit.most_deliveries.max(deliveries);
            match finished {
                0 if put && doubted => audit.in_doubt += 1,
                0 if put => audit.lost.push(number),
                0 | 1 => {}
                _ => audit.twice.push(number),
            }
            if entry & REFUSED != 0 && (finished != 0 || deliveries != 0) {
                audit.invented.push(number);
            }
        }
        audit
    }
}

fn finished(entry: u64) -> u64 {
    entry % DOUBTED / FINISHED
}

/// The sums of a ledger.
#[derive(Default, Debug)]
pub struct Audit {
    /// Messages whose put returned `Ok`.
    pub put: u64,
    /// Messages whose putter was killed between the attempt and its note.
    pub unknown: u64,
    /// Completed leases, and copies that returned.
    pub finished: u64,
    /// Messages put that no process finished, except perhaps one that was killed between the end of
    /// its lease and its note.
    pub in_doubt: u64,
    /// Messages put that no process finished.
    pub lost: Vec<usize>,
    /// Messages that were finished more than once.
    pub twice: Vec<usize>,
    /// Messages that arrived although their put had failed.
    pub invented: Vec<usize>,
    /// Leases that began.
    pub leases: u64,
    /// Part of `leases`: with a delivery count above 1.
    pub redelivered: u64,
    /// Leases that their holders were about to give back. They are part of what was redelivered;
    /// the rest came back from the dead.
    pub given_back: u64,
    /// How many messages were redelivered.
    pub redelivered_messages: u64,
    pub most_deliveries: u64,
}
