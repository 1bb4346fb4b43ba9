//! Processes: fork, wait, signals, descriptors of processes (pidfds), and the parent of this
//! process.
//!
//! A child in another PID namespace (its parent called `unshare(CLONE_NEWPID)`) sees no parent:
//! `getppid` is 0 there from the beginning and for ever. A descriptor of the parent, opened before
//! the fork, reports its end in any namespace.

use super::poll::is_readable;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::{mem, ptr};

/// A process id, as the kernel represents it.
pub(crate) type Pid = libc::pid_t;
/// A signal number.
pub(crate) type Signal = libc::c_int;
/// Asks a process to end.
pub(crate) const TERMINATE: Signal = libc::SIGTERM;
/// Ends a process, which cannot handle it.
pub(crate) const KILL: Signal = libc::SIGKILL;

/// The calling process.
pub(crate) fn own_pid() -> Pid {
    std::process::id() as Pid
}

/// The calling thread, as the kernel names it. For messages: another thread may have the same id
/// later.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: gettid takes no arguments and cannot fail.
    unsafe { libc::gettid() as u32 }
}

/// Which process this is after a [`fork`].
pub(crate) enum Fork {
    /// The new one.
    Child,
    /// The one that forked: it has a child of this id.
    Parent(Pid),
}

/// Copies this process.
///
/// # Safety
/// The child has the calling thread only: it must not touch what another thread was in the middle
/// of.
pub(crate) unsafe fn fork() -> io::Result<Fork> {
    // SAFETY: the caller's contract is that of `fork` itself.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Ends this process at once: no destructor and no handler of `atexit` runs.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process, whatever state it is in.
    unsafe { libc::_exit(code) }
}

/// Has `exit` call a function. If it cannot be registered, it is not called.
#[cfg(feature = "object")]
pub(crate) fn at_exit(handler: extern "C" fn()) {
    // SAFETY: a plain function that lives as long as the program.
    unsafe { libc::atexit(handler) };
}

/// Which children of this process a wait is for.
#[derive(Clone, Copy)]
pub(crate) enum WaitFor<'a> {
    #[cfg(feature = "object")]
    All,
    Pid(Pid),
    Pidfd(&'a OwnedFd),
}

/// Whether a child of this process has ended, and how. Does not wait, and does not reap it.
#[cfg(feature = "object")]
pub(crate) fn peek_ended(which: WaitFor<'_>) -> io::Result<Option<(Pid, ExitStatus)>> {
    ended(which, libc::WNOWAIT)
}

/// Reaps a child of this process that has ended. Does not wait.
pub(crate) fn take_ended(which: WaitFor<'_>) -> io::Result<Option<(Pid, ExitStatus)>> {
    ended(which, 0)
}

fn ended(which: WaitFor<'_>, flags: libc::c_int) -> io::Result<Option<(Pid, ExitStatus)>> {
    let (kind, id) = match which {
        #[cfg(feature = "object")]
        WaitFor::All => (libc::P_ALL, 0),
        WaitFor::Pid(pid) => (libc::P_PID, pid as libc::id_t),
        WaitFor::Pidfd(pidfd) => (libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t),
    };
    // SAFETY: a siginfo_t is plain numbers, for which zero is a value.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: `info` is a siginfo_t that the call may write.
    while unsafe { libc::waitid(kind, id, &mut info, libc::WEXITED | libc::WNOHANG | flags) } == -1 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: waitid wrote the fields of a child's end, or left the zeroes, which are no process's
    // pid.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    // `wait` gives one word where `waitid` gives two; std wants the word.
    let word = match info.si_code {
        libc::CLD_EXITED => (status & 0xff) << 8,
        libc::CLD_DUMPED => status | 0x80,
        _killed => status,
    };
    Ok(Some((pid, ExitStatus::from_raw(word))))
}

/// Reaps a child of this process, waiting until it has ended.
#[cfg(feature = "object")]
pub(crate) fn reap(pid: Pid) {
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
}

