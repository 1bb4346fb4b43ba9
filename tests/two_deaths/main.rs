//! Two processes are killed, independently of each other, at every pair of atomic writes, and a
//! third one looks at what they left.
//!
//! `tests/kill_everywhere` kills one process; some faults need two: a putter that died between two
//! stores, and a getter that died with what it had taken in between. The crate is built with
//! atomics that count their writes (`--cfg shmq_counted`, `src/atomic/counted.rs`), so that a
//! forked child can die, or stop, right before its k-th one. A first process does so in one verb, a
//! second one in another, and a survivor checks a ledger: every committed message reaches a
//! process, none twice beyond the delivery rules; `Closed` and a `join` that is `Ok` come only when
//! nothing is left; the queue has its whole capacity. Others stop and go on instead of dying.
//!
//! ```text
//! export RUSTFLAGS="--cfg shmq_counted" CARGO_TARGET_DIR=target/counted
//! cargo test --test two_deaths                            a sample, drawn by the seed
//! cargo test --release --test two_deaths -- --ignored     all pairs
//! ```
//!
//! `SHMQ_TEST_SEED` repeats a sample. `SHMQ_TWO_DEATHS` repeats the one trial whose description it
//! holds, as a failure prints it.

#[path = "../support/mod.rs"]
mod support;

#[cfg(all(target_os = "linux", shmq_counted, not(shmq_portable_sync)))]
mod deaths;

#[cfg(all(target_os = "linux", shmq_counted, not(shmq_portable_sync)))]
fn main() -> std::process::ExitCode {
    deaths::main()
}

/// Crashes are not promised by the portable locks, and other builds do not count.
#[cfg(not(all(target_os = "linux", shmq_counted, not(shmq_portable_sync))))]
fn main() {
    println!("running 0 tests: needs --cfg shmq_counted on Linux");
}
