//! How the reactor sleeps: on all words at once, or in naps where the kernel, or a sandbox, refuses
//! that.
//!
//! | where | how | a task is notified |
//! |---|---|---|
//! | Linux 5.16 | `futex_waitv` on the control word and those of all rooms | at once |
//! | `futex_waitv` is refused | on the control word, in naps of 1 to 10 ms | within a nap |
//!
//! A thread that naps is not registered with any condition variable: a waiter that is counted and
//! not asleep would cost each notifier system calls.

use crate::atomic::AtomicU32;
use crate::lock::{Condvar, Registration};
use crate::os::{Deadline, WAIT_ANY_MAX, WordSet, futex_wait_private, futex_wake_private};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU8};

/// Rooms of one thread: their words, and the control word.
pub(super) const MOST_ROOMS: usize = WAIT_ANY_MAX - 1;

const SHORTEST_NAP_NS: u64 = 1_000_000;
const LONGEST_NAP_NS: u64 = 10_000_000;

const UNKNOWN: u8 = 0;
const SLEEPS: u8 = 1;
const NAPS: u8 = 2;
/// Whether the kernel knows, and allows, a sleep on several words: of the whole process.
static HOW: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Must this process nap? Asks the kernel once.
pub(super) fn must_nap() -> bool {
    match HOW.load(Relaxed) {
        UNKNOWN => {
            let word = AtomicU32::new(0);
            let mut set = WordSet::default();
            // Not as expected: the call returns at once where it is allowed.
            set.push_private(&word, 1);
            let how = if set.sleep(Deadline::PASSED) { SLEEPS } else { NAPS };
            HOW.store(how, Relaxed);
            how == NAPS
        }
        how => how == NAPS,
    }
}

/// What wakes a thread of the reactor, besides the words of its rooms.
#[derive(Default)]
pub(super) struct Control {
    word: AtomicU32,
    is_asleep: AtomicBool,
}

impl Control {
    /// Before the rooms are read: what is told later is seen before the next sleep.
    pub fn read(&self) -> u32 {
        self.word.load(SeqCst)
    }

    /// Ends the sleep, the next one if none has begun. SeqCst on both sides: the sleeper sees the
    /// word, or this call sees the sleeper.
    pub fn wake(&self) {
        self.word.fetch_add(1, SeqCst);
        if self.is_asleep.load(SeqCst) {
            futex_wake_private(&self.word);
        }
    }
}

/// One thread's sleep. Its memory is used again.
#[derive(Default)]
pub(super) struct Sleep {
    words: WordSet,
    nap_ns: u64,
}

impl Sleep {
    /// Begins a set of words with the control word, as it was when it was `read`.
    pub fn begin(&mut self, control: &Control, read: u32) {
        self.words.clear();
        self.words.push_private(&control.word, read);
    }

    pub fn add(&mut self, condvar: Condvar<'_>, place: Registration) {
        condvar.add_to(&mut self.words, place);
    }

    /// The next nap is a short one again.
    pub fn note_work(&mut self) {
        self.nap_ns = 0;
    }

    fn nap(&mut self, control: &Control, read: u32, until: Deadline) {
        self.nap_ns = (self.nap_ns * 2).clamp(SHORTEST_NAP_NS, LONGEST_NAP_NS);
        let until = if until == Deadline::NEVER { until } else { until.within(self.nap_ns) };
        futex_wait_private(&control.word, read, until);
    }

    /// Sleeps until a word changes or `until`; may return early.
    pub fn sleep(&mut self, control: &Control, read: u32, until: Deadline, has_tasks: bool) {
        control.is_asleep.store(true, SeqCst);
        if control.word.load(SeqCst) == read {
            if !must_nap() {
                if !self.words.sleep(until) {
                    // For want of memory, or for good: asked again.
                    HOW.store(UNKNOWN, Relaxed);
                    self.nap(control, read, until);
                }
            } else {
                self.nap(control, read, if has_tasks { until } else { Deadline::NEVER });
            }
        }
        control.is_asleep.store(false, Relaxed);
    }
}
