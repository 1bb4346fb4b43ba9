//! Messages that are given up, on their way to the queue for dead letters.
//!
//! ```text
//!   RETURNED too often, or no value --lease--> LEASED --put there--> both --release--> there only
//!                                                \--refused--> kept on lease, tried again; its holder leaves or dies --> RETURNED
//! ```
//!
//! Invariants:
//! 1. A message is on lease to this process from before it is put there until after: a kill in
//!    between leaves it in both queues, never in none.
//! 2. Nothing here runs while a side is held, neither of this queue nor of the other, and nothing
//!    waits for another process.
//! 3. `kept` belongs to the incarnation that each of its letters names. A mutex that a fork has
//!    copied locked is never waited for: what is not noted here is on lease all the same, and comes
//!    back when this process ends.

use super::{Channel, LeasedRecord, Patience};
use crate::copy::vec_from_bytes;
use crate::error::{GetError, OpenError, PutError, Subject};
use crate::layout::{kind, role};
use crate::letters::{self, Reason};
use crate::participant::Id;
use crate::ring::{Header, Memory, Record};
use crate::segment::{Asked, Directory, Expect, Owners};
use crate::wait_strategy::WaitStrategy;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, TryLockError};

/// What this process gives up of one queue.
#[derive(Debug, Default)]
pub(super) struct Letters {
    kept: Mutex<Vec<Letter>>,
    /// The queue for them, once it was opened.
    queue: Mutex<Option<Arc<Channel>>>,
}

/// A message that no queue has taken yet.
#[derive(Debug)]
struct Letter {
    record: LeasedRecord,
    reason: Reason,
    /// Deliveries before it was leased to be given up.
    deliveries: u32,
    ends: Ends,
    incarnation: u32,
    /// Was an event emitted that it was refused? Once is enough.
    is_told: bool,
}

/// How the message of a letter ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// As that of a lease.
    Released,
    /// As one that was taken by copy, for which the caller owes a `task_done`.
    Copied,
}

/// What a getter comes to.
pub(super) enum Next {
    Message(Record),
    /// It came back too often, and there is a queue for dead letters.
    WornOut(Record),
    Nothing,
}

/// Why the queue for dead letters took none.
enum Unsent {
    Open(OpenError),
    Put(PutError),
}

impl fmt::Display for Unsent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsent::Open(error) => error.fmt(out),
            Unsent::Put(error) => error.fmt(out),
        }
    }
}

impl From<PutError> for Unsent {
    fn from(error: PutError) -> Unsent {
        Unsent::Put(error)
    }
}

fn try_lock<T>(mutex: &Mutex<T>) -> Option<std::sync::MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// What a queue for dead letters is: it lies where the queue does.
fn expected(directory: Directory) -> Expect {
    Expect {
        kind: kind::SLICE,
        message_bytes: 1,
        message_align: 1,
        type_name: letters::TYPE_NAME.to_owned(),
        schema: None,
        structure: None,
        lock_memory: false,
        huge_pages: false,
        asked: Asked::default(),
        nonce: None,
        owners: Owners::default(),
        directory,
    }
}

impl Channel {
    /// Is there a name of a queue for dead letters?
    pub(crate) fn has_dead_letters(&self) -> bool {
        self.segment.dead_letters().is_some()
    }

    /// Is a message that came back to be dropped, since there is no queue for dead letters?
    pub(super) fn is_dropped(&self, header: Header) -> bool {
        self.is_worn_out(header) && !self.has_dead_letters()
    }

    /// Leases a message that came back too often. Needs the get side. It is no delivery, and counts
    /// as none.
    pub(super) fn lease_worn_out(&self, record: Record, me: Id) -> LeasedRecord {
        let length = record.length();
        let (cell, header) = self.ring.lease(record, Channel::owner_word(me));
        LeasedRecord { cell, header, payload: self.ring.memory.payload(cell), length }
    }

    /// Gives up a message that is on lease to this process. Called with no side held (Invariant 2).
    #[cold]
    pub(crate) fn give_up_to_letters(&self, record: LeasedRecord, deliveries: u32, reason: Reason, ends: Ends) {
        self.post(Letter { record, reason, deliveries, ends, incarnation: self.incarnation(), is_told: false });
    }

    /// `true`: it is there.
    fn post(&self, mut letter: Letter) -> bool {
        let get = self.ring.memory.get_side();
        let sent = self.send(&letter);
        let queue = self.segment.name();
        let dead_letters = self.segment.dead_letters().unwrap_or_default();
        match sent {
            Ok(()) => {
                get.dead_letters.fetch_add(1, Relaxed);
                #[cfg(feature = "tracing")]
                tracing::warn!(target: "shmq", queue, dead_letters, reason = %letter.reason, deliveries = letter.deliveries, "given up");
                // Poisoned: told by the next verb.
                let _ = match (letter.ends, self.known_me()) {
                    (Ends::Copied, Some(me)) => self.finish_large_copy(letter.record, me),
                    _ => self.release(letter.record),
                };
                true
            }
            Err(unsent) => {
                get.dead_letters_refused.fetch_add(1, Relaxed);
                if !letter.is_told {
                    #[cfg(feature = "tracing")]
                    tracing::warn!(target: "shmq", queue, dead_letters, error = %unsent, reason = %letter.reason, "given up, and not taken");
                    let _ = (queue, dead_letters, unsent);
                    letter.is_told = true;
                }
                self.keep(letter);
                false
            }
        }
    }

