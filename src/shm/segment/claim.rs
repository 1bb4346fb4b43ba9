//! Judging a segment dead, and the right to replace or remove it.
//!
//! Invariant 1: a [`Claim`] holds the lock on the whole file that a name led to after it was
//! locked: no participant is attached, none can attach, and no other process changes that name,
//! until the claim is dropped.

use super::descriptors::Descriptor;
use super::file_id::FileId;
use super::header::{HEADER_BYTES, RawSegmentHeader, STATE_OFFSET};
use super::locks::Conflict;
use super::names::Place;
use super::owners::{self, Foreign, Owners};
use super::refusal::OPEN;
use super::retry::Retry;
use super::syscall_error::SyscallError;
use crate::error::CreateError;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

/// A participant is probed once more after it was seen alive: one that is being killed is gone by
/// then.
const SIGHTINGS: u32 = 2;

const BETWEEN_SIGHTINGS: Duration = Duration::from_millis(2);

/// The right to replace or remove a dead segment and its name.
pub(super) struct Claim {
    descriptor: Descriptor,
}

/// What a name leads to.
pub(super) enum Occupant {
    Nothing,
    /// A live participant is attached.
    InUse,
    Dead(Claim),
    /// It belongs to a user that was not allowed.
    Foreign(Foreign),
}

impl Claim {
    pub fn file(&self) -> FileId {
        self.descriptor.file()
    }

    pub fn bytes(&self) -> io::Result<u64> {
        Ok(self.descriptor.metadata()?.len())
    }

    /// Names of its file.
    pub fn links(&self) -> Option<u64> {
        self.descriptor.metadata().ok().map(|file| file.nlink())
    }

    /// Does it belong to this process's user?
    pub fn is_own(&self) -> bool {
        self.descriptor.metadata().is_ok_and(|file| owners::is_own(&self.descriptor, &file))
    }

    /// May a segment of this process take its place?
    pub fn check_replaced(&self, owners: &Owners) -> Result<(), CreateError> {
        let file = self.descriptor.metadata().map_err(|error| SyscallError { call: "fstat", error })?;
        Ok(owners.check_replaced(&self.descriptor, &file)?)
    }

    /// The header, if the file is long enough to have one.
    pub fn header(&self) -> Option<RawSegmentHeader> {
        read_header(&self.descriptor).ok()
    }

    /// Writes the state, after the name was changed.
    pub fn mark(&self, state: u32) {
        mark(&self.descriptor, state);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Explicitly, since a raw-forked child may hold a copy of the descriptor. If it fails, the
        // close unlocks.
        let _ = self.descriptor.unlock_whole();
    }
}

pub(super) fn read_header(descriptor: &Descriptor) -> io::Result<RawSegmentHeader> {
    let mut bytes = [0; HEADER_BYTES];
    descriptor.read_at(&mut bytes, 0)?;
    Ok(RawSegmentHeader(bytes))
}

/// Writes the state into a segment without mapping it. The caller holds its name byte.
pub(super) fn mark(descriptor: &Descriptor, state: u32) {
    // A failure is ignored: the name is gone already, which is what keeps others out.
    if read_header(descriptor).is_ok_and(|header| header.is_ours()) {
        let _ = descriptor.write_at(&state.to_ne_bytes(), STATE_OFFSET);
    }
}

/// One attempt at a claim.
pub(super) enum ClaimAttempt {
    Nothing,
    Claimed(Claim),
    Conflict(Conflict),
    /// The name changed, or the conflict went away, meanwhile.
    Again,
    Foreign(Foreign),
}

pub(super) fn attempt(place: &Place, owners: &Owners) -> Result<ClaimAttempt, SyscallError> {
    let descriptor = match Descriptor::open_transient(place.path()) {
        Ok(descriptor) => descriptor,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ClaimAttempt::Nothing),
        Err(error) => return Err(SyscallError { call: OPEN, error }),
    };
    let file = descriptor.metadata().map_err(|error| SyscallError { call: "fstat", error })?;
    if let Err(foreign) = owners.check(&descriptor, &file) {
        return Ok(ClaimAttempt::Foreign(foreign));
    }
    let refused = |error| SyscallError { call: "fcntl(F_OFD_SETLK)", error };
    if descriptor.lock_whole().map_err(refused)? {
        let claim = Claim { descriptor };
        return Ok(if place.leads_to(claim.file()) { ClaimAttempt::Claimed(claim) } else { ClaimAttempt::Again });
    }
    let conflict = descriptor.whole_conflict().map_err(refused)?;
    // Processes that hold a segment without a name do not keep the name from being used.
    Ok(conflict.filter(|_| place.leads_to(descriptor.file())).map_or(ClaimAttempt::Again, ClaimAttempt::Conflict))
}

/// Finds out what a name leads to. A name that was being changed all the time counts as in use.
pub(super) fn inspect(place: &Place, owners: &Owners, retry: &mut Retry) -> Result<Occupant, SyscallError> {
    let mut sightings = 0;
    loop {
        match attempt(place, owners)? {
            ClaimAttempt::Nothing => return Ok(Occupant::Nothing),
            ClaimAttempt::Foreign(foreign) => return Ok(Occupant::Foreign(foreign)),
            ClaimAttempt::Claimed(claim) => return Ok(Occupant::Dead(claim)),
            ClaimAttempt::Again => {}
            ClaimAttempt::Conflict(Conflict::Name) => Retry::pause(),
            ClaimAttempt::Conflict(Conflict::Liveness) => {
                sightings += 1;
                if sightings >= SIGHTINGS {
                    return Ok(Occupant::InUse);
                }
                thread::sleep(BETWEEN_SIGHTINGS);
            }
        }
        if retry.ends() {
            return Ok(Occupant::InUse);
        }
    }
}
