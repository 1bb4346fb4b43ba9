//! Getting until the queue is closed and drained.

use super::Queue;
use crate::error::GetError;
use crate::message::Message;
use std::fmt;

impl<T: ?Sized + Message> Queue<T> {
    /// Gets messages until the queue is closed and drained, waiting for each. Ends at `Closed` without yielding it; other errors are items.
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
        Iter { queue: self }
    }
}

/// Messages by copy until the queue is closed and drained; made by [`Queue::iter`].
pub struct Iter<'q, T: ?Sized> {
    queue: &'q Queue<T>,
}

impl<T: ?Sized + Message> Iterator for Iter<'_, T> {
    type Item = Result<T::Owned, GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.queue.get() {
            Err(GetError::Closed) => None,
            item => Some(item),
        }
    }
}

impl<'q, T: ?Sized + Message> IntoIterator for &'q Queue<T> {
    type Item = Result<T::Owned, GetError>;
    type IntoIter = Iter<'q, T>;

    fn into_iter(self) -> Iter<'q, T> {
        self.iter()
    }
}

impl<T: ?Sized> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Iter").field(&self.queue.channel).finish()
    }
}
