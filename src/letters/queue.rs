//! [`DeadLetters`]: the queue that messages go to when they are given up.

use super::DeadLetter;
use crate::error::{CreateError, GetError, OpenError, PutError};
use crate::queue::guard::Lease;
use crate::queue::sealed::Sealed;
use crate::queue::{Buildable, Content, Queue, QueueBuilder};
use crate::raw::{RawQueue, RecoveryReport, Stats};
use crate::shm::layout::kind;
use crate::shm::letter::TYPE_NAME;
use crate::wait::blocking_forms;
use std::fmt;
use std::sync::Arc;

/// How many processes may use such a queue at once: each that gives up a message of any queue that leads here.
const MAX_PARTICIPANTS: usize = 1023;

/// A queue for dead letters: see [`QueueBuilder::dead_letters`](crate::QueueBuilder::dead_letters).
///
/// It is [persisted](crate::Queue::persist): it stays, with the letters in it, until it is
/// [unlinked](Self::unlink), also while no process uses it. Several queues may share one. A letter
/// takes its message's bytes, its names, what the reason says and 40 more; the largest takes half of
/// the queue. So it needs twice the bytes of the largest message that may come, and some more: one
/// that is too large for it stays on lease where it was, and keeps its room there, until a larger
/// queue has the name. Up to 1023 processes may use it at once, 64 bytes each.
///
/// ```
/// # let name = format!("doc-dead-letters-{}", std::process::id());
/// use shmq::{DeadLetters, GetError};
///
/// let letters = DeadLetters::open_or_create(&name, 1 << 20)?;
/// assert!(matches!(letters.try_get(), Err(GetError::Empty)));
/// # DeadLetters::unlink(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DeadLetters {
    bytes: Queue<[u8]>,
}

impl DeadLetters {
    fn builder(name: &str) -> QueueBuilder<Self> {
        QueueBuilder::new().name(name).persist(true).max_participants(MAX_PARTICIPANTS)
    }

    /// Creates a queue for dead letters, of that size in bytes.
    ///
    /// # Errors
    /// As [`Queue::create`].
    pub fn create(name: impl AsRef<str>, capacity_bytes: usize) -> Result<Self, CreateError> {
        Self::builder(name.as_ref()).capacity_bytes(capacity_bytes).create()
    }

    /// Opens the one of that name.
    ///
    /// # Errors
    /// As [`Queue::open`]; a queue of another kind is a [`Mismatch`](OpenError::Mismatch).
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError> {
        Self::builder(name.as_ref()).open()
    }

    /// Opens the one of that name, or creates it.
    ///
    /// # Errors
    /// As [`Queue::open_or_create`].
    pub fn open_or_create(name: impl AsRef<str>, capacity_bytes: usize) -> Result<Self, CreateError> {
        Self::builder(name.as_ref()).capacity_bytes(capacity_bytes).open_or_create()
    }

    /// As [`open_or_create`](Self::open_or_create), in a directory of one's own, as [`QueueBuilder::directory`](crate::QueueBuilder::directory): letters lie where the queues do that
    /// lead to them.
    ///
    /// # Errors
    /// As there.
    pub fn open_or_create_in(
        directory: impl AsRef<std::path::Path>,
        name: impl AsRef<str>,
        capacity_bytes: usize,
    ) -> Result<Self, CreateError> {
        Self::builder(name.as_ref()).directory(directory).capacity_bytes(capacity_bytes).open_or_create()
    }

    /// Removes a name, as [`Queue::unlink`].
    ///
    /// # Errors
    /// As there.
    pub fn unlink(name: impl AsRef<str>) -> Result<(), OpenError> {
        Queue::<[u8]>::unlink(name)
    }

    blocking_forms! {
        /// Gets one letter; waits while there is none. By copy: it goes with the process that got
        /// it.
        ///
        /// # Errors
        /// [`GetError::Invalid`] for what is no letter, which another program may have put there:
        /// it is taken. Otherwise as [`Queue::get`].
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<DeadLetter, GetError> {
            let bytes = self.bytes.raw().get_vec::<false, u8>(None, wait)?;
            DeadLetter::read(&bytes).ok_or(GetError::Invalid)
        }
    }

    blocking_forms! {
        /// Leases one letter; waits while there is none. If the process dies before the lease ends,
        /// the letter is there again.
        ///
        /// # Errors
        /// As [`get`](Self::get).
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<LetterLease<'_>, GetError> {
            let lease = self.bytes.lease_for(wait)?;
            match DeadLetter::read(&lease.copied()) {
                Some(letter) => Ok(LetterLease { letter, lease }),
                None => {
                    lease.release();
                    Err(GetError::Invalid)
                }
            }
        }
    }

    /// Puts a letter back, as it is: one that was got to be looked at. It says still when it was
    /// given up.
    ///
    /// # Errors
    /// As [`Queue::try_put`]: does not wait.
    pub fn try_put(&self, letter: &DeadLetter) -> Result<(), PutError> {
        self.bytes.try_put(&letter.written())
    }

    /// Letters that nobody has taken.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The name by which other queues lead here.
    pub fn name(&self) -> &str {
        self.bytes.name()
    }

    /// Takes no more letters, as [`Queue::close`]: what is given up from then on stays where it is.
    pub fn close(&self) {
        self.bytes.close();
    }

    /// Counters since it was created.
    pub fn stats(&self) -> Stats {
        self.bytes.stats()
    }

    /// Looks after dead processes now, as [`Queue::recover`].
    pub fn recover(&self) -> RecoveryReport {
        self.bytes.recover()
    }
}

impl Sealed for DeadLetters {}

impl Buildable for DeadLetters {
    fn content() -> Content {
        Content::encoded(kind::SLICE, TYPE_NAME.to_owned())
    }

    fn over(raw: Arc<RawQueue>, schema: Option<String>, structure: Option<String>) -> DeadLetters {
        DeadLetters { bytes: Queue::over(raw, schema, structure) }
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("DeadLetters").field(&self.bytes).finish()
    }
}

/// Dropping the lease takes the letter: it is done. Dropped by a panic that began while it was
/// held, it is given back instead. As [`Lease`] otherwise.
#[must_use = "dropping takes the letter"]
#[derive(Debug)]
pub struct LetterLease<'q> {
    letter: DeadLetter,
    lease: Lease<'q, [u8]>,
}

impl LetterLease<'_> {
    /// Ends the lease and keeps the letter; it is done.
    pub fn take(self) -> DeadLetter {
        self.lease.release();
        self.letter
    }

    /// Ends the lease; the letter is done.
    pub fn release(self) {
        self.lease.release();
    }

    /// Ends the lease without finishing the letter: it is delivered again, before newer ones.
    pub fn give_back(self) {
        self.lease.give_back();
    }
}

impl std::ops::Deref for LetterLease<'_> {
    type Target = DeadLetter;

    fn deref(&self) -> &DeadLetter {
        &self.letter
    }
}
