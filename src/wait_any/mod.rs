//! [`wait_any`]: waiting for several things at once.
//!
//! ```text
//!   look at each --none ready--> register with each, heavy barrier, look again --none--> sleep on all words at once --> deregister --> look
//!                                                                    (a pidfd among them: in slices, with a look at it after each)
//! ```
//!
//! Invariants:
//! 1. With each place the order of `lock`'s Invariant 3 is kept: the sequence is read before registering, and the look comes after the
//!    barrier. So a notifier of any place sees us, or we see what it did.
//! 2. Every sleep is cut into slices, after which the dead are looked for, as in every blocked call.
//! 3. "Ready" means that the thing's own verb would return at once, with an error perhaps. So there is nothing to report here.
//! 4. `Timeout` means that there was a moment at which none was ready. They are looked at one after
//!    the other, so that alone does not follow from a look: one may cease to be ready when the next
//!    begins to be. It does if none ceased to be ready meanwhile, which each shows by what it
//!    counts ([`SourceKind::ceased`]).

use crate::backoff::AdaptiveSpin;
use crate::lock::{Condvar, Registration, sleep_any, unordered_moment};
use crate::message::Message;
#[cfg(feature = "object")]
use crate::object::ObjectQueue;
use crate::os::{Deadline, MemoryBarrier, poll_readable};
use crate::process::Process;
use crate::queue::{Consumer, Queue};
use crate::raw::RawQueue;
use crate::sync::{Event, Pipe, Semaphore};
use crate::wait::{Sleeper, Step, Wait, WaitStrategy, Waiter};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Longest sleep while a process is waited for together with other things, or one without a pidfd.
const PROCESS_SLICE_NS: u64 = 10_000_000;
/// Looks for a moment at which none was ready, before the deadline is said to have passed.
const LAST_LOOKS: u32 = 100;
/// Of all waits for several things in this process: a list has nothing of its own that lasts.
static ADAPTIVE_SPIN: AdaptiveSpin = AdaptiveSpin::new();

/// Why [`wait_any`] named nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The deadline passed. Never reported early.
    #[error("timed out before any of them was ready")]
    Timeout,
    /// [`try_wait_any`] found none of them ready.
    #[error("none of them is ready")]
    WouldBlock,
    /// The list is empty: nothing could ever be ready.
    #[error("there is nothing to wait for: the list is empty")]
    Empty,
}

impl WaitError {
    /// Is it [`Timeout`](WaitError::Timeout)?
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// assert!(shmq::wait_any_timeout(&[&queue], std::time::Duration::ZERO).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, WaitError::Timeout)
    }

    /// Is it [`WouldBlock`](WaitError::WouldBlock)?
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// assert!(shmq::try_wait_any(&[&queue]).unwrap_err().is_would_block());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_would_block(&self) -> bool {
        matches!(self, WaitError::WouldBlock)
    }

    /// Is it [`Empty`](WaitError::Empty): a list of nothing?
    ///
    /// ```
    /// assert!(shmq::wait_any(&[], None).unwrap_err().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        matches!(self, WaitError::Empty)
    }
}

/// What [`wait_any`] can wait for.
///
/// | | ready when |
/// |---|---|
/// | [`Queue`] | a get would not wait: there is a message, or it is closed and drained |
/// | [`Consumer`] | the same; wait with it rather than with its queue, whose gets are refused while it lives |
/// | `ObjectQueue` | the same as a queue |
/// | [`Pipe`] | the same of what comes in |
/// | [`Event`] | it is set, or was since the wait began |
/// | [`Semaphore`] | there is a permit |
/// | [`Process`] | it has ended |
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
    /// Where to look, and where to sleep.
    #[doc(hidden)]
    fn source(&self) -> Source<'_>;
}

/// Nobody outside can make one, so nobody outside can implement [`Waitable`].
#[derive(Debug)]
pub struct Source<'a>(SourceKind<'a>);

#[derive(Clone, Copy, Debug)]
enum SourceKind<'a> {
    Queue(&'a RawQueue),
    Event(&'a Event),
    Semaphore(&'a Semaphore),
    Process(&'a Process),
    /// Its verb returns at once, with an error.
    Refused,
}

impl<T: ?Sized + Message> Waitable for Queue<T> {
    fn source(&self) -> Source<'_> {
        Source(SourceKind::Queue(self.raw()))
    }
}

impl<T: ?Sized + Message> Waitable for Consumer<T> {
    fn source(&self) -> Source<'_> {
        Source(self.waited_for().map_or(SourceKind::Refused, SourceKind::Queue))
    }
}

#[cfg(feature = "object")]
impl<T, C> Waitable for ObjectQueue<T, C> {
    fn source(&self) -> Source<'_> {
        self.bytes().source()
    }
}

