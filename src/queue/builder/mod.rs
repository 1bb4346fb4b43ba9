//! [`QueueBuilder`]: what can be set is in `options.rs`; here are the ways to make a handle of it.

mod message_type;
mod options;
mod settings;

pub use message_type::MessageType;

use super::sealed::Sealed;
use crate::error::{CreateError, OpenError};
use crate::os::Deadline;
use crate::raw::RawQueue;
use crate::shm::segment::Segment;
use settings::LONG_SCHEMA;
pub(crate) use settings::QueueSettings;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a [`QueueBuilder`] makes: a [`Queue<T>`](crate::Queue) or a [`Topic<T>`](crate::Topic), or
/// one of objects. Sealed.
///
/// ```
/// use shmq::{Buildable, CreateError, Queue, QueueBuilder};
///
/// /// As every queue of this program is made.
/// fn shared<Q: Buildable>(builder: QueueBuilder<Q>, name: &str) -> Result<Q, CreateError> {
///     builder.name(name).mode(0o660).max_participants(20).open_or_create()
/// }
///
/// # let name = format!("doc-buildable-{}", std::process::id());
/// let ticks = shared(Queue::<u64>::builder().capacity(100), &name)?;
/// assert_eq!(ticks.capacity(), 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Buildable: Sealed + Sized {
    /// What the messages are.
    #[doc(hidden)]
    fn message_type() -> MessageType;
    /// A handle of the queue. The texts are what the builder was given.
    #[doc(hidden)]
    fn over(raw: Arc<RawQueue>, schema: Option<String>, structure: Option<String>) -> Self;
}

/// What delivers each message to one getter, and may deliver it again: a queue. Sealed.
pub trait Delivering: Buildable {}

/// What all its subscribers see every message of: a topic. Sealed.
pub trait Broadcasting: Buildable {}

/// Settings of a queue to be created or opened; made by [`Queue::builder`](crate::Queue::builder)
/// and `ObjectQueue::builder`.
///
/// Settings of the segment (capacity, mode, schema ...) count when it is created. An opener takes
/// what is there, and [`unapplied_options`](crate::Queue::unapplied_options) lists the differences;
/// only `persist(true)` takes effect later as well. Settings of the handle (wait strategy, locked
/// memory, huge pages) count for this process.
///
/// A number out of its range is never adjusted: `create` and `open_or_create` return
/// [`CreateError::OutOfRange`].
///
/// ```
/// use shmq::{Queue, WaitStrategy};
///
/// let frames = Queue::<[u8]>::builder()
///     .capacity_bytes(8 << 20)
///     .capacity(100)
///     .wait_strategy(WaitStrategy::Block)
///     .create()?;
/// assert_eq!(frames.capacity(), 100);
/// assert!(frames.max_len() >= 4_000_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A queue of objects has the same settings:
///
#[cfg_attr(feature = "object", doc = "```")]
#[cfg_attr(not(feature = "object"), doc = "```ignore")]
/// let names = shmq::ObjectQueue::<String>::builder().capacity(3).create()?;
/// assert_eq!(names.capacity(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until create, open or open_or_create"]
pub struct QueueBuilder<Q> {
    settings: QueueSettings,
    makes: PhantomData<fn() -> Q>,
}

impl<Q> QueueBuilder<Q> {
    pub(crate) fn new() -> QueueBuilder<Q> {
        QueueBuilder { settings: QueueSettings::default(), makes: PhantomData }
    }

    /// For the methods that set something.
    pub(crate) fn with(mut self, set: impl FnOnce(&mut QueueSettings)) -> Self {
        set(&mut self.settings);
        self
    }

    /// Removes the name, in the directory that was set, as [`Queue::unlink`](crate::Queue::unlink).
    ///
    /// # Errors
    /// As [`Queue::unlink`](crate::Queue::unlink); the segment may belong to an owner that was
    /// allowed.
    ///
    /// ```
    /// # let name = format!("doc-builder-unlink-{}", std::process::id());
    /// let queue = shmq::Queue::<u64>::builder().name(&name).capacity(10).create()?;
    /// shmq::Queue::<u64>::builder().name(&name).unlink()?;
    /// assert!(!queue.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(self) -> Result<(), OpenError> {
        let QueueSettings { name, directory, owners, .. } = self.settings;
        let name = name.ok_or(OpenError::BadName { name: String::new(), why: NO_NAME })?;
        Segment::unlink_of(&name, &directory.unwrap_or_default(), &owners)
    }
}

const NO_NAME: &str = "no name was given";