/// Sends a signal to a process that cannot have been reaped: an own child, or the parent.
pub(crate) fn send_signal(pid: Pid, signal: Signal) -> io::Result<()> {
    // SAFETY: any numbers may be passed.
    match unsafe { libc::kill(pid, signal) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Sends a signal to the process that the descriptor stands for, whatever its pid is used for by
/// now.
pub(crate) fn send_signal_by_pidfd(pidfd: &OwnedFd, signal: Signal) -> io::Result<()> {
    let no_info = ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and no siginfo is passed.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Wakes a stopped process.
#[cfg(feature = "object")]
pub(crate) fn continue_process(pid: Pid) {
    let _ = send_signal(pid, libc::SIGCONT);
}

/// A descriptor of a process, if the kernel has such (5.3).
pub(crate) fn open_pidfd(pid: Pid) -> Option<OwnedFd> {
    // SAFETY: any numbers may be passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: `pidfd_open` has just made the descriptor, so nothing else owns it.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

/// The process id, in our PID namespace, of the process that a pidfd stands for.
#[cfg(feature = "object")]
pub(crate) fn pid_of(pidfd: &OwnedFd) -> Option<Pid> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()?;
    (pid > 0).then_some(pid)
}

/// Orphans among the descendants of this process become its children.
#[cfg(feature = "object")]
pub(crate) fn become_subreaper() {
    // SAFETY: takes a flag.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
}

/// A process, named before it forks, whose descendants check whether it still lives.
pub(crate) struct Parent {
    pid: Pid,
    /// `None`: the kernel has none (before 5.3), or no number is free.
    pidfd: Option<OwnedFd>,
}

impl Parent {
    /// The calling process.
    pub fn here() -> Parent {
        Parent::named(own_pid(), open_pidfd(own_pid()))
    }

    /// The process of that id, with a descriptor of it.
    pub fn named(pid: Pid, pidfd: Option<OwnedFd>) -> Parent {
        Parent { pid, pidfd }
    }

    /// Readable when the process has ended.
    pub fn pidfd(&self) -> Option<RawFd> {
        self.pidfd.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// In its child: whether it has ended. Also true when this process was given to another parent.
    pub fn has_ended(&self) -> bool {
        match parent_pid() {
            // In another namespace.
            0 => self.pidfd().is_some_and(is_readable),
            parent => parent != self.pid,
        }
    }

    /// In any descendant: whether it has ended.
    #[cfg(feature = "object")]
    pub fn is_gone(&self) -> bool {
        match self.pidfd() {
            Some(pidfd) => is_readable(pidfd),
            // In another namespace and without a descriptor, it is believed to live.
            None => parent_pid() != 0 && has_no_process(self.pid),
        }
    }
}

/// Whether there is no process of that id. One that may not be signalled (`EPERM`) is there.
#[cfg(feature = "object")]
fn has_no_process(pid: Pid) -> bool {
    send_signal(pid, 0).is_err_and(|error| is_no_such_process(&error))
}

/// The error's number, or `EAGAIN` if it has none.
#[cfg(feature = "object")]
pub(crate) fn errno_or_again(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EAGAIN)
}

/// Whether the system says that there is no such process (`ESRCH`).
pub(crate) fn is_no_such_process(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}

/// Whether the system says that this process has no such child (`ECHILD`): other code has reaped
/// it.
pub(crate) fn is_no_such_child(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ECHILD)
}

/// Process id of the parent; 0 if it is in another PID namespace.
pub(crate) fn parent_pid() -> Pid {
    // SAFETY: getppid has no preconditions.
    unsafe { libc::getppid() }
}

/// Whether the parent of this process is in another PID namespace than this one.
#[cfg(feature = "object")]
pub(crate) fn parent_is_elsewhere() -> bool {
    parent_pid() == 0
}

/// Kills the process `parent` if it is still the parent of this one; `pidfd` is a descriptor of it.
#[cfg(feature = "object")]
pub(crate) fn kill_parent(parent: Pid, pidfd: Option<&OwnedFd>) {
    if parent_pid() != parent {
        return;
    }
    let _ = match pidfd {
        Some(pidfd) => send_signal_by_pidfd(pidfd, KILL),
        // It was our parent a moment ago, so its pid is its own, unless it ended just now, was
        // reaped, and all pids were used up since.
        None => send_signal(parent, KILL),
    };
}

/// The kernel kills this process when the thread that forked it ends, or has ended by now.
pub(crate) fn die_with(parent: &Parent) {
    // SAFETY: signal numbers and our own pid.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if parent.has_ended() {
            // As the kernel would have, a moment later.
            libc::kill(libc::getpid(), libc::SIGKILL);
        }
    }
}

/// The kernel kills this process when the other end of the socket is closed. Nothing may ever be
/// written into that end. What [`die_with`] asks for is forgotten when a process changes its user;
/// this stays, and is done with the rights that the process has now.
#[cfg(feature = "object")]
pub(crate) fn die_at_end_of(socket: &impl AsRawFd) {
    /// `F_SETSIG`, which is the same number on all architectures.
    const SET_SIGNAL: libc::c_int = 10;
    let socket = socket.as_raw_fd();
    // SAFETY: numbers only. Where a call is refused, what `die_with` asked for has to do. The
    // signal and its receiver are set before it is asked for.
    unsafe {
        if libc::fcntl(socket, SET_SIGNAL, libc::SIGKILL) != -1 && libc::fcntl(socket, libc::F_SETOWN, libc::getpid()) != -1 {
            let flags = libc::fcntl(socket, libc::F_GETFL);
            libc::fcntl(socket, libc::F_SETFL, flags | libc::O_ASYNC);
        }
    }
}
