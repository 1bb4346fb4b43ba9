//! Which places on the board are in use: the program's own list, as it alone gives them out.
//!
//! Invariant: an entry is in use from when its chunk is put into the ring until the chunk's outcome
//! is known. Its generation is counted up at each use, so an outcome that is reported twice, or a
//! message of a cancelled chunk, which stays in the ring, is not taken for the next chunk's.

use super::board::{ENTRIES, Entry};

pub(super) struct Entries {
    free: Vec<u32>,
    used: Vec<Use>,
}

#[derive(Clone, Copy, Default)]
struct Use {
    generation: u32,
    /// Tasks of the chunk. 0: the entry is free.
    tasks: u32,
}

impl Entries {
    pub fn new() -> Entries {
        Entries { free: (0..ENTRIES).rev().collect(), used: vec![Use::default(); ENTRIES as usize] }
    }

    /// A free entry, for a chunk of so many tasks. `None`: all are in use.
    pub fn take(&mut self, tasks: u32) -> Option<Entry> {
        let index = self.free.pop()?;
        let place = &mut self.used[index as usize];
        place.generation = place.generation.wrapping_add(1);
        place.tasks = tasks.max(1);
        Some(Entry { index, generation: place.generation })
    }

    /// The chunk's outcome is known: how many tasks it had. `None`: it was known before.
    pub fn give_back(&mut self, entry: Entry) -> Option<usize> {
        let place = self.used.get_mut(entry.index as usize)?;
        if place.generation != entry.generation || place.tasks == 0 {
            return None;
        }
        self.free.push(entry.index);
        Some(std::mem::take(&mut place.tasks) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_given_back_once_and_used_again_under_another_generation() {
        let mut entries = Entries::new();
        let first = entries.take(3).unwrap();
        assert_eq!(entries.give_back(first), Some(3));
        assert_eq!(entries.give_back(first), None);
        let second = entries.take(1).unwrap();
        assert_eq!(second.index, first.index);
        assert_eq!(entries.give_back(first), None, "an outcome of the chunk before");
        assert_eq!(entries.give_back(second), Some(1));
        assert_eq!(entries.give_back(Entry { index: ENTRIES, generation: 1 }), None);
    }

    #[test]
    fn there_are_so_many() {
        let mut entries = Entries::new();
        let all: Vec<Entry> = std::iter::from_fn(|| entries.take(1)).collect();
        assert_eq!(all.len(), ENTRIES as usize);
        entries.give_back(all[7]);
        assert_eq!(entries.take(1).map(|entry| entry.index), Some(all[7].index));
    }
}
