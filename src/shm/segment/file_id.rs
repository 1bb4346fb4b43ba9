//! Which file a descriptor number leads to.
//!
//! Invariant 1: before a number that the program could have closed is used, closed or replaced, the
//! file behind it is compared: the kernel may have given the number to another file.

use std::fs::Metadata;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;

/// Identifies a file, as long as some process has it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    pub device: u64,
    pub inode: u64,
}

impl FileId {
    pub fn of(file: &Metadata) -> FileId {
        FileId { device: file.dev(), inode: file.ino() }
    }
}

/// Number of a descriptor that this process has lost.
pub(super) const LOST: RawFd = -1;

/// Numbers below this are standard input, output and error: output written there must never go into
/// a segment.
pub(super) const STANDARD_NUMBERS: RawFd = 3;

/// The file that a number leads to. Async-signal-safe.
pub(super) fn file_behind(number: RawFd) -> Option<FileId> {
    // SAFETY: stat is plain integers, which the call fills; a number that leads nowhere is refused.
    unsafe {
        let mut found: libc::stat = std::mem::zeroed();
        (libc::fstat(number, &mut found) == 0).then_some(FileId { device: found.st_dev as u64, inode: found.st_ino as u64 })
    }
}

/// Closes a number if it still leads to `file` (Invariant 1). Async-signal-safe.
pub(super) fn close_if(number: RawFd, file: FileId) {
    if number != LOST && file_behind(number) == Some(file) {
        close_number(number);
    }
}

/// Async-signal-safe.
pub(super) fn close_number(number: RawFd) {
    // SAFETY: the caller has just opened the number, or has compared the file behind it (Invariant
    // 1), and no other slot has it.
    unsafe { libc::close(number) };
}
