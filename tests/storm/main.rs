//! Random deaths under load: processes that put and take are killed with SIGKILL, or stopped with
//! SIGSTOP for a while, at any point, and replaced. A ledger that survives all of them must
//! balance.
//!
//! `cargo test --test storm` storms over each kind of use for some seconds; with `-- --ignored` for
//! some minutes and tens of thousands of kills. Both print what happened. `SHMQ_TEST_SEED` repeats
//! the killer's choices, `SHMQ_TEST_STORM_S` sets how long each storm lasts.

#[path = "../support/mod.rs"]
mod support;

#[cfg(all(target_os = "linux", not(shmq_portable_sync)))]
mod storms;

#[cfg(all(target_os = "linux", not(shmq_portable_sync)))]
fn main() -> std::process::ExitCode {
    storms::main()
}

/// The portable locks do not promise to survive crashes.
#[cfg(not(all(target_os = "linux", not(shmq_portable_sync))))]
fn main() {
    println!("running 0 tests: not promised here");
}
