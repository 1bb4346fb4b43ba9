//! Messages that are finished, and read in place on: what keeps their room, and who ends that.
//!
//! ```text
//!   LEASED --pin: the message is done--> READ --unpin: the last view is gone--> DONE
//!                                          \--its holder dies--> DONE
//! ```
//!
//! | READ of a dead process is found by | and ended |
//! |---|---|
//! | a put that finds no room, at once | before it says Full, or sleeps |
//! | a getter's probe, once a slice | with what the dead had on lease |
//! | `recover`, and a newcomer that succeeds the dead | before their entries are used again |

use super::{Failure, LeasedRecord, RawQueue, Wait};
use crate::error::GetError;
use crate::os::Deadline;
use crate::raw::probe::{FREED_AT_ONCE, Probes};
use crate::ring::{Corrupted, Found, Header, Repaired, Upto};
use crate::shm::geometry::CellIndex;
use crate::shm::participant::Id;

/// A message that is finished, and which this process still reads in place.
#[derive(Clone, Copy, Debug)]
pub enum PinnedRecord {
    /// Its record, in the state READ.
    InRing { cell: CellIndex, header: Header },
    /// The object of a mapping whose file is gone: see `spilled`, Invariant 3.
    InFile { object: *mut u8 },
}

impl RawQueue {
    /// Finishes a lease, as [`release`](RawQueue::release) does, and keeps the record: until
    /// [`unpin`](RawQueue::unpin), its payload stays where it is.
    pub(crate) fn pin(&self, record: LeasedRecord) -> Result<PinnedRecord, GetError> {
        let LeasedRecord { cell, header, .. } = record;
        let pinned = self.ring.pin(cell, header);
        self.notify_all_done();
        match pinned {
            Some(header) => Ok(PinnedRecord::InRing { cell, header }),
            None => self.keep_spilled(record).map(|object| PinnedRecord::InFile { object }),
        }
    }

    /// Frees the room of a finished message.
    pub(crate) fn unpin(&self, pinned: PinnedRecord) -> Result<(), GetError> {
        let (cell, header) = match pinned {
            PinnedRecord::InRing { cell, header } => (cell, header),
            PinnedRecord::InFile { object } => {
                RawQueue::unmap_spilled(object);
                return Ok(());
            }
        };
        let freed = self.ring.unpin(cell, header);
        // As at the end of a lease: it may be the oldest of several.
        self.notify_not_full(u32::MAX);
        if freed { Ok(()) } else { Err(self.poison().into()) }
    }

    /// Ends what stops a full put side, if it is views of dead processes. Needs the put side, and
    /// only *tries* its lock if the caller is an endpoint. Returns `true` if there may be room now.
    #[cold]
    pub(super) fn end_stopping_views<const OWNED: bool>(&self, me: Id) -> Result<bool, Corrupted> {
        if !self.ring.is_stopped_by_views()? {
            return Ok(false);
        }
        let probes = Probes::new(self, me);
        let lock = self.locks().put(self.head());
        // A dead holder left nothing to repair: while a Producer lives, no other process moves the
        // cursors.
        if OWNED && lock.lock(self.segment(), me, Deadline::PASSED, false).is_none() {
            return Ok(false);
        }
        let ended = self.ring.end_stopping_views(|owner| probes.is_dead(owner));
        if OWNED && lock.unlock(me).is_err() {
            self.poison();
        }
        self.report_ended(*ended.as_ref().unwrap_or(&0));
        Ok(ended? != 0)
    }

    /// Ends all views of dead processes before head. Beside a live Producer too.
    #[cold]
    pub(super) fn end_views_of_the_dead(&self, me: Id, wait: Wait) -> Result<u64, Failure> {
        if !self.may_hold_leases() {
            return Ok(0);
        }
        let probes = Probes::new(self, me);
        // Garbage is reported by the call that reads it.
        let found = self.ring.find_the_dead(Upto::Head, self.settled(), |owner| probes.is_dead(owner), |_| false, usize::MAX);
        let viewed: Vec<Found> = found.unwrap_or_default().into_iter().filter(Found::is_viewed).collect();
        self.end_found_views(&viewed, me, wait)
    }

    /// Ends those of `viewed` that are still there, a few at a time. Needs no side.
    #[cold]
    pub(super) fn end_found_views(&self, viewed: &[Found], me: Id, wait: Wait) -> Result<u64, Failure> {
        let mut ended = 0;
        for part in viewed.chunks(FREED_AT_ONCE) {
            // Probed again under the lock: as for leases of the dead.
            let probes = Probes::new(self, me);
            self.lock_put_beside_endpoint(me, wait)?;
            let now = self.ring.end_found_views(part, |owner| probes.is_dead(owner));
            self.report_ended(now);
            self.unlock_put(me)?;
            ended += now;
        }
        Ok(ended)
    }

    fn report_ended(&self, views: u64) {
        if views != 0 {
            self.count(Repaired { views, ..Repaired::default() });
            self.notify_not_full(u32::MAX);
        }
    }
}