impl<Q: Buildable> QueueBuilder<Q> {
    /// Creates the queue. A dead segment of that name is replaced unless it was persisted.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-builder-create-{}", std::process::id());
    /// let queue = shmq::Queue::<u64>::builder().name(&name).capacity(10).create()?;
    /// let again = shmq::Queue::<u64>::builder().name(&name).capacity(10).create();
    /// assert!(matches!(again, Err(shmq::CreateError::AlreadyExists { in_use: true, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(self) -> Result<Q, CreateError> {
        let QueueSettings { name, strategy, .. } = &self.settings;
        let raw = RawQueue::create(name.as_deref(), &self.settings.spec(self.message_type())?, *strategy)?;
        Ok(self.over(raw))
    }

    /// Opens the queue that another process created. A dead one is opened too, as it was left: its
    /// messages are still there.
    ///
    /// Of the settings of the segment only `persist(true)` takes effect;
    /// [`unapplied_options`](crate::Queue::unapplied_options) lists the others that differ.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed. Does not wait for a queue to be created: that does
    /// [`open_timeout`](Self::open_timeout).
    ///
    /// ```
    /// # let name = format!("doc-builder-open-{}", std::process::id());
    /// # let _creator = shmq::Queue::<u64>::create(&name, 10)?;
    /// let queue = shmq::Queue::<u64>::builder().name(&name).lock_memory(true).open()?;
    /// assert_eq!(queue.capacity(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(self) -> Result<Q, OpenError> {
        self.open_by(None)
    }

    /// Like [`open`](Self::open), but waits for the queue to be created, for `timeout` at most and
    /// never less: see [`Queue::open_timeout`](crate::Queue::open_timeout).
    ///
    /// # Errors
    /// [`OpenError::Timeout`], or as [`open`](Self::open), at once.
    ///
    /// ```
    /// # let name = format!("doc-builder-open-timeout-{}", std::process::id());
    /// use std::time::Duration;
    ///
    /// # let _creator = shmq::Queue::<u64>::create(&name, 10)?;
    /// let builder = shmq::Queue::<u64>::builder().name(&name);
    /// let queue = builder.open_timeout(Duration::from_secs(5))?;
    /// assert_eq!(queue.capacity(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_timeout(self, timeout: Duration) -> Result<Q, OpenError> {
        self.open_by(Some(Deadline::after(timeout)))
    }

    /// Like [`open_timeout`](Self::open_timeout), until `deadline`. One in the past means one try.
    ///
    /// # Errors
    /// As [`open_timeout`](Self::open_timeout).
    ///
    /// ```
    /// # let name = format!("doc-builder-open-deadline-{}", std::process::id());
    /// let builder = shmq::Queue::<u64>::builder().name(&name);
    /// assert!(builder.open_deadline(std::time::Instant::now()).unwrap_err().is_timeout());
    /// ```
    pub fn open_deadline(self, deadline: Instant) -> Result<Q, OpenError> {
        self.open_by(Some(Deadline::at(deadline)))
    }

    fn open_by(self, until: Option<Deadline>) -> Result<Q, OpenError> {
        let QueueSettings { name, strategy, .. } = &self.settings;
        let name = name.as_deref().ok_or(OpenError::BadName { name: String::new(), why: NO_NAME })?;
        // A segment keeps no longer schema, but it may keep the beginning of this one.
        if let Some(schema) = self.settings.long_schema() {
            return Err(OpenError::BadName { name: schema.to_owned(), why: LONG_SCHEMA });
        }
        let raw = RawQueue::open(name, &self.settings.expect(self.message_type()), *strategy, until)?;
        Ok(self.over(raw))
    }

    /// Opens the queue, or creates it if there is none. **On a queue that exists** `capacity`,
    /// `capacity_bytes`, `mode`, `max_deliveries` and `max_participants` do not take effect:
    /// [`unapplied_options`](crate::Queue::unapplied_options) lists what was asked for and what the
    /// queue has. `persist(true)` does take effect. Of several processes that call this at once,
    /// one creates.
    ///
    /// **If all users of the queue are dead** (killed, or ended by `_exit`), the call depends on
    /// what they left:
    /// - An open queue is opened, and its messages are still there.
    /// - One that was [closed](crate::Queue::close), with messages in it, is opened: consumers
    ///   drain it, and a put is [`Closed`](crate::PutError::Closed), as it was for its
    ///   predecessors. Once it is drained, and the process that drained it has left or died, the
    ///   next call replaces it. A producer that finds the queue closed that it has just opened
    ///   drops its handle and tries again later.
    /// - One that is closed and drained, that is poisoned, or that carries messages of another
    ///   type, schema or structure, is replaced by a new one. The messages that are lost with it
    ///   are counted in a `tracing` event and by `shmq doctor`.
    ///
    /// A [persisted](Self::persist) queue, or another user's, is never replaced: such a closed one
    /// stays closed until it is [unlinked](crate::Queue::unlink), and one of another type is a
    /// [`Mismatch`](CreateError::Mismatch), as one in use is.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-builder-either-{}", std::process::id());
    /// let either = || shmq::Queue::<u64>::builder().name(&name).capacity(10).open_or_create();
    /// let (first, second) = (either()?, either()?);
    /// first.put(&1)?;
    /// assert_eq!(second.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(self) -> Result<Q, CreateError> {
        let QueueSettings { name, strategy, .. } = &self.settings;
        let name = name.as_deref().ok_or(CreateError::BadName { name: String::new(), why: NO_NAME })?;
        let (spec, expect) = (self.settings.spec(self.message_type())?, self.settings.expect(self.message_type()));
        let raw = RawQueue::open_or_create(name, &spec, &expect, *strategy)?;
        Ok(self.over(raw))
    }

    fn message_type(&self) -> MessageType {
        self.settings.message_type.clone().unwrap_or_else(Q::message_type)
    }

    fn over(self, raw: Arc<RawQueue>) -> Q {
        Q::over(raw, self.settings.schema, self.settings.structure)
    }
}

impl<Q> fmt::Debug for QueueBuilder<Q> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("QueueBuilder")
            .field("name", &self.settings.name)
            .field("capacity", &self.settings.capacity)
            .field("capacity_bytes", &self.settings.capacity_bytes)
            .field("schema", &self.settings.schema)
            .finish_non_exhaustive()
    }
}
