//! The mapping of a segment's file. The crate `shared_memory` makes it; this module handles what
//! that crate hides or leaves out. In a directory that the program chose, which `shm_open` does not
//! know, the file is opened and mapped here.
//!
//! `shared_memory` sizes with `ftruncate` (so a full `/dev/shm` would show as SIGBUS at the first
//! access), unlinks by name when its `owner` flag is set (a forked child would unlink its parent's
//! segment), sets no madvise for dumps or paging, and hides its descriptor, which it closes by
//! number at drop, even if the program closed that number meanwhile and opened something else
//! there.
//!
//! Invariants:
//! 1. The `owner` flag is off from the moment a mapping exists: dropping one unmaps and closes,
//!    nothing else.
//! 2. The mapping stays at its address, with its length, until the drop.

use super::descriptors::Descriptor;
use super::file_id::{FileId, STANDARD_NUMBERS};
use super::header::{HEADER_BYTES, NONCE_OFFSET, SegmentInfo};
use super::names::Place;
use super::refusal::{MAKE, MAP, OPEN};
use super::spec::OWNER_MODE;
use super::syscall_error::SyscallError;
use crate::os;
use shared_memory::{Shmem, ShmemConf, ShmemError};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::ptr::{self, NonNull};

/// Missing in `libc`: makes huge pages now, whatever the system's setting (Linux 6.1).
const MADV_COLLAPSE: libc::c_int = 25;
/// The call in the error when the file size limit is below the segment's size.
const FILE_TOO_LARGE: &str =
    "ftruncate (the limit on the size of files is below that of the segment: see RLIMIT_FSIZE, ulimit -f)";

pub(super) struct Mapping {
    base: NonNull<u8>,
    length: usize,
    made_by: MadeBy,
}

enum MadeBy {
    /// It unmaps at drop.
    SharedMemory {
        _shmem: Shmem,
    },
    Us,
}

