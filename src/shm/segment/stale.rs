//! Judging a file dead, and taking away what the dead left.
//!
//! Invariant 1: a [`Claim`] holds the lock on the whole file that a name led to after it was locked: no participant is attached,
//! none can attach, and nobody else changes that name, until the claim is dropped.

use super::descriptors::{Conflict, Descriptor, FileId};
use super::directory::Directory;
use super::header::{HEADER_BYTES, RawSegmentHeader, STATE_OFFSET};
use super::names::{self, Place, TEMPORARY_PREFIX};
use super::owners::{self, Foreign, Owners};
use super::refusal::OPEN;
use super::{Retry, SyscallError};
use crate::error::CreateError;
use crate::os;
use crate::shm::layout::segment_state;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

/// A younger temporary may belong to a creator who has not locked it yet.
const TEMPORARY_AGE_S: u64 = 10;
/// A participant that was seen is looked at once more: one that is being killed is gone by then.
const SIGHTINGS: u32 = 2;
const BETWEEN_SIGHTINGS: Duration = Duration::from_millis(2);
/// How often the creates of one process sweep.
const SWEEP_INTERVAL_NS: u64 = 10_000_000_000;

/// When this process last swept, in monotonic nanoseconds; 0 for never. A forked child goes on with its parent's times.
///
/// A sweep costs a listing of the folder and, for each anonymous segment of this user, a probe (open, lock, close). Measured with
/// `Event::new` by a process that has swept already, medians of one run, on 2 shared cores:
///
/// | beside | each create swept | once in ten seconds |
/// |---|---|---|
/// | nothing | 43 us | 38 us |
/// | 10,000 live anonymous segments of other processes | 131 ms | 38 us |
/// | 9,980 of this process | - | 53 us |
/// | 100,000 foreign files | 166 ms | 37 us |
///
/// The first create of a process pays for its sweep: 276 ms beside 10,000 live segments, 655 ms where all of them are dead, 135 ms
/// beside 100,000 foreign files. One that has a name lists the folder, but probes no anonymous segments.
static SWEPT: Swept = Swept { temporaries: AtomicU64::new(0), anonymous: AtomicU64::new(0), directory: AtomicU64::new(0) };

struct Swept {
    temporaries: AtomicU64,
    anonymous: AtomicU64,
    /// Which directory: a process that goes from one to another begins anew.
    directory: AtomicU64,
}

/// What a create clears away that is not its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sweep {
    /// The temporaries of killed creators.
    Temporaries,
    /// Those, and anonymous segments whose participants are all dead.
    All,
}

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

/// Sweeps for a create, if this process has not done so for ten seconds: see [`SWEPT`].
pub(super) fn if_due(what: Sweep, directory: &Directory) {
    if what.begins(directory, os::now_ns().max(1), SWEEP_INTERVAL_NS) {
        sweep(what, directory);
    }
}

/// Sweeps everything now, because memory is short. Returns how many files are gone.
pub(super) fn now(directory: &Directory) -> u32 {
    Sweep::All.begins(directory, os::now_ns().max(1), 0);
    sweep(Sweep::All, directory)
}

/// Does a live process of this user build a segment? Asks for locks, and takes none.
pub(super) fn sees_builders(directory: &Directory) -> bool {
    std::fs::read_dir(directory.path()).into_iter().flatten().flatten().any(|file| {
        let is_temporary = file.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY_PREFIX));
        // Of one that has not locked its file yet the second look tells.
        let is_held = |descriptor: Descriptor| matches!(descriptor.whole_conflict(), Ok(Some(Conflict::Liveness)));
        is_temporary && Descriptor::open_transient(&file.path()).is_ok_and(is_held)
    })
}

impl Sweep {
    /// Is it time, and this thread the one? Takes note of it.
    fn begins(self, directory: &Directory, now_ns: u64, interval_ns: u64) -> bool {
        if SWEPT.directory.swap(directory.number(), Relaxed) != directory.number() {
            SWEPT.temporaries.store(0, Relaxed);
            SWEPT.anonymous.store(0, Relaxed);
        }
        let is_first = |swept: &AtomicU64| {
            let before = swept.load(Relaxed);
            let due = before == 0 || now_ns.saturating_sub(before) >= interval_ns;
            // Relaxed: a time orders nothing, and the exchange makes one thread the first.
            due && swept.compare_exchange(before, now_ns, Relaxed, Relaxed).is_ok()
        };
        match self {
            Sweep::Temporaries => is_first(&SWEPT.temporaries),
            Sweep::All => {
                let first = is_first(&SWEPT.anonymous);
                if first {
                    SWEPT.temporaries.store(now_ns, Relaxed);
                }
                first
            }
        }
    }
}

/// One listing of the folder. What cannot be read or probed is left alone: sweeping is a service to others.
fn sweep(what: Sweep, directory: &Directory) -> u32 {
    let mut removed = 0;
    for file in std::fs::read_dir(directory.path()).into_iter().flatten().flatten() {
        let file_name = file.file_name();
        let Some(file_name) = file_name.to_str() else { continue };
        let is_temporary = file_name.starts_with(TEMPORARY_PREFIX);
        if !is_temporary && (what == Sweep::Temporaries || !names::is_anonymous_file(file_name)) {
            continue;
        }
        // Of all others' the user that made them takes care, root's own processes of root's.
        let Some(found) = file.metadata().ok().filter(|found| found.is_file() && found.nlink() == 1) else { continue };
        // SAFETY: geteuid has no preconditions and cannot fail.
        if found.uid() != unsafe { libc::geteuid() } || (is_temporary && !is_old(&found)) {
            continue;
        }
        removed += u32::from(remove_dead(&Place::found(directory, file.path()), is_temporary));
    }
    removed
}

fn remove_dead(place: &Place, is_temporary: bool) -> bool {
    let Ok(Attempt::Claimed(claim)) = attempt(place, &Owners::default()) else { return false };
    if !claim.is_own() || (!is_temporary && claim.header().is_some_and(|header| header.is_persisted())) {
        return false;
    }
    let removed = place.unlink().is_ok();
    if removed {
        claim.mark(segment_state::UNLINKED);
    }
    removed
}

/// By the last change of the file's inode, which its builder makes all the time. A wrong clock only costs a creator a new start.
fn is_old(found: &Metadata) -> bool {
    let now_s = i64::try_from(os::unix_seconds()).unwrap_or(i64::MAX);
    found.ctime().saturating_add(TEMPORARY_AGE_S as i64) < now_s
}
