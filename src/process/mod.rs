//! [`Process`]: a closure in a process of its own, by `fork`.
//!
//! ```text
//!   spawn ──> running ──(returns, panics, killed)──> ended ──(join, exit_status)──> reaped(status)
//!                │ drop                                │ drop
//!                v                                     v
//!             listed ──(ended; later spawn or drop)──> reaped, its status is dropped
//! ```
//!
//! Invariants:
//! 1. Every child is in the list of children until it is reaped, under the lock of its status.
//!    Until then the kernel keeps its pid from being used again, and signals and waits that name it
//!    reach no other process. A pidfd names it in any case, also if other code of the program reaps
//!    all children.
//! 2. A `Process` acts only in the program that spawned it: `owner` is compared with our pid first.
//!    A forked copy is inert.
//! 3. A child's status is taken once, by the check that reaps, and kept.
//! 4. Behind `fork` the child runs the closure, flushes and `_exit`s: no path leads back into the
//!    frames of its parent, panics included, and no handler registered with `atexit` runs.
//! 5. The thread that forks holds the locks of the list of children, of the fork server's handle,
//!    of stdout and of stderr, so the child finds none of them held by a thread that it does not
//!    have.
//! 6. Threads of the crate itself (`background`) are not counted: they hold nothing while the one
//!    that forks keeps them still, so they call other code, subscribers of events included, only
//!    while they are at work.
//!
//! | question | file |
//! |---|---|
//! | what does a forked child do? | `spawn`, `options` |
//! | how do programs with threads start processes? | `call`, `forkserver` |
//! | what is known of a child, and how does a signal reach it? | `child`, `children` |
//! | how does a task wait for a child? | `join_async`, `wakers` |
//! | what do the crate's own processes have in common? | `supervision` |

mod builder;
#[cfg(feature = "object")]
mod call;
mod child;
mod children;
mod error;
#[cfg(feature = "object")]
pub(crate) mod fn_address;
#[cfg(feature = "object")]
mod forkserver;
#[cfg(feature = "object")]
mod handed_over;
#[cfg(feature = "async")]
mod join_async;
mod keeping;
mod options;
mod outcome;
mod spawn;
#[cfg(feature = "object")]
pub(crate) mod supervision;
mod threads;
#[cfg(feature = "async")]
pub(crate) mod wakers;

use crate::attachment::{self, Leaving};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

pub use self::builder::ProcessBuilder;
#[cfg(feature = "object")]
pub(crate) use self::call::start;
use self::child::Child;
pub use self::children::active_children;
pub use self::error::SpawnError;
#[cfg(feature = "object")]
pub use self::forkserver::init;
#[cfg(feature = "object")]
pub(crate) use self::handed_over::take_handed_over;
#[cfg(feature = "async")]
pub use self::join_async::JoinAsync;
#[cfg(feature = "object")]
pub(crate) use self::options::SpawnOptions;
pub use self::outcome::Outcome;
#[cfg(feature = "object")]
pub(crate) use self::spawn::run_child;
use crate::os::{Deadline, KILL, Signal, TERMINATE, is_no_such_child};

/// Gives back the names of all that this process has open, for one that is about to end by `_exit`.
///
/// A program that returns from `main`, or calls [`exit`](std::process::exit), has no need of it. A
/// host whose processes end without that (children of Python's `multiprocessing`) calls it as its
/// last act: what this process was the last to use is removed, as by dropping every handle.
///
/// Other threads may be blocked in calls of this crate: nothing is unmapped, and their locks and
/// guards count as those of a dead process once this one has ended, not before. To use a handle
/// afterwards is an error of the program: others may have replaced what it leads to.
///
/// ```
/// let queue = shmq::Queue::<u64>::new(4)?;
/// shmq::process::leave();
/// assert!(shmq::Queue::<u64>::open(queue.name()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn leave() {
    attachment::leave_all(Leaving::Exit);
}

