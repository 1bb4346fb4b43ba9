//! [`DeadLetters`]: the queue that messages go to when they are given up.

use super::DeadLetter;
use crate::attachment::detachable;
use crate::error::{CreateError, GetError, OpenError, PutError};
use crate::queue::guard::Lease;
use crate::queue::sealed::Sealed;
use crate::queue::{Buildable, MessageType, Queue, QueueBuilder};
use crate::raw::BY_LOCK;
use crate::raw::{RawQueue, RecoveryReport, Stats};
use crate::shm::kind::Kind;
use crate::shm::letter::TYPE_NAME;
use crate::wait::{Stop, blocking_forms};
use std::fmt;
use std::sync::Arc;

/// How many processes may use such a queue at once: each that gives up a message of any queue that
/// leads here.
const MAX_PARTICIPANTS: usize = 1023;

/// A queue for dead letters: see
/// [`QueueBuilder::dead_letters`](crate::QueueBuilder::dead_letters).
///
/// It is [persisted](crate::Queue::persist): it stays, with the letters in it, until it is
/// [unlinked](Self::unlink), also while no process uses it. Several queues may share one. A letter
/// takes its message's bytes, its names, what the reason says and 40 more; the largest takes half
/// of the queue. So it needs twice the bytes of the largest message that may come, and some more:
/// one that is too large for it stays on lease where it was, and keeps its room there, until a
/// larger queue has the name. Up to 1023 processes may use it at once, 64 bytes each.
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
    pub(super) bytes: Queue<[u8]>,
}

impl DeadLetters {
    fn builder(name: &str) -> QueueBuilder<Self> {
        QueueBuilder::new().name(name).persist(true).max_participants(MAX_PARTICIPANTS)
    }

