//! A stop that a signal sets.

use shmq::Stop;
use std::sync::OnceLock;

static STOP: OnceLock<Stop> = OnceLock::new();

extern "C" fn on_signal(_: libc::c_int) {
    if let Some(stop) = STOP.get() {
        stop.set();
    }
}

/// A stop that SIGINT sets.
pub fn stop_by_sigint() -> &'static Stop {
    let stop = STOP.get_or_init(Stop::new);
    let handler = on_signal as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t;
    // SAFETY: the handler lives for ever, and calls nothing but `Stop::set`.
    unsafe { libc::signal(libc::SIGINT, handler) };
    stop
}
