//! One process writes into a queue, another reads from it until the queue is closed.
//!
//! `cargo run --release --example reader_writer`

use std::error::Error;

use shmq::{GetError, ObjectQueue, Process, PutError};

fn write(queue: &ObjectQueue<String>) -> Result<(), PutError> {
    for letter in ["A", "B", "C"] {
        println!("writer: put {letter}");
        queue.put(&letter.to_string())?;
    }
    queue.close(); // no more messages: the reader ends when it has read all
    Ok(())
}

fn read(queue: &ObjectQueue<String>) -> Result<(), GetError> {
    for letter in queue {
        println!("reader: got {}", letter?);
    }
    println!("reader: that was all");
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let queue = ObjectQueue::new(10)?;
    let writer = Process::spawn(|| write(&queue))?;
    let reader = Process::spawn(|| read(&queue))?;
    assert!(writer.join()?.success());
    assert!(reader.join()?.success());
    println!("both have ended");
    Ok(())
}
