//! The Linux backend.
//!
//! Invariants:
//! 1. A mutex word is 0 or its holder's id and a waiters bit. Only its holder stores 0; only a
//!    process that saw the holder dead replaces an id.
//! 2. A sleeper on a mutex has set the waiters bit, and sleeps at most [`LOCK_SLICE_NS`], or
//!    [`LONG_LOCK_SLICE_NS`] once it has slept often: a wake lost to a death costs one slice. The
//!    id is a process's: a thread that locks twice waits for itself, since its own process is alive
//!    by definition, and any thread of the process may unlock.
//! 3. A waiter reads the sequence before it registers; registers, runs the heavy barrier, checks,
//!    then sleeps on that sequence. A notifier changes what is checked, runs the light barrier,
//!    reads the count. So one of them sees the other.
//! 4. Nothing but speed rests on the waiter count: a count that is too high costs one needless
//!    wake, which resets it by a new epoch; a waiter takes its count back only in its own epoch.

use super::{Locked, NotMine};
use crate::atomic::AtomicU32;
use crate::backoff::{Backoff, YIELD_RISK_NS};
#[cfg(feature = "async")]
use crate::os::WordSet;
use crate::os::{Deadline, MemoryBarrier, futex_wait, futex_wait_any, futex_wake};
use crate::shm::layout::{CondvarWords, Head};
use crate::shm::participant::{self, Id};
use crate::shm::segment::Segment;
#[cfg(feature = "async")]
use std::ptr::NonNull;
#[cfg(feature = "async")]
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;

/// Longest sleep on a mutex before its holder is probed again.
const LOCK_SLICE_NS: u64 = 5_000_000;
/// The same, for a mutex that is held while the caller's code runs, once a waiter has slept
/// [`SHORT_SLEEPS`] times, which is 0.1 s.
const LONG_LOCK_SLICE_NS: u64 = 50_000_000;
const SHORT_SLEEPS: u32 = 20;
/// Misses of a contended lock that are spent spinning, and the pauses of the longest of them.
const LOCK_SPINS: u32 = 32;
const LONGEST_LOCK_SPIN: u32 = 8;
/// Yields before the holder is probed.
const LOCK_YIELDS: u32 = 8;
/// First sleep of a waiter that the kernel refuses `membarrier`: what was committed before it was
/// counted is seen after it.
///
/// A committer that read the count before this waiter was counted has its commit still in its store
/// buffer, at worst: it drains within less than a microsecond, at an interrupt at the latest. So
/// this waiter checks once more after a moment, with its count standing, and then sleeps like any
/// other: a later committer sees the count. (An idle getter: 3.2 % of a core when every sleep was
/// this short, now 0.07 %.)
const UNORDERED_MOMENT_NS: u64 = 1_000_000;

const WAITERS: u32 = 1;

/// What a queue keeps of its locks: nothing, they are words of the segment.
#[derive(Debug)]
pub(crate) struct Locks;

impl Locks {
    /// Zeroed words are free locks and condition variables without waiters.
    pub fn initialise(_: &Segment) {}

    pub fn attach(_: &Segment) -> std::io::Result<Locks> {
        Ok(Locks)
    }

    #[inline(always)]
    pub fn put<'a>(&'a self, head: &'a Head) -> Mutex<'a> {
        Mutex { word: &head.put.lock }
    }

    #[inline(always)]
    pub fn get<'a>(&'a self, head: &'a Head) -> Mutex<'a> {
        Mutex { word: &head.get.lock }
    }

    #[inline(always)]
    pub fn not_empty<'a>(&'a self, head: &'a Head) -> Condvar<'a> {
        Condvar { words: &head.put_notice.not_empty }
    }

    #[inline(always)]
    pub fn not_full<'a>(&'a self, head: &'a Head) -> Condvar<'a> {
        Condvar { words: &head.get_notice.not_full }
    }

    /// Of tasks that wait for the close alone.
    pub fn closing<'a>(&'a self, head: &'a Head) -> Condvar<'a> {
        Condvar { words: &head.put_notice.closing }
    }

