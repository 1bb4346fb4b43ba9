//! The baseline: a bounded ring as a good engineer would write it in an afternoon on
//! `shared_memory` and `raw_sync`.
//!
//! One mutex around the indices and the fixed slots, two auto-reset events. Correct (nothing lost,
//! nothing twice, no hang) and untuned.
//!
//! ```text
//!   | Head: ready, capacity, slot_words, first, len | mutex | not_empty | not_full | slot 0 | ...
//! ```
//!
//! Invariants:
//! 1. `first`, `len` and all slots are touched only under the mutex. The messages are the `len`
//!    slots from `first` on.
//! 2. An auto-reset event merges signals: it says "there is something", not how much. So
//!    `not_empty` is set when a message is put into an empty ring, `not_full` when a slot comes
//!    free in a full one, and **a woken process that leaves something behind passes the signal
//!    on**. While a process sleeps although there is a message (a free slot), the event is set or a
//!    woken one is on its way.
//! 3. `raw_sync` adds nanoseconds without carry, so that a timed wait can fail at once with EINVAL.
//!    Waits are short slices and their errors mean "check again", after a yield, so that a caller
//!    does not spin for the rest of a second.
#![allow(dead_code)] // each bench is a crate of its own and uses a part of this

use raw_sync::{
    Timeout,
    events::{Event, EventImpl, EventInit, EventState::Signaled},
    locks::{LockImpl, LockInit, Mutex},
};
use shared_memory::{Shmem, ShmemConf};
use std::{
    mem, ptr,
    sync::atomic::{
        AtomicU32,
        Ordering::{Acquire, Release},
    },
    time::Duration,
};

const SLICE: Duration = Duration::from_millis(10);
const READY: u32 = 0x0ba5_e11e;
/// Enough for the mutex and both events, whatever their padding.
const SYNC_BYTES: usize = 1024;

#[repr(C)]
struct Head {
    ready: AtomicU32, // stored last by the creator
    capacity: u64,
    slot_words: u64,
    first: u64,
    len: u64,
}

/// A bounded queue of messages of a fixed number of words.
pub struct Baseline {
    mutex: Box<dyn LockImpl>,
    not_empty: Box<dyn EventImpl>,
    not_full: Box<dyn EventImpl>,
    head: *mut Head,
    slots: *mut u64,
    capacity: u64,
    slot_words: usize,
    segment: Shmem, // the last field: the mapping goes after what points into it
}

impl Baseline {
    pub fn create(name: &str, capacity: usize, slot_words: usize) -> Baseline {
        let bytes = mem::size_of::<Head>() + SYNC_BYTES + capacity * slot_words * 8;
        let segment = ShmemConf::new().os_id(name).size(bytes).create().expect("create the baseline's segment");
        let head = segment.as_ptr().cast::<Head>();
        // SAFETY: the mapping is new, page-aligned and larger than a `Head`; no other process uses
        // it before `ready`.
        unsafe {
            let (capacity, slot_words) = (capacity as u64, slot_words as u64);
            head.write(Head { ready: AtomicU32::new(0), capacity, slot_words, first: 0, len: 0 });
        }
        let baseline = Self::over(segment, true);
        // SAFETY: initialised above; atomic, hence shared access is fine.
        unsafe { (*head).ready.store(READY, Release) };
        baseline
    }

    pub fn open(name: &str) -> Baseline {
        let segment = ShmemConf::new().os_id(name).open().expect("open the baseline's segment");
        // SAFETY: a segment of ours is page-aligned and larger than a `Head`; the field is atomic.
        let ready = unsafe { (*segment.as_ptr().cast::<Head>()).ready.load(Acquire) };
        assert_eq!(ready, READY, "{name} is not ready");
        Self::over(segment, false)
    }

