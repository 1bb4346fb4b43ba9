//! Files of objects that are larger than their ring, and the anchor that keeps them.
//!
//! ```text
//!  shmq-spill.<nonce, 16 hex>.<position, 16 hex>   the object of the record at that position
//!  shmq-spill.<nonce, 16 hex>.anchor               a second name of the segment's own file
//! ```
//!
//! `src/spill/mod.rs` has the protocol. The locks on a segment's file say whether a process is
//! attached to it, as long as the file can be found. So where its objects have files, the segment
//! has a second name: the anchor. It is made before the first of these files, and by `unlink`
//! before the name goes.
//!
//! Invariants:
//! 1. A name of a position leads to nothing, or to the file of the one record that had that
//!    position last, or had it before and is finished.
//! 2. The files of a nonce, and its anchor last, are removed by a process that holds the lock on the
//!    whole file of the anchor, or both locks of a leaver (keepers and name), and saw that the file
//!    has no other name: no process is attached, none can attach, and no name comes back.

use super::attached::Segment;
use super::claim::{self, Claim, ClaimAttempt};
use super::descriptors::Descriptor;
use super::directory::Directory;
use super::file_id::FileId;
use super::locks::Conflict;
use super::names::Place;
use super::owners::Owners;
use super::retry::Retry;
use super::space::{missing_bytes, reserve};
use super::spec::OWNER_MODE;
use super::spill_mapping::{FILE_HEAD_BYTES, FileHead, SpillMapping};
use crate::error::CreateError;
use crate::os;
use crate::shm::layout::PAGE_BYTES;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const PREFIX: &str = "shmq-spill.";
const ANCHOR: &str = "anchor";
const DIGITS: usize = 16;
/// Bytes of the longest name, with a slash before it and a NUL behind it.
const NAME_BYTES: usize = 1 + PREFIX.len() + 2 * DIGITS + 1 + 1;

/// Why the file of an object was not made, or cannot be read.
#[derive(Debug)]
pub(crate) enum SpillError {
    NoSpace {
        needed_bytes: u64,
        free_bytes: u64,
    },
    Os {
        call: &'static str,
        source: io::Error,
    },
    /// It is gone, or no file of this record: it never can be read.
    Lost {
        source: io::Error,
    },
}

fn os_error(call: &'static str) -> impl Fn(io::Error) -> SpillError {
    move |source| SpillError::Os { call, source }
}

/// The largest object whose file has no more than so many bytes.
pub(crate) fn object_bytes(file_bytes: u64) -> u64 {
    (file_bytes / PAGE_BYTES * PAGE_BYTES).saturating_sub(FILE_HEAD_BYTES as u64)
}

/// Bytes that the file of an object has: whole pages.
pub(crate) fn file_bytes(object_bytes: u64) -> u64 {
    object_bytes.saturating_add(FILE_HEAD_BYTES as u64).div_ceil(PAGE_BYTES).saturating_mul(PAGE_BYTES)
}

fn path_of(directory: &Directory, nonce: u64, which: &str) -> PathBuf {
    directory.path().join(format!("{PREFIX}{nonce:016x}.{which}"))
}

fn anchor_of(directory: &Directory, nonce: u64) -> Place {
    Place::found(directory, path_of(directory, nonce, ANCHOR))
}

fn hexadecimal(digits: &str) -> Option<u64> {
    let is_ours = digits.len() == DIGITS && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    is_ours.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// What a file of the directory is, if it belongs to the objects of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpillName {
    Anchor { nonce: u64 },
    Object { nonce: u64, position: u64 },
}

impl SpillName {
    pub fn of(file_name: &str) -> Option<SpillName> {
        let (nonce, which) = file_name.strip_prefix(PREFIX)?.split_once('.')?;
        let nonce = hexadecimal(nonce)?;
        match which {
            ANCHOR => Some(SpillName::Anchor { nonce }),
            position => Some(SpillName::Object { nonce, position: hexadecimal(position)? }),
        }
    }
}

