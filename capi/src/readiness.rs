//! `shmq_readiness`: a descriptor for `poll`, `epoll` and event loops.

use crate::border::{Out, guarded};
use crate::failure::shmq_error;
use crate::slots;
use shmq_rs::future::Readiness;
use std::ffi::c_int;
use std::os::fd::AsRawFd;

/// Watches a queue for an event loop. One thread at a time.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_readiness {
    _private: [u8; 0],
}

/// Behind a pointer, since it is larger than a slot.
pub struct ReadinessHandle(Box<Readiness>);

impl ReadinessHandle {
    pub fn new(readiness: Readiness) -> ReadinessHandle {
        ReadinessHandle(Box::new(readiness))
    }
}

slots::handled!(shmq_readiness, ReadinessHandle, 7, c"the handle is no readiness: it is null, was freed, or is of another kind");

/// The descriptor: it is readable when a try is worth it. Do not read, write or close it. Then call
/// the `try_` form until `SHMQ_ERROR_EMPTY`, or `SHMQ_ERROR_FULL`, and `shmq_readiness_rearm`.
///
/// - Blocks: no.
/// - Threads: any, one at a time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_readiness_fd(readiness: *mut shmq_readiness, fd: *mut c_int) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says; the result is null, or the caller's.
        let (readiness, fd) = unsafe { (slots::borrow::<ReadinessHandle>(readiness)?, Out::new(fd)?) };
        fd.set(readiness.0.as_raw_fd());
        Ok(())
    })
}

/// Makes the descriptor wait again. `is_ready`: something is there already, so that it is readable
/// at once.
///
/// - Blocks: no.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: messages that it leased come back and are delivered again; what it left is
///   repaired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_readiness_rearm(readiness: *mut shmq_readiness, is_ready: *mut bool) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, by one thread; the result is null, or the
        // caller's.
        let (readiness, is_ready) = unsafe { (slots::borrow_mut::<ReadinessHandle>(readiness)?, Out::new(is_ready)?) };
        is_ready.set(readiness.0.rearm()?);
        Ok(())
    })
}

/// Closes the descriptor, and gives the handle up.
///
/// - Blocks: no.
/// - Threads: any; no other thread may be in a call with the handle.
/// - After fork: a child gives up its copy; the parent's handle stays.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_readiness_free(readiness: *mut shmq_readiness) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        drop(unsafe { slots::take::<ReadinessHandle>(readiness) }?);
        Ok(())
    })
}
