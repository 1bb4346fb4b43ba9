//! Threads as the holds of reentrant locks name them: by numbers that are given out once, since the
//! system gives the id of a thread that has ended to another (Invariant 1 of the module).

use crate::os;
use std::cell::Cell;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// A thread, as holds name it.
#[derive(Clone, Copy)]
pub(super) struct Thread {
    /// Of which process, as its fork word shows it: a forked child's thread is another one.
    incarnation: u32,
    /// 0: not drawn yet.
    pub number: u32,
    /// As the kernel names it.
    pub tid: u32,
}

/// The last number that was given out (Invariant 1). A process that makes 2^32 threads begins anew.
static THREADS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static PERIODS: Cell<u32> = const { Cell::new(0) };
    static THREAD: Cell<Thread> = const { Cell::new(Thread { incarnation: 0, number: 0, tid: 0 }) };
}

/// A number for the time from an acquisition of this thread's to the release of its last level.
pub(super) fn next_period() -> u32 {
    PERIODS.set(PERIODS.get().wrapping_add(1));
    PERIODS.get()
}

pub(super) fn this_thread(incarnation: u32) -> Thread {
    let known = THREAD.get();
    if known.number != 0 && known.incarnation == incarnation { known } else { first_use(incarnation) }
}

#[cold]
fn first_use(incarnation: u32) -> Thread {
    let number = match THREADS.fetch_add(1, Relaxed).wrapping_add(1) {
        0 => THREADS.fetch_add(1, Relaxed).wrapping_add(1),
        number => number,
    };
    let thread = Thread { incarnation, number, tid: os::thread_id() };
    THREAD.set(thread);
    thread
}