    pub fn all_done<'a>(&'a self, head: &'a Head) -> Condvar<'a> {
        Condvar { words: &head.rare.all_done }
    }
}

/// A mutual exclusion between threads of any processes, which outlives its holder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mutex<'a> {
    word: &'a AtomicU32,
}

fn word_of(id: Id) -> u32 {
    id.bits() << 1
}

impl Mutex<'_> {
    /// Takes the lock if it is free. Acquire: whatever the last holder did under it happened
    /// before.
    #[inline(always)]
    pub fn try_lock(self, me: Id) -> bool {
        self.word.compare_exchange(0, word_of(me), Acquire, Relaxed).is_ok()
    }

    /// Takes the lock, from a dead holder if need be; `None` once the deadline has passed. Without
    /// `sleep` it only spins and yields.
    #[cold]
    pub fn lock(self, segment: &Segment, me: Id, deadline: Deadline, sleep: bool) -> Option<Locked> {
        let mut backoff = Backoff::new(LOCK_SPINS, LOCK_YIELDS);
        // Set once this caller has slept: others may still sleep on the word, and no other process
        // would know.
        let mut waiters = 0;
        let mut sleeps = 0;
        loop {
            let seen = self.word.load(Relaxed);
            if seen == 0 {
                if self.word.compare_exchange(0, word_of(me) | waiters, Acquire, Relaxed).is_ok() {
                    return Some(Locked::Clean);
                }
                continue;
            }
            if backoff.may_spin() {
                backoff.spin(LONGEST_LOCK_SPIN);
                continue;
            }
            if backoff.may_yield() && !deadline.is_within(YIELD_RISK_NS) {
                backoff.yield_now();
                continue;
            }
            let holder = Id::from_bits(seen >> 1);
            if !holder.is_some_and(|id| participant::is_alive(segment, id, me)) {
                // Invariant 1. The waiters bit is kept: others may still sleep on this word.
                if self.word.compare_exchange(seen, word_of(me) | WAITERS, Acquire, Relaxed).is_ok() {
                    return Some(Locked::FromTheDead);
                }
                // Another process did, or overwrites the word: not for longer than the caller has
                // time.
                if deadline.has_passed() {
                    return self.give_up(waiters);
                }
                continue;
            }
            if deadline.has_passed() {
                return self.give_up(waiters);
            }
            if !sleep {
                if backoff.may_yield() {
                    backoff.yield_now();
                } else {
                    std::hint::spin_loop();
                }
                continue;
            }
            if seen & WAITERS == 0 && self.word.compare_exchange(seen, seen | WAITERS, Relaxed, Relaxed).is_err() {
                continue;
            }
            waiters = WAITERS;
            let slice_ns = if sleeps < SHORT_SLEEPS { LOCK_SLICE_NS } else { LONG_LOCK_SLICE_NS };
            sleeps += 1;
            futex_wait(self.word, seen | WAITERS, deadline.within(slice_ns));
        }
    }

    /// A caller that slept and goes without the lock passes on what it knows: others may still
    /// sleep on the word (Invariant 2). The wake of an unlock may have come to it, and the holder
    /// since then knows of no sleeper.
    fn give_up(self, waiters: u32) -> Option<Locked> {
        if waiters == 0 {
            return None;
        }
        loop {
            let seen = self.word.load(Relaxed);
            if seen == 0 {
                futex_wake(self.word, 1);
                return None;
            }
            if seen & WAITERS != 0 || self.word.compare_exchange(seen, seen | WAITERS, Relaxed, Relaxed).is_ok() {
                return None;
            }
        }
    }

    /// Gives the lock back and wakes one sleeper. Release: the next holder sees all that was done
    /// under it.
    #[inline(always)]
    pub fn unlock(self, me: Id) -> Result<(), NotMine> {
        let was = self.word.swap(0, Release);
        if was == word_of(me) { Ok(()) } else { self.unlock_slow(was, me) }
    }

    #[cold]
    fn unlock_slow(self, was: u32, me: Id) -> Result<(), NotMine> {
        futex_wake(self.word, 1);
        if was & !WAITERS == word_of(me) { Ok(()) } else { Err(NotMine) }
    }

    /// Is it locked, by a live or a dead process?
    pub fn seems_held(self) -> bool {
        self.word.load(Acquire) != 0
    }

    /// Does the word name this participant?
    pub fn is_of(self, me: Id) -> bool {
        self.word.load(Acquire) & !WAITERS == word_of(me)
    }

    /// Is a live process inside? After a heavy barrier: a process that locks later sees what the
    /// caller stored before the barrier.
    pub fn is_held(self, segment: &Segment, me: Id) -> bool {
        Id::from_bits(self.word.load(Acquire) >> 1).is_some_and(|id| participant::is_alive(segment, id, me))
    }
}

