//! A pool with a progress bar: the hook is called after each chunk, whichever worker did it.
//!
//! `cargo run --release --example pool_progress`

use std::error::Error;

use indicatif::{ProgressBar, ProgressStyle};
use shmq::Pool;

const UP_TO: u64 = 200_000;

fn is_prime(n: u64) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| n % d != 0)
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::builder().build()?; // as many workers as processors
    let bar = ProgressBar::new(UP_TO).with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}")?);
    let primes = pool
        .batch()
        .chunk_size(2_000)
        .progress({
            let bar = bar.clone();
            move |progress| bar.set_position(progress.done)
        })
        .map(is_prime, 0..UP_TO)?;
    bar.finish();
    println!("{} primes below {UP_TO}", primes.iter().filter(|prime| **prime).count());
    Ok(())
}
