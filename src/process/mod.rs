//! [`Process`]: a closure in a process of its own, by `fork`.
//!
//! ```text
//!   spawn ──> running ──(returns, panics, is killed)──> ended ──(join, exit_status, is_alive)──> reaped(status)
//!                │ drop                                   │ drop
//!                v                                        v
//!             listed ──(ended; a later spawn or drop)──> reaped, nobody asks for the status
//! ```
//!
//! Invariants:
//! 1. Every child is in the list of children until it is reaped, under the lock of its status. Until then the kernel keeps
//!    its pid from being used again, and signals and waits that name it reach no other process. A pidfd names it whatever
//!    happens, also where some other code of the program reaps all children.
//! 2. A `Process` acts only in the program that spawned it: `owner` is compared with our pid first. A forked copy is inert.
//! 3. A child's status is taken once, by the look that reaps, and kept.
//! 4. Behind `fork` the child runs the closure, flushes and `_exit`s: no path leads back into the frames of its parent, panics
//!    included, and no handler registered with `atexit` runs.
//! 5. The thread that forks holds the lock of the list of children, that of the spawner and those of stdout and stderr, so the child
//!    finds none of them held by a thread that it does not have.
//! 6. Threads of the crate itself (`background`) are not counted: they hold nothing while the one
//!    that forks keeps them still, and so they call other code, subscribers of events included,
//!    only while they are at work.

pub(crate) mod background;
mod builder;
#[cfg(feature = "object")]
mod call;
mod child;
#[cfg(feature = "object")]
mod ends;
mod error;
#[cfg(feature = "object")]
mod guardian;
mod outcome;
#[cfg(feature = "object")]
mod place;
#[cfg(feature = "object")]
mod request;
#[cfg(feature = "object")]
mod reserve;
#[cfg(feature = "object")]
mod rights;
mod spawn;
#[cfg(feature = "object")]
mod spawner;
#[cfg(feature = "object")]
pub(crate) mod travel;
#[cfg(feature = "object")]
mod wire;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::builder::ProcessBuilder;
#[cfg(feature = "object")]
pub(crate) use self::call::{start, take_handed_over};
use self::child::Child;
#[cfg(feature = "object")]
pub(crate) use self::child::{end_parent, ended as child_ended, send_by_pidfd};
pub use self::error::SpawnError;
pub use self::outcome::Outcome;
#[cfg(feature = "object")]
pub(crate) use self::spawn::{How, run_child};
#[cfg(feature = "object")]
pub use self::spawner::init;
#[cfg(feature = "object")]
pub(crate) use self::spawner::poll;
#[cfg(feature = "object")]
pub(crate) use self::wire::{packet_pair, receive, send_now};
use crate::os::{FOREVER_NS, deadline_after, now_ns};

/// Children that were not seen to have ended (Invariant 1).
static CHILDREN: Mutex<Vec<Arc<Child>>> = Mutex::new(Vec::new());

/// A child process that runs a closure.
///
/// The child is a copy of this program made by `fork`: it has everything that its parent had in
/// memory, the closure may use variables around it, and what it changes stays its own. What is
/// moved into the closure is dropped in both processes: see [`spawn`](Self::spawn) for what that
/// means. [`Queue`](crate::Queue) handles go on working in the child; endpoints and permits stay
/// with the parent, and their copies in the child answer `Inherited`. While a process holds a loan,
/// a lease or a lock, it does not fork.
///
/// **Dropping does not wait**, and kills nobody. A child that has ended is reaped at once. One that still runs goes on running,
/// and is reaped by a later `spawn` or drop of any `Process`, so it does not stay a zombie while the program spawns processes.
///
/// A child that was killed, by whomever, looks like any other that ended: [`join`](Self::join) returns a status whose
/// [`signal`](std::os::unix::process::ExitStatusExt::signal) says by what. What becomes of the messages that it had in its hands is told at
/// [`Queue::lease`](crate::Queue::lease).
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
/// A program that ignores `SIGCHLD`, or that reaps children it did not start (`wait`, `waitpid(-1)`), takes the status away:
/// then `join`, `join_timeout` and `exit_status` fail with `ECHILD`. Signals still hit the right process or nobody, on a kernel
/// with pidfds (5.3).
///
/// # Signals
///
/// The child has the signal mask and the dispositions that the program has at the call: what it ignores, the child ignores.
/// But a handler of SIGTERM, SIGINT, SIGHUP or SIGQUIT becomes the default action, since an inherited handler writes into a
/// pipe of the parent's: see [`ProcessBuilder::keep_handlers`], and `docs/services.md` for all of it.
///
/// # Threads
///
/// All methods take `&self`: one thread may kill the child while another joins it, and all that join get the same status.
pub struct Process {
    child: Arc<Child>,
    owner: u32,
}

