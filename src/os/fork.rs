//! Detecting forks: every process of a program has an incarnation number of its own.
//!
//! ```text
//!   word = 0 --current()--> word = n --fork--> parent: word = n
//!                                         \--> child:  word = 0 --current()--> word = n + 1
//! ```
//!
//! Invariants:
//! 1. The word lies in a `MADV_WIPEONFORK` page: it reads 0 in a child until the child draws an
//!    incarnation of its own, even after a raw `fork` system call that runs no handlers. The fork
//!    handler clears it too ([`begin_child`]).
//! 2. Incarnations are never 0 and never repeat along a line of descent (the counter is ordinary
//!    memory, which fork copies).
//! 3. Where the page is not wiped, whatever the kernel says ([`is_wiped_in_children`]), the word
//!    counts only after a check of the process id ([`Incarnation::current`]): a raw-forked child is
//!    detected at its first call.

use super::wipe::{PAGE, is_wiped_in_children};
use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Last incarnation drawn by this process or an ancestor.
static LAST: AtomicU32 = AtomicU32::new(0);
/// Process that drew the incarnation in the word, where the page is not wiped.
static DRAWN_BY: AtomicU32 = AtomicU32::new(0);
static WORD: OnceLock<Word> = OnceLock::new();

struct Word {
    at: *const AtomicU32,
    is_wiped: bool,
}
// SAFETY: points to an atomic in a page that is never unmapped.
unsafe impl Send for Word {}
// SAFETY: the atomic may be shared, and the other field is never changed.
unsafe impl Sync for Word {}

/// The word of this process, compared at every call with the incarnation that a queue or a guard
/// was made in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incarnation(&'static AtomicU32);

impl Incarnation {
    /// Finds the word, making its page at first use.
    pub fn word() -> io::Result<Incarnation> {
        if let Some(word) = Incarnation::if_known() {
            return Ok(word);
        }
        // SAFETY: an anonymous private mapping at an address that the kernel chooses.
        let page = unsafe {
            libc::mmap(ptr::null_mut(), PAGE, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the page that was just mapped.
        if unsafe { libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) } == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the page that was just mapped, which no other thread knows.
        let is_wiped = unsafe { is_wiped_in_children(page.cast()) };
        // A thread that lost the race leaks its page: once per process at most.
        let word = WORD.get_or_init(|| Word { at: page.cast(), is_wiped });
        // SAFETY: Invariant 1's page lives as long as the process, and zeroed memory is an atomic
        // 0.
        Ok(Incarnation(unsafe { &*word.at }))
    }

    /// The word, if this process or an ancestor has made it. Async-signal-safe.
    pub fn if_known() -> Option<Incarnation> {
        // SAFETY: Invariant 1's page lives as long as the process.
        WORD.get().map(|word| Incarnation(unsafe { &*word.at }))
    }

    /// Does the kernel wipe the word in every child? Else compare only what
    /// [`current`](Self::current) says (Invariant 3).
    pub fn is_wiped_in_children(self) -> bool {
        WORD.get().is_some_and(|word| word.is_wiped)
    }

    /// The incarnation of this process, or 0 if it was forked and has drawn none yet. One relaxed
    /// load: no other thread of this process writes the word, except to draw the same incarnation.
    #[inline(always)]
    pub fn peek(self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// The incarnation of this process, drawn now if need be (Invariant 2). Async-signal-safe.
    pub fn current(self) -> u32 {
        if !self.is_wiped_in_children() {
            // Invariant 3. Relaxed: a child has one thread until it has been here.
            let pid = std::process::id();
            if DRAWN_BY.swap(pid, Ordering::Relaxed) != pid {
                self.0.store(0, Ordering::Relaxed);
            }
        }
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

/// In the child of a `fork`: clears the word, where the kernel did not (Invariant 3), and draws an
/// incarnation, 0 if there is no word. Async-signal-safe.
pub(crate) fn begin_child() -> u32 {
    Incarnation::if_known().map_or(0, |word| {
        word.0.store(0, Ordering::Relaxed);
        word.current()
    })
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
