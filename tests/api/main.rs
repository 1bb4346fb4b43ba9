//! The public surface, signature by signature: code that compiles and runs here keeps doing so in
//! every patch release.
//!
//! What the verbs mean is tested in `tests/queue`.

#[path = "../support/mod.rs"]
mod support;

mod errors;
mod events;
mod signatures;
mod traits;
mod verbs;

use std::marker::PhantomData;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(1);

fn later() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// A message as users derive it: several fields, without `Debug`, `Clone` or `PartialEq`.
#[shmq::message]
struct Tick {
    price: f64,
    volume: u32,
    venue: u32,
}

/// A message that may not leave its thread, as far as that has a meaning for plain data.
#[shmq::message]
struct Local {
    value: u32,
    here: PhantomData<*const ()>,
}

/// A message that is checked when it arrives.
#[shmq::message]
#[derive(Debug, PartialEq)]
#[repr(u8)]
enum Side {
    Buy = 1,
    Sell = 2,
}

/// The subject of an error that was not made by the crate.
fn what() -> shmq::Subject {
    shmq::Subject::default()
}
