//! Reading in a loop.

use super::Subscriber;
use crate::error::GetError;
use crate::message::Message;
use crate::queue::Source;
use std::borrow::Borrow;
use std::marker::PhantomData;

/// Messages until the topic is closed and the subscriber has passed all of it, waiting for each:
/// [`Subscriber::iter`].
///
/// ```
/// let topic = shmq::Topic::<u64>::new(8)?;
/// let subscriber = topic.subscribe()?;
/// topic.publish_slice(&[1, 2])?;
/// topic.close();
/// let mut sum = 0;
/// for message in &subscriber {
///     sum += message?;
/// }
/// assert_eq!(sum, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator does nothing until it is used"]
pub struct SubscriberIter<S, T: ?Sized> {
    subscriber: S,
    has_ended: bool,
    reads: PhantomData<fn() -> Box<T>>,
}

impl<S: Borrow<Subscriber<T>>, T: ?Sized + Message> Iterator for SubscriberIter<S, T> {
    type Item = Result<T::Owned, GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        match self.subscriber.borrow().next() {
            Err(GetError::Closed) => {
                self.has_ended = true;
                None
            }
            Err(error) => {
                // Another one would be returned again at once.
                self.has_ended = self.subscriber.borrow().lasts(&error);
                Some(Err(error))
            }
            message => Some(message),
        }
    }
}

impl<T: ?Sized + Message> Subscriber<T> {
    /// Messages until the topic is closed and all of it is passed, waiting for each. Ends at
    /// `Closed` without yielding it.
    ///
    /// Other errors are items. After [`Lagged`](GetError::Lagged), [`Evicted`](GetError::Evicted)
    /// and [`Invalid`](GetError::Invalid) come further messages; any other is the last item.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(8)?;
    /// let subscriber = topic.subscribe()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// let two: Result<Vec<u64>, _> = subscriber.iter().take(2).collect();
    /// assert_eq!((two?, subscriber.next()?), (vec![1, 2], 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> SubscriberIter<&Subscriber<T>, T> {
        SubscriberIter { subscriber: self, has_ended: false, reads: PhantomData }
    }
}

impl<'s, T: ?Sized + Message> IntoIterator for &'s Subscriber<T> {
    type Item = Result<T::Owned, GetError>;
    type IntoIter = SubscriberIter<&'s Subscriber<T>, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: ?Sized + Message> IntoIterator for Subscriber<T> {
    type Item = Result<T::Owned, GetError>;
    type IntoIter = SubscriberIter<Subscriber<T>, T>;

    fn into_iter(self) -> Self::IntoIter {
        SubscriberIter { subscriber: self, has_ended: false, reads: PhantomData }
    }
}
