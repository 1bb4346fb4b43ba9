//! Which segments there are.

use super::inspector::Inspector;
use crate::error::OpenError;
use crate::shm::segment;
use std::io;

/// A name in the directory of shared memory that a queue may have, and what a look at it came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// The name, as given to [`Queue::open`](crate::Queue::open).
    pub name: String,
    /// Whose file it is.
    pub owner_uid: u32,
    /// The segment; or why it cannot be looked at: [`OpenError::PermissionDenied`] for another user's, [`OpenError::Corrupted`] for a file
    /// that is no segment, [`OpenError::Mismatch`] for one of another version of this crate.
    pub inspector: Result<Inspector, OpenError>,
}

/// Every segment there is, in the order of their names. Those being created have no name yet and are not in it.
///
/// # Errors
/// If the directory of shared memory cannot be read.
pub fn list() -> io::Result<Vec<Found>> {
    let names = segment::names_in_use()?;
    let look = |(name, owner_uid): (String, u32)| {
        let inspector = Inspector::open(&name);
        // Gone between the two looks: there is nothing to tell.
        (!matches!(inspector, Err(OpenError::NotFound { .. }))).then_some(Found { name, owner_uid, inspector })
    };
    Ok(names.into_iter().filter_map(look).collect())
}

/// Every segment that has lost its name while processes use it, by the name that it had: found through those processes, of which this
/// user must be allowed to look at one. It takes a look at every descriptor of every process.
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
