//! `shmq_lease`: a message that is being read, and that comes back if its holder dies.

use crate::border::{Out, guarded, set_if_wanted};
use crate::failure::{Failed, shmq_error};
use crate::of_error::inherited;
use crate::slots;
use shmq_rs::AckLease;
use std::ffi::c_void;

/// A message of a queue that is being read in place. It is delivered again if this process dies
/// before `shmq_lease_release`.
///
/// In a forked child it is the parent's: its calls return `SHMQ_ERROR_INHERITED`, and what is read
/// through its pointer there may be another message by then.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_lease {
    _private: [u8; 0],
}

type Lease = AckLease<'static, [u8]>;

slots::handled!(shmq_lease, Lease, 6, c"the handle is no lease: it is null, has ended, or is of another kind");

/// Names one message, over all its deliveries.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmq_message_id {
    /// To be compared as a whole.
    pub bytes: [u8; 16],
}

/// Hands a new lease out.
///
/// # Safety
/// `length` is null, or may be written.
#[inline]
pub unsafe fn give_lease(
    mut lease: Lease,
    to: Out<*mut shmq_lease>,
    data: Out<*mut c_void>,
    length: *mut usize,
) -> Result<(), Failed> {
    let message = lease.message_mut();
    let (bytes, its_length) = (message.as_mut_ptr(), message.len());
    // Without a slot it is given back.
    to.set(slots::insert(lease)?);
    data.set(bytes.cast());
    // SAFETY: as the caller says.
    unsafe { set_if_wanted(length, its_length) };
    Ok(())
}

/// Says that the message is done: it is not delivered again. The lease has ended.
///
/// - Blocks: no.
/// - Threads: any, one at a time; it need not be the one that made it.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
///   the parent's.
/// - Signal handler: no.
/// - If this process dies: the message is delivered again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_lease_release(lease: *mut shmq_lease) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        Ok(unsafe { slots::take::<Lease>(lease) }?.ack()?)
    })
}

/// Gives the message back, as it is now in memory: it is delivered again. The lease has ended.
///
/// - Blocks: no.
/// - Threads: any, one at a time; it need not be the one that made it.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
///   the parent's.
/// - Signal handler: no.
/// - If this process dies: the message is delivered again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_lease_give_back(lease: *mut shmq_lease) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        let lease = unsafe { slots::take::<Lease>(lease) }?;
        if lease.is_inherited() {
            return Err(inherited());
        }
        lease.give_back();
        Ok(())
    })
}

/// How often the message was delivered, with this time: 1 at first.
///
/// - Blocks: no.
/// - Threads: any, one at a time; it need not be the one that made it.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
///   the parent's.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_lease_deliveries(lease: *mut shmq_lease, count: *mut u32) -> shmq_error {
    guarded(|| {
        // SAFETY: it is used as its comment says; the result is null, or the caller's.
        let (lease, count) = unsafe { (slots::borrow::<Lease>(lease)?, Out::new(count)?) };
        if lease.is_inherited() {
            return Err(inherited());
        }
        count.set(lease.deliveries());
        Ok(())
    })
}

/// Which message it is: the same over all its deliveries.
///
/// - Blocks: no.
/// - Threads: any, one at a time; it need not be the one that made it.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
///   the parent's.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_lease_id(lease: *mut shmq_lease, id: *mut shmq_message_id) -> shmq_error {
    guarded(|| {
        // SAFETY: it is used as its comment says; the result is null, or the caller's.
        let (lease, id) = unsafe { (slots::borrow::<Lease>(lease)?, Out::new(id)?) };
        if lease.is_inherited() {
            return Err(inherited());
        }
        id.set(shmq_message_id { bytes: lease.id().to_bytes() });
        Ok(())
    })
}
