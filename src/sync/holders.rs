//! Who has how much of something: a word for each participant, which says nothing any more once that participant is dead.
//!
//! ```text
//!   word   generation:32 | count:32
//! ```
//!
//! Invariants:
//! 1. The table is read and written under the object's lock only. A word's entry and generation name the participant that has the count.
//! 2. Words may be garbage: a generation that nobody has is dead.

use super::object::Object;
use crate::atomic::AtomicU64;
use crate::layout::HOLDERS_BYTES;
use crate::participant::{self, Id};
use std::sync::atomic::Ordering::Relaxed;

const WORDS: usize = HOLDERS_BYTES as usize / size_of::<AtomicU64>();
const COUNT_MASK: u64 = u32::MAX as u64;

#[derive(Clone, Copy)]
pub(super) struct Holders<'o> {
    object: &'o Object,
    words: &'o [AtomicU64],
}

impl<'o> Holders<'o> {
    /// # Safety
    /// The object's data are such a table: it is a semaphore or a barrier.
    pub unsafe fn of(object: &'o Object) -> Holders<'o> {
        // SAFETY: the caller vouches for the table; it lives as long as the object, at a multiple of 64.
        let words = unsafe { std::slice::from_raw_parts(object.cell().data().cast::<AtomicU64>(), WORDS) };
        Holders { object, words: &words[..object.segment().entries().len().min(WORDS)] }
    }

    fn word(&self, me: Id) -> Option<&'o AtomicU64> {
        self.words.get(me.entry() as usize)
    }

    /// What this participant has.
    pub fn count(&self, me: Id) -> u64 {
        let word = self.word(me).map_or(0, |word| word.load(Relaxed));
        if word >> 32 == u64::from(me.generation()) { word & COUNT_MASK } else { 0 }
    }

    /// With one store. Whatever a dead predecessor had in this entry is gone: see [`Holders::succeeds_a_holder`].
    pub fn set_count(&self, me: Id, count: u64) {
        if let Some(word) = self.word(me) {
            word.store(u64::from(me.generation()) << 32 | count.min(COUNT_MASK), Relaxed);
        }
    }

    /// Did a dead predecessor of this participant have something?
    pub fn succeeds_a_holder(&self, me: Id) -> bool {
        let word = self.word(me).map_or(0, |word| word.load(Relaxed));
        word & COUNT_MASK != 0 && word >> 32 != u64::from(me.generation())
    }

    /// What all have, dead or alive.
    pub fn total(&self) -> u64 {
        self.words.iter().map(|word| word.load(Relaxed) & COUNT_MASK).sum()
    }

    /// Nobody has anything.
    pub fn clear(&self) {
        self.words.iter().filter(|word| word.load(Relaxed) != 0).for_each(|word| word.store(0, Relaxed));
    }

    /// Words of dead participants that have something.
    fn of_the_dead(&self, me: Id) -> impl Iterator<Item = &'o AtomicU64> {
        let object = self.object;
        self.words.iter().enumerate().filter_map(move |(entry, word)| {
            let bits = word.load(Relaxed);
            let id = Id::from_bits(((bits >> 32) as u32).wrapping_shl(10) | entry as u32);
            let alive = || id.is_some_and(|id| participant::is_alive(object.segment(), id, me));
            (bits & COUNT_MASK != 0 && !alive()).then_some(word)
        })
    }

    /// Does a dead participant have something?
    pub fn has_dead(&self, me: Id) -> bool {
        self.of_the_dead(me).next().is_some()
    }

    /// Takes from the dead what they have.
    pub fn reap(&self, me: Id) {
        self.of_the_dead(me).for_each(|word| word.store(0, Relaxed));
    }
}