impl<A: ?Sized + Message, B: ?Sized + Message> Waitable for Pipe<A, B> {
    fn source(&self) -> Source<'_> {
        self.incoming().source()
    }
}

impl Waitable for Event {
    fn source(&self) -> Source<'_> {
        Source(SourceKind::Event(self))
    }
}

impl Waitable for Semaphore {
    fn source(&self) -> Source<'_> {
        Source(SourceKind::Semaphore(self))
    }
}

impl Waitable for Process {
    fn source(&self) -> Source<'_> {
        Source(SourceKind::Process(self))
    }
}

/// Waits until one of these is ready, and returns its index: the lowest, if several are. Python's `multiprocessing.connection.wait`.
///
/// Ready means that its own verb (`get`, `acquire`, `join` ...) would return at once, as far as can be seen: another process may be
/// faster, so use the `try_` form, and come back if there was nothing. Nothing is taken from anybody. Since the lowest index wins, put what
/// must not starve first, or turn the list.
///
/// `deadline`: an [`Instant`], or `None` to wait for ever. One in the past means one look, at all
/// of them at one moment: while one or the other is always ready, the call never says
/// [`Timeout`](WaitError::Timeout). Its other forms are [`wait_any_timeout`], [`wait_any_deadline`] and [`try_wait_any`].
///
/// **How it sleeps**: on all of them at once (`futex_waitv`, Linux 5.16), for up to 128; with more, or on an older kernel, it looks every
/// 2 ms. The end of a process is noticed at once if only processes are waited for, otherwise within 10 ms, since the kernel
/// has no sleep for both kinds. Between looks no processor time is used. What dead processes left behind is looked for ten times a second.
///
/// # Async
///
/// Like every blocking call of this crate it must not run in an executor's thread. Give it, or a plain `get`, a thread that may block; the `try_`
/// forms and the setters (`Event::set`, `Semaphore::release`) need none. A call that was given away is not cancelled by dropping its future: use a
/// deadline, or have an [`Event`] in the list that says "stop".
///
/// ```
/// use shmq::{Queue, sync::Event, wait_any};
///
/// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
/// runtime.block_on(async {
///     let (jobs, stop) = (Queue::<u64>::new(4)?, Event::new()?);
///     let (jobs_there, stop_there) = (jobs.clone(), stop.clone());
///     let waiting = tokio::task::spawn_blocking(move || match wait_any(&[&stop_there, &jobs_there], None) {
///         Ok(1) => jobs_there.try_get().ok(),
///         _ => None,
///     });
///     jobs.try_put(&42)?;
///     assert_eq!(waiting.await?, Some(42));
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`WaitError`].
///
/// ```
/// use std::time::{Duration, Instant};
/// use shmq::{Process, Queue, WaitError, wait_any};
///
/// let results = Queue::<u64>::new(8)?;
/// let worker = Process::spawn(|| results.put(&42))?;
/// // A result, or the news that none will come.
/// match wait_any(&[&results, &worker], Instant::now() + Duration::from_secs(60))? {
///     0 => assert_eq!(results.get()?, 42),
///     _ => assert_eq!(results.try_get()?, 42), // it ended so fast that both were ready, or before we looked at the queue again
/// }
/// assert_eq!(wait_any(&[&results], Instant::now()), Err(WaitError::Timeout));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wait_any(waitables: &[&dyn Waitable], deadline: impl Into<Option<Instant>>) -> Result<usize, WaitError> {
    wait_until(waitables, deadline.into().map_or(Deadline::NEVER, Deadline::at))
}

/// Like [`wait_any`], but gives up with [`Timeout`](WaitError::Timeout) after `timeout`, never earlier. Zero means one look; one too long
/// to add to now means for ever.
///
/// # Errors
/// [`WaitError`].
///
/// ```
/// use std::time::Duration;
/// use shmq::{Queue, sync::Event, wait_any_timeout};
///
/// let (work, stop) = (Queue::<u32>::new(4)?, Event::new()?);
/// assert!(wait_any_timeout(&[&stop, &work], Duration::from_millis(10)).unwrap_err().is_timeout());
/// work.put(&1)?;
/// assert_eq!(wait_any_timeout(&[&stop, &work], Duration::from_secs(60))?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wait_any_timeout(waitables: &[&dyn Waitable], timeout: Duration) -> Result<usize, WaitError> {
    wait_until(waitables, Deadline::after(timeout))
}

