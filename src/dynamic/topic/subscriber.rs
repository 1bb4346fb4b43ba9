//! [`DynSubscriber`]: every message of a topic, one after the other, as bytes.

use crate::dynamic::MessageLayout;
use crate::error::{GetError, SubscriberId};
use crate::queue::sealed::Sealed;
use crate::queue::{Iter, Source};
use crate::raw::{RawQueue, RawSubscriber};
use crate::topic::{Sample, Subscriber};
use crate::wait::{Stop, Wait, blocking_forms};
use std::fmt;
use std::sync::Arc;

/// A subscriber of a [`DynTopic`](crate::DynTopic): each message of it, as bytes. As a
/// [`Subscriber`](crate::Subscriber), gating or lossy. Made by
/// [`DynTopic::subscribe`](crate::DynTopic::subscribe) and its kin; dropping it ends it.
///
/// ```
/// let topic = shmq::DynTopic::new(shmq::MessageLayout::value(2, 1)?, 8)?;
/// let (one, other) = (topic.subscribe()?, topic.subscribe()?);
/// topic.publish(b"hi")?;
/// assert_eq!((one.next()?, other.next()?), (b"hi".to_vec(), b"hi".to_vec()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DynSubscriber {
    bytes: Subscriber<[u8]>,
    layout: Arc<MessageLayout>,
}

impl DynSubscriber {
    pub(in crate::dynamic) fn bytes(&self) -> &Subscriber<[u8]> {
        &self.bytes
    }

    pub(super) fn over(bytes: Subscriber<[u8]>, layout: Arc<MessageLayout>) -> DynSubscriber {
        DynSubscriber { bytes, layout }
    }

    pub(super) fn into_parts(self) -> (Subscriber<[u8]>, Arc<MessageLayout>) {
        (self.bytes, self.layout)
    }

    pub(crate) fn raw(&self) -> &RawSubscriber {
        self.bytes.raw()
    }

