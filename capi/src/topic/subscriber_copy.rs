//! Reading a topic by copy.

use super::{SubscriberHandle, shmq_subscriber};
use crate::border::{buffer, guarded, set_if_wanted};
use crate::failure::shmq_error;
use crate::layout::bytes_of_many;
use crate::slots;
use crate::until::{by_until, left, timeout};
use std::ffi::c_void;

/// Reads the next message by copy; waits until there is one. `length`, if not null, is how long it
/// is. A lossy one may get `SHMQ_ERROR_LAGGED`: the call after it goes on.
///
/// - Blocks: until there is a message.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a message whose publisher died before its commit was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_next(
    subscriber: *mut shmq_subscriber,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `capacity` bytes.
        let (subscriber, message) = unsafe { (slots::borrow::<SubscriberHandle>(subscriber)?, buffer(message, capacity)?) };
        let got = subscriber.between_samples()?.next_into(message)?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, got) };
        Ok(())
    })
}

/// Like `shmq_subscriber_next`, without waiting: `SHMQ_ERROR_EMPTY`.
///
/// - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a message whose publisher died before its commit was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_try_next(
    subscriber: *mut shmq_subscriber,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `capacity` bytes.
        let (subscriber, message) = unsafe { (slots::borrow::<SubscriberHandle>(subscriber)?, buffer(message, capacity)?) };
        let got = subscriber.between_samples()?.try_next_into(message)?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, got) };
        Ok(())
    })
}

/// Like `shmq_subscriber_next`, for a while: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is a message, for `timeout_ns` at most; 0 means one try.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a message whose publisher died before its commit was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_next_timeout(
    subscriber: *mut shmq_subscriber,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
    timeout_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `capacity` bytes.
        let (subscriber, message) = unsafe { (slots::borrow::<SubscriberHandle>(subscriber)?, buffer(message, capacity)?) };
        let got = subscriber.between_samples()?.next_into_timeout(message, timeout(timeout_ns))?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, got) };
        Ok(())
    })
}

/// Like `shmq_subscriber_next`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is a message, or `deadline_ns` has passed; one in the past means one try.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a message whose publisher died before its commit was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_next_deadline(
    subscriber: *mut shmq_subscriber,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
    deadline_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `capacity` bytes.
        let (subscriber, message) = unsafe { (slots::borrow::<SubscriberHandle>(subscriber)?, buffer(message, capacity)?) };
        let got = subscriber.between_samples()?.next_into_timeout(message, left(deadline_ns))?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, got) };
        Ok(())
    })
}

/// Reads as many values as there are, `count` at most, one after the other; waits until there is one.
/// `done`, if not null, is how many.
///
/// - Blocks: until there is a message, as `until` says.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a message whose publisher died before its commit was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_next_many(
    subscriber: *mut shmq_subscriber,
    messages: *mut c_void,
    count: usize,
    until: u64,
    done: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(done, 0) };
        // SAFETY: the handle is used as its comment says.
        let subscriber = &unsafe { slots::borrow::<SubscriberHandle>(subscriber) }?.between_samples()?;
        let length = bytes_of_many(subscriber.layout(), count)?;
        // SAFETY: there is room for `count` messages.
        let messages = unsafe { buffer(messages, length) }?;
        let got = by_until!(until, subscriber, try_next_slice, next_slice, next_slice_timeout, messages)?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(done, got) };
        Ok(())
    })
}
