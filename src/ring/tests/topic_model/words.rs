//! The shared words, and the store buffers in front of them.

use super::{Actor, MOST_ACTORS, World};
use std::hash::{Hash, Hasher};

/// A shared word: an index into [`World::words`].
pub(super) type Word = u8;

pub(super) const LOCK: Word = 0;
/// The endpoint that owns the put side, without the lock.
pub(super) const OWNER: Word = 1;
pub(super) const TAIL: Word = 2;
pub(super) const RECLAIM: Word = 3;
pub(super) const GATE: Word = 4;
pub(super) const JOINS: Word = 5;
pub(super) const BOUND: Word = 6;
pub(super) const LAGGARD: Word = 7;
pub(super) const OTHERS: Word = 8;
pub(super) const JOINS_SEEN: Word = 9;
const FIRST_LINE: Word = 10;
const LINE_WORDS: Word = 3;
pub(super) const MOST_LINES: usize = 2;
const FIRST_CELL: Word = FIRST_LINE + LINE_WORDS * MOST_LINES as Word;
const CELL_WORDS: Word = 3;
const MOST_CELLS: usize = 5;
pub(super) const WORDS: usize = FIRST_CELL as usize + MOST_CELLS * CELL_WORDS as usize;

/// Stands for `fence(Release)` in a buffer.
const FENCE: Word = Word::MAX;

pub(super) fn state(line: u8) -> Word {
    FIRST_LINE + line * LINE_WORDS
}

pub(super) fn cursor(line: u8) -> Word {
    FIRST_LINE + line * LINE_WORDS + 1
}

pub(super) fn pin(line: u8) -> Word {
    FIRST_LINE + line * LINE_WORDS + 2
}

/// Header word of a cell; its two words of payload follow.
pub(super) fn header(cell: u8) -> Word {
    FIRST_CELL + cell * CELL_WORDS
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Store {
    word: Word,
    value: u8,
    is_release: bool,
}

pub(super) const LONGEST_BUFFER: usize = 4;

/// Stores that other processes do not see yet, the oldest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Buffer {
    stores: [Store; LONGEST_BUFFER],
    count: u8,
}

impl Hash for Buffer {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u8(self.count);
        self.stores().iter().for_each(|store| hasher.write(&[store.word, store.value, store.is_release as u8]));
    }
}

impl Buffer {
    fn remove(&mut self, at: usize) -> Store {
        let store = self.stores[at];
        self.count -= 1;
        self.stores.copy_within(at + 1.., at);
        self.stores[self.count as usize..].fill(Store::default());
        store
    }

    fn stores(&self) -> &[Store] {
        &self.stores[..self.count as usize]
    }

    /// Which of them may become visible next. In order, as on x86-64; or, if it `reorders`, any
    /// that no fence, no Release and no store to the same word holds back.
    fn ready(&self, reorders: bool) -> impl Iterator<Item = usize> + '_ {
        let most = if reorders { self.stores().len() } else { self.stores().len().min(1) };
        (0..most).filter(|&at| {
            let (store, before) = (self.stores[at], &self.stores[..at]);
            before.is_empty()
                || !store.is_release
                    && store.word != FENCE
                    && before.iter().all(|other| other.word != store.word && other.word != FENCE)
        })
    }
}

impl Actor {
    fn newest(&self, word: Word) -> Option<u8> {
        self.buffer.stores().iter().rev().find(|store| store.word == word).map(|store| store.value)
    }
}

impl World {
    pub(super) fn load(&self, actor: usize, word: Word) -> u8 {
        self.actors[actor].newest(word).unwrap_or(self.words[word as usize])
    }

    fn push(&mut self, actor: usize, store: Store, longest: usize) {
        if self.actors[actor].buffer.count as usize >= longest {
            self.drain_at(actor, 0);
        }
        let buffer = &mut self.actors[actor].buffer;
        buffer.stores[buffer.count as usize] = store;
        buffer.count += 1;
    }

    /// A plain or a Release store into a buffer of `longest` stores.
    pub(super) fn store(&mut self, actor: usize, word: Word, value: u8, is_release: bool, longest: usize) {
        match longest {
            0 => self.words[word as usize] = value,
            _ => self.push(actor, Store { word, value, is_release }, longest),
        }
    }

    pub(super) fn fence_release(&mut self, actor: usize, longest: usize) {
        if self.actors[actor].buffer.count > 0 {
            self.push(actor, Store { word: FENCE, ..Store::default() }, longest);
        }
    }

    fn drain_at(&mut self, actor: usize, at: usize) {
        let store = self.actors[actor].buffer.remove(at);
        if store.word != FENCE {
            self.words[store.word as usize] = store.value;
        }
    }

    /// What a locked operation does first, and a death.
    pub(super) fn drain(&mut self, actor: usize) {
        while self.actors[actor].buffer.count > 0 {
            self.drain_at(actor, 0);
        }
    }

    pub(super) fn heavy_barrier(&mut self) {
        (0..MOST_ACTORS).for_each(|actor| self.drain(actor));
    }

    pub(super) fn compare_exchange(&mut self, actor: usize, word: Word, from: u8, to: u8) -> bool {
        self.drain(actor);
        let is_so = self.words[word as usize] == from;
        if is_so {
            self.words[word as usize] = to;
        }
        is_so
    }

    /// The worlds in which one more buffered store of that actor is visible.
    pub(super) fn drained(&self, actor: usize, reorders: bool, out: &mut Vec<World>) {
        for at in self.actors[actor].buffer.ready(reorders) {
            let mut next = *self;
            next.drain_at(actor, at);
            out.push(next);
        }
    }
}
