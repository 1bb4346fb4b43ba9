//! Futures, streams and descriptors of queues of objects.

mod get;
mod put;
mod topics;

pub use get::GetBatch;
pub use put::{PutObject, PutObjects};

use super::{Closed, Join, Readiness};
use crate::error::{GetError, PutError};
use crate::object::{ObjectConsumer, ObjectProducer, ObjectQueue, ObjectReceiver, ObjectSender};

impl<T, C> ObjectQueue<T, C> {
    /// Waits until every message is finished: as [`Queue::join_async`](crate::Queue::join_async).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("job")?;
    /// queue.lease()?.release();
    /// futures::executor::block_on(queue.join_async())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_async(&self) -> Join<'_> {
        Join::new(self.bytes().raw())
    }

    /// Waits until the queue is closed: as [`Queue::closed`](crate::Queue::closed).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.close();
    /// futures::executor::block_on(queue.closed())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn closed(&self) -> Closed<'_> {
        Closed::new(self.bytes().raw())
    }

    /// A descriptor for an event loop: as [`Queue::readable`](crate::Queue::readable).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let mut readiness = queue.readable()?;
    /// queue.put("one")?;
    /// assert_eq!(queue.try_get()?, "one");
    /// assert!(!readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readable(&self) -> Result<Readiness, GetError> {
        self.bytes().readable()
    }

    /// A descriptor for an event loop, for a value of so many bytes when it is encoded: as
    /// [`Queue::writable_for`](crate::Queue::writable_for). If the value turns out longer, the
    /// `try_put` says `Full`: make another for more.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(1)?;
    /// let mut readiness = queue.writable_for(100)?;
    /// assert!(readiness.rearm()?);
    /// queue.try_put("one")?;
    /// assert!(!readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writable_for(&self, bytes: usize) -> Result<Readiness, PutError> {
        self.bytes().writable_for(bytes)
    }
}

impl<T, C> ObjectConsumer<T, C> {
    /// A descriptor for an event loop: as [`Queue::readable`](crate::Queue::readable).
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let consumer = queue.consumer()?;
    /// let mut readiness = consumer.readable()?;
    /// queue.put("one")?;
    /// assert!(readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readable(&self) -> Result<Readiness, GetError> {
        self.bytes().readable()
    }
}

impl<T, C> ObjectProducer<T, C> {
    /// A descriptor for an event loop: as
    /// [`ObjectQueue::writable_for`](crate::ObjectQueue::writable_for).
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(1)?;
    /// let producer = queue.producer()?;
    /// let mut readiness = producer.writable_for(100)?;
    /// producer.try_put("one")?;
    /// assert!(!readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writable_for(&self, bytes: usize) -> Result<Readiness, PutError> {
        self.bytes().writable_for(bytes)
    }
}

impl<T, C> ObjectReceiver<T, C> {
    /// A descriptor for an event loop: as [`Queue::readable`](crate::Queue::readable).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let mut readiness = queue.receiver().readable()?;
    /// queue.put("one")?;
    /// assert!(readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readable(&self) -> Result<Readiness, GetError> {
        self.bytes.readable()
    }
}

impl<T, C> ObjectSender<T, C> {
    /// A descriptor for an event loop: as
    /// [`ObjectQueue::writable_for`](crate::ObjectQueue::writable_for).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(1)?;
    /// let mut readiness = queue.sender().writable_for(100)?;
    /// assert!(readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writable_for(&self, bytes: usize) -> Result<Readiness, PutError> {
        self.bytes.writable_for(bytes)
    }
}
