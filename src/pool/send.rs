//! How a chunk gets to the workers: room within the bound on pending tasks, the tasks' ring, or the
//! backlog while there is no room in that; and how what it had is given back.
//!
//! ```text
//!   reserve (room) ──> send ──(entry, room in the ring)──> ring
//!                        \──> backlog ──feed──> ring            outcome known ──> entry, room
//!                                  \──(cancelled)──> dropped                      given back
//! ```

use super::board::Entry;
use super::chunker::reads_input;
use super::error::TaskError;
use super::job::Job;
use super::message::set_entry;
use super::state::{IDLE, Phase, Shared, State};
use crate::background;
use crate::error::PutError;
use crate::os::{Deadline, socket};
#[cfg(feature = "async")]
use crate::process::wakers::{Place, wake_all};
use crate::wait::Wait;
use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard, PoisonError};
#[cfg(feature = "async")]
use std::task::Context;

/// Chunks in the backlog beyond which a call that waits anyway waits for room.
const FULL_BACKLOG: usize = 64;

/// A chunk that is to be sent.
pub(super) struct Chunk {
    pub bytes: Vec<u8>,
    pub job: Arc<Job>,
    pub first: u64,
    pub count: u32,
    pub limit_ns: u64,
}

impl State {
    /// Whether callers or tasks wait for room.
    pub fn has_waiting_for_room(&self) -> bool {
        #[cfg(feature = "async")]
        if !self.room_wakers.is_empty() {
            return true;
        }
        self.room.has_line()
    }
}

impl Shared {
    /// Takes room for so many tasks, which are sent or given back later.
    ///
    /// # Errors
    /// `Full` or `Timeout`; or why no more tasks are taken.
    pub fn reserve(&self, tasks: usize, wait: Wait) -> Result<(), TaskError> {
        let Some(max) = self.max_pending else { return Ok(()) };
        if !self.is_ours() {
            return Err(TaskError::Inherited);
        }
        let mut state = self.lock();
        let mut place = None;
        let mut has_stood = false;
        let taken = loop {
            let refusal = state.failure.clone().or_else(|| state.phase.refusal());
            if let Some(refusal) = refusal {
                break Err(refusal);
            }
            if state.room.take(tasks, place) {
                // It has left the line.
                place = None;
                break Ok(());
            }
            let Wait::Until(deadline) = wait else { break Err(TaskError::Full { max }) };
            if background::is_one() || reads_input() {
                // A callback, or a hook: room is made by the thread that it runs in. Or an input's
                // iterator.
                state.room.take_anyway(tasks);
                break Ok(());
            }
            if deadline.has_passed() {
                break Err(TaskError::Timeout);
            }
            place.get_or_insert_with(|| state.room.stand_in_line());
            has_stood = true;
            state = match deadline {
                Deadline::NEVER => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                _ => self.changed.wait_timeout(state, deadline.left()).unwrap_or_else(PoisonError::into_inner).0,
            };
        };
        if let Some(place) = place {
            state.room.leave(place);
        }
        if has_stood && state.has_waiting_for_room() {
            // The next one is the first now.
            self.notify_room(state);
        }
        taken
    }

    /// Gives back room that was taken and not used.
    pub fn give_room_back(&self, tasks: usize) {
        if self.max_pending.is_none() || tasks == 0 || !self.is_ours() {
            return;
        }
        let mut state = self.lock();
        state.room.give_back(tasks);
        self.notify_room(state);
    }

    /// Has callers and tasks that wait check again: there may be room, in the bound or in the
    /// backlog, or there will be none any more.
    pub fn notify_room(&self, state: MutexGuard<'_, State>) {
        #[cfg(feature = "async")]
        let mut state = state;
        #[cfg(feature = "async")]
        let wakers = state.room_wakers.take();
        drop(state);
        self.changed.notify_all();
        #[cfg(feature = "async")]
        wake_all(wakers);
    }

    /// Has a task of an executor wait for room: it checks once more then.
    #[cfg(feature = "async")]
    pub fn await_room(&self, place: &mut Option<Place>, context: &Context<'_>) {
        let waker = context.waker().clone();
        let replaced = self.lock().room_wakers.add(place, waker);
        drop(replaced);
    }

    /// A task of an executor waits for room no more.
    #[cfg(feature = "async")]
    pub fn leave_room(&self, place: Option<Place>) {
        if let Some(place) = place.filter(|_| self.is_ours()) {
            let dropped = self.lock().room_wakers.remove(place);
            drop(dropped);
        }
    }

