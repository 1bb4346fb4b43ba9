//! Which places on the board are in use: the program's own list, as it alone gives them out.
//!
//! Invariant: an entry is in use from when its chunk is put into the ring until the chunk's outcome
//! is known. Its generation is counted up at each use, so an outcome that is reported twice, or a
//! message of a cancelled chunk, which stays in the ring, is not taken for the next chunk's.
//!
//! It also counts the chunks in use whose limit of time is their own: while there are some, the
//! supervisor checks as often as the shortest of these limits asks for.

use super::board::{ENTRIES, Entry};

pub(super) struct Entries {
    free: Vec<u32>,
    used: Vec<Use>,
    own_limits: usize,
}

#[derive(Clone, Copy, Default)]
struct Use {
    generation: u32,
    /// Tasks of the chunk. 0: the entry is free.
    tasks: u32,
    has_own_limit: bool,
}

/// A chunk's entry was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenBack {
    pub tasks: usize,
    /// It was the last one with a limit of its own.
    pub was_last_with_limit: bool,
}

impl Entries {
    pub fn new() -> Entries {
        Entries { free: (0..ENTRIES).rev().collect(), used: vec![Use::default(); ENTRIES as usize], own_limits: 0 }
    }

    /// A free entry, for a chunk of so many tasks. `None`: all are in use.
    pub fn take(&mut self, tasks: u32, has_own_limit: bool) -> Option<Entry> {
        let index = self.free.pop()?;
        let place = &mut self.used[index as usize];
        place.generation = place.generation.wrapping_add(1);
        (place.tasks, place.has_own_limit) = (tasks.max(1), has_own_limit);
        self.own_limits += usize::from(has_own_limit);
        Some(Entry { index, generation: place.generation })
    }

    /// The entry that is likely to be taken next.
    pub fn next(&self) -> Option<u32> {
        self.free.last().copied()
    }

    /// The chunk's outcome is known. `None`: it was known before.
    pub fn give_back(&mut self, entry: Entry) -> Option<GivenBack> {
        let place = self.used.get_mut(entry.index as usize)?;
        if place.generation != entry.generation || place.tasks == 0 {
            return None;
        }
        self.free.push(entry.index);
        let tasks = std::mem::take(&mut place.tasks) as usize;
        self.own_limits -= usize::from(place.has_own_limit);
        Some(GivenBack { tasks, was_last_with_limit: place.has_own_limit && self.own_limits == 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(entries: &mut Entries, entry: Entry) -> Option<usize> {
        entries.give_back(entry).map(|back| back.tasks)
    }

    #[test]
    fn an_entry_is_given_back_once_and_used_again_under_another_generation() {
        let mut entries = Entries::new();
        let first = entries.take(3, false).unwrap();
        assert_eq!(tasks(&mut entries, first), Some(3));
        assert_eq!(tasks(&mut entries, first), None);
        let second = entries.take(1, false).unwrap();
        assert_eq!(second.index, first.index);
        assert_eq!(tasks(&mut entries, first), None, "an outcome of the chunk before");
        assert_eq!(tasks(&mut entries, second), Some(1));
        assert_eq!(tasks(&mut entries, Entry { index: ENTRIES, generation: 1 }), None);
    }

    #[test]
    fn there_are_so_many() {
        let mut entries = Entries::new();
        let all: Vec<Entry> = std::iter::from_fn(|| entries.take(1, false)).collect();
        assert_eq!(all.len(), ENTRIES as usize);
        entries.give_back(all[7]);
        assert_eq!(entries.take(1, false).map(|entry| entry.index), Some(all[7].index));
    }

    #[test]
    fn the_last_chunk_with_a_limit_of_its_own_is_known() {
        let mut entries = Entries::new();
        let (first, other, second) =
            (entries.take(1, true).unwrap(), entries.take(1, false).unwrap(), entries.take(1, true).unwrap());
        let mut is_last = |entry| entries.give_back(entry).is_some_and(|back| back.was_last_with_limit);
        assert!(!is_last(first) && !is_last(first) && !is_last(other) && is_last(second) && !is_last(second));
    }
}
