//! [`wait_any`]: waiting for several things at once.
//!
//! ```text
//!   check each --none ready--> register with each, heavy barrier, check again
//!     ^                                                             | none ready
//!     +---------- deregister <---------- sleep on all words at once <+
//!                                       (in short slices, if a process is among them)
//! ```
//!
//! Invariants:
//! 1. With each condition variable the order of `lock`'s Invariant 3 is kept: the sequence is read
//!    before registering, and the check comes after the barrier. So a notifier of any of them sees
//!    the waiter, or the waiter sees what it did.
//! 2. Every sleep is cut into slices, after which dead processes are probed for, as in every
//!    blocked call.
//! 3. "Ready" means that the verb of that source would return at once, with an error perhaps. So
//!    there is no error to report here.
//! 4. `Timeout` means that there was an instant at which none was ready. They are checked one after
//!    the other, so that alone does not follow from a check: one may cease to be ready when the
//!    next begins to be. It follows if none ceased to be ready meanwhile, which each shows by what
//!    it counts ([`SourceKind::ceased`]).

mod error;
mod source;

pub use error::WaitError;
pub use source::Waitable;

use crate::backoff::AdaptiveSpin;
use crate::lock::{Condvar, Registration, sleep_any, unordered_moment};
use crate::os::{Deadline, MemoryBarrier, poll_readable};
use crate::wait::{Answer, Sleeper, Step, Stop, Wait, WaitStrategy, Waiter};
use source::{SourceKind, Watched};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Longest sleep while a process is waited for together with other things, or one without a pidfd.
const PROCESS_SLICE_NS: u64 = 10_000_000;
/// Rounds in search of an instant at which none was ready, before the deadline is reported.
const LAST_ROUNDS: u32 = 100;
/// Of all waits for several things in this process: a list has nothing of its own that lasts.
static ADAPTIVE_SPIN: AdaptiveSpin = AdaptiveSpin::new();

/// Waits until one of these is ready, and returns its index: the lowest, if several are. Python's
/// `multiprocessing.connection.wait`.
///
/// If one of the handles has a [`Stop`] (made by its `with_stop`), the call ends with
/// [`Interrupted`](WaitError::Interrupted) once that is set and none of them is ready. A `Stop`
/// that stands in the list itself is ready once it is set.
///
/// Ready means that its own verb (`get`, `acquire`, `join` ...) would return at once, as far as can
/// be seen: another process may be faster, so use the `try_` form, and wait again if there was
/// nothing. The call takes nothing itself. Since the lowest index wins, put what must not starve
/// first, or rotate the list.
///
/// `deadline`: an [`Instant`], or `None` to wait for ever. A deadline in the past means one check,
/// of all of them at one instant: while one or the other is always ready, the call never returns
/// [`Timeout`](WaitError::Timeout). Its other forms are [`wait_any_timeout`],
/// [`wait_any_deadline`] and [`try_wait_any`].
///
/// **How it sleeps**: on all of them at once (`futex_waitv`, Linux 5.16), for up to 128; with more,
/// or on an older kernel, it checks every 2 ms. The end of a process is noticed at once if only
/// processes are waited for, otherwise within 10 ms, since the kernel has no sleep for both kinds.
/// Between checks no processor time is used. What dead processes left is recovered ten times a
/// second.
///
/// # Async
///
/// It blocks its thread, so it must not run in an executor's. There, each source has a future (with
/// the feature `async`: `get_async`, `stream`, `Event::wait_async`, `Semaphore::permit_async`), and
/// the executor's `select!` waits for several; an event loop of one's own waits for descriptors
/// (`readable`). All of them are cancelled by being dropped. What only blocks goes to a thread that
/// may, with a deadline or a [`Stop`] in the list.
///
#[cfg_attr(feature = "async", doc = "```")]
#[cfg_attr(not(feature = "async"), doc = "```ignore")]
/// use shmq::{Queue, sync::Event};
///
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// runtime.block_on(async {
///     let (jobs, stop) = (Queue::<u64>::new(4)?, Event::new()?);
///     jobs.put_async(&42).await?;
///     tokio::select! {
///         biased;
///         stopped = stop.wait_async() => stopped?,
///         job = jobs.get_async() => assert_eq!(job?, 42),
///     }
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
///     _ => assert_eq!(results.try_get()?, 42), // it ended before the queue was checked again
/// }
/// assert_eq!(wait_any(&[&results], Instant::now()), Err(WaitError::Timeout));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn wait_any(waitables: &[&dyn Waitable], deadline: impl Into<Option<Instant>>) -> Result<usize, WaitError> {
    wait_by(waitables, Wait::Until(deadline.into().map_or(Deadline::NEVER, Deadline::at)))
}

