//! Checks that `MADV_WIPEONFORK` really works.
//!
//! User-mode emulators accept any advice and do nothing, and a sandbox may answer in the kernel's
//! place. Then a child of a raw `fork` would take itself for its parent, and what it held would be
//! lost silently when it is killed. So it is tested, once in a process.
//!
//! Two tests, the cheap one first: forking a program with a gigabyte in small pages takes 70 ms,
//! and several times as much again in page faults afterwards.
//! 1. Advise one of several pages in one mapping. If that has an effect, the kernel splits the
//!    mapping, and refuses to grow the parts as one. A few system calls, no child.
//! 2. Otherwise fork a child that reads the page and exits.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// The smallest page of any machine. Where pages are larger, the first test shows nothing, and the
/// second one decides.
pub(super) const PAGE: usize = 4096;
/// No kernel knows this advice: only an emulator that ignores all advice accepts it.
const NO_ADVICE: libc::c_int = 0x7ff0;
/// What the page holds during the test.
const MARK: u32 = 0x5eed_f0c4;
/// Exit statuses of the testing child.
const WIPED: libc::c_int = 0;
const KEPT: libc::c_int = 1;

/// Does a child read 0 where the parent wrote into this page? Leaves zeros in it.
///
/// # Safety
/// `page` is a writable anonymous page of this process that was advised `MADV_WIPEONFORK`,
/// and no other thread uses it.
pub(super) unsafe fn is_wiped_in_children(page: *mut AtomicU32) -> bool {
    // SAFETY: the caller owns the page. An advice that does not exist changes nothing.
    if unsafe { libc::madvise(page.cast(), PAGE, NO_ADVICE) } == 0 {
        return false;
    }
    // SAFETY: passed on from this function's own contract.
    splits_a_mapping() || unsafe { a_child_finds_it_wiped(page) }
}

/// The first test.
fn splits_a_mapping() -> bool {
    // SAFETY: anonymous pages at an address of the kernel's choice, which are ours until they are
    // unmapped, wherever they are moved to.
    unsafe {
        let grow = |pages, from, to| libc::mremap(pages, from * PAGE, to * PAGE, libc::MREMAP_MAYMOVE);
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        let two = libc::mmap(ptr::null_mut(), 2 * PAGE, writable, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        if two == libc::MAP_FAILED {
            return false;
        }
        let three = grow(two, 2, 3);
        if three == libc::MAP_FAILED {
            libc::munmap(two, 2 * PAGE);
            return false;
        }
        let advised = libc::madvise(three, PAGE, libc::MADV_WIPEONFORK) == 0;
        let four = grow(three, 3, 4);
        if four != libc::MAP_FAILED {
            libc::munmap(four, 4 * PAGE);
            return false;
        }
        libc::munmap(three, 3 * PAGE);
        advised
    }
}

/// The second test. The program does not notice the child: it exits without a signal (`clone` with
/// exit signal 0), so neither a handler of `SIGCHLD` nor a `wait` for any child sees it, and it
/// runs none of the program's handlers, signal handlers included. Where no child can be made, the
/// kernel's answer is trusted.
unsafe fn a_child_finds_it_wiped(page: *mut AtomicU32) -> bool {
    // SAFETY: the caller owns the page, which is as large and aligned as an atomic.
    let word = unsafe { &*page };
    word.store(MARK, Ordering::Relaxed);
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are filled by the calls that they are passed to. The child of this `clone`
    // has a copy of our memory and our stack, as that of a fork; it reads one word of its own
    // memory and ends, by system calls alone.
    let status = unsafe {
        let mut all = MaybeUninit::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
        let child = libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) as libc::pid_t;
        if child == 0 {
            libc::_exit(if word.load(Ordering::Relaxed) == 0 { WIPED } else { KEPT });
        }
        let status = (child > 0).then(|| end_of(child)).flatten();
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        status
    };
    word.store(0, Ordering::Relaxed);
    status != Some(KEPT)
}

/// Exit status of the child, `None` if another thread waited for any process at all and took it.
fn end_of(child: libc::pid_t) -> Option<libc::c_int> {
    let mut status = 0;
    loop {
        // SAFETY: `status` may be written. `__WALL` includes a child that exits without a signal.
        if unsafe { libc::waitpid(child, &mut status, libc::__WALL) } == child {
            return libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(advised: bool) -> *mut AtomicU32 {
        // SAFETY: a page of our own, never unmapped.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let page = libc::mmap(ptr::null_mut(), PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            assert!(!advised || libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) == 0);
            page.cast()
        }
    }

    #[test]
    fn a_child_distinguishes_a_wiped_page_from_one_that_is_kept() {
        for advised in [true, false] {
            let page = page(advised);
            // SAFETY: the page is ours.
            unsafe {
                assert_eq!(a_child_finds_it_wiped(page), advised);
                assert_eq!((*page).load(Ordering::Relaxed), 0, "it is left as it was");
            }
        }
    }

    #[test]
    fn both_tests_agree() {
        // SAFETY: the page is ours.
        let wiped = unsafe { a_child_finds_it_wiped(page(true)) };
        assert!(!splits_a_mapping() || wiped);
    }
}
