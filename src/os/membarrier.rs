//! The asymmetric fence: a process about to sleep pays for it, so that a commit needs none.
//!
//! A committer stores a header, then loads a waiter count; a waiter stores the count, then loads
//! the header (Dekker). At least one must see the other, which takes a full fence on both sides, or
//! a compiler fence on the committer's and `membarrier` on the waiter's: it makes every running
//! thread of every registered process execute a full fence.
//!
//! ```text
//!                         committer         sleeper               interrupts
//!   by default            compiler fence    fence, membarrier     each running thread of each
//!                                                                 registered process
//!   full fences (header)  fence             fence                 none: a process that has only
//!                                                                 such segments does not register
//!   membarrier refused    fence             fence, and one more   none
//!                                           check after a moment
//! ```
//!
//! Measured (2 cores, a guest that had other work; two processes that wake each other as fast as
//! they can, and one that only has a queue open on the other core): 18,223 function-call interrupts
//! a second of that core by default, 0 where the two have full fences, and 1,884 where the third
//! one has, which are other programs'. put + get of 8 B: 46.5 -> 70.1 ns by `Queue`, 4.1 -> 34.8 by
//! endpoints, which then do not use the SPSC path. An idle getter that is refused the call: 0.07 %
//! of a core (3.2 % when all its sleeps were cut to 1 ms); with full fences 0.06, by default 0.055.
//!
//! A registration is for the rest of a process's life, and its forked children inherit it.
//!
//! Invariants:
//! 1. A process in which [`MemoryBarrier::light`] is only a compiler fence has registered since its
//!    last fork.
//! 2. Either all processes of a segment use full fences, or none has to: its header says so before
//!    it is published.

use std::sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};

const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: membarrier takes no pointers; an unknown command is refused.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// How this process orders its commits against sleepers.
#[derive(Debug)]
pub(crate) struct MemoryBarrier {
    registered: AtomicBool,
    /// Does each process that uses the segment execute full fences?
    full_fences: bool,
}

impl MemoryBarrier {
    /// May this process use membarrier? Registers nothing.
    pub fn is_available() -> bool {
        const QUERY: libc::c_int = 0;
        // SAFETY: membarrier takes no pointers; a refusal is -1.
        let known = unsafe { libc::syscall(libc::SYS_membarrier, QUERY, 0, 0) };
        let wanted = (GLOBAL_EXPEDITED | REGISTER_GLOBAL_EXPEDITED) as libc::c_long;
        known >= 0 && known & wanted == wanted
    }

    /// For a segment whose header says whether it uses full fences. Registers this process if its
    /// commits need none (Invariant 1).
    pub fn register(full_fences: bool) -> MemoryBarrier {
        let barrier = MemoryBarrier { registered: AtomicBool::new(false), full_fences };
        barrier.register_again();
        barrier
    }

    /// Registers a forked child (Invariant 1).
    pub fn register_again(&self) {
        self.registered.store(!self.full_fences && membarrier(REGISTER_GLOBAL_EXPEDITED), Ordering::Relaxed);
    }

    /// See the module.
    pub fn has_full_fences(&self) -> bool {
        self.full_fences
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

    /// The light half, for a caller that has checked that this process is registered.
    #[inline(always)]
    pub fn compiler_only(&self) {
        debug_assert!(self.is_registered());
        compiler_fence(Ordering::SeqCst);
    }

    /// The sleeper's half. `false`: membarrier failed, and very recent commits of other processes
    /// may not be visible yet.
    #[cold]
    pub fn heavy(&self) -> bool {
        fence(Ordering::SeqCst);
        self.full_fences || (self.registered.load(Ordering::Relaxed) && membarrier(GLOBAL_EXPEDITED))
    }
}
