//! Futures that wait for a state of the whole queue.

use super::{ONE_AS_OWNER, poll_queue};
use crate::error::{GetError, JoinError};
use crate::message::Message;
use crate::queue::{Consumer, Producer, Queue};
use crate::raw::RawQueue;
use crate::reactor::{Aspect, Waiting};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Waits until every message is finished: the future of `join_async`.
///
/// Cancel safe: it changes nothing.
///
/// ```
/// let queue = shmq::Queue::<u64>::new(4)?;
/// queue.put(&1)?;
/// queue.lease()?.release();
/// futures::executor::block_on(queue.join_async())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct Join<'q> {
    raw: &'q Arc<RawQueue>,
    waiting: Waiting,
}

impl<'q> Join<'q> {
    pub(crate) fn new(raw: &'q Arc<RawQueue>) -> Join<'q> {
        Join { raw, waiting: Waiting::new() }
    }
}

impl Future for Join<'_> {
    type Output = Result<(), JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Join { raw, waiting } = &mut *self;
        poll_queue(waiting, context, raw, Aspect::Finished, ONE_AS_OWNER, |_| match raw.try_join()? {
            Some(0) => Ok(()),
            Some(left) => Err(JoinError::Timeout { left }),
            None => Err(JoinError::Busy),
        })
    }
}

impl fmt::Debug for Join<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Join").field(&self.waiting).finish()
    }
}

/// Waits until the queue is closed: the future of `closed`.
///
/// Cancel safe: it changes nothing.
///
/// ```
/// let queue = shmq::Queue::<u64>::new(4)?;
/// queue.close();
/// futures::executor::block_on(queue.closed())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct Closed<'q> {
    raw: &'q Arc<RawQueue>,
    waiting: Waiting,
}

impl<'q> Closed<'q> {
    pub(crate) fn new(raw: &'q Arc<RawQueue>) -> Closed<'q> {
        Closed { raw, waiting: Waiting::new() }
    }
}

impl Future for Closed<'_> {
    type Output = Result<(), GetError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Closed { raw, waiting } = &mut *self;
        poll_queue(waiting, context, raw, Aspect::Closed, ONE_AS_OWNER, |_| {
            if raw.is_closed() { Ok(()) } else { raw.check_sound().and(Err(GetError::Empty)) }
        })
    }
}

impl fmt::Debug for Closed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Closed").field(&self.waiting).finish()
    }
}

impl<T: ?Sized + Message> Queue<T> {
    /// Waits until every message is finished, as [`join`](Self::join), without blocking a thread:
    /// see [`future`](crate::future). Cancel safe.
    ///
    /// # Errors
    /// As [`join`](Self::join); `Inherited` for a future that waited already when the process
    /// forked, `Os` if the thread that waits for futures cannot be started.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// queue.get()?;
    /// queue.task_done()?;
    /// futures::executor::block_on(queue.join_async())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_async(&self) -> Join<'_> {
        Join::new(self.raw())
    }

    /// Waits until the queue is closed, by any process; messages may still be in it. For an arm of
    /// a `select!`: a producer that has nothing to put learns that nobody wants it. Cancel safe.
    ///
    /// # Errors
    /// `Poisoned`; `Inherited` for a future that waited already when the process forked, `Os` if
    /// the thread that waits for futures cannot be started.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// let there = queue.clone();
    /// let closer = std::thread::spawn(move || there.close());
    /// futures::executor::block_on(queue.closed())?;
    /// closer.join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn closed(&self) -> Closed<'_> {
        Closed::new(self.raw())
    }
}

impl<T: ?Sized + Message> Producer<T> {
    /// Waits until the queue is closed, as [`Queue::closed`](crate::Queue::closed). Cancel safe.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// let producer = queue.producer()?;
    /// queue.close();
    /// futures::executor::block_on(producer.closed())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn closed(&self) -> Closed<'_> {
        Closed::new(self.parts().0)
    }
}

impl<T: ?Sized + Message> Consumer<T> {
    /// Waits until the queue is closed, as [`Queue::closed`](crate::Queue::closed): messages may
    /// still be in it. Cancel safe.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// let consumer = queue.consumer()?;
    /// queue.close();
    /// futures::executor::block_on(consumer.closed())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn closed(&self) -> Closed<'_> {
        Closed::new(self.parts().0)
    }
}
