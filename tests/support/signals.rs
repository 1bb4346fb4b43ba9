//! A stop that a signal sets, and one whose check answers a signal.

use shmq::Stop;
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

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

/// Signals that were handled, and that no check has answered.
static CAME: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_counted_signal(_: libc::c_int) {
    CAME.fetch_add(1, Relaxed);
}

/// Has SIGUSR1 counted, by a handler with or without SA_RESTART.
pub fn count_sigusr1(restarts: bool) {
    // SAFETY: zeros are an empty mask and no flags; the handler adds to an atomic.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_counted_signal as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t;
        action.sa_flags = if restarts { libc::SA_RESTART } else { 0 };
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
}

/// The signals since the last call.
pub fn take_counted() -> u64 {
    CAME.swap(0, AcqRel)
}

/// A stop whose check ends a call once SIGUSR1 was handled.
pub fn ended_by_sigusr1(restarts: bool) -> Stop {
    count_sigusr1(restarts);
    Stop::with_check(|| if take_counted() > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
}

/// Blocks SIGUSR1 in this thread.
pub fn block_sigusr1() {
    // SAFETY: sigset_t is plain integers, which the first call fills; the old mask is not wanted.
    unsafe {
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut mask);
        libc::sigaddset(&mut mask, libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, &mask, std::ptr::null_mut());
    }
}
