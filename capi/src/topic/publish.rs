//! Publishing to a topic, by handles that any thread may use.

use super::{TopicHandle, shmq_topic};
use crate::border::{Out, bytes, guarded, set_if_wanted};
use crate::failure::shmq_error;
use crate::guard::{AnyLoan, shmq_loan};
use crate::layout::bytes_of_many;
use crate::slots;
use crate::until::{by_until, left, timeout};
use std::ffi::c_void;

/// Publishes one message by copy; waits until there is room. Every subscriber sees it. A gating
/// subscriber that lags a whole ring is waited for.
///
/// - Blocks: until there is room.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_publish(topic: *mut shmq_topic, message: *const c_void, length: usize) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (topic, message) = unsafe { (slots::borrow::<TopicHandle>(topic)?, bytes(message, length)?) };
        Ok(topic.topic.publish(message)?)
    })
}

/// Like `shmq_topic_publish`, without waiting: `SHMQ_ERROR_FULL`.
///
/// - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_try_publish(topic: *mut shmq_topic, message: *const c_void, length: usize) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (topic, message) = unsafe { (slots::borrow::<TopicHandle>(topic)?, bytes(message, length)?) };
        Ok(topic.topic.try_publish(message)?)
    })
}

/// Like `shmq_topic_publish`, for a while: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is room, for `timeout_ns` at most; 0 means one try.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_publish_timeout(
    topic: *mut shmq_topic,
    message: *const c_void,
    length: usize,
    timeout_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (topic, message) = unsafe { (slots::borrow::<TopicHandle>(topic)?, bytes(message, length)?) };
        Ok(topic.topic.publish_timeout(message, timeout(timeout_ns))?)
    })
}

/// Like `shmq_topic_publish`, until a time of `shmq_now()`: then `SHMQ_ERROR_TIMEOUT`.
///
/// - Blocks: until there is room, or `deadline_ns` has passed; one in the past means one try.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_publish_deadline(
    topic: *mut shmq_topic,
    message: *const c_void,
    length: usize,
    deadline_ns: u64,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, and there are `length` bytes.
        let (topic, message) = unsafe { (slots::borrow::<TopicHandle>(topic)?, bytes(message, length)?) };
        Ok(topic.topic.publish_timeout(message, left(deadline_ns))?)
    })
}

/// Publishes `count` values, which lie one after the other; waits until there is room for all. `done`, if
/// not null, is how many were put: after an error, those before it. An error is returned only if
/// none was put.
///
/// - Blocks: until there is room, as `until` says.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_publish_many(
    topic: *mut shmq_topic,
    messages: *const c_void,
    count: usize,
    until: u64,
    done: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(done, 0) };
        // SAFETY: the handle is used as its comment says.
        let topic = &unsafe { slots::borrow::<TopicHandle>(topic) }?.topic;
        let length = bytes_of_many(topic.layout(), count)?;
        // SAFETY: there are `count` messages.
        let messages = unsafe { bytes(messages, length) }?;
        let put = by_until!(until, topic, try_publish_slice, publish_slice, publish_slice_timeout, messages)?;
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
pub unsafe extern "C" fn shmq_topic_loan(
    topic: *mut shmq_topic,
    length: usize,
    until: u64,
    loan: *mut *mut shmq_loan,
    data: *mut *mut c_void,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says; the results are null, or the caller's.
        let (topic, loan, data) = unsafe { (slots::borrow::<TopicHandle>(topic)?, Out::new(loan)?, Out::new(data)?) };
        let lent = by_until!(until, topic.topic, try_loan_len_owned, loan_len_owned, loan_len_owned_timeout, length)?;
        AnyLoan::OfTopic(lent).give(loan, data)
    })
}
