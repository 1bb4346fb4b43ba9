//! The limit on the size of files (`RLIMIT_FSIZE`, `ulimit -f`), which the kernel enforces with a
//! signal that ends the program.
//!
//! Invariant 1: a call made through [`without_sigxfsz`] fails with `EFBIG` at the limit, whatever
//! the program does with SIGXFSZ, and the signal of that call is consumed when it returns. One that
//! was pending before stays pending.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// The largest file that this process may make; `None` if there is no bound.
#[allow(clippy::unnecessary_cast, reason = "the limit is 32 bits wide on some platforms")]
pub(crate) fn file_size_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: getrlimit fills a struct that outlives the call.
    let refused = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) } != 0;
    (!refused && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur as u64)
}

/// Runs a call that may grow a file, or write to it: the kernel sends the signal to the calling
/// thread, even for a write inside a file that is longer than the limit.
pub(crate) fn without_sigxfsz<R>(call: impl FnOnce() -> R) -> R {
    let _blocked = SigxfszBlocked::new();
    call()
}

/// SIGXFSZ, blocked for this thread.
struct SigxfszBlocked {
    before: libc::sigset_t,
    was_pending: bool,
}

fn only_sigxfsz() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset fills the set, and sigaddset adds a number that exists.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGXFSZ);
        set.assume_init()
    }
}

fn is_pending() -> bool {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigpending fills the set, unless it fails, when nothing is read of it.
    unsafe { libc::sigpending(set.as_mut_ptr()) == 0 && libc::sigismember(set.as_ptr(), libc::SIGXFSZ) == 1 }
}

impl SigxfszBlocked {
    fn new() -> io::Result<SigxfszBlocked> {
        let was_pending = is_pending();
        let mut before = MaybeUninit::uninit();
        // SAFETY: two sets that outlive the call; the second is filled if it succeeds.
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &only_sigxfsz(), before.as_mut_ptr()) } {
            // SAFETY: filled, since the call succeeded.
            0 => Ok(SigxfszBlocked { before: unsafe { before.assume_init() }, was_pending }),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

impl Drop for SigxfszBlocked {
    fn drop(&mut self) {
        if !self.was_pending && is_pending() {
            let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: a set and a time that outlive the call, which fills nothing else. It takes a
            // signal of this thread first.
            unsafe { libc::sigtimedwait(&only_sigxfsz(), ptr::null_mut(), &now) };
        }
        // SAFETY: the mask that this thread had before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_of_a_call_is_gone_with_it() {
        let is_blocked = || {
            let mut mask = MaybeUninit::uninit();
            // SAFETY: no new mask is given; the old one is filled.
            unsafe {
                libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), mask.as_mut_ptr());
                libc::sigismember(mask.as_ptr(), libc::SIGXFSZ) == 1
            }
        };
        // SAFETY: a signal to this thread, while it is blocked: without the drain it would end the
        // test program.
        let sent = without_sigxfsz(|| unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGXFSZ) == 0 && is_blocked() });
        assert!(sent && !is_blocked() && !is_pending());
        // One that was pending before is left alone.
        without_sigxfsz(|| {
            // SAFETY: a signal to this thread, which has it blocked.
            unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGXFSZ) };
            without_sigxfsz(|| {});
            assert!(is_pending() && is_blocked());
        });
        assert!(!is_pending());
    }
}