/// Like [`wait_any`], but gives up with [`Timeout`](WaitError::Timeout) at `deadline`, never earlier. One in the past means one look.
///
/// # Errors
/// [`WaitError`].
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let work = shmq::Queue::<u32>::new(4)?;
/// let deadline = Instant::now() + Duration::from_millis(10);
/// assert!(shmq::wait_any_deadline(&[&work], deadline).unwrap_err().is_timeout());
/// assert!(Instant::now() >= deadline);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wait_any_deadline(waitables: &[&dyn Waitable], deadline: Instant) -> Result<usize, WaitError> {
    wait_until(waitables, Deadline::at(deadline))
}

/// Like [`wait_any`] without waiting: [`WouldBlock`](WaitError::WouldBlock) if there was a moment at which none was ready.
///
/// # Errors
/// [`WaitError`].
///
/// ```
/// use shmq::{Queue, WaitError, sync::Event, try_wait_any};
///
/// let (work, stop) = (Queue::<u32>::new(4)?, Event::new()?);
/// assert_eq!(try_wait_any(&[&stop, &work]), Err(WaitError::WouldBlock));
/// stop.set();
/// assert_eq!(try_wait_any(&[&stop, &work]), Ok(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn try_wait_any(waitables: &[&dyn Waitable]) -> Result<usize, WaitError> {
    let refused = |error| if error == WaitError::Timeout { WaitError::WouldBlock } else { error };
    wait_until(waitables, Deadline::PASSED).map_err(refused)
}

/// The one path that waits.
fn wait_until(waitables: &[&dyn Waitable], deadline: Deadline) -> Result<usize, WaitError> {
    let watched: Vec<Watched<'_>> = waitables.iter().map(|waitable| Watched::new(waitable.source().0)).collect();
    if watched.is_empty() {
        return Err(WaitError::Empty);
    }
    let mut waiter = Waiter::new(Wait::Until(deadline), SleeperOnAny { watched: &watched, has_spun: false });
    loop {
        if let Some(index) = first_ready(&watched) {
            if waiter.has_slept() {
                // The wake of another may have come to us, who take what is at `index`.
                watched.iter().enumerate().filter(|&(other, _)| other != index).for_each(|(_, other)| other.kind.pass_on());
            }
            return Ok(index);
        }
        match waiter.next(&mut || first_ready(&watched).is_some()) {
            Step::CheckAgain => {}
            Step::Probe => watched.iter().for_each(|watched| watched.kind.look_after_the_dead(deadline)),
            Step::GiveUp => return first_ready_at_last(&watched).ok_or(WaitError::Timeout),
        }
    }
}

/// The [`Sleeper`] of a call that waits for several things.
struct SleeperOnAny<'a> {
    watched: &'a [Watched<'a>],
    has_spun: bool,
}

impl Sleeper for SleeperOnAny<'_> {
    /// A check of all of them costs more than one of a single thing: it spins only once.
    fn strategy(&mut self) -> WaitStrategy {
        if std::mem::replace(&mut self.has_spun, true) { WaitStrategy::Block } else { WaitStrategy::Adaptive }
    }

    fn adaptive_spin(&self) -> &AdaptiveSpin {
        &ADAPTIVE_SPIN
    }

    fn sleep(&mut self, until: Deadline, _: &mut dyn FnMut() -> bool) {
        sleep(self.watched, until);
    }
}

/// One of those that are waited for, and what it looked like at the beginning.
struct Watched<'a> {
    kind: SourceKind<'a>,
    seen: u64,
    /// Could this process attach to it? If not, its verb says so (Invariant 3).
    attached: bool,
}

impl<'a> Watched<'a> {
    fn new(kind: SourceKind<'a>) -> Watched<'a> {
        let attached = match kind {
            SourceKind::Queue(raw) => raw.is_attached(),
            SourceKind::Event(event) => event.primitive().me().is_ok(),
            SourceKind::Semaphore(semaphore) => semaphore.primitive().me().is_ok(),
            SourceKind::Process(_) | SourceKind::Refused => true,
        };
        let seen = if let SourceKind::Event(event) = kind { event.changes() } else { 0 };
        Watched { kind, seen, attached }
    }

    fn is_ready(&self) -> bool {
        let ready = match self.kind {
            SourceKind::Queue(raw) => raw.is_ready_to_get(),
            SourceKind::Event(event) => event.was_set_since(self.seen),
            SourceKind::Semaphore(semaphore) => semaphore.has_permits(),
            SourceKind::Process(process) => process.has_ended(),
            SourceKind::Refused => true,
        };
        ready || !self.attached
    }
}

impl<'a> SourceKind<'a> {
    /// Where to register and sleep, and the barrier between the two.
    fn place(self) -> Option<(Condvar<'a>, &'a MemoryBarrier)> {
        match self {
            SourceKind::Queue(raw) => Some((raw.getters(), &raw.barrier)),
            SourceKind::Event(event) => Some((event.primitive().condvar(), event.primitive().barrier())),
            SourceKind::Semaphore(semaphore) => Some((semaphore.primitive().condvar(), semaphore.primitive().barrier())),
            SourceKind::Process(_) | SourceKind::Refused => None,
        }
    }