/// A child process that runs a closure.
///
/// The child is a copy of this program made by `fork`: it has everything that its parent had in
/// memory, the closure may use variables around it, and what it changes stays its own. What is
/// moved into the closure is dropped in both processes: see [`spawn`](Self::spawn) for what that
/// means. [`Queue`](crate::Queue) handles go on working in the child; endpoints and permits stay
/// with the parent, and their copies in the child answer `Inherited`. While a process holds a loan,
/// a lease or a lock, it does not fork.
///
/// **Dropping does not wait**, and does not kill the child. A child that has ended is reaped at
/// once. One that still runs goes on running, and is reaped by a later `spawn` or drop of any
/// `Process`, so it does not stay a zombie while the program spawns processes.
///
/// A child that was killed looks like any other that ended: [`join`](Self::join) returns a status
/// whose [`signal`](std::os::unix::process::ExitStatusExt::signal) is the one that killed it. What
/// becomes of the messages that it held is described at [`Queue::lease`](crate::Queue::lease).
///
/// ```
/// use shmq::{Process, Queue};
///
/// let queue = Queue::<u32>::new(8)?;
/// let child = Process::spawn(|| queue.put(&42))?;
/// assert_eq!(queue.get()?, 42);
/// assert!(child.join()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Waiting for children elsewhere
///
/// A program that ignores `SIGCHLD`, or that reaps children it did not start (`wait`,
/// `waitpid(-1)`), takes the status away: then `join`, `join_timeout` and `exit_status` fail with
/// `ECHILD`. Signals still reach the right process or none, on a kernel with pidfds (5.3).
///
/// # Signals
///
/// The child has the signal mask and the dispositions that the program has at the call: what it
/// ignores, the child ignores. But a handler of SIGTERM, SIGINT, SIGHUP or SIGQUIT becomes the
/// default action, since an inherited handler writes into a pipe of the parent's: see
/// [`ProcessBuilder::keep_handlers`], and `docs/services.md` for all of it.
///
/// # Threads
///
/// All methods take `&self`: one thread may kill the child while another joins it, and all that
/// join get the same status.
pub struct Process {
    child: Arc<Child>,
    owner: u32,
}

