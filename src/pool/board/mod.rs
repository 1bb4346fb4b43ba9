//! The board: shared words that say what may still happen to each chunk that was sent, and which
//! chunk each worker runs. The program, the supervisor and the workers decide by one
//! compare-exchange on a chunk's word, so each chunk has one outcome.
//!
//! ```text
//!              cancel (program)
//!   WAITING ───────────────────> CANCELLED     its message is dropped by the worker that gets it
//!      │ take (worker)
//!      v      pause               finish
//!   RUNNING <─────────> HELD     RUNNING ────> DONE     its results are put
//!      │      resume     │          ^            │
//!      │                 │          └────────────┘ taken again: its worker died (a retry)
//!      ├── kill (program)┴──> KILLED           its worker is ended; another reports Cancelled
//!      └── expire (supervisor) ──> TIMED_OUT   its worker is ended; another reports TimedOut
//! ```
//!
//! Invariants:
//! 1. A word names the generation of its entry, which the program counts up at each reuse. A worker
//!    that gets a message of an older generation drops it: the chunk was cancelled.
//! 2. A worker runs tasks of a chunk between a compare-exchange of its own to `RUNNING`, which
//!    names its seat, and the next of its own. If that one fails, the chunk was ended meanwhile and
//!    the worker ends itself: it is not there for another task, so a kill that comes late hits no
//!    other task.
//! 3. The supervisor kills the worker of a seat only if the seat's word names the worker's own pid
//!    and an entry that is `KILLED` or `TIMED_OUT` and names this seat: that worker can finish
//!    nothing any more (Invariant 2).
//! 4. `begun` is written before the compare-exchange to `RUNNING`, and each such exchange counts
//!    the beat up. An exchange to `TIMED_OUT` expects the beat under which `begun` was read, or an
//!    earlier one: so no task is ended before its time.
//! 5. The results `Cancelled` (of `KILLED`) and `TimedOut` are reported by the next worker that
//!    gets the chunk, which follows from the death of the one that ran it. So when such a result is
//!    there, the task runs no more.

#[cfg(test)]
mod tests;
mod turn;
mod word;

pub(super) use self::turn::Turn;

use self::word::{Word, state};
use crate::error::CreateError;
use crate::os::{KILL, now_ns, own_pid, prefetch_write, send_signal};
use crate::sync::Array;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Chunks that are in the tasks' ring at a time, those that run included; more wait in the backlog.
pub(super) const ENTRIES: u32 = 2048;
/// A task without a limit of its time.
pub(super) const NO_LIMIT: u64 = u64::MAX;

/// Words to the next entry or seat: a cache line, as different workers write them.
const STRIDE: usize = 8;
/// The shortest limit of the tasks that are there. Zero until there is one: the array begins as
/// zeroes.
const SHORTEST: usize = 0;
const SEATS_AT: usize = STRIDE;
/// Words of an entry.
const WORD: usize = 0;
const BEGUN: usize = 1;
const LIMIT: usize = 2;

/// In place of an entry: the worker has found its chunk ended.
const ENDED_ITSELF: u32 = u32::MAX;

/// The word of a seat: the worker's pid, and the entry's index plus one.
fn seat_word(pid: u32, place: u32) -> u64 {
    u64::from(pid) << 32 | u64::from(place)
}

/// A chunk's place on the board. Travels with it, and with its results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub index: u32,
    pub generation: u32,
}

/// A worker's place on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub number: u32,
    /// Its process id: kept, as asking for it is a system call.
    pub pid: u32,
}

/// What a worker does with a chunk that it got.
pub(super) enum Taken<'b> {
    /// It runs the tasks.
    Run(Turn<'b>),
    /// It drops the chunk, of which the program knows: it was cancelled.
    Cancelled,
    /// Its worker was ended by the program: it reports that.
    Killed,
    /// Its worker was ended after so many ns: it reports that.
    TimedOut(u64),
    /// Its workers died too often: it reports that.
    Died,
}

/// The compare-exchange that should end a task, or a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The chunk had not begun, and never will.
    BeforeItBegan,
    /// A worker runs it, and is to be killed now.
    WhileItRan,
    /// It is done, or ended by other means.
    No,
}

