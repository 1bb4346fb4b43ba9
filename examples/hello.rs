//! The README's first example: a child process sends numbers, its parent adds them up.
//!
//! `cargo run --example hello`

use shmq::{Process, PutError, Queue};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let queue = Queue::<u64>::new(64)?;
    let child = Process::spawn(|| -> Result<(), PutError> {
        (1..=1000).try_for_each(|n| queue.put(&n))?;
        queue.close();
        Ok(())
    })?;

    let sum: u64 = queue.iter().sum::<Result<u64, _>>()?;
    println!("the child counted to 1000, which adds up to {sum}");
    assert!(child.join()?.success());
    Ok(())
}
