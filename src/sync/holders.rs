//! How much of something each participant has: a word for each participant, which says nothing any
//! more once that participant is dead.
//!
//! ```text
//!   word   generation:32 | count:32
//! ```
//!
//! Invariants:
//! 1. A word's entry and generation name the participant that has the count. Under the primitive's
//!    lock counts rise, and words of the dead are cleared. Without it, a participant lowers its own
//!    count, and any process reads.
//! 2. Words may be garbage: a generation that no participant has is dead.

use super::primitive::Primitive;
use crate::atomic::AtomicU64;
use crate::shm::layout::HOLDERS_BYTES;
use crate::shm::participant::{self, Id};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

const WORDS: usize = HOLDERS_BYTES as usize / size_of::<AtomicU64>();
const COUNT_MASK: u64 = u32::MAX as u64;

#[derive(Clone, Copy)]
pub(super) struct Holders<'o> {
    primitive: &'o Primitive,
    words: &'o [AtomicU64],
}

impl<'o> Holders<'o> {
    /// # Safety
    /// The primitive's data are such a table: it is a semaphore or a barrier.
    pub unsafe fn of(primitive: &'o Primitive) -> Holders<'o> {
        // SAFETY: the caller vouches for the table; it lives as long as the primitive, at a
        // multiple of 64.
        let words = unsafe { std::slice::from_raw_parts(primitive.cell().data().cast::<AtomicU64>(), WORDS) };
        Holders { primitive, words: &words[..primitive.segment().entries().len().min(WORDS)] }
    }

    fn word(&self, me: Id) -> Option<&'o AtomicU64> {
        self.words.get(me.entry() as usize)
    }

    /// One more, with one store. Whatever a dead predecessor had in this entry is gone. Needs the
    /// lock. `false`: the participant has as many as can be counted.
    pub fn add_one(&self, me: Id) -> bool {
        let Some(word) = self.word(me) else { return false };
        // Threads of this process may give back beside us.
        let added = word.fetch_update(AcqRel, Relaxed, |bits| {
            let is_mine = bits >> 32 == u64::from(me.generation());
            let count = if is_mine { bits & COUNT_MASK } else { 0 };
            (count < COUNT_MASK).then_some(u64::from(me.generation()) << 32 | (count + 1))
        });
        added.is_ok()
    }

    /// One less, with one store and without the lock. `false`: the participant has none.
    pub fn give_back_one(&self, me: Id) -> bool {
        // Release (of AcqRel): a process that sees the lower count sees what its holder did before.
        let given = self.word(me).map(|word| {
            word.fetch_update(AcqRel, Relaxed, |bits| {
                let is_mine = bits >> 32 == u64::from(me.generation());
                (is_mine && bits & COUNT_MASK != 0).then(|| bits - 1)
            })
        });
        given.is_some_and(|given| given.is_ok())
    }

    /// How many this participant has.
    pub fn count_of(&self, me: Id) -> u64 {
        let bits = self.word(me).map_or(0, |word| word.load(Acquire));
        if bits >> 32 == u64::from(me.generation()) { bits & COUNT_MASK } else { 0 }
    }

    /// Did a dead predecessor of this participant have something?
    pub fn succeeds_a_holder(&self, me: Id) -> bool {
        let word = self.word(me).map_or(0, |word| word.load(Relaxed));
        word & COUNT_MASK != 0 && word >> 32 != u64::from(me.generation())
    }

    /// What the participants of the first `end` entries have, dead or alive.
    pub fn total_of_first(&self, end: u64) -> u64 {
        let end = usize::try_from(end).map_or(self.words.len(), |end| end.min(self.words.len()));
        self.words[..end].iter().map(|word| word.load(Acquire) & COUNT_MASK).sum()
    }

    /// Sets all counts to 0.
    pub fn clear(&self) {
        self.words.iter().filter(|word| word.load(Relaxed) != 0).for_each(|word| word.store(0, Relaxed));
    }

    /// Words of dead participants that have something.
    fn of_the_dead(&self, me: Id) -> impl Iterator<Item = &'o AtomicU64> {
        let primitive = self.primitive;
        self.words.iter().enumerate().filter_map(move |(entry, word)| {
            let bits = word.load(Relaxed);
            let id = Id::from_bits(((bits >> 32) as u32).wrapping_shl(10) | entry as u32);
            let alive = || id.is_some_and(|id| participant::is_alive(primitive.segment(), id, me));
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
