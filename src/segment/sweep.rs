//! Judging a file dead, and taking away what the dead left.
//!
//! Invariant 1: a [`Claim`] holds the lock on the whole file that a name led to after it was locked: no participant is attached,
//! none can attach, and nobody else changes that name, until the claim is dropped.

use super::descriptors::{Conflict, Descriptor, FileId};
use super::names::{self, DIRECTORY, Place, TEMPORARY_PREFIX};
use super::stamp::{RawStamp, STAMP_BYTES, STATE_OFFSET};
use super::{Patience, Refused};
use crate::layout::stamp_state;
use crate::os;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

/// A younger temporary may belong to a creator who has not locked it yet.
const TEMPORARY_AGE_S: u64 = 10;
/// A participant that was seen is looked at once more: one that is being killed is gone by then.
const SIGHTINGS: u32 = 2;
const BETWEEN_SIGHTINGS: Duration = Duration::from_millis(2);

/// The right to do as one likes with a dead segment and its name.
pub(super) struct Claim {
    descriptor: Descriptor,
}

/// What a judge wants to know of a file.
pub(super) struct FileFacts {
    pub bytes: u64,
    /// Its owner is the user that this process acts for.
    pub is_ours: bool,
}

/// What is behind a name.
pub(super) enum Found {
    Nothing,
    /// A live participant is attached.
    InUse,
    Dead(Claim),
}

impl Claim {
    pub fn file(&self) -> FileId {
        self.descriptor.file()
    }

    /// Of the file, and whether it is this user's.
    pub fn metadata(&self) -> io::Result<FileFacts> {
        let found = self.descriptor.metadata()?;
        // SAFETY: geteuid has no preconditions and cannot fail.
        Ok(FileFacts { bytes: found.len(), is_ours: found.uid() == unsafe { libc::geteuid() } })
    }

    /// What the file says about itself, if it is long enough to say anything.
    pub fn stamp(&self) -> Option<RawStamp> {
        read_stamp(&self.descriptor).ok()
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

pub(super) fn read_stamp(descriptor: &Descriptor) -> io::Result<RawStamp> {
    let mut bytes = [0; STAMP_BYTES];
    descriptor.read_at(&mut bytes, 0)?;
    Ok(RawStamp(bytes))
}

/// Writes the state into a file of ours, without a mapping. The caller holds its name byte.
pub(super) fn mark(descriptor: &Descriptor, state: u32) {
    // A state that cannot be written is nothing to stop for: the name has gone already, which is what keeps others out.
    if read_stamp(descriptor).is_ok_and(|stamp| stamp.is_ours()) {
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
}

pub(super) fn attempt(place: &Place) -> Result<Attempt, Refused> {
    let descriptor = match Descriptor::open_transient(place.path()) {
        Ok(descriptor) => descriptor,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Attempt::Nothing),
        Err(source) => return Err(Refused { call: "open", source }),
    };
    let refused = |source| Refused { call: "fcntl(F_OFD_SETLK)", source };
    if descriptor.lock_whole().map_err(refused)? {
        let claim = Claim { descriptor };
        return Ok(if place.leads_to(claim.file()) { Attempt::Claimed(claim) } else { Attempt::Again });
    }
    let conflict = descriptor.whole_conflict().map_err(refused)?;
    // Those who hold a segment that has lost its name are in nobody's way.
    Ok(conflict.filter(|_| place.leads_to(descriptor.file())).map_or(Attempt::Again, Attempt::Conflict))
}

/// Finds out what is behind a name. A name that somebody was at work on all the time counts as in use.
pub(super) fn inspect(place: &Place, patience: &mut Patience) -> Result<Found, Refused> {
    let mut sightings = 0;
    loop {
        match attempt(place)? {
            Attempt::Nothing => return Ok(Found::Nothing),
            Attempt::Claimed(claim) => return Ok(Found::Dead(claim)),
            Attempt::Again => {}
            Attempt::Conflict(Conflict::Name) => Patience::pause(),
            Attempt::Conflict(Conflict::Pulse) => {
                sightings += 1;
                if sightings >= SIGHTINGS {
                    return Ok(Found::InUse);
                }
                thread::sleep(BETWEEN_SIGHTINGS);
            }
        }
        if patience.ends() {
            return Ok(Found::InUse);
        }
    }
}

/// Removes the temporaries of killed creators.
pub(super) fn temporaries() {
    each_file(|file_name, place| {
        if file_name.starts_with(TEMPORARY_PREFIX) && is_old(place) {
            if let Ok(Attempt::Claimed(_claim)) = attempt(place) {
                let _ = place.unlink();
            }
        }
    });
}

/// Removes anonymous segments whose participants are all dead.
pub(super) fn anonymous_segments() {
    each_file(|file_name, place| {
        if !names::is_anonymous_file(file_name) {
            return;
        }
        if let Ok(Attempt::Claimed(claim)) = attempt(place) {
            if !claim.stamp().is_some_and(|stamp| stamp.is_persisted()) && place.unlink().is_ok() {
                claim.mark(stamp_state::UNLINKED);
            }
        }
    });
}

fn each_file(mut visit: impl FnMut(&str, &Place)) {
    // What cannot be read or looked at is left alone: sweeping is a service to others.
    for file in std::fs::read_dir(DIRECTORY).into_iter().flatten().flatten() {
        if let Some(file_name) = file.file_name().to_str() {
            visit(file_name, &Place::found(file.path()));
        }
    }
}

/// By the last change of the file's inode, which its builder makes all the time. A wrong clock only costs a creator a new start.
fn is_old(place: &Place) -> bool {
    let now_s = i64::try_from(os::unix_seconds()).unwrap_or(i64::MAX);
    std::fs::symlink_metadata(place.path()).is_ok_and(|file| file.ctime().saturating_add(TEMPORARY_AGE_S as i64) < now_s)
}
