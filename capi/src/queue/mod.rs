//! `shmq_queue`: making, opening and giving up queues. Verbs are in `put.rs` and `get.rs`, what a
//! queue says about itself in `control.rs`.

mod control;
mod get;
mod put;

use crate::border::{self, Out, guarded};
use crate::failure::{Failed, shmq_error};
use crate::layout::Texts;
use crate::options::{self, shmq_queue_options};
use crate::slots;
use crate::until::Until;
use shmq_rs::{DynQueue, QueueBuilder};
use std::ffi::c_char;

/// A queue that this process has open. Any thread may use it.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_queue {
    _private: [u8; 0],
}

slots::handled!(shmq_queue, QueueHandle, 2, c"the handle is no queue: it is null, was freed, or is of another kind");

/// What a handle of a queue leads to.
pub struct QueueHandle {
    pub queue: DynQueue,
    pub texts: Box<Texts>,
}

impl QueueHandle {
    fn give(queue: DynQueue, options: &shmq_queue_options, to: Out<*mut shmq_queue>) -> Result<(), Failed> {
        let texts = Texts::of(queue.name(), queue.layout());
        // SAFETY: the stop is not freed meanwhile (slots, Invariant 4).
        let queue = match unsafe { options::stop_of(options.stop) }? {
            Some(stop) => queue.with_stop(&stop),
            None => queue,
        };
        to.set(slots::insert(QueueHandle { queue, texts })?);
        Ok(())
    }
}

/// A builder of what the options say.
///
/// # Safety
/// The texts of the options end.
unsafe fn builder(options: &shmq_queue_options) -> Result<QueueBuilder<DynQueue>, Failed> {
    options.check_fields(false)?;
    // SAFETY: as the caller says.
    let (layout, schema, dead_letters) =
        unsafe { (options.layout()?, border::text_if_given(options.schema)?, border::text_if_given(options.dead_letters)?) };
    // SAFETY: as the caller says.
    let mut builder = unsafe { options.set(DynQueue::builder(layout)) }?;
    if let Some(schema) = schema {
        builder = builder.schema(schema);
    }
    if options.max_deliveries != 0 {
        builder = builder.max_deliveries(options.max_deliveries);
    }
    if let Some(name) = dead_letters {
        builder = builder.dead_letters(name);
    }
    if options.max_spilled_bytes != 0 {
        builder = builder.max_spilled_bytes(options.max_spilled_bytes);
    }
    Ok(builder)
}

/// Creates a queue. With a null `name` it is anonymous: for children that inherit the handle, or
/// that are given its `shmq_queue_name`. The options need a layout, and a capacity for values.
///
/// The queue lives until the last process that has it open frees its handles, or ends, unless it is
/// made to persist.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_create(
    name: *const c_char,
    options: *const shmq_queue_options,
    queue: *mut *mut shmq_queue,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (name, options, queue) = unsafe { (border::text_if_given(name)?, options::read(options)?, Out::new(queue)?) };
        // SAFETY: as above.
        let mut builder = unsafe { builder(&options) }?;
        if let Some(name) = name {
            builder = builder.name(name);
        }
        QueueHandle::give(builder.create()?, &options, queue)
    })
}

/// Opens a queue that another process created. `options` may be null. With `SHMQ_TRY` it has to be
/// there (`SHMQ_ERROR_NOT_FOUND`); otherwise it is waited for.
///
/// What the options say of messages is compared: `SHMQ_ERROR_MISMATCH` has both in words.
///
/// - Blocks: as `until` says.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_open(
    name: *const c_char,
    options: *const shmq_queue_options,
    until: u64,
    queue: *mut *mut shmq_queue,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (name, options, queue) = unsafe { (border::text(name)?, options::read(options)?, Out::new(queue)?) };
        // SAFETY: as above.
        let builder = unsafe { builder(&options) }?.name(name);
        let opened = match Until::of(until) {
            Until::Try => builder.open()?,
            Until::Forever => builder.open_timeout(std::time::Duration::MAX)?,
            Until::Left(left) => builder.open_timeout(left)?,
        };
        QueueHandle::give(opened, &options, queue)
    })
}

/// Opens the queue of that name, or creates it: for programs that start in any order. One that
/// exists keeps its capacity, whatever the options ask for.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: what a dead process left of the name is replaced, or opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_open_or_create(
    name: *const c_char,
    options: *const shmq_queue_options,
    queue: *mut *mut shmq_queue,
) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, structs have their sizes, and the result is null, or the caller's.
        let (name, options, queue) = unsafe { (border::text(name)?, options::read(options)?, Out::new(queue)?) };
        // SAFETY: as above.
        let builder = unsafe { builder(&options) }?.name(name);
        QueueHandle::give(builder.open_or_create()?, &options, queue)
    })
}

/// Removes a name. Processes that have the queue open go on with it. `options` may be null; its
/// `directory` and its owner count.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_unlink(name: *const c_char, options: *const shmq_queue_options) -> shmq_error {
    guarded(|| {
        // SAFETY: texts end, and structs have their sizes.
        unsafe {
            let (name, options) = (border::text(name)?, options::read(options)?);
            builder(&options)?.name(name).unlink()?;
        }
        Ok(())
    })
}

/// Gives a handle up. The last one of the last process ends the queue, unless it persists. Endpoints
/// and guards that were made of it keep the queue, and may be used on.
///
/// - Blocks: no; it makes system calls.
/// - Threads: any; no other thread may be in a call with the handle.
/// - After fork: a child gives up its copy; the parent's handle stays.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_free(queue: *mut shmq_queue) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        drop(unsafe { slots::take::<QueueHandle>(queue) }?);
        Ok(())
    })
}
