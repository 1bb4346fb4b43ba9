//! `shmq_mutex`: data that one thread of one process uses at a time.
//!
//! Invariant 1: `guard` is that of this process, while it holds the lock through this handle. It is
//! put there by the thread that has locked, and taken by the one that unlocks.

use super::{How, make, unlink};
use crate::border::{self, Out, guarded, set_if_wanted};
use crate::failure::{Failed, c_text, shmq_error};
use crate::of_error::inherited;
use crate::options::{self, shmq_primitive_options};
use crate::slots;
use crate::until::by_until;
use shmq_rs::sync::{DynMutex, Event, LockError, MutexGuard, PrimitiveBuilder};
use std::ffi::{CString, c_char, c_void};
use std::sync::{Mutex, PoisonError};

/// A lock between processes, and the data that it guards. Any thread may use it.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_mutex {
    _private: [u8; 0],
}

slots::handled!(shmq_mutex, MutexHandle, 14, c"the handle is no mutex: it is null, was freed, or is of another kind");

/// What a handle of it leads to.
pub struct MutexHandle {
    mutex: DynMutex,
    name: CString,
    guard: Mutex<Option<MutexGuard<'static, [u8]>>>,
}

impl MutexHandle {
    fn give(mutex: DynMutex, options: &shmq_primitive_options, to: Out<*mut shmq_mutex>) -> Result<(), Failed> {
        let name = c_text(mutex.name());
        // SAFETY: the stop is not freed meanwhile (slots, Invariant 4).
        let mutex = match unsafe { options::stop_of(options.stop) }? {
            Some(stop) => mutex.with_stop(&stop),
            None => mutex,
        };
        to.set(slots::insert(MutexHandle { mutex, name, guard: Mutex::new(None) })?);
        Ok(())
    }
}

fn builder(first: &[u8], options: &shmq_primitive_options) -> Result<PrimitiveBuilder<DynMutex>, Failed> {
    // SAFETY: the texts end, as the caller of the function says.
    Ok(DynMutex::builder(unsafe { options.layout() }?, first)?)
}

/// The first value of the data: zeros, if it is null.
///
/// # Safety
/// There are as many bytes as the options say, or the pointer is null.
unsafe fn first_of<'a>(initial: *const c_void, options: &shmq_primitive_options) -> Result<&'a [u8], Failed> {
    if initial.is_null() {
        return Ok(&[]);
    }
    // SAFETY: as the caller says; the texts end.
    unsafe { border::bytes(initial, options.layout()?.size()) }
}

/// Creates a mutex, which guards `data_size` bytes of the options, `initial` at first (null: zeros).
/// With a null `name` it is anonymous: for children that inherit the handle. `options` may be null:
/// without data. Rust has it as `sync::Mutex<T>`.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_mutex_create(
    name: *const c_char,
    initial: *const c_void,
    options: *const shmq_primitive_options,
    mutex: *mut *mut shmq_mutex,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (options, mutex) = unsafe { (options::read(options)?, Out::new(mutex)?) };
        // SAFETY: as above.
        let made = unsafe { make(builder(first_of(initial, &options)?, &options)?, name, &options, false, How::Create) }?;
        MutexHandle::give(made, &options, mutex)
    })
}

/// Opens the mutex that another process created. `options` may be null. With `SHMQ_TRY` it has to be
/// there (`SHMQ_ERROR_NOT_FOUND`); otherwise it is waited for.
///
/// - Blocks: as `until` says.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_mutex_open(
    name: *const c_char,
    options: *const shmq_primitive_options,
    until: u64,
    mutex: *mut *mut shmq_mutex,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (options, mutex) = unsafe { (options::read(options)?, Out::new(mutex)?) };
        // SAFETY: as above.
        let made = unsafe { make(builder(&[], &options)?, name, &options, false, How::Open(until)) }?;
        MutexHandle::give(made, &options, mutex)
    })
}

/// Opens the mutex of that name, or creates it. `options` may be null.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_mutex_open_or_create(
    name: *const c_char,
    initial: *const c_void,
    options: *const shmq_primitive_options,
    mutex: *mut *mut shmq_mutex,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (options, mutex) = unsafe { (options::read(options)?, Out::new(mutex)?) };
        // SAFETY: as above.
        let made = unsafe { make(builder(first_of(initial, &options)?, &options)?, name, &options, false, How::OpenOrCreate) }?;
        MutexHandle::give(made, &options, mutex)
    })
}

