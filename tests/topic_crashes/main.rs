//! Topics whose processes are killed, stopped and forked at random, and readers that are lapped on
//! purpose.
//!
//! | file | what |
//! |---|---|
//! | `storm.rs` | processes that are killed, stopped, join and leave, with a ledger |
//! | `stopped.rs` | a process that stands still while it holds something: errors name it |
//! | `forks.rs` | what a forked child inherits is inert |
//! | `torn.rs` | a torn copy never becomes a value |
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`). `SHMQ_TEST_SEED`
//! repeats a run's random choices, `SHMQ_TEST_STORM_S` sets how long a storm lasts, and with
//! `-- --ignored` storms last longer and there are ten million reads that may be torn.

#[path = "../support/mod.rs"]
mod support;

#[cfg(not(shmq_portable_sync))]
mod forks;
#[cfg(not(shmq_portable_sync))]
mod letters;
#[cfg(not(shmq_portable_sync))]
mod stopped;
#[cfg(not(shmq_portable_sync))]
mod storm;
#[cfg(not(shmq_portable_sync))]
mod torn;

use std::process::ExitCode;
use support::harness::Lanes;

#[cfg(not(shmq_portable_sync))]
fn main() -> ExitCode {
    use support::harness::{Case, asks_for_ignored};
    let long = [torn::cases(), storm::cases()].concat();
    let mut cases = [stopped::cases(), forks::cases(), long.clone()].concat();
    if asks_for_ignored() {
        // The same, for longer.
        cases =
            long.into_iter().map(|case| Case { ignored: true, bound: std::time::Duration::from_secs(1800), ..case }).collect();
    }
    support::harness::run(Lanes::One, &cases)
}

/// The portable locks do not promise to survive crashes.
#[cfg(shmq_portable_sync)]
fn main() -> ExitCode {
    support::harness::run(Lanes::One, &[])
}
