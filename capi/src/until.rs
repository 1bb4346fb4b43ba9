//! How long a call waits.

use std::time::Duration;

/// One try, as `until`.
pub(crate) const SHMQ_TRY: u64 = 0;
/// No end, as `until`, as a deadline, or as a timeout.
pub(crate) const SHMQ_FOREVER: u64 = u64::MAX;

/// `until`, as the crate's forms have it.
#[derive(Clone, Copy)]
pub enum Until {
    Try,
    Forever,
    /// A deadline: what is left of it.
    Left(Duration),
}

impl Until {
    #[inline]
    pub fn of(until: u64) -> Until {
        match until {
            SHMQ_TRY => Until::Try,
            SHMQ_FOREVER => Until::Forever,
            deadline => Until::Left(left(deadline)),
        }
    }
}

/// What is left until a deadline; nothing if it has passed.
#[inline]
pub fn left(deadline_ns: u64) -> Duration {
    match deadline_ns {
        SHMQ_FOREVER => Duration::MAX,
        deadline_ns => Duration::from_nanos(deadline_ns.saturating_sub(now_ns())),
    }
}

/// A timeout.
#[inline]
pub fn timeout(ns: u64) -> Duration {
    if ns == SHMQ_FOREVER { Duration::MAX } else { Duration::from_nanos(ns) }
}

/// Calls the form of a verb that `until` asks for.
macro_rules! by_until {
    ($until:expr, $this:expr, $try:ident, $forever:ident, $timeout:ident $(, $argument:expr)*) => {
        match $crate::until::Until::of($until) {
            $crate::until::Until::Try => $this.$try($($argument),*),
            $crate::until::Until::Forever => $this.$forever($($argument),*),
            $crate::until::Until::Left(left) => $this.$timeout($($argument,)* left),
        }
    };
}
pub(crate) use by_until;

fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec that the call may write; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds of CLOCK_MONOTONIC: the clock of all deadlines.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_now() -> u64 {
    now_ns()
}

/// The deadline that is `ns` nanoseconds ahead. `SHMQ_FOREVER` if there is none so late.
///
/// - Blocks: no.
/// - Threads: any, at the same time.
/// - After fork: as before.
/// - Signal handler: yes.
/// - Dead peer: no effect.
#[unsafe(no_mangle)]
pub extern "C" fn shmq_after(ns: u64) -> u64 {
    now_ns().saturating_add(ns)
}
