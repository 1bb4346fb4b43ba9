//! Ctrl-C and SIGTERM set a flag: the main loop checks it, and ends in good order.

use std::sync::atomic::{AtomicI32, Ordering};

static RECEIVED: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: libc::c_int) {
    RECEIVED.store(signal, Ordering::Relaxed);
}

/// The signal that came, if one did.
pub fn received() -> Option<i32> {
    Some(RECEIVED.load(Ordering::Relaxed)).filter(|&signal| signal != 0)
}

/// From now on `signal` is noted, and cuts short a read that waits.
pub fn notice(signal: libc::c_int) {
    let note: extern "C" fn(libc::c_int) = note;
    set(signal, note as libc::sighandler_t);
}

/// From now on `signal` does nothing.
pub fn ignore(signal: libc::c_int) {
    set(signal, libc::SIG_IGN);
}

/// From now on `signal` does what it does to any program.
pub fn obey(signal: libc::c_int) {
    set(signal, libc::SIG_DFL);
}

fn set(signal: libc::c_int, handler: libc::sighandler_t) {
    // SAFETY: a sigaction is numbers, for which zero is a value: an empty mask and no flags, so no
    // restart of system calls.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    // SAFETY: `note` only stores to an atomic, which a handler may do at any time.
    unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
}
