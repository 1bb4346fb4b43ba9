//! What is known of a child: looking, waiting and sending signals, through a pidfd where there is one.
//!
//! The invariants are those of the parent module.

#[cfg(feature = "object")]
use crate::os::now_ns;
use crate::os::open_pidfd;
#[cfg(feature = "object")]
use crate::os::parent_pid;
use std::fs::File;
use std::io::{self, Read};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a wait sleeps between two looks at a child without a pidfd.
const SLICE: Duration = Duration::from_millis(5);

/// A child, until nobody asks for it any more. Its status is taken once and kept (Invariants 1 and 3).
#[derive(Debug)]
pub(super) struct Child {
    pid: libc::pid_t,
    /// `None` where the kernel has none, or refuses it.
    pidfd: Option<OwnedFd>,
    /// Whose child the process is in the eyes of the kernel.
    kin: Kin,
    /// A process of the crate's own: not what the program calls its children.
    is_helper: bool,
    ended: Mutex<Option<ExitStatus>>,
}

#[derive(Debug)]
enum Kin {
    /// Ours: we reap it.
    Own,
    #[cfg_attr(not(feature = "object"), allow(dead_code, reason = "there is no spawner"))]
    /// The spawner's, which tells its status and then reaps it.
    Spawners {
        /// Our end of the line, not blocking.
        line: File,
        /// The pid is one of our own PID namespace.
        pid_is_ours: bool,
    },
}

impl Child {
    /// The child that `fork` has just made.
    pub fn adopt(pid: libc::pid_t, is_helper: bool) -> Child {
        Child { pid, pidfd: open_pidfd(pid), kin: Kin::Own, is_helper, ended: Mutex::new(None) }
    }

    #[cfg(feature = "object")]
    /// A child of the spawner, which will tell its status through the line.
    pub fn distant(pid: libc::pid_t, pidfd: Option<OwnedFd>, line: OwnedFd, pid_is_ours: bool, is_helper: bool) -> Child {
        let kin = Kin::Spawners { line: File::from(line), pid_is_ours };
        Child { pid, pidfd, kin, is_helper, ended: Mutex::new(None) }
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
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The status of a child that has ended, taken now if need be. `None` while it runs.
    pub fn status(&self) -> io::Result<Option<ExitStatus>> {
        let mut ended = self.lock();
        if ended.is_none() {
            *ended = match &self.kin {
                Kin::Own => self.reap()?,
                Kin::Spawners { line, .. } => self.hear_of(line)?,
            };
        }
        Ok(*ended)
    }

    /// What was known at the last look.
    pub fn known_status(&self) -> Option<ExitStatus> {
        *self.lock()
    }

    fn reap(&self) -> io::Result<Option<ExitStatus>> {
        // The child is ours to reap (Invariant 1).
        let ended = match &self.pidfd {
            Some(pidfd) => match ended(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, 0) {
                // A kernel with pidfds that cannot be waited for (5.3).
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => ended(libc::P_PID, self.pid as libc::id_t, 0),
                ended => ended,
            },
            None => ended(libc::P_PID, self.pid as libc::id_t, 0),
        };
        Ok(ended?.map(|(_, status)| status))
    }

    /// Reaps a child of ours if it ends before the deadline, without any lock: for `exit`, which may have been called in a signal
    /// handler, above a frame that holds one.
    #[cfg(feature = "object")]
    pub fn reap_until(&self, deadline_ns: u64, moment: Duration) {
        while matches!(self.reap(), Ok(None)) && now_ns() < deadline_ns {
            thread::sleep(moment);
        }
    }

    /// What the spawner told.
    fn hear_of(&self, mut line: &File) -> io::Result<Option<ExitStatus>> {
        let mut word = [0; 4];
        match line.read(&mut word) {
            Ok(4) => Ok(Some(ExitStatus::from_raw(i32::from_ne_bytes(word)))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the spawner (shmq::process::init) and its standby died, and what they knew of this process went with them",
            )),
        }
    }

