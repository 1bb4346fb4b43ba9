//! Records that are read on after their message is finished: READ.
//!
//! ```text
//!   LEASED(me) --pin--> READ(me) --unpin, when the last view is gone--> DONE
//!                           \--its owner died: under the put lock-----> DONE
//! ```
//!
//! Invariants:
//! 1. `pin` is the commit point: the message is finished then, whatever becomes of its reader. READ
//!    never goes back. So it concerns the put side only, which wants the room; getters, counts and
//!    `join` pass over it.
//! 2. READ of a dead owner is ended only under the put side's *lock*, also beside a live Producer,
//!    which moves reclaim without it. So the holder of the lock that finds one behind reclaim may
//!    change it: no other process does, and until then it keeps its cells (Ring, Invariant 4).
//!    Without this rule, a process that found it and was stopped would change a word of whatever
//!    has the cells by then (`tests/views` has the order of steps).

use super::dead_owners::Found;
use super::{Corrupted, Header, Memory, Owner, Ring, State};
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::atomic::fence;
use crate::shm::geometry::CellIndex;

/// Most records that are ended for one putter at a time.
const ENDED_AT_ONCE: usize = 256;

impl<M: Memory> Ring<M> {
    /// Finishes the message of a record that the caller leased, and keeps its cells. `None`: it was
    /// given to another process, because its owner was declared dead.
    pub fn pin(&self, cell: CellIndex, leased: Header) -> Option<Header> {
        let pinned = leased.pinned();
        self.transition(cell, leased, pinned).then_some(pinned)
    }

    /// Frees the cells of a record that the caller pinned. Returns `false` if they were freed
    /// because its owner was declared dead.
    pub fn unpin(&self, cell: CellIndex, pinned: Header) -> bool {
        self.transition(cell, pinned, Header::done(pinned.length()))
    }

    /// Is the record at reclaim READ, so that it alone stops the put side? Needs the put side.
    pub fn is_stopped_by_views(&self) -> Result<bool, Corrupted> {
        Ok(self.stopper()?.2.state() == Some(State::Read))
    }

    /// Ends READ records of dead owners from reclaim on, until another record stops the put side.
    /// Returns how many. Needs the put side, and its lock (Invariant 2).
    #[cold]
    pub fn end_stopping_views(&self, is_dead: impl Fn(Owner) -> bool) -> Result<u64, Corrupted> {
        let mut at = self.memory.put_side().reclaim.load(Relaxed);
        let head = self.memory.get_side().head.load(Acquire);
        let mut ended = 0;
        for _ in 0..ENDED_AT_ONCE {
            if at >= head {
                break;
            }
            let cell = self.cell(at)?;
            let header = self.load_header(cell);
            match header.state() {
                Some(State::Done) => {}
                Some(State::Read) if is_dead(header.owner()) => ended += self.unpin(cell, header) as u64,
                _ => break,
            }
            at = self.after(at, header)?;
        }
        Ok(ended)
    }

    /// Ends those READ records of `found` that are still there. Returns how many. Needs the put
    /// side's lock (Invariant 2), and not the side.
    pub fn end_found_views(&self, found: &[Found], is_dead: impl Fn(Owner) -> bool) -> u64 {
        let mut ended = 0;
        for &Found { position, cell, header } in found.iter().filter(|found| found.is_viewed()) {
            let now = self.load_header(cell);
            // As in `walk`: the header is loaded before reclaim. If that has not passed it, it is
            // the record, and stays one until this call ends it.
            fence(Acquire);
            if now == header && self.memory.put_side().reclaim.load(Relaxed) <= position && is_dead(header.owner()) {
                ended += self.unpin(cell, header) as u64;
            }
        }
        ended
    }
}
