//! What a queue says about itself, and what ends it.

use super::{QueueHandle, shmq_queue};
use crate::border::{Out, guarded, set_if_wanted};
use crate::failure::{Failed, shmq_error};
use crate::guard::shmq_message_id;
use crate::layout::{fill, shmq_layout};
use crate::readiness::{ReadinessHandle, shmq_readiness};
use crate::slots;
use crate::until::Until;
use shmq_rs::{Fate, MessageId};
use std::ffi::c_char;

/// Counters of a queue since it was created.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(C)]
pub struct shmq_queue_counters {
    /// `sizeof(shmq_queue_counters)`, by the caller. As many bytes are filled in.
    pub size: usize,
    /// Messages that were put.
    pub puts: u64,
    /// Messages that were taken, or leased.
    pub gets: u64,
    /// Bytes of those that were put.
    pub bytes_put: u64,
    /// Bytes of those that were taken.
    pub bytes_got: u64,
    /// Deliveries after the first.
    pub redelivered: u64,
    /// Loans that were not committed.
    pub aborted: u64,
    /// Messages that came back too often.
    pub given_up: u64,
    /// Those of them that are in the queue for dead letters.
    pub dead_letters: u64,
    /// Those of them that it had no room for, or that there was no such queue for.
    pub dead_letters_refused: u64,
    /// Repairs after a death.
    pub recoveries: u64,
    /// Puts that slept.
    pub blocked_puts: u64,
    /// Gets that slept.
    pub blocked_gets: u64,
    /// How long, all together.
    pub blocked_put_ns: u64,
    /// How long, all together.
    pub blocked_get_ns: u64,
    /// Puts that found no room and did not wait.
    pub refused_puts: u64,
    /// Puts whose time was up.
    pub put_timeouts: u64,
    /// Gets whose time was up.
    pub get_timeouts: u64,
    /// System calls to wake sleepers.
    pub wakes: u64,
    /// The most messages that were there at once, as far as it was noticed.
    pub high_water: u64,
    /// Encoded objects that are in files of their own now.
    pub spilled: u64,
    /// Their bytes.
    pub spilled_bytes: u64,
}

/// What became of a message.
#[allow(non_camel_case_types, reason = "names of C")]
#[repr(u32)]
pub enum shmq_fate {
    /// It may still be delivered.
    SHMQ_FATE_PENDING = 0,
    /// It was taken, or its lease was released.
    SHMQ_FATE_DONE = 1,
    /// It came back as often as `max_deliveries` allows.
    SHMQ_FATE_GIVEN_UP = 2,
    /// It has been finished for so long that it is not known how.
    SHMQ_FATE_FORGOTTEN = 3,
    /// It is a message of another queue.
    SHMQ_FATE_FOREIGN = 4,
}

/// Runs a question about a queue.
///
/// # Safety
/// The handle is not freed meanwhile; the result is null, or the caller's.
#[inline]
unsafe fn ask<R>(queue: *mut shmq_queue, to: *mut R, question: impl FnOnce(&QueueHandle) -> Result<R, Failed>) -> shmq_error {
    guarded(|| {
        // SAFETY: as the caller says.
        let (queue, to) = unsafe { (slots::borrow::<QueueHandle>(queue)?, Out::new(to)?) };
        to.set(question(queue)?);
        Ok(())
    })
}

/// Ends the stream: puts fail from now on, gets take what is left, and then get
/// `SHMQ_ERROR_CLOSED`. The handle stays open: see `shmq_queue_free`.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_close(queue: *mut shmq_queue) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        unsafe { slots::borrow::<QueueHandle>(queue) }?.queue.close();
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
pub unsafe extern "C" fn shmq_queue_is_closed(queue: *mut shmq_queue, is_closed: *mut bool) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(queue, is_closed, |handle| Ok(handle.queue.is_closed())) }
}

/// Messages that no process has taken yet.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_len(queue: *mut shmq_queue, count: *mut usize) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(queue, count, |handle| Ok(handle.queue.len())) }
}

/// Bound in messages; `SIZE_MAX` of a queue that is bounded in bytes only.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_capacity(queue: *mut shmq_queue, count: *mut usize) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(queue, count, |handle| Ok(handle.queue.capacity())) }
}

/// Bytes of the largest message that fits the ring.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_max_length(queue: *mut shmq_queue, length: *mut usize) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(queue, length, |handle| Ok(handle.queue.max_len())) }
}

/// The name by which other processes open it; valid as long as the handle.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_name(queue: *mut shmq_queue, name: *mut *const c_char) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(queue, name, |handle| Ok(handle.texts.name.as_ptr())) }
}

