//! Putting into a queue, by handles that any thread may use.

use super::{QueueHandle, shmq_queue};
use crate::border::{Out, bytes, guarded, set_if_wanted};
use crate::failure::shmq_error;
use crate::guard::{AnyLoan, shmq_loan};
use crate::layout::bytes_of_many;
use crate::slots;
use crate::until::{by_until, left, timeout};
use std::ffi::c_void;

/// Puts one message by copy; waits until there is room. Any length that the layout allows: of
/// values exactly their size, of slices whole elements. Once it returns `SHMQ_OK`, the message
/// survives this process.
///
/// - Blocks: until there is room.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: what it left is repaired, and the call goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_put(queue: *mut shmq_queue, message: *const c_void, length: usize) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (queue, message) = unsafe { (slots::borrow::<QueueHandle>(queue)?, bytes(message, length)?) };
        Ok(queue.queue.put(message)?)
    })
}

/// Like `shmq_queue_put`, without waiting: `SHMQ_ERROR_FULL`.
///
/// - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: yes; `SHMQ_ERROR_BUSY` if it interrupts a put on the same queue. Not with an
///   encoded object that is too long for the ring, for which a file is made.
/// - Dead peer: what it left is repaired, and the call goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_try_put(queue: *mut shmq_queue, message: *const c_void, length: usize) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (queue, message) = unsafe { (slots::borrow::<QueueHandle>(queue)?, bytes(message, length)?) };
        Ok(queue.queue.try_put(message)?)
    })
}

/// Like `shmq_queue_put`, for a while: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is room, for `timeout_ns` at most; 0 means one try.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: what it left is repaired, and the call goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_put_timeout(
    queue: *mut shmq_queue,
    message: *const c_void,
    length: usize,
    timeout_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (queue, message) = unsafe { (slots::borrow::<QueueHandle>(queue)?, bytes(message, length)?) };
        Ok(queue.queue.put_timeout(message, timeout(timeout_ns))?)
    })
}

/// Like `shmq_queue_put`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is room, or `deadline_ns` has passed; one in the past means one try.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: what it left is repaired, and the call goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_put_deadline(
    queue: *mut shmq_queue,
    message: *const c_void,
    length: usize,
    deadline_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (queue, message) = unsafe { (slots::borrow::<QueueHandle>(queue)?, bytes(message, length)?) };
        Ok(queue.queue.put_timeout(message, left(deadline_ns))?)
    })
}

/// Puts `count` values, which lie one after the other; waits until there is room for all. `done`, if
/// not null, is how many were put: after an error, those before it. An error is returned only if
/// none was put.
///
/// - Blocks: until there is room, as `until` says.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: what it left is repaired, and the call goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_put_many(
    queue: *mut shmq_queue,
    messages: *const c_void,
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
        // SAFETY: there are `count` messages.
        let messages = unsafe { bytes(messages, length) }?;
        let put = by_until!(until, queue, try_put_slice, put_slice, put_slice_timeout, messages)?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(done, put) };
        Ok(())
    })
}

/// Lends room for a message of `length` bytes, to be written in place at `data`; waits until there is
/// some. End it by `shmq_loan_commit`, or `shmq_loan_abort`.
///
/// - Blocks: until there is room, as `until` says.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - If this process dies: the message was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_loan(
    queue: *mut shmq_queue,
    length: usize,
    until: u64,
    loan: *mut *mut shmq_loan,
    data: *mut *mut c_void,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says; the results are null, or the caller's.
        let (queue, loan, data) = unsafe { (slots::borrow::<QueueHandle>(queue)?, Out::new(loan)?, Out::new(data)?) };
        let lent = by_until!(until, queue.queue, try_loan_len_owned, loan_len_owned, loan_len_owned_timeout, length)?;
        AnyLoan::OfQueue(lent).give(loan, data)
    })
}