    /// What the messages are, as the segment says.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// assert_eq!(every.layout(), topic.layout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn layout(&self) -> &MessageLayout {
        &self.layout
    }

    blocking_forms! {
        /// The next message; waits until there is one. As
        /// [`Subscriber::next`](crate::Subscriber::next); the bits are not checked to be a value of the
        /// peer's type.
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
        /// let every = topic.subscribe()?;
        /// topic.publish(&[7; 8])?;
        /// assert_eq!(every.next()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        next, try_next, next_timeout, next_deadline, none: "Empty",
        |self, wait| -> Result<Vec<u8>, GetError> {
            self.raw().next_bytes_vec(wait)
        }
    }

    blocking_forms! {
        /// The next message, copied into `buffer`; waits until there is one. Returns its length. As
        /// [`Subscriber::next_into`](crate::Subscriber::next_into).
        ///
        /// # Errors
        /// As there; [`GetError::TooSmall`] leaves the message.
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
        /// let every = topic.subscribe()?;
        /// topic.publish(&[7; 8])?;
        /// let mut buffer = [0; 8];
        /// assert_eq!(every.next_into(&mut buffer)?, 8);
        /// assert_eq!(buffer, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        next_into, try_next_into, next_into_timeout, next_into_deadline, none: "Empty",
        |self, wait, buffer: &mut [u8]| -> Result<usize, GetError> {
            self.raw().next_bytes_into(buffer, wait)
        }
    }

    blocking_forms! {
        /// As many values as there are and have room in `buffer`, one after the other; waits until there
        /// is one. Returns how many. As [`Subscriber::next_slice`](crate::Subscriber::next_slice).
        ///
        /// # Errors
        /// As [`next`](Self::next). [`GetError::TooSmall`] if not even one has room;
        /// [`GetError::NotOfOneSize`] if messages are slices or encoded objects.
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
        /// let every = topic.subscribe()?;
        /// topic.publish_slice(&[7; 16])?;
        /// let mut buffer = [0; 100];
        /// assert_eq!(every.next_slice(&mut buffer)?, 2);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        next_slice, try_next_slice, next_slice_timeout, next_slice_deadline, none: "Empty",
        |self, wait, buffer: &mut [u8]| -> Result<usize, GetError> {
            self.raw().next_row(buffer, wait)
        }
    }

    /// The newest message that it has not passed, at once; what lies before it is missed. As
    /// [`Subscriber::latest`](crate::Subscriber::latest).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// topic.publish_slice(&[1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2])?;
    /// assert_eq!((every.latest()?, every.missed()), (vec![2; 8], 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn latest(&self) -> Result<Vec<u8>, GetError> {
        self.raw().latest_bytes_vec()
    }

    blocking_forms! {
        /// Reads one message in place; waits until there is one. As
        /// [`Subscriber::read`](crate::Subscriber::read).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
        /// let mut every = topic.subscribe()?;
        /// topic.publish(&[7; 8])?;
        /// assert_eq!(*every.read()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        read, try_read, read_timeout, read_deadline, none: "Empty",
        |&mut self, wait| -> Result<Sample<'_, [u8]>, GetError> {
            let record = self.raw().pin_next(wait)?;
            self.bytes.sample_of(record)
        }
    }

    /// The same subscriber, whose waits end with [`GetError::Interrupted`] once `stop` is set. As
    /// [`Subscriber::with_stop`](crate::Subscriber::with_stop).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// let stop = shmq::Stop::new();
    /// stop.set();
    /// assert!(every.with_stop(&stop).next().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropping ends the subscriber"]
    pub fn with_stop(self, stop: &Stop) -> DynSubscriber {
        DynSubscriber { bytes: self.bytes.with_stop(stop), layout: self.layout }
    }

    /// Was it made by the parent process, before a fork? Then it is the parent's, and its verbs return
    /// [`GetError::Inherited`].
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// assert!(!topic.subscribe()?.is_inherited());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_inherited(&self) -> bool {
        self.raw().is_inherited()
    }

    /// Which subscriber of the topic it is.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// assert_eq!(topic.subscribers()[0].id, every.id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> SubscriberId {
        self.bytes.id()
    }

    /// Do publishers wait for it?
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// assert!(every.is_gating());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_gating(&self) -> bool {
        self.bytes.is_gating()
    }

    /// Messages that were published and that it has not passed. As
    /// [`Subscriber::lag`](crate::Subscriber::lag).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// topic.publish(&[7; 8])?;
    /// assert_eq!(every.lag(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lag(&self) -> u64 {
        self.bytes.lag()
    }

    /// Messages that it passed without reading them. As
    /// [`Subscriber::missed`](crate::Subscriber::missed).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// assert_eq!(every.missed(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn missed(&self) -> u64 {
        self.bytes.missed()
    }

    /// Messages that it read.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// topic.publish(&[7; 8])?;
    /// every.next()?;
    /// assert_eq!(every.received(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn received(&self) -> u64 {
        self.bytes.received()
    }

    /// Reads until the topic is closed; waits for each message. As
    /// [`Subscriber::iter`](crate::Subscriber::iter).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// topic.publish_slice(&[7; 16])?;
    /// topic.close();
    /// assert_eq!(every.iter().count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, DynSubscriber> {
        Iter::new(self)
    }
}

impl Sealed for DynSubscriber {}

impl Source for DynSubscriber {
    type Message = Vec<u8>;

    #[inline]
    fn get_by(&self, wait: Wait) -> Result<Vec<u8>, GetError> {
        self.raw().next_bytes_vec(wait)
    }

    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        self.bytes.awaited()
    }

    fn subscriber(&self) -> Option<&RawSubscriber> {
        Some(self.raw())
    }
}

impl<'s> IntoIterator for &'s DynSubscriber {
    type Item = Result<Vec<u8>, GetError>;
    type IntoIter = Iter<'s, DynSubscriber>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for DynSubscriber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DynSubscriber").field("raw", self.raw()).field("layout", &self.layout).finish()
    }
}
