//! A read-only view of a segment: it attaches no process and takes no lock.
//!
//! Invariants:
//! 1. A [`View`] begins with a complete [`Head`], the table of `max_participants` entries and the
//!    cells of `geometry`, all inside its length, checked through the descriptor before the mapping
//!    was made from that same descriptor.
//! 2. It is never written: the mapping is read-only. Values in it may change at any time, and
//!    decide nothing.
//! 3. A view holds no lock, so no process waits for it, and a forked child may keep its copy.

use super::directory::Directory;
use super::file_id::FileId;
use super::header::{HEADER_BYTES, RawSegmentHeader, SegmentInfo};
use super::locks;
use super::names::{Place, place_of};
use super::predecessor::Predecessor;
use super::refusal::{OPEN, about_open, check_to_open, locate};
use super::space::missing_bytes;
use super::spilled::read_object;
use super::syscall_error::{SyscallError, corrupted};
use super::topic_area::TopicArea;
use crate::atomic::Ordering;
use crate::error::OpenError;
use crate::os;
use crate::shm::geometry::Geometry;
use crate::shm::layout::{self, ENTRIES_OFFSET, Entry, Head, segment_state};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::ptr::NonNull;

/// A segment, mapped read-only by a process that is no participant.
pub(crate) struct View {
    base: NonNull<u8>,
    bytes: usize,
    file: File,
    place: Place,
    info: SegmentInfo,
    created_unix_s: u64,
    owner_uid: u32,
    mode: u32,
}

// SAFETY: an address of memory that is only read, through atomics or as raw bytes (Invariant 2),
// and a file; neither belongs to a thread.
unsafe impl Send for View {}
// SAFETY: shared references only read the same memory and the same fields (Invariant 2).
unsafe impl Sync for View {}

impl View {
    pub fn open(name: &str) -> Result<View, OpenError> {
        let place = place_of(&Directory::default(), name).map_err(|(name, why)| OpenError::BadName { name, why })?;
        check_to_open(&place).and_then(|()| View::at(&place)).map_err(|error| about_open(error, None, &place))
    }

    /// Views the file at that place.
    pub(super) fn at(place: &Place) -> Result<View, OpenError> {
        let file = locate(
            OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK).open(place.path()),
        )?;
        View::over(file, place.clone())
    }

    /// Views a file that is open for reading, which that place led to at some time.
    pub(super) fn over(file: File, place: Place) -> Result<View, OpenError> {
        let refused = |call| move |error| OpenError::from(SyscallError { call, error });
        let found = file.metadata().map_err(refused("fstat"))?;
        if !found.is_file() {
            return Err(SyscallError { call: OPEN, error: io::Error::from_raw_os_error(libc::ENXIO) }.into());
        }
        let mut bytes = [0; HEADER_BYTES];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(corrupted()),
            Err(error) => return Err(refused("read")(error)),
        }
        let header = RawSegmentHeader(bytes);
        let info = header.info(found.len())?.with_any_text(|bytes, offset| file.read_exact_at(bytes, offset))?;
        // Reading a page that is missing would allocate it, or end this process with SIGBUS where
        // memory is short.
        if missing_bytes(&found) > 0 {
            return Err(corrupted());
        }
        let length = usize::try_from(found.len()).map_err(|_| corrupted())?;
        // SAFETY: a new mapping at an address of the kernel's choice, of a file that is open for
        // reading.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        let base = NonNull::new(base.cast::<u8>()).filter(|base| base.as_ptr().cast() != libc::MAP_FAILED);
        let base = base.ok_or_else(|| refused("mmap")(io::Error::last_os_error()))?;
        Ok(View {
            base,
            bytes: length,
            file,
            place,
            info,
            created_unix_s: header.created_unix_s(),
            owner_uid: found.uid(),
            mode: found.mode() & 0o7777,
        })
    }

    pub fn head(&self) -> &Head {
        // SAFETY: Invariant 1. Callers read its atomics only.
        unsafe { self.base.cast::<Head>().as_ref() }
    }

    pub fn entries(&self) -> &[Entry] {
        // SAFETY: Invariant 1: the table lies inside the mapping, aligned for entries.
        unsafe {
            let table = self.base.add(ENTRIES_OFFSET as usize).cast::<Entry>();
            NonNull::slice_from_raw_parts(table, self.info.max_participants as usize).as_ref()
        }
    }

    pub fn cells(&self) -> NonNull<u8> {
        // SAFETY: Invariant 1: the cells lie inside the mapping.
        unsafe { self.base.add(self.info.cells_offset() as usize) }
    }

    /// As [`Segment::topic`](super::Segment::topic).
    pub fn topic(&self) -> Option<TopicArea> {
        // SAFETY: Invariant 1: the words and the lines lie inside the mapping.
        self.info.topic.map(|shape| unsafe { TopicArea::new(self.base.add(self.info.topic_offset() as usize), shape) })
    }

    pub fn geometry(&self) -> Geometry {
        self.info.geometry
    }

    pub fn info(&self) -> &SegmentInfo {
        &self.info
    }

    pub fn name(&self) -> &str {
        self.place.name()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    pub fn inode(&self) -> u64 {
        self.file.metadata().map_or(0, |found| found.ino())
    }

    pub fn created_unix_s(&self) -> u64 {
        self.created_unix_s
    }

    pub fn owner_uid(&self) -> u32 {
        self.owner_uid
    }

    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// The first bytes of the object of a position, in a file of its own.
    pub fn read_spilled(&self, position: u64, length: usize) -> io::Result<Vec<u8>> {
        read_object(self.place.directory(), self.info.nonce, position, length)
    }

    /// Does the name still lead here?
    pub fn has_name(&self) -> bool {
        self.file.metadata().is_ok_and(|found| self.place.leads_to(FileId::of(&found)))
    }

    /// Was the name removed by `unlink`, and not by hand?
    pub fn was_unlinked(&self) -> bool {
        self.head().header.state.load(Ordering::Acquire) == segment_state::UNLINKED
    }

    /// The dead segment that this one replaced, if any.
    pub fn predecessor(&self) -> Option<Predecessor> {
        Predecessor::read(&self.head().header)
    }

    pub(super) fn is_file(&self, file: FileId) -> bool {
        self.file.metadata().is_ok_and(|found| file == FileId::of(&found))
    }

    pub fn is_persisted(&self) -> bool {
        self.head().header.persisted.load(Ordering::Relaxed) != 0
    }

    /// Is a live process attached? Yes where the kernel does not say.
    pub fn is_in_use(&self) -> bool {
        (0..self.info.max_participants).any(|entry| self.liveness_is_held(entry) != Some(false))
    }

    /// Does a process keep the name? Attached processes do, and forked children that have not
    /// called yet. Yes where the kernel does not say.
    pub fn is_kept(&self) -> bool {
        locks::name_is_kept(self.file.as_fd()).unwrap_or(true)
    }

    /// Does a process hold the liveness lock of this entry? `None` where the kernel does not say.
    pub fn liveness_is_held(&self, entry: u32) -> Option<bool> {
        let conflict = os::conflict_in_range(self.file.as_fd(), layout::liveness_offset(entry), 1).ok()?;
        // A longer lock is that of a process that judges the whole file or changes its name.
        Some(conflict.is_some_and(|(_, length)| length == 1))
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, made in `over`, to which no reference is left.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}
