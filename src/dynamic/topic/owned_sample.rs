//! [`DynOwnedSample`]: a message that is read in place, as bytes, and that has its subscriber.

use super::DynSubscriber;
use crate::dynamic::MessageLayout;
use crate::error::GetError;
use crate::os::Deadline;
use crate::topic::OwnedSample;
use crate::wait::Wait;
use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Dropping it passes the message and ends its subscriber;
/// [`into_subscriber`](Self::into_subscriber) passes the message and gives the subscriber back. An
/// [`OwnedSample`](crate::OwnedSample) by bytes: made by
/// [`DynSubscriber::into_sample`](crate::DynSubscriber::into_sample).
///
/// ```
/// let topic = shmq::DynTopic::new(shmq::MessageLayout::value(2, 1)?, 8)?;
/// let subscriber = topic.subscribe()?;
/// topic.publish(b"hi")?;
/// let sample = subscriber.into_sample()?;
/// assert_eq!(*sample, *b"hi");
/// let subscriber = sample.into_subscriber();
/// assert!(subscriber.try_next().unwrap_err().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping passes the message and ends the subscriber"]
pub struct DynOwnedSample {
    sample: OwnedSample<[u8]>,
    layout: Arc<MessageLayout>,
}

impl DynOwnedSample {
    /// Passes the message, and gives the subscriber back, to go on behind it.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::value(1, 1)?, 8)?;
    /// let mut subscriber = topic.subscribe()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// for expected in 1..=3 {
    ///     let sample = subscriber.into_sample()?;
    ///     assert_eq!(*sample, [expected]);
    ///     subscriber = sample.into_subscriber();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_subscriber(self) -> DynSubscriber {
        DynSubscriber::over(self.sample.into_subscriber(), self.layout)
    }
}

impl Deref for DynOwnedSample {
    type Target = [u8];

    /// # Panics
    /// In a child that inherited it.
    fn deref(&self) -> &[u8] {
        &self.sample
    }
}

impl fmt::Debug for DynOwnedSample {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("DynOwnedSample").field(&self.sample).finish()
    }
}

/// A subscriber that has no sample, and why. Nothing was passed. Dropping the error ends the
/// subscriber. As [`IntoSampleError`](crate::IntoSampleError).
///
/// ```
/// let topic = shmq::DynTopic::new(shmq::MessageLayout::value(1, 1)?, 8)?;
/// let refused = topic.subscribe()?.try_into_sample().unwrap_err();
/// assert!(refused.error().is_empty());
/// let subscriber = refused.into_subscriber();
/// topic.publish(&[1])?;
/// assert_eq!(subscriber.next()?, [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it ends the subscriber"]
pub struct DynIntoSampleError(Box<(DynSubscriber, GetError)>);

impl DynIntoSampleError {
    /// Why there is no sample.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::value(1, 1)?, 8)?;
    /// let lossy = topic.subscribe_lossy()?;
    /// assert!(matches!(lossy.into_sample().unwrap_err().error(), shmq::GetError::NotGating));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn error(&self) -> &GetError {
        &self.0.1
    }

    /// The subscriber, which is where it was.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::value(1, 1)?, 8)?;
    /// let subscriber = topic.subscribe()?.try_into_sample().unwrap_err().into_subscriber();
    /// assert_eq!(subscriber.received(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_subscriber(self) -> DynSubscriber {
        self.0.0
    }

    /// Both.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::value(1, 1)?, 8)?;
    /// let (subscriber, error) = topic.subscribe()?.try_into_sample().unwrap_err().into_parts();
    /// assert!(error.is_empty() && subscriber.lag() == 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_parts(self) -> (DynSubscriber, GetError) {
        *self.0
    }
}

impl fmt::Debug for DynIntoSampleError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DynIntoSampleError").field("error", self.error()).finish_non_exhaustive()
    }
}

impl fmt::Display for DynIntoSampleError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("no message was read in place")
    }
}

impl Error for DynIntoSampleError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.error())
    }
}

impl DynSubscriber {
    fn into_sample_by(self, wait: Wait) -> Result<DynOwnedSample, DynIntoSampleError> {
        let (bytes, layout) = self.into_parts();
        match bytes.into_sample_by(wait) {
            Ok(sample) => Ok(DynOwnedSample { sample, layout }),
            Err(refused) => {
                let (bytes, error) = refused.into_parts();
                Err(DynIntoSampleError(Box::new((DynSubscriber::over(bytes, layout), error))))
            }
        }
    }

    /// The next message, in place, by a sample that has this subscriber and gives it back:
    /// [`DynOwnedSample::into_subscriber`](crate::DynOwnedSample::into_subscriber). Waits for the
    /// message. Otherwise as [`read`](Self::read).
    ///
    /// # Errors
    /// [`DynIntoSampleError`](crate::DynIntoSampleError), with the subscriber, for the reasons of
    /// [`read`](Self::read).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::value(1, 1)?, 8)?;
    /// let subscriber = topic.subscribe()?;
    /// topic.publish(&[7])?;
    /// assert_eq!(*subscriber.into_sample()?, [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_sample(self) -> Result<DynOwnedSample, DynIntoSampleError> {
        self.into_sample_by(Wait::FOREVER)
    }

    /// Like [`into_sample`](Self::into_sample) without waiting: `Empty` at once.
    ///
    /// # Errors
    /// As there.
    pub fn try_into_sample(self) -> Result<DynOwnedSample, DynIntoSampleError> {
        self.into_sample_by(Wait::Never)
    }

    /// Like [`into_sample`](Self::into_sample), but gives up with `Timeout` after `timeout`, never
    /// earlier. Zero means one try; a timeout too long to add to now means for ever.
    ///
    /// # Errors
    /// As there.
    pub fn into_sample_timeout(self, timeout: Duration) -> Result<DynOwnedSample, DynIntoSampleError> {
        self.into_sample_by(Wait::Until(Deadline::after(timeout)))
    }

    /// Like [`into_sample`](Self::into_sample), but gives up with `Timeout` at `deadline`, never
    /// earlier. A deadline in the past means one try.
    ///
    /// # Errors
    /// As there.
    pub fn into_sample_deadline(self, deadline: Instant) -> Result<DynOwnedSample, DynIntoSampleError> {
        self.into_sample_by(Wait::Until(Deadline::at(deadline)))
    }
}
