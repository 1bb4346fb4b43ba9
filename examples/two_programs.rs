//! Two programs that share nothing but a name.
//!
//! In one terminal `cargo run --example two_programs -- get NAME`, in another
//! `cargo run --example two_programs -- put NAME text...`, in any order: the first one creates the
//! queue and waits for the other. When both have ended, so has the queue.

use std::error::Error;
use std::process::ExitCode;

use shmq::{CreateError, Queue};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["put", name, ref words @ ..] if !words.is_empty() => put(name, &words.join(" ")),
        ["get", name] => get(name),
        _ => Err("usage: two_programs put NAME TEXT... | two_programs get NAME".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("two_programs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The schema says what the bytes mean; a program with another schema for this name is refused.
fn meet(name: &str) -> Result<Queue<[u8]>, CreateError> {
    Queue::builder().name(name).schema("text/utf-8").capacity_bytes(1 << 16).open_or_create()
}

fn put(name: &str, text: &str) -> Result<(), Box<dyn Error>> {
    let queue = meet(name)?;
    queue.put(text.as_bytes())?;
    // The queue ends with the last program that uses it, so wait until everything in it was taken.
    queue.join()?;
    Ok(())
}

fn get(name: &str) -> Result<(), Box<dyn Error>> {
    let queue = meet(name)?;
    let text = queue.lease()?;
    println!("{}", String::from_utf8_lossy(&text));
    // Only now is it done: if this process is killed before this line, the next consumer gets it.
    text.release();
    Ok(())
}
