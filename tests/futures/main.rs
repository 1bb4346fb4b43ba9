//! Futures and streams of queues: under the executors of tokio, smol and `futures`, between
//! processes, cancelled, forgotten, forked, in a sandbox, and beside a process that stands still in
//! a lock.
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`). A case forks its
//! children before it starts a thread; each of them makes an executor, and a reactor, of its own.

#[path = "../support/mod.rs"]
mod support;

mod cancelling;
mod detaching;
mod ends;
mod executors;
mod forks;
#[cfg(not(shmq_portable_sync))]
mod hindered;
mod leases;
#[cfg(feature = "object")]
mod objects;
mod polling;
mod primitives;
mod readiness;
#[cfg(feature = "sink")]
mod sinks;
mod storm;
mod streams;
mod topics;
mod verbs;

use std::future::Future;
use std::process::ExitCode;
use support::harness::Lanes;

/// Runs a future on this thread, which must be over by itself.
#[track_caller]
fn within<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let bounded = runtime.block_on(async { tokio::time::timeout(support::BY_ITSELF, future).await });
    bounded.unwrap_or_else(|_| panic!("the future was not ready within {:?}", support::BY_ITSELF))
}

fn main() -> ExitCode {
    let cases = [
        verbs::cases(),
        streams::cases(),
        cancelling::cases(),
        detaching::cases(),
        leases::cases(),
        polling::cases(),
        primitives::cases(),
        readiness::cases(),
        forks::cases(),
        ends::cases(),
        #[cfg(not(shmq_portable_sync))]
        hindered::cases(),
        storm::cases(),
        topics::cases(),
    ]
    .concat();
    #[cfg(feature = "object")]
    let cases = [cases, objects::cases()].concat();
    #[cfg(feature = "sink")]
    let cases = [cases, sinks::cases()].concat();
    support::harness::run(Lanes::Waits, &cases)
}
