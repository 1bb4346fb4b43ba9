//! [`Readiness`]: a descriptor for event loops.
//!
//! ```text
//!   armed      the descriptor is not readable, a node waits in the room
//!     --a message, room, the end; or no need--> signalled: the descriptor is readable
//!   signalled  --try_ until Empty or Full, rearm()--> armed
//!                                       \--something is there, or came in between--> signalled
//!   any        --fork--> inherited in the child: nothing of the parent's is touched
//! ```
//!
//! Invariants:
//! 1. While it is armed, a node waits in the room of the queue; its waker makes the descriptor
//!    readable, and does nothing else. So a message wakes this node, or one of another task.
//! 2. `rearm` makes the descriptor unreadable before the node waits, and checks after that
//!    (reactor, Invariant 2). What comes before the check is seen by it, what comes later calls the
//!    waker. When it says `true`, the descriptor is readable.
//! 3. A node that was woken answers for one message (reactor, Invariant 3) until `rearm`. If
//!    something was taken meanwhile, by any process, the node is taken out and hands on what it
//!    answered for. If nothing was, it waits again as one that was woken in vain.

use crate::error::{GetError, PutError};
use crate::message::Message;
use crate::os::{EventFd, Incarnation};
use crate::queue::{Consumer, Producer, Queue, Receiver, Sender};
use crate::raw::{RawQueue, Tries};
use crate::reactor::{Awaited, CannotWait, Subject, Tried, Waiting};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

impl Wake for EventFd {
    fn wake(self: Arc<Self>) {
        self.set();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set();
    }
}

/// A descriptor that becomes readable when a `try_` verb of a queue is worth a call: for epoll,
/// `poll`, mio, libuv, GLib, Python's asyncio, or any other event loop.
///
/// Made by `readable` of [`Queue`], [`Consumer`], [`Receiver`] and those of objects, and by
/// `writable_for` of [`Queue`], [`Producer`], [`Sender`] and those of objects. It keeps the queue
/// attached, and borrows nothing. Use one for each event loop and each thing that it waits for.
///
/// **Protocol**
/// 1. Wait until the descriptor is *readable*, also for room: never for writable. Do not read it.
/// 2. Call the `try_` verb until it returns `Empty`, or `Full`.
/// 3. Call [`rearm`](Self::rearm), then wait again. Where `rearm` says `true`, something came in
///    between and the descriptor is readable still: the loop may go on to 2 at once.
///
/// | what happens | the descriptor becomes readable |
/// |---|---|
/// | a message comes, or comes back; room for the length comes | at once |
/// | another process takes it first, or the length does not fit | perhaps: the `try_` verb says so |
/// | the queue is closed, or poisoned | at once; from then on `rearm` says `true` |
/// | a [`Consumer`] or [`Producer`] takes the side | within 0.1 s: the `try_` verb says `Held` |
/// | the holder of a message dies | when it is back, 0.2 s after the death at the latest |
///
/// **If `try_` returns `Busy`**, a process that does not run (stopped, or starved) is in the middle
/// of an operation. `rearm` would say `true` each time: wait some milliseconds by a timer first.
///
/// **Level or edge triggered**, both work: each `true` of `rearm` is a new edge. An edge-triggered
/// loop (mio, tokio) must end each event with step 3. A wake that nobody uses costs others at most
/// 0.1 s: a `Readiness` that is readable and not rearmed for so long is no longer counted on, as a
/// task that is not polled. So rearm before long work, not after it.
///
/// **Large messages**: `try_put` keeps no place in line, as `put` and `put_async` do. In a queue of
/// slices that small messages keep full, one that needs an eighth of the ring may wait for long.
///
/// **A [`Stop`](crate::Stop)** of the handle changes no `try_` form, and makes nothing readable.
///
/// **Cost**: one descriptor, and a thread of the process as for all [futures](crate::future). A
/// message to an armed `Readiness` costs its putter the wake of a blocked caller.
///
/// **After a fork** it belongs to the parent, and `rearm` says [`Inherited`](ReadinessError): the
/// child shares the descriptor, and must not read it. Dropping it there changes nothing for the
/// parent. The descriptor is closed when a program is executed.
///
/// ```
/// use shmq::{GetError, Queue};
///
/// let queue = Queue::<u64>::new(16)?;
/// let mut readiness = queue.readable()?;
/// queue.put(&1)?; // by any process
///
/// # use std::os::fd::AsRawFd;
/// // With poll(2); any event loop waits in its own way.
/// let mut polled = libc::pollfd { fd: readiness.as_raw_fd(), events: libc::POLLIN, revents: 0 };
/// // SAFETY: one `pollfd`.
/// assert_eq!(unsafe { libc::poll(&mut polled, 1, -1) }, 1);
///
/// loop {
///     match queue.try_get() {
///         Ok(message) => println!("{message}"),
///         Err(GetError::Empty) if !readiness.rearm()? => break,
///         Err(GetError::Empty) => {}
///         Err(error) => return Err(error.into()),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Under tokio, beside its sockets and timers ([`get_async`](Queue::get_async) is shorter, this one
/// takes many messages for one wake):
///
/// ```
/// use shmq::{GetError, Queue};
/// use tokio::io::{Interest, unix::AsyncFd};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let queue = Queue::<u64>::new(16)?;
/// queue.put_slice(&[1, 2, 3])?;
/// queue.close();
///
/// // SAFETY: a `Readiness` has one descriptor, open until it is dropped.
/// let mut readable = unsafe { AsyncFd::register_with_interest(queue.readable()?, Interest::READABLE)? };
/// let mut sum = 0;
/// loop {
///     match queue.try_get() {
///         Ok(message) => sum += message,
///         Err(GetError::Empty) => {
///             let mut ready = readable.readable_mut().await?;
///             if !ready.get_inner_mut().rearm()? {
///                 ready.clear_ready();
///             }
///         }
///         Err(GetError::Closed) => break,
///         Err(error) => return Err(error.into()),
///     }
/// }
/// assert_eq!(sum, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it closes its descriptor"]
pub struct Readiness {
    raw: Arc<RawQueue>,
    tries: Tries,
    descriptor: Arc<EventFd>,
    waker: Waker,
    waiting: Waiting,
    /// What `RawQueue::successes` said when it was rearmed last.
    seen: [u64; 3],
    incarnation: u32,
}

