//! Queues and topics whose messages' layout is known at run time, beside typed ones: between
//! processes, and in one.
//!
//! `main` is single-threaded and forks each case (see `support/harness.rs`).

#[path = "../support/mod.rs"]
mod support;

mod endpoints;
mod interop;
mod lengths;
mod mutex;
mod opening;
mod topics;
mod vectored;
mod verbs;

#[cfg(not(shmq_portable_sync))]
mod deaths;

use std::process::ExitCode;
use support::harness::Lanes;

/// A struct that one of two processes does not have.
#[shmq::message]
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tick {
    price: f64,
    volume: u64,
    sizes: [u32; 2],
}

/// As a program in another language writes it.
const TICK: &str = "{price@0: f64, volume@8: u64, sizes@16: [u32; 2]}";

impl Tick {
    fn numbered(n: u32) -> Tick {
        Tick { price: f64::from(n) / 2.0, volume: u64::from(n) * 3, sizes: [n, !n] }
    }

    /// Its bytes, made without the struct.
    fn bytes(n: u32) -> Vec<u8> {
        let (price, volume) = (f64::from(n) / 2.0, u64::from(n) * 3);
        [&price.to_ne_bytes()[..], &volume.to_ne_bytes(), &n.to_ne_bytes(), &(!n).to_ne_bytes()].concat()
    }
}

fn main() -> ExitCode {
    let cases = [
        opening::cases(),
        interop::cases(),
        verbs::cases(),
        lengths::cases(),
        endpoints::cases(),
        topics::cases(),
        vectored::cases(),
        mutex::cases(),
    ]
    .concat();
    #[cfg(not(shmq_portable_sync))]
    let cases = [cases, deaths::cases(), mutex::deaths()].concat();
    support::harness::run(Lanes::Waits, &cases)
}
