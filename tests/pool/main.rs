//! What `Pool` promises: results, errors at their places, and no caller that hangs, whichever
//! process dies.
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`).

#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "async")]
mod awaiting;
mod beside;
mod ends;
mod inherited;
mod programs;
mod refusals;
mod tasks;

#[cfg(not(shmq_portable_sync))]
mod cancel;
#[cfg(not(shmq_portable_sync))]
mod deaths;
#[cfg(not(shmq_portable_sync))]
mod in_time;
#[cfg(not(shmq_portable_sync))]
mod limits;
#[cfg(not(shmq_portable_sync))]
mod pending;
#[cfg(not(shmq_portable_sync))]
mod services;
#[cfg(not(shmq_portable_sync))]
mod stepped;
#[cfg(not(shmq_portable_sync))]
mod stopped;
#[cfg(not(shmq_portable_sync))]
mod storm;

use std::process::ExitCode;
use support::harness::Lanes;

fn main() -> ExitCode {
    let cases =
        [tasks::cases(), beside::cases(), ends::cases(), inherited::cases(), programs::cases(), refusals::cases()].concat();
    // The portable locks do not promise to survive deaths.
    #[cfg(not(shmq_portable_sync))]
    let cases = [cases, deaths::cases(), limits::cases(), services::cases(), stopped::cases(), storm::cases()].concat();
    #[cfg(not(shmq_portable_sync))]
    let cases = [cases, cancel::cases(), in_time::cases(), pending::cases(), stepped::cases()].concat();
    #[cfg(feature = "async")]
    let cases = [cases, awaiting::cases()].concat();
    support::harness::run(Lanes::Waits, &cases)
}
