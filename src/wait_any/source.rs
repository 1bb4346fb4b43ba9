//! What can be waited for together with other things, and how each of them is checked.

use crate::attachment::Attached;
use crate::dynamic::{DynConsumer, DynQueue, DynReceiver, DynSubscriber};
use crate::lock::Condvar;
use crate::message::Message;
#[cfg(feature = "object")]
use crate::object::{ObjectQueue, ObjectReceiver, ObjectSubscriber};
use crate::os::{Deadline, MemoryBarrier};
use crate::process::Process;
use crate::queue::{Consumer, Queue, Receiver};
use crate::raw::{RawQueue, RawSubscriber};
use crate::sync::{Event, Pipe, Semaphore};
use crate::topic::Subscriber;
use crate::wait::{Stop, Wait};

/// What [`wait_any`](crate::wait_any()) can wait for.
///
/// | | ready when |
/// |---|---|
/// | [`Queue`] | a get would not wait: there is a message, or it is closed and drained |
/// | [`Receiver`] | the same |
/// | [`Consumer`] | the same; a queue with a live consumer refuses gets, so wait with that |
/// | `ObjectQueue`, [`DynQueue`], [`DynReceiver`], [`DynConsumer`] | the same as their typed kin |
/// | [`Subscriber`], `ObjectSubscriber`, [`DynSubscriber`] | its `next` would not wait: a message, `Lagged`, `Evicted`, or the end |
/// | [`Pipe`] | as a queue, of what comes in |
/// | [`Event`] | it is set, or was since the wait began |
/// | [`Semaphore`] | there is a permit |
/// | [`Process`] | it has ended |
/// | [`Stop`] | it is set |
///
/// It cannot be implemented by hand.
///
/// ```
/// use shmq::{Queue, Waitable, sync::Event, wait_any};
///
/// let (work, stop) = (Queue::<u32>::new(4)?, Event::new()?);
/// let both: [&dyn Waitable; 2] = [&stop, &work];
/// work.put(&1)?;
/// assert_eq!(wait_any(&both, None)?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Waitable {
    /// What to check, and where to sleep.
    #[doc(hidden)]
    fn source(&self) -> WaitSource<'_>;
}

/// Only this crate can make one, so only this crate can implement [`Waitable`].
#[derive(Debug)]
pub struct WaitSource<'a>(pub(super) SourceKind<'a>);

#[derive(Clone, Copy, Debug)]
pub(super) enum SourceKind<'a> {
    Queue(&'a RawQueue),
    Subscriber(&'a RawSubscriber),
    Event(&'a Event),
    Semaphore(&'a Semaphore),
    Process(&'a Process),
    Stop(&'a Stop),
    /// Its verb returns at once, with an error.
    Refused,
}

impl<T: ?Sized + Message> Waitable for Queue<T> {
    fn source(&self) -> WaitSource<'_> {
        // A wait is a use; what it could not attach for, its verb reports (Invariant 3 of the
        // module).
        let _ = self.raw().me_in_both_roles();
        WaitSource(SourceKind::Queue(self.raw()))
    }
}

impl<T: ?Sized + Message> Waitable for Receiver<T> {
    fn source(&self) -> WaitSource<'_> {
        WaitSource(SourceKind::Queue(self.waited_for()))
    }
}

impl<T: ?Sized + Message> Waitable for Consumer<T> {
    fn source(&self) -> WaitSource<'_> {
        WaitSource(self.waited_for().map_or(SourceKind::Refused, SourceKind::Queue))
    }
}

impl<T: ?Sized + Message> Waitable for Subscriber<T> {
    fn source(&self) -> WaitSource<'_> {
        WaitSource(SourceKind::Subscriber(self.raw()))
    }
}

impl Waitable for DynQueue {
    fn source(&self) -> WaitSource<'_> {
        self.bytes().source()
    }
}

impl Waitable for DynReceiver {
    fn source(&self) -> WaitSource<'_> {
        self.bytes().source()
    }
}

impl Waitable for DynConsumer {
    fn source(&self) -> WaitSource<'_> {
        self.bytes().source()
    }
}

impl Waitable for DynSubscriber {
    fn source(&self) -> WaitSource<'_> {
        WaitSource(SourceKind::Subscriber(self.raw()))
    }
}

#[cfg(feature = "object")]
impl<T, C> Waitable for ObjectQueue<T, C> {
    fn source(&self) -> WaitSource<'_> {
        self.bytes().source()
    }
}

#[cfg(feature = "object")]
impl<T, C> Waitable for ObjectSubscriber<T, C> {
    fn source(&self) -> WaitSource<'_> {
        self.bytes().source()
    }
}

#[cfg(feature = "object")]
impl<T, C> Waitable for ObjectReceiver<T, C> {
    fn source(&self) -> WaitSource<'_> {
        self.bytes.source()
    }
}

impl<A: ?Sized + Message, B: ?Sized + Message> Waitable for Pipe<A, B> {
    fn source(&self) -> WaitSource<'_> {
        self.incoming().source()
    }
}

impl Waitable for Event {
    fn source(&self) -> WaitSource<'_> {
        WaitSource(SourceKind::Event(self))
    }
}

impl Waitable for Semaphore {
    fn source(&self) -> WaitSource<'_> {
        WaitSource(SourceKind::Semaphore(self))
    }
}

