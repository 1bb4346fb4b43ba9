//! A child that stands still inside a lock of a queue, at an instruction that is known: it copies
//! into, or from, a page that it may not touch, and its handler of SIGSEGV stops it there.

use super::PATIENCE;
use super::process::{Child, fork};
use shmq::{GetError, PutError, Queue};
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::Relaxed;

const PAGE_BYTES: usize = 4096;

/// The page that the handler gives free.
static PAGE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

/// Stops in the middle of the copy; once it is continued, the copy goes on.
extern "C" fn stop_here(_: libc::c_int) {
    // SAFETY: raise and mprotect may be called in a handler; the page is this process's own.
    unsafe {
        libc::raise(libc::SIGSTOP);
        let given = libc::mprotect(PAGE.load(Relaxed).cast(), PAGE_BYTES, libc::PROT_READ | libc::PROT_WRITE);
        if given != 0 {
            libc::abort();
        }
    }
}

/// A page of zeroes, which stops this process at the first touch.
fn page_that_stops() -> *mut u8 {
    // SAFETY: a new anonymous mapping; the handler has no other user in this process.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), PAGE_BYTES, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0);
        assert_ne!(page, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        PAGE.store(page.cast(), Relaxed);
        let handler: extern "C" fn(libc::c_int) = stop_here;
        assert_ne!(libc::signal(libc::SIGSEGV, handler as libc::sighandler_t), libc::SIG_ERR);
        page.cast()
    }
}

/// A message of that many bytes is copied while the side is locked.
const BYTES: usize = 512;

/// Forks a child that takes the next message and is stopped while it holds the lock of the get
/// side. The message must have [`BYTES`] bytes or fewer.
pub fn stopped_in_the_get_lock(queue: &Queue<[u8]>) -> Child {
    let mut child = fork("a getter that stops in the lock", || {
        // SAFETY: a mapping of its own; that it faults once is what it is for.
        let buffer = unsafe { std::slice::from_raw_parts_mut(page_that_stops(), BYTES) };
        queue.get_into(buffer).unwrap();
    });
    assert!(child.wait_for_stop(), "it stops before it ends");
    assert!(matches!(queue.try_get(), Err(GetError::Busy)), "the lock of the get side is held");
    child
}

/// Forks a child that puts [`BYTES`] zeroes and is stopped while it holds the lock of the put side.
pub fn stopped_in_the_put_lock(queue: &Queue<[u8]>) -> Child {
    let mut child = fork("a putter that stops in the lock", || {
        // SAFETY: a mapping of its own; that it faults once is what it is for.
        let message = unsafe { std::slice::from_raw_parts(page_that_stops(), BYTES) };
        queue.put_timeout(message, PATIENCE).unwrap();
    });
    assert!(child.wait_for_stop(), "it stops before it ends");
    assert!(matches!(queue.try_put(&[1]), Err(PutError::Busy)), "the lock of the put side is held");
    child
}
