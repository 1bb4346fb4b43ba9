//! A worker's side of a chunk that it runs. The invariants are those of the parent module.

use super::word::{Word, state};
use super::{BEGUN, Board, Entry, Seat, WORD};
use crate::os::now_ns;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// A worker's turn at a chunk (Invariant 2). It ends the process if the chunk was ended meanwhile.
pub(in crate::pool) struct Turn<'b> {
    pub(super) board: &'b Board,
    pub(super) entry: Entry,
    pub(super) seat: Seat,
    pub(super) word: Word,
    pub(super) is_timed: bool,
}

impl Turn<'_> {
    /// The next task begins, behind [`pause`](Self::pause).
    pub fn resume(&mut self) {
        if self.is_timed {
            self.board.entry(self.entry.index, BEGUN).store(now_ns(), Relaxed);
            self.change(self.word.running(self.seat.number));
        }
    }

    /// A task is over, and another one will follow: no time runs.
    pub fn pause(&mut self) {
        if self.is_timed {
            self.change(self.word.with_state(state::HELD));
        }
    }

    /// The last task is over: nothing ends the chunk any more.
    pub fn finish(mut self) {
        self.change(self.word.with_state(state::DONE));
        self.board.clear_seat(self.seat.number);
    }

    fn change(&mut self, to: Word) {
        let shared = self.board.entry(self.entry.index, WORD);
        if shared.compare_exchange(self.word.0, to.0, AcqRel, Acquire).is_err() {
            self.board.end_myself(self.seat);
        }
        self.word = to;
    }
}
