//! Which threads wait at a condition variable, and which of them have had notice: a place for each.
//!
//! ```text
//!   free --claim--> claimed --order written--> waiting --notify(n), the oldest--> notified
//!    ^                                          |   \----notify_all-------------> released
//!    '--- leave: its time is up, or it has the lock again and takes its notice --------'
//!    '--- its process died: freed by a notifier or a waiter that finds it. A notice that the dead had
//!         is first given to another: notified --> handing, of the finder --> free
//! ```
//!
//! Invariants:
//! 1. `state` names the waiter's process, and changes by compare-exchange: from waiting to notified
//!    or released by a notifier, to free by the waiter, or by a caller that has seen it dead. Its tag
//!    distinguishes two waits in one place.
//! 2. A waiter is `waiting` before it unlocks, so a process that locks after it and notifies finds
//!    it. `order` is written before, and says which waits the longest.
//! 3. `notify(n)` probes each waiter that it chooses, and passes over the dead. Only waiters that
//!    began before it did count.
//! 4. A waiter leaves its place only once it has the lock again, or gives up. If it dies before, its
//!    place still shows the notice, and a waiter that probes (each does, once a slice) hands it on: to
//!    one that waited when it was given (`bound`), and to no later one. A waiter that gives up hands on
//!    as well. The place is freed behind that, so a notice outlives any death; if the process that hands it
//!    on is killed in between, it is given twice.
//! 5. `condvar` of a place is where its waiter sleeps: a notifier changes `state`, and wakes behind
//!    that; the waiter registers, and checks `state` behind that (lock, Invariant 3).

use super::super::primitive::Primitive;
use crate::attachment::Attached;
use crate::lock;
use crate::shm::layout::{CONDVAR_PLACES, CondvarPlace, PlacesWords};
use crate::shm::participant::{self, Id};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

const FREE: u64 = 0;
const CLAIMED: u64 = 1;
const WAITING: u64 = 2;
const NOTIFIED: u64 = 3;
const RELEASED: u64 = 4;
const HANDING: u64 = 5;
const STATE_MASK: u64 = 7;
const WAITER_SHIFT: u32 = 33;
const TAG_MASK: u64 = (1 << 30) - 1;

/// `waiter:31 | tag:30 | state:3`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

impl Word {
    fn of(me: Id, tag: u64, state: u64) -> Word {
        Word(u64::from(me.bits()) << WAITER_SHIFT | (tag & TAG_MASK) << 3 | state)
    }

    fn state(self) -> u64 {
        self.0 & STATE_MASK
    }

    fn with(self, state: u64) -> Word {
        Word(self.0 & !STATE_MASK | state)
    }

    fn tag(self) -> u64 {
        self.0 >> 3 & TAG_MASK
    }

    fn waiter(self) -> Option<Id> {
        Id::from_bits((self.0 >> WAITER_SHIFT) as u32)
    }
}

/// The table of a condition variable.
#[derive(Clone, Copy)]
pub(super) struct Places<'p> {
    primitive: &'p Primitive,
    words: &'p PlacesWords,
    table: &'p [CondvarPlace],
}

/// A place that a thread of this process waits in. Dropping it ends a wait whose caller does not use
/// the notice that may have come: another gets it. (Also if a check of the caller's panics.)
pub(super) struct Place<'p> {
    places: Places<'p>,
    place: &'p CondvarPlace,
    /// As it is while it waits.
    waiting: Word,
    has_left: bool,
}

impl<'p> Places<'p> {
    /// # Safety
    /// The primitive is a condition variable.
    pub unsafe fn of(primitive: &'p Primitive) -> Places<'p> {
        let cell = primitive.cell();
        // SAFETY: the caller vouches for the words, and for the table, which has that many places in
        // the data of the cell, zeroed at first and atomics ever since (primitive, Invariants 1, 2).
        unsafe {
            let table = std::slice::from_raw_parts(cell.data().cast::<CondvarPlace>(), CONDVAR_PLACES as usize);
            Places { primitive, words: cell.words::<PlacesWords>(), table }
        }
    }

    fn used(self) -> &'p [CondvarPlace] {
        let end = usize::try_from(self.words.places_end.load(Acquire)).map_or(self.table.len(), |end| end.min(self.table.len()));
        &self.table[..end]
    }

