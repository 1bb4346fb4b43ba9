//! Queues whose messages' layout is known at run time, in event loops and as streams.

use super::Readiness;
use crate::dynamic::{DynConsumer, DynProducer, DynQueue, DynReceiver, DynSender};
use crate::error::{GetError, PutError};

impl DynQueue {
    /// As [`Queue::readable`](crate::Queue::readable).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 1)?;
    /// let mut readable = queue.readable()?;
    /// queue.put(&[0; 8])?;
    /// assert!(readable.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readable(&self) -> Result<Readiness, GetError> {
        self.bytes().readable()
    }

    /// As [`Queue::writable_for`](crate::Queue::writable_for), for a message of so many bytes.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 1)?;
    /// let mut writable = queue.writable_for(8)?;
    /// assert!(writable.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writable_for(&self, bytes: usize) -> Result<Readiness, PutError> {
        self.bytes().writable_for(bytes)
    }
}

impl DynConsumer {
    /// As [`Consumer::readable`](crate::Consumer::readable).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 1)?;
    /// let mut readable = queue.consumer()?.readable()?;
    /// queue.put(&[0; 8])?;
    /// assert!(readable.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readable(&self) -> Result<Readiness, GetError> {
        self.bytes().readable()
    }
}

impl DynReceiver {
    /// As [`Receiver::readable`](crate::Receiver::readable).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 1)?;
    /// let mut readable = queue.receiver().readable()?;
    /// queue.put(&[0; 8])?;
    /// assert!(readable.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readable(&self) -> Result<Readiness, GetError> {
        self.bytes().readable()
    }
}

impl DynProducer {
    /// As [`Producer::writable_for`](crate::Producer::writable_for), for a message of so many bytes.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 1)?;
    /// let mut writable = queue.producer()?.writable_for(8)?;
    /// assert!(writable.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writable_for(&self, bytes: usize) -> Result<Readiness, PutError> {
        self.bytes().writable_for(bytes)
    }
}

impl DynSender {
    /// As [`Sender::writable_for`](crate::Sender::writable_for), for a message of so many bytes.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 1)?;
    /// let mut writable = queue.sender().writable_for(8)?;
    /// assert!(writable.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writable_for(&self, bytes: usize) -> Result<Readiness, PutError> {
        self.bytes().writable_for(bytes)
    }
}
