//! What the primitives of `shmq::sync` and `wait_any` promise between processes: forked ones,
//! stopped ones and dead ones.
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`). The portable locks do
//! not promise to survive crashes: under `--cfg shmq_portable_sync` those chapters are left out.

#[path = "../support/mod.rs"]
mod support;

mod barriers;
mod condvars;
mod events;
mod handles;
mod interruptions;
mod locks;
mod mutexes;
mod notices;
mod owned;
mod pipes;
mod reentrant;
mod semaphores;
mod values;
mod wait_any;

#[cfg(not(shmq_portable_sync))]
mod deaths;
#[cfg(not(shmq_portable_sync))]
mod handlers;
#[cfg(not(shmq_portable_sync))]
mod parties;
#[cfg(not(shmq_portable_sync))]
mod restarts;
#[cfg(not(shmq_portable_sync))]
mod stops;
#[cfg(not(shmq_portable_sync))]
mod storm;

use std::process::ExitCode;
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};
use support::harness::Lanes;
use support::process::{Child, fork, wait_for_count};

/// A short timeout that is waited for completely.
const SHORT: Duration = Duration::from_millis(30);

/// A child that holds something until `go` is stored.
fn holder(what: &'static str, act: impl FnOnce(&dyn Fn())) -> (Child, &'static std::sync::atomic::AtomicU64) {
    let words = support::process::shared_words(2);
    let child = fork(what, || {
        act(&|| {
            words[0].store(1, Release);
            wait_for_count("the word to go on", &words[1], 1);
        });
    });
    wait_for_count(what, &words[0], 1);
    (child, &words[1])
}

/// Runs a call that must give up, but not before `timeout`.
#[track_caller]
fn gives_up_in_time<R>(timeout: Duration, run: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let result = run();
    assert!(started.elapsed() >= timeout, "gave up after {:?}, early", started.elapsed());
    result
}

fn main() -> ExitCode {
    let cases = [
        mutexes::cases(),
        owned::cases(),
        locks::cases(),
        reentrant::cases(),
        values::cases(),
        handles::cases(),
        events::cases(),
        semaphores::cases(),
        condvars::cases(),
        notices::cases(),
        barriers::cases(),
        wait_any::cases(),
        pipes::cases(),
        interruptions::cases(),
    ]
    .concat();
    #[cfg(not(shmq_portable_sync))]
    let cases =
        [cases, deaths::cases(), handlers::cases(), parties::cases(), restarts::cases(), stops::cases(), storm::cases()].concat();
    support::harness::run(Lanes::Waits, &cases)
}
