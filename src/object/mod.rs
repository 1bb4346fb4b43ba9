//! [`ObjectQueue`]: any serde type, encoded inside `put`, decoded inside `get`.
//!
//! ```text
//!   put(&T) --encode into a buffer on the stack, counting--> fits: put by copy
//!                         \--> does not: loan of that many bytes, encode into it, commit
//!   get()   --copy out--> decode, nothing left over
//! ```
//!
//! [`ObjectTopic`], for all subscribers, is in `topic/`; the codecs and the buffers are the same.
//!
//! Invariants:
//! 1. No code of the caller (`Serialize`, `Deserialize`) runs while a lock is held: it may panic,
//!    take long, or use the queue itself.
//! 2. Nothing is enqueued unless it was encoded whole: a loan whose encoding fails is dropped,
//!    which aborts it.
#![forbid(unsafe_code)]

mod ack_lease;
mod codec;
mod control;
mod decode;
mod detach;
mod encode;
mod endpoint;
mod get;
mod lease;
mod message_pack;
mod nesting;
mod put;
mod role;
mod topic;
mod with_id;

pub use ack_lease::ObjectAckLease;
pub use codec::{Codec, MessagePack, Postcard};
pub use endpoint::{ObjectConsumer, ObjectProducer};
pub(crate) use get::decode;
#[cfg(feature = "async")]
pub(crate) use get::receive_many;
pub use lease::ObjectLease;
pub use put::PutAs;
#[cfg(feature = "async")]
pub(crate) use put::{Encoded, encode_in_place};
pub use role::{ObjectReceiver, ObjectSender};
pub use topic::{ObjectPublisher, ObjectSubscriber, ObjectTopic};
#[cfg(feature = "async")]
pub(crate) use topic::{bytes_to_all, encode_to_all};

use crate::error::{CreateError, GetError, OpenError, PutError};
use crate::message::without_paths;
use crate::queue::Transit;
use crate::queue::sealed::Sealed;
use crate::queue::{Buildable, Delivering, Iter, MessageType, Queue, QueueBuilder, Source, reopen};
use crate::raw::{BY_LOCK, RawQueue};
use crate::shm::kind::Kind;
use crate::wait::{Stop, Wait};
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A [`Queue`] of objects: anything that is `Serialize + DeserializeOwned`, strings, collections,
/// enums and handles of queues included.
///
/// The same verbs and timeouts as [`Queue`], the same guarantees. A value is encoded inside `put`:
/// if that fails, `put` returns the error and nothing is enqueued; later changes of the value do
/// not change the message. A message that cannot be decoded, or leaves bytes over, is
/// [`GetError::Decode`] to the caller that takes it, by [`get`](Self::get) or by
/// [`lease`](Self::lease). The error has its bytes. The message is consumed, or put into the queue
/// for [dead letters](QueueBuilder::dead_letters), so later messages can be taken.
///
/// The codec `C` is [`MessagePack`] by default, which carries every type. [`Postcard`] is faster
/// and smaller and carries fewer. A queue is bounded in messages and in bytes, see
/// [`QueueBuilder::capacity_bytes`].
///
/// Handles of all queues are objects themselves: send one through another, as Python programs do
/// with `Manager().Queue()`.
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
    /// A handle of this queue whose waits end with `Interrupted` once `stop` is set. As
    /// [`Queue::with_stop`].
    ///
    /// ```
    /// let (queue, stop) = (shmq::ObjectQueue::<String>::new(4)?, shmq::Stop::new());
    /// stop.set();
    /// assert!(queue.with_stop(&stop).get().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> ObjectQueue<T, C> {
        ObjectQueue { bytes: self.bytes.with_stop(stop), carries: PhantomData }
    }

    /// For `wait_any`, which waits for several queues at once.
    pub(crate) fn bytes(&self) -> &Queue<[u8]> {
        &self.bytes
    }
}

