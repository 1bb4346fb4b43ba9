//! Puts that say which message they make: before it can be seen, and after.
//!
//! ```text
//!   room --announce(id)--> written --commit--> the id is returned
//!          \ killed here: nothing was put; the next message at that position has the id
//! ```
//!
//! Invariant 1: only the endpoint moves tail while it lives (Ring run, Invariant 2), and nothing
//! happens between `announce` and the commit but the copy. So the record that is committed lies at
//! the position that was announced. Of an object in a file of its own it is the claimed record,
//! which keeps its place.

use super::delivery::{Delivery, ToOne};
use super::{MessageId, RawQueue, SideOwner, Wait, add};
use crate::error::PutError;
use crate::message::Message;
use crate::raw::BY_OWNER;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

impl RawQueue {
    /// Puts one message by copy, as the side's endpoint, and says its id: to `announce` when there
    /// is room and before any process can see it, and in the end. In a ring of values the message
    /// is as long as one.
    pub(crate) fn put_announced<T>(
        &self,
        owner: &SideOwner,
        message: &T,
        announce: impl FnOnce(MessageId),
        wait: Wait,
    ) -> Result<MessageId, PutError>
    where
        T: ?Sized + Message,
    {
        let me = self.check(owner)?;
        let (sized, length) = (self.geometry().sized, size_of_val(message));
        // SAFETY: each call below gives it a record, or a file, that has room for `length` bytes
        // and belongs to this call until it is committed: as in `put_as`.
        let write = |to: *mut u8| unsafe { ToOne::write(message, to) };
        if !sized && length as u64 > self.geometry().max_message_bytes() {
            let claimed = self.claim_spilled::<BY_OWNER>(Some(me), length, wait)?;
            let id = self.id_at(self.ring.position_of(claimed.cell));
            match catch_unwind(AssertUnwindSafe(|| announce(id))) {
                Ok(()) => write(claimed.payload),
                Err(panic) => {
                    self.abort_spilled(claimed);
                    resume_unwind(panic);
                }
            }
            self.commit_spilled(claimed, length)?;
            return Ok(id);
        }
        let mut announce = Some(announce);
        let put = self.with_slot::<BY_OWNER, _>(me, length as u32, wait, &mut |slot| {
            let id = self.id_at(self.put_position());
            let announce = announce.take().expect("there is room once");
            // Inside the side, which is left in order. A slot that is dropped changes nothing.
            catch_unwind(AssertUnwindSafe(|| announce(id)))?;
            write(self.ring.memory.payload(slot.cell));
            if !sized {
                add(&self.head().put.bytes_put, length as u64);
            }
            self.ring.commit(slot);
            Ok(id)
        })?;
        let id = put.unwrap_or_else(|panic| resume_unwind(panic));
        self.notify_not_empty(ToOne::wakes(1));
        Ok(id)
    }

    /// The same of bytes, whose length is compared with the ring's geometry.
    pub(crate) fn put_bytes_announced(
        &self,
        owner: &SideOwner,
        bytes: &[u8],
        announce: impl FnOnce(MessageId),
        wait: Wait,
    ) -> Result<MessageId, PutError> {
        self.check_length(bytes.len())?;
        self.put_announced::<[u8]>(owner, bytes, announce, wait)
    }
}
