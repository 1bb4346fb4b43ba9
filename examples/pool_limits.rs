//! A pool that stays in its bounds: so many pending tasks, so much time for each, and tasks that
//! the program no longer wants.
//!
//! `cargo run --release --example pool_limits`

use std::error::Error;
use std::time::Duration;

use shmq::{Pool, TaskError};

/// A request that takes so many ms, or hangs.
fn answer(ms: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

const HANGS: u64 = 3_600_000;

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::builder()
        .workers(2)
        .max_pending(4) // those that run included
        .task_timeout(Duration::from_millis(300))
        .build()?;

    // Load that is shed, instead of memory that grows.
    let mut accepted = Vec::new();
    let mut shed = Vec::new();
    for ms in [HANGS, 10, HANGS, 20, 30, 40] {
        match pool.try_apply_async(answer, ms) {
            Ok(result) => accepted.push(result),
            Err(refused) if refused.error.is_full() => shed.push(refused.argument),
            Err(refused) => return Err(refused.into()),
        }
    }

    // The two that hang are ended, each with its worker, and others have taken their places.
    for result in &accepted {
        match result.get() {
            Ok(ms) => println!("answered after {ms} ms"),
            Err(TaskError::TimedOut { after, .. }) => println!("given up after {after:?}"),
            Err(error) => return Err(error.into()),
        }
    }
    println!("shed {} requests, {} workers were replaced", shed.len(), pool.stats().killed);

    // A client that has gone away: what waits is cancelled, what runs is killed.
    let orphans = pool.map_async(answer, [HANGS; 3])?;
    orphans.kill();
    assert_eq!(orphans.get(), Err(TaskError::Cancelled));

    // What was shed, when there is room.
    assert_eq!(pool.map(answer, shed.clone())?, shed);
    pool.close();
    pool.join()?;
    Ok(())
}