/// What messages are, as the segment says. Set `layout->size` first.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_layout(queue: *mut shmq_queue, layout: *mut shmq_layout) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let handle = unsafe { slots::borrow::<QueueHandle>(queue) }?;
        // SAFETY: null, or the caller's, of the size that it says.
        unsafe { fill(layout, handle.texts.layout(handle.queue.layout())) }
    })
}

/// Counters of the queue. Set `counters->size` first.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_stats(queue: *mut shmq_queue, counters: *mut shmq_queue_counters) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let stats = unsafe { slots::borrow::<QueueHandle>(queue) }?.queue.stats();
        let full = shmq_queue_counters {
            size: size_of::<shmq_queue_counters>(),
            puts: stats.puts,
            gets: stats.gets,
            bytes_put: stats.bytes_put,
            bytes_got: stats.bytes_got,
            redelivered: stats.redelivered,
            aborted: stats.aborted,
            given_up: stats.given_up,
            dead_letters: stats.dead_letters,
            dead_letters_refused: stats.dead_letters_refused,
            recoveries: stats.recoveries,
            blocked_puts: stats.blocked_puts,
            blocked_gets: stats.blocked_gets,
            blocked_put_ns: stats.blocked_put_time.as_nanos() as u64,
            blocked_get_ns: stats.blocked_get_time.as_nanos() as u64,
            refused_puts: stats.refused_puts,
            put_timeouts: stats.put_timeouts,
            get_timeouts: stats.get_timeouts,
            wakes: stats.wakes,
            high_water: stats.high_water,
            spilled: stats.spilled,
            spilled_bytes: stats.spilled_bytes,
        };
        // SAFETY: null, or the caller's, of the size that it says.
        unsafe { fill(counters, full) }
    })
}

/// Says that a message that was got by copy is finished: for `shmq_queue_join`.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_task_done(queue: *mut shmq_queue) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        Ok(unsafe { slots::borrow::<QueueHandle>(queue) }?.queue.task_done()?)
    })
}

/// Waits until every message that was put is finished: by `shmq_queue_task_done`, or by the end of
/// its lease. After `SHMQ_ERROR_TIMEOUT`, `shmq_error_lag()` is how many are not.
///
/// - Blocks: as `until` says.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: messages that it leased come back and are delivered again; what it left is
///   repaired.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_join(queue: *mut shmq_queue, until: u64) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let queue = &unsafe { slots::borrow::<QueueHandle>(queue) }?.queue;
        match Until::of(until) {
            Until::Try => queue.join_timeout(std::time::Duration::ZERO)?,
            Until::Forever => queue.join()?,
            Until::Left(left) => queue.join_timeout(left)?,
        }
        Ok(())
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
pub unsafe extern "C" fn shmq_queue_recover(queue: *mut shmq_queue, dead: *mut u64) -> shmq_error {
    guarded(|| {
        // SAFETY: it is not freed meanwhile (slots, Invariant 4).
        let report = unsafe { slots::borrow::<QueueHandle>(queue) }?.queue.recover();
        // SAFETY: null, or the caller's.
        unsafe { set_if_wanted(dead, u64::from(report.dead_participants)) };
        Ok(())
    })
}

/// What became of a message, by the id of its lease: a `shmq_fate`.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_fate(queue: *mut shmq_queue, id: *const shmq_message_id, fate: *mut u32) -> shmq_error {
    // SAFETY: the caller's.
    unsafe {
        ask(queue, fate, |handle| {
            if id.is_null() {
                return Err(Failed::argument(c"the pointer to the id is null"));
            }
            let fate = match handle.queue.is_done(MessageId::from_bytes((*id).bytes)) {
                Fate::Pending => shmq_fate::SHMQ_FATE_PENDING,
                Fate::Done => shmq_fate::SHMQ_FATE_DONE,
                Fate::GivenUp => shmq_fate::SHMQ_FATE_GIVEN_UP,
                Fate::Forgotten => shmq_fate::SHMQ_FATE_FORGOTTEN,
                _ => shmq_fate::SHMQ_FATE_FOREIGN,
            };
            Ok(fate as u32)
        })
    }
}

/// A descriptor that becomes readable when there may be a message: see `shmq_readiness_fd`.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_readable(queue: *mut shmq_queue, readiness: *mut *mut shmq_readiness) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(queue, readiness, |handle| slots::insert(ReadinessHandle::new(handle.queue.readable()?))) }
}

/// A descriptor that becomes readable when there may be room for `length` bytes: see
/// `shmq_readiness_fd`.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: a child of a process with one thread may call it, and attaches by itself.
/// - Signal handler: no.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmq_queue_writable(
    queue: *mut shmq_queue,
    length: usize,
    readiness: *mut *mut shmq_readiness,
) -> shmq_error {
    // SAFETY: the caller's.
    unsafe { ask(queue, readiness, |handle| slots::insert(ReadinessHandle::new(handle.queue.writable_for(length)?))) }
}
