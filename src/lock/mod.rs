//! Mutex and condition variable between processes: on futex words and the kernel's answer on which
//! process is alive (Linux), or on `raw_sync`.
//!
//! ```text
//!   Mutex     free --try_lock--> mine --unlock--> free
//!             held by another --probe: dead--> mine, and the caller repairs first
//!                             --probe: alive--> sleep at most 5 ms, check again
//!   Condvar   check --nothing--> register --check again--> sleep (a slice at most)
//!               ^------------------------------ deregister <------+
//! ```
//!
//! Both backends have the same shape: [`Locks`] is what one attached queue keeps, [`Mutex`] and
//! [`Condvar`] borrow it.

#[cfg(not(any(not(target_os = "linux"), shmq_portable_sync)))]
mod futex;
#[cfg(all(test, not(loom)))]
pub(crate) mod model;
#[cfg(any(not(target_os = "linux"), shmq_portable_sync))]
mod portable;

#[cfg(not(any(not(target_os = "linux"), shmq_portable_sync)))]
#[cfg(feature = "async")]
pub(crate) use futex::KeptCondvar;
#[cfg(not(any(not(target_os = "linux"), shmq_portable_sync)))]
pub(crate) use futex::{Condvar, Locks, Mutex, Registration, sleep_any, unordered_moment};
#[cfg(any(not(target_os = "linux"), shmq_portable_sync))]
#[cfg(feature = "async")]
pub(crate) use portable::KeptCondvar;
#[cfg(any(not(target_os = "linux"), shmq_portable_sync))]
pub(crate) use portable::{Condvar, Locks, Mutex, Registration, sleep_any, unordered_moment};

/// How a lock was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locked {
    /// Its last holder unlocked it.
    Clean,
    /// Its holder died inside: repair before anything else.
    FromTheDead,
}

/// The word of a lock that was being unlocked held another id: its holder was taken for dead while
/// it was at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotMine;