    fn over(segment: Shmem, new: bool) -> Baseline {
        let head = segment.as_ptr().cast::<Head>();
        let sync = segment.as_ptr().wrapping_add(mem::size_of::<Head>());
        // SAFETY: the three fit in SYNC_BYTES behind the head; the creator makes them before
        // `ready`, the others find them made.
        let (mutex, not_empty, not_full) = unsafe {
            let (mutex, a) = if new { Mutex::new(sync, ptr::null_mut()) } else { Mutex::from_existing(sync, ptr::null_mut()) }
                .expect("the baseline's mutex");
            let event = |at| if new { Event::new(at, true) } else { Event::from_existing(at) }.expect("the baseline's event");
            let (not_empty, b) = event(sync.add(a));
            let (not_full, c) = event(sync.add(a + b));
            assert!(a + b + c <= SYNC_BYTES, "mutex and events take {} bytes", a + b + c);
            (mutex, not_empty, not_full)
        };
        let slots = sync.wrapping_add(SYNC_BYTES).cast::<u64>();
        // SAFETY: both are written before `ready` and never again.
        let (capacity, slot_words) = unsafe { ((*head).capacity, (*head).slot_words as usize) };
        Baseline { mutex, not_empty, not_full, head, slots, capacity, slot_words, segment }
    }

    /// Puts a message, waiting while the ring is full.
    pub fn put(&self, message: &[u64]) {
        assert_eq!(message.len(), self.slot_words);
        let mut woken = false;
        loop {
            let guard = self.mutex.lock().expect("lock");
            // SAFETY: Invariant 1, under the mutex; the reference ends before the guard.
            let head = unsafe { &mut *self.head };
            if head.len < self.capacity {
                // SAFETY: the slot is inside the ring, free, and as long as the message.
                unsafe { ptr::copy_nonoverlapping(message.as_ptr(), self.slot(head.first + head.len), self.slot_words) };
                head.len += 1;
                let (was_empty, leaves_space) = (head.len == 1, head.len < self.capacity);
                drop(guard);
                if was_empty {
                    self.not_empty.set(Signaled).expect("set");
                }
                if woken && leaves_space {
                    self.not_full.set(Signaled).expect("set"); // Invariant 2
                }
                return;
            }
            drop(guard);
            woken |= wait(&*self.not_full);
        }
    }

    /// Takes the oldest message, waiting while the ring is empty.
    pub fn get(&self, message: &mut [u64]) {
        assert_eq!(message.len(), self.slot_words);
        let mut woken = false;
        loop {
            let guard = self.mutex.lock().expect("lock");
            // SAFETY: Invariant 1, under the mutex; the reference ends before the guard.
            let head = unsafe { &mut *self.head };
            if head.len > 0 {
                // SAFETY: the slot is inside the ring, holds a message, and is as long as the
                // buffer.
                unsafe { ptr::copy_nonoverlapping(self.slot(head.first), message.as_mut_ptr(), self.slot_words) };
                head.first = (head.first + 1) % self.capacity;
                let (was_full, leaves_messages) = (head.len == self.capacity, head.len > 1);
                head.len -= 1;
                drop(guard);
                if was_full {
                    self.not_full.set(Signaled).expect("set");
                }
                if woken && leaves_messages {
                    self.not_empty.set(Signaled).expect("set"); // Invariant 2
                }
                return;
            }
            drop(guard);
            woken |= wait(&*self.not_empty);
        }
    }

    /// Messages in the ring, or `None` if the mutex stays held.
    pub fn len(&self) -> Option<u64> {
        let _guard = self.mutex.try_lock(Timeout::Val(SLICE)).ok()?;
        // SAFETY: Invariant 1, under the mutex.
        Some(unsafe { (*self.head).len })
    }

    /// Removes the name; attached processes go on.
    pub fn unlink(&self) {
        let name = std::ffi::CString::new(self.segment.get_os_id()).expect("a name without NUL");
        // SAFETY: a NUL-terminated string that outlives the call.
        unsafe { libc::shm_unlink(name.as_ptr()) };
    }

    fn slot(&self, at: u64) -> *mut u64 {
        self.slots.wrapping_add((at % self.capacity) as usize * self.slot_words)
    }
}

/// Whether the signal came and is ours (Invariant 3).
fn wait(event: &dyn EventImpl) -> bool {
    let signaled = event.wait(Timeout::Val(SLICE)).is_ok();
    if !signaled {
        std::thread::yield_now();
    }
    signaled
}
