//! Removing what killed processes left: their temporaries and their anonymous segments.
//!
//! Only files that a [`Claim`](claim::Claim) has shown to be dead are removed.

use super::claim::{self, ClaimAttempt, Occupant};
use super::descriptors::Descriptor;
use super::directory::{Directory, own_uid};
use super::header::RawSegmentHeader;
use super::locks::Conflict;
use super::names::{self, Place, TEMPORARY_PREFIX, place_of};
use super::owners::Owners;
use super::refusal::{UNLINK, about_open, check_to_open};
use super::retry::Retry;
use super::spilled::{Cleaned, SpillName, clean_up, clean_up_claimed};
use super::syscall_error::SyscallError;
use crate::error::{OpenError, Subject};
use crate::os;
use crate::shm::layout::segment_state;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// A younger temporary may belong to a creator that has not locked it yet.
const TEMPORARY_AGE_S: u64 = 10;
/// A segment has one name, and perhaps an anchor (`spilled`).
const LINKS: u64 = 2;
/// How often the creates of one process scan for stale files.
const SCAN_INTERVAL_NS: u64 = 10_000_000_000;

/// When this process last scanned for stale files, in monotonic nanoseconds; 0 for never. A forked
/// child continues with its parent's times.
///
/// A scan costs a listing of the directory and, for each anonymous segment of this user, a probe
/// (open, lock, close). Measured with `Event::new` by a process that has scanned before, medians of
/// one run, on 2 shared cores:
///
/// | beside | each create scanned | once in ten seconds |
/// |---|---|---|
/// | nothing | 43 us | 38 us |
/// | 10,000 live anonymous segments of other processes | 131 ms | 38 us |
/// | 9,980 of this process | - | 53 us |
/// | 100,000 foreign files | 166 ms | 37 us |
///
/// The first create of a process pays for its scan: 276 ms beside 10,000 live segments, 655 ms if
/// all of them are dead, 135 ms beside 100,000 foreign files. A create with a name lists the
/// directory, but probes no anonymous segments.
static LAST_SCAN: LastScan =
    LastScan { temporaries: AtomicU64::new(0), anonymous: AtomicU64::new(0), directory: AtomicU64::new(0) };

struct LastScan {
    temporaries: AtomicU64,
    anonymous: AtomicU64,
    /// Which directory: a process that changes to another starts afresh.
    directory: AtomicU64,
}

/// What a create removes besides its own files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The temporaries of killed creators.
    Temporaries,
    /// Those, and anonymous segments whose participants are all dead.
    All,
}

/// Removes stale files before a create, if this process has not done so for ten seconds: see
/// [`LAST_SCAN`].
pub(super) fn remove_if_due(what: Scope, directory: &Directory) {
    if what.begins(directory, os::now_ns().max(1), SCAN_INTERVAL_NS) {
        remove_stale_files(what, directory);
    }
}

/// Removes everything stale now, because memory is short. Returns how many files were removed.
pub(super) fn remove_now(directory: &Directory) -> u32 {
    Scope::All.begins(directory, os::now_ns().max(1), 0);
    remove_stale_files(Scope::All, directory)
}

/// Is a live process of this user building a segment? Tests locks, and takes none.
pub(super) fn sees_builders(directory: &Directory) -> bool {
    std::fs::read_dir(directory.path()).into_iter().flatten().flatten().any(|file| {
        let is_temporary = file.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY_PREFIX));
        // A builder that has not locked its file yet is found by the caller's second check.
        let is_held = |descriptor: Descriptor| matches!(descriptor.whole_conflict(), Ok(Some(Conflict::Liveness)));
        is_temporary && Descriptor::open_transient(&file.path()).is_ok_and(is_held)
    })
}

impl Scope {
    /// Is a scan due, and is this the thread that does it? Records the time.
    fn begins(self, directory: &Directory, now_ns: u64, interval_ns: u64) -> bool {
        if LAST_SCAN.directory.swap(directory.number(), Relaxed) != directory.number() {
            LAST_SCAN.temporaries.store(0, Relaxed);
            LAST_SCAN.anonymous.store(0, Relaxed);
        }
        let is_first = |scanned: &AtomicU64| {
            let before = scanned.load(Relaxed);
            let due = before == 0 || now_ns.saturating_sub(before) >= interval_ns;
            // Relaxed: the time orders nothing else, and the exchange lets one thread through.
            due && scanned.compare_exchange(before, now_ns, Relaxed, Relaxed).is_ok()
        };
        match self {
            Scope::Temporaries => is_first(&LAST_SCAN.temporaries),
            Scope::All => {
                let first = is_first(&LAST_SCAN.anonymous);
                if first {
                    LAST_SCAN.temporaries.store(now_ns, Relaxed);
                }
                first
            }
        }
    }
}

