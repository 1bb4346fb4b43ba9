//! What a descriptor is ready for, and whether its other end is closed.

use std::io;

/// Waits until the descriptor is ready for one of `events` or its other end is closed, at most
/// `timeout_ms` milliseconds; for ever with -1. Returns what it is ready for, nothing after the
/// timeout. A signal is an error of the kind `Interrupted`.
pub fn poll(number: libc::c_int, events: libc::c_short, timeout_ms: libc::c_int) -> io::Result<libc::c_short> {
    let mut entry = libc::pollfd { fd: number, events, revents: 0 };
    // SAFETY: the count says one entry, and `entry` lives until the call returns.
    let count = unsafe { libc::poll(&mut entry, 1, timeout_ms) };
    if count < 0 { Err(io::Error::last_os_error()) } else { Ok(entry.revents) }
}

/// Is the other end of this descriptor closed? A file has no other end.
pub fn is_hung_up(number: libc::c_int) -> bool {
    poll(number, 0, 0).is_ok_and(|ready| ready & HUNG_UP != 0)
}

/// Waits until the other end is closed. `false`: the kernel does not report that, or the other end
/// of `until` is closed.
pub fn wait_for_hang_up(number: libc::c_int, until: libc::c_int) -> bool {
    let mut entries = [number, until].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    loop {
        // SAFETY: the count is that of the entries, which live until the call returns.
        let count = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, -1) };
        if count >= 0 {
            return entries[1].revents == 0 && entries[0].revents & HUNG_UP != 0;
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return false;
        }
    }
}

const HUNG_UP: libc::c_short = libc::POLLERR | libc::POLLHUP | libc::POLLNVAL;