/// Like [`wait_any`], but gives up with [`Timeout`](WaitError::Timeout) after `timeout`, never
/// earlier. Zero means one check; a timeout too long to add to now means for ever.
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
    wait_by(waitables, Wait::Until(Deadline::after(timeout)))
}

/// Like [`wait_any`], but gives up with [`Timeout`](WaitError::Timeout) at `deadline`, never
/// earlier. A deadline in the past means one check.
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
    wait_by(waitables, Wait::Until(Deadline::at(deadline)))
}

/// Like [`wait_any`] without waiting: [`WouldBlock`](WaitError::WouldBlock) if there was an instant
/// at which none was ready.
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
    wait_by(waitables, Wait::Never)
}

/// The one path that waits.
fn wait_by(waitables: &[&dyn Waitable], wait: Wait) -> Result<usize, WaitError> {
    let watched: Vec<Watched<'_>> = waitables.iter().map(|waitable| Watched::new(waitable.source().0)).collect();
    if watched.is_empty() {
        return Err(WaitError::Empty);
    }
    let mut waiter = Waiter::new(wait, SleeperOnAny { watched: &watched, has_spun: false });
    loop {
        if let Some(index) = first_ready(&watched) {
            if waiter.has_slept() {
                // A wake for another may have come to this call, which takes what is at `index`.
                watched.iter().enumerate().filter(|&(other, _)| other != index).for_each(|(_, other)| other.kind.pass_on());
            }
            return Ok(index);
        }
        match waiter.next(&mut || first_ready(&watched).is_some()) {
            Step::CheckAgain => {}
            Step::Probe => watched.iter().for_each(|watched| watched.kind.probe_for_the_dead(wait.deadline())),
            Step::Interrupted => return Err(WaitError::Interrupted),
            Step::GiveUp => {
                let refused = if wait == Wait::Never { WaitError::WouldBlock } else { WaitError::Timeout };
                return first_ready_at_last(&watched).ok_or(refused);
            }
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

    fn is_interrupted(&self) -> bool {
        is_interrupted(self.watched)
    }

    /// Each check once, also if several handles have the same stop; none after one that ends the
    /// call.
    fn ask(&mut self) -> Answer {
        let mut asked = Answer::NoCheck;
        let stops = || self.watched.iter().filter_map(|watched| watched.kind.stop_to_sleep_for());
        for (at, stop) in stops().enumerate() {
            if stops().take(at).any(|earlier| earlier.is_same(stop)) {
                continue;
            }
            match stop.ask() {
                Answer::End => return Answer::End,
                Answer::GoOn => asked = Answer::GoOn,
                Answer::NoCheck => {}
            }
        }
        asked
    }
}

/// Is the stop of one of the handles set?
fn is_interrupted(watched: &[Watched<'_>]) -> bool {
    watched.iter().filter_map(|watched| watched.kind.stop()).any(Stop::is_set)
}

fn first_ready(watched: &[Watched<'_>]) -> Option<usize> {
    watched.iter().position(Watched::is_ready)
}

/// The first that is ready, or `None` if there was an instant at which none was (Invariant 4), or
/// if none was found in many rounds, each of which was disturbed.
fn first_ready_at_last(watched: &[Watched<'_>]) -> Option<usize> {
    let ceased = || watched.iter().map(|watched| watched.kind.ceased()).collect::<Vec<_>>();
    let mut before = ceased();
    for _ in 0..LAST_ROUNDS {
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
    watched.iter().for_each(|watched| watched.kind.prepare_to_sleep());
    let processes = || watched.iter().filter(|watched| matches!(watched.kind, SourceKind::Process(_)));
    let mut places: Vec<(Condvar<'_>, Registration)> = Vec::with_capacity(watched.len());
    let mut ordered = true;
    if processes().count() == watched.len() {
        return poll_processes(watched, until);
    }
    let mut barrier = None;
    let stops = watched.iter().filter_map(|watched| watched.kind.stop_to_sleep_for());
    places.extend(stops.filter_map(Stop::condvar).map(|condvar| (condvar, condvar.register())));
    for (condvar, its_barrier) in watched.iter().filter_map(|watched| watched.kind.condvar()) {
        places.push((condvar, condvar.register()));
        // One for all: it reaches every processor, whichever queue asks for it. A queue whose
        // committers execute full fences asks for none.
        if barrier.is_none_or(MemoryBarrier::has_full_fences) {
            barrier = Some(its_barrier);
        }
    }
    if let Some(barrier) = barrier {
        ordered = barrier.heavy();
    }
    if first_ready(watched).is_none() && !is_interrupted(watched) {
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
