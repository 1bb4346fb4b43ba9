//! Processes killed between any two instructions of an operation: a child is stopped after k
//! instructions and killed, and survivors check the result.
//!
//! For every instruction, they must find one of the states that the operation may leave: every
//! committed message, in order, once and complete; the queue's whole capacity; its locks; and a
//! second scan for dead processes finds nothing. Then a second child is killed while it recovers
//! from the death of the first.
//!
//! `cargo test --test kill_everywhere` kills at a sample that the seed draws (`SHMQ_TEST_SEED`);
//! with `-- --ignored` at every instruction, which takes minutes. Both print how many kills there
//! were. Linux on x86_64; the code for aarch64 is built, and has not been run.

#[cfg(feature = "object")]
#[path = "../support/objects.rs"]
#[allow(dead_code, reason = "this binary uses a part of it")]
mod objects;
#[path = "../support/mod.rs"]
mod support;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(shmq_portable_sync)))]
mod stepped;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(shmq_portable_sync)))]
fn main() -> std::process::ExitCode {
    stepped::main()
}

/// The portable locks do not promise to survive crashes, and other platforms have no code to step
/// through a child.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(shmq_portable_sync))))]
fn main() {
    println!("running 0 tests: not promised here");
}
