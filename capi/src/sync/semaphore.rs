//! `shmq_semaphore`: a number of permits. Permits as guards are in `permit.rs`.

use super::{How, make, unlink};
use crate::border::{Out, guarded};
use crate::failure::{Failed, c_text, shmq_error};
use crate::options::{self, shmq_primitive_options};
use crate::slots;
use crate::until::by_until;
use shmq_rs::sync::{Event, PrimitiveBuilder, Semaphore};
use std::ffi::{CString, c_char};

/// A number of permits. Any thread may use it.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_semaphore {
    _private: [u8; 0],
}

slots::handled!(shmq_semaphore, SemaphoreHandle, 12, c"the handle is no semaphore: it is null, was freed, or is of another kind");

/// What a handle of it leads to.
pub struct SemaphoreHandle {
    pub(super) semaphore: Semaphore,
    name: CString,
}

impl SemaphoreHandle {
    fn give(semaphore: Semaphore, options: &shmq_primitive_options, to: Out<*mut shmq_semaphore>) -> Result<(), Failed> {
        let name = c_text(semaphore.name());
        // SAFETY: the stop is not freed meanwhile (slots, Invariant 4).
        let semaphore = match unsafe { options::stop_of(options.stop) }? {
            Some(stop) => semaphore.with_stop(&stop),
            None => semaphore,
        };
        to.set(slots::insert(SemaphoreHandle { semaphore, name })?);
        Ok(())
    }
}

fn builder(permits: u64, options: &shmq_primitive_options) -> Result<PrimitiveBuilder<Semaphore>, Failed> {
    options.check_no_data()?;
    let builder = Semaphore::builder(permits);
    Ok(if options.flags & options::BOUNDED != 0 { builder.bounded(true) } else { builder })
}

/// Creates a semaphore of so many permits. With a null `name` it is anonymous: for children that
/// inherit the handle. `options` may be null.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_semaphore_create(
    name: *const c_char,
    permits: u64,
    options: *const shmq_primitive_options,
    semaphore: *mut *mut shmq_semaphore,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (options, semaphore) = unsafe { (options::read(options)?, Out::new(semaphore)?) };
        // SAFETY: as above.
        let made = unsafe { make(builder(permits, &options)?, name, &options, true, How::Create) }?;
        SemaphoreHandle::give(made, &options, semaphore)
    })
}

/// Opens the semaphore that another process created. `options` may be null. With `SHMQ_TRY` it has to be
/// there (`SHMQ_ERROR_NOT_FOUND`); otherwise it is waited for.
///
/// - Blocks: as `until` says.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_semaphore_open(
    name: *const c_char,
    options: *const shmq_primitive_options,
    until: u64,
    semaphore: *mut *mut shmq_semaphore,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (options, semaphore) = unsafe { (options::read(options)?, Out::new(semaphore)?) };
        // SAFETY: as above.
        let made = unsafe { make(builder(0, &options)?, name, &options, true, How::Open(until)) }?;
        SemaphoreHandle::give(made, &options, semaphore)
    })
}

/// Opens the semaphore of that name, or creates it. `options` may be null.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_semaphore_open_or_create(
    name: *const c_char,
    permits: u64,
    options: *const shmq_primitive_options,
    semaphore: *mut *mut shmq_semaphore,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (options, semaphore) = unsafe { (options::read(options)?, Out::new(semaphore)?) };
        // SAFETY: as above.
        let made = unsafe { make(builder(permits, &options)?, name, &options, true, How::OpenOrCreate) }?;
        SemaphoreHandle::give(made, &options, semaphore)
    })
}

/// Removes a name. Processes that have the semaphore open go on with it. `options` may be null.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_semaphore_unlink(name: *const c_char, options: *const shmq_primitive_options) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, and structs have their sizes.
        unsafe { unlink(Event::builder(), name, &options::read(options)?) }
    })
}

/// The name by which other processes open it; valid as long as the handle.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_semaphore_name(semaphore: *mut shmq_semaphore, name: *mut *const c_char) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4); the result is null, or the caller's.
        let (handle, name) = unsafe { (slots::borrow::<SemaphoreHandle>(semaphore)?, Out::new(name)?) };
        name.set(handle.name.as_ptr());
        Ok(())
    })
}

/// Gives a handle up. The last one of the last process ends the semaphore, unless it persists.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any; no other thread may be in a call with the handle.
/// - After fork: a child gives up its copy; the parent's handle stays.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_semaphore_free(semaphore: *mut shmq_semaphore) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        drop(unsafe { slots::take::<SemaphoreHandle>(semaphore) }?);
        Ok(())
    })
}

/// Takes a permit, for good; waits until there is one. With `SHMQ_TRY`: `SHMQ_ERROR_WOULD_BLOCK` if
/// there is none. If this process dies, the permit is gone: see `shmq_semaphore_permit`.
///
/// - Blocks: as `until` says.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: with `SHMQ_TRY`; `SHMQ_ERROR_BUSY` if it interrupts such a call.
/// - Dead peer: its permits (`shmq_semaphore_permit`) come back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_semaphore_acquire(semaphore: *mut shmq_semaphore, until: u64) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let handle = unsafe { slots::borrow::<SemaphoreHandle>(semaphore) }?;
        Ok(by_until!(until, handle.semaphore, try_acquire, acquire, acquire_timeout)?)
    })
}

/// Adds so many permits, and wakes as many that wait.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_semaphore_release(semaphore: *mut shmq_semaphore, permits: u32) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let handle = unsafe { slots::borrow::<SemaphoreHandle>(semaphore) }?;
        Ok(handle.semaphore.release_many(permits)?)
    })
}

/// How many permits there are to take.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: yes.
/// - Dead peer: its permits (`shmq_semaphore_permit`) come back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_semaphore_value(semaphore: *mut shmq_semaphore, permits: *mut u64) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let handle = unsafe { slots::borrow::<SemaphoreHandle>(semaphore) }?;
        // SAFETY: null, or the caller's.
        unsafe { Out::new(permits) }?.set(handle.semaphore.value());
        Ok(())
    })
}
