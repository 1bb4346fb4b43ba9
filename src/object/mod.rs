//! [`ObjectQueue`]: any serde type, encoded inside `put`, decoded inside `get`.
//!
//! ```text
//!   put(&T) --encode into a buffer on the stack, counting--> fits: put by copy
//!                                                       \--> does not: loan of that many bytes, encode into it, commit
//!   get()   --copy out--> decode, nothing left over
//! ```
//!
//! Invariants:
//! 1. Nothing of the caller's (`Serialize`, `Deserialize`) runs while a lock is held: it may panic, take long, or use the queue itself.
//! 2. Nothing is enqueued unless it was encoded whole: a loan whose encoding fails is dropped, which aborts it.
#![forbid(unsafe_code)]

mod codec;
mod decode;
mod encode;
mod endpoint;
mod form;
mod lease;
mod nesting;
mod travel;

pub use codec::{Codec, MessagePack, Postcard};
pub use endpoint::{ObjectConsumer, ObjectProducer};
pub use lease::ObjectLease;
pub use travel::PutAs;
pub(crate) use travel::decode;
use travel::put_verbs;

use crate::error::{CreateError, GetError, JoinError, OpenError, PutError};
use crate::message::without_paths;
use crate::queue::sealed::Sealed;
use crate::queue::{Accepts, Buildable, Content, Iter, Queue, QueueBuilder, Source, reopen, verbs};
use crate::raw::{RawQueue, RecoveryReport, Stats, Wait};
use crate::shm::layout::kind;
use crate::shm::segment::UnappliedOption;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A [`Queue`] of objects: anything that is `Serialize + DeserializeOwned`, strings, collections, enums and handles of queues included.
///
/// The same verbs and timeouts as [`Queue`], the same guarantees. A value is encoded inside `put`, so what goes wrong there is told to
/// the caller of `put`, nothing is enqueued, and nothing that happens to the value afterwards changes the message. A message that
/// cannot be decoded, or leaves bytes over, is [`GetError::Decode`] to the one who takes it, by [`get`](Self::get) or by
/// [`lease`](Self::lease): the error has its bytes, and it does not stand in the way of those behind it. It is consumed, or put into
/// the queue for [dead letters](QueueBuilder::dead_letters).
///
/// The codec `C` is [`MessagePack`] unless said otherwise, which carries every type; [`Postcard`] is faster and smaller and carries
/// fewer. A queue is bounded in messages and in bytes, see [`QueueBuilder::capacity_bytes`].
///
/// Handles of all queues are objects themselves: send one through another, as Python programs do with `Manager().Queue()`.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use shmq::{ObjectQueue, Process};
///
/// #[derive(Serialize, Deserialize, Debug, PartialEq)]
/// enum Job {
///     Resize { path: String, width: u32 },
///     Stop,
/// }
///
/// let jobs = ObjectQueue::<Job>::new(10)?;
/// let child = Process::spawn(|| {
///     jobs.put(&Job::Resize { path: "a.png".into(), width: 80 })?;
///     jobs.put(&Job::Stop)
/// })?;
/// assert_eq!(jobs.get()?, Job::Resize { path: "a.png".into(), width: 80 });
/// assert_eq!(jobs.get()?, Job::Stop);
/// assert!(child.join()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A queue sent through a queue:
///
/// ```
/// use shmq::{ObjectQueue, Queue};
///
/// let requests = ObjectQueue::<(u64, Queue<u64>)>::new(4)?;
/// let answers = Queue::<u64>::new(4)?;
/// requests.put(&(20, answers.clone()))?;
///
/// let (number, reply_to) = requests.get()?; // in another process, as a rule
/// reply_to.put(&(number + 1))?;
/// assert_eq!(answers.get()?, 21);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ObjectQueue<T, C = MessagePack> {
    bytes: Queue<[u8]>,
    carries: PhantomData<fn(T) -> (T, C)>,
}

impl<T, C> ObjectQueue<T, C> {
    /// For those who wait for several queues at once.
    pub(crate) fn bytes(&self) -> &Queue<[u8]> {
        &self.bytes
    }
}