/// What is to be done about the chunk of a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing before that time.
    GoOn { until_ns: u64 },
    /// Its worker is to be killed (Invariant 3).
    Kill,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Board {
    words: Array<u64>,
    seats: u32,
}

impl Board {
    pub fn new(seats: u32) -> Result<Board, CreateError> {
        let words = SEATS_AT + STRIDE * (seats as usize + ENTRIES as usize);
        Ok(Board { words: Array::builder(vec![0; words]).create()?, seats })
    }

    fn word_at(&self, at: usize) -> &AtomicU64 {
        &self.words.atomics()[at]
    }

    fn entry(&self, index: u32, word: usize) -> &AtomicU64 {
        // An index that travelled is checked by `Entry`'s reader; another one panics here.
        self.word_at(SEATS_AT + STRIDE * (self.seats as usize + index as usize) + word)
    }

    /// The chunk that a worker runs, see [`seat_word`]. 0: none.
    fn seat(&self, seat: u32) -> &AtomicU64 {
        self.word_at(SEATS_AT + STRIDE * seat as usize)
    }

    /// In the program, which alone reuses entries: a chunk is about to be sent.
    pub fn begin(&self, entry: Entry, limit_ns: u64) {
        self.entry(entry.index, LIMIT).store(limit_ns, Relaxed);
        // The message that leads a worker here is published later, so it sees both.
        self.entry(entry.index, WORD).store(Word::waiting(entry.generation).0, Release);
    }

    /// In the program: that entry is likely to be used next.
    pub fn prefetch(&self, index: u32) {
        prefetch_write(self.entry(index, WORD).as_ptr().cast());
    }

    /// A chunk that has not begun never will. Other ones go on.
    pub fn cancel(&self, entry: Entry) -> Ended {
        self.end(entry, false)
    }

    /// A chunk that has not begun never will, and one that runs is ended: its worker is to be
    /// killed.
    pub fn kill(&self, entry: Entry) -> Ended {
        self.end(entry, true)
    }

    fn end(&self, entry: Entry, runs_too: bool) -> Ended {
        let shared = self.entry(entry.index, WORD);
        let mut word = Word(shared.load(Acquire));
        loop {
            if word.generation() != entry.generation {
                return Ended::No;
            }
            let (state, ended) = match word.state() {
                state::WAITING => (state::CANCELLED, Ended::BeforeItBegan),
                state::RUNNING | state::HELD if runs_too => (state::KILLED, Ended::WhileItRan),
                state::KILLED if runs_too => return Ended::WhileItRan,
                _ => return Ended::No,
            };
            match shared.compare_exchange(word.0, word.with_state(state).0, AcqRel, Acquire) {
                Ok(_) => return ended,
                Err(now) => word = Word(now),
            }
        }
    }

