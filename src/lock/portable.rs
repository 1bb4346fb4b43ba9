//! The `raw_sync` backend: the same shape, but a death is not noticed.
//!
//! Facts of `raw_sync` 0.1 that this file works around:
//! - A timed wait adds nanoseconds without carry and fails at once in proportion to the fraction of
//!   a second asked for. So waits end before the next full second, deadlines are our own, and an
//!   error means "check again" after a short sleep.
//! - Errors are strings: they cannot be distinguished.
//! - An auto-reset event merges signals, so a waiter may sleep beside work: every wait is cut into
//!   short slices.
//!
//! Invariants:
//! 1. The objects are made once, before publication, in [`PortableSync`]'s bytes; every attached
//!    queue borrows the same bytes.
//! 2. A mutex is unlocked by the thread that locked it, within one call.

use super::{Locked, NotMine};
use crate::os::{Deadline, MemoryBarrier};
use crate::shm::layout::{CondvarWords, Head};
use crate::shm::participant::Id;
use crate::shm::segment::Segment;
use raw_sync::Timeout;
use raw_sync::events::{Event, EventImpl, EventInit, EventState};
use raw_sync::locks::{LockImpl, LockInit, Mutex as RawMutex};
use std::fmt;
use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes set aside for each object.
const OBJECT_BYTES: usize = 128;
/// Longest wait on an event: a merged signal costs one of these.
const EVENT_SLICE: Duration = Duration::from_millis(10);
/// Sleep after a wait that failed early, so that it never spins hot.
const EARLY_FAILURE: Duration = Duration::from_micros(200);

/// The five objects of a segment, as this process sees them.
pub(crate) struct Locks {
    put: Box<dyn LockImpl>,
    get: Box<dyn LockImpl>,
    not_empty: Box<dyn EventImpl>,
    not_full: Box<dyn EventImpl>,
    all_done: Box<dyn EventImpl>,
}

// SAFETY: the objects are views of process-shared pthread objects in the segment (Invariant 1),
// made to be used from any thread.
unsafe impl Send for Locks {}
// SAFETY: a shared reference only reads the views, which raw_sync made to be used from any thread.
unsafe impl Sync for Locks {}

impl fmt::Debug for Locks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Locks(raw_sync)")
    }
}

fn object(segment: &Segment, number: usize) -> *mut u8 {
    // The segment outlives every borrow of its bytes; `number` is less than 5, so the object lies
    // within PortableSync.
    segment.head().portable.0.as_ptr().cast_mut().wrapping_add(number * OBJECT_BYTES)
}

impl Locks {
    /// Makes the objects (Invariant 1).
    pub fn initialise(segment: &Segment) {
        for number in 0..2 {
            // SAFETY: OBJECT_BYTES of zeroed, writable, aligned memory of the segment, not
            // published yet.
            let made = unsafe { RawMutex::new(object(segment, number), std::ptr::null_mut()) };
            debug_assert!(made.is_ok(), "pthread_mutex_init fails only for lack of memory");
        }
        for number in 2..5 {
            // SAFETY: the object lies inside the mapping, and no other process sees the segment
            // yet.
            let made = unsafe { Event::new(object(segment, number), true) };
            debug_assert!(made.is_ok(), "pthread_cond_init fails only for lack of memory");
        }
    }

    pub fn attach(segment: &Segment) -> io::Result<Locks> {
        let refused = |error: Box<dyn std::error::Error>| io::Error::other(error.to_string());
        // SAFETY: Invariant 1.
        let mutex = |number| unsafe { RawMutex::from_existing(object(segment, number), std::ptr::null_mut()) };
        // SAFETY: Invariant 1.
        let event = |number| unsafe { Event::from_existing(object(segment, number)) };
        Ok(Locks {
            put: mutex(0).map_err(refused)?.0,
            get: mutex(1).map_err(refused)?.0,
            not_empty: event(2).map_err(refused)?.0,
            not_full: event(3).map_err(refused)?.0,
            all_done: event(4).map_err(refused)?.0,
        })
    }

    pub fn put<'a>(&'a self, _: &'a Head) -> Mutex<'a> {
        Mutex { raw: &*self.put }
    }

    pub fn get<'a>(&'a self, _: &'a Head) -> Mutex<'a> {
        Mutex { raw: &*self.get }
    }

    pub fn not_empty<'a>(&'a self, head: &'a Head) -> Condvar<'a> {
        Condvar { words: &head.put_notice.not_empty, event: &*self.not_empty }
    }

    pub fn not_full<'a>(&'a self, head: &'a Head) -> Condvar<'a> {
        Condvar { words: &head.get_notice.not_full, event: &*self.not_full }
    }

    /// Tasks nap here, whatever they wait for.
    pub fn closing<'a>(&'a self, head: &'a Head) -> Condvar<'a> {
        self.all_done(head)
    }

    pub fn all_done<'a>(&'a self, head: &'a Head) -> Condvar<'a> {
        Condvar { words: &head.rare.all_done, event: &*self.all_done }
    }
}

/// A mutual exclusion between threads of any processes. Its holder must not die.
#[derive(Clone, Copy)]
pub(crate) struct Mutex<'a> {
    raw: &'a dyn LockImpl,
}

