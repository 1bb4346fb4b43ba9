//! Messages that are given up, on their way to the queue for dead letters.
//!
//! ```text
//!   RETURNED too often, or invalid --lease--> LEASED --put there--> both --release--> there only
//!                                             \--refused--> kept on lease, tried again
//!                                                 its holder leaves or dies --> RETURNED
//! ```
//!
//! Invariants:
//! 1. A message is on lease to this process from before it is put there until after: a kill in
//!    between leaves it in both queues, never in none.
//! 2. Nothing here runs while a side is held, neither of this queue nor of the other, and nothing
//!    waits for another process.
//! 3. `kept` belongs to the participant that it names. A child begins with none: its parent keeps
//!    them.
//! 4. A letter is in `kept` from before it is posted until its lease ends, whatever panics. One
//!    thread posts it at a time.

use super::process_local::{Inside, Own};
use super::{LeasedRecord, RawQueue, Wait};
use crate::attachment::Attached;
use crate::error::{GetError, OpenError, PutError, Subject};
use crate::os::Deadline;
use crate::raw::BY_LOCK;
use crate::ring::{Header, Memory, Record};
use crate::shm::kind::Kind;
use crate::shm::layout::role;
use crate::shm::letter::{LetterHead, Reason, TYPE_NAME};
use crate::shm::participant::Id;
use crate::shm::segment::{Directory, Expect, SpillError};
use crate::wait::{SLICE_NS, WaitStrategy};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// State of this process for the messages of one queue that it gives up.
#[derive(Debug, Default)]
pub(super) struct Letters {
    kept: Own<Kept>,
    /// The queue for dead letters, once it is opened.
    queue: Own<Option<Arc<RawQueue>>>,
}

/// Messages on lease to this process that are to be moved to the queue for dead letters, by the
/// cell that they are in.
#[derive(Debug, Default)]
struct Kept {
    /// Bits of the participant that holds their leases (Invariant 3).
    of: u32,
    letters: BTreeMap<u64, Letter>,
}

/// A message that is given up, and not yet in the queue for dead letters.
#[derive(Debug)]
struct Letter {
    record: LeasedRecord,
    reason: Reason,
    /// Deliveries before the lease that gives it up.
    deliveries: u32,
    ends: Ends,
    /// A thread is posting it.
    is_being_posted: bool,
    /// Was the event of its refusal emitted? Once is enough.
    is_reported: bool,
    /// Nonce of the queue that it is too large for.
    too_large_for: Option<u64>,
}

/// Outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Posted {
    There,
    /// Other letters may be smaller.
    TooLarge,
    /// Other letters would be refused too.
    Refused,
    /// Its object cannot be read by any process, now or later: it is finished.
    Lost,
    /// Another thread is posting it, or has posted it.
    Gone,
}

/// Letters that are tried regardless of the deadline, unless one is refused.
const LEAST_TRIED: u32 = 16;

/// Messages leased to be given up in one entry into the get side.
const LEASED_AT_ONCE: usize = 1024;

/// Most bytes of a reason's text that go with the message.
const MOST_TEXT: usize = 1024;

/// How the message of a letter ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// As the message of a lease.
    Released,
    /// As a message taken by copy, for which the caller owes a `task_done`.
    Copied,
}

/// What a getter finds next.
pub(super) enum Next {
    Message(Record),
    /// One reached its delivery limit, and there is a queue for dead letters.
    WornOut,
    Nothing,
}

/// Why the queue for dead letters did not take a message.
enum Unsent {
    Open(OpenError),
    /// The queue with that nonce refused it.
    Put(PutError, u64),
    /// The file of its object is gone, or another's.
    Lost(std::io::Error),
}

impl Unsent {
    fn too_large_for(&self) -> Option<u64> {
        match self {
            Unsent::Put(PutError::TooLarge { .. }, nonce) => Some(*nonce),
            _ => None,
        }
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsent::Open(error) => error.fmt(out),
            Unsent::Put(error, _) => error.fmt(out),
            Unsent::Lost(error) => write!(out, "its object is lost: {error}"),
        }
    }
}

/// Expected properties of a queue for dead letters: it is in the same directory as the queue.
fn expected(directory: Directory) -> Expect {
    Expect { directory, ..Expect::new(Kind::Slice, 1, 1, TYPE_NAME.to_owned()) }
}

impl RawQueue {
    /// Does the queue name a queue for dead letters?
    pub(crate) fn has_dead_letters(&self) -> bool {
        self.segment().dead_letters().is_some()
    }

    /// Is a message that came back to be dropped, because there is no queue for dead letters?
    pub(super) fn is_dropped(&self, header: Header) -> bool {
        self.is_worn_out(header) && !self.has_dead_letters()
    }