/// What the segment's stamp says that it carries.
fn type_name<T, C: Codec>() -> String {
    format!("{} as {}", without_paths(std::any::type_name::<T>()), C::NAME)
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectQueue<T, C> {
    /// Settings for a queue to be created or opened: see [`QueueBuilder`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::builder().capacity(3).capacity_bytes(64 << 10).create()?;
    /// assert_eq!(queue.capacity(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> QueueBuilder<Self> {
        QueueBuilder::new()
    }

    /// Creates an anonymous queue for exactly `capacity` messages that take no more than 1 MiB together (see
    /// [`QueueBuilder::capacity_bytes`]), for forked children and for handles that are sent.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    pub fn new(capacity: usize) -> Result<Self, CreateError> {
        Self::builder().capacity(capacity).create()
    }

    /// Creates a named queue; otherwise as [`new`](Self::new) and [`Queue::create`].
    ///
    /// # Errors
    /// As [`Queue::create`].
    pub fn create(name: impl AsRef<str>, capacity: usize) -> Result<Self, CreateError> {
        Self::builder().name(name).capacity(capacity).create()
    }

    /// Opens the queue that another process created: with the same codec, and for a type of the same name.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed. Does not wait for a queue to be created.
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError> {
        Self::builder().name(name).open()
    }

    /// Opens the queue of that name, or creates it. As [`Queue::open_or_create`].
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    pub fn open_or_create(name: impl AsRef<str>, capacity: usize) -> Result<Self, CreateError> {
        Self::builder().name(name).capacity(capacity).open_or_create()
    }

    put_verbs! {
        /// Encodes one value and puts it; waits while the queue is full. A queue of `String` takes a `&str` too.
        ///
        /// When it returns `Ok`, the message is in shared memory, independent of the value, and is not lost if this process dies.
        /// Up to a kilobyte is encoded once and copied; more is encoded twice, once to learn its length and once into the ring.
        ///
        /// # Errors
        /// [`PutError::Encode`] if the value cannot be encoded, [`PutError::TooLarge`] if it never fits; otherwise as [`Queue::put`].
        /// Nothing was enqueued.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(1)?;
        /// queue.put("one")?;
        /// assert!(matches!(queue.try_put(&String::from("two")), Err(shmq::PutError::Full)));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        |self, value, wait| {
            travel::send::<_, C>(&self.bytes, value, wait)
        }
    }

    verbs! {
        /// Puts all values in order, waiting for room as often as needed: how many, which is all of them. An empty slice is `Ok(0)`.
        ///
        /// # Errors
        /// As [`put`](Self::put) if *none* was put. If some were, `Ok` tells how many, and the next call meets the error.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// assert_eq!(queue.put_slice(&["a".to_string(), "b".to_string()])?, 2);
        /// assert_eq!(queue.get_batch(10)?, ["a", "b"]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_slice, try_put_slice, put_slice_timeout, put_slice_deadline, none: "Full",
        |self, wait, values: &[T]| -> Result<usize, PutError> {
            travel::send_all::<T, C>(&self.bytes, values, wait)
        }
    }

    verbs! {
        /// Gets one value; waits while the queue is empty. By copy: it goes with the process that got it.
        ///
        /// # Errors
        /// [`GetError::Decode`] if the message is not a value of the type, or leaves bytes over: the error has its bytes. It is
        /// consumed; where the queue has one for [dead letters](QueueBuilder::dead_letters), it is put there first. Otherwise as
        /// [`Queue::get`].
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<Vec<(u32, String)>>::new(4)?;
        /// queue.put(&vec![(1, "one".into())])?;
        /// assert_eq!(queue.get()?, [(1, "one".to_string())]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<T, GetError> {
            travel::receive::<false, T, C>(self.bytes.raw(), None, wait)
        }
    }

    verbs! {
        /// Gets as many values as there are, up to `most`, waiting until there is at least one.
        ///
        /// # Errors
        /// As [`get`](Self::get) for the first. One behind it that cannot be decoded is left for the next call.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<u32>::new(8)?;
        /// queue.put_slice(&[1, 2, 3])?;
        /// assert_eq!((queue.get_batch(2)?, queue.get_batch(2)?), (vec![1, 2], vec![3]));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_batch, try_get_batch, get_batch_timeout, get_batch_deadline, none: "Empty",
        |self, wait, most: usize| -> Result<Vec<T>, GetError> {
            travel::receive_many::<false, T, C>(self.bytes.raw(), None, most, wait)
        }
    }

    verbs! {
        /// Leases one message and decodes it; waits while the queue is empty. The message stays in the queue until the lease ends: if
        /// the process dies before, it is delivered again, before newer ones.
        ///
        /// # Errors
        /// As [`get`](Self::get): a message that does not decode is consumed, since it never will.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(4)?;
        /// queue.put("job")?;
        /// let job = queue.lease()?;
        /// assert_eq!(job.len(), 3); // ... do it ...
        /// job.release();
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<ObjectLease<'_, T>, GetError> {
            let raw = self.bytes.raw();
            travel::decode_leased::<T, C>(raw, travel::lease::<false>(raw, None, wait)?)
        }
    }

    verbs! {
        /// Leases one message with a lease that keeps the segment attached by itself, and so may outlive this handle; otherwise as
        /// [`lease`](Self::lease).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(4)?;
        /// queue.put("job")?;
        /// let job = queue.lease_owned()?;
        /// drop(queue);
        /// assert_eq!(std::thread::spawn(move || job.take()).join().unwrap(), "job");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_owned, try_lease_owned, lease_owned_timeout, lease_owned_deadline, none: "Empty",
        |self, wait| -> Result<ObjectLease<'static, T>, GetError> {
            travel::decode_leased::<T, C>(self.bytes.raw(), self.bytes.lease_owned_patiently(wait)?)
        }
    }

    /// Becomes the only one who puts, without a lock per message, until the [`ObjectProducer`] is dropped. As [`Queue::producer`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let producer = queue.producer()?;
    /// producer.put("one")?;
    /// assert!(matches!(queue.put("two"), Err(shmq::PutError::Held { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer(&self) -> Result<ObjectProducer<T, C>, PutError> {
        Ok(ObjectProducer::over(self.bytes.producer()?))
    }

    /// Becomes the only one who gets, without a lock per message, until the [`ObjectConsumer`] is dropped. As [`Queue::consumer`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let consumer = queue.consumer()?;
    /// queue.put("one")?;
    /// assert_eq!(consumer.get()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer(&self) -> Result<ObjectConsumer<T, C>, GetError> {
        Ok(ObjectConsumer::over(self.bytes.consumer()?))
    }

    /// Gets values until the queue is closed and drained, waiting for each. Ends at `Closed` without yielding it. Other errors are items:
    /// [`Decode`](GetError::Decode) is followed by the messages behind it, any other is the last item, as of [`Queue::iter`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put(&"a".to_string())?;
    /// queue.close();
    /// assert_eq!(queue.iter().collect::<Result<Vec<_>, _>>()?, ["a"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, Self> {
        Iter::new(self)
    }
}

