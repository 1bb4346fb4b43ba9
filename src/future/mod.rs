//! Futures and streams of queues: waiting without a blocked thread, under any executor.
//!
//! | to wait for | future | made by |
//! |---|---|---|
//! | a message, by copy | [`Get`], [`GetSlice`] | `get_async`, `get_slice_async` |
//! | a message, on lease | [`LeaseAsync`] | `lease_async` |
//! | all messages, one after the other | [`Messages`], [`Leases`] | `stream`, `into_stream`; `lease_stream`, `into_lease_stream` |
//! | room for a message | [`Put`], [`PutSlice`], [`LoanAsync`] | `put_async`, `put_slice_async`, `loan_async` |
//! | room for each message of a stream | `PutSink`, with the feature `sink` | `sink` |
//! | the next message of a topic | [`Get`], [`Messages`], [`ReadAsync`] | `next_async`, `stream`, `read_async` of a [`Subscriber`](crate::Subscriber) |
//! | room in a topic | [`Put`] | `publish_async` |
//! | that all messages are finished | [`Join`] | `join_async` |
//! | that the queue is closed | [`Closed`] | `closed` |
//! | an event, a permit | [`WaitEvent`], [`TakePermit`] | `Event::wait_async`, `Semaphore::permit_async` |
//! | the end of a process | [`JoinAsync`] | [`Process::join_async`](crate::Process::join_async) |
//! | the result of a pool's task | `TaskFuture` | `.await` of an `AsyncResult` |
//! | results one by one | `ImapStream` | `Imap::into_stream` |
//! | a message, or room, in an event loop of one's own | [`Readiness`], a descriptor | `readable`, `writable_for` |
//!
//! No runtime is named here: tokio, smol, `futures::executor` and one's own all poll these futures
//! in the same way. They are `Unpin`, so that `Pin::new(&mut future).poll(context)` polls one by
//! hand.
//!
//! **Cancel safety.** A future that is dropped before it returned Ready has done nothing: it took
//! no message, put none, and holds no place in line. An operation commits only inside the poll that
//! returns Ready, and no thread takes anything on a task's behalf. What no library can give: where
//! a task runs on its own (`spawn(async move { queue.get_async().await })`) and its handle is
//! dropped, the message goes with the result that nobody reads. Lease it, or let the task use it.
//!
//! **How they wait.** The first future of a process that must wait starts one thread,
//! `shmq-reactor`, which sleeps in the kernel for all of them (`futex_waitv`, up to 127 sides of
//! queues a thread) and calls their wakers. It takes nothing and has all signals blocked. A poll
//! neither sleeps nor waits for a lock: if the side is locked by a process that does not run, one
//! of the waiting tasks tries again after 1 to 5 ms. Where a sandbox refuses `futex_waitv`, the
//! thread checks every 1 to 10 ms instead.
//!
//! Results of a pool's tasks are awaited without it: the pool's own thread wakes. For ends of
//! processes there is another thread, `shmq-processes`, which sleeps in `poll` on their pidfds.
//!
//! **Which task is woken.** One for each message, in the order in which they began to wait; of
//! those that wait for room, those whose message fits; all of them when the queue is closed. A task
//! that was woken and ends without taking its message (a `select!` that took another arm, say)
//! hands the wake on. One that was woken and is not polled for 0.1 s (its executor is blocked) is
//! no longer counted on: the next is woken, in this process and in others.
//!
//! **Subscribers of a topic** each wait for their own next message, whatever the others do: each
//! message wakes the tasks of all.
//!
//! **If a process dies**, futures behave as blocked calls do: what it held on lease comes back 0.2
//! s after its death at the latest, and a side that it had locked is repaired. The reactor spends 1
//! ms of each 100 on probes, for each 127 sides: where that is not enough for all of them, each has
//! its turn later.
//!
//! **A stop**: the futures of a handle made by `with_stop` end with `Interrupted` once the stop is
//! set, where they would have to wait.
//!
//! **After a fork** a future that was waiting belongs to the parent: polled in the child it returns
//! `Inherited`, and dropped there it touches nothing. New futures of the child start a reactor of
//! its own. **A future that is forgotten** (`std::mem::forget`) keeps its queue attached, and its
//! place in line; a message that it was woken for goes to the next task after 0.1 s.
//!
//! **Fairness to other tasks**: of many polls in a row that return Ready, one in 128 yields to the
//! executor first, so that a loop over a queue that is never empty does not starve its thread.
//!
//! ```
//! use shmq::Queue;
//!
//! let queue = Queue::<u64>::new(8)?;
//! let sum = futures::executor::block_on(async {
//!     queue.put_async(&1).await?;
//!     queue.put_async(&2).await?;
//!     Ok::<u64, Box<dyn std::error::Error>>(queue.get_async().await? + queue.get_async().await?)
//! })?;
//! assert_eq!(sum, 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod control;
mod dynamic;
mod get;
mod lease;
mod messages;
#[cfg(feature = "object")]
mod objects;
mod primitives;
mod put;
mod readiness;
#[cfg(feature = "sink")]
mod sink;
mod topics;