    /// Gives up a message that is on lease to this process. Called with no side held (Invariant 2).
    #[cold]
    pub(crate) fn give_up_to_letters(&self, record: LeasedRecord, deliveries: u32, reason: Reason, ends: Ends) {
        // A leased message has a participant as its owner.
        let Some(me) = self.known_me() else { return };
        let cell = record.cell.index();
        self.keep(&mut self.kept(me), record, deliveries, reason, ends);
        self.post(me, cell);
    }

    /// The letters that this process keeps. Letters that a child inherited are its parent's
    /// (Invariant 3).
    fn kept(&self, me: Id) -> Inside<'_, Kept> {
        let mut kept = self.letters.kept.enter(me);
        if kept.of != me.bits() {
            *kept = Kept { of: me.bits(), letters: BTreeMap::new() };
        }
        kept
    }

    fn keep(&self, kept: &mut Kept, record: LeasedRecord, deliveries: u32, reason: Reason, ends: Ends) {
        let cell = record.cell.index();
        let letter = Letter { record, reason, deliveries, ends, is_being_posted: false, is_reported: false, too_large_for: None };
        kept.letters.insert(cell, letter);
    }

    /// Tries to hand over the letter of that cell. It stays a letter until it is in the other
    /// queue.
    fn post(&self, me: Id, cell: u64) -> Posted {
        let Some((record, deliveries, reason)) = self.kept(me).begin(cell) else { return Posted::Gone };
        let posting = Posting { raw: self, me, cell };
        let sent = self.send(me, &record, deliveries, &reason);
        let get = self.ring.memory.get_side();
        let queue = self.segment().name();
        let dead_letters = self.segment().dead_letters().unwrap_or_default();
        let mut kept = self.kept(me);
        // From here on the cell may hold another letter.
        std::mem::forget(posting);
        match sent {
            // One that is lost would be refused for ever, and keep its room and all letters behind it.
            Ok(()) | Err(Unsent::Lost(_)) => {
                let counted = if sent.is_ok() { &get.dead_letters } else { &get.dead_letters_refused };
                counted.fetch_add(1, Relaxed);
                self.note_given_up(&record);
                let ends = kept.letters.remove(&cell).map_or(Ends::Released, |letter| letter.ends);
                if kept.letters.is_empty() {
                    self.show_that_letters_are_kept(me, false);
                }
                // Poisoned: the next call reports it.
                if ends == Ends::Copied {
                    drop(kept);
                    let _ = self.finish_large_copy::<BY_LOCK>(record, me, Wait::AtOnce);
                } else {
                    // Inside `kept`: meanwhile no check for open leases mistakes it for a caller's.
                    let _ = self.release(record);
                    drop(kept);
                }
                #[cfg(feature = "tracing")]
                match &sent {
                    Ok(()) => tracing::warn!(target: "shmq", queue, dead_letters, reason = %reason, deliveries, "given up"),
                    Err(lost) => tracing::warn!(target: "shmq", queue, dead_letters, error = %lost, "given up, and not taken"),
                }
                let _ = (queue, dead_letters, deliveries);
                if sent.is_ok() { Posted::There } else { Posted::Lost }
            }
            Err(unsent) => {
                get.dead_letters_refused.fetch_add(1, Relaxed);
                let too_large_for = unsent.too_large_for();
                let mut is_reported = true;
                if let Some(letter) = kept.letters.get_mut(&cell) {
                    letter.is_being_posted = false;
                    letter.too_large_for = too_large_for;
                    is_reported = std::mem::replace(&mut letter.is_reported, true);
                    if letter.ends == Ends::Copied {
                        // Its caller has the error, and may call `task_done`: it counts as taken
                        // from now on. It is still on lease, so that no join misses it in both
                        // places.
                        letter.ends = Ends::Released;
                        self.head().rare.large_copies.fetch_add(1, Relaxed);
                    }
                    self.show_that_letters_are_kept(me, true);
                }
                drop(kept);
                if !is_reported {
                    #[cfg(feature = "tracing")]
                    tracing::warn!(target: "shmq", queue, dead_letters, error = %unsent, reason = %reason, "given up, and not taken");
                    let _ = (queue, dead_letters, unsent);
                }
                if too_large_for.is_some() { Posted::TooLarge } else { Posted::Refused }
            }
        }
    }

    fn send(&self, me: Id, record: &LeasedRecord, deliveries: u32, reason: &Reason) -> Result<(), Unsent> {
        let name = self.segment().dead_letters().ok_or(Unsent::Open(OpenError::NotFound { what: Subject::default() }))?;
        let queue = self.queue_for_letters(me, name)?;
        let unread =
            |source| Unsent::Put(PutError::Os { call: "read a message that is given up", source }, queue.segment().nonce());
        let bytes = self.copy_of_leased(record).map_err(|error| match error {
            SpillError::Lost { source } => Unsent::Lost(source),
            SpillError::Os { source, .. } => unread(source),
            SpillError::NoSpace { .. } => unread(std::io::Error::from_raw_os_error(libc::ENOSPC)),
        })?;
        let length = bytes.len();
        let head = LetterHead::now(reason, deliveries, self.segment().name(), self.segment().type_name());
        // A truncated reason is better than a lost message.
        let room = queue.largest_message().saturating_sub(head.length_without_text() + length);
        let written = head.write(room.min(MOST_TEXT), &bytes);
        queue
            .me()
            .map_err(PutError::from)
            .and_then(|me| queue.put::<BY_LOCK, [u8]>(me, &written, Wait::Never))
            .map_err(|error| Unsent::Put(error, queue.segment().nonce()))
            .map(drop)
    }

    /// The queue for dead letters: the one that has the name now.
    fn queue_for_letters(&self, me: Id, name: &str) -> Result<Arc<RawQueue>, Unsent> {
        if name == self.segment().name() {
            return Err(Unsent::Open(OpenError::NotFound { what: Subject::default() }));
        }
        if let Some(queue) = self.opened_for_letters(me) {
            return Ok(queue);
        }
        let expected = expected(self.segment().directory().clone());
        let queue = RawQueue::open_soon(name, &expected, WaitStrategy::default()).map_err(Unsent::Open)?;
        // The name belongs to its creator: messages in it survive the exit of this process.
        queue.leave_name();
        // The previous queue is dropped outside `kept`.
        let _before = self.letters.queue.enter(me).replace(Arc::clone(&queue));
        Ok(queue)
    }

    fn opened_for_letters(&self, me: Id) -> Option<Arc<RawQueue>> {
        let opened = self.letters.queue.enter(me).clone();
        opened.filter(|queue| queue.segment().has_name())
    }

    /// Called inside `kept`, so that the published state is the current one.
    fn show_that_letters_are_kept(&self, me: Id, kept: bool) {
        let Some(entry) = self.segment().entries().get(me.entry() as usize) else { return };
        if kept {
            entry.roles.fetch_or(role::KEEPS_LETTERS, Relaxed);
        } else {
            entry.roles.fetch_and(!role::KEEPS_LETTERS, Relaxed);
        }
    }

    /// Tries the kept letters until one is refused, or the deadline passes. Returns how many were
    /// handed over. Called with no side held (Invariant 2).
    #[cold]
    pub(super) fn post_again(&self, wait: Wait) -> u64 {
        self.post_until(wait.for_lock().0).0
    }

    /// Also returns whether it reached the end without a refusal.
    fn post_until(&self, until: Deadline) -> (u64, bool) {
        let Some(me) = self.known_me().filter(|_| self.has_dead_letters()) else { return (0, true) };
        if self.kept(me).letters.is_empty() {
            return (0, true);
        }
        let queue = self.opened_for_letters(me).map(|queue| queue.segment().nonce());
        let (mut posted, mut tried, mut from) = (0, 0, 0);
        loop {
            // A separate statement, so that the guard of `kept` is dropped at its end.
            let next = self.kept(me).next(from, queue);
            let Some(cell) = next else { return (posted, true) };
            match self.post(me, cell) {
                Posted::There => posted += 1,
                Posted::TooLarge | Posted::Gone | Posted::Lost => {}
                Posted::Refused => return (posted, false),
            }
            tried += 1;
            if tried >= LEAST_TRIED && until.has_passed() {
                return (posted, false);
            }
            from = cell + 1;
        }
    }

    /// Does this process keep that record as a letter? Then no reference points into it.
    pub(super) fn is_letter(&self, header: Header, cell: crate::shm::geometry::CellIndex) -> bool {
        let Some(me) = self.known_me().filter(|_| self.has_dead_letters()) else { return false };
        self.kept(me).letters.get(&cell.index()).is_some_and(|letter| letter.record.header == header.unspilled())
    }

    /// Enters the get side and lets `act` take the next message, if there is one. Messages that
    /// reached their delivery limit are given up on the way, with no side held.
    pub(super) fn take_next<const OWNED: bool, R>(
        &self,
        me: Id,
        wait: Wait,
        act: &mut dyn FnMut(Record) -> R,
    ) -> Result<Option<R>, GetError> {
        let mut posts = true;
        // Each round but the last leases a record: more rounds than cells mean that another process
        // undoes them.
        for _ in 0..=self.geometry().cells {
            self.enter_get::<OWNED>(me, wait)?;
            let mut is_worn_out = false;
            let found = self.next_record(me).map(|next| match next {
                Next::Message(record) => Some(act(record)),
                Next::WornOut => {
                    is_worn_out = true;
                    None
                }
                Next::Nothing => None,
            });
            self.exit_get::<OWNED>(me)?;
            self.report_events();
            if !is_worn_out {
                return found;
            }
            self.keep_worn_out::<OWNED>(me, &|| self.enter_get::<OWNED>(me, wait))?;
            posts = posts && self.post_until(wait.for_lock().0).1;
        }
        Err(GetError::Corrupted)
    }

    /// Leases all messages that reached their delivery limit, in one walk over the ring, and keeps
    /// them. This is not a delivery, and does not count as one. Posts nothing: called with no side
    /// held.
    #[cold]
    fn keep_worn_out<const OWNED: bool>(&self, me: Id, enter: &dyn Fn() -> Result<(), GetError>) -> Result<(), GetError> {
        let owner = RawQueue::owner_word(me);
        let most = LEASED_AT_ONCE.min(self.geometry().cells as usize);
        let mut leased = Vec::with_capacity(most);
        let mut from = Some(self.settled().load(Relaxed));
        // Each round but the last leases a record.
        for _ in 0..=self.geometry().cells {
            let Some(at) = from else { break };
            enter()?;
            let walked = self.ring.lease_returned(at, owner, |header| self.is_worn_out(header), &mut leased);
            let exited = self.exit_get::<OWNED>(me);
            let mut kept = self.kept(me);
            if !leased.is_empty() {
                self.show_that_letters_are_kept(me, true);
            }
            for (record, header) in leased.drain(..) {
                let (cell, length) = (record.cell, record.length());
                let leased = LeasedRecord { cell, header: header.unspilled(), payload: self.ring.memory.payload(cell), length };
                self.keep(&mut kept, leased, record.header.deliveries(), Reason::TooManyDeliveries, Ends::Released);
            }
            drop(kept);
            exited?;
            from = walked.map_err(|_| GetError::Corrupted)?;
        }
        Ok(())
    }

    /// Finishes a record that was copied out, in slow paths. Returns whether it had come back.
    /// Needs the get side.
    pub(super) fn take_copied(&self, record: Record) -> bool {
        let came_back = self.count_redelivery(&record);
        self.read_and_take_any(record, &mut |_, _| ());
        came_back
    }

    /// Hands over all messages that reached their delivery limit, until one is refused. Returns how
    /// many were handed over.
    #[cold]
    pub(super) fn give_up_all_worn_out(&self, me: Id, wait: Wait, deadline: Deadline) -> u64 {
        if self.has_dead_letters() && self.max_deliveries != 0 && self.ring.has_returned() {
            // The next call reports an error.
            let _ = self.keep_worn_out::<BY_LOCK>(me, &|| Ok(self.lock_get(me, wait)?));
        }
        self.post_until(deadline).0
    }

    /// Ends the lease of a message that was copied; it counts as taken by copy.
    pub(crate) fn finish_copy<const OWNED: bool>(&self, record: LeasedRecord, wait: Wait) -> Result<(), GetError> {
        let me = self.me()?;
        self.finish_large_copy::<OWNED>(record, me, wait)
    }
}

