//! The memory of a segment's file: reserved before anything touches it.

use super::descriptors::Descriptor;
use super::syscall_error::SyscallError;
use crate::error::{CreateError, Subject};
use crate::os;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;

/// Space is reserved in steps, so that a program with a fast interval timer makes progress, and the
/// memory cgroup is checked before each.
const RESERVE_STEP_BYTES: u64 = 64 << 20;

const RESERVE_STEP_BYTES_MIN: u64 = 64 << 10;

/// Numbers of file systems, as in `statfs`.
const TMPFS: u32 = 0x0102_1994;

const RAMFS: u32 = 0x8584_58f6;

/// `st_blocks` counts these.
const BLOCK_BYTES: u64 = 512;

/// Allocates the file's memory, or fails if there is not enough, before the mapping is touched.
pub(super) fn reserve(file: &Descriptor, bytes: u64) -> Result<(), CreateError> {
    // Checked first, because a `fallocate` that fails half-way takes all memory from others for a
    // moment.
    let no_space =
        |free_bytes| CreateError::NoSpace { what: Subject::default(), needed_bytes: bytes, free_bytes, by_cgroup: false };
    if let Some(free_bytes) = free_bytes(file).filter(|&free_bytes| free_bytes < bytes) {
        return Err(no_space(free_bytes));
    }
    // Files on a disk do not occupy memory for good.
    let counts = is_in_memory(file);
    let (mut done, mut step) = (0, RESERVE_STEP_BYTES);
    while done < bytes {
        // Beyond the limit comes SIGKILL, and no error.
        if let Some(free) = os::memory_short_of(bytes - done).filter(|_| counts) {
            return Err(CreateError::NoSpace {
                what: Subject::default(),
                needed_bytes: bytes,
                free_bytes: free.saturating_add(done),
                by_cgroup: true,
            });
        }
        let len = step.min(bytes - done);
        match allocate(file, done, len) {
            Ok(()) => done += len,
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => step = (step / 2).max(RESERVE_STEP_BYTES_MIN),
                Some(libc::ENOSPC) => return Err(no_space(free_bytes(file).unwrap_or(0))),
                _ => return Err(SyscallError { call: "fallocate", error }.into()),
            },
        }
    }
    Ok(())
}

/// Allocates the holes of a file, so that no access can fail for lack of space. At least `missing`
/// bytes are needed.
pub(super) fn fill_holes(file: &Descriptor, bytes: u64, missing: u64) -> io::Result<()> {
    // Checked first, as in `reserve`: a file may claim to be larger than all memory.
    if free_bytes(file).is_some_and(|free_bytes| free_bytes < missing) {
        return Err(io::Error::from_raw_os_error(libc::ENOSPC));
    }
    allocate(file, 0, bytes)
}

fn allocate(file: &Descriptor, offset: u64, len: u64) -> io::Result<()> {
    // SAFETY: fallocate takes no pointers; a number that leads nowhere is refused.
    let call = |number| match unsafe { libc::fallocate(number, 0, offset as libc::off_t, len as libc::off_t) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    os::without_sigxfsz(|| file.with_number(call))?
}

/// Does the file system keep its files in memory?
#[allow(clippy::unnecessary_cast, reason = "the number is signed, or 32 bits wide, on some platforms")]
fn is_in_memory(file: &Descriptor) -> bool {
    // SAFETY: statfs is plain integers, which the call fills.
    let found = file.with_number(|number| unsafe {
        let mut found: libc::statfs = std::mem::zeroed();
        (libc::fstatfs(number, &mut found) == 0).then_some(found.f_type as u32)
    });
    matches!(found, Ok(Some(TMPFS | RAMFS)))
}

/// Free space of the file system; `None` if it has no limit of its own, or is unknown.
#[allow(clippy::unnecessary_cast, reason = "these are 32 bits wide on some platforms")]
fn free_bytes(file: &Descriptor) -> Option<u64> {
    // SAFETY: statvfs is plain integers, which the call fills.
    let (refused, space) = unsafe {
        let mut space: libc::statvfs = std::mem::zeroed();
        (file.with_number(|number| libc::fstatvfs(number, &mut space)).ok()?, space)
    };
    (refused == 0 && space.f_blocks > 0).then(|| (space.f_bavail as u64).saturating_mul(space.f_frsize as u64))
}

/// How much of the file has no memory.
pub(super) fn missing_bytes(file: &Metadata) -> u64 {
    file.len().saturating_sub(file.blocks().saturating_mul(BLOCK_BYTES))
}
