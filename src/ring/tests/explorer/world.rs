//! A world: an image of the memory, the locks that dead processes hold, and the messages that must
//! be in the ring.

use super::super::heap::GARBAGE;
use super::watched::{HEAD, HEAD_SEEN, Held, Image, LEASES, LOANS, RECLAIM, RETURNED, SETTLED, TAIL};
use super::watched::{header_at, sequence_at, tag_at};
use crate::ring::{Header, State};
use crate::shm::geometry::{CellIndex, Geometry};

pub(super) const PARTICIPANTS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Status {
    Lent(usize),
    Committed,
    Leased(usize),
    /// Finished: no reader may have it again. Its payload stays where it is.
    Viewed(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Message {
    /// Index of its record's first cell.
    pub cell: u64,
    pub length: u32,
    pub status: Status,
    pub tag: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub image: Image,
    pub held: Held,
    pub dead: [bool; PARTICIPANTS],
    /// The messages that must be in the ring, oldest first, and those that views keep there.
    pub messages: Vec<Message>,
}

/// Effect of an operation on messages, at their commit points.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    None,
    Adds(Message),
    /// All at the commit point of the first.
    AddsAll(Vec<Message>),
    Changes(usize),
    /// Each at its own commit point, oldest first.
    ChangesAll(Vec<usize>),
    /// Another process has the entry of a dead participant, once the operation is complete.
    Revives(usize),
}

impl World {
    pub fn header(&self, cell: u64) -> Header {
        Header::from_bits(self.image[header_at(cell)])
    }

    pub fn holder(&self, number: usize) -> Option<usize> {
        match self.messages[number].status {
            Status::Lent(participant) | Status::Leased(participant) | Status::Viewed(participant) => Some(participant),
            Status::Committed => None,
        }
    }

    pub fn holds(&self, participant: usize) -> bool {
        (0..self.messages.len()).any(|number| self.holder(number) == Some(participant))
    }

    /// The message that a reader found in that cell, with that tag.
    pub fn number_of(&self, (cell, tag): (CellIndex, u64)) -> usize {
        let is_it = |message: &Message| (message.cell, message.tag) == (cell.index(), tag);
        let number = self.messages.iter().position(is_it);
        let number = number.unwrap_or_else(|| panic!("{cell:?} with payload {tag} is no message of {self:#x?}"));
        assert!(!matches!(self.messages[number].status, Status::Viewed(_)), "{tag} was finished, in {self:#x?}");
        number
    }

    /// Updates the messages of an operation to match the states in their headers.
    pub fn apply(&mut self, effect: &Effect) {
        match *effect {
            Effect::None | Effect::Revives(_) => {}
            Effect::Adds(message) => self.apply(&Effect::AddsAll(vec![message])),
            Effect::AddsAll(ref messages) => {
                let Some(first) = messages.first() else { return };
                let published = if first.status == Status::Committed { State::Ready } else { State::Claimed };
                if self.header(first.cell).state() == Some(published) {
                    self.messages.extend(messages);
                }
            }
            Effect::ChangesAll(ref numbers) => {
                // From the last on: a message that is taken makes the numbers behind it smaller.
                numbers.iter().rev().for_each(|&number| self.apply(&Effect::Changes(number)));
            }
            Effect::Changes(number) => {
                let header = self.header(self.messages[number].cell);
                let message = &mut self.messages[number];
                match header.state() {
                    Some(State::Claimed) => {}
                    Some(State::Ready | State::Returned) => {
                        message.status = Status::Committed;
                        message.length = header.length();
                    }
                    Some(State::Leased) => {
                        let leased_by_living = !self.dead[header.owner().entry() as usize];
                        message.status =
                            if leased_by_living { Status::Leased(header.owner().entry() as usize) } else { Status::Committed };
                    }
                    Some(State::Read) => message.status = Status::Viewed(header.owner().entry() as usize),
                    Some(State::Done) => drop(self.messages.remove(number)),
                    Some(State::Free) | None => panic!("message {message:?} became {header:?}"),
                }
            }
        }
    }

    /// A participant dies: its loans never were messages, its leases must be delivered again, and
    /// what it only had views of is gone.
    pub fn bury(&mut self, participant: usize) {
        self.dead[participant] = true;
        self.messages.retain(|message| ![Status::Lent(participant), Status::Viewed(participant)].contains(&message.status));
        for message in &mut self.messages {
            if message.status == Status::Leased(participant) {
                message.status = Status::Committed;
            }
        }
    }

    /// May the next message be number `found` (`None`: no message)? Returned ones come first, if
    /// they were announced.
    pub fn check_order(&self, found: Option<usize>) {
        for (number, message) in self.messages[..found.unwrap_or(self.messages.len())].iter().enumerate() {
            let passed = match (message.status, self.header(message.cell).state()) {
                (Status::Leased(_) | Status::Viewed(_), _) => true,
                (Status::Lent(_), _) => match found {
                    None => return,
                    Some(found) => self.header(self.messages[found].cell).state() == Some(State::Returned),
                },
                // Left by a dead process, and not scanned yet.
                (Status::Committed, Some(State::Leased)) => true,
                (Status::Committed, Some(State::Returned)) => self.image[RETURNED] == 0,
                (Status::Committed, _) => false,
            };
            assert!(passed, "message {number} was passed over for {found:?} in {self:#x?}");
        }
    }

    /// Renumbers positions, sequences and messages, and clears the state that no operation reads.
    pub fn renumber(mut self, geometry: &Geometry) -> World {
        let lap = geometry.next_lap(0);
        let laps = (self.image[RECLAIM] / lap).saturating_sub(1) * lap;
        for cursor in [TAIL, RECLAIM, HEAD, HEAD_SEEN, SETTLED] {
            self.image[cursor] = self.image[cursor].saturating_sub(laps);
        }
        if self.image[SETTLED] <= self.image[HEAD] {
            // The scan starts at head.
            self.image[SETTLED] = 0;
        }
        for counter in [LOANS, LEASES] {
            self.image[counter] = self.image[counter].min(1);
        }
        let oldest = geometry.cell(self.image[RECLAIM]).expect("a cursor leads to a cell").index();
        let before = self.image[sequence_at(oldest)].saturating_sub(4);
        for cell in 0..geometry.cells {
            let sequence = &mut self.image[sequence_at(cell)];
            if *sequence != GARBAGE {
                *sequence = sequence.saturating_sub(before);
            }
            self.image[tag_at(cell)] = 0;
            let header = self.header(cell);
            if header.deliveries() > 1 && header.state().is_some() {
                self.image[header_at(cell)] = header.bits() & !(0xff << 32) | 1 << 32;
            }
        }
        for (number, message) in self.messages.iter_mut().enumerate() {
            message.tag = number as u64 + 1;
            self.image[tag_at(message.cell)] = message.tag;
        }
        self
    }
}
