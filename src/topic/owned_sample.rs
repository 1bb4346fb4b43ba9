//! A message of a topic that is read in place, and that has its subscriber.

use super::Subscriber;
use crate::error::GetError;
use crate::message::{Message, Plain};
use crate::os::Deadline;
use crate::raw::InPlaceRecord;
use crate::wait::Wait;
use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::time::{Duration, Instant};

/// Dropping it passes the message and ends its subscriber; [`into_subscriber`](Self::into_subscriber)
/// passes the message and gives the subscriber back. A [`Sample`](super::Sample) that borrows
/// nothing: made by [`Subscriber::into_sample`], for structs that hold one, and for other threads.
///
/// In everything else as a `Sample`: publishers wait for it when it is a whole capacity behind, an
/// eviction leaves it in place, the death of its process frees it. Inherited across `fork` it
/// belongs to the parent: `Deref` panics, dropping it touches nothing. `mem::forget` of it keeps its
/// message and its subscriber until the process ends.
///
/// ```
/// let topic = shmq::Topic::<[f32; 256]>::new(4)?;
/// let subscriber = topic.subscribe()?;
/// topic.publish(&[0.5; 256])?;
/// topic.publish(&[1.5; 256])?;
/// let frame = subscriber.into_sample()?;
/// let (sum, subscriber) = std::thread::spawn(move || (frame.iter().sum::<f32>(), frame.into_subscriber())).join().unwrap();
/// assert_eq!((sum, subscriber.next()?[0]), (128.0, 1.5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping passes the message and ends the subscriber"]
pub struct OwnedSample<T: ?Sized + Plain> {
    /// `None` once it was given back.
    subscriber: Option<Subscriber<T>>,
    record: InPlaceRecord,
    message: *const T,
}

// SAFETY: its subscriber may be sent, and it reads its message as a shared reference does.
unsafe impl<T: ?Sized + Plain + Sync> Send for OwnedSample<T> {}

impl<T: ?Sized + Plain> OwnedSample<T> {
    /// Passes the message, and gives the subscriber back, to go on behind it.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let mut subscriber = topic.subscribe()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// for expected in 1..=3 {
    ///     let sample = subscriber.into_sample()?;
    ///     assert_eq!(*sample, expected);
    ///     subscriber = sample.into_subscriber();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_subscriber(mut self) -> Subscriber<T> {
        self.pass().expect("it is there until it is given back")
    }

    fn pass(&mut self) -> Option<Subscriber<T>> {
        let subscriber = self.subscriber.take()?;
        subscriber.raw().unpin(&self.record);
        Some(subscriber)
    }
}

impl<T: ?Sized + Plain> Deref for OwnedSample<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        let is_ours = self.subscriber.as_ref().is_some_and(|subscriber| !subscriber.raw().is_inherited());
        assert!(is_ours, "this sample belongs to the parent process: subscribe again after fork");
        // SAFETY: the record is pinned until the sample is dropped (ring topic, Invariants 5 and
        // 6), and this is not a forked child (asserted). Any bits are a T (Plain).
        unsafe { &*self.message }
    }
}

impl<T: ?Sized + Plain> Drop for OwnedSample<T> {
    fn drop(&mut self) {
        drop(self.pass());
    }
}

impl<T: ?Sized + Plain> fmt::Debug for OwnedSample<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OwnedSample").field("record", &self.record).finish_non_exhaustive()
    }
}

/// A subscriber that has no sample, and why. Nothing was passed. Dropping the error ends the
/// subscriber.
///
/// ```
/// let topic = shmq::Topic::<u64>::new(4)?;
/// let refused = topic.subscribe()?.try_into_sample().unwrap_err();
/// assert!(refused.error().is_empty());
/// let subscriber = refused.into_subscriber();
/// topic.publish(&1)?;
/// assert_eq!(subscriber.next()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it ends the subscriber"]
pub struct IntoSampleError<T: ?Sized>(Box<(Subscriber<T>, GetError)>);

impl<T: ?Sized> IntoSampleError<T> {
    /// Why there is no sample.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let lossy = topic.subscribe_lossy()?;
    /// topic.publish(&1)?;
    /// assert!(matches!(lossy.into_sample().unwrap_err().error(), shmq::GetError::NotGating));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn error(&self) -> &GetError {
        &self.0.1
    }

    /// The subscriber, which is where it was.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let subscriber = topic.subscribe()?.try_into_sample().unwrap_err().into_subscriber();
    /// assert_eq!(subscriber.received(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_subscriber(self) -> Subscriber<T> {
        self.0.0
    }

    pub(crate) fn into_parts(self) -> (Subscriber<T>, GetError) {
        *self.0
    }
}

impl<T: ?Sized> fmt::Debug for IntoSampleError<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("IntoSampleError").field("error", self.error()).finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Display for IntoSampleError<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("no message was read in place")
    }
}

impl<T: ?Sized> Error for IntoSampleError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.error())
    }
}

impl<T: ?Sized + Message + Plain> Subscriber<T> {
    pub(crate) fn into_sample_by(self, wait: Wait) -> Result<OwnedSample<T>, IntoSampleError<T>> {
        let pinned = self.raw().pin_next(wait).and_then(|record| Ok((self.message_of(&record)?, record)));
        match pinned {
            Ok((message, record)) => Ok(OwnedSample { subscriber: Some(self), record, message }),
            Err(error) => Err(IntoSampleError(Box::new((self, error)))),
        }
    }

    /// The next message, in place, by a sample that has this subscriber and gives it back:
    /// [`OwnedSample::into_subscriber`]. Waits for the message. Otherwise as
    /// [`read`](Subscriber::read).
    ///
    /// # Errors
    /// [`IntoSampleError`], with the subscriber, for the reasons of [`read`](Subscriber::read).
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let subscriber = topic.subscribe()?;
    /// topic.publish(&7)?;
    /// let sample: shmq::OwnedSample<u64> = subscriber.into_sample()?;
    /// assert_eq!(*sample, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_sample(self) -> Result<OwnedSample<T>, IntoSampleError<T>> {
        self.into_sample_by(Wait::FOREVER)
    }

    /// Like [`into_sample`](Self::into_sample) without waiting: `Empty` at once.
    ///
    /// # Errors
    /// As there.
    pub fn try_into_sample(self) -> Result<OwnedSample<T>, IntoSampleError<T>> {
        self.into_sample_by(Wait::Never)
    }

    /// Like [`into_sample`](Self::into_sample), but gives up with `Timeout` after `timeout`, never
    /// earlier. Zero means one try; a timeout too long to add to now means for ever.
    ///
    /// # Errors
    /// As there.
    pub fn into_sample_timeout(self, timeout: Duration) -> Result<OwnedSample<T>, IntoSampleError<T>> {
        self.into_sample_by(Wait::Until(Deadline::after(timeout)))
    }

    /// Like [`into_sample`](Self::into_sample), but gives up with `Timeout` at `deadline`, never
    /// earlier. A deadline in the past means one try.
    ///
    /// # Errors
    /// As there.
    pub fn into_sample_deadline(self, deadline: Instant) -> Result<OwnedSample<T>, IntoSampleError<T>> {
        self.into_sample_by(Wait::Until(Deadline::at(deadline)))
    }
}