    /// Begins to wait. `None`: all places are taken by the living.
    pub fn claim(self, me: Id) -> Option<Place<'p>> {
        let order = self.words.orders.fetch_add(1, Relaxed);
        let place = self.take_free(me, order).or_else(|| {
            self.free_the_dead(me, |state| state != FREE);
            self.take_free(me, order)
        })?;
        place.place.order.store(order, Relaxed);
        // Release: the order comes with the state (Invariant 2). No other process writes a claimed
        // place of the living.
        place.place.state.store(place.waiting.0, SeqCst);
        Some(place)
    }

    fn take_free(self, me: Id, order: u64) -> Option<Place<'p>> {
        let claimed = Word::of(me, order, CLAIMED);
        self.table.iter().zip(1..).find_map(|(place, end)| {
            if place.state.load(Relaxed) != FREE {
                return None;
            }
            // Before the place is taken: a notifier that comes after the waiter's unlock reads it.
            self.words.places_end.fetch_max(end, AcqRel);
            let taken = place.state.compare_exchange(FREE, claimed.0, AcqRel, Relaxed);
            taken.is_ok().then(|| Place { places: self, place, waiting: claimed.with(WAITING), has_left: false })
        })
    }

    /// Frees places of the dead whose state is `chosen`, and hands on the notices that they had.
    fn free_the_dead(self, me: Id, chosen: impl Fn(u64) -> bool) {
        for place in self.used() {
            let word = Word(place.state.load(Acquire));
            if !chosen(word.state()) || self.is_alive(word, Some(me)) {
                continue;
            }
            let had_notice = word.state() == NOTIFIED || word.state() == HANDING;
            // One caller hands it on: the one that has the place then (Invariant 4).
            let next = if had_notice { Word::of(me, word.tag(), HANDING) } else { Word(FREE) };
            if place.state.compare_exchange(word.0, next.0, AcqRel, Relaxed).is_ok() && had_notice {
                self.hand_on(place, next);
            }
        }
    }

    /// Gives the notice that this process has there to another, and frees the place.
    fn hand_on(self, place: &CondvarPlace, word: Word) {
        // Written before the state that we have acquired.
        self.notify(1, place.bound.load(Relaxed));
        let _ = place.state.compare_exchange(word.0, FREE, AcqRel, Relaxed);
    }

    /// Hands on what the dead had of notices. For a caller that waits.
    pub fn hand_on_of_the_dead(self, me: Id) {
        self.free_the_dead(me, |state| matches!(state, NOTIFIED | RELEASED | HANDING));
    }

    /// The number that the next waiter will have: all that wait now are before it.
    pub fn now(self) -> u64 {
        self.words.orders.load(SeqCst)
    }

    /// Gives notice to the `count` that have waited for the longest, of those before `before`; how
    /// many there were. Takes no lock, and ends: each round ends with a place less that waits.
    pub fn notify(self, count: u32, before: u64) -> u32 {
        // A forked child that has not attached cannot probe: what it gives to the dead is handed on
        // (Invariant 4).
        let me = self.primitive.attachment().known_me();
        let mut given = 0;
        while given < count {
            let Some((place, word)) = self.oldest(before) else { break };
            if !self.is_alive(word, me) {
                let _ = place.state.compare_exchange(word.0, FREE, AcqRel, Relaxed);
                continue;
            }
            given += u32::from(self.give_one(place, word, before));
        }
        given
    }

    fn oldest(self, before: u64) -> Option<(&'p CondvarPlace, Word)> {
        let waiting = self.used().iter().filter_map(|place| {
            let word = Word(place.state.load(SeqCst));
            let order = place.order.load(Relaxed);
            (word.state() == WAITING && order < before).then_some((order, place, word))
        });
        waiting.min_by_key(|&(order, ..)| order).map(|(_, place, word)| (place, word))
    }

    /// Gives notice to all that wait now, the dead among them: it does not matter.
    pub fn notify_all(self) {
        for place in self.used() {
            let word = Word(place.state.load(SeqCst));
            if word.state() == WAITING {
                self.give(place, word, RELEASED);
            }
        }
    }

    /// Gives a notice that waits before `before` may have. The bound is never lowered: a notifier
    /// that comes too late here would take from another's notice the waiters that it may go to.
    /// That of an earlier wait in this place is not above the number of this wait.
    fn give_one(self, place: &'p CondvarPlace, word: Word, before: u64) -> bool {
        place.bound.fetch_max(before, Relaxed);
        self.give(place, word, NOTIFIED)
    }

    fn give(self, place: &'p CondvarPlace, word: Word, state: u64) -> bool {
        // SeqCst, and a full fence in `notify_at` (Invariant 5).
        let given = place.state.compare_exchange(word.0, word.with(state).0, SeqCst, Relaxed).is_ok();
        if given {
            self.primitive.notify_at(self.condvar_of(place), 1);
        }
        given
    }

    /// Threads of live processes that wait, and have had no notice.
    pub fn waiting(self) -> usize {
        let me = self.primitive.attachment().known_me();
        let words = self.used().iter().map(|place| Word(place.state.load(Acquire)));
        words.filter(|&word| word.state() == WAITING && self.is_alive(word, me)).count()
    }

    /// Without `me` each is taken for alive.
    fn is_alive(self, word: Word, me: Option<Id>) -> bool {
        let Some(me) = me else { return true };
        word.waiter().is_some_and(|id| participant::is_alive(self.primitive.segment(), id, me))
    }

    fn condvar_of(self, place: &'p CondvarPlace) -> lock::Condvar<'p> {
        self.primitive.condvar().with_words(&place.condvar)
    }
}