/// Is this the other name of a segment's file?
pub(super) fn is_anchored(directory: &Directory, nonce: u64, file: FileId) -> bool {
    anchor_of(directory, nonce).leads_to(file)
}

/// Gives a segment in use its anchor, before its name goes. The caller holds the name byte, and the
/// name leads to the segment.
pub(super) fn anchor_at(place: &Place, nonce: u64) -> io::Result<()> {
    match fs::hard_link(place.path(), anchor_of(place.directory(), nonce).path()) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Removes the files of a segment that no process is attached to and that has lost its name
/// (Invariant 2). Otherwise leaves them alone. Called after a name was removed, with no lock held.
pub(super) fn clean_up(directory: &Directory, nonce: u64) -> Cleaned {
    let anchor = anchor_of(directory, nonce);
    let mut retry = Retry::short();
    loop {
        match claim::attempt(&anchor, &Owners::default()) {
            Ok(ClaimAttempt::Claimed(claim)) => {
                let is_last_name = claim.links() == Some(1) && claim.header().is_some_and(|header| header.nonce() == nonce);
                return if is_last_name && remove_all(directory, nonce) { Cleaned::Now } else { Cleaned::Not };
            }
            Ok(ClaimAttempt::Conflict(Conflict::Name) | ClaimAttempt::Again) if !retry.ends() => Retry::pause(),
            Ok(ClaimAttempt::Nothing) => return Cleaned::Before,
            _ => return Cleaned::Not,
        }
    }
}

/// Outcome of an attempt to remove the files of a segment without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cleaned {
    Now,
    /// There is no anchor.
    Before,
    /// A name leads to the segment, or a process is attached or keeps it.
    Not,
}

/// The same under a claim that the caller holds.
pub(super) fn clean_up_claimed(claim: &Claim, directory: &Directory) {
    if claim.links() == Some(1) {
        if let Some(header) = claim.header().filter(|header| header.spills()) {
            if is_anchored(directory, header.nonce(), claim.file()) {
                remove_all(directory, header.nonce());
            }
        }
    }
}

/// The anchor last: a process killed before it leaves the anchor to the next sweep, and so does one
/// that cannot list the directory. (Without an anchor no sweep would remove the objects.)
fn remove_all(directory: &Directory, nonce: u64) -> bool {
    let Ok(objects) = objects_of(directory, nonce) else { return false };
    for (position, _) in objects {
        let _ = remove(directory, nonce, position, |_| ());
    }
    let _ = anchor_of(directory, nonce).unlink();
    true
}

/// Position and bytes of each object that has a file.
fn objects_of(directory: &Directory, nonce: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(directory.path())? {
        let file = file?;
        let name = file.file_name();
        if let Some(SpillName::Object { position, .. }) = name
            .to_str()
            .and_then(SpillName::of)
            .filter(|name| matches!(name, SpillName::Object { nonce: its, .. } if *its == nonce))
        {
            found.push((position, file.metadata().map_or(0, |file| file.len())));
        }
    }
    Ok(found)
}

/// The files of one segment that no process is attached to and no name leads to: number and bytes, its
/// anchor not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    pub files: u64,
    pub bytes: u64,
    /// Without an anchor nothing says whether a process uses them: no sweep removes them.
    pub has_anchor: bool,
}

/// What killed processes left of segments without a name. Takes no lock.
pub(crate) fn remains_in(directory: &Directory) -> io::Result<Vec<Remains>> {
    let mut found = BTreeMap::<u64, Remains>::new();
    for file in fs::read_dir(directory.path())?.flatten() {
        match file.file_name().to_str().and_then(SpillName::of) {
            Some(SpillName::Anchor { nonce }) => found.entry(nonce).or_default().has_anchor = true,
            Some(SpillName::Object { nonce, .. }) => {
                let remains = found.entry(nonce).or_default();
                remains.files += 1;
                remains.bytes += file.metadata().map_or(0, |file| file.len());
            }
            None => {}
        }
    }
    found.retain(|&nonce, remains| !remains.has_anchor || is_left(&anchor_of(directory, nonce)));
    Ok(found.into_values().collect())
}

