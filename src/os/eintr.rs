//! Sleeps that a signal ended: whether this thread had one that it has not answered yet.
//!
//! A flag of the thread and not a result of each sleep, since between the sleep and the answer there
//! may be a second wait: a call that is woken from a condition variable may have to wait for a lock.
//! The flag may be older than the call that reads it. So it means "ask once more", and never that a
//! signal came during this call.

use std::cell::Cell;

thread_local! {
    static ENDED_BY_SIGNAL: Cell<bool> = const { Cell::new(false) };
}

/// A sleep of this thread has returned `EINTR`.
#[cold]
pub(super) fn note() {
    ENDED_BY_SIGNAL.set(true);
}

/// Did a signal end a sleep of this thread since the last call of this?
pub(crate) fn take_ended_by_signal() -> bool {
    ENDED_BY_SIGNAL.take()
}

/// Notes the error of a system call that has just failed, if it is `EINTR`.
#[cfg(not(shmq_portable_sync))]
pub(super) fn note_error() {
    if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted {
        note();
    }
}