/// Removes a name. Processes that have the mutex open go on with it. `options` may be null.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_mutex_unlink(name: *const c_char, options: *const shmq_primitive_options) -> shmq_error {
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
pub unsafe extern "C" fn shmq_mutex_name(mutex: *mut shmq_mutex, name: *mut *const c_char) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4); the result is null, or the caller's.
        let (handle, name) = unsafe { (slots::borrow::<MutexHandle>(mutex)?, Out::new(name)?) };
        name.set(handle.name.as_ptr());
        Ok(())
    })
}

/// Gives a handle up. The last one of the last process ends the mutex, unless it persists.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any; no other thread may be in a call with the handle.
/// - After fork: a child gives up its copy; the parent's handle stays.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_mutex_free(mutex: *mut shmq_mutex) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        drop(unsafe { slots::take::<MutexHandle>(mutex) }?);
        Ok(())
    })
}

/// Locks; waits until it is free. `data`, if not null, is where the data are, until
/// `shmq_mutex_unlock`. With `SHMQ_TRY`: `SHMQ_ERROR_WOULD_BLOCK` if another thread, or process, has
/// it. It is not reentrant.
///
/// After `SHMQ_ERROR_OWNER_DIED` it **is** locked, and `data` is set: the last holder died with it.
/// Check the data, call `shmq_mutex_mark_repaired`, and unlock; otherwise the next one gets it too.
///
/// - Blocks: as `until` says.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: with `SHMQ_TRY`; `SHMQ_ERROR_WOULD_BLOCK` if it interrupts a holder.
/// - Dead peer: a lock of a dead holder is taken over, with `SHMQ_ERROR_OWNER_DIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_mutex_lock(mutex: *mut shmq_mutex, until: u64, data: *mut *mut c_void) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let handle = unsafe { slots::borrow::<MutexHandle>(mutex) }?;
        let locked = by_until!(until, handle.mutex, try_lock_owned, lock_owned, lock_owned_timeout);
        let (mut guard, died) = match locked {
            Ok(guard) => (guard, None),
            Err(LockError::OwnerDied(guard)) => (guard, Some(Failed::from(shmq_rs::sync::SyncError::OwnerDied))),
            Err(error) => return Err(error.into()),
        };
        let at = guard.as_mut_ptr();
        *handle.guard.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(data, at.cast()) };
        died.map_or(Ok(()), Err)
    })
}

/// Says that the data are right again, after `SHMQ_ERROR_OWNER_DIED`. The lock stays held.
///
/// - Blocks: no.
/// - Threads: any, one at a time; it need not be the one that made it.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
///   the parent's.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_mutex_mark_repaired(mutex: *mut shmq_mutex) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let handle = unsafe { slots::borrow::<MutexHandle>(mutex) }?;
        match &mut *handle.guard.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Err(not_locked()),
            Some(guard) if guard.is_inherited() => Err(inherited()),
            Some(guard) => {
                guard.mark_repaired();
                Ok(())
            }
        }
    })
}

/// Unlocks. `SHMQ_ERROR_NOT_LOCKED` if this process has not locked it through this handle.
///
/// - Blocks: no.
/// - Threads: any, one at a time; it need not be the one that made it.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child, which may not use the memory either; it stays
///   the parent's.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_mutex_unlock(mutex: *mut shmq_mutex) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let handle = unsafe { slots::borrow::<MutexHandle>(mutex) }?;
        let guard = handle.guard.lock().unwrap_or_else(PoisonError::into_inner).take();
        match guard {
            None => Err(not_locked()),
            Some(guard) if guard.is_inherited() => Err(inherited()),
            // Behind the lock of the handle: the next one that locks the mutex puts its guard there.
            Some(_unlocks) => Ok(()),
        }
    })
}

fn not_locked() -> Failed {
    Failed::plain(shmq_error::SHMQ_ERROR_NOT_LOCKED, c"the mutex is not locked through this handle")
}