impl Waitable for Process {
    fn source(&self) -> WaitSource<'_> {
        WaitSource(SourceKind::Process(self))
    }
}

impl Waitable for Stop {
    fn source(&self) -> WaitSource<'_> {
        WaitSource(SourceKind::Stop(self))
    }
}

/// A source that is waited for, and its state at the beginning.
pub(super) struct Watched<'a> {
    pub(super) kind: SourceKind<'a>,
    seen: u64,
    /// Could this process attach to it? If not, its verb says so (Invariant 3 of the module).
    attached: bool,
}

impl<'a> Watched<'a> {
    pub(super) fn new(kind: SourceKind<'a>) -> Watched<'a> {
        let attached = match kind {
            SourceKind::Queue(raw) => raw.is_attached(),
            SourceKind::Event(event) => event.primitive().me().is_ok(),
            SourceKind::Semaphore(semaphore) => semaphore.primitive().me().is_ok(),
            // An inherited one is ready with its refusal.
            SourceKind::Subscriber(_) | SourceKind::Process(_) | SourceKind::Stop(_) | SourceKind::Refused => true,
        };
        let seen = if let SourceKind::Event(event) = kind { event.changes() } else { 0 };
        Watched { kind, seen, attached }
    }

    pub(super) fn is_ready(&self) -> bool {
        let ready = match self.kind {
            SourceKind::Queue(raw) => raw.is_ready_to_get(),
            SourceKind::Subscriber(subscriber) => subscriber.is_ready_to_read(),
            SourceKind::Event(event) => event.was_set_since(self.seen),
            SourceKind::Semaphore(semaphore) => semaphore.has_permits(),
            SourceKind::Process(process) => process.has_ended(),
            SourceKind::Stop(stop) => stop.is_set(),
            SourceKind::Refused => true,
        };
        ready || !self.attached
    }
}

impl<'a> SourceKind<'a> {
    /// The condition variable to register with and to sleep on, and the barrier between the two.
    pub(super) fn condvar(self) -> Option<(Condvar<'a>, &'a MemoryBarrier)> {
        match self {
            SourceKind::Queue(raw) => Some((raw.getters(), raw.barrier())),
            SourceKind::Subscriber(subscriber) => Some((subscriber.raw().getters(), subscriber.raw().barrier())),
            SourceKind::Event(event) => Some((event.primitive().condvar(), event.primitive().barrier())),
            SourceKind::Semaphore(semaphore) => Some((semaphore.primitive().condvar(), semaphore.primitive().barrier())),
            SourceKind::Process(_) | SourceKind::Stop(_) | SourceKind::Refused => None,
        }
    }

    /// The stop of the handle, which ends the wait.
    pub(super) fn stop(self) -> Option<&'a Stop> {
        match self {
            SourceKind::Queue(raw) => raw.stop(),
            SourceKind::Subscriber(subscriber) => subscriber.raw().stop(),
            SourceKind::Event(event) => event.primitive().stop(),
            SourceKind::Semaphore(semaphore) => semaphore.primitive().stop(),
            SourceKind::Process(_) | SourceKind::Stop(_) | SourceKind::Refused => None,
        }
    }

    /// The same, or the stop that is itself waited for.
    pub(super) fn stop_to_sleep_for(self) -> Option<&'a Stop> {
        if let SourceKind::Stop(stop) = self { Some(stop) } else { self.stop() }
    }

    /// Changes whenever it ceases to be ready: what never does needs to show nothing.
    pub(super) fn ceased(self) -> [u64; 3] {
        match self {
            SourceKind::Queue(raw) => raw.takes(),
            SourceKind::Semaphore(semaphore) => semaphore.permits_seen(),
            // Once it is ready, it is for the whole wait: the thread that waits is the only one
            // that reads.
            SourceKind::Subscriber(_)
            | SourceKind::Event(_)
            | SourceKind::Process(_)
            | SourceKind::Stop(_)
            | SourceKind::Refused => [0; 3],
        }
    }

    pub(super) fn probe_for_the_dead(self, deadline: Deadline) {
        match self {
            SourceKind::Queue(raw) => raw.periodic_probe(deadline),
            SourceKind::Subscriber(subscriber) => subscriber.probe(),
            SourceKind::Semaphore(semaphore) => semaphore.probe_for_the_dead(Wait::Never),
            SourceKind::Event(_) | SourceKind::Process(_) | SourceKind::Stop(_) | SourceKind::Refused => {}
        }
    }

    /// It will not move for a while: what others may be waiting for, they learn now.
    pub(super) fn prepare_to_sleep(self) {
        if let SourceKind::Subscriber(subscriber) = self {
            subscriber.wake_before_sleep();
        }
    }

    pub(super) fn pass_on(self) {
        match self {
            SourceKind::Queue(raw) => raw.pass_on(),
            SourceKind::Semaphore(semaphore) if semaphore.has_permits() => semaphore.primitive().notify(1),
            // An event wakes all, and so does a message of a topic.
            SourceKind::Semaphore(_)
            | SourceKind::Subscriber(_)
            | SourceKind::Event(_)
            | SourceKind::Process(_)
            | SourceKind::Stop(_)
            | SourceKind::Refused => {}
        }
    }
}
