//! The put side of a queue, held for the endpoint's life.

use crate::border::{Out, bytes, guarded, set_if_wanted};
use crate::failure::shmq_error;
use crate::guard::{AnyLoan, shmq_loan};
use crate::layout::bytes_of_many;
use crate::queue::{QueueHandle, shmq_queue};
use crate::readiness::{ReadinessHandle, shmq_readiness};
use crate::slots;
use crate::until::{by_until, left, timeout};
use shmq_rs::DynProducer;
use std::ffi::c_void;

/// The put side of a queue, for one owner: the fastest way to put. One thread at a time.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_producer {
    _private: [u8; 0],
}

slots::handled!(shmq_producer, DynProducer, 3, c"the handle is no producer: it is null, was freed, or is of another kind");

/// Takes the put side of a queue. Other puts get `SHMQ_ERROR_HELD` until it is freed.
///
/// - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: a side that a dead process held is taken over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_producer(queue: *mut shmq_queue, producer: *mut *mut shmq_producer) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says; the result is null, or the caller's.
        let (queue, producer) = unsafe { (slots::borrow::<QueueHandle>(queue)?, Out::new(producer)?) };
        producer.set(slots::insert(queue.queue.producer()?)?);
        Ok(())
    })
}

/// Puts one message by copy; waits until there is room. As `shmq_queue_put`, without a lock per
/// message.
///
/// - Blocks: until there is room.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: what it left is repaired, and the call goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_producer_put(producer: *mut shmq_producer, message: *const c_void, length: usize) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (producer, message) = unsafe { (slots::borrow::<DynProducer>(producer)?, bytes(message, length)?) };
        Ok(producer.put(message)?)
    })
}

/// Like `shmq_producer_put`, without waiting: `SHMQ_ERROR_FULL`.
///
/// - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: what it left is repaired, and the call goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_producer_try_put(
    producer: *mut shmq_producer,
    message: *const c_void,
    length: usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (producer, message) = unsafe { (slots::borrow::<DynProducer>(producer)?, bytes(message, length)?) };
        Ok(producer.try_put(message)?)
    })
}

/// Like `shmq_producer_put`, for a while: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is room, for `timeout_ns` at most; 0 means one try.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: what it left is repaired, and the call goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_producer_put_timeout(
    producer: *mut shmq_producer,
    message: *const c_void,
    length: usize,
    timeout_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (producer, message) = unsafe { (slots::borrow::<DynProducer>(producer)?, bytes(message, length)?) };
        Ok(producer.put_timeout(message, timeout(timeout_ns))?)
    })
}

/// Like `shmq_producer_put`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is room, or `deadline_ns` has passed; one in the past means one try.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: what it left is repaired, and the call goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_producer_put_deadline(
    producer: *mut shmq_producer,
    message: *const c_void,
    length: usize,
    deadline_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (producer, message) = unsafe { (slots::borrow::<DynProducer>(producer)?, bytes(message, length)?) };
        Ok(producer.put_timeout(message, left(deadline_ns))?)
    })
}

/// Puts `count` values, which lie one after the other; waits until there is room for all. `done`, if
/// not null, is how many were put: after an error, those before it. An error is returned only if
/// none was put.
///
/// - Blocks: until there is room, as `until` says.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: what it left is repaired, and the call goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_producer_put_many(
    producer: *mut shmq_producer,
    messages: *const c_void,
    count: usize,
    until: u64,
    done: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(done, 0) };
        // SAFETY: the handle is used as its comment says.
        let producer = &unsafe { slots::borrow::<DynProducer>(producer) }?;
        let length = bytes_of_many(producer.layout(), count)?;
        // SAFETY: there are `count` messages.
        let messages = unsafe { bytes(messages, length) }?;
        let put = by_until!(until, producer, try_put_slice, put_slice, put_slice_timeout, messages)?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(done, put) };
        Ok(())
    })
}

/// Lends room for a message of `length` bytes, to be written in place at `data`; waits until there is
/// some. End it by `shmq_loan_commit`, or `shmq_loan_abort`.
///
/// - Blocks: until there is room, as `until` says.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - If this process dies: the message was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_producer_loan(
    producer: *mut shmq_producer,
    length: usize,
    until: u64,
    loan: *mut *mut shmq_loan,
    data: *mut *mut c_void,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says; the results are null, or the caller's.
        let (producer, loan, data) = unsafe { (slots::borrow::<DynProducer>(producer)?, Out::new(loan)?, Out::new(data)?) };
        let lent = by_until!(until, producer, try_loan_len_owned, loan_len_owned, loan_len_owned_timeout, length)?;
        AnyLoan::OfQueue(lent).give(loan, data)
    })
}

/// A descriptor that becomes readable when there may be room for `length` bytes: see
/// `shmq_readiness_fd`.
///
/// - Blocks: no.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_producer_writable(
    producer: *mut shmq_producer,
    length: usize,
    readiness: *mut *mut shmq_readiness,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says; the result is null, or the caller's.
        let (producer, readiness) = unsafe { (slots::borrow::<DynProducer>(producer)?, Out::new(readiness)?) };
        readiness.set(slots::insert(ReadinessHandle::new(producer.writable_for(length)?))?);
        Ok(())
    })
}

/// Gives the put side up, and the handle.
///
/// - Blocks: no.
/// - Threads: any; no other thread may be in a call with the handle.
/// - After fork: a child gives up its copy; the parent's handle stays.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_producer_free(producer: *mut shmq_producer) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        drop(unsafe { slots::take::<DynProducer>(producer) }?);
        Ok(())
    })
}