    /// Changes whenever it ceases to be ready: what never does needs to show nothing.
    fn ceased(self) -> [u64; 3] {
        match self {
            SourceKind::Queue(raw) => raw.takes(),
            SourceKind::Semaphore(semaphore) => semaphore.permits_seen(),
            // Once it is ready, it is for the whole wait.
            SourceKind::Event(_) | SourceKind::Process(_) | SourceKind::Refused => [0; 3],
        }
    }

    fn look_after_the_dead(self, deadline: Deadline) {
        match self {
            SourceKind::Queue(raw) => raw.look_after_the_dead(deadline),
            SourceKind::Semaphore(semaphore) => semaphore.look_after_the_dead(),
            SourceKind::Event(_) | SourceKind::Process(_) | SourceKind::Refused => {}
        }
    }

    fn pass_on(self) {
        match self {
            SourceKind::Queue(raw) => raw.pass_on(),
            SourceKind::Semaphore(semaphore) if semaphore.has_permits() => semaphore.primitive().notify(1),
            // An event wakes all.
            SourceKind::Semaphore(_) | SourceKind::Event(_) | SourceKind::Process(_) | SourceKind::Refused => {}
        }
    }
}

fn first_ready(watched: &[Watched<'_>]) -> Option<usize> {
    watched.iter().position(Watched::is_ready)
}

/// The first that is ready, or `None` if there was a moment at which none was (Invariant 4), or
/// if none was found in many looks, of which each was disturbed.
fn first_ready_at_last(watched: &[Watched<'_>]) -> Option<usize> {
    let ceased = || watched.iter().map(|watched| watched.kind.ceased()).collect::<Vec<_>>();
    let mut before = ceased();
    for _ in 0..LAST_LOOKS {
        if let Some(index) = first_ready(watched) {
            return Some(index);
        }
        let after = ceased();
        if after == before {
            return None;
        }
        before = after;
    }
    None
}

/// Sleeps until one may be ready, or `until_ns` (Invariants 1 and 2).
fn sleep(watched: &[Watched<'_>], until: Deadline) {
    let processes = || watched.iter().filter(|watched| matches!(watched.kind, SourceKind::Process(_)));
    let mut places: Vec<(Condvar<'_>, Registration)> = Vec::with_capacity(watched.len());
    let mut ordered = true;
    if processes().count() == watched.len() {
        return poll_processes(watched, until);
    }
    let mut barrier = None;
    for (condvar, its_barrier) in watched.iter().filter_map(|watched| watched.kind.place()) {
        places.push((condvar, condvar.register()));
        // One for all: it reaches every processor, whichever queue asks for it. One whose committers execute full fences asks for none.
        if barrier.is_none_or(MemoryBarrier::has_full_fences) {
            barrier = Some(its_barrier);
        }
    }
    if let Some(barrier) = barrier {
        ordered = barrier.heavy();
    }
    if first_ready(watched).is_none() {
        let until = if processes().next().is_some() { until.within(PROCESS_SLICE_NS) } else { until };
        if !ordered {
            sleep_any(&places, unordered_moment(until));
        }
        if ordered || first_ready(watched).is_none() {
            sleep_any(&places, until);
        }
    }
    places.into_iter().for_each(|(condvar, place)| condvar.deregister(place));
}

/// Sleeps until one of the processes may have ended.
fn poll_processes(watched: &[Watched<'_>], until: Deadline) {
    let pidfds: Vec<BorrowedFd<'_>> = watched
        .iter()
        .filter_map(|watched| if let SourceKind::Process(process) = watched.kind { process.sentinel() } else { None })
        .collect();
    let until = if pidfds.len() == watched.len() { until } else { until.within(PROCESS_SLICE_NS) };
    poll_readable(&pidfds, until.left());
}
