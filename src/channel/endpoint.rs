//! Owning a side for an endpoint's life: no lock per message.
//!
//! ```text
//!   owner 0 --acquire (under the lock)--> owner id --release--> owner 0
//!                                            \--owner dies--> whoever locks next: repair, busy 0, owner 0
//! ```

use super::watch::Verb;
use super::{Channel, Failure, Patience};
use crate::participant::Id;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// Which side an endpoint owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Put,
    Get,
}

/// The right to be the only one on a side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tenure {
    pub me: Id,
    incarnation: u32,
    side: Side,
}

impl Channel {
    /// Becomes the owner of a side. `Held` while a live endpoint owns it.
    pub(crate) fn acquire(&self, side: Side) -> Result<Tenure, Failure> {
        let me = self.me()?;
        match side {
            Side::Put => {
                self.lock_put(me, Patience::Try)?;
                self.note_tenure(me, Verb::Put);
                self.head().put.owner.store(me.bits(), Release);
                self.unlock_put(me)?;
            }
            Side::Get => {
                self.lock_get(me, Patience::Try)?;
                self.note_tenure(me, Verb::Get);
                self.head().get.owner.store(me.bits(), Release);
                self.exit_get::<false>(me)?;
            }
        }
        Ok(Tenure { me, incarnation: self.incarnation(), side })
    }

    /// The endpoint's id, unless it was made before a fork.
    #[inline(always)]
    pub(crate) fn tenant(&self, tenure: &Tenure) -> Result<Option<Id>, Failure> {
        if self.incarnation() == tenure.incarnation { Ok(Some(tenure.me)) } else { Err(Failure::Inherited) }
    }

    /// Stops being the owner. An inherited endpoint touches nothing.
    pub(crate) fn vacate(&self, tenure: &Tenure) {
        if self.incarnation() != tenure.incarnation {
            return;
        }
        let owner = match tenure.side {
            Side::Put => &self.head().put.owner,
            Side::Get => &self.head().get.owner,
        };
        // Release: whoever locks the side next sees all that the endpoint did. Not 0 or ours: we were taken for dead.
        let _ = owner.compare_exchange(tenure.me.bits(), 0, Release, Relaxed);
    }
}