    /// Creates a queue for dead letters, of that size in bytes.
    ///
    /// # Errors
    /// As [`Queue::create`].
    ///
    /// ```
    /// # let name = format!("doc-letters-create-{}", std::process::id());
    /// use shmq::DeadLetters;
    ///
    /// let letters = DeadLetters::create(&name, 1 << 20)?;
    /// assert!(DeadLetters::create(&name, 1 << 20).is_err()); // it exists
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>, capacity_bytes: usize) -> Result<Self, CreateError> {
        Self::builder(name.as_ref()).capacity_bytes(capacity_bytes).create()
    }

    /// Opens the one of that name.
    ///
    /// # Errors
    /// As [`Queue::open`]; a queue of another kind is a [`Mismatch`](OpenError::Mismatch).
    ///
    /// ```
    /// # let name = format!("doc-letters-open-{}", std::process::id());
    /// use shmq::DeadLetters;
    ///
    /// assert!(DeadLetters::open(&name).is_err()); // there is none yet
    /// let letters = DeadLetters::create(&name, 1 << 20)?;
    /// let same = DeadLetters::open(&name)?;
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError> {
        Self::builder(name.as_ref()).open()
    }

    /// Opens the one of that name, or creates it.
    ///
    /// # Errors
    /// As [`Queue::open_or_create`].
    ///
    /// ```
    /// # let name = format!("doc-letters-either-{}", std::process::id());
    /// use shmq::DeadLetters;
    ///
    /// let letters = DeadLetters::open_or_create(&name, 1 << 20)?;
    /// let same = DeadLetters::open_or_create(&name, 1 << 20)?;
    /// assert_eq!(same.name(), letters.name());
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>, capacity_bytes: usize) -> Result<Self, CreateError> {
        Self::builder(name.as_ref()).capacity_bytes(capacity_bytes).open_or_create()
    }

    /// As [`open_or_create`](Self::open_or_create), in a directory of its own, as
    /// [`QueueBuilder::directory`]: a queue finds its queue for dead letters in its own directory.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// # let directory = format!("shmq-doc-letters-{}", std::process::id());
    /// # let directory = std::env::temp_dir().join(directory);
    /// # std::fs::create_dir(&directory)?;
    /// use shmq::{DeadLetters, Queue};
    ///
    /// let letters = DeadLetters::open_or_create_in(&directory, "letters", 1 << 16)?;
    /// let jobs = Queue::<u64>::builder().directory(&directory).capacity(8);
    /// let jobs = jobs.dead_letters("letters").create()?;
    /// # drop((letters, jobs));
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create_in(
        directory: impl AsRef<std::path::Path>,
        name: impl AsRef<str>,
        capacity_bytes: usize,
    ) -> Result<Self, CreateError> {
        Self::builder(name.as_ref()).directory(directory).capacity_bytes(capacity_bytes).open_or_create()
    }

    /// Removes a name, as [`Queue::unlink`]. Letters in it are lost once no process uses it.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// # let name = format!("doc-letters-unlink-{}", std::process::id());
    /// use shmq::DeadLetters;
    ///
    /// let letters = DeadLetters::create(&name, 1 << 20)?;
    /// DeadLetters::unlink(&name)?;
    /// assert!(DeadLetters::open(&name).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(name: impl AsRef<str>) -> Result<(), OpenError> {
        Queue::<[u8]>::unlink(name)
    }

    blocking_forms! {
        /// Gets one letter; waits while there is none. By copy: it goes with the process that got
        /// it.
        ///
        /// # Errors
        /// [`GetError::Invalid`] for bytes that are no letter, which another program may have put
        /// there: they are taken. Otherwise as [`Queue::get`].
        ///
        /// ```
        /// # let name = format!("doc-letters-get-{}", std::process::id());
        /// use shmq::{DeadLetters, Queue};
        ///
        /// let letters = DeadLetters::create(&name, 1 << 20)?;
        /// let jobs = Queue::<u64>::builder().capacity(8).max_deliveries(1);
        /// let jobs = jobs.dead_letters(&name).create()?;
        /// jobs.put(&7)?;
        /// jobs.lease()?.give_back();
        /// jobs.recover();
        /// assert_eq!(letters.get()?.value::<u64>(), Some(7));
        /// # DeadLetters::unlink(&name)?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<DeadLetter, GetError> {
            let bytes = self.bytes.raw().get_vec::<BY_LOCK, u8>(self.bytes.raw().me_in_both_roles()?, wait)?;
            DeadLetter::read(&bytes).ok_or(GetError::Invalid)
        }
    }

    blocking_forms! {
        /// Leases one letter; waits while there is none. If the process dies before the lease ends,
        /// the letter is delivered again.
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// # let name = format!("doc-letters-lease-{}", std::process::id());
        /// use shmq::{DeadLetters, Queue};
        ///
        /// let letters = DeadLetters::create(&name, 1 << 20)?;
        /// let jobs = Queue::<u64>::builder().capacity(8).max_deliveries(1);
        /// let jobs = jobs.dead_letters(&name).create()?;
        /// jobs.put(&7)?;
        /// jobs.lease()?.give_back();
        /// jobs.recover();
        /// let letter = letters.lease()?;
        /// println!("{}: {}", letter.queue, letter.reason);
        /// letter.give_back(); // for another program
        /// assert_eq!(letters.len(), 1);
        /// # DeadLetters::unlink(&name)?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<LetterLease<'_>, GetError> { LetterLease::read(self.bytes.lease_for(wait)?) }
    }

    blocking_forms! {
        /// Leases one letter by a lease that keeps the queue attached by itself, and so may outlive
        /// this handle; otherwise as [`lease`](Self::lease).
        ///
        /// # Errors
        /// As [`lease`](Self::lease).
        ///
        /// ```
        /// # let name = format!("doc-letters-lease-owned-{}", std::process::id());
        /// let letters = shmq::DeadLetters::create(&name, 4096)?;
        /// assert!(letters.try_lease_owned().unwrap_err().is_empty());
        /// # shmq::DeadLetters::unlink(&name)?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_owned, try_lease_owned, lease_owned_timeout, lease_owned_deadline, none: "Empty",
        |self, wait| -> Result<LetterLease<'static>, GetError> { LetterLease::read(self.bytes.lease_owned_for(wait)?) }
    }

    /// Puts a letter back unchanged, the time at which it was given up included.
    ///
    /// # Errors
    /// As [`Queue::try_put`]: does not wait.
    ///
    /// ```
    /// # let name = format!("doc-letters-put-{}", std::process::id());
    /// use shmq::{DeadLetters, Queue};
    ///
    /// let letters = DeadLetters::create(&name, 1 << 20)?;
    /// let jobs = Queue::<u64>::builder().capacity(8).max_deliveries(1);
    /// let jobs = jobs.dead_letters(&name).create()?;
    /// jobs.put(&7)?;
    /// jobs.lease()?.give_back();
    /// jobs.recover();
    /// let letter = letters.get()?;
    /// letters.try_put(&letter)?;
    /// assert_eq!(letters.get()?, letter);
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_put(&self, letter: &DeadLetter) -> Result<(), PutError> {
        self.bytes.try_put(&letter.written())
    }

    /// Letters that no process has taken.
    ///
    /// ```
    /// # let name = format!("doc-letters-len-{}", std::process::id());
    /// use shmq::DeadLetters;
    ///
    /// let letters = DeadLetters::create(&name, 1 << 20)?;
    /// assert_eq!(letters.len(), 0);
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Is [`len`](Self::len) 0?
    ///
    /// ```
    /// # let name = format!("doc-letters-is-empty-{}", std::process::id());
    /// use shmq::DeadLetters;
    ///
    /// let letters = DeadLetters::create(&name, 1 << 20)?;
    /// assert!(letters.is_empty());
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A handle of this queue whose waits end with [`GetError::Interrupted`] once `stop` is set. As
    /// [`Queue::with_stop`].
    ///
    /// ```
    /// # let name = format!("doc-letters-with-stop-{}", std::process::id());
    /// use shmq::{DeadLetters, Stop};
    ///
    /// let (letters, stop) = (DeadLetters::create(&name, 1 << 20)?, Stop::new());
    /// stop.set();
    /// assert!(letters.with_stop(&stop).get().unwrap_err().is_interrupted());
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> DeadLetters {
        DeadLetters { bytes: self.bytes.with_stop(stop) }
    }

    /// The name that queues are given for [`dead_letters`](crate::QueueBuilder::dead_letters).
    ///
    /// ```
    /// # let name = format!("doc-letters-name-{}", std::process::id());
    /// use shmq::DeadLetters;
    ///
    /// let letters = DeadLetters::create(&name, 1 << 20)?;
    /// assert_eq!(letters.name(), name);
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &str {
        self.bytes.name()
    }

    /// Takes no more letters, as [`Queue::close`]: messages that are given up from then on stay in
    /// their queues.
    ///
    /// ```
    /// # let name = format!("doc-letters-close-{}", std::process::id());
    /// use shmq::DeadLetters;
    ///
    /// let letters = DeadLetters::create(&name, 1 << 20)?;
    /// letters.close();
    /// assert!(letters.get().unwrap_err().is_closed());
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        self.bytes.close();
    }

    /// Counters since it was created, of all processes.
    ///
    /// ```
    /// # let name = format!("doc-letters-stats-{}", std::process::id());
    /// use shmq::DeadLetters;
    ///
    /// let letters = DeadLetters::create(&name, 1 << 20)?;
    /// assert_eq!(letters.stats().puts, 0);
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.bytes.stats()
    }

    /// Frees now what dead processes hold, as [`Queue::recover`].
    ///
    /// ```
    /// # let name = format!("doc-letters-recover-{}", std::process::id());
    /// use shmq::DeadLetters;
    ///
    /// let letters = DeadLetters::create(&name, 1 << 20)?;
    /// assert_eq!(letters.recover().redelivered, 0); // no process has died
    /// # DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover(&self) -> RecoveryReport {
        self.bytes.recover()
    }
}

