//! Getting until the queue is closed and drained, or nothing more can be got.

use super::{Consumer, Queue};
use crate::error::GetError;
use crate::message::Message;
use std::fmt;
use std::iter::FusedIterator;

/// One step of an iterator over messages. It ends at `Closed` without an item, and after any other error that the next get would
/// give again at once, once it has given it: a loop over it never spins.
pub(crate) fn next_message<R>(has_ended: &mut bool, get: impl FnOnce() -> Result<R, GetError>) -> Option<Result<R, GetError>> {
    if *has_ended {
        return None;
    }
    let item = get();
    *has_ended = matches!(&item, Err(error) if !error.is_of_one_message());
    if matches!(item, Err(GetError::Closed)) { None } else { Some(item) }
}

impl<T: ?Sized + Message> Queue<T> {
    /// Gets messages until the queue is closed and drained, waiting for each. Ends at `Closed` without yielding it.
    ///
    /// Other errors are items. One that is about a single message ([`Invalid`](GetError::Invalid)) is followed by the messages behind it.
    /// Any other is the last item, since the next get would give it again at once: `Held` (while a [`Consumer`] lives), `Poisoned`,
    /// `Corrupted`, `Inherited`, and what kept a forked child from attaching. To go on after one of these, call `iter` again.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// queue.put_slice(&[1, 2, 3])?;
    /// queue.close();
    /// let all: Result<Vec<u64>, _> = queue.iter().collect();
    /// assert_eq!(all?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { queue: self, has_ended: false }
    }
}

/// Messages by copy until the queue is closed and drained, or an error that lasts; made by [`Queue::iter`].
pub struct Iter<'q, T: ?Sized> {
    queue: &'q Queue<T>,
    has_ended: bool,
}

impl<T: ?Sized + Message> Iterator for Iter<'_, T> {
    type Item = Result<T::Owned, GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        next_message(&mut self.has_ended, || self.queue.get())
    }
}

impl<T: ?Sized + Message> FusedIterator for Iter<'_, T> {}

impl<'q, T: ?Sized + Message> IntoIterator for &'q Queue<T> {
    type Item = Result<T::Owned, GetError>;
    type IntoIter = Iter<'q, T>;

    fn into_iter(self) -> Iter<'q, T> {
        self.iter()
    }
}

impl<T: ?Sized> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Iter").field(&self.queue.raw).finish()
    }
}

impl<T: ?Sized + Message> Consumer<T> {
    /// Gets messages until the queue is closed and drained, waiting for each. As [`Queue::iter`](crate::Queue::iter), errors that last
    /// included.
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
    pub fn iter(&self) -> ConsumerIter<'_, T> {
        ConsumerIter { consumer: self, has_ended: false }
    }
}

/// Messages by copy until the queue is closed and drained, or an error that lasts; made by [`Consumer::iter`].
pub struct ConsumerIter<'c, T: ?Sized> {
    consumer: &'c Consumer<T>,
    has_ended: bool,
}

impl<T: ?Sized + Message> Iterator for ConsumerIter<'_, T> {
    type Item = Result<T::Owned, GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        next_message(&mut self.has_ended, || self.consumer.get())
    }
}

impl<T: ?Sized + Message> FusedIterator for ConsumerIter<'_, T> {}

impl<'c, T: ?Sized + Message> IntoIterator for &'c Consumer<T> {
    type Item = Result<T::Owned, GetError>;
    type IntoIter = ConsumerIter<'c, T>;

    fn into_iter(self) -> ConsumerIter<'c, T> {
        self.iter()
    }
}

impl<T: ?Sized> fmt::Debug for ConsumerIter<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("ConsumerIter").field(self.consumer).finish()
    }
}
