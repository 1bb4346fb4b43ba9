//! Queues whose messages' layout is known at run time, in event loops and as streams.

use super::{Get, Messages, Owned, Put, PutsAsync, Readiness};
use crate::dynamic::{DynConsumer, DynProducer, DynQueue, DynReceiver, DynSender, DynSubscriber};
use crate::error::{GetError, PutError};
use crate::raw::{BY_LOCK, BY_OWNER, RawQueue, Ticket};
use std::sync::Arc;

impl PutsAsync<[u8]> for DynQueue {
    fn put_at_once(&self, bytes: &[u8], ticket: &mut Ticket) -> Result<(), PutError> {
        let raw = self.raw();
        raw.put_bytes_at_once::<BY_LOCK>(raw.me_in_both_roles()?, bytes, ticket)
    }

    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.raw(), true)
    }
}

impl PutsAsync<[u8]> for DynSender {
    fn put_at_once(&self, bytes: &[u8], ticket: &mut Ticket) -> Result<(), PutError> {
        let (raw, me) = self.bytes().used()?;
        raw.put_bytes_at_once::<BY_LOCK>(me, bytes, ticket)
    }

    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.bytes().shared(), true)
    }
}

impl PutsAsync<[u8]> for DynProducer {
    fn put_at_once(&self, bytes: &[u8], ticket: &mut Ticket) -> Result<(), PutError> {
        let (raw, owner) = self.bytes().parts();
        raw.put_bytes_at_once::<BY_OWNER>(raw.check(owner)?, bytes, ticket)
    }

    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.bytes().parts().0, false)
    }
}

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

impl DynQueue {
    /// Puts one message by copy, once there is room. As
    /// [`Queue::put_async`](crate::Queue::put_async).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// futures::executor::block_on(queue.put_async(&[7; 8]))?;
    /// assert_eq!(queue.get()?, [7; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_async<'a>(&'a self, bytes: &'a [u8]) -> Put<'a, &'a DynQueue, [u8]> {
        Put::through(self, bytes)
    }
}

impl DynSender {
    /// Puts one message by copy, once there is room. As
    /// [`Queue::put_async`](crate::Queue::put_async).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let handle = queue.sender();
    /// futures::executor::block_on(handle.put_async(&[7; 8]))?;
    /// assert_eq!(queue.get()?, [7; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_async<'a>(&'a self, bytes: &'a [u8]) -> Put<'a, &'a DynSender, [u8]> {
        Put::through(self, bytes)
    }
}

impl DynProducer {
    /// Puts one message by copy, once there is room. As
    /// [`Queue::put_async`](crate::Queue::put_async).
    ///
    /// # Errors
    /// As [`put`](Self::put).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let mut handle = queue.producer()?;
    /// futures::executor::block_on(handle.put_async(&[7; 8]))?;
    /// assert_eq!(queue.get()?, [7; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_async<'a>(&'a mut self, bytes: &'a [u8]) -> Put<'a, &'a mut DynProducer, [u8]> {
        Put::through(self, bytes)
    }
}

impl DynQueue {
    /// Gets one message by copy, once there is one. As
    /// [`Queue::get_async`](crate::Queue::get_async).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.put(&[7; 8])?;
    /// assert_eq!(futures::executor::block_on(queue.get_async())?, [7; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_async(&self) -> Get<&DynQueue> {
        Get::new(self)
    }

    /// All messages, one after the other, until it is closed and drained. As
    /// [`Queue::stream`](crate::Queue::stream).
    ///
    /// ```
    /// use futures::TryStreamExt;
    ///
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// queue.put_slice(&[7; 16])?;
    /// queue.close();
    /// let all: Vec<Vec<u8>> = futures::executor::block_on(queue.stream().try_collect())?;
    /// assert_eq!(all, [vec![7; 8], vec![7; 8]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&self) -> Messages<&DynQueue> {
        Messages::new(self)
    }
}

impl DynReceiver {
    /// Gets one message by copy, once there is one. As
    /// [`Queue::get_async`](crate::Queue::get_async).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let handle = queue.receiver();
    /// queue.put(&[7; 8])?;
    /// assert_eq!(futures::executor::block_on(handle.get_async())?, [7; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_async(&self) -> Get<&DynReceiver> {
        Get::new(self)
    }

    /// All messages, one after the other, until it is closed and drained. As
    /// [`Queue::stream`](crate::Queue::stream).
    ///
    /// ```
    /// use futures::TryStreamExt;
    ///
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let handle = queue.receiver();
    /// queue.put_slice(&[7; 16])?;
    /// queue.close();
    /// let all: Vec<Vec<u8>> = futures::executor::block_on(handle.stream().try_collect())?;
    /// assert_eq!(all, [vec![7; 8], vec![7; 8]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&self) -> Messages<&DynReceiver> {
        Messages::new(self)
    }
}

impl DynConsumer {
    /// Gets one message by copy, once there is one. As
    /// [`Queue::get_async`](crate::Queue::get_async).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let mut handle = queue.consumer()?;
    /// queue.put(&[7; 8])?;
    /// assert_eq!(futures::executor::block_on(handle.get_async())?, [7; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_async(&mut self) -> Get<&mut DynConsumer> {
        Get::new(self)
    }

    /// All messages, one after the other, until it is closed and drained. As
    /// [`Queue::stream`](crate::Queue::stream).
    ///
    /// ```
    /// use futures::TryStreamExt;
    ///
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let mut handle = queue.consumer()?;
    /// queue.put_slice(&[7; 16])?;
    /// queue.close();
    /// let all: Vec<Vec<u8>> = futures::executor::block_on(handle.stream().try_collect())?;
    /// assert_eq!(all, [vec![7; 8], vec![7; 8]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&mut self) -> Messages<&mut DynConsumer> {
        Messages::new(self)
    }
}

impl DynSubscriber {
    /// The next message, once there is one. As
    /// [`Subscriber::next_async`](crate::Subscriber::next_async).
    ///
    /// # Errors
    /// As [`next`](Self::next).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let mut every = topic.subscribe()?;
    /// topic.publish(&[7; 8])?;
    /// assert_eq!(futures::executor::block_on(every.next_async())?, [7; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_async(&mut self) -> Get<&mut DynSubscriber> {
        Get::new(self)
    }

    /// All messages, one after the other, until the topic is closed. As
    /// [`Subscriber::stream`](crate::Subscriber::stream).
    ///
    /// ```
    /// use futures::TryStreamExt;
    ///
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let mut every = topic.subscribe()?;
    /// topic.publish_slice(&[7; 16])?;
    /// topic.close();
    /// let all: Vec<Vec<u8>> = futures::executor::block_on(every.stream().try_collect())?;
    /// assert_eq!(all.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&mut self) -> Messages<&mut DynSubscriber> {
        Messages::new(self)
    }

    /// The same, of a stream that owns the subscriber, which ends with it. As
    /// [`Subscriber::into_stream`](crate::Subscriber::into_stream).
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// let mut messages = topic.subscribe()?.into_stream();
    /// topic.publish(&[7; 8])?;
    /// assert_eq!(futures::executor::block_on(messages.next()).unwrap()?, [7; 8]);
    /// let every = messages.into_inner();
    /// assert_eq!(every.received(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> Messages<Owned<DynSubscriber>> {
        Messages::owning(self)
    }
}
