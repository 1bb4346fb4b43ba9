//! A queue for three messages: full after three, room again after one is taken.
//!
//! `cargo run --release --example bounded`

use std::error::Error;
use std::time::Duration;

use shmq::{GetError, ObjectQueue, PutError};

fn main() -> Result<(), Box<dyn Error>> {
    let queue = ObjectQueue::<String>::new(3)?;
    for number in 1..=3 {
        queue.put(&format!("message {number}"))?;
        println!("put message {number}; full: {}", queue.is_full());
    }
    match queue.put_timeout(&"message 4".to_string(), Duration::from_millis(50)) {
        Err(PutError::Timeout) => println!("message 4 waited for room until its timeout"),
        other => other?,
    }
    match queue.try_put(&"message 4".to_string()) {
        Err(PutError::Full) => println!("message 4 was refused at once: full"),
        other => other?,
    }

    println!("got {}; full: {}", queue.get()?, queue.is_full());
    queue.put(&"message 4".to_string())?;
    println!("put message 4; {} in the queue", queue.len());
    while !queue.is_empty() {
        println!("got {}", queue.get()?);
    }
    match queue.try_get() {
        Err(GetError::Empty) => println!("empty"),
        other => println!("got {}", other?),
    }
    Ok(())
}