/// Why a [`Readiness`] was not made, or not rearmed.
///
/// ```
/// let queue = shmq::Queue::<u64>::new(16)?;
/// let mut readiness = queue.readable()?;
/// match readiness.rearm() {
///     Ok(_) => {}
///     Err(shmq::future::ReadinessError::Inherited) => println!("make one in this process"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadinessError {
    /// It was made before a `fork` and belongs to the parent process.
    #[error("this readiness belongs to the parent process; make a new one after fork")]
    Inherited,
    /// No descriptor could be made, or the thread that waits for all futures could not be started.
    #[error("{call}: {source}")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// What the operating system said.
        r#source: io::Error,
    },
}

macro_rules! from_readiness_error {
    ($($error:ident),*) => {$(
        impl From<ReadinessError> for $error {
            fn from(refused: ReadinessError) -> Self {
                match refused {
                    ReadinessError::Inherited => $error::Inherited,
                    ReadinessError::Os { call, source } => $error::Os { call, source },
                }
            }
        }
    )*};
}
from_readiness_error!(PutError, GetError);

impl<R> From<CannotWait> for Result<R, ReadinessError> {
    fn from(refused: CannotWait) -> Self {
        Err(match refused {
            CannotWait::Inherited => ReadinessError::Inherited,
            CannotWait::NoThread(source) => ReadinessError::Os { call: super::START, source },
        })
    }
}

fn incarnation() -> u32 {
    Incarnation::if_known().map_or(0, Incarnation::current)
}

impl Readiness {
    fn new(raw: &Arc<RawQueue>, tries: Tries) -> Result<Readiness, ReadinessError> {
        let made = EventFd::new().map_err(|source| ReadinessError::Os { call: "eventfd", source })?;
        let descriptor = Arc::new(made);
        let mut readiness = Readiness {
            raw: Arc::clone(raw),
            tries,
            waker: Waker::from(Arc::clone(&descriptor)),
            descriptor,
            waiting: Waiting::new(),
            seen: raw.successes(tries),
            incarnation: incarnation(),
        };
        readiness.rearm()?;
        Ok(readiness)
    }

    /// To be called when the `try_` verb has said `Empty`, or `Full`: from now on the descriptor is
    /// readable when a call is worth its while again. It is not read by the caller.
    ///
    /// Returns `true` if one is at once: the descriptor is readable then. A loop that does not use
    /// the answer is right too, and comes back from its next wait at once. Does not wait. A new
    /// `Readiness` is armed.
    ///
    /// # Errors
    /// [`ReadinessError`]: it is not armed.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let mut readiness = queue.readable()?;
    /// assert!(!readiness.rearm()?);
    /// queue.put(&1)?;
    /// assert!(readiness.rearm()?);
    /// assert_eq!(queue.try_get()?, 1);
    /// assert!(!readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rearm(&mut self) -> Result<bool, ReadinessError> {
        if incarnation() != self.incarnation {
            return Err(ReadinessError::Inherited);
        }
        let Readiness { raw, tries, descriptor, waker, waiting, seen, .. } = self;
        let successes = raw.successes(*tries);
        if std::mem::replace(seen, successes) != successes {
            // Invariant 3.
            *waiting = Waiting::new();
        }
        if raw.is_worth_a_try(*tries) {
            descriptor.set();
            return Ok(true);
        }
        descriptor.clear();
        let (aspect, want) = raw.wanted_by(*tries);
        let share = || Arc::clone(raw) as Arc<dyn Awaited>;
        let subject =
            Subject { address: raw.words_of(aspect), aspect, want: &Cell::new(want), spins: 0, stop: None, share: &share };
        let check = || if raw.is_worth_a_try(*tries) { Tried::Done(Ok(())) } else { Tried::Nothing };
        // Invariant 2. A poll that only yields has called the waker.
        match waiting.poll(&mut Context::from_waker(waker), &subject, check) {
            Poll::Pending => Ok(false),
            Poll::Ready(armed) => {
                armed?;
                descriptor.set();
                Ok(true)
            }
        }
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for Readiness {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = out.debug_struct("Readiness");
        fields.field("descriptor", &self.as_raw_fd()).field("tries", &self.tries).field("waiting", &self.waiting);
        fields.finish_non_exhaustive()
    }
}

