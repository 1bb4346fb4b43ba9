//! Deriving the cursors anew after a death, and freeing what the dead process held. Each function
//! is idempotent and may itself be killed at any point: the next owner of the side starts it again.

use super::{Corrupted, Header, Memory, Owner, Ring, State};
use crate::atomic::Ordering::{Relaxed, Release};
use crate::shm::geometry::CellIndex;

/// What a repair did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repaired {
    /// Leases of dead owners that will be delivered again.
    pub redelivered: u64,
    /// Loans of dead owners that will be skipped.
    pub aborted: u64,
    /// Messages that reached their delivery limit, and are done.
    pub given_up: u64,
    /// Records whose views died with their owner: their room is free.
    pub views: u64,
}

impl<M: Memory> Ring<M> {
    /// Advances tail over records that a dead owner published without moving tail: restores
    /// Invariant 1. `discard` is called before a dead owner's claim is aborted: what lies outside
    /// the ring goes first. Needs the put side.
    pub fn repair_put_side(&self, is_dead: impl Fn(Owner) -> bool, discard: impl Fn(u64, Header)) -> Result<Repaired, Corrupted> {
        self.end_retreat_of_the_dead();
        let tail = &self.memory.put_side().tail;
        let mut repaired = Repaired::default();
        for _ in 0..=self.geometry.cells {
            let at = tail.load(Relaxed);
            let cell = self.cell(at)?;
            let header = self.load_header(cell);
            match header.state() {
                Some(State::Free) => return Ok(repaired),
                Some(State::Claimed) if is_dead(header.owner()) => {
                    repaired.aborted += self.abort_of_the_dead(at, cell, header, &discard) as u64;
                }
                Some(_) => {}
                None => return Err(Corrupted),
            }
            tail.store(self.after(at, header)?, Release);
        }
        Err(Corrupted)
    }

    /// Advances head over records that a dead owner took without moving head. Needs the get side.
    pub fn repair_get_side(&self) -> Result<(), Corrupted> {
        let head = &self.memory.get_side().head;
        for _ in 0..=self.geometry.cells {
            let at = head.load(Relaxed);
            let header = self.load_header(self.cell(at)?);
            match header.state() {
                Some(State::Done | State::Leased | State::Returned | State::Read) => head.store(self.after(at, header)?, Release),
                Some(_) => {
                    // A dead getter may have cleared the flag without finishing its walk.
                    self.announce_returned();
                    return Ok(());
                }
                None => return Err(Corrupted),
            }
        }
        Err(Corrupted)
    }

    /// Frees every record of a dead owner, and gives up messages that reached their delivery limit.
    /// It includes records past the stored tail, since two processes may have died: a putter before
    /// it stored tail, and a getter with that record. `discard` is called before a claim is aborted,
    /// and after a message was given up. Needs the get side, which pins all of them (Invariant 4).
    pub fn free_the_dead(
        &self,
        is_dead: impl Fn(Owner) -> bool,
        is_worn_out: impl Fn(Header) -> bool,
        discard: impl Fn(u64, Header),
    ) -> Result<Repaired, Corrupted> {
        let mut repaired = Repaired::default();
        let mut found_returned = false;
        self.walk_all(|position, cell, header| {
            match header.state() {
                Some(State::Leased) if is_dead(header.owner()) => {
                    if is_worn_out(header) {
                        repaired.given_up += self.give_up_and_discard(position, cell, header, &discard) as u64;
                    } else {
                        repaired.redelivered += self.transition(cell, header, header.returned()) as u64;
                        found_returned = true;
                    }
                }
                Some(State::Returned) if is_worn_out(header) => {
                    repaired.given_up += self.give_up_and_discard(position, cell, header, &discard) as u64;
                }
                Some(State::Claimed) if is_dead(header.owner()) => {
                    repaired.aborted += self.abort_of_the_dead(position, cell, header, &discard) as u64;
                }
                Some(State::Returned) => found_returned = true,
                _ => {}
            }
            true
        })?;
        if found_returned {
            self.announce_returned();
        }
        Ok(repaired)
    }

    /// Gives back a dead owner's record that stops the put side at reclaim (see [`Ring::stopper`]),
    /// or announces one that is given back already. Needs the put side, which pins it. Returns
    /// `true` if getters have something to take.
    pub fn free_stopper(&self, is_dead: impl Fn(Owner) -> bool) -> Result<bool, Corrupted> {
        let (_, cell, header) = self.stopper()?;
        match header.state() {
            Some(State::Leased) if is_dead(header.owner()) => {
                let freed = self.transition(cell, header, header.returned());
                self.announce_returned();
                Ok(freed)
            }
            Some(State::Returned) => {
                self.announce_returned();
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Aborts a claim whose owner was seen dead after `header` was loaded. In between it may have
    /// committed, and left or been killed: so the header is loaded again, now that no store of its
    /// owner can follow, before `discard` removes what lies outside the ring. Needs a side.
    pub fn abort_of_the_dead(&self, position: u64, cell: CellIndex, header: Header, discard: impl Fn(u64, Header)) -> bool {
        if self.load_header(cell) != header {
            return false;
        }
        discard(position, header);
        self.abort_claimed(cell, header)
    }

    /// Marks a message that reached its delivery limit as done. Needs the get side.
    pub fn give_up(&self, position: u64, header: Header, cell: CellIndex) -> bool {
        // Before the store of DONE: who finds it finished finds the note.
        self.memory.note_given_up(position);
        self.transition(cell, header, Header::done(header.length()))
    }

    /// The same, and then discards what of it lies outside the ring. `position` is that of the
    /// record, before head: it is not used again.
    pub(super) fn give_up_and_discard(
        &self,
        position: u64,
        cell: CellIndex,
        header: Header,
        discard: impl Fn(u64, Header),
    ) -> bool {
        let given_up = self.give_up(position, header, cell);
        if given_up {
            discard(position, header);
        }
        given_up
    }
}
