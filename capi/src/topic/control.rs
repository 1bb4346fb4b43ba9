//! What a topic says about itself, and what ends it.

use super::{TopicHandle, shmq_topic};
use crate::border::{Out, guarded, set_if_wanted};
use crate::failure::{Failed, shmq_error};
use crate::layout::{fill, shmq_layout};
use crate::slots;
use crate::until::Until;
use std::ffi::c_char;
use std::time::Duration;

/// Counters of a topic since it was created.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(C)]
pub struct shmq_topic_counters {
    /// `sizeof(shmq_topic_counters)`, by the caller. As many bytes are filled in.
    pub size: usize,
    /// Messages that were published.
    pub published: u64,
    /// Their bytes.
    pub bytes_published: u64,
    /// Loans that were not committed.
    pub aborted: u64,
    /// Subscribers that were evicted.
    pub evictions: u64,
    /// Repairs after a death.
    pub recoveries: u64,
    /// Publishers that slept.
    pub blocked_publishes: u64,
    /// How long, all together.
    pub blocked_publish_ns: u64,
    /// Subscribers that slept.
    pub blocked_reads: u64,
    /// How long, all together.
    pub blocked_read_ns: u64,
    /// Publishers that found no room and did not wait.
    pub refused_publishes: u64,
    /// Publishers whose time was up.
    pub publish_timeouts: u64,
    /// Subscribers whose time was up.
    pub read_timeouts: u64,
    /// System calls to wake sleepers.
    pub wakes: u64,
}

/// Runs a question about a topic.
///
/// # Safety
/// The handle is not freed meanwhile; the result is null, or the caller's.
#[inline]
unsafe fn ask<R>(topic: *mut shmq_topic, to: *mut R, question: impl FnOnce(&TopicHandle) -> Result<R, Failed>) -> shmq_error {
    guarded(|| {
        // SAFETY: as the caller says.
        let (topic, to) = unsafe { (slots::borrow::<TopicHandle>(topic)?, Out::new(to)?) };
        to.set(question(topic)?);
        Ok(())
    })
}

/// Ends the stream: publishing fails from now on, subscribers read what is left, and then get
/// `SHMQ_ERROR_CLOSED`. The handle stays open: see `shmq_topic_free`.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_close(topic: *mut shmq_topic) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        unsafe { slots::borrow::<TopicHandle>(topic) }?.topic.close();
        Ok(())
    })
}

/// Was the stream closed, by any process?
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_is_closed(topic: *mut shmq_topic, is_closed: *mut bool) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(topic, is_closed, |handle| Ok(handle.topic.is_closed())) }
}

/// Bound in messages; `SIZE_MAX` of a topic that is bounded in bytes only.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_capacity(topic: *mut shmq_topic, count: *mut usize) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(topic, count, |handle| Ok(handle.topic.capacity())) }
}

/// Bytes of the largest message that fits the ring.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_max_length(topic: *mut shmq_topic, length: *mut usize) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(topic, length, |handle| Ok(handle.topic.max_len())) }
}

/// The name by which other processes open it; valid as long as the handle.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_name(topic: *mut shmq_topic, name: *mut *const c_char) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(topic, name, |handle| Ok(handle.texts.name.as_ptr())) }
}

/// What messages are, as the segment says. Set `layout->size` first.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_layout(topic: *mut shmq_topic, layout: *mut shmq_layout) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let handle = unsafe { slots::borrow::<TopicHandle>(topic) }?;
        // SAFETY: null, or the caller's, of the size that it says.
        unsafe { fill(layout, handle.texts.layout(handle.topic.layout())) }
    })
}

/// Counters of the topic. Set `counters->size` first.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_stats(topic: *mut shmq_topic, counters: *mut shmq_topic_counters) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let stats = unsafe { slots::borrow::<TopicHandle>(topic) }?.topic.stats();
        let full = shmq_topic_counters {
            size: size_of::<shmq_topic_counters>(),
            published: stats.published,
            bytes_published: stats.bytes_published,
            aborted: stats.aborted,
            evictions: stats.evictions,
            recoveries: stats.recoveries,
            blocked_publishes: stats.blocked_publishes,
            blocked_publish_ns: stats.blocked_publish_time.as_nanos() as u64,
            blocked_reads: stats.blocked_reads,
            blocked_read_ns: stats.blocked_read_time.as_nanos() as u64,
            refused_publishes: stats.refused_publishes,
            publish_timeouts: stats.publish_timeouts,
            read_timeouts: stats.read_timeouts,
            wakes: stats.wakes,
        };
        // SAFETY: null, or the caller's, of the size that it says.
        unsafe { fill(counters, full) }
    })
}

/// Waits until the topic has `count` gating subscribers, so that none of them misses the first
/// message. After `SHMQ_ERROR_TIMEOUT`, `shmq_error_length()` is how many there were.
///
/// - Blocks: as `until` says.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_wait_subscribers(topic: *mut shmq_topic, count: usize, until: u64) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let topic = &unsafe { slots::borrow::<TopicHandle>(topic) }?.topic;
        let timeout = match Until::of(until) {
            Until::Try => Duration::ZERO,
            Until::Forever => Duration::MAX,
            Until::Left(left) => left,
        };
        Ok(topic.wait_subscribers(count, timeout)?)
    })
}

/// Repairs now what dead processes left; the verbs do that by themselves when they meet it. `dead`,
/// if not null, is how many there were.
///
/// - Blocks: no; a lock that another process holds is waited for, about 1 ms at most.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: what it left is repaired, and the call goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_topic_recover(topic: *mut shmq_topic, dead: *mut u64) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let report = unsafe { slots::borrow::<TopicHandle>(topic) }?.topic.recover();
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(dead, u64::from(report.dead_participants)) };
        Ok(())
    })
}
