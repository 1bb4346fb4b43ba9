//! Unlinking: removes the name of a segment, in use or not.

use super::attached::Segment;
use super::claim::{self, read_header};
use super::descriptors::Descriptor;
use super::directory::Directory;
use super::names::{Place, place_of};
use super::owners::Owners;
use super::refusal::{UNLINK, about_open, check_to_open, locate};
use super::retry::Retry;
use super::spilled::{anchor_at, clean_up};
use super::syscall_error::SyscallError;
use crate::error::{OpenError, Subject};
use crate::shm::layout::segment_state;
use std::io;

impl Segment {
    /// Removes the name of a segment, in use or not, of this user or of root. Attached processes go
    /// on; no other can attach.
    pub fn unlink(name: &str) -> Result<(), OpenError> {
        Segment::unlink_of(name, &Directory::default(), &Owners::default())
    }

    /// The same, in that directory, for a segment of one of these owners.
    pub fn unlink_of(name: &str, directory: &Directory, owners: &Owners) -> Result<(), OpenError> {
        let place = place_of(directory, name).map_err(|(name, why)| OpenError::BadName { name, why })?;
        check_to_open(&place).and_then(|()| Segment::unlink_at(&place, owners)).map_err(|error| about_open(error, None, &place))
    }

    fn unlink_at(place: &Place, owners: &Owners) -> Result<(), OpenError> {
        let refused = |error| SyscallError { call: "fcntl(F_OFD_SETLK)", error };
        let mut retry = Retry::new();
        loop {
            let descriptor = locate(Descriptor::open_transient(place.path()))?;
            let file = descriptor.metadata().map_err(|error| SyscallError { call: "fstat", error })?;
            owners.check(&descriptor, &file)?;
            // Without a readable header the place of the name byte is unknown, and no process can
            // be using the segment.
            let max_participants = max_participants_of(&descriptor);
            let locked = match max_participants {
                Some(max_participants) => descriptor.lock_name(max_participants).map_err(refused)?,
                None => descriptor.lock_whole().map_err(refused)?,
            };
            let last_try = retry.ends();
            if (locked || (last_try && max_participants.is_none())) && place.leads_to(descriptor.file()) {
                let spills = anchor_if_it_spills(place, &descriptor);
                let unlinked = place.unlink();
                if unlinked.is_ok() {
                    claim::mark(&descriptor, segment_state::UNLINKED);
                }
                // Explicitly, since a raw-forked child may hold a copy of the descriptor.
                let _ = descriptor.unlock_whole();
                return match unlinked {
                    Ok(()) => {
                        if let Some(nonce) = spills {
                            clean_up(place.directory(), nonce);
                        }
                        Ok(())
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        Err(OpenError::NotFound { what: Subject::default() })
                    }
                    Err(error) => Err(SyscallError { call: UNLINK, error }.into()),
                };
            }
            let _ = descriptor.unlock_whole();
            if last_try {
                return Err(OpenError::NotReady { what: Subject::default() });
            }
            if !locked {
                Retry::pause();
            }
        }
    }
}

/// The nonce, if objects of the queue may lie in files of their own. Those of a queue in use, now or
/// later, are found by its anchor once the name is gone. (In use or not: a process may attach until
/// the name goes.) The caller holds the name byte.
///
/// If there is no room for one, or the file system has no links, the name goes all the same: as the
/// anchor comes before the first object, there is none, and a put that needs a file is refused.
fn anchor_if_it_spills(place: &Place, descriptor: &Descriptor) -> Option<u64> {
    let header = read_header(descriptor).ok().filter(|header| header.spills())?;
    let _ = anchor_at(place, header.nonce());
    Some(header.nonce())
}

fn max_participants_of(descriptor: &Descriptor) -> Option<u32> {
    let file_bytes = descriptor.metadata().ok()?.len();
    read_header(descriptor).ok()?.max_participants(file_bytes)
}
