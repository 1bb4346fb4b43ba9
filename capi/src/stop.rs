//! `shmq_stop`: ends the waits of the handles that were made with it.

use crate::border::{Out, guarded};
use crate::failure::shmq_error;
use crate::slots;
use shmq_rs::Stop;

/// Ends waits from another thread, or from a signal handler. Given to `options.stop`.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_stop {
    _private: [u8; 0],
}

slots::handled!(shmq_stop, Stop, 1, c"the handle is no stop: it is null, was freed, or is of another kind");

/// Makes one that is not set.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_stop_new(stop: *mut *mut shmq_stop) -> shmq_error {
    guarded(|| {
        // SAFETY: null, or the caller's.
        unsafe { Out::new(stop) }?.set(slots::insert(Stop::new())?);
        Ok(())
    })
}

/// Sets it, for good: waits of its handles end with `SHMQ_ERROR_INTERRUPTED`, those under way and
/// all later ones.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_stop_set(stop: *mut shmq_stop) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4), and a stop is `Sync`.
        unsafe { slots::borrow::<Stop>(stop) }?.set();
        Ok(())
    })
}

/// Was it set?
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_stop_is_set(stop: *mut shmq_stop, is_set: *mut bool) -> shmq_error {
    guarded(|| {
        // SAFETY: as above.
        let stop = unsafe { slots::borrow::<Stop>(stop) }?;
        // SAFETY: null, or the caller's.
        unsafe { Out::new(is_set) }?.set(stop.is_set());
        Ok(())
    })
}

/// Gives the handle up. What was made with it keeps it.
///
/// - Blocks: no.
/// - Threads: any; no other thread may be in a call with the handle.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_stop_free(stop: *mut shmq_stop) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        drop(unsafe { slots::take::<Stop>(stop) }?);
        Ok(())
    })
}