impl<T, C> ObjectQueue<T, C> {
    /// Removes a name. As [`Queue::unlink`].
    ///
    /// # Errors
    /// As there.
    pub fn unlink(name: impl AsRef<str>) -> Result<(), OpenError> {
        Queue::<[u8]>::unlink(name)
    }

    /// As [`Queue::persist`].
    pub fn persist(&self) {
        self.bytes.persist();
    }

    /// Messages that nobody has taken yet, as [`Queue::len`].
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Is there no message to take?
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Would a put of the smallest message have to wait?
    pub fn is_full(&self) -> bool {
        self.bytes.is_full()
    }

    /// Bound in messages; `usize::MAX` for a queue that is bounded in bytes only.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Size of the ring in bytes.
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity_bytes()
    }

    /// Bytes of the largest encoded value that the queue can hold.
    pub fn max_len(&self) -> usize {
        self.bytes.max_len()
    }

    /// The name by which other processes open it. An anonymous queue has one too.
    pub fn name(&self) -> &str {
        self.bytes.name()
    }

    /// Does the name still lead to this queue? As [`Queue::has_name`].
    ///
    /// ```
    /// assert!(shmq::ObjectQueue::<String>::new(4)?.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_name(&self) -> bool {
        self.bytes.has_name()
    }

    /// What the builder asked for in vain. As [`Queue::unapplied_options`].
    ///
    /// ```
    /// assert!(shmq::ObjectQueue::<String>::new(4)?.unapplied_options().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unapplied_options(&self) -> &[UnappliedOption] {
        self.bytes.unapplied_options()
    }

    /// Closes the queue for everybody, as [`Queue::close`].
    pub fn close(&self) {
        self.bytes.close();
    }

    /// Was it closed?
    pub fn is_closed(&self) -> bool {
        self.bytes.is_closed()
    }

    /// Counters since the queue was created, by all processes.
    pub fn stats(&self) -> Stats {
        self.bytes.stats()
    }

    /// Looks after dead processes now, as [`Queue::recover`].
    pub fn recover(&self) -> RecoveryReport {
        self.bytes.recover()
    }

    /// Marks one message that was got *by copy* as finished, as [`Queue::task_done`]. One that did not decode is finished the same way.
    ///
    /// # Errors
    /// [`JoinError::TooManyDone`].
    pub fn task_done(&self) -> Result<(), JoinError> {
        self.bytes.task_done()
    }

    /// Waits until every message is finished, as [`Queue::join`].
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn join(&self) -> Result<(), JoinError> {
        self.bytes.join()
    }

    /// Like [`join`](Self::join), but gives up after `timeout`, never earlier.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        self.bytes.join_timeout(timeout)
    }

    /// Like [`join`](Self::join), but gives up at `deadline`, never earlier. As [`Queue::join_deadline`].
    ///
    /// # Errors
    /// As there.
    pub fn join_deadline(&self, deadline: std::time::Instant) -> Result<(), JoinError> {
        self.bytes.join_deadline(deadline)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> Accepts<T> for ObjectQueue<T, C> {
    fn accept(&self, message: &T, wait: Wait) -> Result<(), PutError> {
        travel::send::<T, C>(&self.bytes, message, wait)
    }
}

impl<T, C> Clone for ObjectQueue<T, C> {
    /// Another handle of the same attachment. Cheap.
    fn clone(&self) -> Self {
        ObjectQueue { bytes: self.bytes.clone(), carries: PhantomData }
    }
}

impl<T, C> fmt::Debug for ObjectQueue<T, C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("ObjectQueue").field(&self.bytes).finish()
    }
}

