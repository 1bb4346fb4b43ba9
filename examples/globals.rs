//! Globals are not shared between processes: each has its own copy from the moment of the fork.
//!
//! `cargo run --release --example globals`

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};

use shmq::Process;

static NUMBER: AtomicU32 = AtomicU32::new(1);

fn main() -> Result<(), Box<dyn Error>> {
    let first = Process::spawn(|| {
        NUMBER.fetch_add(100, Ordering::Relaxed);
        println!("the first child added 100 and sees {}", NUMBER.load(Ordering::Relaxed));
    })?;
    first.join()?;
    let second = Process::spawn(|| {
        println!("the second child sees {}", NUMBER.load(Ordering::Relaxed));
    })?;
    second.join()?;
    println!("the parent sees {}", NUMBER.load(Ordering::Relaxed));
    Ok(())
}