impl Mutex<'_> {
    pub fn try_lock(self, _: Id) -> bool {
        // A zero timeout adds nothing to now, so there is no carry to lose.
        self.raw.try_lock(Timeout::Val(Duration::ZERO)).map(std::mem::forget).is_ok()
    }

    pub fn lock(self, _: &Segment, me: Id, deadline: Deadline, sleep: bool) -> Option<Locked> {
        let mut nap = Duration::from_micros(1);
        loop {
            if self.try_lock(me) {
                return Some(Locked::Clean);
            }
            if deadline.has_passed() {
                return None;
            }
            if sleep && nap >= Duration::from_micros(16) {
                std::thread::sleep(nap);
            } else {
                std::thread::yield_now();
            }
            nap = (nap * 2).min(Duration::from_millis(1));
        }
    }

    pub fn unlock(self, _: Id) -> Result<(), NotMine> {
        self.raw.release().map_err(|_| NotMine)
    }

    /// Is it locked?
    pub fn seems_held(self) -> bool {
        let free = self.raw.try_lock(Timeout::Val(Duration::ZERO)).map(std::mem::forget).is_ok();
        if free {
            // Locked by this thread a moment ago (Invariant 2).
            let _ = self.raw.release();
        }
        !free
    }

    /// These locks do not name their holder.
    pub fn is_of(self, _: Id) -> bool {
        false
    }

    /// Is it locked? A live holder and a dead one look the same here.
    pub fn is_held(self, _: &Segment, _: Id) -> bool {
        self.seems_held()
    }
}

/// A registered waiter's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registration;

/// A place to sleep until something changes.
#[derive(Clone, Copy)]
pub(crate) struct Condvar<'a> {
    words: &'a CondvarWords,
    event: &'a dyn EventImpl,
}

impl CondvarWords {
    /// Nothing here may be called in a signal handler: sleepers check again within [`EVENT_SLICE`].
    pub fn nudge(&self) {}
}

impl<'a> Condvar<'a> {
    /// Every sleep in several places is a short one here.
    pub fn of_this_process(_: &'a CondvarWords) -> Option<Condvar<'a>> {
        None
    }

    pub fn words(self) -> &'a CondvarWords {
        self.words
    }

    /// One of the same segment, with words of its own, and the same event: a wake may come to a
    /// sleeper of another one, and this one's checks again within [`EVENT_SLICE`].
    pub fn with_words(self, words: &'a CondvarWords) -> Condvar<'a> {
        Condvar { words, ..self }
    }
}

impl Condvar<'_> {
    /// Where its words are, in this process.
    #[cfg(feature = "async")]
    pub fn address(self) -> usize {
        std::ptr::from_ref(self.words) as usize
    }

    pub fn has_waiters(self) -> bool {
        self.words.waiters.load(SeqCst) != 0
    }

    /// Wakes one waiter; the others that `count` meant check again within a slice.
    pub fn wake(self, _count: u32) {
        let _ = self.event.set(EventState::Signaled);
    }

    pub fn wait(self, barrier: &MemoryBarrier, until: Deadline, ready: &mut dyn FnMut() -> bool) {
        let place = self.register();
        barrier.heavy();
        if !ready() {
            let left = until.left();
            let wait = left.min(EVENT_SLICE).min(until_next_second());
            if self.event.wait(Timeout::Val(wait)).is_err() {
                std::thread::sleep(EARLY_FAILURE.min(left));
            }
        }
        self.deregister(place);
    }

    /// Counts a waiter that polls several condition variables at once.
    pub fn register(self) -> Registration {
        self.words.waiters.fetch_add(1, SeqCst);
        Registration
    }

    pub fn deregister(self, _: Registration) {
        self.words.waiters.fetch_sub(1, SeqCst);
    }
}

/// For a waiter that outlives the last handle: there is none here, the reactor naps.
#[cfg(feature = "async")]
pub(crate) enum KeptCondvar {}

#[cfg(feature = "async")]
impl KeptCondvar {
    pub fn new(_: Condvar<'_>, _: &Segment) -> Option<KeptCondvar> {
        None
    }

    pub fn get(&self) -> Condvar<'_> {
        match *self {}
    }
}

#[cfg(feature = "async")]
impl Condvar<'_> {
    pub fn has_fired(self, _: Registration) -> bool {
        false
    }

    pub fn renewed(self, place: Registration) -> Option<Registration> {
        Some(place)
    }
}

/// Sleep of a waiter in several places.
const BLIND_SLICE: Duration = Duration::from_millis(2);

/// Every sleep here is one.
pub(crate) fn unordered_moment(until: Deadline) -> Deadline {
    until
}

/// Sleeps for a moment: `raw_sync` cannot wait in several places.
pub(crate) fn sleep_any(_: &[(Condvar<'_>, Registration)], until: Deadline) {
    std::thread::sleep(until.left().min(BLIND_SLICE));
}

/// Time in which no carry can happen, with a margin for the moments until `raw_sync` reads the
/// clock.
fn until_next_second() -> Duration {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    Duration::from_nanos(u64::from(999_000_000u32.saturating_sub(nanos)))
}
