//! Objects that are larger than their ring, whose processes are killed: none is lost, and no file
//! is left.
//!
//! | file | what |
//! |---|---|
//! | `deaths.rs` | processes that die with an object in their hands |
//! | `lifetimes.rs` | what is left of an unlinked, a persisted, a replaced queue |
//! | `names.rs` | processes that make, open, unlink and replace one name, killed at random |
//! | `storm.rs` | putters and takers that are killed at random, with a ledger |
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`). `SHMQ_TEST_SEED`
//! repeats a run's random choices, `SHMQ_TEST_STORM_S` sets how long a storm lasts, and with
//! `-- --ignored` each lasts for ten thousand kills.

#[path = "../support/objects.rs"]
#[allow(dead_code, reason = "this binary uses a part of it")]
mod objects;
#[path = "../support/mod.rs"]
mod support;

#[cfg(not(shmq_portable_sync))]
mod deaths;
#[cfg(not(shmq_portable_sync))]
#[path = "../storm/storms/ledger.rs"]
#[allow(dead_code, reason = "this storm uses a part of it")]
mod ledger;
#[cfg(not(shmq_portable_sync))]
mod lifetimes;
#[cfg(not(shmq_portable_sync))]
mod names;
#[cfg(not(shmq_portable_sync))]
mod storm;

use std::process::ExitCode;
use support::harness::Lanes;

#[cfg(not(shmq_portable_sync))]
fn main() -> ExitCode {
    use support::harness::{Case, asks_for_ignored};
    let storms = [names::cases(), storm::cases()].concat();
    let mut cases = [deaths::cases(), lifetimes::cases(), storms.clone()].concat();
    if asks_for_ignored() {
        // The same, for longer.
        let longer = |case: Case| Case { ignored: true, bound: std::time::Duration::from_secs(1800), ..case };
        cases = storms.into_iter().map(longer).collect();
    }
    support::harness::run(Lanes::Processors, &cases)
}

/// The portable locks do not promise to survive crashes.
#[cfg(shmq_portable_sync)]
fn main() -> ExitCode {
    support::harness::run(Lanes::One, &[])
}
