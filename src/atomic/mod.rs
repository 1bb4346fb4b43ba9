//! The atomics that all shared words are made of: `core`'s, or loom's where loom explores the
//! ring's transitions, or those that count writes and end their process at one of them, for
//! `tests/two_deaths`.

#[cfg(not(any(loom, shmq_counted)))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(all(shmq_counted, not(loom)))]
pub mod counted;
#[cfg(all(shmq_counted, not(loom)))]
pub(crate) use {
    core::sync::atomic::{Ordering, fence},
    counted::{AtomicU32, AtomicU64},
};