    /// What can be read when there is a status to take. Not the pidfd of a spawner's child: that ends
    /// before its status is told, and the spawner may be stopped in between.
    fn news(&self) -> Option<BorrowedFd<'_>> {
        match &self.kin {
            Kin::Spawners { line, .. } => Some(line.as_fd()),
            Kin::Own => self.sentinel(),
        }
    }

    /// Sleeps until the child may have ended, `longest` has passed, a signal came, or one of the others may have ended:
    /// `true`.
    pub fn sleep(&self, longest: Duration, others: &[Arc<Child>]) -> io::Result<bool> {
        let Some(news) = self.news() else {
            thread::sleep(longest.min(SLICE));
            return Ok(!others.is_empty());
        };
        let others = others.iter().filter_map(|other| other.news());
        let ended = |fd: BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let mut polled: Vec<_> = std::iter::once(news).chain(others).map(ended).collect();
        // Rounded up: a poll that ends early is followed by another look and another poll.
        let longest_ms = longest.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(libc::c_int::MAX);
        // SAFETY: as many pollfds as told, on descriptors that are open.
        if unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, longest_ms) } == -1 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
            return Ok(false);
        }
        Ok(polled[1..].iter().any(|other| other.revents != 0))
    }

    /// Sends a signal to a child that was not reaped; one that has ended takes it and does nothing.
    pub fn signal(&self, signal: libc::c_int) -> io::Result<()> {
        // Held: nobody reaps it meanwhile, so the pid stays its own (Invariant 1).
        let mut ended = self.lock();
        if ended.is_some() {
            return Ok(());
        }
        let sent = match (&self.pidfd, &self.kin) {
            (Some(pidfd), _) => send_by_pidfd(pidfd, signal),
            // SAFETY: any numbers may be passed.
            (None, Kin::Own) => unsafe { libc::kill(self.pid, signal) }.into(),
            (None, Kin::Spawners { line, pid_is_ours: true }) => {
                // It is reaped after its status was told, which was not the case a moment ago.
                *ended = self.hear_of(line)?;
                if ended.is_some() {
                    return Ok(());
                }
                // SAFETY: as above.
                unsafe { libc::kill(self.pid, signal) }.into()
            }
            (None, Kin::Spawners { pid_is_ours: false, .. }) => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "signals to a process of the spawner in another PID namespace need a kernel with pidfds",
                ));
            }
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

/// Has a child of this process ended? Its status is taken, unless `more` is `WNOWAIT`.
pub(crate) fn ended(kind: libc::idtype_t, id: libc::id_t, more: libc::c_int) -> io::Result<Option<(libc::pid_t, ExitStatus)>> {
    // SAFETY: a siginfo_t is plain numbers, for which zero is a value.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: `info` may be written.
    while unsafe { libc::waitid(kind, id, &mut info, libc::WEXITED | libc::WNOHANG | more) } == -1 {
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
    Ok(Some((pid, ExitStatus::from_raw(word))))
}

/// Kills the parent of this process if it is still that one, of which this may be a descriptor.
#[cfg(feature = "object")]
pub(crate) fn end_parent(parent: libc::pid_t, pidfd: Option<&OwnedFd>) {
    if parent_pid() != parent {
        return;
    }
    match pidfd {
        Some(pidfd) => drop(send_by_pidfd(pidfd, libc::SIGKILL)),
        // SAFETY: any numbers may be passed. It was our parent a moment ago, so its pid is its own,
        // unless it ended just now, was reaped, and all pids were used up since.
        None => drop(unsafe { libc::kill(parent, libc::SIGKILL) }),
    }
}

pub(crate) fn send_by_pidfd(pidfd: &OwnedFd, signal: libc::c_int) -> libc::c_long {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and no siginfo is passed.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0) }
}