/// Is the anchor the file's only name, and no process attached?
fn is_left(anchor: &Place) -> bool {
    let Ok(file) = Descriptor::open_transient(anchor.path()) else { return false };
    file.metadata().is_ok_and(|found| found.nlink() == 1) && matches!(file.whole_conflict(), Ok(None))
}

/// Removes what killed processes left of segments without a name; returns of how many.
pub(crate) fn remove_remains(directory: &Directory) -> io::Result<usize> {
    let mut removed = 0;
    for file in fs::read_dir(directory.path())?.flatten() {
        if let Some(SpillName::Anchor { nonce }) = file.file_name().to_str().and_then(SpillName::of) {
            removed += usize::from(clean_up(directory, nonce) == Cleaned::Now);
        }
    }
    Ok(removed)
}

/// Removes the file of a position, and returns its bytes, which `before` learns before. Allocates
/// nothing: it may be called under a side.
fn remove(directory: &Directory, nonce: u64, position: u64, before: impl FnOnce(u64)) -> Option<u64> {
    let mut path = [0u8; libc::PATH_MAX as usize + NAME_BYTES];
    let within = directory.path().as_os_str().as_bytes();
    path.get_mut(..within.len())?.copy_from_slice(within);
    {
        use io::Write;
        let end = path.len() - 1;
        let mut name = path.get_mut(within.len()..end)?;
        write!(name, "/{PREFIX}{nonce:016x}.{position:016x}").ok()?;
    }
    // SAFETY: stat is plain integers, which the call fills; the path is NUL-terminated (the last
    // byte is never written) and outlives the calls.
    unsafe {
        let mut found: libc::stat = std::mem::zeroed();
        let bytes = (libc::lstat(path.as_ptr().cast(), &mut found) == 0).then_some(found.st_size as u64)?;
        before(bytes);
        (libc::unlink(path.as_ptr().cast()) == 0).then_some(bytes)
    }
}

/// The first bytes of the object of a position, without mapping it.
pub(super) fn read_object(directory: &Directory, nonce: u64, position: u64, length: usize) -> io::Result<Vec<u8>> {
    let path = path_of(directory, nonce, &format!("{position:016x}"));
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK).open(path)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, FILE_HEAD_BYTES as u64)?;
    Ok(bytes)
}

impl Segment {
    /// Bytes of objects that may lie in files of their own; 0: none may.
    pub fn max_spilled_bytes(&self) -> u64 {
        self.info.max_spilled_bytes
    }

