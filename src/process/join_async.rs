//! [`JoinAsync`]: waiting for the end of a process without a blocked thread.
//!
//! ```text
//!   poll --ended--> Ready
//!        --runs--> registered, and the thread told --checked again, runs--> Pending
//!   thread `shmq-processes`:  [at work: wake tasks whose process has ended, collect pidfds]
//!                             -> sleeps in poll(2) on all pidfds and the control socket -> ...
//! ```
//!
//! A pidfd is no futex, so the reactor cannot sleep on it: this is a thread of its own, made by the
//! first task that waits.
//!
//! Invariants:
//! 1. What a task waits for is the process's to say: the thread only wakes, and takes no status. So
//!    a task that is woken and never polls, or is dropped, takes nothing from others.
//! 2. A task registers and then checks once more; the thread reads the control socket before it
//!    collects what it sleeps on. So an end that comes between is seen by one of them.
//! 3. The thread's watcher is used only in the incarnation in which it was made. A forked child,
//!    where its lock may be held for ever, leaks it, and makes its own.
//! 4. While it sleeps the thread holds nothing (`background`): it reads memory of its own only.

use super::Process;
use super::child::Child;
use super::children;
use super::wakers::{Place, Wakers, wake_all};
use crate::background::Presence;
use crate::os::{Blocked, Home, PollSet};
use std::fmt;
use std::future::Future;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

/// How often a process without a descriptor to poll is checked.
const SLICE: Duration = Duration::from_millis(5);

impl Process {
    /// Waits until the child has ended, and returns its status, as [`join`](Self::join) does,
    /// without blocking a thread: under any executor. Several tasks and threads may wait at a time,
    /// and all of them get the same status.
    ///
    /// Cancel safe: a future that is dropped has done nothing, and the child runs on. The first
    /// that has to wait starts one thread, `shmq-processes`, which has all signals blocked, waits
    /// for all children of this process, and does not count as a thread of the program when it
    /// [spawns](Self::spawn).
    ///
    /// # Errors
    /// As [`join`](Self::join), also in a forked copy of this program, at once; what the system says
    /// if the thread cannot be started.
    ///
    /// ```
    /// use shmq::Process;
    ///
    /// let child = Process::spawn(|| 7)?;
    /// let status = futures::executor::block_on(child.join_async())?;
    /// assert_eq!(status.code(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_async(&self) -> JoinAsync<'_> {
        JoinAsync { process: self, waits: None }
    }
}

/// Waits until a process has ended: the future of [`Process::join_async`], which says all about it.
///
/// ```
/// use std::task::{Context, Waker};
///
/// let child = shmq::Process::spawn(|| loop { std::thread::park() })?;
/// let mut ended = child.join_async();
/// let mut context = Context::from_waker(Waker::noop());
/// assert!(std::pin::Pin::new(&mut ended).poll(&mut context).is_pending());
/// drop(ended); // the child runs on
/// child.kill()?;
/// assert!(!futures::executor::block_on(child.join_async())?.success());
/// # use std::future::Future;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct JoinAsync<'p> {
    process: &'p Process,
    waits: Option<(&'static Watcher, Place)>,
}

impl Future for JoinAsync<'_> {
    type Output = io::Result<ExitStatus>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // An error in a forked copy, where nothing of the parent's is touched.
        let status = |process: &Process| process.exit_status().transpose();
        if let Some(ended) = status(self.process) {
            self.wait_no_more();
            return Poll::Ready(ended);
        }
        let registered = Watcher::of_this_process().and_then(|watcher| {
            let mut place = self.waits.map(|(_, place)| place);
            let registered = watcher.register(&self.process.child, &mut place, context);
            self.waits = place.map(|place| (watcher, place));
            registered
        });
        let ended = match registered {
            Ok(()) => status(self.process), // Invariant 2
            Err(error) => Some(Err(error)),
        };
        match ended {
            Some(ended) => {
                self.wait_no_more();
                Poll::Ready(ended)
            }
            None => Poll::Pending,
        }
    }
}

impl JoinAsync<'_> {
    fn wait_no_more(&mut self) {
        let Some((watcher, place)) = self.waits.take() else { return };
        if watcher.home.is_here() {
            let removed = watcher.lock().remove(&self.process.child, place);
            drop(removed);
        }
    }
}

impl Drop for JoinAsync<'_> {
    fn drop(&mut self) {
        self.wait_no_more();
    }
}

impl fmt::Debug for JoinAsync<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("JoinAsync").field("pid", &self.process.pid()).field("waits", &self.waits.is_some()).finish()
    }
}

/// The thread's side, of one process.
struct Watcher {
    home: Home,
    /// Ends the thread's sleep.
    control: UnixStream,
    watched: Mutex<Watched>,
}

static CURRENT: AtomicPtr<Watcher> = AtomicPtr::new(ptr::null_mut());

/// The children that tasks wait for.
#[derive(Default)]
struct Watched(Vec<(Arc<Child>, Wakers)>);

impl Watched {
    fn of(&mut self, child: &Arc<Child>) -> Option<&mut Wakers> {
        self.0.iter_mut().find(|(other, _)| Arc::ptr_eq(other, child)).map(|(_, wakers)| wakers)
    }

