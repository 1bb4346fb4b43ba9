//! Cancelling the chunks of a job. The invariants are those of the parent module.

use super::Job;
use crate::pool::board::{Board, Ended, Entry};
use crate::pool::error::TaskError;
use crate::pool::piece::{Content, Piece};

/// A chunk that was cancelled before it began.
pub(in crate::pool) struct CancelledPiece {
    pub first: u64,
    pub count: u32,
    pub entry: Option<Entry>,
}

/// What a cancellation did.
#[derive(Default)]
pub(in crate::pool) struct Cancelled {
    /// To be finished by [`Job::finish_cancelled`].
    pub pieces: Vec<CancelledPiece>,
    /// Workers run chunks that were killed.
    pub has_killed: bool,
}

impl Job {
    /// Cancels the chunks that have not begun, and with `runs_too` kills those that run. The caller
    /// holds the lock of the pool's state (Invariant 2), gives back what the chunks had, and then
    /// finishes them.
    pub fn cancel(&self, board: &Board, runs_too: bool) -> Cancelled {
        let mut cancelled = Cancelled::default();
        let mut state = self.lock();
        state.open.retain(|&first, open| {
            let ended = match open.entry {
                None => Ended::BeforeItBegan,
                Some(entry) if runs_too => board.kill(entry),
                Some(entry) => board.cancel(entry),
            };
            match ended {
                Ended::BeforeItBegan => {
                    let (count, entry) = (open.count, open.entry);
                    cancelled.pieces.push(CancelledPiece { first, count, entry });
                    false
                }
                Ended::WhileItRan => {
                    cancelled.has_killed = true;
                    true
                }
                Ended::No => true,
            }
        });
        state.was_cancelled |= cancelled.has_killed || !cancelled.pieces.is_empty();
        drop(state);
        cancelled.pieces.sort_unstable_by_key(|piece| piece.first);
        cancelled
    }

    /// Counts chunks that were cancelled. `true`: the job is over.
    pub fn finish_cancelled(&self, pieces: Vec<CancelledPiece>) -> bool {
        let mut over = false;
        let mut wanted = false;
        for CancelledPiece { first, count, .. } in pieces {
            let accepted = self.finish(self.lock(), Piece { first, count, content: Content::Failed(TaskError::Cancelled) });
            over |= accepted.over;
            wanted |= accepted.wanted;
        }
        if wanted {
            self.wake();
        }
        over
    }

    /// Whether a task was cancelled, or killed.
    pub fn was_cancelled(&self) -> bool {
        !self.is_inherited() && self.lock().was_cancelled
    }
}
