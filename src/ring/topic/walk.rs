//! Visiting the records of a topic in order. No side is needed: reclaim may overtake the walk.

use super::TopicRing;
use crate::ring::{Corrupted, Header, Memory, State};
use crate::shm::geometry::CellIndex;

/// A record, as a walk found it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walked {
    pub position: u64,
    /// That of the record behind it, for a filler.
    pub number: u64,
    pub cell: CellIndex,
    /// READY, CLAIMED, or DONE: a filler or an aborted loan.
    pub header: Header,
}

impl<M: Memory> TopicRing<'_, M> {
    /// Visits the records from `from` on, which is the start of one or tail, until `visit` returns
    /// `false`. Returns position and number of the record that it refused, or of the end of the
    /// records. `None`: reclaim overtook the walk. What `visit` sees was there when its header was
    /// read.
    pub fn walk(&self, from: u64, mut visit: impl FnMut(Walked) -> bool) -> Result<Option<(u64, u64)>, Corrupted> {
        let mut position = from;
        for _ in 0..=self.ring.geometry.cells {
            let cell = self.ring.cell(position)?;
            let header = self.ring.load_header(cell);
            let number = self.number_at(position)?;
            if !self.is_intact(position) {
                return Ok(None);
            }
            let state = header.state().ok_or(Corrupted)?;
            if state == State::Free || !visit(Walked { position, number, cell, header }) {
                return Ok(Some((position, number)));
            }
            position = self.ring.after(position, header)?;
        }
        // A whole ring of records was put meanwhile.
        Ok(None)
    }
}