impl<T: ?Sized + Message> Queue<T> {
    /// A descriptor for an event loop, which becomes readable when [`try_get`](Self::try_get), or
    /// another `try_` form that gets, is worth a call: see [`Readiness`], also for the protocol.
    ///
    /// # Errors
    /// `Os` if no descriptor is free, or the thread that waits for futures cannot be started; what
    /// kept this process from attaching after a fork.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let mut readiness = queue.readable()?;
    /// queue.put(&1)?;
    /// assert_eq!(queue.try_get()?, 1);
    /// assert!(!readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readable(&self) -> Result<Readiness, GetError> {
        self.raw().me_in_both_roles()?;
        Ok(Readiness::new(self.raw(), Tries::ToGet { by_lock: true })?)
    }

    /// A descriptor for an event loop, which becomes *readable* when [`try_put`](Self::try_put) of
    /// a message of so many bytes (`size_of_val(&message)`) is worth a call: see [`Readiness`],
    /// also for the protocol. In a queue of slices, room for some messages is not room for yours.
    ///
    /// A length that can never fit is ready at once: the put says so.
    ///
    /// # Errors
    /// As [`readable`](Self::readable).
    ///
    /// ```
    /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
    /// let message = [7; 1000];
    /// let mut readiness = queue.writable_for(message.len())?;
    /// loop {
    ///     match queue.try_put(&message) {
    ///         Ok(()) => {}
    ///         Err(shmq::PutError::Full) if !readiness.rearm()? => break, // wait until it is readable
    ///         Err(shmq::PutError::Full) => {}
    ///         Err(error) => return Err(error.into()),
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writable_for(&self, bytes: usize) -> Result<Readiness, PutError> {
        self.raw().me_in_both_roles()?;
        Ok(Readiness::new(self.raw(), Tries::ToPut { bytes, by_lock: true })?)
    }
}

impl<T: Message> Queue<T> {
    /// As [`writable_for`](Self::writable_for), for the messages of this queue, which all have one
    /// length.
    ///
    /// # Errors
    /// As [`readable`](Self::readable).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// let mut readiness = queue.writable()?;
    /// assert!(readiness.rearm()?);
    /// queue.try_put(&1)?;
    /// assert!(!readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writable(&self) -> Result<Readiness, PutError> {
        self.writable_for(size_of::<T>())
    }
}

impl<T: ?Sized + Message> Consumer<T> {
    /// As [`Queue::readable`](crate::Queue::readable).
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let consumer = queue.consumer()?;
    /// let mut readiness = consumer.readable()?;
    /// queue.put(&1)?;
    /// assert_eq!(consumer.try_get()?, 1);
    /// assert!(!readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readable(&self) -> Result<Readiness, GetError> {
        let (raw, owner) = self.parts();
        raw.check(owner)?;
        Ok(Readiness::new(raw, Tries::ToGet { by_lock: false })?)
    }
}

impl<T: ?Sized + Message> Producer<T> {
    /// As [`Queue::writable_for`](crate::Queue::writable_for).
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// let producer = queue.producer()?;
    /// let mut readiness = producer.writable_for(size_of::<u64>())?;
    /// producer.try_put(&1)?;
    /// assert!(!readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writable_for(&self, bytes: usize) -> Result<Readiness, PutError> {
        let (raw, owner) = self.parts();
        raw.check(owner)?;
        Ok(Readiness::new(raw, Tries::ToPut { bytes, by_lock: false })?)
    }
}

impl<T: Message> Producer<T> {
    /// As [`Queue::writable`](crate::Queue::writable).
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// let mut readiness = queue.producer()?.writable()?;
    /// assert!(readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writable(&self) -> Result<Readiness, PutError> {
        self.writable_for(size_of::<T>())
    }
}

impl<T: ?Sized + Message> Receiver<T> {
    /// As [`Queue::readable`](crate::Queue::readable).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let receiver = queue.receiver();
    /// let mut readiness = receiver.readable()?;
    /// queue.put(&1)?;
    /// assert_eq!(receiver.try_get()?, 1);
    /// assert!(!readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn readable(&self) -> Result<Readiness, GetError> {
        self.used()?;
        Ok(Readiness::new(self.shared(), Tries::ToGet { by_lock: true })?)
    }
}

impl<T: ?Sized + Message> Sender<T> {
    /// As [`Queue::writable_for`](crate::Queue::writable_for).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// let sender = queue.sender();
    /// let mut readiness = sender.writable_for(size_of::<u64>())?;
    /// sender.try_put(&1)?;
    /// assert!(!readiness.rearm()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writable_for(&self, bytes: usize) -> Result<Readiness, PutError> {
        self.used()?;
        Ok(Readiness::new(self.shared(), Tries::ToPut { bytes, by_lock: true })?)
    }
}