// SAFETY: a Shmem is an address, a length, a descriptor number and its configuration, and the other
// fields are plain values: none belongs to a thread.
unsafe impl Send for Mapping {}
// SAFETY: its shared methods only read these fields; the memory itself is used through atomics
// (layout's Invariant 1).
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Creates the file, sparse: it must not be accessed before [`reserve`](super::space::reserve)
    /// succeeded. `Ok(None)`: the name is taken.
    pub fn create(place: &Place, bytes: u64) -> Result<Option<Mapping>, SyscallError> {
        let size = usize::try_from(bytes).ok().filter(|&size| isize::try_from(size).is_ok());
        let size = size.ok_or_else(|| SyscallError { call: "mmap", error: io::Error::from_raw_os_error(libc::ENOMEM) })?;
        if os::file_size_limit().is_some_and(|limit| limit < bytes) {
            return Err(SyscallError { call: FILE_TOO_LARGE, error: io::Error::from_raw_os_error(libc::EFBIG) });
        }
        if !place.directory().is_of_shm_open() {
            return Mapping::create_file(place, size);
        }
        let _occupied = occupy_standard_numbers();
        // The limit may be lowered by another process meanwhile.
        match os::without_sigxfsz(|| ShmemConf::new().os_id(place.os_id()).size(size).create()) {
            Ok(shmem) => Mapping::disowned(shmem).map(Some),
            Err(ShmemError::MappingIdExists) => Ok(None),
            Err(error) => Err(refusal(error)),
        }
    }

    /// The same, in a directory that the program chose.
    fn create_file(place: &Place, size: usize) -> Result<Option<Mapping>, SyscallError> {
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(OWNER_MODE)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(place.path());
        let file = match made {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(SyscallError { call: MAKE, error }),
        };
        let mapped = os::without_sigxfsz(|| file.set_len(size as u64))
            .map_err(|error| SyscallError { call: "ftruncate", error })
            .and_then(|()| Mapping::of_number(file.as_raw_fd(), size));
        if mapped.is_err() {
            // No other process knows the name yet.
            let _ = place.unlink();
        }
        mapped.map(Some)
    }

    /// Maps what the name leads to, if it is this file and has the length that its header says.
    /// `Ok(None)`: the name leads elsewhere.
    pub fn open(place: &Place, file: FileId, info: &SegmentInfo) -> Result<Option<Mapping>, SyscallError> {
        if !place.directory().is_of_shm_open() {
            return Mapping::open_file(place, file, info);
        }
        let opened = {
            let _occupied = occupy_standard_numbers();
            ShmemConf::new().os_id(place.os_id()).open().map_err(refusal).and_then(Mapping::disowned)
        };
        let mapping = match opened {
            Ok(mapping) => mapping,
            Err(SyscallError { error, .. }) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL)) => {
                return Ok(None);
            }
            Err(refused) => return Err(refused),
        };
        let is_same = Some(mapping.bytes()) == info.total_bytes() && mapping.remap(place, file)?;
        Ok(is_same.then_some(mapping))
    }

    /// The same, in a directory that the program chose.
    fn open_file(place: &Place, file: FileId, info: &SegmentInfo) -> Result<Option<Mapping>, SyscallError> {
        let Some(descriptor) = open_same(place, file)? else { return Ok(None) };
        let found = descriptor.metadata().map_err(|error| SyscallError { call: "fstat", error })?;
        match usize::try_from(found.len()) {
            Ok(size) if Some(found.len()) == info.total_bytes() => {
                let mapped = descriptor.with_number(|number| Mapping::of_number(number, size));
                mapped.map_err(|error| SyscallError { call: "mmap", error })?.map(Some)
            }
            _ => Ok(None),
        }
    }

    fn of_number(number: RawFd, size: usize) -> Result<Mapping, SyscallError> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses, of a file that the caller
        // has open.
        let base = unsafe { libc::mmap(ptr::null_mut(), size, protection, libc::MAP_SHARED, number, 0) };
        match NonNull::new(base.cast::<u8>()) {
            Some(base) if base.as_ptr().cast() != libc::MAP_FAILED => Ok(Mapping { base, length: size, made_by: MadeBy::Us }),
            _ => Err(SyscallError { call: "mmap", error: io::Error::last_os_error() }),
        }
    }

    fn disowned(mut shmem: Shmem) -> Result<Mapping, SyscallError> {
        shmem.set_owner(false);
        let base = NonNull::new(shmem.as_ptr());
        let base = base.ok_or_else(|| SyscallError { call: "mmap", error: io::Error::from_raw_os_error(libc::EFAULT) })?;
        Ok(Mapping { base, length: shmem.len(), made_by: MadeBy::SharedMemory { _shmem: shmem } })
    }

    /// Maps the file that was examined over the one that `shared_memory` opened by name, which may
    /// have been another user's, with a copy of the same header. Both have
    /// [`bytes`](Mapping::bytes) bytes: the caller has compared. `Ok(false)`: the name leads
    /// elsewhere.
    ///
    /// Through a description of its own, which holds no lock: a mapping keeps its description open,
    /// and forked children inherit mappings, so a dead parent's locks would stay as long as its
    /// child.
    pub fn remap(&self, place: &Place, file: FileId) -> Result<bool, SyscallError> {
        let refused = |call| move |error| SyscallError { call, error };
        let Some(descriptor) = open_same(place, file)? else { return Ok(false) };
        // SAFETY: the range is the whole mapping (Invariant 2), to which no reference exists yet;
        // it stays mapped, so the drop unmaps it.
        let mapped = descriptor.with_number(|number| unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_SHARED | libc::MAP_FIXED;
            libc::mmap(self.base.as_ptr().cast(), self.length, protection, flags, number, 0)
        });
        match mapped.map_err(refused("mmap"))? {
            libc::MAP_FAILED => Err(refused("mmap")(io::Error::last_os_error())),
            _ => Ok(true),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.length as u64
    }

    /// The nonce as the mapping shows it, to be compared with that of a descriptor.
    pub fn nonce(&self) -> Option<u64> {
        // SAFETY: the header lies inside the mapping, which begins at a page, and its nonce at a
        // multiple of 8.
        (self.bytes() >= HEADER_BYTES as u64)
            .then(|| unsafe { self.base.byte_add(NONCE_OFFSET as usize).cast::<u64>().read_volatile() })
    }

    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Hints, which the kernel may refuse: keep messages out of core dumps, and take no page fault
    /// at the first access.
    pub fn advise(&self, huge_pages: bool) {
        self.madvise(libc::MADV_DONTDUMP);
        if huge_pages {
            self.madvise(libc::MADV_HUGEPAGE);
        }
        self.madvise(libc::MADV_POPULATE_WRITE);
        if huge_pages {
            self.madvise(MADV_COLLAPSE);
        }
    }

    fn madvise(&self, advice: libc::c_int) {
        // SAFETY: the range is the whole mapping (Invariant 2), and no advice used here changes its
        // contents.
        unsafe { libc::madvise(self.base.as_ptr().cast(), self.length, advice) };
    }

    /// Keeps all pages in memory. Not inherited by a forked child.
    pub fn lock_in_memory(&self) -> Result<(), SyscallError> {
        // SAFETY: the range is the whole mapping (Invariant 2).
        match unsafe { libc::mlock(self.base.as_ptr().cast(), self.length) } {
            0 => Ok(()),
            _ => Err(SyscallError { call: "mlock (see RLIMIT_MEMLOCK, ulimit -l)", error: io::Error::last_os_error() }),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let MadeBy::Us = self.made_by {
            // SAFETY: the whole mapping that `of_number` made (Invariant 2), to which no reference
            // is left.
            unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
        }
    }
}

/// Opens the file that the name leads to; `None`: it is not this one.
fn open_same(place: &Place, file: FileId) -> Result<Option<Descriptor>, SyscallError> {
    match Descriptor::open_transient(place.path()) {
        Ok(descriptor) => Ok((descriptor.file() == file).then_some(descriptor)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SyscallError { call: OPEN, error }),
    }
}

/// Keeps `shared_memory` from being given number 0, 1 or 2 in a program that closed its standard
/// streams: what is printed there would overwrite the segment. For as long as the result lives;
/// empty in most programs.
fn occupy_standard_numbers() -> Vec<File> {
    let is_closed = |number| {
        // SAFETY: F_GETFD takes no pointers and changes nothing.
        unsafe { libc::fcntl(number, libc::F_GETFD) == -1 }
    };
    // The lowest free number is given first, so that each open fills one of the gaps.
    (0..STANDARD_NUMBERS).filter(|&number| is_closed(number)).map_while(|_| File::open("/dev/null").ok()).collect()
}

fn refusal(error: ShmemError) -> SyscallError {
    let (call, errno) = match error {
        ShmemError::MapCreateFailed(errno) => (MAKE, errno),
        ShmemError::MapOpenFailed(errno) => (MAP, errno),
        ShmemError::UnknownOsError(errno) if errno as i32 == libc::EFBIG => (FILE_TOO_LARGE, errno),
        ShmemError::UnknownOsError(errno) => ("ftruncate", errno),
        _ => ("shared_memory", 0),
    };
    SyscallError { call, error: io::Error::from_raw_os_error(errno as i32) }
}