impl Process {
    /// The child's process id. Once the child is reaped the system may give the number to another process, so do not send signals
    /// to it: [`kill`](Self::kill) and [`terminate`](Self::terminate) know the difference.
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

    /// A descriptor that can be polled: readable once the child has ended, joined or not, and from then on. `None` where the kernel
    /// has no pidfds (before 5.3).
    ///
    /// ```
    /// use std::os::fd::AsRawFd;
    ///
    /// let child = shmq::Process::spawn(|| ())?;
    /// if let Some(sentinel) = child.sentinel() {
    ///     let mut ended = libc::pollfd { fd: sentinel.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    ///     // SAFETY: one pollfd, on an open descriptor.
    ///     assert_eq!(unsafe { libc::poll(&mut ended, 1, 10_000) }, 1);
    /// }
    /// # child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sentinel(&self) -> Option<BorrowedFd<'_>> {
        self.child.sentinel()
    }

    /// Waits until the child has ended, and says how. A second call gives the same status at once.
    ///
    /// # Errors
    ///
    /// `ECHILD` if other code of this program has reaped the child; [`io::ErrorKind::Unsupported`] in a forked copy of this
    /// program, whose child it is not.
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
            if let Some(status) = self.wait_until(FOREVER_NS)? {
                return Ok(status);
            }
        }
    }

    /// Waits until the child has ended, but no longer than `timeout`: `None` means that it still runs. Never early; a zero
    /// `timeout` is one look, one too long to add to the present means for ever.
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
        self.wait_until(deadline_after(timeout))
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

    /// Whether the child still runs. A stopped one does; one that ended does not, joined or not. `false` also where
    /// [`exit_status`](Self::exit_status) would fail.
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

    /// Asks the child to end: sends SIGTERM, which kills it unless it handles or ignores that signal. Does not wait. Does nothing
    /// if the child has ended, and never hits another process that was given the same pid.
    ///
    /// # Errors
    ///
    /// What the system says where the signal is not allowed (the child has changed its user); [`io::ErrorKind::Unsupported`] in a
    /// forked copy of this program.
    ///
    /// ```
    /// let child = shmq::Process::spawn(|| loop { std::thread::park() })?;
    /// child.terminate()?;
    /// child.join()?;
    /// child.terminate()?; // nobody there: fine
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(libc::SIGTERM)
    }

    /// Ends the child: sends SIGKILL, which cannot be handled. Does not wait. Does nothing if the child has ended, and never hits
    /// another process that was given the same pid.
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
        self.signal(libc::SIGKILL)
    }

    fn signal(&self, signal: libc::c_int) -> io::Result<()> {
        match self.exit_status() {
            Ok(None) => self.child.signal(signal),
            Err(error) if error.raw_os_error() != Some(libc::ECHILD) => Err(error),
            // It has ended, reaped by us or by other code.
            _ => Ok(()),
        }
    }

    /// The one path that waits.
    fn wait_until(&self, deadline_ns: u64) -> io::Result<Option<ExitStatus>> {
        loop {
            let status = self.exit_status()?;
            let left_ns = deadline_ns.saturating_sub(now_ns());
            if status.is_some() || left_ns == 0 {
                return Ok(status);
            }
            // One of ours that has ended is reaped meanwhile: the first process of a PID namespace ends only when all
            // others there were reaped.
            let helpers: Vec<_> = lock_children().iter().filter(|child| child.is_helper()).cloned().collect();
            if self.child.sleep(Duration::from_nanos(left_ns), &helpers)? {
                drop(helpers);
                lock_children().retain(|child| child.is_running());
            }
        }
    }

    /// Would [`join`](Process::join) return at once? It does so too in a forked copy of this program, with an error.
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
            lock_children().retain(|child| child.is_running());
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

/// Process ids of the children of this program that still run: those of every [`Process`], dropped or not, that it started. The
/// crate's own processes (the spawner of [`init`], those of a pool) are not among them.
/// Those that have ended are reaped, if nobody did before. (A pid may end, and be given to another process, as soon as it is told.)
///
/// ```
/// let child = shmq::Process::spawn(|| loop { std::thread::park() })?;
/// assert_eq!(shmq::process::active_children(), [child.pid()]);
/// child.kill()?;
/// child.join()?;
/// assert!(shmq::process::active_children().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn active_children() -> Vec<u32> {
    let mut children = lock_children();
    children.retain(|child| child.is_running());
    children.iter().filter(|child| !child.is_helper()).map(|child| child.pid()).collect()
}

/// A line on stderr, where that can be written to. `eprintln!` panics where it cannot: not what a
/// thread or a process of ours may die of.
pub(crate) fn tell_stderr(line: fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(io::stderr(), "{line}");
}

fn lock_children() -> MutexGuard<'static, Vec<Arc<Child>>> {
    // The list is in order at every point where its user might panic.
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}
