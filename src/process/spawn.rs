//! Forking, and what the child does. The invariants are those of the parent module.

#[cfg(feature = "object")]
use super::spawner;
use super::{Child, Outcome, Process, SpawnError, background, lock_children};
use crate::attachment::{self, Leaving};
#[cfg(feature = "object")]
use crate::os::begin_helper;
use crate::os::{Blocked, Parent, begin_process, deadline_after, die_with, now_ns, put_null_over_all_but};
use crate::shm::segment::descriptor_numbers;
use std::fs;
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Exit code of a child that panicked: the one that Rust programs use.
const PANICKED: i32 = 101;

/// For how long threads may be seen that are about to be gone: one whose scope is over has a few last instructions to run.
const LEAVING: Duration = Duration::from_millis(100);
/// For how long a thread of the crate itself may be at work: it takes a millisecond, and its turn on a loaded machine.
const AT_WORK: Duration = Duration::from_secs(2);
/// Between two looks.
const MOMENT: Duration = Duration::from_micros(400);

/// How a process is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct How {
    /// The kernel kills it when the program ends, or the spawner that forked it.
    pub dies_with_us: bool,
    /// One of the crate's own: it starts with all signals blocked and ignored, for
    /// [`give_back`](crate::os::give_back) in its children, and is not told of as a child.
    pub is_helper: bool,
    /// Handlers of TERM, HUP, QUIT and INT do not become the default.
    pub keep_handlers: bool,
    /// `/dev/null` is put over all descriptors but the standard ones, those of segments, and these.
    pub keep_fds: Option<Vec<RawFd>>,
}

impl How {
    pub fn daemon() -> How {
        How { dies_with_us: true, ..How::default() }
    }

    /// A process of the crate's own, which ends by itself when the program ends.
    #[cfg(feature = "object")]
    pub fn helper(keep_fds: Vec<RawFd>) -> How {
        How { is_helper: true, keep_fds: Some(keep_fds), ..How::default() }
    }

    /// Are the descriptors to keep open?
    pub fn check(&self) -> Result<(), SpawnError> {
        for &number in self.keep_fds.iter().flatten() {
            // SAFETY: any number may be asked about.
            if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
                return Err(SpawnError::Os { call: "a descriptor to keep", source: io::Error::last_os_error() });
            }
        }
        Ok(())
    }

    /// In the forked child.
    fn begin(&self, blocked: Blocked) {
        if let Some(kept) = &self.keep_fds {
            shed(kept);
        }
        #[cfg(feature = "object")]
        if self.is_helper {
            return begin_helper(blocked);
        }
        begin_process(blocked, self.keep_handlers);
    }
}

/// Lets go of the descriptors that this process inherited, but for these and those of segments.
pub(super) fn shed(kept: &[RawFd]) {
    let mut all = descriptor_numbers();
    all.extend(kept);
    put_null_over_all_but(&all);
}

