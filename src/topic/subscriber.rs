//! [`Subscriber`]: every message of a topic, one after the other.

use super::Sample;
use super::by_form::{Latest, Next};
use crate::error::{GetError, SubscriberId};
use crate::message::{Message, Plain, Travel, Way, assert_plain};
use crate::queue::Source;
use crate::queue::sealed::Sealed;
use crate::raw::{InPlaceRecord, RawQueue, RawSubscriber};
use crate::wait::{Stop, Wait, blocking_forms};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Every message of a topic, read at a place of its own.
///
/// Made by [`Topic::subscribe`](crate::Topic::subscribe) (gating: it misses nothing, and publishers
/// wait for it) and [`Topic::subscribe_lossy`](crate::Topic::subscribe_lossy). It can be sent to
/// another thread, not shared. Dropping it ends it. Inherited across `fork` it belongs to the
/// parent: every verb returns [`GetError::Inherited`].
///
/// Each message is received once, or missed: [`received`](Subscriber::received) and
/// [`missed`](Subscriber::missed) add up to what was published since its first message, less its
/// [`lag`](Subscriber::lag). A gating subscriber misses only loans that were aborted, which are
/// no messages, and what [`latest`](Subscriber::latest) skips.
///
/// ```
/// let topic = shmq::Topic::<u64>::new(8)?;
/// let subscriber = topic.subscribe()?;
/// topic.publish_slice(&[1, 2, 3])?;
/// topic.close();
/// let all: Result<Vec<u64>, _> = subscriber.into_iter().collect();
/// assert_eq!(all?, [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subscriber<T: ?Sized> {
    /// Not `Sync`, which keeps it to one thread at a time.
    raw: RawSubscriber,
    reads: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized> Subscriber<T> {
    pub(super) fn over(raw: RawSubscriber) -> Subscriber<T> {
        Subscriber { raw, reads: PhantomData }
    }

    pub(crate) fn raw(&self) -> &RawSubscriber {
        &self.raw
    }

    /// The same subscriber, whose waits end with [`GetError::Interrupted`] once `stop` is set.
    ///
    /// ```
    /// let (topic, stop) = (shmq::Topic::<u64>::new(1)?, shmq::Stop::new());
    /// let subscriber = topic.subscribe()?.with_stop(&stop);
    /// stop.set();
    /// assert!(subscriber.next().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropping ends the subscriber"]
    pub fn with_stop(self, stop: &Stop) -> Self {
        let raw = self.raw.raw().with_stop(stop);
        Subscriber::over(self.raw.with_raw(raw))
    }

    /// Which one it is.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(1)?;
    /// let subscriber = topic.subscribe()?;
    /// assert!(topic.evict(subscriber.id())?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> SubscriberId {
        self.raw.id()
    }

    /// Does it gate, as far as it knows? A gating one learns that it was evicted by
    /// [`GetError::Evicted`].
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(1)?;
    /// assert!(topic.subscribe()?.is_gating() && !topic.subscribe_lossy()?.is_gating());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_gating(&self) -> bool {
        self.raw.is_gating()
    }

    /// Places that were published and that it has not passed: its backlog.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let subscriber = topic.subscribe()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// subscriber.next()?;
    /// assert_eq!(subscriber.lag(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lag(&self) -> u64 {
        self.raw.lag()
    }

    /// Places that it passed without a message: lapped, skipped by [`latest`](Subscriber::latest),
    /// or loans that were aborted.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let live = topic.subscribe_lossy()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// assert_eq!((live.latest()?, live.missed()), (3, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn missed(&self) -> u64 {
        self.raw.missed()
    }

    /// Messages that it received.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let subscriber = topic.subscribe()?;
    /// topic.publish(&1)?;
    /// subscriber.next()?;
    /// assert_eq!(subscriber.received(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn received(&self) -> u64 {
        self.raw.received()
    }
}

impl<T: ?Sized + Message> Subscriber<T> {
    blocking_forms! {
        /// The next message, by copy; waits for it.
        ///
        /// # Errors
        /// [`Lagged`](GetError::Lagged) once if it was lapped, [`Evicted`](GetError::Evicted) once
        /// if it was evicted: the next call goes on. [`Closed`](GetError::Closed) at the end.
        ///
        /// ```
        /// let topic = shmq::Topic::<u64>::new(4)?;
        /// let subscriber = topic.subscribe()?;
        /// topic.publish(&1)?;
        /// assert_eq!(subscriber.next()?, 1);
        /// assert!(subscriber.try_next().unwrap_err().is_empty());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        next, try_next, next_timeout, next_deadline, none: "Empty",
        |self, wait| -> Result<T::Owned, GetError> { T::Way::visit(Next(&self.raw, wait)) }
    }

    /// The newest message that it has not received, by copy, at once. Those before it are missed.
    ///
    /// # Errors
    /// `Empty` if there is no newer one than it received, `Closed` if there will be none; otherwise
    /// as [`next`](Subscriber::next), but it never lags.
    ///
    /// ```
    /// let topic = shmq::Topic::<f64>::new(4)?;
    /// let screen = topic.subscribe_lossy()?;
    /// topic.publish_slice(&[1.0, 1.5, 1.25])?;
    /// assert_eq!(screen.latest()?, 1.25);
    /// assert!(screen.latest().unwrap_err().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn latest(&self) -> Result<T::Owned, GetError> {
        T::Way::visit(Latest(&self.raw))
    }
}

