//! Releasing the descriptors that a helper inherited: another process may wait for the end of a
//! pipe that the program has closed.
//!
//! They are not closed: the numbers would be reused, and an inherited value that still owns one (a
//! `File` in the copied memory) would write into, or close, another file. `/dev/null` is put in
//! their place.

use super::descriptor::{closes_on_exec, descriptor_limit, raise};
use std::fs;
use std::os::fd::RawFd;

/// The first number that is not standard input, output or error.
const FIRST: RawFd = 3;
/// Numbers that are tried where `/proc` does not list the open ones.
const BLIND: u64 = 1 << 16;

/// Puts `/dev/null` over all descriptors of this process but the standard ones and those to keep.
/// If no number is free, they stay.
pub(crate) fn put_null_over_all_but(kept: &[RawFd]) {
    let open = open_numbers();
    let Some(null) = open_null() else { return };
    for number in open.into_iter().filter(|number| *number >= FIRST && !kept.contains(number)) {
        // SAFETY: numbers only; the file put over one stays until its owner, if any, closes it.
        unsafe {
            let flags = libc::fcntl(number, libc::F_GETFD);
            if flags != -1 {
                let close_on_exec = if flags & libc::FD_CLOEXEC != 0 { libc::O_CLOEXEC } else { 0 };
                libc::dup3(null, number, close_on_exec);
            }
        }
    }
    // SAFETY: opened by `open_null`, and known to no other code.
    unsafe { libc::close(null) };
}

/// Without a `/dev`, a descriptor that can be neither read nor written.
fn open_null() -> Option<RawFd> {
    let candidates = [(c"/dev/null", libc::O_RDWR), (c"/", libc::O_PATH)];
    let null = candidates.into_iter().find_map(|(path, flags)| {
        // SAFETY: a NUL-terminated path.
        let opened = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) };
        (opened >= 0).then_some(opened)
    })?;
    if null < FIRST { raise(null, FIRST).ok() } else { Some(null) }
}

fn open_numbers() -> Vec<RawFd> {
    if let Ok(listed) = fs::read_dir("/proc/self/fd") {
        return listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    }
    (0..descriptor_limit().min(BLIND) as RawFd).filter(|&number| closes_on_exec(number).is_ok()).collect()
}
