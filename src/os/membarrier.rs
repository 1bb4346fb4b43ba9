//! The asymmetric fence: those about to sleep pay for it, so that those who commit messages need none.
//!
//! A committer stores a header, then loads a waiter count; a waiter stores the count, then loads the header. One of the two
//! must see the other, which needs a full fence on both sides, or none on the committer's side and `membarrier` on the waiter's:
//! it makes every running thread of every registered process execute a full fence.
//!
//! Invariant 1: a process in which [`Barrier::light`] is only a compiler fence has registered since its last fork.

use std::sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};

const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: membarrier takes no pointers; an unknown command is refused.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// How this process orders its commits against sleepers.
#[derive(Debug)]
pub(crate) struct Barrier {
    registered: AtomicBool,
}

impl Barrier {
    /// Registers this process (Invariant 1).
    pub fn register() -> Barrier {
        Barrier { registered: AtomicBool::new(membarrier(REGISTER_GLOBAL_EXPEDITED)) }
    }

    /// Registers a forked child (Invariant 1).
    pub fn register_again(&self) {
        self.registered.store(membarrier(REGISTER_GLOBAL_EXPEDITED), Ordering::Relaxed);
    }

    /// The committer's half.
    #[inline(always)]
    pub fn light(&self) {
        if self.registered.load(Ordering::Relaxed) {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    /// May the light half be a compiler fence only?
    pub fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed)
    }

    /// The light half of one who found out that this process is registered.
    #[inline(always)]
    pub fn compiler_only(&self) {
        debug_assert!(self.is_registered());
        compiler_fence(Ordering::SeqCst);
    }

    /// The sleeper's half. `false`: the kernel refused, and the caller may sleep only in short slices.
    #[cold]
    pub fn heavy(&self) -> bool {
        fence(Ordering::SeqCst);
        self.registered.load(Ordering::Relaxed) && membarrier(GLOBAL_EXPEDITED)
    }
}