/// A place to sleep until something changes. Needs no mutex: the waiter says what to check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Condvar<'a> {
    words: &'a CondvarWords,
}

/// A registered waiter's place: the sequence that it sleeps on, and the epoch that counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    sequence: u32,
    epoch: u64,
}

const COUNT_MASK: u64 = u32::MAX as u64;

impl CondvarWords {
    /// Has all sleepers check again, for no reason that other processes could see. The count stays:
    /// each that wakes up takes its own back (Invariant 4). Async-signal-safe.
    pub fn nudge(&self) {
        self.sequence.fetch_add(1, Release);
        futex_wake(&self.sequence, u32::MAX);
    }
}

impl<'a> Condvar<'a> {
    /// One that is waited for beside others, in memory of this process alone.
    pub fn of_this_process(words: &'a CondvarWords) -> Option<Condvar<'a>> {
        Some(Condvar { words })
    }

    pub fn words(self) -> &'a CondvarWords {
        self.words
    }

    /// One of the same segment, with words of its own.
    pub fn with_words(self, words: &'a CondvarWords) -> Condvar<'a> {
        Condvar { words }
    }
}

impl Condvar<'_> {
    /// The notifier's check, after the light barrier (Invariant 3).
    #[inline(always)]
    pub fn has_waiters(self) -> bool {
        self.words.waiters.load(Relaxed) & COUNT_MASK != 0
    }

    /// Wakes `count` waiters, if there are any.
    #[cold]
    pub fn wake(self, count: u32) {
        let waiters = self.words.waiters.load(Relaxed);
        self.words.sequence.fetch_add(1, Release);
        if futex_wake(&self.words.sequence, count) == 0 {
            // There was no sleeper: the counted waiters are on their way to or from sleep, or were
            // killed in it (Invariant 4).
            let next_epoch = (waiters >> 32).wrapping_add(1) << 32;
            if waiters & COUNT_MASK != 0 && self.words.waiters.compare_exchange(waiters, next_epoch, AcqRel, Relaxed).is_ok() {
                self.words.sequence.fetch_add(1, Release);
                futex_wake(&self.words.sequence, u32::MAX);
            }
        }
    }

    /// Sleeps until woken or `until`, unless `ready` after registering (Invariant 3). May return
    /// for no reason.
    pub fn wait(self, barrier: &MemoryBarrier, until: Deadline, ready: &mut dyn FnMut() -> bool) {
        let place = self.register();
        let ordered = barrier.heavy();
        debug_assert!(until != Deadline::NEVER, "every sleep is cut into slices");
        if !ordered && !ready() {
            futex_wait(&self.words.sequence, place.sequence, unordered_moment(until));
        }
        if !ready() {
            // At once, if there was a wake since it registered: the sequence has changed.
            futex_wait(&self.words.sequence, place.sequence, until);
        }
        self.deregister(place);
    }

    /// Counts a waiter, which then runs the heavy barrier, checks, and sleeps on the word
    /// (Invariant 3): for a wait on several condition variables at once.
    pub fn register(self) -> Registration {
        let sequence = self.words.sequence.load(Acquire);
        let epoch = self.words.waiters.fetch_add(1, AcqRel) >> 32;
        Registration { sequence, epoch }
    }

    /// Where its words are, in this process.
    #[cfg(feature = "async")]
    pub fn address(self) -> usize {
        std::ptr::from_ref(self.words) as usize
    }