impl Process {
    /// The child's process id. Once the child is reaped the system may give the number to another
    /// process, so do not send signals to it: use [`kill`](Self::kill) and
    /// [`terminate`](Self::terminate), which never reach another process.
    ///
    /// ```
    /// let child = shmq::Process::spawn(|| ())?;
    /// assert_ne!(child.pid(), std::process::id());
    /// # child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// A descriptor that can be polled: readable once the child has ended, joined or not, and from
    /// then on. `None` if the kernel has no pidfds (before 5.3).
    ///
    /// ```
    /// use std::os::fd::AsRawFd;
    ///
    /// let child = shmq::Process::spawn(|| ())?;
    /// if let Some(sentinel) = child.sentinel() {
    ///     let fd = sentinel.as_raw_fd();
    ///     let mut ended = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    ///     // SAFETY: one pollfd, on an open descriptor.
    ///     assert_eq!(unsafe { libc::poll(&mut ended, 1, 10_000) }, 1);
    /// }
    /// # child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sentinel(&self) -> Option<BorrowedFd<'_>> {
        self.child.sentinel()
    }

    /// Waits until the child has ended, and returns its status. A second call returns the same
    /// status at once.
    ///
    /// # Errors
    ///
    /// `ECHILD` if other code of this program has reaped the child; [`io::ErrorKind::Unsupported`]
    /// in a forked copy of this program, whose child it is not.
    ///
    /// ```
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// let child = shmq::Process::spawn(|| loop { std::thread::park() })?;
    /// child.kill()?;
    /// assert_eq!(child.join()?.signal(), Some(9));
    /// assert_eq!(child.join()?.code(), None); // killed, so it has no exit code
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.wait_until(Deadline::NEVER)? {
                return Ok(status);
            }
        }
    }

    /// Waits until the child has ended, but no longer than `timeout`: `None` means that it still
    /// runs. Never early; a zero `timeout` checks once, one too long to add to the present means
    /// for ever.
    ///
    /// # Errors
    ///
    /// As for [`join`](Self::join).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let child = shmq::Process::spawn(|| loop { std::thread::park() })?;
    /// assert_eq!(child.join_timeout(Duration::from_millis(10))?, None);
    /// child.terminate()?;
    /// assert!(child.join_timeout(Duration::MAX)?.is_some_and(|status| !status.success()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        self.wait_until(Deadline::after(timeout))
    }

    /// How the child ended, or `None` while it runs. Does not wait.
    ///
    /// # Errors
    ///
    /// As for [`join`](Self::join).
    ///
    /// ```
    /// let child = shmq::Process::spawn(|| loop { std::thread::park() })?;
    /// assert!(child.exit_status()?.is_none());
    /// child.kill()?;
    /// assert_eq!(Some(child.join()?), child.exit_status()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn exit_status(&self) -> io::Result<Option<ExitStatus>> {
        self.check_owner()?;
        self.child.status()
    }

    /// Whether the child still runs. A stopped one does; one that ended does not, joined or not.
    /// `false` also if [`exit_status`](Self::exit_status) would fail.
    ///
    /// ```
    /// let child = shmq::Process::spawn(|| loop { std::thread::park() })?;
    /// assert!(child.is_alive());
    /// child.kill()?;
    /// child.join()?;
    /// assert!(!child.is_alive());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_alive(&self) -> bool {
        matches!(self.exit_status(), Ok(None))
    }

    /// Asks the child to end: sends SIGTERM, which kills it unless it handles or ignores that
    /// signal. Does not wait. Does nothing if the child has ended, and never reaches another
    /// process that was given the same pid.
    ///
    /// # Errors
    ///
    /// What the system says if the signal is not allowed (the child has changed its user);
    /// [`io::ErrorKind::Unsupported`] in a forked copy of this program.
    ///
    /// ```
    /// let child = shmq::Process::spawn(|| loop { std::thread::park() })?;
    /// child.terminate()?;
    /// child.join()?;
    /// child.terminate()?; // it has ended: does nothing
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(TERMINATE)
    }

    /// Ends the child: sends SIGKILL, which cannot be handled. Does not wait. Does nothing if the
    /// child has ended, and never reaches another process that was given the same pid.
    ///
    /// # Errors
    ///
    /// As for [`terminate`](Self::terminate).
    ///
    /// ```
    /// let child = shmq::Process::spawn(|| loop { std::thread::park() })?;
    /// child.kill()?;
    /// assert!(!child.join()?.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kill(&self) -> io::Result<()> {
        self.signal(KILL)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.exit_status() {
            Ok(None) => self.child.signal(signal),
            Err(error) if !is_no_such_child(&error) => Err(error),
            // It has ended, reaped by us or by other code.
            _ => Ok(()),
        }
    }

    /// The one path that waits.
    fn wait_until(&self, deadline: Deadline) -> io::Result<Option<ExitStatus>> {
        loop {
            let status = self.exit_status()?;
            let left = deadline.left();
            if status.is_some() || left.is_zero() {
                return Ok(status);
            }
            // A helper of ours that has ended is reaped meanwhile: the first process of a PID
            // namespace ends only when all others there were reaped.
            let helpers: Vec<_> = children::lock().iter().filter(|child| child.is_helper()).cloned().collect();
            if self.child.sleep(left, &helpers)? {
                drop(helpers);
                children::reap_ended();
            }
        }
    }

    /// A new entry of the list of children.
    fn listed(child: Child, children: &mut Vec<Arc<Child>>) -> Process {
        let child = Arc::new(child);
        children.push(Arc::clone(&child));
        Process { child, owner: std::process::id() }
    }

    /// Whether [`join`](Process::join) would return at once. It does so too in a forked copy of
    /// this program, with an error.
    pub(crate) fn has_ended(&self) -> bool {
        self.check_owner().is_err() || !self.child.is_running()
    }

    /// Invariant 2.
    fn check_owner(&self) -> io::Result<()> {
        if self.owner == std::process::id() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::Unsupported, "this Process belongs to the parent of this process"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.check_owner().is_ok() {
            children::reap_ended();
        }
    }
}

impl AsFd for Process {
    /// The [`sentinel`](Process::sentinel).
    ///
    /// # Panics
    /// On a kernel without pidfds (before 5.3).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sentinel().expect("a kernel with pidfds (5.3)")
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("pid", &self.pid()).field("status", &self.child.known_status()).finish()
    }
}

/// Writes a line to stderr if that can be written to. `eprintln!` panics if it cannot, and no
/// thread or process of ours may die of that.
pub(crate) fn print_error(line: fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(io::stderr(), "{line}");
}
