//! Segments of garbage: whatever their words hold, every verb returns a value or an error. No
//! signal, no panic, no hang, and no access out of bounds, which the fences around each mapping and
//! each buffer would turn into a signal.
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`). A case forks workers
//! and checks their status. For how to repeat or prolong a run, see `trials.rs`. The portable locks
//! keep the words of `raw_sync` in the segment, which cannot be checked: nothing of this is
//! promised there.

#[path = "../support/mod.rs"]
mod support;

/// The modules that the byte map uses.
#[cfg(not(shmq_portable_sync))]
mod atomic {
    pub use std::sync::atomic::{AtomicU32, AtomicU64};
}
/// The byte map itself.
#[cfg(not(shmq_portable_sync))]
#[path = "../../src/shm/layout/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use a part of it")]
mod layout;

#[cfg(not(shmq_portable_sync))]
mod fences;
#[cfg(not(shmq_portable_sync))]
mod fields;
#[cfg(not(shmq_portable_sync))]
mod files;
#[cfg(not(shmq_portable_sync))]
mod flips;
#[cfg(not(shmq_portable_sync))]
mod hostile;
#[cfg(not(shmq_portable_sync))]
mod images;
#[cfg(not(shmq_portable_sync))]
mod iterating;
#[cfg(not(shmq_portable_sync))]
mod mended;
#[cfg(not(shmq_portable_sync))]
mod toggles;
#[cfg(not(shmq_portable_sync))]
mod topic_verbs;
#[cfg(not(shmq_portable_sync))]
mod topics;
#[cfg(not(shmq_portable_sync))]
mod trials;
#[cfg(not(shmq_portable_sync))]
mod verbs;

use std::process::ExitCode;
use support::harness::Lanes;

#[cfg(not(shmq_portable_sync))]
fn main() -> ExitCode {
    let cases = [
        mended::cases(),
        files::cases(),
        flips::cases(),
        hostile::cases(),
        iterating::cases(),
        toggles::cases(),
        topics::cases(),
    ]
    .concat();
    support::harness::run(Lanes::Processors, &cases)
}

#[cfg(shmq_portable_sync)]
fn main() -> ExitCode {
    println!("no promise about garbage is made on the portable locks");
    support::harness::run(Lanes::Processors, &[])
}
