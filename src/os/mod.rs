//! The operating system: the only system calls besides those that make and name segments.

mod clock;
mod deadline;
mod descriptor;
mod file_size;
mod fork;
#[cfg(not(shmq_portable_sync))]
mod futex;
#[cfg(feature = "object")]
mod home;
mod membarrier;
mod memory_limit;
mod null;
mod ofd;
mod parent;
mod poll;
mod prefetch;
mod signals;
mod wipe;

pub(crate) use clock::{coarse_now_ns, now_ns, unix_seconds};
pub use deadline::Deadline;
pub(crate) use deadline::{FOREVER_NS, deadline_after};
pub(crate) use descriptor::{open_again, raise};
pub(crate) use file_size::{file_size_limit, without_sigxfsz};
pub(crate) use fork::{Incarnation, begin_child, on_fork};
#[cfg(not(shmq_portable_sync))]
pub(crate) use futex::{futex_wait, futex_wait_any, futex_wake};
#[cfg(feature = "object")]
pub(crate) use home::Home;
pub(crate) use membarrier::Barrier;
pub(crate) use memory_limit::memory_short_of;
pub(crate) use null::put_null_over_all_but;
pub(crate) use ofd::{any_conflict_in_range, conflict_in_range, lock_range, share_range, unlock_range};
pub(crate) use parent::{Parent, die_with, open_pidfd};
#[cfg(feature = "object")]
pub(crate) use parent::{die_at_end_of, has_no_process, parent_is_elsewhere, parent_pid};
pub(crate) use poll::poll_readable;
pub(crate) use prefetch::{prefetch_read, prefetch_write};
#[cfg(feature = "object")]
pub(crate) use signals::{Asked, Recipient, Signals, begin_helper, give_back, remain_helper};
pub(crate) use signals::{Blocked, begin_process};