detachable! {
    [] DeadLetters, |letters| [letters.bytes.raw()],
    "# let name = format!(\"doc-letters-detach-{}\", std::process::id());"
    "use shmq::DeadLetters;"
    ""
    "let letters = DeadLetters::create(&name, 4096)?;"
    "letters.detach()?;"
    "assert!(DeadLetters::open(&name)?.is_empty()); // it is persisted"
    "DeadLetters::unlink(&name)?;"
}

impl Sealed for DeadLetters {}

impl Buildable for DeadLetters {
    fn message_type() -> MessageType {
        MessageType::encoded(Kind::Slice, TYPE_NAME.to_owned())
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
/// held, it is given back instead. As [`Lease`] otherwise; made by [`DeadLetters::lease`].
///
/// ```
/// # let name = format!("doc-letter-lease-{}", std::process::id());
/// # let letters = shmq::DeadLetters::create(&name, 4096)?;
/// # let jobs = shmq::Queue::<u64>::builder().capacity(8).max_deliveries(1);
/// # let jobs = jobs.dead_letters(&name).create()?;
/// # jobs.put(&7)?;
/// # jobs.lease()?.give_back();
/// # jobs.recover();
/// let letter = letters.lease()?;
/// assert_eq!(letter.value::<u64>(), Some(7));
/// letter.release();
/// assert!(letters.is_empty());
/// # shmq::DeadLetters::unlink(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping takes the letter"]
#[derive(Debug)]
pub struct LetterLease<'q> {
    letter: DeadLetter,
    lease: Lease<'q, [u8]>,
}

impl<'q> LetterLease<'q> {
    fn read(lease: Lease<'q, [u8]>) -> Result<LetterLease<'q>, GetError> {
        match DeadLetter::read(&lease.copied()) {
            Some(letter) => Ok(LetterLease { letter, lease }),
            None => {
                lease.release();
                Err(GetError::Invalid)
            }
        }
    }

    /// Ends the lease and keeps the letter; it is done.
    ///
    /// ```
    /// # let name = format!("doc-letter-lease-take-{}", std::process::id());
    /// # let letters = shmq::DeadLetters::create(&name, 4096)?;
    /// # let jobs = shmq::Queue::<u64>::builder().capacity(8).max_deliveries(1);
    /// # let jobs = jobs.dead_letters(&name).create()?;
    /// # jobs.put(&7)?;
    /// # jobs.lease()?.give_back();
    /// # jobs.recover();
    /// let letter: shmq::DeadLetter = letters.lease()?.take();
    /// assert_eq!(letter.deliveries, 1);
    /// # shmq::DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take(self) -> DeadLetter {
        self.lease.release();
        self.letter
    }

