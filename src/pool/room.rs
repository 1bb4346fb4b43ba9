//! The bound on pending tasks: room for so many, given in the order in which callers ask.
//!
//! Invariants:
//! 1. `taken` counts the tasks that have room: those that are being gathered into a chunk, and
//!    those that were sent and have no result yet.
//! 2. A caller that waits is in `line`, and only the first of the line takes room: a large chunk is
//!    not passed by small ones for ever.

use std::collections::VecDeque;

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

pub(super) struct Room {
    /// `None`: there is no bound, and nothing is counted.
    max: Option<usize>,
    taken: usize,
    line: VecDeque<Place>,
    next: u64,
}

impl Room {
    pub fn new(max: Option<usize>) -> Room {
        Room { max, taken: 0, line: VecDeque::new(), next: 0 }
    }

    /// Takes room for so many tasks if there is some, and the caller is the first: `place` is its
    /// place, if it waits in the line, which it leaves then.
    pub fn take(&mut self, tasks: usize, place: Option<Place>) -> bool {
        let Some(max) = self.max else { return true };
        let is_first = self.line.front().copied() == place;
        if !is_first || self.taken + tasks > max {
            return false;
        }
        self.taken += tasks;
        if place.is_some() {
            self.line.pop_front();
        }
        true
    }

    /// Takes room beyond the bound: for the pool's own thread, which must not wait for itself.
    pub fn take_anyway(&mut self, tasks: usize) {
        if self.max.is_some() {
            self.taken += tasks;
        }
    }

    /// The last place in the line.
    pub fn stand_in_line(&mut self) -> Place {
        let place = Place(self.next);
        self.next += 1;
        self.line.push_back(place);
        place
    }

    /// Leaves the line without room.
    pub fn leave(&mut self, place: Place) {
        self.line.retain(|other| *other != place);
    }

    /// Gives room back.
    pub fn give_back(&mut self, tasks: usize) {
        if self.max.is_some() {
            self.taken -= tasks;
        }
    }

    /// Whether callers wait for room.
    pub fn has_line(&self) -> bool {
        !self.line.is_empty()
    }

    #[cfg(test)]
    fn taken(&self) -> usize {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_up_to_the_bound_and_given_back() {
        let mut room = Room::new(Some(3));
        assert!(room.take(2, None) && !room.take(2, None) && room.take(1, None));
        assert!(!room.take(1, None));
        room.give_back(2);
        assert!(room.take(2, None));
        room.take_anyway(1);
        room.give_back(1);
        assert!(!room.take(1, None), "the bound was passed by one, which is given back first");
        assert_eq!(room.taken(), 3);
    }

    #[test]
    fn a_caller_in_the_line_is_passed_by_none() {
        let mut room = Room::new(Some(4));
        assert!(room.take(2, None));
        let large = room.stand_in_line();
        let small = room.stand_in_line();
        assert!(!room.take(3, Some(large)));
        assert!(!room.take(1, Some(small)) && !room.take(1, None), "the first in the line waits");
        room.give_back(1);
        assert!(room.take(3, Some(large)));
        room.give_back(1);
        assert!(!room.take(1, None) && room.take(1, Some(small)) && !room.has_line());
    }

    #[test]
    fn a_caller_that_gives_up_leaves_the_line() {
        let mut room = Room::new(Some(1));
        assert!(room.take(1, None));
        let (first, second) = (room.stand_in_line(), room.stand_in_line());
        room.leave(first);
        room.give_back(1);
        assert!(room.take(1, Some(second)) && !room.has_line());
    }

    #[test]
    fn without_a_bound_there_is_always_room() {
        let mut room = Room::new(None);
        assert!(room.take(usize::MAX, None) && room.take(usize::MAX, None));
        room.give_back(1);
        assert_eq!(room.taken(), 0);
    }
}