    /// Makes sure that the segment has its anchor.
    ///
    /// # Errors
    /// `NotFound`: its name is gone, and was gone before there was an anchor.
    pub fn ensure_anchor(&self) -> io::Result<()> {
        let (directory, nonce, file) = (self.place.directory(), self.info.nonce, self.descriptor.file());
        let anchor = anchor_of(directory, nonce);
        let mut retry = Retry::new();
        loop {
            if anchor.leads_to(file) {
                return Ok(());
            }
            // While this process is attached, no other removes the anchor.
            let locked = self.descriptor.lock_name(self.info.max_participants)?;
            if locked {
                let made = match self.place.leads_to(file) {
                    true => self.link_anchor(&anchor),
                    // By a process that made it, and then took the name away.
                    false if anchor.leads_to(file) => Ok(()),
                    false => Err(io::Error::new(io::ErrorKind::NotFound, "the segment has lost its name")),
                };
                self.descriptor.unlock_name(self.info.max_participants)?;
                made?;
                if anchor.leads_to(file) {
                    return Ok(());
                }
                let other = "another file has the name of the segment's anchor";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, other));
            }
            if retry.ends() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Retry::pause();
        }
    }

    /// Gives this very file its second name. The lock on the name is the attachment's, so another
    /// thread may hold it too and end it first; a peer may then give the name to a new segment. The
    /// descriptor leads to the right file all the same. Where there is no /proc, the name has to do.
    fn link_anchor(&self, anchor: &Place) -> io::Result<()> {
        let target = CString::new(anchor.path().as_os_str().as_bytes())?;
        let linked = self.descriptor.with_number(|number| {
            let source = CString::new(format!("/proc/self/fd/{number}")).expect("no NUL in digits");
            // SAFETY: both paths are NUL-terminated and outlive the call.
            match unsafe {
                libc::linkat(libc::AT_FDCWD, source.as_ptr(), libc::AT_FDCWD, target.as_ptr(), libc::AT_SYMLINK_FOLLOW)
            } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        })?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // Not for a file that has lost its last name: that path may lead to another one by now.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !Path::new("/proc/self/fd").exists() => {
                anchor_at(&self.place, self.info.nonce)
            }
            linked => linked,
        }
    }

    /// Makes the file of an object, of zeros. The caller has claimed the record at that position.
    pub fn create_spilled(&self, position: u64, object_bytes: u64) -> Result<SpillMapping, SpillError> {
        let (directory, nonce) = (self.place.directory(), self.info.nonce);
        let path = path_of(directory, nonce, &format!("{position:016x}"));
        let made = self.make_spilled(&path, position, object_bytes);
        if made.is_err() {
            let _ = remove(directory, nonce, position, |_| ());
        }
        made
    }

    fn make_spilled(&self, path: &Path, position: u64, object_bytes: u64) -> Result<SpillMapping, SpillError> {
        let make = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).mode(OWNER_MODE).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
            options.open(path)
        };
        match make() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Left by a record that is finished (Invariant 1).
                fs::remove_file(path).map_err(os_error("unlink a stale file of an object"))?;
                make()
            }
            made => made,
        }
        .map_err(os_error("open a new file for an object"))?;
        let file = Descriptor::open_transient(path).map_err(os_error("open a new file for an object"))?;
        if let Some(segment) = self.descriptor.metadata().ok().filter(|segment| segment.mode() & 0o666 != OWNER_MODE) {
            // Those who share the segment by its group read the object by the same group. Refused to a
            // user who is not in it: then the other bits of the mode have let that user in.
            let keep = libc::uid_t::MAX;
            // SAFETY: fchown takes numbers.
            let _ = file.with_number(|number| unsafe { libc::fchown(number, keep, segment.gid()) });
            file.set_mode(segment.mode() & 0o666).map_err(os_error("fchmod"))?;
        }
        let bytes = file_bytes(object_bytes);
        if os::file_size_limit().is_some_and(|limit| limit < bytes) {
            return Err(os_error("fallocate (see RLIMIT_FSIZE, ulimit -f)")(io::Error::from_raw_os_error(libc::EFBIG)));
        }
        reserve(&file, bytes).map_err(|error| match error {
            CreateError::NoSpace { needed_bytes, free_bytes, .. } => SpillError::NoSpace { needed_bytes, free_bytes },
            CreateError::Os { call, source, .. } => SpillError::Os { call, source },
            other => SpillError::Os { call: "fallocate", source: io::Error::other(other) },
        })?;
        let head = FileHead::new(self.info.nonce, position, object_bytes);
        // SAFETY: the descriptor is open, and the file has that many bytes, all of them allocated.
        let mapping = file.with_number(|number| unsafe { SpillMapping::of_number(number, bytes, object_bytes) });
        let mapping = mapping.and_then(|mapping| mapping).map_err(os_error("mmap"))?;
        // SAFETY: a new mapping begins with room for a head, aligned to a page.
        unsafe { mapping.head().write(head) };
        Ok(mapping)
    }

    /// Maps the file of the object of the record at that position.
    pub fn open_spilled(&self, position: u64, object_bytes: u64) -> Result<SpillMapping, SpillError> {
        let path = path_of(self.place.directory(), self.info.nonce, &format!("{position:016x}"));
        let lost = |source| SpillError::Lost { source };
        let garbage = |why| lost(io::Error::new(io::ErrorKind::InvalidData, why));
        let file = match Descriptor::open_transient(&path) {
            Ok(file) => file,
            Err(error) => {
                let never = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENXIO | libc::ELOOP | libc::EISDIR));
                let is_lost = never && self.sees_its_file_system();
                return Err(if is_lost { lost(error) } else { os_error("open the file of an object")(error) });
            }
        };
        let found = file.metadata().map_err(os_error("fstat"))?;
        if found.len() < file_bytes(object_bytes) || missing_bytes(&found) > 0 {
            return Err(garbage("the file of the object is too short"));
        }
        // SAFETY: the descriptor is open, and the file has that many bytes, all of them allocated.
        let mapping =
            file.with_number(|number| unsafe { SpillMapping::of_number(number, file_bytes(object_bytes), object_bytes) });
        let mapping = mapping.and_then(|mapping| mapping).map_err(os_error("mmap"))?;
        // SAFETY: the mapping begins with the bytes of a head, aligned to a page; any bits are one.
        let head = unsafe { mapping.head().read() };
        if head != FileHead::new(self.info.nonce, position, head.room) || head.room < object_bytes {
            return Err(garbage("the file is not that of the object"));
        }
        Ok(mapping)
    }

    /// Does the directory's path lead to the file system of the segment? Not in a process that has
    /// changed its root, or mounted another one there: what it does not find is not lost.
    fn sees_its_file_system(&self) -> bool {
        let directory = fs::metadata(self.place.directory().path()).map(|found| found.dev());
        let file = self.descriptor.metadata().map(|found| found.dev());
        matches!((directory, file), (Ok(directory), Ok(file)) if directory == file)
    }

    /// Removes the file of a position, and returns its bytes, which `before` learns before. Allocates
    /// nothing.
    pub fn remove_spilled(&self, position: u64, before: impl FnOnce(u64)) -> Option<u64> {
        if self.info.max_spilled_bytes == 0 {
            return None;
        }
        remove(self.place.directory(), self.info.nonce, position, before)
    }

    /// Position and bytes of each object that has a file.
    ///
    /// # Errors
    /// The directory cannot be listed: out of descriptors, without the rights, another root.
    pub fn spilled_objects(&self) -> io::Result<Vec<(u64, u64)>> {
        objects_of(self.place.directory(), self.info.nonce)
    }

    /// Removes the files, if the name is gone and the caller holds the locks of the last leaver.
    pub(super) fn clean_up_as_last(&self) {
        if self.info.max_spilled_bytes == 0 {
            return;
        }
        let (directory, nonce, file) = (self.place.directory(), self.info.nonce, self.descriptor.file());
        // First, since it allocates nothing: a process may exit in a signal handler, above a frame that
        // allocates. Without objects there is an anchor only if the queue was unlinked.
        let is_last_name = self.descriptor.metadata().is_ok_and(|found| found.nlink() == 1);
        if is_last_name && is_anchored(directory, nonce, file) {
            remove_all(directory, nonce);
        }
    }

    /// The same, for a caller without locks.
    pub(super) fn clean_up(&self) {
        if self.info.max_spilled_bytes != 0 {
            clean_up(self.place.directory(), self.info.nonce);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_nonce_and_position() {
        let name = |which: &str| path_of(&Directory::at("/x"), 0xab, which).file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(SpillName::of(&name(ANCHOR)), Some(SpillName::Anchor { nonce: 0xab }));
        assert_eq!(SpillName::of(&name("00000000000000ff")), Some(SpillName::Object { nonce: 0xab, position: 255 }));
        for other in ["shmq-spill.", "shmq-spill.ab.anchor", "shmq.spill", &name("FF"), &name("00000000000000fg")] {
            assert_eq!(SpillName::of(other), None, "{other}");
        }
    }
}
