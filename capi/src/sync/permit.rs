//! `shmq_permit`: a permit of a semaphore that comes back if its holder dies.

use super::semaphore::{SemaphoreHandle, shmq_semaphore};
use crate::border::{Out, guarded};
use crate::failure::shmq_error;
use crate::of_error::inherited;
use crate::slots;
use crate::until::by_until;
use shmq_rs::sync::Permit;

/// A permit that comes back if this process dies. In a forked child it is the parent's.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_permit {
    _private: [u8; 0],
}

slots::handled!(shmq_permit, Permit<'static>, 13, c"the handle is no permit: it is null, was given back, or is of another kind");

/// Takes a permit as a guard; waits until there is one. With `SHMQ_TRY`: `SHMQ_ERROR_WOULD_BLOCK` if
/// there is none. If this process dies, the permit is there again.
///
/// - Blocks: as `until` says.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: its permits (`shmq_semaphore_permit`) come back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_semaphore_permit(
    semaphore: *mut shmq_semaphore,
    until: u64,
    permit: *mut *mut shmq_permit,
) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4); the result is null, or the caller's.
        let (handle, permit) = unsafe { (slots::borrow::<SemaphoreHandle>(semaphore)?, Out::new(permit)?) };
        let taken = by_until!(until, handle.semaphore, try_permit_owned, permit_owned, permit_owned_timeout)?;
        permit.set(slots::insert(taken)?);
        Ok(())
    })
}

/// Gives the permit back, and wakes one that waits. The handle has ended.
///
/// - Blocks: no.
/// - Threads: any, one at a time; it need not be the one that made it.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
///   the parent's.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_permit_give_back(permit: *mut shmq_permit) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        let permit = unsafe { slots::take::<Permit<'static>>(permit) }?;
        if permit.is_inherited() { Err(inherited()) } else { Ok(()) }
    })
}
