//! Masks and dispositions of this process.
//!
//! The invariants are those of the parent module.

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// What ends a program that does not handle it, sent by people, terminals and service managers.
pub(super) const ENDINGS: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGINT];
/// What a thread does to itself.
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
            // The two that the C library keeps for itself are refused.
            libc::sigaddset(&mut set, signal);
        }
        set
    }
}

pub(super) fn bits_of(set: &libc::sigset_t) -> u64 {
    // SAFETY: an initialised set and valid signals.
    (1..=LAST_SIGNAL).filter(|&signal| unsafe { libc::sigismember(set, signal) } == 1).map(bit).sum()
}

/// What the calling thread blocks.
pub(super) fn blocked_now() -> u64 {
    // SAFETY: `set` is filled by the call, which changes nothing without a new set.
    unsafe {
        let mut set = mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut set);
        bits_of(&set)
    }
}

pub(super) fn block_only(bits: u64) {
    // SAFETY: an initialised set.
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
    /// The calling thread goes on blocking them (Invariant 2): what it blocked before.
    pub(super) fn for_ever(self) -> u64 {
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

/// What a process does with one signal. `None`: not to be asked for (KILL, and the C library's own).
pub(super) type Action = Option<libc::sigaction>;

pub(super) fn action_of(signal: libc::c_int) -> Action {
    // SAFETY: a sigaction is plain words, filled by the call; nothing is changed without a new one.
    unsafe {
        let mut action = mem::zeroed();
        (libc::sigaction(signal, ptr::null(), &mut action) == 0).then_some(action)
    }
}

pub(super) fn set_action(signal: libc::c_int, action: &libc::sigaction) {
    // SAFETY: one of the default, ignoring, and what this very call gave in this process or in one
    // that it is a copy of, so that a handler's code is there.
    unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
}

/// The default, or ignoring.
pub(super) fn plain(disposition: libc::sighandler_t) -> libc::sigaction {
    // SAFETY: plain words; without flags and mask these two dispositions need no more.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = disposition;
    action
}

pub(super) fn is_handler(action: &libc::sigaction) -> bool {
    action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN
}

/// Endings that this process, a worker, ignores though its program does not: bits.
pub(super) static IGNORED_FOR_WORK: AtomicU64 = AtomicU64::new(0);

/// In a forked child: what its parent ignored as a worker has the default action, as the program's
/// would have had. (What a task ignores itself is not to be told from that.)
pub(super) fn ignore_for_work_no_more() {
    // Relaxed: a forked child has one thread.
    let bits = IGNORED_FOR_WORK.swap(0, Ordering::Relaxed);
    for signal in ENDINGS.into_iter().filter(|&signal| bits & bit(signal) != 0) {
        if action_of(signal).is_some_and(|action| action.sa_sigaction == libc::SIG_IGN) {
            set_action(signal, &plain(libc::SIG_DFL));
        }
    }
}

/// In a forked child of the program: has what the program had, as a process of its own.
pub(crate) fn begin_process(blocked: Blocked, keep_handlers: bool) {
    ignore_for_work_no_more();
    if !keep_handlers {
        for signal in ENDINGS {
            if action_of(signal).is_some_and(|action| is_handler(&action)) {
                set_action(signal, &plain(libc::SIG_DFL));
            }
        }
    }
    drop(blocked);
}
