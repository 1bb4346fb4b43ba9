//! What the kernel knows of a child: looking, waiting and sending signals, through a pidfd where there is one.
//!
//! The invariants are those of the parent module.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;

/// How long a wait sleeps between two looks at a child without a pidfd.
const SLICE: Duration = Duration::from_millis(5);

/// A child that nobody has reaped yet (Invariant 1).
pub(super) struct Child {
    pid: libc::pid_t,
    /// `None` where the kernel has none, or refuses it.
    pidfd: Option<OwnedFd>,
}

impl Child {
    /// The child that `fork` has just made.
    pub fn adopt(pid: libc::pid_t) -> Child {
        Child { pid, pidfd: open_pidfd(pid) }
    }

    pub fn is_running(&self) -> bool {
        matches!(self.reap(), Ok(None))
    }

    /// What can be polled for its end.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Has it ended? Its status stays to be taken.
    pub fn has_ended(&self) -> bool {
        // SAFETY: a siginfo_t is plain numbers, for which zero is a value.
        let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
        // SAFETY: `info` may be written, and the pid is our child's until it is reaped (Invariant 1).
        let looked = unsafe {
            libc::waitid(libc::P_PID, self.pid as libc::id_t, &mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
        };
        match looked {
            -1 => io::Error::last_os_error().kind() != io::ErrorKind::Interrupted,
            // SAFETY: waitid filled the fields of a child's end, or left the zeroes.
            _ => unsafe { info.si_pid() != 0 },
        }
    }

    /// Takes the status of a child that has ended. `None` while it runs.
    pub fn reap(&self) -> io::Result<Option<ExitStatus>> {
        let (kind, id) = match &self.pidfd {
            Some(pidfd) => (libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t),
            None => (libc::P_PID, self.pid as libc::id_t),
        };
        // SAFETY: a siginfo_t is plain numbers, for which zero is a value.
        let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
        // SAFETY: `info` may be written, and the child is ours to reap (Invariant 1).
        while unsafe { libc::waitid(kind, id, &mut info, libc::WEXITED | libc::WNOHANG) } == -1 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        // SAFETY: waitid filled the fields of a child's end, or left the zeroes, which are a pid that nobody has.
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
        Ok(Some(ExitStatus::from_raw(word)))
    }

    /// Sleeps until the child may have ended, `longest` has passed, or a signal came.
    pub fn sleep(&self, longest: Duration) -> io::Result<()> {
        let Some(pidfd) = &self.pidfd else {
            thread::sleep(longest.min(SLICE));
            return Ok(());
        };
        let mut ended = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // Rounded up: a poll that ends early is followed by another look and another poll.
        let longest_ms = longest.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(libc::c_int::MAX);
        // SAFETY: one pollfd, on a descriptor that is open.
        if unsafe { libc::poll(&mut ended, 1, longest_ms) } == -1 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Sends a signal to a child that was not reaped; one that has ended takes it and does nothing.
    pub fn signal(&self, signal: libc::c_int) -> io::Result<()> {
        let sent = match &self.pidfd {
            Some(pidfd) => send_by_pidfd(pidfd, signal),
            // SAFETY: any numbers may be passed; the pid is still our child's (Invariant 1).
            None => unsafe { libc::kill(self.pid, signal) as libc::c_long },
        };
        if sent == -1 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::ESRCH) {
                return Err(error);
            }
        }
        Ok(())
    }
}

fn open_pidfd(pid: libc::pid_t) -> Option<OwnedFd> {
    // SAFETY: any numbers may be passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    // SAFETY: a descriptor that the kernel has just made for us.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

fn send_by_pidfd(pidfd: &OwnedFd, signal: libc::c_int) -> libc::c_long {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and no siginfo is passed.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0) }
}
