//! The get side of a queue, held for the endpoint's life.

use crate::border::{Out, buffer, guarded, set_if_wanted};
use crate::failure::shmq_error;
use crate::guard::{give_lease, shmq_lease};
use crate::layout::bytes_of_many;
use crate::queue::{QueueHandle, shmq_queue};
use crate::readiness::{ReadinessHandle, shmq_readiness};
use crate::slots;
use crate::until::{by_until, left, timeout};
use shmq_rs::DynConsumer;
use std::ffi::c_void;

/// The get side of a queue, for one owner: the fastest way to get. One thread at a time.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_consumer {
    _private: [u8; 0],
}

slots::handled!(shmq_consumer, DynConsumer, 4, c"the handle is no consumer: it is null, was freed, or is of another kind");

/// Takes the get side of a queue. Other gets get `SHMQ_ERROR_HELD` until it is freed.
///
/// - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: a side that a dead process held is taken over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_consumer(queue: *mut shmq_queue, consumer: *mut *mut shmq_consumer) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says; the result is null, or the caller's.
        let (queue, consumer) = unsafe { (slots::borrow::<QueueHandle>(queue)?, Out::new(consumer)?) };
        consumer.set(slots::insert(queue.queue.consumer()?)?);
        Ok(())
    })
}

/// Takes one message by copy; waits until there is one. `length`, if not null, is how long it is.
/// As `shmq_queue_get`, without a lock per message.
///
/// - Blocks: until there is a message.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: messages that it leased come back and are delivered again; what it left is
///   repaired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_consumer_get(
    consumer: *mut shmq_consumer,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `capacity` bytes.
        let (consumer, message) = unsafe { (slots::borrow::<DynConsumer>(consumer)?, buffer(message, capacity)?) };
        let got = consumer.get_into(message)?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, got) };
        Ok(())
    })
}

/// Like `shmq_consumer_get`, without waiting: `SHMQ_ERROR_EMPTY`.
///
/// - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: messages that it leased come back and are delivered again; what it left is
///   repaired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_consumer_try_get(
    consumer: *mut shmq_consumer,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `capacity` bytes.
        let (consumer, message) = unsafe { (slots::borrow::<DynConsumer>(consumer)?, buffer(message, capacity)?) };
        let got = consumer.try_get_into(message)?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, got) };
        Ok(())
    })
}

/// Like `shmq_consumer_get`, for a while: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is a message, for `timeout_ns` at most; 0 means one try.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: messages that it leased come back and are delivered again; what it left is
///   repaired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_consumer_get_timeout(
    consumer: *mut shmq_consumer,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
    timeout_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `capacity` bytes.
        let (consumer, message) = unsafe { (slots::borrow::<DynConsumer>(consumer)?, buffer(message, capacity)?) };
        let got = consumer.get_into_timeout(message, timeout(timeout_ns))?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, got) };
        Ok(())
    })
}

/// Like `shmq_consumer_get`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is a message, or `deadline_ns` has passed; one in the past means one try.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: messages that it leased come back and are delivered again; what it left is
///   repaired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_consumer_get_deadline(
    consumer: *mut shmq_consumer,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
    deadline_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `capacity` bytes.
        let (consumer, message) = unsafe { (slots::borrow::<DynConsumer>(consumer)?, buffer(message, capacity)?) };
        let got = consumer.get_into_timeout(message, left(deadline_ns))?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, got) };
        Ok(())
    })
}

/// Takes as many values as there are, `count` at most, one after the other; waits until there is one.
/// `done`, if not null, is how many.
///
/// - Blocks: until there is a message, as `until` says.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: messages that it leased come back and are delivered again; what it left is
///   repaired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_consumer_get_many(
    consumer: *mut shmq_consumer,
    messages: *mut c_void,
    count: usize,
    until: u64,
    done: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(done, 0) };
        // SAFETY: the handle is used as its comment says.
        let consumer = &unsafe { slots::borrow::<DynConsumer>(consumer) }?;
        let length = bytes_of_many(consumer.layout(), count)?;
        // SAFETY: there is room for `count` messages.
        let messages = unsafe { buffer(messages, length) }?;
        let got = by_until!(until, consumer, try_get_slice, get_slice, get_slice_timeout, messages)?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(done, got) };
        Ok(())
    })
}

/// Leases one message, to be read, or changed, in place at `data`; waits until there is one. End it by
/// `shmq_lease_release`, or `shmq_lease_give_back`. `length`, if not null, is how long it is.
///
/// - Blocks: until there is a message, as `until` says.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - If this process dies: the message is delivered again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_consumer_lease(
    consumer: *mut shmq_consumer,
    until: u64,
    lease: *mut *mut shmq_lease,
    data: *mut *mut c_void,
    length: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says; the results are null, or the caller's.
        let (consumer, lease, data) = unsafe { (slots::borrow::<DynConsumer>(consumer)?, Out::new(lease)?, Out::new(data)?) };
        let leased = by_until!(until, consumer, try_lease_ack_owned, lease_ack_owned, lease_ack_owned_timeout)?;
        // SAFETY: `length` is null, or the caller's.
        unsafe { give_lease(leased, lease, data, length) }
    })
}

/// A descriptor that becomes readable when there may be a message: see `shmq_readiness_fd`.
///
/// - Blocks: no.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_consumer_readable(consumer: *mut shmq_consumer, readiness: *mut *mut shmq_readiness) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says; the result is null, or the caller's.
        let (consumer, readiness) = unsafe { (slots::borrow::<DynConsumer>(consumer)?, Out::new(readiness)?) };
        readiness.set(slots::insert(ReadinessHandle::new(consumer.readable()?))?);
        Ok(())
    })
}

/// Gives the get side up, and the handle.
///
/// - Blocks: no.
/// - Threads: any; no other thread may be in a call with the handle.
/// - After fork: a child gives up its copy; the parent's handle stays.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_consumer_free(consumer: *mut shmq_consumer) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        drop(unsafe { slots::take::<DynConsumer>(consumer) }?);
        Ok(())
    })
}