impl<T, C> Serialize for ObjectQueue<T, C> {
    /// Name, nonce and schema, as for a [`Queue`].
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes.sent().serialize(serializer)
    }
}

impl<'de, T, C: Codec> Deserialize<'de> for ObjectQueue<T, C> {
    /// Opens the queue, through the mapping that this process may have already. The error is that of
    /// [`ObjectQueue::open`], or `Replaced` if another queue has taken the name since.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema) = <(String, u64, Option<String>)>::deserialize(deserializer)?;
        reopen(&address, nonce, schema, None).map_err(D::Error::custom)
    }
}

impl<T, C> Sealed for ObjectQueue<T, C> {}

impl<T, C: Codec> Buildable for ObjectQueue<T, C> {
    fn content() -> Content {
        Content::encoded(kind::OBJECT, type_name::<T, C>())
    }

    fn over(raw: Arc<RawQueue>, schema: Option<String>, structure: Option<String>) -> Self {
        ObjectQueue { bytes: Queue::over(raw, schema, structure), carries: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> Source for ObjectQueue<T, C> {
    type Message = T;

    fn get_next(&self) -> Result<T, GetError> {
        self.get()
    }
}

impl<'q, T: Serialize + DeserializeOwned, C: Codec> IntoIterator for &'q ObjectQueue<T, C> {
    type Item = Result<T, GetError>;
    type IntoIter = Iter<'q, ObjectQueue<T, C>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
