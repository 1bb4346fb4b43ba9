//! Futures and streams of subscribers of objects.

use super::Closed;
use crate::future::{Get, Messages, Owned};
use crate::object::{Codec, ObjectSubscriber, ObjectTopic};
use serde::Serialize;
use serde::de::DeserializeOwned;

impl<T, C> ObjectTopic<T, C> {
    /// Waits until the topic is closed: as [`Topic::closed`](crate::Topic::closed).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// topic.close();
    /// futures::executor::block_on(topic.closed())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn closed(&self) -> Closed<'_> {
        Closed::new(self.bytes().raw())
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectSubscriber<T, C> {
    /// The next message, decoded, as [`next`](Self::next), without blocking a thread: see
    /// [`Subscriber::next_async`](crate::Subscriber::next_async).
    ///
    /// Cancel safe: a future that is dropped before it was Ready has passed no message.
    ///
    /// # Errors
    /// As [`next`](Self::next), and as there.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let mut subscriber = topic.subscribe()?;
    /// topic.publish("one")?;
    /// assert_eq!(futures::executor::block_on(subscriber.next_async())?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_async(&mut self) -> Get<&mut ObjectSubscriber<T, C>> {
        Get::new(self)
    }

    /// A stream of messages until the topic is closed: as
    /// [`Subscriber::stream`](crate::Subscriber::stream). `Decode` is an item, and the stream goes
    /// on.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let mut subscriber = topic.subscribe()?;
    /// topic.publish("one")?;
    /// assert_eq!(futures::executor::block_on(subscriber.stream().next()).unwrap()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&mut self) -> Messages<&mut ObjectSubscriber<T, C>> {
        Messages::new(self)
    }

    /// The same, of a stream that owns the subscriber: for a task of its own.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let mut messages = topic.subscribe()?.into_stream();
    /// topic.publish("one")?;
    /// assert_eq!(futures::executor::block_on(messages.next()).unwrap()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> Messages<Owned<ObjectSubscriber<T, C>>> {
        Messages::owning(self)
    }
}
