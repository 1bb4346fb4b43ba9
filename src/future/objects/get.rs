//! Futures and streams that get objects: by copy, many at once, and on lease.

use crate::error::GetError;
use crate::future::get::Get;
use crate::future::{Messages, ONE_AS_OWNER, ONE_BY_LOCK, Owned, poll_queue};
use crate::object::{Codec, ObjectConsumer, ObjectQueue, ObjectReceiver, receive_many};
use crate::queue::{Consumer, Queue};
use crate::raw::{BY_LOCK, BY_OWNER};
use crate::reactor::{Aspect, Waiting};
use crate::wait::Wait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

enum From<'q> {
    Queue(&'q Queue<[u8]>),
    Consumer(&'q mut Consumer<[u8]>),
}

/// Gets as many values as there are, at least one: the future of `get_batch_async` of
/// [`ObjectQueue`] and [`ObjectConsumer`].
///
/// Cancel safe: Ready with the first poll that takes at least one; dropped before, it has taken
/// nothing.
///
/// ```
/// let queue = shmq::ObjectQueue::<u32>::new(8)?;
/// queue.put_slice(&[1, 2, 3])?;
/// assert_eq!(futures::executor::block_on(queue.get_batch_async(8))?, [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct GetBatch<'q, T, C> {
    from: From<'q>,
    most: usize,
    waiting: Waiting,
    carries: PhantomData<fn() -> (T, C)>,
}

impl<'q, T, C> GetBatch<'q, T, C> {
    fn new(from: From<'q>, most: usize) -> Self {
        GetBatch { from, most, waiting: Waiting::new(), carries: PhantomData }
    }
}

impl<T: DeserializeOwned, C: Codec> Future for GetBatch<'_, T, C> {
    type Output = Result<Vec<T>, GetError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let GetBatch { from, most, waiting, .. } = &mut *self;
        match from {
            From::Queue(queue) => {
                let raw = queue.raw();
                poll_queue(waiting, context, raw, Aspect::Message, ONE_BY_LOCK, |_| {
                    receive_many::<BY_LOCK, T, C>(raw, raw.me_in_both_roles()?, *most, Wait::AtOnce)
                })
            }
            From::Consumer(consumer) => {
                let (raw, owner) = consumer.parts();
                poll_queue(waiting, context, raw, Aspect::Message, ONE_AS_OWNER, |_| {
                    receive_many::<BY_OWNER, T, C>(raw, raw.check(owner)?, *most, Wait::AtOnce)
                })
            }
        }
    }
}

impl<T, C> fmt::Debug for GetBatch<'_, T, C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("GetBatch").field(&self.waiting).finish()
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectQueue<T, C> {
    /// Gets one value by copy, as [`get`](Self::get), without blocking a thread: see
    /// [`future`](crate::future).
    ///
    /// Cancel safe: a future that is dropped before it was Ready has taken nothing.
    ///
    /// # Errors
    /// As [`get`](Self::get); `Inherited` for a future that waited already when the process forked,
    /// `Os` if the thread that waits for futures cannot be started.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("one")?;
    /// assert_eq!(futures::executor::block_on(queue.get_async())?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_async(&self) -> Get<&Self> {
        Get::new(self)
    }

    /// Gets as many values as there are, up to `most`, once there is one: as
    /// [`get_batch`](Self::get_batch), without blocking a thread.
    ///
    /// Cancel safe: a future that is dropped before it was Ready has taken nothing.
    ///
    /// # Errors
    /// As [`get_batch`](Self::get_batch), and as [`get_async`](Self::get_async).
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<u32>::new(8)?;
    /// queue.put_slice(&[1, 2, 3])?;
    /// assert_eq!(futures::executor::block_on(queue.get_batch_async(2))?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_batch_async(&self, most: usize) -> GetBatch<'_, T, C> {
        GetBatch::new(From::Queue(self.bytes()), most)
    }

    /// A stream of values until the queue is closed and drained: see [`Messages`].
    ///
    /// ```
    /// use futures::TryStreamExt;
    ///
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put_slice(&["a".to_string(), "b".to_string()])?;
    /// queue.close();
    /// let all: Vec<String> = futures::executor::block_on(queue.stream().try_collect())?;
    /// assert_eq!(all, ["a", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&self) -> Messages<&Self> {
        Messages::new(self)
    }

    /// The same, of a stream that owns the handle: for a task of its own.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let mut values = queue.clone().into_stream();
    /// let task = std::thread::spawn(move || futures::executor::block_on(values.next()));
    /// queue.put("one")?;
    /// assert_eq!(task.join().unwrap().unwrap()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> Messages<Owned<Self>> {
        Messages::owning(self)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectConsumer<T, C> {
    /// As [`ObjectQueue::get_async`](crate::ObjectQueue::get_async). It borrows the consumer
    /// mutably, so that the future can be sent to another thread.
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let mut consumer = queue.consumer()?;
    /// queue.put("one")?;
    /// assert_eq!(futures::executor::block_on(consumer.get_async())?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_async(&mut self) -> Get<&mut Self> {
        Get::new(self)
    }

    /// As [`ObjectQueue::get_batch_async`](crate::ObjectQueue::get_batch_async).
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<u32>::new(8)?;
    /// let mut consumer = queue.consumer()?;
    /// queue.put_slice(&[1, 2, 3])?;
    /// assert_eq!(futures::executor::block_on(consumer.get_batch_async(8))?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_batch_async(&mut self, most: usize) -> GetBatch<'_, T, C> {
        GetBatch::new(From::Consumer(self.bytes_mut()), most)
    }

    /// A stream of values: as [`ObjectQueue::stream`](crate::ObjectQueue::stream).
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let mut consumer = queue.consumer()?;
    /// queue.put("one")?;
    /// assert_eq!(futures::executor::block_on(consumer.stream().next()).unwrap()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&mut self) -> Messages<&mut Self> {
        Messages::new(self)
    }

    /// The same, of a stream that owns the consumer, and frees the side when it is dropped.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let mut values = queue.consumer()?.into_stream();
    /// queue.put("one")?;
    /// assert_eq!(futures::executor::block_on(values.next()).unwrap()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> Messages<Owned<Self>> {
        Messages::owning(self)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectReceiver<T, C> {
    /// As [`ObjectQueue::get_async`](crate::ObjectQueue::get_async).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let receiver = queue.receiver();
    /// queue.put("one")?;
    /// assert_eq!(futures::executor::block_on(receiver.get_async())?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_async(&self) -> Get<&Self> {
        Get::new(self)
    }

    /// A stream of values: as [`ObjectQueue::stream`](crate::ObjectQueue::stream).
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let receiver = queue.receiver();
    /// queue.put("one")?;
    /// assert_eq!(futures::executor::block_on(receiver.stream().next()).unwrap()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&self) -> Messages<&Self> {
        Messages::new(self)
    }

    /// The same, of a stream that owns the receiver: for a task of its own.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// let mut values = queue.receiver().into_stream();
    /// queue.put("one")?;
    /// assert_eq!(futures::executor::block_on(values.next()).unwrap()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> Messages<Owned<Self>> {
        Messages::owning(self)
    }
}
