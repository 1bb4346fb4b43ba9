//! [`Iter`]: getting until the queue is closed and drained, or nothing more can be got.

use super::by_form::{Get, GetOwned};
use super::sealed::Sealed;
use super::{Consumer, Queue};
use crate::error::GetError;
use crate::message::{Message, Way};
use crate::raw::{RawQueue, RawSubscriber};
use crate::wait::Wait;
use std::iter::FusedIterator;
use std::sync::Arc;

/// What an [`Iter`] gets messages from: a queue or a consumer, of plain messages or of objects, or
/// a subscriber of a topic. Sealed.
///
/// ```
/// use shmq::{GetError, Queue, Source};
///
/// fn sum<'a, Q: Source<Message = u64>>(source: &'a Q) -> Result<u64, GetError>
/// where
///     &'a Q: IntoIterator<Item = Result<u64, GetError>>,
/// {
///     source.into_iter().sum()
/// }
///
/// let queue = Queue::<u64>::new(16)?;
/// queue.put_slice(&[1, 2, 3])?;
/// queue.close();
/// assert_eq!(sum(&queue)?, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Source: Sealed {
    /// What one get returns.
    type Message;

    /// Gets one message.
    #[doc(hidden)]
    fn get_by(&self, wait: Wait) -> Result<Self::Message, GetError>;

    /// The queue, and whether it is entered by lock.
    #[doc(hidden)]
    fn awaited(&self) -> (&Arc<RawQueue>, bool);

    /// The subscriber that it is, which waits at a place of its own.
    #[doc(hidden)]
    fn subscriber(&self) -> Option<&RawSubscriber> {
        None
    }

    /// Would the next get return such an error at once again?
    #[doc(hidden)]
    fn lasts(&self, error: &GetError) -> bool {
        !error.is_of_one_message() || self.subscriber().is_some_and(RawSubscriber::has_ended)
    }
}

/// Messages by copy until the queue is closed and drained, or an error that lasts; made by
/// [`Queue::iter`] and the methods of the same name of [`Consumer`], `ObjectQueue` and
/// `ObjectConsumer`, or by a `for` loop over a reference to one of these.
///
/// ```
/// let queue = shmq::Queue::<u64>::new(16)?;
/// queue.put_slice(&[1, 2, 3])?;
/// queue.close();
/// let mut sum = 0;
/// for message in &queue {
///     sum += message?;
/// }
/// assert_eq!(sum, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator gets nothing until it is driven"]
pub struct Iter<'q, Q> {
    source: &'q Q,
    has_ended: bool,
}

impl<'q, Q> Iter<'q, Q> {
    pub(crate) fn new(source: &'q Q) -> Iter<'q, Q> {
        Iter { source, has_ended: false }
    }
}

impl<Q: Source> Iterator for Iter<'_, Q> {
    type Item = Result<Q::Message, GetError>;

    /// Ends at `Closed` without an item. After any other error that the next get would return at
    /// once again, the iterator yields the error and ends: a loop over it never spins.
    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let item = self.source.get_by(Wait::FOREVER);
        self.has_ended = matches!(&item, Err(error) if self.source.lasts(error));
        if matches!(item, Err(GetError::Closed)) { None } else { Some(item) }
    }
}

impl<Q: Source> FusedIterator for Iter<'_, Q> {}

impl<T: ?Sized + Message> Source for Queue<T> {
    type Message = T::Owned;

    #[inline]
    fn get_by(&self, wait: Wait) -> Result<T::Owned, GetError> {
        T::Way::visit(Get(&self.raw, wait))
    }

    #[inline]
    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.raw.shared(), true)
    }
}

impl<T: ?Sized + Message> Source for Consumer<T> {
    type Message = T::Owned;

    #[inline]
    fn get_by(&self, wait: Wait) -> Result<T::Owned, GetError> {
        T::Way::visit(GetOwned(&self.raw, &self.owner, wait))
    }

    #[inline]
    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.raw.shared(), false)
    }
}

impl<T: ?Sized + Message> Queue<T> {
    /// Gets messages until the queue is closed and drained, waiting for each. Ends at `Closed`
    /// without yielding it.
    ///
    /// Other errors are items. One that is about a single message ([`Invalid`](GetError::Invalid))
    /// is followed by the messages behind it. Any other is the last item, since the next get would
    /// return it again at once: `Held` (while a [`Consumer`] lives), `Poisoned`, `Corrupted`,
    /// `Inherited`, and what kept a forked child from attaching. To continue after one of these,
    /// call `iter` again.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// queue.put_slice(&[1, 2, 3])?;
    /// queue.close();
    /// let all: Result<Vec<u64>, _> = queue.iter().collect();
    /// assert_eq!(all?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, Queue<T>> {
        Iter::new(self)
    }
}

impl<T: ?Sized + Message> Consumer<T> {
    /// Gets messages until the queue is closed and drained, waiting for each. As
    /// [`Queue::iter`](crate::Queue::iter), errors that last included.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// queue.put_slice(&[1, 2, 3])?;
    /// queue.close();
    /// let consumer = queue.consumer()?;
    /// let mut sum = 0;
    /// for message in &consumer {
    ///     sum += message?;
    /// }
    /// assert_eq!(sum, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, Consumer<T>> {
        Iter::new(self)
    }
}

impl<'q, T: ?Sized + Message> IntoIterator for &'q Queue<T> {
    type Item = Result<T::Owned, GetError>;
    type IntoIter = Iter<'q, Queue<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'q, T: ?Sized + Message> IntoIterator for &'q Consumer<T> {
    type Item = Result<T::Owned, GetError>;
    type IntoIter = Iter<'q, Consumer<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