impl<T: Message> Subscriber<T> {
    blocking_forms! {
        /// Up to `v.len()` messages, at least one; waits for the first. Returns how many. What `v`
        /// holds behind them is unspecified.
        ///
        /// # Errors
        /// As [`next`](Subscriber::next), if there are none before it.
        ///
        /// ```
        /// let topic = shmq::Topic::<u64>::new(8)?;
        /// let subscriber = topic.subscribe()?;
        /// topic.publish_slice(&[1, 2, 3])?;
        /// let mut some = [0; 2];
        /// assert_eq!((subscriber.next_slice(&mut some)?, some), (2, [1, 2]));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        next_slice, try_next_slice, next_slice_timeout, next_slice_deadline, none: "Empty",
        |self, wait, v: &mut [T]| -> Result<usize, GetError> { self.raw.next_values(v, wait) }
    }

    blocking_forms! {
        /// The next message in a box: a large one is nowhere on the stack on its way.
        ///
        /// # Errors
        /// As [`next`](Subscriber::next).
        ///
        /// ```
        /// let topic = shmq::Topic::<[u8; 1 << 20]>::new(2)?;
        /// let subscriber = topic.subscribe()?;
        /// topic.loan()?.commit()?;
        /// assert_eq!(subscriber.next_boxed()?.len(), 1 << 20);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        next_boxed, try_next_boxed, next_boxed_timeout, next_boxed_deadline, none: "Empty",
        |self, wait| -> Result<Box<T>, GetError> { self.raw.next_boxed::<T>(wait) }
    }

    /// [`latest`](Subscriber::latest) in a box: a large message is nowhere on the stack on its way.
    ///
    /// # Errors
    /// As [`latest`](Subscriber::latest).
    ///
    /// ```
    /// let topic = shmq::Topic::<[u8; 1 << 20]>::new(2)?;
    /// let screen = topic.subscribe_lossy()?;
    /// topic.publish(&[7; 1 << 20])?;
    /// assert_eq!(screen.latest_boxed()?[0], 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn latest_boxed(&self) -> Result<Box<T>, GetError> {
        self.raw.latest_boxed::<T>()
    }

    blocking_forms! {
        /// The next message, read in place by a gating subscriber; waits for it. It is passed when
        /// the [`Sample`] is dropped.
        ///
        /// # Errors
        /// As [`next`](Subscriber::next), and [`NotGating`](GetError::NotGating).
        ///
        /// ```
        /// let topic = shmq::Topic::<[u64; 512]>::new(4)?;
        /// let mut every = topic.subscribe()?;
        /// topic.publish(&[3; 512])?;
        /// assert_eq!(every.read()?.iter().sum::<u64>(), 1536);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        read, try_read, read_timeout, read_deadline, none: "Empty",
        |&mut self, wait| -> Result<Sample<'_, T>, GetError> [where T: Plain] {
            let record = self.raw.pin_next(wait)?;
            self.sample_of(record)
        }
    }
}

impl<X: Plain> Subscriber<[X]> {
    blocking_forms! {
        /// The next message into the caller's buffer; waits for it. Returns its number of elements.
        /// What the buffer holds behind them is unspecified.
        ///
        /// # Errors
        /// [`TooSmall`](GetError::TooSmall), which leaves the message; otherwise as
        /// [`next`](Subscriber::next).
        ///
        /// ```
        /// let topic = shmq::Topic::<[u8]>::builder().capacity_bytes(4096).create()?;
        /// let subscriber = topic.subscribe()?;
        /// topic.publish(b"abc".as_slice())?;
        /// let mut buffer = [0; 16];
        /// assert_eq!((subscriber.next_into(&mut buffer)?, &buffer[..3]), (3, &b"abc"[..]));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        next_into, try_next_into, next_into_timeout, next_into_deadline, none: "Empty",
        |self, wait, buffer: &mut [X]| -> Result<usize, GetError> { self.raw.next_into(buffer, wait) }
    }

    blocking_forms! {
        /// The next message, read in place by a gating subscriber; waits for it. It is passed when
        /// the [`Sample`] is dropped.
        ///
        /// # Errors
        /// As [`next`](Subscriber::next), and [`NotGating`](GetError::NotGating).
        ///
        /// ```
        /// let topic = shmq::Topic::<[f32]>::builder().capacity_bytes(4096).create()?;
        /// let mut every = topic.subscribe()?;
        /// topic.publish([0.5, 1.5].as_slice())?;
        /// assert_eq!(every.read()?.len(), 2);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        read, try_read, read_timeout, read_deadline, none: "Empty",
        |&mut self, wait| -> Result<Sample<'_, [X]>, GetError> {
            let record = self.raw.pin_next(wait)?;
            self.sample_of(record)
        }
    }
}

impl<T: ?Sized + Plain> Subscriber<T> {
    /// The sample of a record that was pinned just now.
    pub(crate) fn sample_of(&mut self, record: InPlaceRecord) -> Result<Sample<'_, T>, GetError> {
        let message = self.message_of(&record)?;
        Ok(Sample::new(self, record, message))
    }

    /// The message of a record that was pinned just now. If it is none, the record is passed.
    pub(super) fn message_of(&self, record: &InPlaceRecord) -> Result<*const T, GetError> {
        const { assert_plain::<T>() };
        if !T::IS_SIZED && record.length % T::LAYOUT.bytes != 0 {
            self.raw.unpin(record);
            return Err(GetError::Corrupted);
        }
        Ok(T::pointer(record.payload.cast_mut(), record.length))
    }
}

impl<T: ?Sized> Sealed for Subscriber<T> {}

impl<T: ?Sized + Message> Source for Subscriber<T> {
    type Message = T::Owned;

    #[inline]
    fn get_by(&self, wait: Wait) -> Result<T::Owned, GetError> {
        T::Way::visit(Next(&self.raw, wait))
    }

    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.raw.raw(), false)
    }

    fn subscriber(&self) -> Option<&RawSubscriber> {
        Some(&self.raw)
    }
}

impl<T: ?Sized> fmt::Debug for Subscriber<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Subscriber").field(&self.raw).finish()
    }
}
