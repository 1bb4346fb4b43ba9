//! The put side of a topic, held for the endpoint's life.

use super::{TopicHandle, shmq_topic};
use crate::border::{Out, bytes, guarded, set_if_wanted};
use crate::failure::shmq_error;
use crate::guard::{AnyLoan, shmq_loan};
use crate::layout::bytes_of_many;
use crate::slots;
use crate::until::{by_until, left, timeout};
use shmq_rs::DynPublisher;
use std::ffi::c_void;

/// The put side of a topic, for one owner: the fastest way to publish. One thread at a time.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_publisher {
    _private: [u8; 0],
}

slots::handled!(shmq_publisher, DynPublisher, 9, c"the handle is no publisher: it is null, was freed, or is of another kind");

/// Takes the put side of a topic. Others that publish get `SHMQ_ERROR_HELD` until it is freed.
///
/// - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: a side that a dead process held is taken over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_publisher(topic: *mut shmq_topic, publisher: *mut *mut shmq_publisher) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says; the result is null, or the caller's.
        let (topic, publisher) = unsafe { (slots::borrow::<TopicHandle>(topic)?, Out::new(publisher)?) };
        publisher.set(slots::insert(topic.topic.publisher()?)?);
        Ok(())
    })
}

/// Publishes one message by copy; waits until there is room. As `shmq_topic_publish`, without a
/// lock per message.
///
/// - Blocks: until there is room.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_publisher_publish(
    publisher: *mut shmq_publisher,
    message: *const c_void,
    length: usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (publisher, message) = unsafe { (slots::borrow::<DynPublisher>(publisher)?, bytes(message, length)?) };
        Ok(publisher.publish(message)?)
    })
}

/// Like `shmq_publisher_publish`, without waiting: `SHMQ_ERROR_FULL`.
///
/// - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_publisher_try_publish(
    publisher: *mut shmq_publisher,
    message: *const c_void,
    length: usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (publisher, message) = unsafe { (slots::borrow::<DynPublisher>(publisher)?, bytes(message, length)?) };
        Ok(publisher.try_publish(message)?)
    })
}

/// Like `shmq_publisher_publish`, for a while: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is room, for `timeout_ns` at most; 0 means one try.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_publisher_publish_timeout(
    publisher: *mut shmq_publisher,
    message: *const c_void,
    length: usize,
    timeout_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (publisher, message) = unsafe { (slots::borrow::<DynPublisher>(publisher)?, bytes(message, length)?) };
        Ok(publisher.publish_timeout(message, timeout(timeout_ns))?)
    })
}

/// Like `shmq_publisher_publish`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is room, or `deadline_ns` has passed; one in the past means one try.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_publisher_publish_deadline(
    publisher: *mut shmq_publisher,
    message: *const c_void,
    length: usize,
    deadline_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (publisher, message) = unsafe { (slots::borrow::<DynPublisher>(publisher)?, bytes(message, length)?) };
        Ok(publisher.publish_timeout(message, left(deadline_ns))?)
    })
}

/// Publishes `count` values, which lie one after the other; waits until there is room for all. `done`, if
/// not null, is how many were put: after an error, those before it. An error is returned only if
/// none was put.
///
/// - Blocks: until there is room, as `until` says.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_publisher_publish_many(
    publisher: *mut shmq_publisher,
    messages: *const c_void,
    count: usize,
    until: u64,
    done: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(done, 0) };
        // SAFETY: the handle is used as its comment says.
        let publisher = &unsafe { slots::borrow::<DynPublisher>(publisher) }?;
        let length = bytes_of_many(publisher.layout(), count)?;
        // SAFETY: there are `count` messages.
        let messages = unsafe { bytes(messages, length) }?;
        let put = by_until!(until, publisher, try_publish_slice, publish_slice, publish_slice_timeout, messages)?;
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
pub unsafe extern "C" fn shmq_publisher_loan(
    publisher: *mut shmq_publisher,
    length: usize,
    until: u64,
    loan: *mut *mut shmq_loan,
    data: *mut *mut c_void,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says; the results are null, or the caller's.
        let (publisher, loan, data) = unsafe { (slots::borrow::<DynPublisher>(publisher)?, Out::new(loan)?, Out::new(data)?) };
        let lent = by_until!(until, publisher, try_loan_len_owned, loan_len_owned, loan_len_owned_timeout, length)?;
        AnyLoan::OfTopic(lent).give(loan, data)
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
pub unsafe extern "C" fn shmq_publisher_free(publisher: *mut shmq_publisher) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        drop(unsafe { slots::take::<DynPublisher>(publisher) }?);
        Ok(())
    })
}