    /// Sends a chunk, now or when there is room in the ring. If the caller `waits`, so does this
    /// while many chunks wait for that. An error: it was not sent.
    pub fn send(&self, mut chunk: Chunk, waits: bool) -> Result<Option<Vec<u8>>, TaskError> {
        let mut state = self.lock();
        loop {
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            // A chunk of a call from before `terminate`; after `close`, only calls from before
            // send.
            if state.phase == Phase::Terminated || state.over {
                return Err(state.phase.refusal().unwrap_or(TaskError::Terminated));
            }
            if state.backlog.is_empty() {
                match self.put(&mut state, &mut chunk) {
                    Ok(true) => return Ok(Some(chunk.bytes)),
                    Ok(false) => {}
                    Err(PutError::Closed) => return Err(TaskError::Closed),
                    Err(PutError::TooLarge { len, max }) => return Err(TaskError::TooLarge { len, max }),
                    Err(error) => return Err(TaskError::Broken { why: error.to_string() }),
                }
            }
            if !waits || state.backlog.len() < FULL_BACKLOG {
                state.backlog.push_back(chunk);
                return Ok(None);
            }
            state = self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The outcome of a chunk is known: gives back what it had. What waits for room is to be
    /// notified.
    pub fn give_back(&self, state: &mut State, entry: Entry) {
        if let Some(tasks) = self.give_entry_back(state, entry) {
            state.room.give_back(tasks);
        }
    }

    fn give_entry_back(&self, state: &mut State, entry: Entry) -> Option<usize> {
        let back = state.entries.give_back(entry)?;
        if back.was_last_with_limit {
            self.board.set_shortest_limit(self.limit_ns);
        }
        Some(back.tasks)
    }

    /// Puts a chunk into the ring, with an entry of the board. `false`: there is no room for it.
    fn put(&self, state: &mut State, chunk: &mut Chunk) -> Result<bool, PutError> {
        let has_own_limit = chunk.limit_ns < self.limit_ns;
        let Some(entry) = state.entries.take(chunk.count, has_own_limit) else { return Ok(false) };
        set_entry(&mut chunk.bytes, entry);
        self.board.begin(entry, chunk.limit_ns);
        match self.tasks.try_put(&chunk.bytes) {
            Ok(()) => {
                chunk.job.note_sent(chunk.first, entry);
                if let Some(next) = state.entries.next() {
                    self.board.prefetch(next);
                }
                if has_own_limit && self.board.note_limit(chunk.limit_ns) {
                    self.poke();
                }
                Ok(true)
            }
            Err(error) => {
                // Its room stays the chunk's.
                self.give_entry_back(state, entry);
                if matches!(error, PutError::Full | PutError::Busy) { Ok(false) } else { Err(error) }
            }
        }
    }

    /// Moves chunks from the backlog into the ring, as far as there is room.
    pub fn feed(&self) {
        // Dropped without the lock: a job may own what takes long to drop.
        let mut done = Vec::new();
        let mut state = self.lock();
        while let Some(mut chunk) = state.backlog.pop_front() {
            if state.cancelled_in_backlog == 0 || chunk.job.is_open(chunk.first) {
                match self.put(&mut state, &mut chunk) {
                    Ok(true) => {}
                    // Closed by `terminate`, which fails the backlog next.
                    Ok(false) | Err(PutError::Closed) => {
                        state.backlog.push_front(chunk);
                        break;
                    }
                    Err(error) => {
                        state.backlog.push_front(chunk);
                        drop(state);
                        return self.fail(TaskError::Broken { why: error.to_string() });
                    }
                }
            }
            done.push(chunk);
        }
        if state.backlog.is_empty() {
            state.cancelled_in_backlog = 0;
        }
        if state.phase == Phase::Closed && state.backlog.is_empty() && !self.tasks.is_closed() {
            self.tasks.close();
        }
        if done.is_empty() {
            return;
        }
        self.notify_room(state);
    }

    /// Cancels the chunks of a job that have not begun, and with `runs_too` ends those that run.
    /// Returns whether any of them was ended, now or before.
    pub fn cancel(&self, job: &Job, number: u64, runs_too: bool) -> bool {
        if !self.is_ours() {
            return false;
        }
        // Held from a chunk's put until the job knows its entry: no chunk is between backlog and
        // ring.
        let mut state = self.lock();
        let cancelled = job.cancel(&self.board, runs_too);
        for piece in &cancelled.pieces {
            match piece.entry {
                Some(entry) => self.give_back(&mut state, entry),
                None => {
                    state.room.give_back(piece.count as usize);
                    state.cancelled_in_backlog += 1;
                }
            }
        }
        let dropped = if state.cancelled_in_backlog > state.backlog.len() / 2 {
            state.cancelled_in_backlog = 0;
            let all = std::mem::take(&mut state.backlog);
            let (kept, dropped): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(|chunk| chunk.job.is_open(chunk.first));
            state.backlog = kept;
            dropped
        } else {
            VecDeque::new()
        };
        if cancelled.pieces.is_empty() {
            drop(state)
        } else {
            self.notify_room(state)
        }
        drop(dropped);
        if cancelled.has_killed {
            self.poke();
        }
        if job.finish_cancelled(cancelled.pieces) {
            self.forget(number);
        }
        job.was_cancelled()
    }

    /// Has the supervisor check the board now. If there is no room for the poke, others are there
    /// that it has not seen yet.
    fn poke(&self) {
        let _ = socket::send_now(&self.socket, &[1], &[]);
    }
}
