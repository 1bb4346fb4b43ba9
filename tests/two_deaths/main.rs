//! Two processes are killed, independently of each other, at every pair of atomic writes, and a
//! third one checks what they left.
//!
//! `tests/kill_everywhere` kills one process; some faults need two: a putter that died between two
//! stores, and a getter that died while it held what it had taken in between. The crate is built
//! with atomics that count their writes (`--cfg shmq_counted`, `src/atomic/counted.rs`), so that a
//! forked child can die, or stop, right before its k-th write. A first process does so in one verb,
//! a second one in another, and a survivor checks a ledger: every committed message reaches a
//! process, none twice beyond the delivery rules; `Closed` and a `join` that is `Ok` come only when
//! nothing is left; the queue has its whole capacity. In other trials the processes stop and
//! continue instead of dying.
//!
//! ```text
//! export RUSTFLAGS="--cfg shmq_counted" CARGO_TARGET_DIR=target/counted
//! cargo test --test two_deaths                            a sample, drawn by the seed
//! cargo test --release --test two_deaths -- --ignored     all pairs
//! ```
//!
//! `SHMQ_TEST_SEED` repeats a sample. `SHMQ_TWO_DEATHS` repeats the one trial that it describes, in
//! the format that a failure prints.

#[path = "../support/mod.rs"]
mod support;

#[cfg(all(target_os = "linux", shmq_counted, not(shmq_portable_sync)))]
mod deaths;

#[cfg(all(target_os = "linux", shmq_counted, not(shmq_portable_sync)))]
fn main() -> std::process::ExitCode {
    deaths::main()
}

/// The portable locks do not promise to survive crashes, and other builds do not count writes.
#[cfg(not(all(target_os = "linux", shmq_counted, not(shmq_portable_sync))))]
fn main() {
    println!("running 0 tests: needs --cfg shmq_counted on Linux");
}
