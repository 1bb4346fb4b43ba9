//! What there is for a subscriber, for a caller that waits for several things; and the probe of a
//! waiting subscriber.

use super::RawSubscriber;
use crate::os::Deadline;
use crate::raw::RawQueue;
use crate::ring::State;
use crate::ring::topic::Seen;
use crate::shm::participant::Id;

impl RawSubscriber {
    /// Would a try return at once, with a message or an error? Passes what is neither: a subscriber
    /// that waits without reading would gate at aborted loans.
    pub fn is_ready_to_read(&self) -> bool {
        let raw = &*self.raw;
        if self.is_inherited() || raw.is_poisoned() {
            return true;
        }
        for _ in 0..=raw.geometry().cells {
            if self.is_changed() || self.has_ended() {
                return true;
            }
            match raw.as_topic().look(self.place.get(), || self.gates_now()) {
                Ok(Seen::Skipped(next)) => self.skip_to(next),
                Ok(Seen::Nothing) => return raw.is_closed() && !raw.put_side_is_at_work(),
                // A commit or an abort wakes the caller; the owner's death is probed once a slice.
                Ok(Seen::Loan(_)) => return false,
                Ok(Seen::Record { .. } | Seen::Lapped) | Err(_) => return true,
            }
        }
        // Garbage, which a try reports.
        true
    }
}

impl RawQueue {
    /// The probe that is due once a slice while a subscriber waits at `position`: for a dead
    /// process whose loan stands there, and for the last publisher.
    pub(super) fn probe_for_reader(&self, position: u64, me: Id, deadline: Deadline) {
        let Some(cell) = self.geometry().cell(position) else { return };
        let header = self.ring.load_header(cell);
        // The word first (Invariant 2).
        let is_loan = header.state() == Some(State::Claimed) && self.as_topic().is_intact(position);
        if is_loan && self.is_dead(header.owner(), me) {
            self.abort_dead_loans(me, deadline);
        }
        self.close_if_unused(me);
        self.segment().report_if_nameless();
    }
}
