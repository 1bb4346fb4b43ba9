//! Results one by one, while the input is still being read: in order, or as they come.
//!
//! Invariant: `out` counts the chunks that were sent and whose results were not yet yielded, those that wait for their turn included;
//! it never exceeds `ahead`. So neither the input nor the results pile up.
//!
//! The input is the caller's code, read ahead of the results: if it panics, that is kept until the results of the items before are
//! yielded, and goes on at the place of the item that panicked.

use super::batch::Chunker;
use super::collector::Shared;
use super::error::TaskError;
use super::job::{Job, Piece, decode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Sends chunks and takes pieces.
pub(super) struct Reader<'p, I, R> {
    pub(super) shared: &'p Arc<Shared>,
    pub(super) job: Arc<Job>,
    pub(super) number: u64,
    pub(super) chunker: Chunker<'p>,
    pub(super) input: I,
    pub(super) exhausted: bool,
    /// With which the input ended.
    pub(super) panic: Option<Box<dyn Any + Send>>,
    pub(super) ahead: usize,
    pub(super) out: usize,
    /// Pieces that came together with one that was taken.
    pub(super) arrived: VecDeque<Piece>,
    pub(super) yields: PhantomData<fn() -> R>,
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> Reader<'_, I, R> {
    /// Sends as many chunks as may be out, when half of them have come back: many at a time wake fewer sleepers.
    pub(super) fn read_ahead(&mut self) {
        if self.out > self.ahead / 2 {
            return;
        }
        while self.out < self.ahead && !self.exhausted {
            let before = self.chunker.sent;
            let read = catch_unwind(AssertUnwindSafe(|| self.chunker.send_one(&mut self.input)));
            self.exhausted = match read {
                Ok(more) => !more,
                Err(panic) => {
                    self.panic = Some(panic);
                    self.chunker.end();
                    true
                }
            };
            self.out += self.chunker.sent - before;
        }
    }

    /// The next piece to come. `None`: all were taken.
    ///
    /// # Panics
    /// As the input did, after the pieces of what came before.
    fn take_piece(&mut self) -> Option<Result<Piece, TaskError>> {
        if self.out == 0 {
            if let Some(panic) = self.panic.take() {
                resume_unwind(panic);
            }
            return None;
        }
        if self.arrived.is_empty() {
            match self.job.take_pieces() {
                Ok(pieces) => self.arrived = pieces,
                Err(error) => return Some(Err(error)),
            }
        }
        self.arrived.pop_front().map(Ok)
    }

    /// Results of a piece, decoded; the piece is out no more.
    fn take_results(&mut self, piece: &Piece) -> VecDeque<Result<R, TaskError>> {
        self.out -= 1;
        piece.results().map(|result| result.and_then(decode)).collect()
    }

    /// What the next item is in a forked child, which has no part in the pool: an error, and then
    /// the end. `None`: this is no such.
    fn refuse_inherited(&mut self, current: &mut VecDeque<Result<R, TaskError>>) -> Option<Option<Result<R, TaskError>>> {
        if !self.job.is_inherited() {
            return None;
        }
        let has_more = self.out > 0 || !self.exhausted || !current.is_empty();
        self.stop();
        current.clear();
        Some(has_more.then_some(Err(TaskError::Inherited)))
    }

    /// There will be nothing more.
    fn stop(&mut self) {
        self.exhausted = true;
        self.out = 0;
    }
}

impl<I, R> Drop for Reader<'_, I, R> {
    fn drop(&mut self) {
        if self.shared.is_ours() {
            self.shared.forget(self.number);
        }
    }
}

/// Results in the order of the input, each as soon as those before it are there; made by [`Pool::imap`](crate::Pool::imap).
///
/// Dropping it gives up what is left: the input is read no further, tasks that were sent run and nobody hears of them.
pub struct Imap<'p, I, R> {
    reader: Reader<'p, I, R>,
    current: VecDeque<Result<R, TaskError>>,
    /// Pieces that came before their turn.
    early: BTreeMap<u64, Piece>,
    /// Index of the first task of the next piece.
    next: u64,
}

impl<'p, I, R> Imap<'p, I, R> {
    pub(super) fn new(reader: Reader<'p, I, R>) -> Self {
        Imap { reader, current: VecDeque::new(), early: BTreeMap::new(), next: 0 }
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> Iterator for Imap<'_, I, R> {
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(refused) = self.reader.refuse_inherited(&mut self.current) {
            return refused;
        }
        loop {
            if let Some(result) = self.current.pop_front() {
                return Some(result);
            }
            if let Some(piece) = self.early.remove(&self.next) {
                self.next += u64::from(piece.count);
                self.current = self.reader.take_results(&piece);
                self.reader.read_ahead();
                continue;
            }
            match self.reader.take_piece()? {
                Ok(piece) => drop(self.early.insert(piece.first, piece)),
                Err(error) => {
                    self.reader.stop();
                    self.early.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> FusedIterator for Imap<'_, I, R> {}

/// Results as they come; made by [`Pool::imap_unordered`](crate::Pool::imap_unordered). Otherwise as [`Imap`].
pub struct ImapUnordered<'p, I, R> {
    reader: Reader<'p, I, R>,
    current: VecDeque<Result<R, TaskError>>,
}

impl<'p, I, R> ImapUnordered<'p, I, R> {
    pub(super) fn new(reader: Reader<'p, I, R>) -> Self {
        ImapUnordered { reader, current: VecDeque::new() }
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> Iterator for ImapUnordered<'_, I, R> {
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(refused) = self.reader.refuse_inherited(&mut self.current) {
            return refused;
        }
        loop {
            if let Some(result) = self.current.pop_front() {
                return Some(result);
            }
            match self.reader.take_piece()? {
                Ok(piece) => {
                    self.current = self.reader.take_results(&piece);
                    self.reader.read_ahead();
                }
                Err(error) => {
                    self.reader.stop();
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> FusedIterator for ImapUnordered<'_, I, R> {}

impl<I, R> fmt::Debug for Imap<'_, I, R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Imap").field("job", &self.reader.job).field("next", &self.next).finish_non_exhaustive()
    }
}

impl<I, R> fmt::Debug for ImapUnordered<'_, I, R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ImapUnordered").field("job", &self.reader.job).finish_non_exhaustive()
    }
}
