//! Walking the records of a queue, or a topic.

use super::inspector::Inspector;
use super::snapshot::{Glance, Hold};
use crate::atomic::Ordering::Acquire;
use crate::ring::{Header, Memory, Owner, State as RecordState};

/// Holdings that are listed; the rest is only counted.
const MAX_LISTED: usize = 4096;

/// A walk is restarted this often if the queue moved faster than it could be read.
pub(super) const WALKS: u32 = 3;

/// What a walk over the records found.
#[derive(Default)]
pub(super) struct Records {
    pub messages: u64,
    pub bytes: u64,
    pub on_lease: u64,
    pub viewed: u64,
    pub on_loan: u64,
    pub came_back: u64,
    pub most_deliveries: u32,
    pub held: Vec<(Hold, Owner, u64, u64, u32)>,
}

impl Inspector {
    /// Walks the records. The flag says that they hold garbage.
    pub(super) fn records(&self) -> (Records, bool) {
        if self.kind().is_topic() {
            return self.records_of_topic();
        }
        if !self.kind().is_queue() {
            return (Records::default(), false);
        }
        let mut garbage_at = None;
        for _ in 0..WALKS {
            let (head, tail) = (&self.ring.memory.get_side().head, &self.ring.memory.put_side().tail);
            let (head, tail) = (head.load(Acquire), tail.load(Acquire));
            let mut records = Records::default();
            let mut plausible = self.are_plausible(head, tail);
            let walked = self.ring.walk_all(|at, _, header| {
                plausible &= self.is_plausible(header);
                records.count(at, head, header);
                plausible
            });
            // Nothing pins the records during this walk: they are garbage only if they stay so
            // while neither end moves.
            match walked {
                Ok(()) if plausible => return (records, false),
                _ if garbage_at == Some((head, tail)) => return (self.estimated_records(), true),
                _ => garbage_at = Some((head, tail)),
            }
        }
        (self.estimated_records(), false)
    }

    /// Can these be the ends of a queue?
    fn are_plausible(&self, head: u64, tail: u64) -> bool {
        let geometry = &self.ring.geometry;
        let cells =
            geometry.linear(tail.max(head)).wrapping_sub(geometry.linear(self.ring.memory.put_side().reclaim.load(Acquire)));
        let at_tail = geometry.cell(tail).map(|cell| Header::from_bits(self.ring.memory.header(cell).load(Acquire)));
        cells <= geometry.cells && geometry.cell(head).is_some() && at_tail.is_some_and(|header| self.is_plausible(header))
    }

    /// Can this be the header word of a record, or of a free cell?
    pub(super) fn is_plausible(&self, header: Header) -> bool {
        let geometry = &self.ring.geometry;
        match header.state() {
            None => false,
            Some(RecordState::Free) => true,
            Some(_) if geometry.sized => header.length() as u64 == geometry.message_bytes,
            // A filler may be longer than a message.
            Some(RecordState::Done) => header.length() as u64 <= geometry.ring_bytes(),
            Some(_) => header.length() as u64 <= geometry.max_message_bytes(),
        }
    }

    /// An estimate, for records that could not be walked.
    pub(super) fn estimated_records(&self) -> Records {
        if !self.kind().has_ring() {
            return Records::default();
        }
        let Glance { messages, stats, .. } = self.glance();
        // The messages of a topic that are still to be read are as large as all that were
        // published.
        let bytes = match self.kind().is_topic() {
            true => stats.bytes_put.checked_div(stats.puts).unwrap_or(0).saturating_mul(messages),
            false => stats.bytes_put.saturating_sub(stats.bytes_got),
        };
        Records { messages, bytes: bytes.min(self.ring.geometry.ring_bytes()), ..Records::default() }
    }
}

impl Records {
    fn count(&mut self, at: u64, head: u64, header: Header) {
        let length = header.length() as u64;
        match header.state() {
            Some(RecordState::Ready) if at >= head => {
                self.messages += 1;
                self.bytes = self.bytes.saturating_add(length);
            }
            Some(RecordState::Returned) => {
                self.messages += 1;
                self.came_back += 1;
                self.bytes = self.bytes.saturating_add(length);
            }
            Some(RecordState::Leased) => {
                self.on_lease += 1;
                self.hold(Hold::Lease, at, header);
            }
            Some(RecordState::Read) => {
                self.viewed += 1;
                // Its message is done: its deliveries are over.
                return self.hold(Hold::View, at, header);
            }
            Some(RecordState::Claimed) => {
                self.on_loan += 1;
                self.hold(Hold::Loan, at, header);
            }
            _ => {}
        }
        self.most_deliveries = self.most_deliveries.max(header.deliveries());
    }

    pub(super) fn hold(&mut self, what: Hold, at: u64, header: Header) {
        if self.held.len() < MAX_LISTED {
            self.held.push((what, header.owner(), at, header.length() as u64, header.deliveries()));
        }
    }
}
