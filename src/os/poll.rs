//! Sleeping until one of several descriptors can be read.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Longest sleep of one call, which is far less than the milliseconds that fit a `c_int`.
const LONGEST: Duration = Duration::from_secs(1);

/// Sleeps until one of these can be read (of a pidfd: its process has ended), or for `longest`, a
/// second at most. May return early, with none: the caller checks.
pub(crate) fn poll_readable(descriptors: &[BorrowedFd<'_>], longest: Duration) {
    let entry_of = |fd: &BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut polled: Vec<libc::pollfd> = descriptors.iter().map(entry_of).collect();
    // Rounded up: a poll that ends before the deadline is followed by another.
    let longest_ms = longest.min(LONGEST).as_nanos().div_ceil(1_000_000) as libc::c_int;
    // SAFETY: `polled` holds as many pollfds as its length says, on descriptors that are borrowed.
    // Every error means that the caller checks again.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, longest_ms) };
}
