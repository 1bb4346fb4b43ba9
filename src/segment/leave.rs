//! Leaving a segment, and taking its name away.

use super::descriptors::{Conflict, Descriptor};
use super::open::locate;
use super::sweep;
use super::{Patience, Refused, Segment, judge_name};
use crate::atomic::Ordering;
use crate::error::OpenError;
use crate::layout::stamp_state;
use std::io;

/// Looks at a lock that stands in a leaver's way for a moment: about 50 ms, since dropping a queue must not hang.
const LEAVE_ATTEMPTS: u32 = 250;

impl Segment {
    /// The last thing that a participant does with its segment: gives up the pulse of `entry` and, if nobody else is attached and
    /// nobody asked to keep it, takes the name away. For the owner of the pulse only, never for a child that inherited it.
    pub fn leave(&self, entry: u32) {
        if entry >= self.imprint.max_participants || !self.descriptor.is_open() || self.descriptor.unlock_pulse(entry).is_err() {
            return;
        }
        // Our own pulse went first: two leavers who kept theirs would each see the other, and leave the name to nobody.
        for _ in 0..LEAVE_ATTEMPTS {
            if self.is_persisted() {
                return;
            }
            match self.descriptor.lock_whole() {
                Ok(true) => return self.take_name_away(),
                Ok(false) => match self.descriptor.whole_conflict() {
                    // Somebody is attached, or about to be (Invariant 5 of the module above): the name is theirs to take away.
                    Ok(Some(Conflict::Pulse)) | Err(_) => return,
                    Ok(None) => {}
                    Ok(Some(Conflict::Name)) => Patience::pause(),
                },
                Err(_) => return,
            }
        }
    }

    /// For a process that is about to end while its threads may be at work here: as [`leave`](Segment::leave), but the kernel takes the
    /// pulse, after the threads. One look only, and of several that leave like this at the same time each may see the others: then the name
    /// stays for the next create to sweep.
    pub fn leave_with_the_pulse(&self) {
        // Our own pulse is no conflict. The lock ends with the process as well: given back by hand, it would take the pulse along.
        if !self.is_persisted() && self.descriptor.is_open() && matches!(self.descriptor.lock_whole(), Ok(true)) {
            self.take_name();
        }
    }

    /// With the whole file locked.
    fn take_name_away(&self) {
        self.take_name();
        // By hand, since a raw-forked child may have a copy of the descriptor.
        let _ = self.descriptor.unlock_whole();
    }

    /// With the whole file locked.
    fn take_name(&self) {
        if !self.is_persisted() && self.place.leads_to(self.descriptor.file()) && self.place.unlink().is_ok() {
            self.head().stamp.state.store(stamp_state::UNLINKED, Ordering::Release);
        }
    }

    fn is_persisted(&self) -> bool {
        self.head().stamp.persisted.load(Ordering::Acquire) != 0
    }

    /// Takes the name from a segment, in use or not. Those attached go on; nobody new comes.
    pub fn unlink(name: &str) -> Result<(), OpenError> {
        let place = judge_name(name).map_err(|(name, why)| OpenError::BadName { name, why })?;
        let refused = |source| Refused { call: "fcntl(F_OFD_SETLK)", source };
        let mut patience = Patience::new();
        loop {
            let descriptor = locate(Descriptor::open_transient(place.path()))?;
            // Without a readable stamp there is no telling where the name byte is, nor anybody who could use the segment.
            let max_participants = max_participants_of(&descriptor);
            let locked = match max_participants {
                Some(max_participants) => descriptor.lock_name(max_participants).map_err(refused)?,
                None => descriptor.lock_whole().map_err(refused)?,
            };
            let last_try = patience.ends();
            if (locked || (last_try && max_participants.is_none())) && place.leads_to(descriptor.file()) {
                let unlinked = place.unlink();
                if unlinked.is_ok() {
                    sweep::mark(&descriptor, stamp_state::UNLINKED);
                }
                // By hand, since a raw-forked child may have a copy of the descriptor.
                let _ = descriptor.unlock_whole();
                return match unlinked {
                    Ok(()) => Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Err(OpenError::NotFound),
                    Err(source) => Err(Refused { call: "unlink", source }.into()),
                };
            }
            let _ = descriptor.unlock_whole();
            if last_try {
                return Err(OpenError::NotReady);
            }
            if !locked {
                Patience::pause();
            }
        }
    }
}

fn max_participants_of(descriptor: &Descriptor) -> Option<u32> {
    let file_bytes = descriptor.metadata().ok()?.len();
    sweep::read_stamp(descriptor).ok()?.max_participants(file_bytes)
}