pub use control::{Closed, Join};
pub use get::{Get, GetSlice};
pub use lease::{LeaseAsync, Leases};
pub use messages::{Messages, Owned};
#[cfg(feature = "object")]
pub use objects::{GetBatch, PutObject, PutObjects};
pub use primitives::{TakePermit, WaitEvent};
pub use put::{LoanAsync, Put, PutSlice, PutsAsync};
pub use readiness::{Readiness, ReadinessError};
#[cfg(feature = "sink")]
pub use sink::PutSink;
pub use topics::ReadAsync;

#[cfg(feature = "object")]
pub use crate::pool::{ImapStream, TaskFuture};
pub use crate::process::JoinAsync;

use crate::error::{GetError, JoinError, PutError};
use crate::raw::RawQueue;
use crate::reactor::{Aspect, Awaited, CannotWait, Subject, Tried, Waiting, Want};
use crate::sync::SyncError;
use crate::wait::Stop;
use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What the thread of the reactor is started by, in errors.
const START: &str = "pthread_create (the thread shmq-reactor, which waits for all futures of this process)";

macro_rules! from_cannot_wait {
    ($($error:ident),*) => {$(
        impl<R> From<CannotWait> for Result<R, $error> {
            fn from(refused: CannotWait) -> Self {
                Err(match refused {
                    CannotWait::Inherited => $error::Inherited,
                    CannotWait::NoThread(source) => $error::Os { call: START, source },
                })
            }
        }
    )*};
}
from_cannot_wait!(PutError, GetError, JoinError, SyncError);

/// Is a failed try one that waits, or one that is over?
pub(crate) trait Outcome: Sized {
    /// The stop of the handle is set.
    const INTERRUPTED: Self;

    /// There is nothing to take, or no room.
    fn is_nothing(&self) -> bool;

    /// The side's lock is contended.
    fn is_busy(&self) -> bool;

    /// Is this an error that waits?
    fn waits(&self) -> bool {
        self.is_nothing() || self.is_busy()
    }

    #[inline]
    fn tried<R>(result: Result<R, Self>) -> Tried<Result<R, Self>> {
        match result {
            Err(error) if error.is_nothing() => Tried::Nothing,
            Err(error) if error.is_busy() => Tried::Busy,
            over => Tried::Done(over),
        }
    }
}

macro_rules! outcomes {
    ($($error:ident: $nothing:pat,)*) => {$(
        impl Outcome for $error {
            const INTERRUPTED: $error = $error::Interrupted;

            fn is_nothing(&self) -> bool {
                matches!(self, $nothing)
            }

            fn is_busy(&self) -> bool {
                matches!(self, $error::Busy)
            }
        }
    )*};
}
outcomes! {
    GetError: GetError::Empty,
    PutError: PutError::Full,
    JoinError: JoinError::Timeout { .. },
    SyncError: SyncError::WouldBlock,
}

