//! Judging a segment dead, and the right to replace or remove it.
//!
//! Invariant 1: a [`Claim`] holds the lock on the whole file that a name led to after it was locked:
//! no participant is attached, none can attach, and no other process changes that name, until the
//! claim is dropped.

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
use std::thread;
use std::time::Duration;

/// A participant that was seen is looked at once more: one that is being killed is gone by then.
const SIGHTINGS: u32 = 2;

const BETWEEN_SIGHTINGS: Duration = Duration::from_millis(2);

/// The right to do as one likes with a dead segment and its name.
pub(super) struct Claim {
    descriptor: Descriptor,
}

/// What is behind a name.
pub(super) enum Found {
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

    /// Is it this process's user's?
    pub fn is_own(&self) -> bool {
        self.descriptor.metadata().is_ok_and(|file| owners::is_own(&self.descriptor, &file))
    }

    /// May a segment of this process take its place?
    pub fn check_replaced(&self, owners: &Owners) -> Result<(), CreateError> {
        let file = self.descriptor.metadata().map_err(|error| SyscallError { call: "fstat", error })?;
        Ok(owners.check_replaced(&self.descriptor, &file)?)
    }

    /// What the file says about itself, if it is long enough to say anything.
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
        // By hand, since a raw-forked child may have a copy of the descriptor. A failure leaves it to the close.
        let _ = self.descriptor.unlock_whole();
    }
}

pub(super) fn read_header(descriptor: &Descriptor) -> io::Result<RawSegmentHeader> {
    let mut bytes = [0; HEADER_BYTES];
    descriptor.read_at(&mut bytes, 0)?;
    Ok(RawSegmentHeader(bytes))
}

/// Writes the state into a file of ours, without a mapping. The caller holds its name byte.
pub(super) fn mark(descriptor: &Descriptor, state: u32) {
    // A state that cannot be written is nothing to stop for: the name has gone already, which is what keeps others out.
    if read_header(descriptor).is_ok_and(|header| header.is_ours()) {
        let _ = descriptor.write_at(&state.to_ne_bytes(), STATE_OFFSET);
    }
}

/// One attempt at a claim.
pub(super) enum Attempt {
    Nothing,
    Claimed(Claim),
    Conflict(Conflict),
    /// The name changed, or the conflict went, while we looked.
    Again,
    Foreign(Foreign),
}

pub(super) fn attempt(place: &Place, owners: &Owners) -> Result<Attempt, SyscallError> {
    let descriptor = match Descriptor::open_transient(place.path()) {
        Ok(descriptor) => descriptor,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Attempt::Nothing),
        Err(error) => return Err(SyscallError { call: OPEN, error }),
    };
    let file = descriptor.metadata().map_err(|error| SyscallError { call: "fstat", error })?;
    if let Err(foreign) = owners.check(&descriptor, &file) {
        return Ok(Attempt::Foreign(foreign));
    }
    let refused = |error| SyscallError { call: "fcntl(F_OFD_SETLK)", error };
    if descriptor.lock_whole().map_err(refused)? {
        let claim = Claim { descriptor };
        return Ok(if place.leads_to(claim.file()) { Attempt::Claimed(claim) } else { Attempt::Again });
    }
    let conflict = descriptor.whole_conflict().map_err(refused)?;
    // Those who hold a segment that has lost its name are in nobody's way.
    Ok(conflict.filter(|_| place.leads_to(descriptor.file())).map_or(Attempt::Again, Attempt::Conflict))
}

/// Finds out what is behind a name. A name that somebody was at work on all the time counts as in use.
pub(super) fn inspect(place: &Place, owners: &Owners, retry: &mut Retry) -> Result<Found, SyscallError> {
    let mut sightings = 0;
    loop {
        match attempt(place, owners)? {
            Attempt::Nothing => return Ok(Found::Nothing),
            Attempt::Foreign(foreign) => return Ok(Found::Foreign(foreign)),
            Attempt::Claimed(claim) => return Ok(Found::Dead(claim)),
            Attempt::Again => {}
            Attempt::Conflict(Conflict::Name) => Retry::pause(),
            Attempt::Conflict(Conflict::Liveness) => {
                sightings += 1;
                if sightings >= SIGHTINGS {
                    return Ok(Found::InUse);
                }
                thread::sleep(BETWEEN_SIGHTINGS);
            }
        }
        if retry.ends() {
            return Ok(Found::InUse);
        }
    }
}
