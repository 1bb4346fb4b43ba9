//! A feed whose readers cannot stop it: a strategy that must miss nothing, a logger that is killed
//! and restarted, and a screen that shows the newest price and knows how many it did not show.
//!
//! `cargo run --release --example market_data`
//!
//! The strategy and the logger gate: the feed waits for them when they are a whole capacity behind.
//! The dead logger keeps the gate shut until the waiting feed finds it dead, 0.1 s at most.

use std::error::Error;
use std::os::unix::process::ExitStatusExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use shmq::{GetError, Process, Start, Topic};

const TICKS: u64 = 200_000;
const BURST: u64 = 100;
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(100);

#[shmq::message]
#[derive(Clone, Copy)]
struct Tick {
    number: u64,
    price: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let ticks = Topic::<Tick>::new(1024)?;
    let screen = ticks.subscribe_lossy()?;
    let strategy = Process::spawn(|| trade(&ticks))?;
    let mut loggers = vec![Process::spawn(|| log(&ticks, 1))?];
    let feed = Process::spawn(|| feed(&ticks))?;

    // The screen: the newest price, 50 times a second. Halfway the logger is killed, and a new one
    // started a little later.
    loop {
        match screen.latest() {
            Ok(tick) if tick.number > TICKS / 2 && loggers.len() == 1 => {
                loggers[0].kill()?;
                sleep(Duration::from_millis(300));
                loggers.push(Process::spawn(|| log(&ticks, 2))?);
            }
            Ok(_) | Err(GetError::Empty) => sleep(Duration::from_millis(20)),
            Err(GetError::Closed) => break,
            Err(error) => return Err(error.into()),
        }
    }
    println!("screen: showed {} prices and missed {}", screen.received(), screen.missed());
    assert_eq!(screen.received() + screen.missed(), TICKS);

    assert!(feed.join()?.success() && strategy.join()?.success());
    assert!(loggers[0].join()?.signal() == Some(9) && loggers[1].join()?.success());
    Ok(())
}

/// Publishes when the strategy and the logger are there. The error of a subscriber that kept it
/// waiting for too long would name the process.
fn feed(ticks: &Topic<Tick>) -> Result<(), Box<dyn Error>> {
    ticks.wait_subscribers(2, PATIENCE)?;
    let publisher = ticks.publisher()?;
    let mut longest = Duration::ZERO;
    for number in 0..TICKS {
        if number == TICKS - 1 {
            ticks.wait_subscribers(2, PATIENCE)?; // the new logger sees the end
        }
        let start = Instant::now();
        publisher.publish_timeout(&Tick { number, price: price_of(number) }, PATIENCE)?;
        longest = longest.max(start.elapsed());
        if number % BURST == 0 {
            sleep(Duration::from_millis(1));
        }
    }
    println!("feed: {TICKS} ticks, the longest wait was {} ms", longest.as_millis());
    ticks.close(); // subscribers read what there is, and end
    Ok(())
}

fn trade(ticks: &Topic<Tick>) -> Result<(), GetError> {
    let subscriber = ticks.subscribe().expect("room for a subscriber");
    let mut seen = 0;
    for tick in &subscriber {
        let tick = tick?;
        assert_eq!((tick.number, tick.price), (seen, price_of(seen)), "nothing is missed, doubled or torn");
        seen += 1;
    }
    assert_eq!(seen, TICKS);
    println!("strategy: saw all {seen} ticks");
    Ok(())
}

/// Begins as far back as the topic goes, which is the best that a new life can do.
fn log(ticks: &Topic<Tick>, life: u32) -> Result<(), GetError> {
    let subscriber = ticks.subscribe_from(Start::Oldest).expect("room for a subscriber");
    let (mut first, mut next) = (None, 0);
    for tick in &subscriber {
        let number = tick?.number;
        assert!(first.is_none() || number == next, "one life of the logger misses nothing");
        first = first.or(Some(number));
        next = number + 1;
    }
    assert_eq!(next, TICKS);
    println!("logger, life {life}: from tick {} to the last one", first.unwrap_or(TICKS));
    Ok(())
}

fn price_of(number: u64) -> f64 {
    100.0 + (number % 1000) as f64 / 100.0
}