/// The first try of a poll; Pending if the poll is to go on.
///
/// The result is taken apart: moved as a whole, just after its tag was written, it would be loaded
/// wider than it was stored, and such a load waits for the store (measured: half the time of a
/// stream).
#[inline(always)]
pub(crate) fn try_first<R, E: Outcome>(waiting: &Waiting, attempt: impl FnOnce() -> Result<R, E>) -> Poll<Result<R, E>> {
    if !waiting.may_try() {
        return Poll::Pending;
    }
    match attempt() {
        Ok(done) => {
            Waiting::note_ready();
            Poll::Ready(Ok(done))
        }
        Err(error) => after_error(error),
    }
}

#[cold]
#[inline(never)]
fn after_error<R, E: Outcome>(error: E) -> Poll<Result<R, E>> {
    if error.waits() {
        return Poll::Pending;
    }
    Waiting::note_ready();
    Poll::Ready(Err(error))
}

/// Polls a call of a queue. What only a wait needs is made where it waits: a task that finds
/// messages pays for the try alone. A try that waits says what for, if that is not `want`.
#[inline]
pub(crate) fn poll_queue<R, E: Outcome>(
    waiting: &mut Waiting,
    context: &mut Context<'_>,
    raw: &Arc<RawQueue>,
    aspect: Aspect,
    want: Want,
    mut attempt: impl FnMut(Option<&Cell<Want>>) -> Result<R, E>,
) -> Poll<Result<R, E>>
where
    Result<R, E>: From<CannotWait>,
{
    match try_first(waiting, || attempt(None)) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => poll_slowly(waiting, context, raw, (aspect, want), &mut attempt),
    }
}

/// A try, which says what it waits for where it is asked.
type Attempt<'a, R, E> = dyn FnMut(Option<&Cell<Want>>) -> Result<R, E> + 'a;

/// As [`poll_queue`], after a first try.
#[cold]
#[inline(never)]
pub(crate) fn poll_slowly<R, E: Outcome>(
    waiting: &mut Waiting,
    context: &mut Context<'_>,
    raw: &Arc<RawQueue>,
    (aspect, want): (Aspect, Want),
    attempt: &mut Attempt<'_, R, E>,
) -> Poll<Result<R, E>>
where
    Result<R, E>: From<CannotWait>,
{
    let wanted = Cell::new(want);
    let share = || Arc::clone(raw) as Arc<dyn Awaited>;
    let subject = Subject {
        address: raw.words_of(aspect),
        aspect,
        want: &wanted,
        spins: raw.spins_of_polls(),
        stop: raw.stop(),
        share: &share,
    };
    if waiting.may_try() {
        // The first try found nothing.
        match aspect {
            Aspect::Message => raw.gather_for_poll(want.by_lock),
            Aspect::Room => raw.await_room_for_poll(),
            _ => {}
        }
    }
    // It tries once more before it registers: that try says what is wanted.
    waiting.poll_slowly(context, &subject, false, &mut || tried(raw, attempt(Some(&wanted))))
}

/// What one try of a handle came to: a stop that is set ends it where it would wait.
fn tried<R, E: Outcome>(raw: &RawQueue, result: Result<R, E>) -> Tried<Result<R, E>> {
    match E::tried(result) {
        Tried::Nothing | Tried::Busy if raw.stop().is_some_and(Stop::is_set) => Tried::Done(Err(E::INTERRUPTED)),
        tried => tried,
    }
}

/// What each getter wants.
pub(crate) const ONE_BY_LOCK: Want = Want { by_lock: true, ..Want::ONE };
pub(crate) const ONE_AS_OWNER: Want = Want::ONE;
