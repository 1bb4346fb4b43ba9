//! What is known of a child: its status, waiting for it and sending signals to it, through a pidfd
//! where there is one.
//!
//! The invariants are those of the parent module.

#[cfg(feature = "object")]
use crate::os::Deadline;
use crate::os::{Event, Pid, Signal, WaitFor, open_pidfd, poll_events, send_signal, send_signal_by_pidfd, take_ended};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a wait sleeps between two checks of a child without a pidfd.
const SLICE: Duration = Duration::from_millis(5);

/// A child, until its status is not asked for any more. The status is taken once and kept
/// (Invariants 1 and 3).
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    /// `None` where the kernel has none, or refuses it.
    pidfd: Option<OwnedFd>,
    parent: ChildOf,
    /// A process of the crate's own: not what the program calls its children.
    is_helper: bool,
    status: Mutex<Option<ExitStatus>>,
}

/// Which process is its parent in the eyes of the kernel.
#[derive(Debug)]
enum ChildOf {
    /// Ours: we reap it.
    Program,
    /// The fork server reports its status and then reaps it.
    #[cfg_attr(not(feature = "object"), allow(dead_code, reason = "there is no fork server"))]
    ForkServer {
        /// Our end of the child's line, not blocking.
        line: File,
        /// The pid is one of our own PID namespace.
        pid_is_ours: bool,
    },
}

impl Child {
    /// The child that `fork` has just made.
    pub fn adopt(pid: Pid, is_helper: bool) -> Child {
        Child { pid, pidfd: open_pidfd(pid), parent: ChildOf::Program, is_helper, status: Mutex::new(None) }
    }

    /// A child of the fork server, which will report its status through the line.
    #[cfg(feature = "object")]
    pub fn of_fork_server(pid: Pid, pidfd: Option<OwnedFd>, line: OwnedFd, pid_is_ours: bool, is_helper: bool) -> Child {
        let parent = ChildOf::ForkServer { line: File::from(line), pid_is_ours };
        Child { pid, pidfd, parent, is_helper, status: Mutex::new(None) }
    }

    pub fn is_helper(&self) -> bool {
        self.is_helper
    }

    pub fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// The pidfd, which can be polled.
    pub fn sentinel(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    pub fn is_running(&self) -> bool {
        matches!(self.status(), Ok(None))
    }

    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The status of a child that has ended, taken now if need be. `None` while it runs.
    pub fn status(&self) -> io::Result<Option<ExitStatus>> {
        let mut status = self.lock();
        if status.is_none() {
            *status = match &self.parent {
                ChildOf::Program => self.reap()?,
                ChildOf::ForkServer { line, .. } => receive_status(line)?,
            };
        }
        Ok(*status)
    }

    /// The status as of the last check.
    pub fn known_status(&self) -> Option<ExitStatus> {
        *self.lock()
    }

    fn reap(&self) -> io::Result<Option<ExitStatus>> {
        // The child is ours to reap (Invariant 1).
        let ended = match &self.pidfd {
            Some(pidfd) => match take_ended(WaitFor::Pidfd(pidfd)) {
                // A kernel with pidfds that cannot be waited for (5.3).
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => take_ended(WaitFor::Pid(self.pid)),
                ended => ended,
            },
            None => take_ended(WaitFor::Pid(self.pid)),
        };
        Ok(ended?.map(|(_, status)| status))
    }

    /// Reaps a child of ours if it ends before the deadline, without any lock: for `exit`, which
    /// may have been called in a signal handler, above a frame that holds one.
    #[cfg(feature = "object")]
    pub fn reap_until(&self, deadline: Deadline, moment: Duration) {
        while matches!(self.reap(), Ok(None)) && !deadline.has_passed() {
            thread::sleep(moment);
        }
    }

    /// A descriptor that can be read when there is a status to take. Not the pidfd of a child of
    /// the fork server: that becomes readable before the status is reported, and the fork server
    /// may be stopped in between.
    pub fn status_source(&self) -> Option<BorrowedFd<'_>> {
        match &self.parent {
            ChildOf::ForkServer { line, .. } => Some(line.as_fd()),
            ChildOf::Program => self.sentinel(),
        }
    }

    /// Sleeps until the child may have ended, `longest` has passed, a signal came, or one of the
    /// others may have ended: `true`.
    pub fn sleep(&self, longest: Duration, others: &[Arc<Child>]) -> io::Result<bool> {
        let Some(source) = self.status_source() else {
            thread::sleep(longest.min(SLICE));
            return Ok(!others.is_empty());
        };
        let others = others.iter().filter_map(|other| other.status_source());
        let polled: Vec<_> = std::iter::once(source).chain(others).map(|fd| (fd.as_raw_fd(), Event::Readable)).collect();
        // Rounded up: a poll that ends early is followed by another check and another poll.
        let longest_ms = longest.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i32::MAX);
        match poll_events(&polled, longest_ms) {
            Ok(ended) => Ok(ended[1..].contains(&true)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sends a signal to a child that was not reaped; one that has ended takes it and does nothing.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // Held: no other thread reaps it meanwhile, so the pid stays its own (Invariant 1).
        let mut status = self.lock();
        if status.is_some() {
            return Ok(());
        }
        let sent = match (&self.pidfd, &self.parent) {
            (Some(pidfd), _) => send_signal_by_pidfd(pidfd, signal),
            (None, ChildOf::Program) => send_signal(self.pid, signal),
            (None, ChildOf::ForkServer { line, pid_is_ours: true }) => {
                // It is reaped after its status was reported, which was not the case a moment ago.
                *status = receive_status(line)?;
                if status.is_some() {
                    return Ok(());
                }
                send_signal(self.pid, signal)
            }
            (None, ChildOf::ForkServer { pid_is_ours: false, .. }) => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "signals to a process of the fork server in another PID namespace need a kernel with pidfds",
                ));
            }
        };
        match sent {
            Err(error) if !crate::os::is_no_such_process(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// The status that the fork server reported, if it did.
fn receive_status(mut line: &File) -> io::Result<Option<ExitStatus>> {
    let mut word = [0; 4];
    match line.read(&mut word) {
        Ok(4) => Ok(Some(ExitStatus::from_raw(i32::from_ne_bytes(word)))),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::BrokenPipe,
            "the fork server (shmq::process::init) and its standby died, and the status of this process was lost with them",
        )),
    }
}
