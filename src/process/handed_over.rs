//! Descriptors that came with the call that this process was made for.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

static HANDED_OVER: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

pub(super) fn set(fds: Vec<OwnedFd>) {
    *HANDED_OVER.lock().unwrap_or_else(PoisonError::into_inner) = fds;
}

/// Takes them.
pub(crate) fn take_handed_over() -> Vec<OwnedFd> {
    std::mem::take(&mut *HANDED_OVER.lock().unwrap_or_else(PoisonError::into_inner))
}
