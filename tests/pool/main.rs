//! What `Pool` promises: results, errors at their places, and no caller that hangs, whichever
//! process dies.
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`).

#[path = "../support/mod.rs"]
mod support;

mod beside;
mod ends;
mod inherited;
mod programs;
mod refusals;
mod tasks;

#[cfg(not(shmq_portable_sync))]
mod deaths;
#[cfg(not(shmq_portable_sync))]
mod limits;
#[cfg(not(shmq_portable_sync))]
mod services;
#[cfg(not(shmq_portable_sync))]
mod stopped;
#[cfg(not(shmq_portable_sync))]
mod storm;

use std::process::ExitCode;
use support::harness::Lanes;

fn main() -> ExitCode {
    let mut cases = tasks::cases();
    cases.extend(beside::cases());
    cases.extend(ends::cases());
    cases.extend(inherited::cases());
    cases.extend(programs::cases());
    cases.extend(refusals::cases());
    // The portable locks do not promise to survive deaths.
    #[cfg(not(shmq_portable_sync))]
    {
        cases.extend(deaths::cases());
        cases.extend(limits::cases());
        cases.extend(services::cases());
        cases.extend(stopped::cases());
        cases.extend(storm::cases());
    }
    support::harness::run(Lanes::Waits, &cases)
}