    /// Returns what is dropped without the lock.
    fn remove(&mut self, child: &Arc<Child>, place: Place) -> impl Sized + use<> {
        let wakers = self.of(child);
        let waker = wakers.and_then(|wakers| wakers.remove(place));
        let at = self.0.iter().position(|(other, wakers)| Arc::ptr_eq(other, child) && wakers.is_empty());
        (waker, at.map(|at| self.0.swap_remove(at)))
    }
}

impl Watcher {
    /// That of this process, made now if there is none (Invariant 3).
    fn of_this_process() -> io::Result<&'static Watcher> {
        let known = CURRENT.load(Acquire);
        // SAFETY: null, or a watcher that is never freed.
        if let Some(watcher) = unsafe { known.as_ref() }.filter(|watcher| watcher.home.is_here()) {
            return Ok(watcher);
        }
        let (control, thread) = UnixStream::pair()?;
        control.set_nonblocking(true)?;
        thread.set_nonblocking(true)?;
        let made = Arc::new(Watcher { home: Home::here()?, control, watched: Mutex::default() });
        let (go, wait) = mpsc::channel();
        let watcher = Arc::clone(&made);
        let run = move || {
            if wait.recv().is_ok() {
                watcher.run(&thread);
            }
        };
        // A new thread has the mask of the thread that makes it.
        let _blocked = Blocked::all();
        std::thread::Builder::new().name("shmq-processes".into()).spawn(run)?;
        let made = Arc::into_raw(made);
        // Release pairs with the Acquire above: the watcher's fields come with its address.
        if CURRENT.compare_exchange(known, made.cast_mut(), Release, Acquire).is_err() {
            // Another thread was first: the one that was started here ends.
            // SAFETY: from `into_raw` above, and seen by no other thread.
            drop((unsafe { Arc::from_raw(made) }, go));
            return Watcher::of_this_process();
        }
        let _ = go.send(());
        // SAFETY: from `into_raw` above, and never given back.
        Ok(unsafe { &*made })
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a task wait for a child.
    fn register(&self, child: &Arc<Child>, place: &mut Option<Place>, context: &Context<'_>) -> io::Result<()> {
        let waker = context.waker().clone();
        let mut watched = self.lock();
        let mut is_new = false;
        let wakers = match watched.0.iter().position(|(other, _)| Arc::ptr_eq(other, child)) {
            Some(at) => &mut watched.0[at].1,
            None => {
                is_new = true;
                watched.0.push((Arc::clone(child), Wakers::default()));
                &mut watched.0.last_mut().expect("just pushed").1
            }
        };
        let replaced = wakers.add(place, waker);
        drop(watched);
        drop(replaced);
        if is_new {
            // Full: it has been told, and reads all before it sleeps.
            if let Err(error) = (&self.control).write(&[1]) {
                if error.kind() != io::ErrorKind::WouldBlock {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The thread's life, which ends with the process.
    fn run(&self, control: &UnixStream) {
        let presence = Presence::begin();
        let mut set = PollSet::default();
        let mut asleep_on: Vec<Arc<Child>> = Vec::new();
        loop {
            let longest = {
                let _at_work = presence.work();
                // A subscriber of events may panic, or a waker: all tasks rest on this thread.
                let round = AssertUnwindSafe(|| self.round(control, &mut set, &mut asleep_on));
                catch_unwind(round).unwrap_or_else(|panic| {
                    std::mem::forget(panic); // its drop might panic
                    Some(SLICE)
                })
            };
            // Invariant 4.
            set.sleep(longest);
        }
    }

    /// Wakes the tasks whose process has ended, and collects what to sleep on. Returns how long.
    fn round(&self, mut control: &UnixStream, set: &mut PollSet, asleep_on: &mut Vec<Arc<Child>>) -> Option<Duration> {
        let mut told = [0; 64];
        while control.read(&mut told).is_ok_and(|read| read == told.len()) {}
        let mut ended = Vec::new();
        // In the order of the set: the control socket, then those.
        for (at, child) in asleep_on.drain(..).enumerate() {
            let source = child.status_source().is_some();
            if (source && set.is_ready(at + 1)) || (!source && !child.is_running()) {
                ended.push(child);
            }
        }
        if ended.iter().any(|child| child.is_helper()) {
            // The first process of a PID namespace ends only when all others there were reaped.
            children::reap_ended();
        }
        let mut woken = Vec::new();
        let mut watched = self.lock();
        watched.0.retain_mut(|(child, wakers)| {
            let goes_on = !ended.iter().any(|other| Arc::ptr_eq(other, child));
            if !goes_on {
                woken.extend(wakers.take());
            }
            goes_on
        });
        asleep_on.extend(watched.0.iter().map(|(child, _)| Arc::clone(child)));
        drop(watched);
        wake_all(woken);
        if !asleep_on.is_empty() {
            asleep_on.extend(children::lock().iter().filter(|child| child.is_helper()).cloned());
        }
        set.clear();
        set.push(Some(control.as_fd()));
        asleep_on.iter().for_each(|child| set.push(child.status_source()));
        asleep_on.iter().any(|child| child.status_source().is_none()).then_some(SLICE)
    }
}
