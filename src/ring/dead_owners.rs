//! Recovering the records of dead owners while other processes work: a scan finds them without
//! owning a side; they are freed under the get side, a few at a time.
//!
//! ```text
//!   [reclaim, head)   DONE DONE | LEASED(alive) DONE LEASED(dead) RETURNED | head ..
//!                     ^         ^ settled: all before it is DONE, for ever
//!                     '- never walked twice by a process that keeps `settled`
//!
//!   find (no side) --LEASED(dead), RETURNED too often, CLAIMED(dead), READ(dead)--> found
//!   found --get side, still as found?--> RETURNED | DONE
//!   found, READ --put lock, still as found?--> DONE (`views`)
//! ```
//!
//! Invariants:
//! 1. A found record is a hint. It is freed only under the get side, if reclaim has not passed it
//!    and its header is unchanged: then the record is there, and pinned (Ring, Invariant 4), since
//!    only the owner of the get side ends the leases and loans of dead processes. READ is freed
//!    under the put side's lock, whose holder alone ends the views of dead processes.
//! 2. A record before head that is DONE stays DONE until it is reclaimed, and positions before head
//!    are never reused (tail moves back as far as head at most). So everything before `settled`,
//!    which is never past head, is DONE or reclaimed, whatever happens meanwhile, and `settled` is
//!    the start of a record.

use super::{Corrupted, Header, Memory, Owner, Repaired, Ring, State};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::atomic::fence;
use crate::shm::geometry::CellIndex;

/// How far a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upto {
    /// To head: only before head can a message wait to come back. The backlog ahead of head,
    /// however long, is not walked.
    Head,
    /// To tail: also loans of dead owners that getters have not reached yet.
    Tail,
}

/// A record to be freed, as the scan found it (Invariant 1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(super) position: u64,
    pub(super) cell: CellIndex,
    pub(super) header: Header,
}

impl Found {
    /// Is it a finished message, of which a dead owner had views? Such a record is ended by
    /// [`end_found_views`](Ring::end_found_views), and not under the get side.
    pub fn is_viewed(&self) -> bool {
        self.header.state() == Some(State::Read)
    }
}

impl<M: Memory> Ring<M> {
    /// Finds up to `most` records that dead owners hold, or that reached their delivery limit.
    /// Announces messages that a process gave back before it died without announcing them. Needs no
    /// side: `settled` is the caller's own (Invariant 2).
    #[cold]
    pub fn find_the_dead(
        &self,
        upto: Upto,
        settled: &AtomicU64,
        is_dead: impl Fn(Owner) -> bool,
        is_worn_out: impl Fn(Header) -> bool,
        most: usize,
    ) -> Result<Vec<Found>, Corrupted> {
        let head = self.memory.get_side().head.load(Acquire);
        let end = match upto {
            Upto::Head => head,
            // To the FREE word: the stored tail may not cover the last records (Ring, Invariant 2).
            Upto::Tail => self.geometry.next_lap(self.memory.put_side().reclaim.load(Acquire)),
        };
        let mut found = Vec::new();
        let mut first_open = None;
        let mut came_back = false;
        self.walk_from(settled.load(Relaxed), end, |position, cell, header| {
            first_open.get_or_insert(position);
            let frees = match header.state() {
                Some(State::Leased) => is_dead(header.owner()),
                Some(State::Returned) => {
                    came_back = true;
                    is_worn_out(header)
                }
                Some(State::Claimed | State::Read) => is_dead(header.owner()),
                _ => false,
            };
            if frees {
                found.push(Found { position, cell, header });
            }
            found.len() < most
        })?;
        settled.store(first_open.unwrap_or(head).min(head), Relaxed);
        if came_back && !self.has_returned() {
            self.announce_returned();
        }
        Ok(found)
    }

    /// Frees those of `found` that are unchanged (Invariant 1). `discard`: as in `free_the_dead`.
    /// Needs the get side.
    pub fn free_found(
        &self,
        found: &[Found],
        is_dead: impl Fn(Owner) -> bool,
        is_worn_out: impl Fn(Header) -> bool,
        discard: impl Fn(u64, Header),
    ) -> Repaired {
        let mut repaired = Repaired::default();
        for &Found { position, cell, header } in found {
            let now = self.load_header(cell);
            // As in `walk`: the header is loaded before reclaim.
            fence(Acquire);
            if now != header || self.memory.put_side().reclaim.load(Relaxed) > position {
                continue;
            }
            match header.state() {
                Some(State::Leased | State::Claimed) if !is_dead(header.owner()) => {}
                Some(State::Leased | State::Returned) if is_worn_out(header) => {
                    repaired.given_up += self.give_up_and_discard(position, cell, header, &discard) as u64;
                }
                Some(State::Leased) => repaired.redelivered += self.transition(cell, header, header.returned()) as u64,
                Some(State::Claimed) => {
                    repaired.aborted += self.abort_of_the_dead(position, cell, header, &discard) as u64;
                }
                _ => {}
            }
        }
        if repaired.redelivered != 0 {
            self.announce_returned();
        }
        repaired
    }
}
