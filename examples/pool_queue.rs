//! Workers of a pool that share a queue: its handle is sent to them as an argument, as with
//! Python's `Manager().Queue()`.
//!
//! `cargo run --release --example pool_queue`

use std::error::Error;

use shmq::{ObjectQueue, Pool, PutError};

type Lines = ObjectQueue<String>;

fn write((number, lines): (u32, Lines)) -> Result<u32, String> {
    let line = format!("task {number} says hello");
    lines.put(&line).map_err(|error: PutError| error.to_string())?;
    Ok(number * number)
}

fn read((count, lines): (usize, Lines)) -> Vec<String> {
    (0..count).map(|_| lines.get().expect("as many lines as tasks")).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let lines = Lines::new(4)?; // fewer than there are tasks: writers wait for the reader
    let pool = Pool::new(3)?;
    let reader = pool.apply_async(read, (10, lines.clone()))?;
    let squares = pool.map(write, (0..10).map(|number| (number, lines.clone())))?;
    let squares: Vec<u32> = squares.into_iter().collect::<Result<_, _>>()?;

    let mut heard = reader.get()?;
    heard.sort();
    println!("{}", heard.join("\n"));
    println!("squares: {squares:?}");
    pool.close();
    pool.join()?;
    Ok(())
}