impl Kept {
    /// The first letter from that cell on that is worth a try with the queue of that nonce.
    fn next(&self, from: u64, queue: Option<u64>) -> Option<u64> {
        let is_worth_it = |letter: &Letter| letter.too_large_for.is_none_or(|nonce| Some(nonce) != queue);
        self.letters.range(from..).find(|(_, letter)| !letter.is_being_posted && is_worth_it(letter)).map(|(cell, _)| *cell)
    }

    /// Claims the letter of that cell for the calling thread to post.
    fn begin(&mut self, cell: u64) -> Option<(LeasedRecord, u32, Reason)> {
        let letter = self.letters.get_mut(&cell).filter(|letter| !letter.is_being_posted)?;
        letter.is_being_posted = true;
        let LeasedRecord { cell, header, payload, length } = letter.record;
        Some((LeasedRecord { cell, header, payload, length }, letter.deliveries, letter.reason.clone()))
    }
}

/// A thread that posts a letter. If a panic drops it, other threads can post the letter.
struct Posting<'a> {
    raw: &'a RawQueue,
    me: Id,
    cell: u64,
}

impl Drop for Posting<'_> {
    fn drop(&mut self) {
        if let Some(letter) = self.raw.kept(self.me).letters.get_mut(&self.cell) {
            letter.is_being_posted = false;
        }
    }
}

/// Kept letters get a last try before this process detaches from the queue: otherwise the next
/// process takes them, if there is one.
impl Drop for RawQueue {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.attachment.is_view() {
            self.post_until(Deadline::in_ns(SLICE_NS));
        }
    }
}
