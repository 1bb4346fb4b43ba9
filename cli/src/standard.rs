//! The standard streams as this process was given them.
//!
//! Before `main`, the standard library opens `/dev/null` in the place of a stream that was closed (`>&-`): what is then written
//! succeeds and is gone. So it is looked at before, and such a stream is refused like one that is broken in another way.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

static INPUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);
static OUTPUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Run by the loader, before the standard library.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static AT_START: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: F_GETFD takes a number and no pointer.
    let is_closed = |number| unsafe { libc::fcntl(number, libc::F_GETFD) } == -1;
    INPUT_WAS_CLOSED.store(is_closed(libc::STDIN_FILENO), Ordering::Relaxed);
    OUTPUT_WAS_CLOSED.store(is_closed(libc::STDOUT_FILENO), Ordering::Relaxed);
}

/// An error if this process was started without standard input.
pub fn input() -> io::Result<()> {
    refuse(&INPUT_WAS_CLOSED, "standard input is closed")
}

/// An error if this process was started without standard output.
pub fn output() -> io::Result<()> {
    refuse(&OUTPUT_WAS_CLOSED, "standard output is closed")
}

fn refuse(was_closed: &AtomicBool, why: &str) -> io::Result<()> {
    if was_closed.load(Ordering::Relaxed) { Err(io::Error::other(why)) } else { Ok(()) }
}

/// The error with the stream's name before it; its kind stays.
pub fn named(stream: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{stream}: {error}"))
}

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
    let mut look = libc::pollfd { fd: number, events: 0, revents: 0 };
    // SAFETY: one pollfd, which lives until the call returns.
    let count = unsafe { libc::poll(&mut look, 1, timeout_ms) };
    (count >= 0).then_some(look.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0)
}
