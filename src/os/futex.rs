//! Futexes: sleeping on a word of shared memory. Never `FUTEX_PRIVATE_FLAG`, but where the name says
//! so: other processes wait on the same word.

use super::{Deadline, eintr};
use crate::atomic::AtomicU32;
use std::ptr;

/// Sleeps while `word` holds `expected`, until `deadline` at most ([`Deadline::NEVER`] for
/// none). May return for any reason, or spuriously: the caller checks its condition again.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, deadline: Deadline) {
    wait(word, expected, deadline, 0);
}

fn wait(word: &AtomicU32, expected: u32, deadline: Deadline, flag: libc::c_int) {
    let until = libc::timespec {
        tv_sec: (deadline.ns() / 1_000_000_000) as libc::time_t,
        tv_nsec: (deadline.ns() % 1_000_000_000) as libc::c_long,
    };
    let timeout = if deadline == Deadline::NEVER { ptr::null() } else { &raw const until };
    // SAFETY: the word is valid for the call (it is borrowed), `timeout` is null or a timespec that
    // lives until the call returns. FUTEX_WAIT_BITSET takes an absolute time on CLOCK_MONOTONIC.
    // Every error (EAGAIN, EINTR, ETIMEDOUT) means "check again".
    let slept = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET | flag,
            expected,
            timeout,
            ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    if slept == -1 {
        // With a time to end at, EINTR comes also of a handler with SA_RESTART.
        eintr::note_error();
    }
}

/// Wakes at most `count` sleepers; returns how many were woken.
pub(crate) fn futex_wake(word: &AtomicU32, count: u32) -> u32 {
    let count = count.min(i32::MAX as u32);
    // SAFETY: the word is valid for the call; FUTEX_WAKE only uses its address.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
    u32::try_from(woken).unwrap_or(0)
}

/// Most words that one thread can sleep on at a time.
pub(crate) const WAIT_ANY_MAX: usize = 128;
/// Of `futex_waitv`'s flags: a word of 32 bits, shared between processes.
const FUTEX2_SIZE_U32: u32 = 0x02;

/// The kernel's `struct futex_waitv`.
#[repr(C)]
struct WaitVector {
    expected: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// Words to sleep on together, and what is expected of them. Its memory is used again.
#[derive(Default)]
pub(crate) struct WordSet(Vec<WaitVector>);

impl WordSet {
    #[cfg(feature = "async")]
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// A word that other processes wake. It is only read, by the kernel: if it is not mapped any
    /// more when the thread goes to sleep, it does not sleep.
    pub fn push(&mut self, word: &AtomicU32, expected: u32) {
        self.push_flagged(word, expected, FUTEX2_SIZE_U32);
    }

    /// A word of this process alone: the kernel finds it sooner.
    #[cfg(feature = "async")]
    pub fn push_private(&mut self, word: &AtomicU32, expected: u32) {
        self.push_flagged(word, expected, FUTEX2_SIZE_U32 | libc::FUTEX_PRIVATE_FLAG as u32);
    }

    fn push_flagged(&mut self, word: &AtomicU32, expected: u32, flags: u32) {
        self.0.push(WaitVector { expected: u64::from(expected), address: word.as_ptr() as u64, flags, reserved: 0 });
    }

    /// Sleeps while each of these words holds what is expected of it, at most until `deadline`
    /// (monotonic). May return early, or spuriously: the caller checks its condition again. `false`:
    /// refused (before Linux 5.16, by a sandbox, too many words, no memory), and the thread did not
    /// sleep.
    pub fn sleep(&self, deadline: Deadline) -> bool {
        let vectors = &self.0;
        if vectors.is_empty() || vectors.len() > WAIT_ANY_MAX {
            return false;
        }
        // The kernel's `struct __kernel_timespec`, of 64 bits on every platform.
        let until = [(deadline.ns() / 1_000_000_000) as i64, (deadline.ns() % 1_000_000_000) as i64];
        let timeout = if deadline == Deadline::NEVER { ptr::null() } else { until.as_ptr() };
        // SAFETY: the vectors and the time are valid for the call, which only reads them, and the
        // words that they name, whose addresses it checks. An absolute time on CLOCK_MONOTONIC.
        let slept =
            unsafe { libc::syscall(libc::SYS_futex_waitv, vectors.as_ptr(), vectors.len(), 0, timeout, libc::CLOCK_MONOTONIC) };
        if slept == -1 {
            eintr::note_error();
        }
        // A sandbox may answer calls that it does not know with any other error.
        let is_over = |error: std::io::Error| matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR | libc::ETIMEDOUT));
        slept != -1 || is_over(std::io::Error::last_os_error())
    }
}

/// Sleeps on these words as [`WordSet::sleep`] does.
pub(crate) fn futex_wait_any<'a>(words: impl Iterator<Item = (&'a AtomicU32, u32)>, deadline: Deadline) -> bool {
    let mut set = WordSet::default();
    words.for_each(|(word, expected)| set.push(word, expected));
    set.sleep(deadline)
}

/// As [`futex_wait`], on a word of this process alone.
#[cfg(feature = "async")]
pub(crate) fn futex_wait_private(word: &AtomicU32, expected: u32, deadline: Deadline) {
    wait(word, expected, deadline, libc::FUTEX_PRIVATE_FLAG);
}

/// Wakes the sleeper on a word of this process alone.
#[cfg(feature = "async")]
pub(crate) fn futex_wake_private(word: &AtomicU32) {
    // SAFETY: the word is valid for the call; FUTEX_WAKE only uses its address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::now_ns;

    #[test]
    fn a_sleep_on_many_words_ends_in_time_and_one_on_too_many_does_not_begin() {
        let words: Vec<AtomicU32> = (0..=WAIT_ANY_MAX as u32).map(AtomicU32::new).collect();
        let all = |count: usize| words.iter().zip(0..).take(count);
        let deadline = Deadline::in_ns(20_000_000);
        if futex_wait_any(all(WAIT_ANY_MAX), deadline) {
            assert!(deadline.has_passed());
        }
        assert!(!futex_wait_any(all(WAIT_ANY_MAX + 1), Deadline::in_ns(20_000_000)));
        // One word is not as expected: no sleep.
        let started_ns = now_ns();
        futex_wait_any([(&words[1], 1), (&words[2], 3)].into_iter(), Deadline::in_ns(10_000_000_000));
        assert!(now_ns() - started_ns < 5_000_000_000);
    }
}
