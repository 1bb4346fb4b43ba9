//! Which users' segments a caller attaches to.
//!
//! The user that owns a file can read and change all its contents, and widen its mode, whatever the
//! opener asked for; and any user may be the first to take a name in `/dev/shm`. So an opener
//! checks the owner.
//!
//! Invariants:
//! 1. The owner is read from an open descriptor, never by name: between two uses of a name another
//!    file may have taken it.
//! 2. What is then locked, mapped and written is the file behind that descriptor: see
//!    [`Mapping::remap`](super::mapping::Mapping::remap).

use super::descriptors::Descriptor;
use crate::error::{CreateError, OpenError, Subject};
use std::fs::Metadata;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;

const ROOT: u32 = 0;
/// What the kernel shows for all users that the user namespace of this process does not know,
/// unless an administrator has changed it.
pub(super) const OVERFLOW_UID: u32 = 65_534;

/// Users whose segments are accepted: always those of this process's effective user and of root,
/// and other users' only if they are named.
///
/// The owner of a segment can read and change everything in it, and any user may be the first to
/// take a name in `/dev/shm`. So a segment of another user is refused with `ForeignOwner`, which
/// names the owner; root is refused too.
///
/// ```
/// # let name = format!("doc-owners-{}", std::process::id());
/// use shmq::inspect::{Operator, Owners};
///
/// let queue = shmq::Queue::<u64>::create(&name, 10)?;
/// queue.put(&1)?;
/// // Of this user, of root, or of user 1001.
/// let operator = Operator::open_of(&name, &Owners::default().allow_owner(1001))?;
/// assert_eq!(operator.drain(10)?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    any: bool,
    also: Vec<u32>,
}

impl Owners {
    /// Accepts segments of this user too. May be called several times.
    #[must_use]
    pub fn allow_owner(mut self, uid: u32) -> Owners {
        self.also.push(uid);
        self
    }

    /// Accepts segments of every user whose permissions let this process in.
    #[must_use]
    pub fn allow_any_owner(mut self) -> Owners {
        self.any = true;
        self
    }

    /// May this process attach to the file, and change it? `file` is the metadata of the
    /// descriptor.
    pub(super) fn check(&self, descriptor: &Descriptor, file: &Metadata) -> Result<(), Foreign> {
        match file.uid() == ROOT || self.accept(descriptor, file) {
            true => Ok(()),
            false => Err(Foreign { owner_uid: file.uid() }),
        }
    }

    /// May this process replace the file by a segment of its own? Not root's, unless it is root or
    /// root is among the owners.
    pub(super) fn check_replaced(&self, descriptor: &Descriptor, file: &Metadata) -> Result<(), Foreign> {
        match self.accept(descriptor, file) {
            true => Ok(()),
            false => Err(Foreign { owner_uid: file.uid() }),
        }
    }

    fn accept(&self, descriptor: &Descriptor, file: &Metadata) -> bool {
        self.any || self.also.contains(&file.uid()) || is_own(descriptor, file)
    }
}

/// Does the file belong to this process's effective user?
pub(super) fn is_own(descriptor: &Descriptor, file: &Metadata) -> bool {
    // SAFETY: geteuid has no preconditions and cannot fail.
    file.uid() == unsafe { libc::geteuid() } && (file.uid() != OVERFLOW_UID || kernel_says_own(descriptor))
}

/// All users that this namespace does not map have the number 65534; the kernel still distinguishes
/// them. Only the owner may set O_NOATIME, which has no effect on shared memory.
fn kernel_says_own(descriptor: &Descriptor) -> bool {
    descriptor.with_number(is_own_of_unknown).unwrap_or(false)
}

/// The same, for a descriptor number.
pub(super) fn is_own_of_unknown(number: RawFd) -> bool {
    // SAFETY: the two commands take numbers; a number that leads nowhere is refused.
    unsafe {
        let flags = libc::fcntl(number, libc::F_GETFL);
        flags != -1 && libc::fcntl(number, libc::F_SETFL, flags | libc::O_NOATIME) != -1
    }
}

/// The file belongs to a user that was not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    pub owner_uid: u32,
}

impl From<Foreign> for OpenError {
    fn from(Foreign { owner_uid }: Foreign) -> OpenError {
        OpenError::ForeignOwner { what: Subject::default(), owner_uid }
    }
}

impl From<Foreign> for CreateError {
    fn from(Foreign { owner_uid }: Foreign) -> CreateError {
        CreateError::ForeignOwner { what: Subject::default(), owner_uid }
    }
}