impl Process {
    /// Runs `closure` in a new process, a `fork` of this one, and returns at once. **What is moved
    /// into the closure is dropped in both processes**: here before `spawn` returns, in the child
    /// when the closure has returned. So a temporary folder that is moved is gone for the child, a
    /// `BufWriter` with something in its buffer writes that twice, a guard of another crate unlocks
    /// here what the child believes locked, and a `JoinHandle` of a thread that has ended but was
    /// not joined is **undefined behaviour** in the child, where glibc follows it into memory of a
    /// thread that is not there: join such threads first. Of this crate's own, endpoints, permits,
    /// pools and their results are inert in the child, which may drop them. Where once is wanted,
    /// let the closure borrow (without `move`: what it borrows is not dropped in the child), move a
    /// handle (of a queue, a cloned descriptor, a path), or create it inside. That the parent's
    /// half goes at once is meant: the end of a pipe that it forgot to close would keep the child's
    /// other end from ever reaching its end.
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
    /// In the child, stdout and stderr of `std` are flushed when the closure has returned, and the process ends there: it never
    /// returns into the code around this call, runs no `atexit` handlers, and drops nothing but the closure. What the closure
    /// returns becomes the exit code, see [`Outcome`]; a panic prints its message and becomes 101 (with `panic = "abort"`:
    /// SIGABRT). The parent's stdout is flushed before, lest buffered output be printed twice.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Threaded`] if the program has more than one thread; [`SpawnError::GuardHeld`]
    /// while this process holds a [`Loan`](crate::Loan), a [`Lease`](crate::Lease) or a lock of
    /// [`shmq::sync`](crate::sync): a plain reference that was made of one would go on working in
    /// the child when the parent's guard has ended; [`SpawnError::Os`] if the system makes no
    /// process. What is held is asked of the queues: in those that were ever used in place, by a
    /// look at each message (5 to 15 ns).
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
        Self::fork_alone(closure, &How::default())
    }

    /// [`spawn`](Self::spawn) for a child that does not outlive its parent: however the parent ends, SIGKILL included, the
    /// kernel kills the child at that moment (Python's `daemon=True`).
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn).
    ///
    /// ```
    /// let child = shmq::Process::spawn_daemon(|| loop { std::thread::park() })?;
    /// assert!(child.is_alive()); // for as long as we live
    /// # child.kill()?;
    /// # child.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_daemon<F, R>(closure: F) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        Self::fork_alone(closure, &How::daemon())
    }

    /// Forks if nothing is lost by it: there are no threads but our own, and those stand still.
    pub(super) fn fork_alone<F, R>(closure: F, how: &How) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        how.check()?;
        let (leaving_ns, at_work_ns) = (deadline_after(LEAVING), deadline_after(AT_WORK));
        let wish = background::Wish::make();
        loop {
            let counted = count_threads().map_err(|source| SpawnError::Os { call: "reading /proc/self/task", source })?;
            let threads = counted.saturating_sub(background::count());
            if threads <= 1 {
                if let Some(still) = background::hold_still() {
                    // No other is taken meanwhile: this is the only thread at work.
                    if let Some((guard, name)) = attachment::open_guard() {
                        return Err(SpawnError::GuardHeld { guard, name });
                    }
                    // SAFETY: this thread is the only one but for those of Invariant 6, so the child lacks none, nor finds a lock that
                    // one might hold. A daemon's parent is this thread, which ends with the program.
                    return unsafe { Process::fork(closure, how, Some((still, wish))) };
                }
            }
            if now_ns() >= if threads <= 1 { at_work_ns } else { leaving_ns } {
                return Err(SpawnError::Threaded { threads: counted });
            }
            thread::sleep(MOMENT);
        }
    }

    /// [`spawn`](Self::spawn) without counting threads: for a program that has some and knows what they hold.
    ///
    /// # Safety
    ///
    /// The child has only the calling thread. What other threads were in the middle of stays so for ever: locks that they hold
    /// are never released, data behind those locks may be half changed. Until the child ends it must touch nothing of the kind:
    /// strictly, it may only call functions that are safe in signal handlers. (glibc puts its allocator in order across `fork`,
    /// and `spawn_unchecked` does so for the locks of `std`'s stdout and stderr. Other libraries do not.)
    ///
    /// Loans, leases and lock guards are not asked for either: the child must not use references
    /// that were made of one.
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
        // SAFETY: as the caller says.
        unsafe { Process::fork(closure, &How::default(), None) }
    }

    /// # Safety
    /// As for [`spawn_unchecked`](Self::spawn_unchecked); with `how.dies_with_us`, the child also dies when this thread ends.
    pub(super) unsafe fn fork<F, R>(
        closure: F,
        how: &How,
        still: Option<(background::Still, background::Wish)>,
    ) -> Result<Process, SpawnError>
    where
        F: FnOnce() -> R,
        R: Outcome,
    {
        #[cfg(feature = "object")]
        let mut spawner = spawner::lock();
        let mut children = lock_children();
        children.retain(|child| child.is_running());
        let mut stdout = io::stdout().lock();
        let stderr = io::stderr().lock();
        // A stdout that cannot be written to loses its text in `print`, too; that is no reason not to spawn.
        let _ = stdout.flush();
        let parent = how.dies_with_us.then(Parent::here);
        let blocked = Blocked::all();
        // SAFETY: the caller vouches for other threads; the locks that we use ourselves are ours (Invariant 5).
        match unsafe { libc::fork() } {
            -1 => Err(SpawnError::Os { call: "fork", source: io::Error::last_os_error() }),
            0 => {
                // The parent's children are not ours, and the spawner waits for the end of a socket that we shall not keep open.
                children.clear();
                drop((children, stdout, stderr, still));
                #[cfg(feature = "object")]
                {
                    drop(spawner.take());
                    drop(spawner);
                }
                if let Some(parent) = parent {
                    die_with(&parent);
                }
                how.begin(blocked);
                run_child(closure)
            }
            pid => Ok(Process::listed(Child::adopt(pid, how.is_helper), &mut children)),
        }
    }

    /// A new entry of the list.
    pub(super) fn listed(child: Child, children: &mut Vec<Arc<Child>>) -> Process {
        let child = Arc::new(child);
        children.push(Arc::clone(&child));
        Process { child, owner: std::process::id() }
    }

    /// Starts a fresh program, in no way a copy of this one: it opens queues by their names. Works from any thread. The same as
    /// [`Command::spawn`], for those who want all their children to be of one kind; what `command` says of the child's input and output
    /// holds, but pipes to it are closed (use `Command::spawn` for those).
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
        let mut children = lock_children();
        children.retain(|child| child.is_running());
        let child = command.spawn().map_err(|source| SpawnError::Os { call: "starting a program", source })?;
        // Dropping std's `Child` neither kills nor reaps.
        Ok(Process::listed(Child::adopt(child.id() as libc::pid_t, false), &mut children))
    }
}

/// Threads of this process, without those that are in the kernel on their way out: one that was joined is still listed for a moment,
/// on a loaded machine for long, and neither holds nor runs anything of ours any more.
fn count_threads() -> io::Result<usize> {
    let tasks: Vec<_> = fs::read_dir("/proc/self/task")?.collect::<io::Result<_>>()?;
    if tasks.len() <= 1 {
        return Ok(tasks.len());
    }
    Ok(tasks.iter().filter(|task| !is_leaving(&task.path().join("stat"))).count())
}

/// Says so its `stat`, or is it gone by now? Whatever else keeps us from reading it, it is counted.
fn is_leaving(stat: &Path) -> bool {
    /// The kernel's mark of a task that ends, since long before it lets go of those who join it.
    const PF_EXITING: u32 = 4;
    match fs::read_to_string(stat) {
        // The name in parentheses may hold anything; behind it come state, parent, group, session, terminal, its group, and the marks.
        Ok(text) => {
            let marks = text.rfind(')').and_then(|end| text[end + 1..].split_whitespace().nth(6)?.parse::<u32>().ok());
            marks.is_some_and(|marks| marks & PF_EXITING != 0)
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH),
    }
}

/// Nobody is left to tell if these fail; std says nothing at exit either.
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
            // What the closure only borrowed is never dropped here; a panic, though, counts as a death.
            attachment::leave_all(if matches!(count_threads(), Ok(1)) { Leaving::Alone } else { Leaving::AtWork });
            code
        }
        Err(payload) => {
            std::mem::forget(payload); // its drop might panic
            flush();
            PANICKED
        }
    };
    // SAFETY: ends the process, whatever state it is in.
    unsafe { libc::_exit(code) }
}