    /// Ends the lease; the letter is done.
    ///
    /// ```
    /// # let name = format!("doc-letter-lease-release-{}", std::process::id());
    /// # let letters = shmq::DeadLetters::create(&name, 4096)?;
    /// # let jobs = shmq::Queue::<u64>::builder().capacity(8).max_deliveries(1);
    /// # let jobs = jobs.dead_letters(&name).create()?;
    /// # jobs.put(&7)?;
    /// # jobs.lease()?.give_back();
    /// # jobs.recover();
    /// letters.lease()?.release();
    /// assert!(letters.is_empty());
    /// # shmq::DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release(self) {
        self.lease.release();
    }

    /// Ends the lease without finishing the letter: it is delivered again, before newer ones.
    ///
    /// ```
    /// # let name = format!("doc-letter-lease-give-back-{}", std::process::id());
    /// # let letters = shmq::DeadLetters::create(&name, 4096)?;
    /// # let jobs = shmq::Queue::<u64>::builder().capacity(8).max_deliveries(1);
    /// # let jobs = jobs.dead_letters(&name).create()?;
    /// # jobs.put(&7)?;
    /// # jobs.lease()?.give_back();
    /// # jobs.recover();
    /// letters.lease()?.give_back();
    /// assert_eq!(letters.len(), 1);
    /// # shmq::DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
