//! What the program knows of its fork server.

use crate::os::{Credentials, Deadline, Signals, is_closed};
use crate::process::{Process, SpawnError};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

static FORK_SERVER: Mutex<Option<ForkServer>> = Mutex::new(None);

/// The program's end.
pub(in crate::process) struct ForkServer {
    /// The program that called `init`: a forked copy has none.
    pub owner: u32,
    /// The socket for requests. Its other end is held by server and standby alone.
    pub requests: OwnedFd,
    /// The standby that `init` started.
    pub process: Process,
    /// What the program did with signals when it was forked.
    pub signals: Signals,
    /// The program's at that time, which are those of all processes of the fork server.
    pub credentials: Credentials,
}

/// A thread that forks while there may be others holds this, so that the child does not find it
/// locked.
pub(in crate::process) fn lock() -> MutexGuard<'static, Option<ForkServer>> {
    FORK_SERVER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this program (not a parent of it) has a fork server.
pub(in crate::process) fn is_there() -> bool {
    lock().as_ref().is_some_and(ForkServer::is_ours)
}

/// Takes it if the lock is free before the deadline: another thread may be in the middle of a call.
pub(super) fn take_until(deadline: Deadline, moment: Duration) -> Option<ForkServer> {
    loop {
        match FORK_SERVER.try_lock() {
            Ok(mut slot) => return slot.take(),
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner().take(),
            Err(TryLockError::WouldBlock) if !deadline.has_passed() => std::thread::sleep(moment),
            Err(TryLockError::WouldBlock) => return None,
        }
    }
}

impl ForkServer {
    /// Whether it was started by this process, not by a parent.
    pub fn is_ours(&self) -> bool {
        self.owner == std::process::id()
    }

    /// Whether server and standby are dead.
    pub fn is_dead(&self) -> bool {
        is_closed(self.requests.as_raw_fd())
    }

    /// Checks that the program has still the users and groups that the fork server has.
    pub fn check_credentials(&self) -> Result<(), SpawnError> {
        if self.credentials == Credentials::now() { Ok(()) } else { Err(SpawnError::RightsChanged) }
    }

    pub fn died(&self) -> SpawnError {
        SpawnError::ForkServerDied { pid: self.process.pid() }
    }
}
