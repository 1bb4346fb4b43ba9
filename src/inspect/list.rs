//! Listing segments.

use super::inspector::Inspector;
use crate::error::OpenError;
use crate::shm::segment::{self, Directory};
use std::io;

/// A name in the directory of shared memory, and the segment it leads to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// The name, as given to [`Queue::open`](crate::Queue::open).
    pub name: String,
    /// User that owns the file.
    pub owner_uid: u32,
    /// The segment, or why it cannot be inspected: [`OpenError::PermissionDenied`] for another
    /// user's, [`OpenError::Corrupted`] for a file that is no segment, [`OpenError::Mismatch`] for
    /// one of another version of this crate.
    pub inspector: Result<Inspector, OpenError>,
}

/// All segments, sorted by name. Those being created have no name yet and are not included.
///
/// # Errors
/// If the directory of shared memory cannot be read.
pub fn list() -> io::Result<Vec<Found>> {
    let names = segment::names_in_use()?;
    let found = |(name, owner_uid): (String, u32)| {
        let inspector = Inspector::open(&name);
        // The segment was removed meanwhile.
        (!matches!(inspector, Err(OpenError::NotFound { .. }))).then_some(Found { name, owner_uid, inspector })
    };
    Ok(names.into_iter().filter_map(found).collect())
}

/// Files of objects that were [larger than the ring](crate::QueueBuilder::max_spilled_bytes) of a queue
/// that has no name any more, and no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remains {
    /// How many.
    pub files: u64,
    /// Their bytes, together.
    pub bytes: u64,
    /// Does the next create of their user remove them? Otherwise their anchor was removed by hand, and
    /// nothing says whether a process still uses them.
    pub is_swept: bool,
}

/// What killed processes left of queues without a name, whose objects had files of their own.
///
/// ```
/// let left = shmq::inspect::remains()?;
/// println!("{} bytes", left.iter().map(|one| one.bytes).sum::<u64>());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the directory of shared memory cannot be read.
pub fn remains() -> io::Result<Vec<Remains>> {
    let public = |one: segment::Remains| Remains { files: one.files, bytes: one.bytes, is_swept: one.has_anchor };
    Ok(segment::remains_in(&Directory::default())?.into_iter().map(public).collect())
}

/// Removes these now, of this user. Returns of how many queues.
///
/// ```
/// shmq::inspect::remove_remains()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`remains`].
pub fn remove_remains() -> io::Result<usize> {
    segment::remove_remains(&Directory::default())
}

/// All segments that have lost their names while processes use them, by the names that they had.
/// They are found through those processes, of which this user must be allowed to inspect one; every
/// descriptor of every process is read.
///
/// ```
/// # let name = format!("doc-nameless-{}", std::process::id());
/// let queue = shmq::Queue::<u64>::create(&name, 10)?;
/// shmq::Queue::<u64>::unlink(&name)?;
/// let found = shmq::inspect::nameless()?;
/// let found = found.iter().find(|found| found.name == name).expect("this process uses it");
/// assert!(!found.inspector.as_ref().unwrap().has_name());
/// # drop(queue);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If `/proc` cannot be read.
pub fn nameless() -> io::Result<Vec<Found>> {
    let found = |(name, owner_uid, view)| Found { name, owner_uid, inspector: Ok(Inspector::over(view)) };
    Ok(segment::nameless()?.into_iter().map(found).collect())
}
