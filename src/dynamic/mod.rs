//! Queues and topics whose messages' layout is known at run time: the same segments as those of
//! typed handles, by bytes.
//!
//! ```text
//!   MessageLayout --builder--> MessageType --> segment --open--> MessageLayout
//!   DynQueue: Queue<[u8]>, each verb by copy or in place through raw/in_bytes.rs
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `layout.rs` | [`MessageLayout`]: what a segment says of its messages |
//! | `mod.rs` | [`DynQueue`]: creating and opening |
//! | `verbs.rs` | its verbs |
//! | `vectored.rs` | putting and publishing messages of several pieces |
//! | `loan.rs` | [`DynLoan`]: a message that is written in place |
//! | `owned.rs` | loans that keep the segment attached, and leaving for certain |
//! | `endpoint.rs` | [`DynProducer`] and [`DynConsumer`] |
//! | `role.rs` | [`DynSender`] and [`DynReceiver`] |
//! | `control.rs` | counting, closing, recovering, joining |
//! | `sources.rs` | iterators, and handles that are sent or kept |
//! | `topic/` | [`DynTopic`], [`DynPublisher`], [`DynSubscriber`] |
//!
//! Invariant 1: the handle of bytes inside one of these is of a ring whose messages may be values.
//! None of its own verbs is called that moves a message, and it is never given out: what moves
//! messages is in `raw/in_bytes.rs`, which compares lengths with the ring's geometry. Guards of
//! bytes are given out: they have the length of their record, whatever the ring is.
#![forbid(unsafe_code)]

mod control;
mod endpoint;
mod layout;
mod loan;
mod owned;
mod role;
mod sources;
mod topic;
mod vectored;
mod verbs;

pub use endpoint::{DynConsumer, DynProducer};
pub use layout::{Form, LayoutField, MessageLayout};
pub use loan::DynLoan;
pub use role::{DynReceiver, DynSender};
pub use topic::{DynIntoSampleError, DynOwnedSample, DynPublisher, DynSubscriber, DynTopic, DynTopicLoan};

use crate::error::{CreateError, GetError, OpenError, PutError};
use crate::queue::sealed::Sealed;
use crate::queue::{Buildable, Delivering, MessageType, Queue, QueueBuilder};
use crate::raw::RawQueue;
use crate::shm::kind::Kind;
use crate::wait::Stop;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A queue whose messages' layout is known at run time: the same segment as a
/// [`Queue<T>`](crate::Queue)'s, a `Queue<[X]>`'s or an `ObjectQueue`'s, by bytes. For programs
/// that have no such type: other languages, bridges, recorders, tools.
///
/// All verbs do what those of [`Queue`](crate::Queue) do: the same order, delivery, recovery and
/// errors. A message is the bytes of a value, of whole elements, or of one encoded object.
/// **Lengths are in bytes.** Typed processes and such ones use one queue together. The
/// [`layout`](Self::layout) says what the bytes are.
///
/// **What is put is not checked** beyond its length: bits that are no value of the peer's type (a
/// `bool` of 2) are [`GetError::Invalid`] there. What is got here is not checked at all: it may be
/// such bits.
///
#[cfg_attr(feature = "derive", doc = "```")]
#[cfg_attr(not(feature = "derive"), doc = "```ignore")]
/// use shmq::{DynQueue, Queue};
///
/// #[shmq::message]
/// struct Tick { price: f64, volume: u64 }
///
/// let typed = Queue::<Tick>::new(8)?;
/// typed.put(&Tick { price: 9.5, volume: 3 })?;
/// // In a program that never saw the struct:
/// let bytes = DynQueue::open(typed.name())?;
/// assert_eq!(bytes.layout().structure_text(), Some("{price@0: f64, volume@8: u64}"));
/// let tick = bytes.get()?;
/// let volume = &bytes.layout().fields()[1];
/// assert_eq!(tick[volume.offset..][..volume.size], 3u64.to_ne_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DynQueue {
    bytes: Queue<[u8]>,
    layout: Arc<MessageLayout>,
}