/// The type name in the header of the segment.
fn type_name<T, C: Codec>() -> String {
    format!("{} as {}", without_paths(std::any::type_name::<T>()), C::NAME)
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectQueue<T, C> {
    /// Settings for a queue to be created or opened: see [`QueueBuilder`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::builder().capacity(3).create()?;
    /// assert_eq!(queue.capacity(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> QueueBuilder<Self> {
        QueueBuilder::new()
    }

    /// Creates an anonymous queue for exactly `capacity` messages that take no more than 1 MiB
    /// together (see [`QueueBuilder::capacity_bytes`]), for forked children and for handles that
    /// are sent.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<Vec<String>>::new(10)?;
    /// queue.put(&vec!["a".into(), "b".into()])?;
    /// assert_eq!(queue.get()?, ["a", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(capacity: usize) -> Result<Self, CreateError> {
        Self::builder().capacity(capacity).create()
    }

    /// Creates a named queue; otherwise as [`new`](Self::new) and [`Queue::create`].
    ///
    /// # Errors
    /// As [`Queue::create`].
    ///
    /// ```
    /// # let name = format!("doc-object-create-{}", std::process::id());
    /// let queue = shmq::ObjectQueue::<String>::create(&name, 10)?;
    /// shmq::ObjectQueue::<String>::open(&name)?.put("from another handle")?;
    /// assert_eq!(queue.get()?, "from another handle");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>, capacity: usize) -> Result<Self, CreateError> {
        Self::builder().name(name).capacity(capacity).create()
    }

    /// Opens the queue that another process created: with the same codec, and for a type of the
    /// same name. A dead one (no process is attached) is opened too: its messages are still there.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed. Does not wait for a queue to be created.
    ///
    /// ```
    /// # let name = format!("doc-object-open-{}", std::process::id());
    /// use shmq::{ObjectQueue, OpenError};
    ///
    /// let queue = ObjectQueue::<String>::create(&name, 10)?;
    /// assert!(matches!(ObjectQueue::<Vec<u8>>::open(&name), Err(OpenError::Mismatch { .. })));
    /// let same = ObjectQueue::<String>::open(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError> {
        Self::builder().name(name).open()
    }

    /// Like [`open`](Self::open), but waits for the queue to be created, for `timeout` at most and
    /// never less. For programs that start in any order, where one of them creates.
    ///
    /// It checks each 1 to 10 ms, and uses no processor time in between. A queue that is being made
    /// is not seen before it is complete; one whose creator was killed meanwhile is waited for like
    /// one that was never begun. Zero means one try; a timeout too long to add to now means for
    /// ever. A dead queue is there already: a creator that would replace it must come first.
    ///
    /// # Errors
    /// [`OpenError::Timeout`] if there was none all the time. What waiting does not mend (a queue
    /// of another type, no permission ..) is returned at once, as by [`open`](Self::open).
    ///
    /// ```
    /// # let name = format!("doc-object-open-timeout-{}", std::process::id());
    /// use std::time::Duration;
    ///
    /// let creator = std::thread::spawn({
    ///     let name = name.clone();
    ///     move || {
    ///         std::thread::sleep(Duration::from_millis(20));
    ///         shmq::ObjectQueue::<u32>::create(&name, 10)
    ///     }
    /// });
    /// let queue = shmq::ObjectQueue::<u32>::open_timeout(&name, Duration::from_secs(10))?;
    /// assert_eq!(queue.capacity(), 10);
    /// # drop(creator.join());
    /// let other = format!("{name}-other");
    /// let late = shmq::ObjectQueue::<u32>::open_timeout(&other, Duration::from_millis(5));
    /// assert!(late.unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_timeout(name: impl AsRef<str>, timeout: Duration) -> Result<Self, OpenError> {
        Self::builder().name(name).open_timeout(timeout)
    }

    /// Like [`open_timeout`](Self::open_timeout), until `deadline`. One in the past means one try.
    ///
    /// # Errors
    /// As [`open_timeout`](Self::open_timeout).
    ///
    /// ```
    /// # let name = format!("doc-object-open-deadline-{}", std::process::id());
    /// let late = shmq::ObjectQueue::<u32>::open_deadline(&name, std::time::Instant::now());
    /// assert!(late.unwrap_err().is_timeout());
    /// ```
    pub fn open_deadline(name: impl AsRef<str>, deadline: Instant) -> Result<Self, OpenError> {
        Self::builder().name(name).open_deadline(deadline)
    }

    /// Opens the queue of that name, or creates it. As [`Queue::open_or_create`].
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-object-either-{}", std::process::id());
    /// let first = shmq::ObjectQueue::<String>::open_or_create(&name, 10)?;
    /// let second = shmq::ObjectQueue::<String>::open_or_create(&name, 10)?; // of the same queue
    /// first.put("one")?;
    /// assert_eq!(second.get()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>, capacity: usize) -> Result<Self, CreateError> {
        Self::builder().name(name).capacity(capacity).open_or_create()
    }

    /// Takes the put side for one owner, which puts without a lock per message until the
    /// [`ObjectProducer`] is dropped. As [`Queue::producer`].
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

    /// Takes the get side for one owner, which gets without a lock per message until the
    /// [`ObjectConsumer`] is dropped. As [`Queue::consumer`].
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

    /// Gets values until the queue is closed and drained, waiting for each. Ends at `Closed`
    /// without yielding it. Other errors are items: [`Decode`](GetError::Decode) is followed by the
    /// messages behind it, any other is the last item, as of [`Queue::iter`].
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
    ///
    /// ```
    /// # let name = format!("doc-object-unlink-{}", std::process::id());
    /// use shmq::ObjectQueue;
    ///
    /// let queue = ObjectQueue::<String>::create(&name, 10)?;
    /// ObjectQueue::<String>::unlink(&name)?;
    /// assert!(ObjectQueue::<String>::open(&name).is_err());
    /// queue.put("as before, for the processes attached")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(name: impl AsRef<str>) -> Result<(), OpenError> {
        Queue::<[u8]>::unlink(name)
    }

    /// Keeps the segment, with the messages in it, when its last participant leaves or dies. As
    /// [`Queue::persist`].
    ///
    /// ```
    /// # let name = format!("doc-object-persist-{}", std::process::id());
    /// use shmq::ObjectQueue;
    ///
    /// let queue = ObjectQueue::<String>::create(&name, 10)?;
    /// queue.persist();
    /// queue.put("later")?;
    /// drop(queue);
    /// assert_eq!(ObjectQueue::<String>::open(&name)?.get()?, "later");
    /// ObjectQueue::<String>::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn persist(&self) {
        self.bytes.persist();
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
        self.bytes.sent().map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de, T, C: Codec> Deserialize<'de> for ObjectQueue<T, C> {
    /// Opens the queue, through the mapping that this process may have already. The error is that
    /// of [`ObjectQueue::open`], or `Replaced` if another queue has taken the name since.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, ticket) = <(String, u64, Option<String>, Transit)>::deserialize(deserializer)?;
        reopen(&address, nonce, schema, None, ticket).map_err(D::Error::custom)
    }
}

impl<T, C> Sealed for ObjectQueue<T, C> {}

impl<T, C: Codec> Delivering for ObjectQueue<T, C> {}

impl<T, C: Codec> Buildable for ObjectQueue<T, C> {
    fn message_type() -> MessageType {
        MessageType::encoded(Kind::Encoded, type_name::<T, C>())
    }

    fn over(raw: Arc<RawQueue>, schema: Option<String>, structure: Option<String>) -> Self {
        ObjectQueue { bytes: Queue::over(raw, schema, structure), carries: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> Source for ObjectQueue<T, C> {
    type Message = T;

    fn get_by(&self, wait: Wait) -> Result<T, GetError> {
        let raw = self.bytes.raw();
        get::receive::<BY_LOCK, T, C>(raw, raw.me_in_both_roles()?, wait)
    }

    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        self.bytes.awaited()
    }
}

impl<'q, T: Serialize + DeserializeOwned, C: Codec> IntoIterator for &'q ObjectQueue<T, C> {
    type Item = Result<T, GetError>;
    type IntoIter = Iter<'q, ObjectQueue<T, C>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
