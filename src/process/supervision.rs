//! What the crate's own supervising processes have in common: the fork server and its standby, the
//! supervisor of a pool and its standby.
//!
//! ```text
//!   active ──forks──> children            active dies:  standby = active, forks its own standby
//!     └─────forks──> standby (or the      program ends: both end, and end what they forked
//!                    standby forks it)
//! ```
//!
//! Either process may be the one that was forked: a pool's supervisor forks its standby, the fork
//! server is forked by its standby. The one that was forked watches its parent ([`Predecessor`]),
//! the other its child ([`ForkedChild`]).
//!
//! Invariants:
//! 1. Such a process never has a second thread, so what it forks lacks none, and it runs no code of
//!    the program but in children.
//! 2. It acts on pids of its own unreaped children and of its parent only, so no other process is
//!    hit that was given the same pid.

use crate::attachment::{self, Leaving};
use crate::os::{
    Fork, KILL, Pid, WaitFor, fork, kill_parent, open_pidfd, own_pid, parent_pid, peek_ended, poll, reap, send_signal, take_ended,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// First in such a process: it gives up the program's queues, which are not its affair, and leaves
/// their names alone. The program may have dropped a handle meanwhile, and left the name to this
/// process.
pub(crate) fn begin() {
    attachment::leave_all(Leaving::Alone);
    crate::shm::segment::keep_no_names();
}

/// A child of this process, not reaped.
pub(crate) struct ForkedChild {
    pub pid: Pid,
    /// `None`: the kernel has none (before 5.3), or no number is free.
    pub pidfd: Option<OwnedFd>,
}

impl ForkedChild {
    /// Forks a child. `None`: this is the child.
    ///
    /// # Safety
    /// This process has one thread (Invariant 1).
    pub unsafe fn fork() -> io::Result<Option<ForkedChild>> {
        // SAFETY: the caller's contract.
        match unsafe { fork() }? {
            Fork::Child => Ok(None),
            Fork::Parent(pid) => Ok(Some(ForkedChild { pid, pidfd: open_pidfd(pid) })),
        }
    }

    /// The pidfd's number, to be polled.
    pub fn number(&self) -> Option<RawFd> {
        self.pidfd.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// How it ended, if it did. It is not reaped, so its pid is not used again yet. One that other
    /// code has reaped has ended, too.
    pub fn peek_status(&self) -> Option<ExitStatus> {
        status_of(peek_ended(WaitFor::Pid(self.pid)))
    }

    /// How it ended, if it did: it is reaped then.
    pub fn take_status(&self) -> Option<ExitStatus> {
        status_of(take_ended(WaitFor::Pid(self.pid)))
    }

    /// Kills it. `false`: the system refuses that, as it has become another user's.
    pub fn kill(&self) -> bool {
        send_signal(self.pid, KILL).is_ok()
    }

    /// Reaps it, waiting until it has ended.
    pub fn reap(&self) {
        reap(self.pid);
    }
}

fn status_of(ended: io::Result<Option<(Pid, ExitStatus)>>) -> Option<ExitStatus> {
    ended.map_or(Some(ExitStatus::default()), |ended| ended.map(|(_, status)| status))
}

/// A child of this process that has ended and was not reaped, and how it ended.
pub(crate) fn next_ended() -> Option<(Pid, ExitStatus)> {
    peek_ended(WaitFor::All).ok().flatten()
}

/// The parent of this process, whose place this one takes when it dies.
pub(crate) struct Predecessor {
    pid: Pid,
    pidfd: Option<OwnedFd>,
}

impl Predecessor {
    /// The pid to watch, to be asked for before the fork: the child may be an orphan by the time it
    /// asks.
    pub fn own_pid() -> Pid {
        own_pid()
    }

    /// In the forked child: watches its parent.
    pub fn watch(pid: Pid) -> Predecessor {
        Predecessor { pid, pidfd: open_pidfd(pid) }
    }

    /// A number that is readable when it has ended. `None`: the caller polls in slices.
    pub fn number(&self) -> Option<RawFd> {
        self.pidfd.as_ref().map(AsRawFd::as_raw_fd)
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it lives. It is known by being the parent, so no pid is mistaken (Invariant 2).
    pub fn is_alive(&self) -> bool {
        parent_pid() == self.pid
    }

    /// When all is over: waits until it has ended by itself, and kills it if it takes longer than
    /// `grace`. It was stopped then, as its end takes no time otherwise.
    pub fn outlast(&self, grace: Duration, slice_ms: i32) {
        let begun = Instant::now();
        let watched: Vec<RawFd> = self.number().into_iter().collect();
        while self.is_alive() && begun.elapsed() < grace {
            poll(&watched, slice_ms);
        }
        kill_parent(self.pid, self.pidfd.as_ref());
    }
}
