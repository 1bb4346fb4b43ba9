//! How long a message takes to another process and back: two queues, one number each way.
//!
//! `cargo run --release --example ping_pong [ROUNDS] [spin|adaptive|block]`
//!
//! Waiters that spin answer soonest, but need a core each; those that block sleep at once and cost
//! a wake each time.

use std::error::Error;
use std::time::{Duration, Instant};

use shmq::{CreateError, GetError, Process, Queue, WaitStrategy};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().map_or(Ok(100_000), |rounds| rounds.parse())?;
    let (name, strategy) = match arguments.next().as_deref() {
        None | Some("adaptive") => ("adaptive", WaitStrategy::Adaptive),
        Some("spin") => ("spin", WaitStrategy::Spin),
        Some("block") => ("block", WaitStrategy::Block),
        Some(other) => return Err(format!("no wait strategy is called {other}").into()),
    };

    let queue = || -> Result<Queue<u64>, CreateError> { Queue::builder().capacity(16).wait_strategy(strategy).create() };
    let (there, back) = (queue()?, queue()?);
    let echo = Process::spawn(|| echo(&there, &back))?;

    let mut times = Vec::with_capacity(rounds);
    {
        // Each side of each queue has one user here, which may own it: no lock per message.
        let (ping, pong) = (there.producer()?, back.consumer()?);
        for round in 0..rounds as u64 {
            let start = Instant::now();
            ping.put(&round)?;
            assert_eq!(pong.get()?, round);
            times.push(start.elapsed());
        }
    }
    there.close();
    assert!(echo.join()?.success());

    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or(Duration::ZERO);
    println!("{rounds} round trips ({name}): p50 {:?}, p99 {:?}", at(50), at(99));
    Ok(())
}

fn echo(there: &Queue<u64>, back: &Queue<u64>) -> Result<(), Box<dyn Error>> {
    let (ping, pong) = (there.consumer()?, back.producer()?);
    loop {
        match ping.get() {
            Ok(message) => pong.put(&message)?,
            Err(GetError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
