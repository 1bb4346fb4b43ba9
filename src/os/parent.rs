//! The process that forks, for its child to know whether it still lives.
//!
//! A child in another PID namespace (its parent called `unshare(CLONE_NEWPID)`) sees no parent:
//! `getppid` is 0 there, from the beginning and for ever. A descriptor of the parent, opened before
//! the fork, tells in any namespace.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A process, named before it forks.
pub(crate) struct Parent {
    pid: libc::pid_t,
    /// `None`: the kernel has none (before 5.3), or no number is free.
    pidfd: Option<OwnedFd>,
}

impl Parent {
    /// The calling process.
    pub fn here() -> Parent {
        let pid = std::process::id() as libc::pid_t;
        Parent { pid, pidfd: open_pidfd(pid) }
    }

    /// Readable when the process has ended.
    pub fn pidfd(&self) -> Option<RawFd> {
        self.pidfd.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// In its child: has it ended? Also told when it has, and its child was given to another.
    pub fn has_ended(&self) -> bool {
        match parent_pid() {
            // In another namespace.
            0 => self.pidfd().is_some_and(is_readable),
            parent => parent != self.pid,
        }
    }

    /// In any descendant: has it ended?
    #[cfg(feature = "object")]
    pub fn is_gone(&self) -> bool {
        match self.pidfd() {
            Some(pidfd) => is_readable(pidfd),
            // Elsewhere, with nothing to tell by, it is believed to live.
            None => parent_pid() != 0 && has_no_process(self.pid),
        }
    }
}

/// Is there no process of that id? One that may not be signalled (`EPERM`) is there.
#[cfg(feature = "object")]
pub(crate) fn has_no_process(pid: libc::pid_t) -> bool {
    // SAFETY: signal 0 asks whether there is such a process.
    let refused = unsafe { libc::kill(pid, 0) } == -1;
    refused && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
}

/// Process id of the parent; 0 if it is in another PID namespace.
pub(crate) fn parent_pid() -> libc::pid_t {
    // SAFETY: getppid has no preconditions.
    unsafe { libc::getppid() }
}

#[cfg(feature = "object")]
/// Is the parent of this process in another PID namespace than this one?
pub(crate) fn parent_is_elsewhere() -> bool {
    parent_pid() == 0
}

fn is_readable(fd: RawFd) -> bool {
    let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd.
    unsafe { libc::poll(&mut polled, 1, 0) == 1 }
}

/// A descriptor of a process, if the kernel has such (5.3).
pub(crate) fn open_pidfd(pid: libc::pid_t) -> Option<OwnedFd> {
    // SAFETY: any numbers may be passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: a descriptor that the kernel has just made for us.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
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
/// written into that end. What [`die_with`] asks for is forgotten where a process changes its user;
/// this stays, and is done with the rights that the process has now.
#[cfg(feature = "object")]
pub(crate) fn die_at_end_of(socket: &impl AsRawFd) {
    /// `F_SETSIG`, which is the same number on all architectures.
    const SET_SIGNAL: libc::c_int = 10;
    let socket = socket.as_raw_fd();
    // SAFETY: numbers only. Where a call is refused, what `die_with` asked for has to do. The signal and
    // its receiver are set before it is asked for.
    unsafe {
        if libc::fcntl(socket, SET_SIGNAL, libc::SIGKILL) != -1 && libc::fcntl(socket, libc::F_SETOWN, libc::getpid()) != -1 {
            let flags = libc::fcntl(socket, libc::F_GETFL);
            libc::fcntl(socket, libc::F_SETFL, flags | libc::O_ASYNC);
        }
    }
}