/// One listing of the directory. Files that cannot be read or probed are left alone.
fn remove_stale_files(what: Scope, directory: &Directory) -> u32 {
    let mut removed = 0;
    for file in std::fs::read_dir(directory.path()).into_iter().flatten().flatten() {
        let file_name = file.file_name();
        let Some(file_name) = file_name.to_str() else { continue };
        if let Some(SpillName::Anchor { nonce }) = SpillName::of(file_name) {
            removed += u32::from(clean_up(directory, nonce) == Cleaned::Now);
            continue;
        }
        let is_temporary = file_name.starts_with(TEMPORARY_PREFIX);
        if !is_temporary && (what == Scope::Temporaries || !names::is_anonymous_file(file_name)) {
            continue;
        }
        // Other users' files are left to their own processes, root's to root's.
        let Some(found) = file.metadata().ok().filter(|found| found.is_file() && found.nlink() <= LINKS) else { continue };
        if found.uid() != own_uid() || (is_temporary && !is_old(&found)) {
            continue;
        }
        removed += u32::from(remove_dead(&Place::found(directory, file.path()), is_temporary));
    }
    removed
}

fn remove_dead(place: &Place, is_temporary: bool) -> bool {
    let Ok(ClaimAttempt::Claimed(claim)) = claim::attempt(place, &Owners::default()) else { return false };
    if !claim.is_own() || (!is_temporary && claim.header().is_some_and(|header| header.is_persisted())) {
        return false;
    }
    let removed = place.unlink().is_ok();
    if removed {
        claim.mark(segment_state::UNLINKED);
        clean_up_claimed(&claim, place.directory());
    }
    removed
}

/// By the last change of the file's inode, which its builder keeps updating. A wrong clock only
/// makes a creator start over.
fn is_old(found: &Metadata) -> bool {
    let now_s = i64::try_from(os::unix_seconds()).unwrap_or(i64::MAX);
    found.ctime().saturating_add(TEMPORARY_AGE_S as i64) < now_s
}

/// What became of an attempt to remove a stale segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removal {
    /// It is gone.
    Removed,
    /// A live process is attached, or a forked child that has not called yet keeps the name: left
    /// alone.
    InUse,
    /// No process is attached, but it is persisted: left alone.
    Persisted,
    /// A file that is no segment, or one of a version that this build cannot judge: left alone.
    Foreign,
}

/// Removes a segment that no process is attached to.
pub(crate) fn remove_stale(name: &str, even_persisted: bool, owners: &Owners) -> Result<Removal, OpenError> {
    let place = place_of(&Directory::default(), name).map_err(|(name, why)| OpenError::BadName { name, why })?;
    check_to_open(&place)
        .and_then(|()| remove_stale_at(&place, even_persisted, owners))
        .map_err(|error| about_open(error, None, &place))
}

fn remove_stale_at(place: &Place, even_persisted: bool, owners: &Owners) -> Result<Removal, OpenError> {
    match claim::inspect(place, owners, &mut Retry::new())? {
        Occupant::Nothing => Err(OpenError::NotFound { what: Subject::default() }),
        Occupant::Foreign(foreign) => Err(foreign.into()),
        Occupant::InUse => Ok(Removal::InUse),
        Occupant::Dead(claim) => {
            let Some(header) = claim.header().filter(RawSegmentHeader::is_of_our_format) else { return Ok(Removal::Foreign) };
            if header.is_persisted() && !even_persisted {
                return Ok(Removal::Persisted);
            }
            place.unlink().map_err(|error| SyscallError { call: UNLINK, error })?;
            claim.mark(segment_state::UNLINKED);
            clean_up_claimed(&claim, place.directory());
            Ok(Removal::Removed)
        }
    }
}
