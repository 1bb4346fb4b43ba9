//! The byte-range locks (OFD) of a segment's file, by which processes know of each other.

use super::descriptors::Descriptor;
use crate::os;
use crate::shm::layout::{KEEPERS_OFFSET, liveness_offset, name_byte_offset, registration_offset};
use std::io;
use std::os::fd::BorrowedFd;

/// Locks of processes that change a name cover a second byte, so that their length distinguishes
/// them from a liveness lock.
const NAME_LOCK_BYTES: u64 = 2;

/// What prevents a lock on the whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// An attached participant, a process that keeps the name, or an opener about to find that it
    /// came too late.
    Liveness,
    /// A process that changes or checks the name: gone in a moment.
    Name,
}

impl Descriptor {
    /// Takes the liveness lock of an entry. `Ok(false)`: another description holds it, or the whole
    /// file.
    pub fn lock_liveness(&self, entry: u32) -> io::Result<bool> {
        os::lock_range(self.borrow()?, liveness_offset(entry), 1)
    }

    pub fn unlock_liveness(&self, entry: u32) -> io::Result<()> {
        os::unlock_range(self.borrow()?, liveness_offset(entry), 1)
    }

    /// Does another description hold this liveness lock?
    pub fn liveness_conflict(&self, entry: u32) -> io::Result<Option<Conflict>> {
        Ok(os::conflict_in_range(self.borrow()?, liveness_offset(entry), 1)?.map(|(_, len)| kind_of(len)))
    }

    /// Does another description hold, or is it about to take, any liveness lock?
    pub fn any_liveness_conflict(&self, max_participants: u32) -> io::Result<bool> {
        let table = liveness_offset(0);
        let table_bytes = name_byte_offset(max_participants) - table;
        Ok(os::conflict_in_range(self.borrow()?, table, table_bytes)?.is_some())
    }

    /// Could this liveness lock be taken now? A read lock of another description is in the way too.
    pub fn liveness_is_free(&self, entry: u32) -> io::Result<bool> {
        Ok(os::any_conflict_in_range(self.borrow()?, liveness_offset(entry), 1)?.is_none())
    }

    /// Locks the registration byte: the right to take the entry. `Ok(false)`: another process is
    /// about to.
    pub fn lock_registration(&self, entry: u32) -> io::Result<bool> {
        os::lock_range(self.borrow()?, registration_offset(entry), 1)
    }

    pub fn unlock_registration(&self, entry: u32) -> io::Result<()> {
        os::unlock_range(self.borrow()?, registration_offset(entry), 1)
    }

    /// Locks the name byte: the right to change the name of a segment in use.
    pub fn lock_name(&self, max_participants: u32) -> io::Result<bool> {
        os::lock_range(self.borrow()?, name_byte_offset(max_participants), NAME_LOCK_BYTES)
    }

    pub fn unlock_name(&self, max_participants: u32) -> io::Result<()> {
        os::unlock_range(self.borrow()?, name_byte_offset(max_participants), NAME_LOCK_BYTES)
    }

    /// Locks out processes that would keep the name. `Ok(false)`: another description keeps it, or
    /// has this lock.
    pub fn lock_keepers(&self) -> io::Result<bool> {
        os::lock_range(self.borrow()?, KEEPERS_OFFSET, NAME_LOCK_BYTES)
    }

    pub fn unlock_keepers(&self) -> io::Result<()> {
        os::unlock_range(self.borrow()?, KEEPERS_OFFSET, NAME_LOCK_BYTES)
    }

    /// Does another description keep the name?
    pub fn name_is_kept(&self) -> io::Result<bool> {
        name_is_kept(self.borrow()?)
    }

    /// Locks the whole file, all liveness locks and the name byte included: length 0 reaches beyond
    /// any table that any version might have.
    pub fn lock_whole(&self) -> io::Result<bool> {
        os::lock_range(self.borrow()?, 0, 0)
    }

    /// The first conflict that prevents [`Descriptor::lock_whole`].
    pub fn whole_conflict(&self) -> io::Result<Option<Conflict>> {
        if let Some((_, len)) = os::conflict_in_range(self.borrow()?, 0, 0)? {
            return Ok(Some(kind_of(len)));
        }
        // Read locks: of processes that keep the name, or of one that may only read the file; they
        // cannot be distinguished.
        Ok(os::any_conflict_in_range(self.borrow()?, 0, 0)?.map(|_| Conflict::Liveness))
    }

    pub fn unlock_whole(&self) -> io::Result<()> {
        os::unlock_range(self.borrow()?, 0, 0)
    }
}

fn kind_of(lock_len: u64) -> Conflict {
    if lock_len == 1 { Conflict::Liveness } else { Conflict::Name }
}

/// Does a process keep the name of this file, through another description? A write lock on that
/// byte is of the process that removes the name, or judges the whole file.
pub(super) fn name_is_kept(file: BorrowedFd<'_>) -> io::Result<bool> {
    let is_write_locked = os::conflict_in_range(file, KEEPERS_OFFSET, 1)?.is_some();
    Ok(!is_write_locked && os::any_conflict_in_range(file, KEEPERS_OFFSET, 1)?.is_some())
}
