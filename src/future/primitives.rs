//! Futures of the primitives of `sync`.

use super::Outcome;
use crate::attachment::Attached;
use crate::reactor::{Aspect, Awaited, Subject, Tried, Waiting, Want};
use crate::sync::primitive::Primitive;
use crate::sync::{Event, Permit, Semaphore, SyncError};
use crate::wait::Wait;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Polls a call of a primitive.
fn poll_primitive<R>(
    waiting: &mut Waiting,
    context: &mut Context<'_>,
    primitive: &Primitive,
    want: Want,
    share: &dyn Fn() -> Arc<dyn Awaited>,
    mut attempt: impl FnMut() -> Result<R, SyncError>,
) -> Poll<Result<R, SyncError>> {
    let address = primitive.condvar().address();
    let subject = Subject { address, aspect: Aspect::Given, want: &Cell::new(want), spins: 0, stop: primitive.stop(), share };
    waiting.poll(context, &subject, || match SyncError::tried(attempt()) {
        Tried::Nothing | Tried::Busy if primitive.is_interrupted() => Tried::Done(Err(SyncError::INTERRUPTED)),
        tried => tried,
    })
}

/// Waits until an event is set: the future of [`Event::wait_async`].
///
/// Cancel safe: it changes nothing.
///
/// ```
/// use std::{future::Future, pin::Pin, task::{Context, Poll, Waker}};
///
/// let event = shmq::sync::Event::new()?;
/// let mut set = event.wait_async();
/// let mut context = Context::from_waker(Waker::noop());
/// assert!(Pin::new(&mut set).poll(&mut context).is_pending());
/// event.set();
/// assert!(matches!(Pin::new(&mut set).poll(&mut context), Poll::Ready(Ok(()))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct WaitEvent<'e> {
    event: &'e Event,
    /// The number of changes when it was made.
    seen: u64,
    waiting: Waiting,
}

impl Future for WaitEvent<'_> {
    type Output = Result<(), SyncError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let WaitEvent { event, seen, waiting } = &mut *self;
        let primitive = event.primitive();
        let share = || Arc::new(event.clone()) as Arc<dyn Awaited>;
        poll_primitive(waiting, context, primitive, Want { units: *seen, ..Want::ONE }, &share, || {
            primitive.me()?;
            if event.was_set_since(*seen) { Ok(()) } else { Err(SyncError::WouldBlock) }
        })
    }
}

impl fmt::Debug for WaitEvent<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("WaitEvent").field(&self.waiting).finish()
    }
}

/// Takes a permit as a guard: the future of [`Semaphore::permit_async`].
///
/// Cancel safe: dropped before it was Ready, it has taken none. A permit that it was woken for goes
/// to the next that waits.
///
/// ```
/// use std::{future::Future, pin::Pin, task::{Context, Poll, Waker}};
///
/// let semaphore = shmq::sync::Semaphore::new(1)?;
/// let permit = semaphore.permit()?;
/// let mut next = semaphore.permit_async();
/// let mut context = Context::from_waker(Waker::noop());
/// assert!(Pin::new(&mut next).poll(&mut context).is_pending());
/// drop(permit);
/// assert!(matches!(Pin::new(&mut next).poll(&mut context), Poll::Ready(Ok(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct TakePermit<'s> {
    semaphore: &'s Semaphore,
    waiting: Waiting,
}

impl<'s> Future for TakePermit<'s> {
    type Output = Result<Permit<'s>, SyncError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let TakePermit { semaphore, waiting } = &mut *self;
        let semaphore: &'s Semaphore = semaphore;
        let share = || Arc::new(semaphore.clone()) as Arc<dyn Awaited>;
        poll_primitive(waiting, context, semaphore.primitive(), Want::ONE, &share, || semaphore.permit_by(Wait::AtOnce))
    }
}

impl fmt::Debug for TakePermit<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("TakePermit").field(&self.waiting).finish()
    }
}

impl Event {
    /// Waits until it is set, as [`wait`](Self::wait), without blocking a thread: see
    /// [`future`](crate::future).
    ///
    /// The wait begins when the future is made, not when it is polled first: it is released by each
    /// set since then, also by one that was cleared before the task ran. Cancel safe: it changes
    /// nothing.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); `Inherited` for a future that waited already when the process
    /// forked, `Os` if the thread that waits for futures cannot be started.
    ///
    /// ```
    /// let event = shmq::sync::Event::new()?;
    /// let set = event.wait_async();
    /// event.set();
    /// event.clear();
    /// futures::executor::block_on(set)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_async(&self) -> WaitEvent<'_> {
        WaitEvent { event: self, seen: self.changes(), waiting: Waiting::new() }
    }
}

impl Semaphore {
    /// Takes a permit as a guard, as [`permit`](Self::permit), without blocking a thread: see
    /// [`future`](crate::future).
    ///
    /// The guard may be held across an `.await`, and goes with its task to another thread. One
    /// permit is a lock for async code, which the death of its holder gives back: see
    /// [`sync`](crate::sync#futures). Cancel safe: a future that is dropped before it was Ready has
    /// taken none.
    ///
    /// # Errors
    /// As [`permit`](Self::permit); `Inherited` for a future that waited already when the process
    /// forked, `Os` if the thread that waits for futures cannot be started.
    ///
    /// ```
    /// let semaphore = shmq::sync::Semaphore::new(1)?;
    /// futures::executor::block_on(async {
    ///     let permit = semaphore.permit_async().await?;
    ///     assert_eq!(semaphore.value(), 0);
    ///     drop(permit);
    ///     Ok::<(), shmq::sync::SyncError>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn permit_async(&self) -> TakePermit<'_> {
        TakePermit { semaphore: self, waiting: Waiting::new() }
    }
}