    /// A worker got a chunk: what it does with it. `may_run`: it was not begun too often yet.
    pub fn take(&self, entry: Entry, seat: Seat, may_run: bool) -> Taken<'_> {
        if entry.index >= ENTRIES {
            return Taken::Cancelled;
        }
        let shared = self.entry(entry.index, WORD);
        // The program has written the line last. It is fetched once, to be written.
        prefetch_write(shared.as_ptr().cast());
        let limit_ns = self.entry(entry.index, LIMIT).load(Relaxed);
        let mut is_seated = false;
        let mut word = Word(shared.load(Acquire));
        let taken = loop {
            if word.generation() != entry.generation {
                break Taken::Cancelled; // Invariant 1
            }
            let next = match word.state() {
                state::CANCELLED => break Taken::Cancelled,
                // This seat's word names the entry, and the entry names this seat, where its dead
                // worker was: the supervisor may kill this one any time (Invariant 3).
                state::KILLED | state::TIMED_OUT if is_seated && word.seat() == seat.number => self.end_myself(seat),
                state::KILLED => break Taken::Killed,
                state::TIMED_OUT => break Taken::TimedOut(limit_ns),
                // It began, and its worker died: from now on it cannot be ended otherwise.
                state::RUNNING | state::HELD | state::DONE if !may_run => word.with_state(state::DONE),
                _ => word.running(seat.number),
            };
            if next.state() == state::RUNNING && !is_seated {
                // Before the seat leads the supervisor here (Invariant 4).
                if limit_ns != NO_LIMIT {
                    self.entry(entry.index, BEGUN).store(now_ns(), Relaxed);
                }
                self.seat(seat.number).store(seat_word(seat.pid, entry.index + 1), Release);
                is_seated = true;
            }
            match shared.compare_exchange(word.0, next.0, AcqRel, Acquire) {
                Ok(_) if next.state() == state::DONE => break Taken::Died,
                Ok(_) => return Taken::Run(Turn { board: self, entry, seat, word: next, is_timed: limit_ns != NO_LIMIT }),
                Err(now) => word = Word(now),
            }
        };
        if is_seated {
            self.clear_seat(seat.number);
        }
        taken
    }

    /// The shortest limit of the tasks that are there, or come next. `NO_LIMIT`: none has one.
    pub fn shortest_limit(&self) -> u64 {
        match self.word_at(SHORTEST).load(Acquire) {
            0 => NO_LIMIT,
            limit_ns => limit_ns,
        }
    }

    /// In the program, which alone does this, one thread at a time: notes a limit. `true`: it is
    /// the shortest, which the supervisor is to be told.
    pub fn note_limit(&self, limit_ns: u64) -> bool {
        let is_shorter = limit_ns < self.shortest_limit();
        if is_shorter {
            self.set_shortest_limit(limit_ns);
        }
        is_shorter
    }

    /// As [`note_limit`](Self::note_limit): shorter ones are over.
    pub fn set_shortest_limit(&self, limit_ns: u64) {
        self.word_at(SHORTEST).store(limit_ns, Release);
    }

    /// In the supervisor: nobody sits there any more, or yet.
    pub fn clear_seat(&self, seat: u32) {
        self.seat(seat).store(0, Release);
    }

    /// In the supervisor: what is to be done about the worker of that seat, which has that pid.
    pub fn judge(&self, seat: u32, pid: u32, now_ns: u64) -> Verdict {
        let go_on = Verdict::GoOn { until_ns: u64::MAX };
        let Some((index, word)) = self.at_seat(seat, pid) else { return go_on };
        match word.state() {
            state::KILLED | state::TIMED_OUT => Verdict::Kill,
            state::RUNNING => {
                let limit_ns = self.entry(index, LIMIT).load(Relaxed);
                if limit_ns == NO_LIMIT {
                    return go_on;
                }
                let until_ns = self.entry(index, BEGUN).load(Relaxed).saturating_add(limit_ns);
                if now_ns < until_ns {
                    return Verdict::GoOn { until_ns };
                }
                let shared = self.entry(index, WORD);
                match shared.compare_exchange(word.0, word.with_state(state::TIMED_OUT).0, AcqRel, Acquire) {
                    Ok(_) => Verdict::Kill,
                    // It has gone on, to its next task for instance; or the program ended it.
                    Err(_) => Verdict::GoOn { until_ns: now_ns },
                }
            }
            _ => go_on,
        }
    }

    /// In the supervisor: whether the worker of that seat, which has ended, had ended itself. (One
    /// that the supervisor killed is known to it. The entry says nothing any more: it may be used
    /// again by now.)
    pub fn has_ended_itself(&self, seat: u32, pid: u32) -> bool {
        self.seat(seat).load(Acquire) == seat_word(pid, ENDED_ITSELF)
    }

    /// Ends this worker, as the supervisor is about to: its chunk was ended.
    fn end_myself(&self, seat: Seat) -> ! {
        self.seat(seat.number).store(seat_word(seat.pid, ENDED_ITSELF), Release);
        loop {
            let _ = send_signal(own_pid(), KILL);
        }
    }

    /// The entry that a seat's worker runs, if both words agree on that (Invariant 3).
    fn at_seat(&self, seat: u32, pid: u32) -> Option<(u32, Word)> {
        let place = self.seat(seat).load(Acquire);
        let index = (place as u32).checked_sub(1)?;
        if place >> 32 != u64::from(pid) || index >= ENTRIES {
            return None;
        }
        let word = Word(self.entry(index, WORD).load(Acquire));
        (word.seat() == seat).then_some((index, word))
    }
}
