//! Owning a side for an endpoint's life: no lock per message.
//!
//! ```text
//!   owner 0 --acquire (under the lock)--> owner id --release--> owner 0
//!                                            \--owner dies--> next locker: repair, busy 0, owner 0
//! ```

use super::stats::Verb;
use super::{Failure, RawQueue, Wait};
use crate::attachment::Attached;
use crate::raw::BY_LOCK;
use crate::ring::Run;
use crate::shm::participant::Id;
use crate::wait::SLICE_NS;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// Which side an endpoint owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Put,
    Get,
}

/// The sole owner of a side: what an endpoint keeps. Its cells make it one for one thread at a
/// time.
#[derive(Debug)]
pub struct SideOwner {
    pub(super) me: Id,
    pub(super) incarnation: u32,
    pub(super) run: Run,
    side: Side,
}

impl RawQueue {
    /// Becomes the owner of a side. `Held` while a live endpoint owns it, `Busy` if a
    /// process that does not run stays inside it.
    pub(crate) fn acquire(&self, side: Side) -> Result<SideOwner, Failure> {
        let me = self.me()?;
        // Unlike a `try_` verb it comes once, and has no form that waits.
        let wait = Wait::for_ns(SLICE_NS);
        let busy = |failure| if matches!(failure, Failure::Timeout) { Failure::Busy } else { failure };
        match side {
            Side::Put => {
                self.lock_put(me, wait).map_err(busy)?;
                self.note_owner(me, Verb::Put);
                self.head().put.owner.store(me.bits(), Release);
                self.unlock_put(me)?;
                // Putters that sleep until there is room learn now that the side is held, before
                // they consume a wake that another process needs.
                self.notify_not_full(u32::MAX);
            }
            Side::Get => {
                self.lock_get(me, wait).map_err(busy)?;
                self.note_owner(me, Verb::Get);
                self.head().get.yields.store(self.barrier().is_registered() as u32, Relaxed);
                self.head().get.owner.store(me.bits(), Release);
                self.exit_get::<BY_LOCK>(me)?;
                self.notify_not_empty(u32::MAX);
            }
        }
        Ok(SideOwner { me, incarnation: self.incarnation(), run: Run::of(me.bits()), side })
    }

    /// The endpoint's id, unless it was made before a fork.
    #[inline(always)]
    pub(crate) fn check(&self, owner: &SideOwner) -> Result<Id, Failure> {
        if self.incarnation() == owner.incarnation { Ok(owner.me) } else { Err(Failure::Inherited) }
    }

    /// Stops being the owner. An inherited endpoint touches nothing.
    pub(crate) fn release_side(&self, owner: &SideOwner) {
        if self.incarnation() != owner.incarnation {
            return;
        }
        let word = match owner.side {
            Side::Put => &self.head().put.owner,
            Side::Get => &self.head().get.owner,
        };
        // Release: the next process that locks the side sees all that the endpoint did. A word that
        // is not ours: we were taken for dead.
        let _ = word.compare_exchange(owner.me.bits(), 0, Release, Relaxed);
    }
}
