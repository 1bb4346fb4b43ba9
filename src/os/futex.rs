//! Sleeping on a word of shared memory. Never `FUTEX_PRIVATE_FLAG`: other processes wait on the same word.

use super::clock::FOREVER_NS;
use std::ptr;
use std::sync::atomic::AtomicU32;

/// Sleeps while `word` holds `expected`, at most until `deadline_ns` (monotonic; [`FOREVER_NS`] for none).
/// Returns for any reason, or none: the caller looks again.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, deadline_ns: u64) {
    let deadline = libc::timespec {
        tv_sec: (deadline_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (deadline_ns % 1_000_000_000) as libc::c_long,
    };
    let timeout = if deadline_ns == FOREVER_NS { ptr::null() } else { &raw const deadline };
    // SAFETY: the word is valid for the call (it is borrowed), `timeout` is null or a timespec that lives until the call returns.
    // FUTEX_WAIT_BITSET takes an absolute time on CLOCK_MONOTONIC. Every error (EAGAIN, EINTR, ETIMEDOUT) means "look again".
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET,
            expected,
            timeout,
            ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
}

/// Wakes at most `count` sleepers; returns how many there were.
pub(crate) fn futex_wake(word: &AtomicU32, count: u32) -> u32 {
    let count = count.min(i32::MAX as u32);
    // SAFETY: the word is valid for the call; FUTEX_WAKE only uses its address.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
    u32::try_from(woken).unwrap_or(0)
}
