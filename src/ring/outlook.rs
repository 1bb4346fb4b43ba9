//! What a getter would find, read without owning a side: aborted records do not count.

use super::{Header, Memory, Ring, State};
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::atomic::fence;

/// Attempts before giving up: positions may move faster than they can be read.
const ATTEMPTS: u32 = 16;

/// State of the stream ahead of a getter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// A message to take.
    Message,
    /// An open loan: everything behind it waits.
    Loan,
    Nothing,
    /// Head kept moving, or the words are garbage.
    Unclear,
}

impl<M: Memory> Ring<M> {
    /// Is the message at a position finished, which some getter has had? Before reclaim all are.
    pub fn has_ended(&self, position: u64) -> bool {
        if position >= self.memory.get_side().head.load(Acquire) {
            return false;
        }
        let Ok(cell) = self.cell(position) else { return false };
        let header = self.load_header(cell);
        // As in `walk`: the header is loaded before reclaim. If that has not passed the position,
        // it is the header of this message.
        fence(Acquire);
        self.memory.put_side().reclaim.load(Relaxed) > position || matches!(header.state(), Some(State::Done | State::Read))
    }

    /// Skips DONE records, and scans for RETURNED ones (a walk) if there may be any; a record that
    /// `is_worn_out` does not count as a message.
    pub fn outlook(&self, is_worn_out: impl Fn(Header) -> bool) -> Outlook {
        let (get, put) = (self.memory.get_side(), self.memory.put_side());
        for _ in 0..ATTEMPTS {
            let retreats = put.retreats.load(Acquire);
            let head = get.head.load(Acquire);
            if self.has_returned() && self.has_returned_before(head, &is_worn_out) {
                return Outlook::Message;
            }
            let outlook = self.outlook_from(head);
            // Orders the loads of headers before that of head: while head stays, no record behind
            // it is overwritten.
            fence(Acquire);
            if get.head.load(Relaxed) == head && put.retreats.load(Relaxed) == retreats && outlook != Outlook::Unclear {
                return outlook;
            }
        }
        Outlook::Unclear
    }

    /// [`ahead`](Ring::ahead), but nothing where there are only skipped records.
    pub fn ahead_at_a_glance(&self) -> u64 {
        match self.outlook_from(self.memory.get_side().head.load(Acquire)) {
            Outlook::Nothing => 0,
            _ => self.ahead(),
        }
    }

    fn has_returned_before(&self, end: u64, is_worn_out: &impl Fn(Header) -> bool) -> bool {
        let mut found = false;
        let walked = self.walk(end, |_, _, header| {
            found = header.state() == Some(State::Returned) && !is_worn_out(header);
            !found
        });
        found || walked.is_err()
    }

    fn outlook_from(&self, head: u64) -> Outlook {
        let mut at = head;
        for _ in 0..=self.geometry.cells {
            let Ok(cell) = self.cell(at) else { return Outlook::Unclear };
            let header = self.load_header(cell);
            match header.state() {
                Some(State::Free) => return Outlook::Nothing,
                Some(State::Claimed) => return Outlook::Loan,
                Some(State::Ready | State::Returned) => return Outlook::Message,
                // Leased: a getter is about to move head, or died before it moved it. Read: head
                // has moved on.
                Some(State::Done | State::Leased | State::Read) => match self.after(at, header) {
                    Ok(after) => at = after,
                    Err(_) => return Outlook::Unclear,
                },
                None => return Outlook::Unclear,
            }
        }
        Outlook::Unclear
    }
}
