//! `shmq_event`: a flag that many wait for.

use super::{How, make, unlink};
use crate::border::{Out, guarded};
use crate::failure::{Failed, c_text, shmq_error};
use crate::options::{self, shmq_primitive_options};
use crate::slots;
use crate::until::by_until;
use shmq_rs::sync::Event;
use std::ffi::{CString, c_char};

/// A flag that many wait for. Any thread may use it.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_event {
    _private: [u8; 0],
}

slots::handled!(shmq_event, EventHandle, 11, c"the handle is no event: it is null, was freed, or is of another kind");

/// What a handle of it leads to.
pub struct EventHandle {
    event: Event,
    name: CString,
}

impl EventHandle {
    fn give(event: Event, options: &shmq_primitive_options, to: Out<*mut shmq_event>) -> Result<(), Failed> {
        let name = c_text(event.name());
        // SAFETY: the stop is not freed meanwhile (slots, Invariant 4).
        let event = match unsafe { options::stop_of(options.stop) }? {
            Some(stop) => event.with_stop(&stop),
            None => event,
        };
        to.set(slots::insert(EventHandle { event, name })?);
        Ok(())
    }
}

/// Creates an event that is not set. With a null `name` it is anonymous: for children that inherit the
/// handle. `options` may be null.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_event_create(
    name: *const c_char,
    options: *const shmq_primitive_options,
    event: *mut *mut shmq_event,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (options, event) = unsafe { (options::read(options)?, Out::new(event)?) };
        // SAFETY: as above.
        let made = unsafe {
            make(
                {
                    options.check_no_data()?;
                    Event::builder()
                },
                name,
                &options,
                false,
                How::Create,
            )
        }?;
        EventHandle::give(made, &options, event)
    })
}

/// Opens the event that another process created. `options` may be null. With `SHMQ_TRY` it has to be
/// there (`SHMQ_ERROR_NOT_FOUND`); otherwise it is waited for.
///
/// - Blocks: as `until` says.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_event_open(
    name: *const c_char,
    options: *const shmq_primitive_options,
    until: u64,
    event: *mut *mut shmq_event,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (options, event) = unsafe { (options::read(options)?, Out::new(event)?) };
        // SAFETY: as above.
        let made = unsafe {
            make(
                {
                    options.check_no_data()?;
                    Event::builder()
                },
                name,
                &options,
                false,
                How::Open(until),
            )
        }?;
        EventHandle::give(made, &options, event)
    })
}

/// Opens the event of that name, or creates it. `options` may be null.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_event_open_or_create(
    name: *const c_char,
    options: *const shmq_primitive_options,
    event: *mut *mut shmq_event,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (options, event) = unsafe { (options::read(options)?, Out::new(event)?) };
        // SAFETY: as above.
        let made = unsafe {
            make(
                {
                    options.check_no_data()?;
                    Event::builder()
                },
                name,
                &options,
                false,
                How::OpenOrCreate,
            )
        }?;
        EventHandle::give(made, &options, event)
    })
}

/// Removes a name. Processes that have the event open go on with it. `options` may be null.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_event_unlink(name: *const c_char, options: *const shmq_primitive_options) -> shmq_error {
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
pub unsafe extern "C" fn shmq_event_name(event: *mut shmq_event, name: *mut *const c_char) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4); the result is null, or the caller's.
        let (handle, name) = unsafe { (slots::borrow::<EventHandle>(event)?, Out::new(name)?) };
        name.set(handle.name.as_ptr());
        Ok(())
    })
}

/// Gives a handle up. The last one of the last process ends the event, unless it persists.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any; no other thread may be in a call with the handle.
/// - After fork: a child gives up its copy; the parent's handle stays.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_event_free(event: *mut shmq_event) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        drop(unsafe { slots::take::<EventHandle>(event) }?);
        Ok(())
    })
}

/// Sets it, and wakes all that wait.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_event_set(event: *mut shmq_event) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let handle = unsafe { slots::borrow::<EventHandle>(event) }?;
        handle.event.set();
        Ok(())
    })
}

/// Clears it.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_event_clear(event: *mut shmq_event) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let handle = unsafe { slots::borrow::<EventHandle>(event) }?;
        handle.event.clear();
        Ok(())
    })
}

/// Is it set?
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_event_is_set(event: *mut shmq_event, is_set: *mut bool) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let handle = unsafe { slots::borrow::<EventHandle>(event) }?;
        // SAFETY: null, or the caller's.
        unsafe { Out::new(is_set) }?.set(handle.event.is_set());
        Ok(())
    })
}

/// Waits until it is set, or was set meanwhile. With `SHMQ_TRY`: `SHMQ_ERROR_WOULD_BLOCK` if it is not.
///
/// - Blocks: as `until` says.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: with `SHMQ_TRY`.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_event_wait(event: *mut shmq_event, until: u64) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let handle = unsafe { slots::borrow::<EventHandle>(event) }?;
        Ok(by_until!(until, handle.event, try_wait, wait, wait_timeout)?)
    })
}
