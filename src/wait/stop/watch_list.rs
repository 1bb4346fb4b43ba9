//! The condition variables that a [`Stop`](super::Stop) wakes: a list that a signal handler may walk
//! at any time.
//!
//! ```text
//!   slot:  free (null) --watch: compare-and-swap--> the words of a condition variable
//!            ^-- Watch dropped: null, then wait until no walk is under way --'
//!
//!   lists: null --first sleep--> list of incarnation n --first sleep of a forked child-->
//!          list of incarnation m, and behind it the parent's, which is never walked
//! ```
//!
//! Invariants:
//! 1. Words are in a slot while a thread sleeps on them, which borrows them: they are mapped.
//!    Lists and blocks are only added, and are freed with the stop, which a walk borrows.
//! 2. A walk counts itself in `walkers` before it reads a slot; a sleeper empties its slot before it
//!    reads `walkers`. A full fence stands between the two on both sides (Dekker): the walk finds
//!    the slot empty, or the sleeper finds the walk, and waits for its end before its borrow ends.
//!    A walk waits for nothing, so this wait is short.
//! 3. A list is used only in the incarnation that made it. In a forked child the slots of other
//!    threads of the parent lead to words that may not be mapped any more, and its walks have no
//!    thread that would end them.

use crate::os::Incarnation;
use crate::shm::layout::CondvarWords;
use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicPtr, AtomicU32, fence};
use std::time::Duration;

/// Slots of a block: more threads rarely sleep at once by one stop.
const SLOTS: usize = 15;
/// Yields while a walk ends, and the sleeps after that, for a walk whose thread has no core.
const WALK_YIELDS: u32 = 16;
const WALK_MOMENT: Duration = Duration::from_micros(50);

type Slot = AtomicPtr<CondvarWords>;

#[derive(Default)]
struct Block {
    slots: [Slot; SLOTS],
    next: AtomicPtr<Block>,
}

/// What is watched in one process.
struct WatchList {
    /// See Invariant 3.
    incarnation: u32,
    walkers: AtomicU32,
    first: Block,
    /// The parent's.
    older: *mut WatchList,
}

/// The lists of this process and of those that it was forked from.
#[derive(Default)]
pub(super) struct WatchLists {
    newest: AtomicPtr<WatchList>,
}

// SAFETY: the lists that it leads to are atomics, and fields that are never changed.
unsafe impl Send for WatchLists {}
// SAFETY: as above.
unsafe impl Sync for WatchLists {}

/// Keeps a condition variable watched until it is dropped.
pub(super) struct Watch<'a> {
    list: &'a WatchList,
    slot: &'a Slot,
}

/// The incarnation of this process; 0 if it has attached nothing, and so has no sleepers.
/// Async-signal-safe.
pub(super) fn current() -> u32 {
    Incarnation::if_known().map_or(0, Incarnation::current)
}

impl WatchLists {
    /// The words stay watched, and borrowed, until the result is dropped.
    pub fn watch<'a>(&'a self, words: &'a CondvarWords) -> Watch<'a> {
        let list = self.list_of(current());
        Watch { list, slot: list.claim(words) }
    }

    /// Wakes all sleepers on what is watched. Async-signal-safe. The caller has executed a full fence
    /// since it stored the flag that they check.
    pub fn nudge_all(&self) {
        // SAFETY: Invariant 1.
        let Some(list) = (unsafe { self.newest.load(Acquire).as_ref() }) else { return };
        // Invariant 3.
        if list.incarnation == current() {
            list.nudge_all();
        }
    }

    /// The list of that incarnation, made now if need be (Invariant 3).
    fn list_of(&self, incarnation: u32) -> &WatchList {
        let mut newest = self.newest.load(Acquire);
        loop {
            // SAFETY: Invariant 1.
            match unsafe { newest.as_ref() } {
                Some(list) if list.incarnation == incarnation => return list,
                _ => {}
            }
            let list = WatchList { incarnation, walkers: AtomicU32::new(0), first: Block::default(), older: newest };
            let made = Box::into_raw(Box::new(list));
            match self.newest.compare_exchange(newest, made, AcqRel, Acquire) {
                // SAFETY: Invariant 1: it was just added.
                Ok(_) => return unsafe { &*made },
                Err(other) => {
                    // SAFETY: no other thread has seen it.
                    drop(unsafe { Box::from_raw(made) });
                    newest = other;
                }
            }
        }
    }
}

impl Drop for WatchLists {
    fn drop(&mut self) {
        let mut newest = *self.newest.get_mut();
        while !newest.is_null() {
            // SAFETY: made by `list_of`; the last owner of the stop is here, so no sleeper and no
            // walk borrows it.
            let list = unsafe { Box::from_raw(newest) };
            let mut next = list.first.next.load(Relaxed);
            while !next.is_null() {
                // SAFETY: made by `next_of`; the rest as above.
                let block = unsafe { Box::from_raw(next) };
                next = block.next.load(Relaxed);
            }
            newest = list.older;
        }
    }
}

impl WatchList {
    /// Puts the words into a free slot.
    fn claim(&self, words: &CondvarWords) -> &Slot {
        let words = ptr::from_ref(words).cast_mut();
        let mut block = &self.first;
        loop {
            // Release: a walk that reads the slot sees what is mapped.
            let claims = |slot: &&Slot| {
                slot.load(Relaxed).is_null() && slot.compare_exchange(ptr::null_mut(), words, Release, Relaxed).is_ok()
            };
            if let Some(slot) = block.slots.iter().find(claims) {
                return slot;
            }
            block = next_of(block);
        }
    }

    fn nudge_all(&self) {
        self.walkers.fetch_add(1, Relaxed);
        // Invariant 2.
        fence(SeqCst);
        let mut next = Some(&self.first);
        while let Some(block) = next {
            for slot in &block.slots {
                // SAFETY: Invariants 1 and 2: while this walk is counted, the sleeper that put the
                // words there does not end its borrow.
                if let Some(words) = unsafe { slot.load(Acquire).as_ref() } {
                    words.nudge();
                }
            }
            // SAFETY: Invariant 1.
            next = unsafe { block.next.load(Acquire).as_ref() };
        }
        // Release: a sleeper that reads 0 unmaps nothing before the walk's last access.
        self.walkers.fetch_sub(1, Release);
    }

    /// Waits for the end of the walks that may have read a slot before it was emptied.
    fn await_walkers(&self) {
        let mut checks = 0;
        // A walk of another incarnation has no thread here: a handler may have forked in this sleep.
        while self.walkers.load(Acquire) != 0 && self.incarnation == current() {
            checks += 1;
            if checks <= WALK_YIELDS { std::thread::yield_now() } else { std::thread::sleep(WALK_MOMENT) }
        }
    }
}

/// The block behind that one, made now if need be.
fn next_of(block: &Block) -> &Block {
    let next = block.next.load(Acquire);
    // SAFETY: Invariant 1 (of the list that the block is in).
    if let Some(next) = unsafe { next.as_ref() } {
        return next;
    }
    let made = Box::into_raw(Box::<Block>::default());
    match block.next.compare_exchange(ptr::null_mut(), made, AcqRel, Acquire) {
        // SAFETY: Invariant 1: it was just added.
        Ok(_) => unsafe { &*made },
        Err(other) => {
            // SAFETY: no other thread has seen it.
            drop(unsafe { Box::from_raw(made) });
            // SAFETY: Invariant 1: another thread has added it.
            unsafe { &*other }
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.slot.store(ptr::null_mut(), Relaxed);
        // Invariant 2.
        fence(SeqCst);
        self.list.await_walkers();
    }
}
