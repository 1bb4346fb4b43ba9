//! Forked workers, and the shared control block through which a bench drives them.
//!
//! ```text
//!   bench (parent)                        workers (forked once, before anything starts a thread)
//!   seat(case) ──────── Join ───────────▶ attach to the case's queue by its name, answer
//!   run(count) ──────── Run ────────────▶ start together, move messages, store results, answer
//!   clear() ─────────── Leave ──────────▶ drop everything, answer
//!   dismiss() ───────── Exit ───────────▶ _exit(0), status checked
//! ```
//!
//! Invariants:
//! 1. The parent writes a desk's order, and reads its results, only while the worker waits for an
//!    order. It publishes the order by raising `ordered` (Release); the worker reads it after it
//!    has seen the raise (Acquire).
//! 2. A worker publishes its results by raising `answers` (Release); the parent reads them after it
//!    has counted the whole party (Acquire). Hence all other accesses are Relaxed.
//! 3. `Control` holds atomics only and is never unmapped: zero is valid, and references to it live
//!    as long as the process.
#![allow(dead_code, unused_imports)] // each bench is a crate of its own and uses a part of this

#[cfg(not(target_os = "linux"))]
compile_error!("the benches need Linux: they fork, pin, and wait on futexes");

pub mod kernel;
mod seat;
mod workers;

pub use seat::{Case, Host, Placement, Seat};
pub use workers::{Fault, Workers};
