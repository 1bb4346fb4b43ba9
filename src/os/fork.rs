//! Noticing a fork: which incarnation of a program is this?
//!
//! ```text
//!   word = 0 --current()--> word = n --fork--> parent: word = n
//!                                         \--> child:  word = 0 --current()--> word = n + 1
//! ```
//!
//! Invariants:
//! 1. The word lies in a `MADV_WIPEONFORK` page: it reads 0 in a child until the child draws an incarnation of its own, also
//!    after a raw `fork` system call that runs no handlers.
//! 2. Incarnations are never 0 and never repeat along a line of descent (the counter is ordinary memory, which fork copies).

use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Last incarnation drawn by this process or an ancestor.
static LAST: AtomicU32 = AtomicU32::new(0);
static WORD: OnceLock<Word> = OnceLock::new();

struct Word(*const AtomicU32);
// SAFETY: points to an atomic in a page that is never unmapped.
unsafe impl Send for Word {}
// SAFETY: as above.
unsafe impl Sync for Word {}

/// The word of this process, to be compared at every call with the incarnation that a thing was made in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incarnation(&'static AtomicU32);

impl Incarnation {
    /// Finds the word, making its page at first use.
    pub fn word() -> io::Result<Incarnation> {
        if let Some(word) = WORD.get() {
            // SAFETY: Invariant 1's page lives as long as the process.
            return Ok(Incarnation(unsafe { &*word.0 }));
        }
        // SAFETY: an anonymous private mapping at an address of the kernel's choice.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                crate::layout::PAGE_BYTES as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the page that was just mapped.
        if unsafe { libc::madvise(page, crate::layout::PAGE_BYTES as usize, libc::MADV_WIPEONFORK) } == -1 {
            return Err(io::Error::last_os_error());
        }
        // A thread that lost the race leaks its page: once per process at most.
        let word = WORD.get_or_init(|| Word(page.cast()));
        // SAFETY: Invariant 1's page lives as long as the process, and zeroed memory is an atomic 0.
        Ok(Incarnation(unsafe { &*word.0 }))
    }

    /// The incarnation of this process, or 0 if it was forked and has drawn none yet. One relaxed load: fork has no other thread
    /// of this process to be ordered with.
    #[inline(always)]
    pub fn peek(self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// The incarnation of this process, drawn now if need be (Invariant 2).
    pub fn current(self) -> u32 {
        let seen = self.peek();
        if seen != 0 {
            return seen;
        }
        let drawn = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        match self.0.compare_exchange(0, drawn, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => drawn,
            Err(other) => other,
        }
    }
}

/// Registers the three handlers that libc runs around a `fork`.
pub(crate) fn on_fork(
    before: unsafe extern "C" fn(),
    in_parent: unsafe extern "C" fn(),
    in_child: unsafe extern "C" fn(),
) -> io::Result<()> {
    // SAFETY: plain functions that live as long as the program.
    match unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
