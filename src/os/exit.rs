//! What runs at a normal end of the program.

use std::io;

/// Has `exit` run `handler`, before the kernel ends the other threads. A forked child inherits the
/// registration.
pub(crate) fn on_exit(handler: extern "C" fn()) -> io::Result<()> {
    // SAFETY: a plain function, which lives as long as the program.
    match unsafe { libc::atexit(handler) } {
        0 => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::ENOMEM)),
    }
}
