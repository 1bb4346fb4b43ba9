//! `shmq_subscriber`: every message of a topic, one after the other. Reading by copy is in
//! `subscriber_copy.rs`.
//!
//! Invariants:
//! 1. `sample` borrows what `subscriber` points to, which stays where it is and is shared only while
//!    there is a sample: `read` alone borrows it mutably, and refuses while one is open. The sample
//!    is dropped first.
//! 2. A sample of an inherited subscriber is not read: the crate's guard would panic.

use super::{TopicHandle, shmq_topic};
use crate::border::{self, Out, guarded, set_if_wanted};
use crate::failure::{Failed, shmq_error};
use crate::of_error::inherited;
use crate::options::{self, shmq_start, shmq_subscribe_options};
use crate::slots;
use crate::until::by_until;
use shmq_rs::{DynSubscriber, GetError, Sample, Start};
use std::ffi::c_void;
use std::ptr::NonNull;

/// A subscriber of a topic. One thread at a time.
///
/// In a forked child it is the parent's, as its sample is.
#[allow(non_camel_case_types, reason = "names of C")]
pub struct shmq_subscriber {
    _private: [u8; 0],
}

slots::handled!(
    shmq_subscriber,
    SubscriberHandle,
    10,
    c"the handle is no subscriber: it is null, was freed, or is of another kind"
);

/// A subscriber, and the sample that it reads.
pub struct SubscriberHandle {
    subscriber: NonNull<DynSubscriber>,
    sample: Option<Sample<'static, [u8]>>,
    /// A newest message that was longer than the caller's buffer, and how many had been received by
    /// then: once others were, it is an old one.
    longer: Option<(Vec<u8>, u64)>,
}

// SAFETY: Invariant 1: the box is its own, and the sample is of it; both go along.
unsafe impl Send for SubscriberHandle {}

impl SubscriberHandle {
    fn new(subscriber: DynSubscriber) -> SubscriberHandle {
        SubscriberHandle { subscriber: NonNull::from(Box::leak(Box::new(subscriber))), sample: None, longer: None }
    }

    fn subscriber(&self) -> &DynSubscriber {
        // SAFETY: Invariant 1: a box that `drop` alone ends, shared.
        unsafe { self.subscriber.as_ref() }
    }

    /// The subscriber, if it reads no sample: the crate's borrow of it would refuse other verbs.
    #[inline]
    pub fn between_samples(&self) -> Result<&DynSubscriber, Failed> {
        if self.sample.is_some() { Err(sample_open()) } else { Ok(self.subscriber()) }
    }

    fn read(&mut self, until: u64) -> Result<&[u8], Failed> {
        self.between_samples()?;
        // SAFETY: Invariant 1: there is no sample, so this is the only borrow.
        let subscriber: &'static mut DynSubscriber = unsafe { self.subscriber.as_mut() };
        let sample = by_until!(until, subscriber, try_read, read, read_timeout)?;
        Ok(self.sample.insert(sample))
    }

    /// The newest message into a buffer: its length. One that is longer is kept for the next call, which
    /// prefers what is newer.
    fn latest(&mut self, buffer: &mut [u8]) -> Result<usize, Failed> {
        let message = match (self.between_samples()?.latest(), self.longer.take()) {
            (Ok(message), _) => message,
            (Err(GetError::Empty | GetError::Closed), Some((longer, received))) if received == self.subscriber().received() => {
                longer
            }
            (Err(error), _) => return Err(error.into()),
        };
        let length = message.len();
        let Some(to) = buffer.get_mut(..length) else {
            self.longer = Some((message, self.subscriber().received()));
            return Err(GetError::TooSmall { needed: length, given: buffer.len() }.into());
        };
        to.copy_from_slice(&message);
        Ok(length)
    }
}

impl Drop for SubscriberHandle {
    fn drop(&mut self) {
        // Invariant 1.
        self.sample = None;
        // SAFETY: the box of `new`, which nothing borrows any more.
        drop(unsafe { Box::from_raw(self.subscriber.as_ptr()) });
    }
}

#[cold]
fn sample_open() -> Failed {
    Failed::plain(shmq_error::SHMQ_ERROR_SAMPLE_OPEN, c"this subscriber reads a sample: call shmq_subscriber_pass first")
}

/// Subscribes. `options` may be null: as a gating subscriber, from now on. Publishers wait for a
/// gating one that lags a whole ring, as long as its process lives; a lossy one is never waited for.
///
/// - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: a dead subscriber is not waited for, and a loan of a dead process is skipped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_subscribe(
    topic: *mut shmq_topic,
    options: *const shmq_subscribe_options,
    subscriber: *mut *mut shmq_subscriber,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, structs have their sizes, and the result
        // is null, or the caller's.
        let (topic, options, subscriber) =
            unsafe { (&slots::borrow::<TopicHandle>(topic)?.topic, options::read(options)?, Out::new(subscriber)?) };
        let start = match options.start {
            start if start == shmq_start::SHMQ_START_NOW as u32 => Start::Now,
            start if start == shmq_start::SHMQ_START_OLDEST as u32 => Start::Oldest,
            start if start == shmq_start::SHMQ_START_BACK as u32 => Start::Back(options.back),
            _ => return Err(Failed::argument(c"`start` is none of shmq_start")),
        };
        let made = match options.is_lossy {
            0 => topic.subscribe_from(start)?,
            _ => topic.subscribe_lossy_from(start)?,
        };
        subscriber.set(slots::insert(SubscriberHandle::new(made))?);
        Ok(())
    })
}