    /// Has a notifier woken waiters since this one registered or last renewed its place? The wake may
    /// have been this one's.
    #[cfg(feature = "async")]
    pub fn has_fired(self, place: Registration) -> bool {
        self.words.sequence.load(Acquire) != place.sequence
    }

    /// The same place with the sequence of now, for a waiter that stays counted: it checks after
    /// this, and sleeps on this sequence. It needs no barrier: a notifier whose change that check
    /// does not see has seen the waiter, which was counted long before (Invariant 3). `None`: a
    /// notifier found nobody asleep, and this waiter is not counted any more.
    ///
    /// The sequence first: a notifier that begins a new epoch after the load of the epoch changes
    /// the sequence after that, and the waiter does not sleep.
    #[cfg(feature = "async")]
    pub fn renewed(self, place: Registration) -> Option<Registration> {
        let sequence = self.words.sequence.load(Acquire);
        let is_counted = self.words.waiters.load(Acquire) >> 32 == place.epoch;
        is_counted.then_some(Registration { sequence, ..place })
    }

    /// Adds the word to a set to sleep on.
    #[cfg(feature = "async")]
    pub fn add_to(self, set: &mut WordSet, place: Registration) {
        set.push(&self.words.sequence, place.sequence);
    }

    /// Takes the count back (Invariant 4).
    pub fn deregister(self, place: Registration) {
        let _ = self.words.waiters.fetch_update(AcqRel, Relaxed, |word| {
            let mine = word >> 32 == place.epoch && word & COUNT_MASK != 0;
            mine.then(|| word - 1)
        });
    }
}

/// A condition variable whose memory outlives the last handle of what it belongs to.
#[cfg(feature = "async")]
pub(crate) struct KeptCondvar {
    words: NonNull<CondvarWords>,
    _keeper: Arc<dyn Send + Sync>,
}

// SAFETY: the words are atomics, in memory that the keeper keeps wherever the value is.
#[cfg(feature = "async")]
unsafe impl Send for KeptCondvar {}

#[cfg(feature = "async")]
impl KeptCondvar {
    /// `None` if the words are not those of the segment.
    pub fn new(condvar: Condvar<'_>, segment: &Segment) -> Option<KeptCondvar> {
        let (head, words) = (std::ptr::from_ref(segment.head()) as usize, condvar.address());
        let is_inside = words >= head && words + size_of::<CondvarWords>() <= head + size_of::<Head>();
        // SAFETY: the head lies in the segment's mapping.
        is_inside.then(|| unsafe { KeptCondvar::kept_by(condvar, segment.keep_mapped()) })
    }

    /// # Safety
    /// The words are valid as long as the keeper is.
    pub unsafe fn kept_by(condvar: Condvar<'_>, keeper: Arc<dyn Send + Sync>) -> KeptCondvar {
        KeptCondvar { words: NonNull::from(condvar.words), _keeper: keeper }
    }

    pub fn get(&self) -> Condvar<'_> {
        // SAFETY: the words are kept (`kept_by`).
        Condvar { words: unsafe { self.words.as_ref() } }
    }
}

/// Longest sleep in several places on a kernel that can sleep in one only.
const BLIND_SLICE: Duration = Duration::from_millis(2);

/// Until when a waiter sleeps first that the kernel refuses `membarrier`, before it checks once
/// more.
pub(crate) fn unordered_moment(until: Deadline) -> Deadline {
    until.within(UNORDERED_MOMENT_NS)
}

/// Sleeps on several condition variables: the waiter has registered with each, run the heavy
/// barrier, and checked (Invariant 3). May return for no reason.
pub(crate) fn sleep_any(places: &[(Condvar<'_>, Registration)], until: Deadline) {
    if let [(condvar, place)] = places {
        return futex_wait(&condvar.words.sequence, place.sequence, until);
    }
    let words = places.iter().map(|(condvar, place)| (&condvar.words.sequence, place.sequence));
    if !futex_wait_any(words, until) {
        std::thread::sleep(until.left().min(BLIND_SLICE));
    }
}
