//! Waiting for descriptors.

use super::eintr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// Longest sleep of one call, which is far less than the milliseconds that fit a `c_int`.
const LONGEST: Duration = Duration::from_secs(1);

/// What a wait for a descriptor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It can be read, or is at its end.
    Readable,
    /// Its other end is closed.
    #[cfg_attr(not(feature = "object"), allow(dead_code, reason = "only sockets of the fork server have another end"))]
    Closed,
}

/// Waits until an event of one of the descriptors, or for `timeout_ms` (-1: for ever): which have
/// one.
///
/// # Errors
/// What the system says; `Interrupted`: a signal came.
pub(crate) fn poll_events(fds: &[(RawFd, Event)], timeout_ms: libc::c_int) -> io::Result<Vec<bool>> {
    let events = |event| if event == Event::Readable { libc::POLLIN } else { 0 };
    let mut polled: Vec<_> = fds.iter().map(|&(fd, event)| libc::pollfd { fd, events: events(event), revents: 0 }).collect();
    // SAFETY: the pointer and the length are those of `polled`, which the call may write.
    if unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, timeout_ms) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(polled.iter().map(|fd| fd.revents != 0).collect())
}

/// Waits until one of the descriptors can be read or is at its end, or for `timeout_ms` (-1: for
/// ever): which can. A signal ends it too, with none.
#[cfg(feature = "object")]
pub(crate) fn poll(fds: &[RawFd], timeout_ms: libc::c_int) -> Vec<bool> {
    let fds: Vec<_> = fds.iter().map(|&fd| (fd, Event::Readable)).collect();
    poll_events(&fds, timeout_ms).unwrap_or_else(|_| vec![false; fds.len()])
}

/// Whether the descriptor can be read, or is at its end. Does not wait.
pub(crate) fn is_readable(fd: RawFd) -> bool {
    poll_events(&[(fd, Event::Readable)], 0).is_ok_and(|ready| ready == [true])
}

/// Whether the other end of the descriptor is closed. Does not wait.
#[cfg(feature = "object")]
pub(crate) fn is_closed(fd: RawFd) -> bool {
    poll_events(&[(fd, Event::Closed)], 0).is_ok_and(|closed| closed == [true])
}

/// Sleeps until one of these can be read (of a pidfd: its process has ended), or for `longest`, a
/// second at most. May return early, with none: the caller checks.
pub(crate) fn poll_readable(descriptors: &[BorrowedFd<'_>], longest: Duration) {
    let polled: Vec<_> = descriptors.iter().map(|fd| (fd.as_raw_fd(), Event::Readable)).collect();
    // Rounded up: a poll that ends before the deadline is followed by another.
    let longest_ms = longest.min(LONGEST).as_nanos().div_ceil(1_000_000) as libc::c_int;
    // Every error means that the caller checks again.
    if poll_events(&polled, longest_ms).is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
        eintr::note();
    }
}

/// Sleep where the system refuses to wait for a set.
#[cfg(feature = "async")]
const REFUSED: Duration = Duration::from_millis(5);

/// Descriptors to wait for, whose memory is used again: the wait itself allocates nothing.
#[cfg(feature = "async")]
#[derive(Default)]
pub(crate) struct PollSet(Vec<libc::pollfd>);

#[cfg(feature = "async")]
impl PollSet {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a descriptor, to be read; or none, which is never ready.
    pub fn push(&mut self, fd: Option<BorrowedFd<'_>>) {
        // The kernel passes over a negative number.
        self.0.push(libc::pollfd { fd: fd.map_or(-1, |fd| fd.as_raw_fd()), events: libc::POLLIN, revents: 0 });
    }

    /// Sleeps until one of them can be read or is at its end, or for `longest`. May return early,
    /// with none. The descriptors that were added are open.
    pub fn sleep(&mut self, longest: Option<Duration>) {
        let longest_ms = longest.map_or(-1, |longest| longest.min(LONGEST).as_millis() as libc::c_int);
        // SAFETY: the pointer and the length are those of the set, which the call may write.
        if unsafe { libc::poll(self.0.as_mut_ptr(), self.0.len() as libc::nfds_t, longest_ms) } == -1 {
            let is_refused = std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted;
            if is_refused {
                // More descriptors than the limit allows, or no memory: each is checked then.
                std::thread::sleep(REFUSED);
            }
            let found = if is_refused { libc::POLLIN } else { 0 };
            self.0.iter_mut().for_each(|fd| fd.revents = found);
        }
    }

    /// Whether the last sleep found that one ready.
    pub fn is_ready(&self, at: usize) -> bool {
        self.0.get(at).is_some_and(|fd| fd.revents != 0)
    }
}