/// Reads the newest message that it has not passed, by copy, at once: `SHMQ_ERROR_EMPTY` if there is
/// none. What lies before it is missed. A message that is longer than the buffer
/// (`SHMQ_ERROR_TOO_SMALL`) is what the next call reads, unless there is a newer one.
///
/// - Blocks: no.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a message whose publisher died before its commit was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_latest(
    subscriber: *mut shmq_subscriber,
    message: *mut c_void,
    capacity: usize,
    length: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, by one thread, and there are `capacity` bytes.
        let (subscriber, buffer) =
            unsafe { (slots::borrow_mut::<SubscriberHandle>(subscriber)?, border::buffer(message, capacity)?) };
        let latest = subscriber.latest(buffer)?;
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, latest) };
        Ok(())
    })
}

/// Reads the next message in place: a sample, which stays at `data` until `shmq_subscriber_pass`;
/// waits until there is one. Until then other calls of this subscriber return
/// `SHMQ_ERROR_SAMPLE_OPEN`. Gating subscribers only. `length`, if not null, is how long it is.
///
/// - Blocks: until there is a message, as `until` says.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a message whose publisher died before its commit was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_read(
    subscriber: *mut shmq_subscriber,
    until: u64,
    data: *mut *const c_void,
    length: *mut usize,
) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, by one thread; the result is null, or the
        // caller's.
        let (subscriber, data) = unsafe { (slots::borrow_mut::<SubscriberHandle>(subscriber)?, Out::new(data)?) };
        let message = subscriber.read(until)?;
        data.set(message.as_ptr().cast());
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(length, message.len()) };
        Ok(())
    })
}

/// Ends the sample: its message is passed. `SHMQ_ERROR_ARGUMENT` if there is none.
///
/// - Blocks: no.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: a message whose publisher died before its commit was never there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_pass(subscriber: *mut shmq_subscriber) -> shmq_error {
    guarded(|| {
        // SAFETY: the handle is used as its comment says, by one thread.
        let subscriber = unsafe { slots::borrow_mut::<SubscriberHandle>(subscriber) }?;
        if subscriber.sample.take().is_none() {
            return Err(Failed::argument(c"this subscriber reads no sample"));
        }
        if subscriber.subscriber().is_inherited() { Err(inherited()) } else { Ok(()) }
    })
}

/// Runs a question about a subscriber, also while it reads a sample.
///
/// # Safety
/// The handle is not freed meanwhile; the result is null, or the caller's.
#[inline]
unsafe fn ask<R>(subscriber: *mut shmq_subscriber, to: *mut R, question: impl FnOnce(&DynSubscriber) -> R) -> shmq_error {
    guarded(|| {
        // SAFETY: as the caller says.
        let (handle, to) = unsafe { (slots::borrow::<SubscriberHandle>(subscriber)?, Out::new(to)?) };
        if handle.subscriber().is_inherited() {
            return Err(inherited());
        }
        to.set(question(handle.subscriber()));
        Ok(())
    })
}

/// Messages that were published and that it has not passed.
///
/// - Blocks: no.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_lag(subscriber: *mut shmq_subscriber, count: *mut u64) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(subscriber, count, DynSubscriber::lag) }
}

/// Messages that it passed without reading them.
///
/// - Blocks: no.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_missed(subscriber: *mut shmq_subscriber, count: *mut u64) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(subscriber, count, DynSubscriber::missed) }
}

/// Messages that it read.
///
/// - Blocks: no.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_received(subscriber: *mut shmq_subscriber, count: *mut u64) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(subscriber, count, DynSubscriber::received) }
}

/// Do publishers wait for it? No longer once it was evicted.
///
/// - Blocks: no.
/// - Threads: any, one at a time.
/// - After fork: `SHMQ_ERROR_INHERITED` in the child; the parent goes on.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_is_gating(subscriber: *mut shmq_subscriber, is_gating: *mut bool) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(subscriber, is_gating, DynSubscriber::is_gating) }
}

/// Ends the subscriber, and its sample, and gives the handle up.
///
/// - Blocks: no.
/// - Threads: any; no other thread may be in a call with the handle.
/// - After fork: a child gives up its copy; the parent's handle stays.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_subscriber_free(subscriber: *mut shmq_subscriber) -> shmq_error {
    guarded(|| {
        // SAFETY: no other call uses it (slots, Invariant 4).
        drop(unsafe { slots::take::<SubscriberHandle>(subscriber) }?);
        Ok(())
    })
}