impl DynQueue {
    /// Settings for a queue to be created or opened: see [`QueueBuilder`]. With a layout,
    /// `create`, `open` and `open_or_create` do what they do for a `Queue<T>` of that layout. With
    /// `None`, `open` opens whatever queue it is, and reads the layout from the segment.
    ///
    /// A schema or a structure that the builder is given counts in place of the layout's.
    ///
    /// ```
    /// use shmq::{DynQueue, MessageLayout};
    ///
    /// let queue = DynQueue::builder(MessageLayout::value(8, 8)?).capacity(10).max_deliveries(3).create()?;
    /// let same = DynQueue::builder(None).name(queue.name()).open()?;
    /// assert_eq!(same.layout(), queue.layout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(layout: impl Into<Option<MessageLayout>>) -> QueueBuilder<DynQueue> {
        let builder = QueueBuilder::new();
        match layout.into() {
            Some(layout) => layout.set(builder, false),
            None => builder,
        }
    }

    /// Creates a named queue for `capacity` messages, as [`Queue::create`](crate::Queue::create);
    /// of slices and encoded objects, with a ring of 1 MiB.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-dyn-create-{}", std::process::id());
    /// use shmq::{DynQueue, MessageLayout, Queue};
    ///
    /// let queue = DynQueue::create(&name, MessageLayout::of::<u32>(), 100)?;
    /// Queue::<u32>::open(&name)?.put(&7)?;
    /// assert_eq!(queue.get()?, 7u32.to_ne_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>, layout: MessageLayout, capacity: usize) -> Result<DynQueue, CreateError> {
        DynQueue::builder(layout).name(name).capacity(capacity).create()
    }

    /// Creates an anonymous queue, as [`Queue::new`](crate::Queue::new).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(2, 1)?, 4)?;
    /// queue.put(b"hi")?;
    /// assert_eq!(queue.get()?, b"hi");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(layout: MessageLayout, capacity: usize) -> Result<DynQueue, CreateError> {
        DynQueue::builder(layout).capacity(capacity).create()
    }

    /// Opens the queue of that name, or creates it, as
    /// [`Queue::open_or_create`](crate::Queue::open_or_create).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-dyn-either-{}", std::process::id());
    /// use shmq::{DynQueue, MessageLayout};
    ///
    /// let first = DynQueue::open_or_create(&name, MessageLayout::of::<u32>(), 100)?;
    /// let second = DynQueue::open_or_create(&name, MessageLayout::of::<u32>(), 7)?; // of the same queue
    /// assert_eq!(second.capacity(), 100);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>, layout: MessageLayout, capacity: usize) -> Result<DynQueue, CreateError> {
        DynQueue::builder(layout).name(name).capacity(capacity).open_or_create()
    }

    /// Opens the queue that another process created, whatever its messages are: of values, slices
    /// or encoded objects. The [`layout`](Self::layout) is read from the segment.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed. A topic or a primitive is a
    /// [`Mismatch`](OpenError::Mismatch).
    ///
    /// ```
    /// # let name = format!("doc-dyn-open-{}", std::process::id());
    /// let queue = shmq::Queue::<u32>::create(&name, 10)?;
    /// let bytes = shmq::DynQueue::open(&name)?;
    /// assert_eq!((bytes.layout().size(), bytes.layout().structure_text()), (4, Some("u32")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(name: impl AsRef<str>) -> Result<DynQueue, OpenError> {
        DynQueue::builder(None).name(name).open()
    }

    /// Opens a queue whose messages are of that layout, which is compared as the type of a
    /// [`Queue::open`](crate::Queue::open) is; a name, a schema or a structure that the layout
    /// leaves out is not compared.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed. [`Mismatch`](OpenError::Mismatch) says both layouts in
    /// words, and where their structures differ first.
    ///
    /// ```
    /// use shmq::{DynQueue, MessageLayout, Queue};
    ///
    /// let queue = Queue::<u64>::new(10)?;
    /// assert!(DynQueue::open_as(queue.name(), MessageLayout::value(8, 8)?).is_ok());
    /// let refused = DynQueue::open_as(queue.name(), MessageLayout::value(8, 8)?.structure("f64")?);
    /// assert!(refused.unwrap_err().to_string().contains("f64"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_as(name: impl AsRef<str>, layout: MessageLayout) -> Result<DynQueue, OpenError> {
        DynQueue::builder(layout).name(name).open()
    }

    /// Like [`open`](Self::open), but waits for the queue to be created, for `timeout` at most. As
    /// [`Queue::open_timeout`](crate::Queue::open_timeout).
    ///
    /// # Errors
    /// [`OpenError::Timeout`] if there was none all the time; otherwise as [`open`](Self::open).
    ///
    /// ```
    /// # let name = format!("doc-dyn-timeout-{}", std::process::id());
    /// let late = shmq::DynQueue::open_timeout(&name, std::time::Duration::from_millis(5));
    /// assert!(late.unwrap_err().is_timeout());
    /// ```
    pub fn open_timeout(name: impl AsRef<str>, timeout: Duration) -> Result<DynQueue, OpenError> {
        DynQueue::builder(None).name(name).open_timeout(timeout)
    }

    /// Like [`open_timeout`](Self::open_timeout), until `deadline`.
    ///
    /// # Errors
    /// As [`open_timeout`](Self::open_timeout).
    ///
    /// ```
    /// # let name = format!("doc-dyn-deadline-{}", std::process::id());
    /// let late = shmq::DynQueue::open_deadline(&name, std::time::Instant::now());
    /// assert!(late.unwrap_err().is_timeout());
    /// ```
    pub fn open_deadline(name: impl AsRef<str>, deadline: Instant) -> Result<DynQueue, OpenError> {
        DynQueue::builder(None).name(name).open_deadline(deadline)
    }

    /// Removes a name. As [`Queue::unlink`](crate::Queue::unlink).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// # let name = format!("doc-dyn-unlink-{}", std::process::id());
    /// let queue = shmq::DynQueue::create(&name, shmq::MessageLayout::of::<u8>(), 10)?;
    /// shmq::DynQueue::unlink(&name)?;
    /// assert!(!queue.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(name: impl AsRef<str>) -> Result<(), OpenError> {
        Queue::<[u8]>::unlink(name)
    }

    /// What the messages are, as the segment says.
    ///
    /// ```
    /// let queue = shmq::Queue::<[f32]>::builder().capacity_bytes(4096).schema("samples/1").create()?;
    /// let bytes = shmq::DynQueue::open(queue.name())?;
    /// assert_eq!((bytes.layout().form(), bytes.layout().size()), (shmq::Form::Slice, 4));
    /// assert_eq!(bytes.layout().schema_text(), Some("samples/1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn layout(&self) -> &MessageLayout {
        &self.layout
    }

    /// A handle of this queue whose waits end with `Interrupted` once `stop` is set. As
    /// [`Queue::with_stop`](crate::Queue::with_stop).
    ///
    /// ```
    /// use shmq::{DynQueue, GetError, MessageLayout, Stop};
    ///
    /// let (queue, stop) = (DynQueue::new(MessageLayout::of::<u64>(), 4)?, Stop::new());
    /// stop.set();
    /// assert!(matches!(queue.with_stop(&stop).get(), Err(GetError::Interrupted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> DynQueue {
        DynQueue { bytes: self.bytes.with_stop(stop), layout: Arc::clone(&self.layout) }
    }

    /// Takes the put side for one owner, as [`Queue::producer`](crate::Queue::producer).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let producer = queue.producer()?;
    /// producer.put(&[0; 8])?;
    /// assert!(matches!(queue.put(&[0; 8]), Err(shmq::PutError::Held { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer(&self) -> Result<DynProducer, PutError> {
        Ok(DynProducer::over(self.bytes.producer()?, Arc::clone(&self.layout)))
    }

    /// Takes the get side for one owner, as [`Queue::consumer`](crate::Queue::consumer).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let consumer = queue.consumer()?;
    /// queue.put(&[1; 8])?;
    /// assert_eq!(consumer.get()?, [1; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer(&self) -> Result<DynConsumer, GetError> {
        Ok(DynConsumer::over(self.bytes.consumer()?, Arc::clone(&self.layout)))
    }

    /// A handle that only puts, as [`Queue::sender`](crate::Queue::sender).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.sender().put(&[1; 8])?;
    /// assert_eq!(queue.get()?, [1; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sender(&self) -> DynSender {
        DynSender::over(self.bytes.sender(), Arc::clone(&self.layout))
    }

    /// A handle that only gets, as [`Queue::receiver`](crate::Queue::receiver).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.put(&[1; 8])?;
    /// assert_eq!(queue.receiver().get()?, [1; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receiver(&self) -> DynReceiver {
        DynReceiver::over(self.bytes.receiver(), Arc::clone(&self.layout))
    }

    pub(crate) fn raw(&self) -> &Arc<RawQueue> {
        self.bytes.raw()
    }

    /// For waits, which move no message (Invariant 1).
    pub(crate) fn bytes(&self) -> &Queue<[u8]> {
        &self.bytes
    }
}

impl Sealed for DynQueue {}

impl Delivering for DynQueue {}

impl Buildable for DynQueue {
    fn message_type() -> MessageType {
        MessageType::any(Kind::Sized)
    }

    fn over(raw: Arc<RawQueue>, schema: Option<String>, structure: Option<String>) -> DynQueue {
        let layout = Arc::new(MessageLayout::of_segment(raw.segment()));
        DynQueue { bytes: Queue::over(raw, schema, structure), layout }
    }
}

impl Clone for DynQueue {
    /// Another handle of the same attachment. Cheap.
    fn clone(&self) -> Self {
        DynQueue { bytes: self.bytes.clone(), layout: Arc::clone(&self.layout) }
    }
}

impl fmt::Debug for DynQueue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DynQueue").field("raw", self.raw()).field("layout", &self.layout).finish()
    }
}
