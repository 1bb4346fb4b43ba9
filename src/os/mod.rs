//! The operating system: every system call but those on the segment's own files (`shm::segment`).

mod clock;
#[cfg(feature = "object")]
mod credentials;
mod deadline;
mod descriptor;
mod eintr;
#[cfg(feature = "async")]
mod eventfd;
mod exit;
mod file_size;
mod fork;
#[cfg(not(shmq_portable_sync))]
mod futex;
#[cfg(any(feature = "async", feature = "object"))]
mod home;
mod membarrier;
mod memory_limit;
mod null;
mod ofd;
mod poll;
mod prefetch;
mod process;
#[cfg(feature = "object")]
mod sigchld;
mod signals;
#[cfg(feature = "object")]
pub(crate) mod socket;
mod wipe;

pub(crate) use clock::{coarse_now_ns, now_ns, unix_seconds};
#[cfg(feature = "object")]
pub(crate) use credentials::Credentials;
pub use deadline::Deadline;
#[cfg(feature = "object")]
pub(crate) use descriptor::{close_number, descriptor_limit, duplicate_above, duplicate_to, no_free_descriptor, placeholder};
pub(crate) use descriptor::{closes_on_exec, open_again, raise};
pub(crate) use eintr::take_ended_by_signal;
#[cfg(feature = "async")]
pub(crate) use eventfd::EventFd;
pub(crate) use exit::on_exit;
pub(crate) use file_size::{file_size_limit, without_sigxfsz};
pub(crate) use fork::{Incarnation, begin_child, on_fork};
#[cfg(all(feature = "async", not(shmq_portable_sync)))]
pub(crate) use futex::{WAIT_ANY_MAX, WordSet, futex_wait_private, futex_wake_private};
#[cfg(not(shmq_portable_sync))]
pub(crate) use futex::{futex_wait, futex_wait_any, futex_wake};
#[cfg(any(feature = "async", feature = "object"))]
pub(crate) use home::Home;
pub(crate) use membarrier::MemoryBarrier;
pub(crate) use memory_limit::memory_short_of;
pub(crate) use null::put_null_over_all_but;
pub(crate) use ofd::{any_conflict_in_range, conflict_in_range, lock_range, share_range, unlock_range};
#[cfg(feature = "async")]
pub(crate) use poll::PollSet;
pub(crate) use poll::{Event, poll_events, poll_readable};
#[cfg(feature = "object")]
pub(crate) use poll::{is_closed, poll};
pub(crate) use prefetch::{prefetch_read, prefetch_write};
pub(crate) use process::{
    Fork, KILL, Parent, Pid, Signal, TERMINATE, WaitFor, die_with, exit_now, fork, is_no_such_child, is_no_such_process,
    open_pidfd, send_signal, send_signal_by_pidfd, take_ended, thread_id,
};
#[cfg(feature = "object")]
pub(crate) use process::{
    at_exit, become_subreaper, continue_process, die_at_end_of, errno_or_again, kill_parent, own_pid, parent_is_elsewhere,
    parent_pid, peek_ended, pid_of, reap,
};
#[cfg(feature = "object")]
pub(crate) use sigchld::ChildSignal;
pub(crate) use signals::{Blocked, begin_process};
#[cfg(feature = "object")]
pub(crate) use signals::{Recipient, RequestedSignals, Signals, begin_helper, give_back, remain_helper};
