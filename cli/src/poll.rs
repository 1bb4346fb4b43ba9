//! What a descriptor is ready for, and whether its other end is gone.

use std::io;

/// Does the kernel say of this descriptor that nobody is at its other end any more? A file has no other end.
pub fn is_hung_up(number: libc::c_int) -> bool {
    hangs_up_within(number, 0) == Some(true)
}

/// Returns when nobody is at the other end any more; `false` if the kernel does not tell.
pub fn wait_for_hang_up(number: libc::c_int) -> bool {
    loop {
        match hangs_up_within(number, -1) {
            Some(is_hung_up) => return is_hung_up,
            None if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            None => return false,
        }
    }
}

/// `None`: the call failed.
fn hangs_up_within(number: libc::c_int, timeout_ms: libc::c_int) -> Option<bool> {
    let mut entry = libc::pollfd { fd: number, events: 0, revents: 0 };
    // SAFETY: one pollfd, which lives until the call returns.
    let count = unsafe { libc::poll(&mut entry, 1, timeout_ms) };
    (count >= 0).then_some(entry.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0)
}