impl<'p> Place<'p> {
    /// Where its waiter sleeps.
    pub fn condvar(&self) -> lock::Condvar<'p> {
        self.places.condvar_of(self.place)
    }

    pub fn has_notice(&self) -> bool {
        self.place.state.load(SeqCst) != self.waiting.0
    }

    /// Ends the wait with the lock, and takes the notice that came: was there one?
    pub fn leave(mut self) -> bool {
        self.has_left = true;
        let left = self.place.state.compare_exchange(self.waiting.0, FREE, AcqRel, Acquire);
        // If the place is not this one's any more, it was taken for dead, or a peer overwrote it.
        if let Some(found) = left.err().filter(|&found| Word(found).with(WAITING) == self.waiting) {
            let _ = self.place.state.compare_exchange(found, FREE, AcqRel, Relaxed);
        }
        left.is_err()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // A child that a check of the caller's forked leaves its parent's place alone.
        if self.has_left || self.places.primitive.attachment().known_me() != self.waiting.waiter() {
            return;
        }
        let left = self.place.state.compare_exchange(self.waiting.0, FREE, AcqRel, Acquire);
        match left.map_err(Word) {
            Err(word) if word == self.waiting.with(NOTIFIED) => self.places.hand_on(self.place, word),
            Err(word) if word == self.waiting.with(RELEASED) => {
                let _ = self.place.state.compare_exchange(word.0, FREE, AcqRel, Relaxed);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Condvar;

    #[test]
    fn a_notifier_that_comes_too_late_takes_nothing_from_the_notice_of_another() {
        let condvar = Condvar::new().unwrap();
        let (places, me) = (condvar.places(), condvar.primitive.me().unwrap());
        let first = places.claim(me).unwrap();
        let before_the_second = places.now();
        let second = places.claim(me).unwrap();
        assert_eq!(places.notify(1, places.now()), 1);
        // It has chosen the same waiter, at a time when there was no other.
        assert!(!places.give_one(first.place, first.waiting, before_the_second));
        // The waiter gives up, or dies: its notice is for the second.
        drop(first);
        assert!(second.has_notice());
        assert!(second.leave());
    }
}
