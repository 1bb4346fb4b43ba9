//! Masks and dispositions of this process.
//!
//! The invariants are those of the parent module.

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Signals that terminate a program that does not handle them, sent by users, terminals and service
/// managers.
pub(super) const ENDINGS: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGINT];
/// Signals that a thread causes itself.
pub(super) const FAULTS: [libc::c_int; 7] =
    [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];
pub(super) const LAST_SIGNAL: libc::c_int = 64;

/// Signals as bits: bit n - 1 for signal n, as in the kernel.
pub(super) fn bit(signal: libc::c_int) -> u64 {
    1 << (signal - 1)
}

fn set_of(bits: u64) -> libc::sigset_t {
    // SAFETY: a sigset_t is plain words; sigemptyset fills them, and the signals are valid.
    unsafe {
        let mut set = mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in (1..=LAST_SIGNAL).filter(|&signal| bits & bit(signal) != 0) {
            // The two signals reserved by the C library are refused.
            libc::sigaddset(&mut set, signal);
        }
        set
    }
}

pub(super) fn bits_of(set: &libc::sigset_t) -> u64 {
    // SAFETY: an initialised set and valid signals.
    (1..=LAST_SIGNAL).filter(|&signal| unsafe { libc::sigismember(set, signal) } == 1).map(bit).sum()
}

/// The signal mask of the calling thread.
pub(super) fn blocked_now() -> u64 {
    // SAFETY: `set` is filled by the call, which changes nothing without a new set.
    unsafe {
        let mut set = mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut set);
        bits_of(&set)
    }
}

pub(super) fn block_only(bits: u64) {
    // SAFETY: `set_of` returns an initialised set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &set_of(bits), ptr::null_mut()) };
}

/// Blocks all signals but faults in this thread until it is dropped (Invariant 1).
pub(crate) struct Blocked {
    before: u64,
}

impl Blocked {
    pub fn all() -> Blocked {
        let before = blocked_now();
        let faults: u64 = FAULTS.map(bit).iter().sum();
        block_only(before | !faults);
        Blocked { before }
    }

    #[cfg(feature = "object")]
    /// Keeps them blocked in the calling thread (Invariant 2). Returns the mask from before.
    pub(super) fn keep_blocked(self) -> u64 {
        let before = self.before;
        mem::forget(self);
        before
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        block_only(self.before);
    }
}

/// What a process does with one signal. `None`: cannot be queried (KILL, and the C library's own).
pub(super) type Action = Option<libc::sigaction>;

pub(super) fn action_of(signal: libc::c_int) -> Action {
    // SAFETY: a sigaction is plain words, filled by the call; nothing is changed without a new one.
    unsafe {
        let mut action = mem::zeroed();
        (libc::sigaction(signal, ptr::null(), &mut action) == 0).then_some(action)
    }
}

pub(super) fn set_action(signal: libc::c_int, action: &libc::sigaction) {
    // SAFETY: `action` is the default, ignoring, or one that `action_of` returned in this process
    // or in the process that it was forked from, so a handler's code is there.
    unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
}

/// The action with this disposition, SIG_DFL or SIG_IGN.
pub(super) fn plain(disposition: libc::sighandler_t) -> libc::sigaction {
    // SAFETY: plain words; without flags and mask these two dispositions need no more.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = disposition;
    action
}

pub(super) fn is_handler(action: &libc::sigaction) -> bool {
    action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN
}

/// Terminating signals that this process, a worker, ignores though its program does not; as bits.
pub(super) static IGNORED_AS_WORKER: AtomicU64 = AtomicU64::new(0);

/// In a forked child: signals that its parent ignored as a worker get the default action, as they
/// would have in a child of the program. (Signals that a task ignores itself cannot be
/// distinguished from those.)
pub(super) fn reset_worker_ignores() {
    // Relaxed: a forked child has one thread.
    let bits = IGNORED_AS_WORKER.swap(0, Ordering::Relaxed);
    for signal in ENDINGS.into_iter().filter(|&signal| bits & bit(signal) != 0) {
        if action_of(signal).is_some_and(|action| action.sa_sigaction == libc::SIG_IGN) {
            set_action(signal, &plain(libc::SIG_DFL));
        }
    }
}

/// In a forked child of the program: sets the program's dispositions and its mask.
pub(crate) fn begin_process(blocked: Blocked, keep_handlers: bool) {
    reset_worker_ignores();
    if !keep_handlers {
        for signal in ENDINGS {
            if action_of(signal).is_some_and(|action| is_handler(&action)) {
                set_action(signal, &plain(libc::SIG_DFL));
            }
        }
    }
    drop(blocked);
}
