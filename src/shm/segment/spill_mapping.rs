//! The file of an object, mapped: what it begins with, and what of the mapping is this process's alone.

use crate::shm::layout::PAGE_BYTES;
use std::io;
use std::os::fd::RawFd;
use std::ptr::NonNull;

/// Bytes of a file before the object.
pub(super) const FILE_HEAD_BYTES: usize = size_of::<FileHead>();
const FILE_MAGIC: u64 = u64::from_le_bytes(*b"shmqspil");
const FILE_VERSION: u64 = 1;

/// What a file begins with.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileHead {
    magic: u64,
    version: u64,
    nonce: u64,
    position: u64,
    /// Bytes that were reserved for the object.
    pub room: u64,
    reserved: [u64; 3],
}

impl FileHead {
    pub fn new(nonce: u64, position: u64, room: u64) -> FileHead {
        FileHead { magic: FILE_MAGIC, version: FILE_VERSION, nonce, position, room, reserved: [0; 3] }
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
    pub(super) unsafe fn of_number(number: RawFd, file_bytes: u64, room: u64) -> io::Result<SpillMapping> {
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

    pub(super) fn head(&self) -> *mut FileHead {
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
