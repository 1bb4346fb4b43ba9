//! Forking, and what the child does. The invariants are those of the parent module.

use super::child::Child;
#[cfg(feature = "object")]
use super::forkserver::handle;
use super::keeping::Keeping;
use super::options::SpawnOptions;
use super::{Outcome, Process, SpawnError, children, threads};
use crate::attachment::{self, Leaving};
use crate::background;
use crate::os::{Blocked, Deadline, Fork, Parent, Pid, die_with, exit_now, fork};
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Exit code of a child that panicked: the one that Rust programs use.
const PANICKED: i32 = 101;

/// For how long exiting threads may be seen: one whose scope is over has a few last instructions to
/// run.
const LEAVING: Duration = Duration::from_millis(100);
/// For how long a thread of the crate itself may be at work: it takes a millisecond, and its turn
/// on a loaded machine.
const AT_WORK: Duration = Duration::from_secs(2);
/// Between two checks.
const MOMENT: Duration = Duration::from_micros(400);

impl Process {
    /// Runs `closure` in a new process, a `fork` of this one, and returns at once. **What is moved
    /// into the closure is dropped in both processes**: here before `spawn` returns, in the child
    /// when the closure has returned. So a temporary folder that is moved is gone for the child, a
    /// `BufWriter` with something in its buffer writes that twice, a guard of another crate unlocks
    /// here what the child believes locked, and a `JoinHandle` of a thread that has ended but was
    /// not joined is **undefined behaviour** in the child, where glibc follows it into memory of a
    /// thread that is not there: join such threads first. Of this crate's own, endpoints, permits,
    /// pools and their results are inert in the child, which may drop them. If only one drop is
    /// wanted, let the closure borrow (without `move`: what it borrows is not dropped in the
    /// child), move a handle (of a queue, a cloned descriptor, a path), or create it inside. That
    /// the parent's half is dropped at once is intended: the end of a pipe that it forgot to close
    /// would keep the child's other end from ever reaching its end.
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// let (mut reader, writer) = std::os::unix::net::UnixStream::pair()?;
    /// let child = shmq::Process::spawn(move || {
    ///     let mut out = std::io::BufWriter::new(writer); // created inside: one buffer
    ///     write!(out, "hello")
    /// })?;
    /// let mut said = String::new();
    /// reader.read_to_string(&mut said)?; // ends with the child: our `writer` is closed
    /// assert_eq!(said, "hello");
    /// # child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// In the child, stdout and stderr of `std` are flushed when the closure has returned, and the
    /// process ends there: it never returns into the code around this call, runs no `atexit`
    /// handlers, and drops nothing but the closure. What the closure returns becomes the exit code,
    /// see [`Outcome`]; a panic prints its message and becomes 101 (with `panic = "abort"`:
    /// SIGABRT). The parent's stdout is flushed before the fork, so that buffered output is not
    /// printed twice.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Threaded`] if the program has more than one thread; [`SpawnError::GuardHeld`]
    /// while this process holds a [`Loan`](crate::Loan), a [`Lease`](crate::Lease) or a lock of
    /// [`shmq::sync`](crate::sync): a plain reference that was made of one would go on working in
    /// the child when the parent's guard has ended; [`SpawnError::Os`] if the system makes no
    /// process. The check reads each message of the queues that were ever used in place (5 to 15 ns
    /// a message).
    ///
    /// ```
    /// use shmq::{Process, SpawnError};
    ///
    /// let greeting = String::from("hello from process");
    /// let child = Process::spawn(|| println!("{greeting} {}", std::process::id()))?;
    /// assert!(child.join()?.success());
    ///
    /// let refused = std::thread::scope(|s| s.spawn(|| Process::spawn(|| ())).join().unwrap());
    /// assert!(matches!(refused, Err(SpawnError::Threaded { threads: 2 })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn<F, R>(closure: F) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        Self::fork_alone(closure, &SpawnOptions::default())
    }

    /// [`spawn`](Self::spawn) for a child that does not outlive its parent: however the parent
    /// ends, SIGKILL included, the kernel kills the child at that moment (Python's `daemon=True`).
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn).
    ///
    /// ```
    /// let child = shmq::Process::spawn_daemon(|| loop { std::thread::park() })?;
    /// assert!(child.is_alive()); // as long as this program runs
    /// # child.kill()?;
    /// # child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_daemon<F, R>(closure: F) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        Self::fork_alone(closure, &SpawnOptions::daemon())
    }

    /// Forks if the child lacks no thread: there are none but the caller and the crate's own, and
    /// those are kept still.
    pub(super) fn fork_alone<F, R>(closure: F, options: &SpawnOptions) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        options.check()?;
        let (leaving, at_work) = (Deadline::after(LEAVING), Deadline::after(AT_WORK));
        let waiting = background::WaitingToFork::begin();
        loop {
            // First: neither count changes while they stand still.
            let still = background::hold_still();
            let counted = threads::count().map_err(|source| SpawnError::Os { call: "reading /proc/self/task", source })?;
            let threads = counted.saturating_sub(background::count());
            if threads <= 1 {
                if let Some(still) = still {
                    // No guard is taken meanwhile: this is the only thread at work.
                    if let Some((guard, name)) = attachment::open_guard() {
                        return Err(SpawnError::GuardHeld { guard, name });
                    }
                    // SAFETY: this thread is the only one but for those of Invariant 6, so the
                    // child lacks none and finds no lock held by one. A daemon's parent is this
                    // thread, which ends with the program.
                    return unsafe { Process::fork(closure, options, Some((still, waiting))) };
                }
            } else {
                drop(still);
            }
            if (if threads <= 1 { at_work } else { leaving }).has_passed() {
                return Err(SpawnError::Threaded { threads: counted });
            }
            thread::sleep(MOMENT);
        }
    }

    /// [`spawn`](Self::spawn) without counting threads: for a program that has some and knows what
    /// they hold.
    ///
    /// # Safety
    ///
    /// The child has only the calling thread. What other threads were in the middle of stays so for
    /// ever: locks that they hold are never released, data behind those locks may be half changed.
    /// Until the child ends it must touch nothing of the kind: strictly, it may only call functions
    /// that are safe in signal handlers. (glibc puts its allocator in order across `fork`, and
    /// `spawn_unchecked` does so for the locks of `std`'s stdout and stderr. Other libraries do
    /// not.)
    ///
    /// Loans, leases and lock guards are not checked either: the child must not use references that
    /// were made of one.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Os`] if the system makes no process.
    ///
    /// ```
    /// use shmq::Process;
    ///
    /// std::thread::scope(|s| {
    ///     s.spawn(|| std::thread::sleep(std::time::Duration::from_millis(20)));
    ///     // SAFETY: the other thread sleeps, holding nothing.
    ///     let child = unsafe { Process::spawn_unchecked(|| 3) }.unwrap();
    ///     assert_eq!(child.join().unwrap().code(), Some(3));
    /// });
    /// ```
    pub unsafe fn spawn_unchecked<F, R>(closure: F) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        // SAFETY: the caller's contract.
        unsafe { Process::fork(closure, &SpawnOptions::default(), None) }
    }

    /// # Safety
    /// As for [`spawn_unchecked`](Self::spawn_unchecked); with `options.dies_with_parent`, the
    /// child also dies when this thread ends.
    pub(super) unsafe fn fork<F, R>(
        closure: F,
        options: &SpawnOptions,
        still: Option<(background::Still, background::WaitingToFork)>,
    ) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        #[cfg(feature = "object")]
        let mut fork_server = handle::lock();
        let mut children = children::lock();
        children.retain(|child| child.is_running());
        let mut stdout = io::stdout().lock();
        let stderr = io::stderr().lock();
        // A stdout that cannot be written to loses its text in `print`, too; that is no reason not
        // to spawn.
        let _ = stdout.flush();
        let parent = options.dies_with_parent.then(Parent::here);
        let keeping = Keeping::begin(&options.kept).map_err(|source| SpawnError::Os { call: "socketpair", source })?;
        let blocked = Blocked::all();
        // SAFETY: the caller's contract covers what other threads hold; the locks that the child
        // uses are held by this thread (Invariant 5).
        match unsafe { fork() } {
            Err(source) => Err(SpawnError::Os { call: "fork", source }),
            Ok(Fork::Child) => {
                // The parent's children are not ours, and the fork server waits for the end of a
                // socket that this process must not keep open.
                children.clear();
                drop((children, stdout, stderr, still));
                #[cfg(feature = "object")]
                {
                    drop(fork_server.take());
                    drop(fork_server);
                }
                if let Some(parent) = parent {
                    die_with(&parent);
                }
                if !keeping.count(&options.kept) {
                    exit_now(PANICKED);
                }
                options.apply(blocked);
                run_child(closure)
            }
            Ok(Fork::Parent(pid)) => {
                let process = Process::listed(Child::adopt(pid, options.is_helper), &mut children);
                // Before `closure`, with the handles in it, is dropped here.
                let kept = keeping.wait();
                // A process that is refused is dropped, and takes these locks.
                drop((children, stdout, stderr));
                #[cfg(feature = "object")]
                drop(fork_server);
                kept.map_err(|source| SpawnError::Os { call: "keeping handles in the child", source })?;
                Ok(process)
            }
        }
    }

    /// Starts a fresh program, in no way a copy of this one: it opens queues by their names. Works
    /// from any thread. The same as [`Command::spawn`], for programs that want all their children
    /// to be a [`Process`]. The settings of `command` for input and output apply, but pipes to the
    /// child are closed (use `Command::spawn` for those).
    ///
    /// # Errors
    ///
    /// [`SpawnError::Os`] if the program cannot be run.
    ///
    /// ```
    /// use shmq::Process;
    /// use std::process::Command;
    ///
    /// let child = Process::command(Command::new("sh").args(["-c", "exit 3"]))?;
    /// assert_eq!(child.join()?.code(), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn command(command: &mut Command) -> Result<Process, SpawnError> {
        let mut children = children::lock();
        children.retain(|child| child.is_running());
        let child = command.spawn().map_err(|source| SpawnError::Os { call: "starting a program", source })?;
        // Dropping std's `Child` neither kills nor reaps.
        Ok(Process::listed(Child::adopt(child.id() as Pid, false), &mut children))
    }
}

/// Writes out what `std` has buffered. An error cannot be reported any more; std ignores it at exit
/// too.
fn flush() {
    let _ = io::stdout().flush();
    let _ = io::stderr().flush();
}

/// The child's whole life (Invariant 4).
pub(crate) fn run_child<F, R>(closure: F) -> !
where
    F: FnOnce() -> R,
    R: Outcome,
{
    let code = match panic::catch_unwind(AssertUnwindSafe(|| closure().exit_code())) {
        Ok(code) => {
            flush();
            // What the closure only borrowed is never dropped here; a panic, though, counts as a
            // death.
            attachment::leave_all(if matches!(threads::count(), Ok(1)) { Leaving::Alone } else { Leaving::AtWork });
            code
        }
        Err(payload) => {
            std::mem::forget(payload); // its drop might panic
            flush();
            PANICKED
        }
    };
    exit_now(code)
}