    fn send(&self, letter: &Letter) -> Result<(), Unsent> {
        let name = self.segment.dead_letters().ok_or(Unsent::Open(OpenError::NotFound { what: Subject::default() }))?;
        let queue = self.queue_for_letters(name)?;
        let LeasedRecord { payload, length, .. } = letter.record;
        // SAFETY: Invariant 4 of the channel: the record is on lease to this process, and as long
        // as it says. Bytes have no alignment.
        let bytes: Vec<u8> = unsafe { vec_from_bytes(payload, length) };
        let written = letters::write(&letter.reason, letter.deliveries, self.segment.name(), self.segment.type_name(), &bytes);
        Ok(queue.put_elements::<false, u8>(None, &written, Patience::Try)?)
    }

    /// The queue for dead letters: the one that has the name now.
    fn queue_for_letters(&self, name: &str) -> Result<Arc<Channel>, Unsent> {
        if name == self.segment.name() {
            return Err(Unsent::Open(OpenError::NotFound { what: Subject::default() }));
        }
        let opened = try_lock(&self.letters.queue).and_then(|queue| queue.clone());
        if let Some(queue) = opened.filter(|queue| queue.segment.has_name()) {
            return Ok(queue);
        }
        let queue =
            Channel::open(name, &expected(self.segment.directory().clone()), WaitStrategy::default()).map_err(Unsent::Open)?;
        // The name is its creator's: nothing that was put there goes because this process leaves.
        queue.leave_name();
        // What was there before is dropped outside the lock.
        let _before = try_lock(&self.letters.queue).and_then(|mut opened| opened.replace(Arc::clone(&queue)));
        Ok(queue)
    }

    fn keep(&self, letter: Letter) {
        if let Some(mut kept) = try_lock(&self.letters.kept) {
            kept.push(letter);
        }
        self.show_that_letters_are_kept(true);
    }

    fn show_that_letters_are_kept(&self, kept: bool) {
        let Some(entry) = self.known_me().and_then(|me| self.segment.entries().get(me.entry() as usize)) else { return };
        if kept {
            entry.roles.fetch_or(role::KEEPS_LETTERS, Relaxed);
        } else {
            entry.roles.fetch_and(!role::KEEPS_LETTERS, Relaxed);
        }
    }

    /// Tries again what was refused: how many are there now. Called with no side held (Invariant
    /// 2).
    #[cold]
    pub(super) fn post_again(&self) -> u64 {
        if !self.has_dead_letters() {
            return 0;
        }
        let kept = try_lock(&self.letters.kept).map(|mut kept| std::mem::take(&mut *kept)).unwrap_or_default();
        if kept.is_empty() {
            return 0;
        }
        self.show_that_letters_are_kept(false);
        let incarnation = self.incarnation();
        // What was inherited is the parent's (Invariant 3).
        kept.into_iter().filter(|letter| letter.incarnation == incarnation).map(|letter| u64::from(self.post(letter))).sum()
    }

    /// Does this process keep that record as a letter? No reference leads into it then.
    pub(super) fn is_letter(&self, header: Header, position_cell: crate::geometry::Cell) -> bool {
        let is_it = |letter: &Letter| letter.record.header == header && letter.record.cell.index() == position_cell.index();
        self.has_dead_letters() && try_lock(&self.letters.kept).is_some_and(|kept| kept.iter().any(is_it))
    }

    /// Enters the get side and lets `act` take the next message, if there is one. What came back too often is given up on the way,
    /// with no side held.
    pub(super) fn take_next<const OWNED: bool, R>(
        &self,
        me: Id,
        patience: Patience,
        act: &mut dyn FnMut(Record) -> R,
    ) -> Result<Option<R>, GetError> {
        // Each round but the last leases a record: more rounds than cells, and somebody undoes them.
        for _ in 0..=self.geometry().cells {
            self.enter_get::<OWNED>(me, patience)?;
            let mut worn_out = None;
            let found = self.next_record(me).map(|next| match next {
                Next::Message(record) => Some(act(record)),
                Next::WornOut(record) => {
                    worn_out = Some((record.header.deliveries(), self.lease_worn_out(record, me)));
                    None
                }
                Next::Nothing => None,
            });
            self.exit_get::<OWNED>(me)?;
            self.tell();
            let Some((deliveries, record)) = worn_out else { return found };
            self.give_up_to_letters(record, deliveries, Reason::TooManyDeliveries, Ends::Released);
        }
        Err(GetError::Corrupted)
    }

    /// Finishes a record that was copied out, in slow paths: did it come back? Needs the get side.
    pub(super) fn take_copied(&self, record: Record) -> bool {
        let came_back = self.count_redelivery(&record);
        self.read_and_take_any(record, &mut |_, _| ());
        came_back
    }

    /// Hands over what came back too often, all of it: how many are there now.
    #[cold]
    pub(super) fn give_up_all_worn_out(&self, me: Id, patience: Patience) -> u64 {
        let mut posted = self.post_again();
        if !self.has_dead_letters() || self.max_deliveries == 0 {
            return posted;
        }
        for _ in 0..self.geometry().cells {
            if !self.ring.has_returned() || self.lock_get(me, patience).is_err() {
                break;
            }
            let worn_out = match self.ring.first_returned(self.settled()) {
                Ok(Some(record)) if self.is_worn_out(record.header) => {
                    Some((record.header.deliveries(), self.lease_worn_out(record, me)))
                }
                _ => None,
            };
            let exited = self.exit_get::<false>(me);
            let Some((deliveries, record)) = worn_out else { break };
            let incarnation = self.incarnation();
            let reason = Reason::TooManyDeliveries;
            let letter = Letter { record, reason, deliveries, ends: Ends::Released, incarnation, is_told: false };
            posted += u64::from(self.post(letter));
            if exited.is_err() {
                break;
            }
        }
        posted
    }

    /// Ends the lease of what was copied, which counts as taken by copy.
    pub(crate) fn finish_copy(&self, record: LeasedRecord) -> Result<(), GetError> {
        let me = self.me()?;
        self.finish_large_copy(record, me)
    }
}
