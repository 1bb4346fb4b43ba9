//! Taking out of a queue, by handles that any thread may use.

use super::{QueueHandle, shmq_queue};
use crate::border::{Out, buffer, guarded, set_if_wanted};
use crate::failure::shmq_error;
use crate::guard::{give_lease, shmq_lease};
use crate::layout::bytes_of_many;
use crate::slots;
use crate::until::{by_until, left, timeout};
use std::ffi::c_void;

/// Takes one message by copy; waits until there is one. `length`, if not null, is how long it is.
/// A process that dies after this has taken the message with it: lease what must not get lost.
///
/// - Blocks: until there is a message.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: messages that it leased come back and are delivered again; what it left is
///   repaired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_get(
    queue: *mut shmq_queue,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `capacity` bytes.
        let (queue, message) = unsafe { (slots::borrow::<QueueHandle>(queue)?, buffer(message, capacity)?) };
        let got = queue.queue.get_into(message)?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, got) };
        Ok(())
    })
}

/// Like `shmq_queue_get`, without waiting: `SHMQ_ERROR_EMPTY`.
///
/// - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: messages that it leased come back and are delivered again; what it left is
///   repaired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_try_get(
    queue: *mut shmq_queue,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `capacity` bytes.
        let (queue, message) = unsafe { (slots::borrow::<QueueHandle>(queue)?, buffer(message, capacity)?) };
        let got = queue.queue.try_get_into(message)?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, got) };
        Ok(())
    })
}

/// Like `shmq_queue_get`, for a while: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is a message, for `timeout_ns` at most; 0 means one try.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: messages that it leased come back and are delivered again; what it left is
///   repaired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_get_timeout(
    queue: *mut shmq_queue,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
    timeout_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `capacity` bytes.
        let (queue, message) = unsafe { (slots::borrow::<QueueHandle>(queue)?, buffer(message, capacity)?) };
        let got = queue.queue.get_into_timeout(message, timeout(timeout_ns))?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, got) };
        Ok(())
    })
}

/// Like `shmq_queue_get`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is a message, or `deadline_ns` has passed; one in the past means one try.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: messages that it leased come back and are delivered again; what it left is
///   repaired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_get_deadline(
    queue: *mut shmq_queue,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
    deadline_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `capacity` bytes.
        let (queue, message) = unsafe { (slots::borrow::<QueueHandle>(queue)?, buffer(message, capacity)?) };
        let got = queue.queue.get_into_timeout(message, left(deadline_ns))?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, got) };
        Ok(())
    })
}

/// Takes as many values as there are, `count` at most, one after the other; waits until there is one.
/// `done`, if not null, is how many.
///
/// - Blocks: until there is a message, as `until` says.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: messages that it leased come back and are delivered again; what it left is
///   repaired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_get_many(
    queue: *mut shmq_queue,
    messages: *mut c_void,
    count: usize,
    until: u64,
    done: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(done, 0) };
        // SAFETY: the handle is used as its comment says.
        let queue = &unsafe { slots::borrow::<QueueHandle>(queue) }?.queue;
        let length = bytes_of_many(queue.layout(), count)?;
        // SAFETY: there is room for `count` messages.
        let messages = unsafe { buffer(messages, length) }?;
        let got = by_until!(until, queue, try_get_slice, get_slice, get_slice_timeout, messages)?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(done, got) };
        Ok(())
    })
}

/// Leases one message, to be read, or changed, in place at `data`; waits until there is one. End it by
/// `shmq_lease_release`, or `shmq_lease_give_back`. `length`, if not null, is how long it is.
///
/// - Blocks: until there is a message, as `until` says.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - If this process dies: the message is delivered again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_lease(
    queue: *mut shmq_queue,
    until: u64,
    lease: *mut *mut shmq_lease,
    data: *mut *mut c_void,
    length: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says; the results are null, or the caller's.
        let (queue, lease, data) = unsafe { (slots::borrow::<QueueHandle>(queue)?, Out::new(lease)?, Out::new(data)?) };
        let leased = by_until!(until, queue.queue, try_lease_ack_owned, lease_ack_owned, lease_ack_owned_timeout)?;
        // SAFETY: `length` is null, or the caller's.
        unsafe { give_lease(leased, lease, data, length) }
    })
}
