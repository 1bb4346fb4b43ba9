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
use crate::atomic::Ordering;
use crate::error::CreateError;
use crate::os;
use crate::shm::layout::PAGE_BYTES;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

const PREFIX: &str = "shmq-spill.";
const ANCHOR: &str = "anchor";
const DIGITS: usize = 16;
/// Bytes of the longest name, with a slash before it and a NUL behind it.
const NAME_BYTES: usize = 1 + PREFIX.len() + 2 * DIGITS + 1 + 1;

/// Bytes of a file before the object.
const FILE_HEAD_BYTES: usize = size_of::<FileHead>();
const FILE_MAGIC: u64 = u64::from_le_bytes(*b"shmqspil");
const FILE_VERSION: u64 = 1;

/// What a file begins with.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileHead {
    magic: u64,
    version: u64,
    nonce: u64,
    position: u64,
    /// Bytes that were reserved for the object.
    room: u64,
    reserved: [u64; 3],
}

impl FileHead {
    fn new(nonce: u64, position: u64, room: u64) -> FileHead {
        FileHead { magic: FILE_MAGIC, version: FILE_VERSION, nonce, position, room, reserved: [0; 3] }
    }
}

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
                if is_last_name {
                    remove_all(directory, nonce);
                }
                return if is_last_name { Cleaned::Now } else { Cleaned::Not };
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

/// The anchor last: a process killed before it leaves the anchor to the next sweep.
fn remove_all(directory: &Directory, nonce: u64) {
    for (position, _) in objects_of(directory, nonce) {
        let _ = remove(directory, nonce, position, |_| ());
    }
    let _ = anchor_of(directory, nonce).unlink();
}

/// Position and bytes of each object that has a file.
fn objects_of(directory: &Directory, nonce: u64) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    for file in fs::read_dir(directory.path()).into_iter().flatten().flatten() {
        let name = file.file_name();
        if let Some(SpillName::Object { position, .. }) = name
            .to_str()
            .and_then(SpillName::of)
            .filter(|name| matches!(name, SpillName::Object { nonce: its, .. } if *its == nonce))
        {
            found.push((position, file.metadata().map_or(0, |file| file.len())));
        }
    }
    found
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
                    true => anchor_at(&self.place, nonce),
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
        if let Some(mode) = self.descriptor.metadata().ok().map(|file| file.mode() & 0o666).filter(|&mode| mode != OWNER_MODE) {
            file.set_mode(mode).map_err(os_error("fchmod"))?;
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
                return Err(if never { lost(error) } else { os_error("open the file of an object")(error) });
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

    /// Removes the file of a position, and returns its bytes, which `before` learns before. Allocates
    /// nothing.
    pub fn remove_spilled(&self, position: u64, before: impl FnOnce(u64)) -> Option<u64> {
        if self.info.max_spilled_bytes == 0 {
            return None;
        }
        remove(self.place.directory(), self.info.nonce, position, before)
    }

    /// Position and bytes of each object that has a file.
    pub fn spilled_objects(&self) -> Vec<(u64, u64)> {
        objects_of(self.place.directory(), self.info.nonce)
    }

    /// Removes the files, if the name is gone and the caller holds the locks of the last leaver.
    pub(super) fn clean_up_as_last(&self) {
        if self.info.max_spilled_bytes == 0 || self.head().spilled.objects.load(Ordering::Relaxed) == 0 {
            // Perhaps above a frame that allocates, in a signal handler that exits: as little as
            // possible.
            return;
        }
        let (directory, nonce, file) = (self.place.directory(), self.info.nonce, self.descriptor.file());
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

/// The mapping of an object's file. Before it lies a page of this process alone, which no peer can
/// write: so a pointer to the object is enough to find out what to unmap.
///
/// ```text
///   base                    base + PAGE
///   | total bytes | room .. | FileHead | object ..
///   '---- private page -----'------ the file -----'
/// ```
#[derive(Debug)]
pub(crate) struct SpillMapping {
    base: NonNull<u8>,
}

// SAFETY: an address of memory that this value alone unmaps; it belongs to no thread.
unsafe impl Send for SpillMapping {}
// SAFETY: shared references read what was written before the value existed.
unsafe impl Sync for SpillMapping {}

impl SpillMapping {
    /// # Safety
    /// `number` is an open descriptor of a file that has `file_bytes` bytes.
    unsafe fn of_number(number: RawFd, file_bytes: u64, room: u64) -> io::Result<SpillMapping> {
        let private = page_bytes();
        let too_large = || io::Error::from_raw_os_error(libc::ENOMEM);
        let file_bytes = usize::try_from(file_bytes).map_err(|_| too_large())?;
        let total = file_bytes.checked_add(private).filter(|&total| isize::try_from(total).is_ok()).ok_or_else(too_large)?;
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; then the file over all of it
        // but its first page.
        unsafe {
            let base = libc::mmap(std::ptr::null_mut(), total, rights, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
            if base == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let file = base.cast::<u8>().add(private).cast();
            let flags = libc::MAP_SHARED | libc::MAP_FIXED | libc::MAP_POPULATE;
            if libc::mmap(file, file_bytes, rights, flags, number, 0) == libc::MAP_FAILED {
                let error = io::Error::last_os_error();
                libc::munmap(base, total);
                return Err(error);
            }
            // As a segment's: it is not the program's own memory.
            libc::madvise(file, file_bytes, libc::MADV_DONTDUMP);
            let base = NonNull::new_unchecked(base.cast::<u8>());
            base.cast::<[usize; 2]>().write([total, room as usize]);
            Ok(SpillMapping { base })
        }
    }

    fn words(&self) -> [usize; 2] {
        // SAFETY: written when the mapping was made, in memory of this process alone.
        unsafe { self.base.cast::<[usize; 2]>().read() }
    }

    fn head(&self) -> *mut FileHead {
        // SAFETY: the file follows the private page, and has a head.
        unsafe { self.base.as_ptr().add(page_bytes()).cast() }
    }

    /// The object's bytes.
    pub fn object(&self) -> *mut u8 {
        // SAFETY: the object follows the head, inside the mapping.
        unsafe { self.head().cast::<u8>().add(FILE_HEAD_BYTES) }
    }

    /// Bytes that the object has room for.
    pub fn room(&self) -> usize {
        self.words()[1]
    }

    /// Gives the mapping to the pointer to its object.
    pub fn into_object(self) -> *mut u8 {
        std::mem::ManuallyDrop::new(self).object()
    }

    /// The mapping that [`into_object`](SpillMapping::into_object) gave away.
    ///
    /// # Safety
    /// `object` comes from there, and this is called once for it.
    pub unsafe fn of_object(object: *mut u8) -> SpillMapping {
        // SAFETY: as the caller says: head and private page lie before the object.
        let base = unsafe { object.sub(FILE_HEAD_BYTES + page_bytes()) };
        // SAFETY: inside a mapping, so not null.
        SpillMapping { base: unsafe { NonNull::new_unchecked(base) } }
    }
}

impl Drop for SpillMapping {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, which this value alone owns.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.words()[0]) };
    }
}

/// A page of the system, which may be larger than the segment's.
fn page_bytes() -> usize {
    // SAFETY: sysconf takes a number and returns one.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(PAGE_BYTES as usize)
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
