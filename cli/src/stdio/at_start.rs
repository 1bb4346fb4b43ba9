//! Which standard streams were closed when this process was started.
//!
//! Before `main`, the standard library opens `/dev/null` in place of a stream that was closed
//! (`>&-`): writes to it succeed and are lost. So the loader runs a probe before the standard
//! library, and a stream that was closed is refused like a stream that is broken in another way.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

static INPUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);
static OUTPUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Run by the loader, before the standard library starts.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static AT_START: extern "C" fn() = probe;

extern "C" fn probe() {
    // SAFETY: F_GETFD takes a descriptor number, open or not, and no pointer.
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
