//! The Rust side of `test_interop.py`: one verb a process, which uses the queues whose names it is given.
//!
//! It prints a line when it has done what the test waits for, and is killed, or ends when its input is
//! shut down.

use shmq::{DynTopic, GetError, MessageLayout, Queue};
use std::error::Error;
use std::time::Duration;
use std::{env, thread};

#[shmq::message]
struct Tick {
    price: f64,
    sizes: [u32; 2],
    venue: [u8; 4],
    side: u8,
    flags: [u8; 3],
}

/// Of the same size, with other fields.
#[shmq::message]
struct Other {
    price: f64,
    size: u64,
    count: u64,
}

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
const CAPACITY: usize = 8;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["reverse", from, to] => reverse(from, to),
        ["ticks", from, to] => ticks(from, to),
        ["create-ticks", name] => create_ticks(name),
        ["open-other", name] => open_other(name),
        ["hold", name] => hold(name),
        ["hold-loan", name] => hold_loan(name),
        ["wait", name] => wait(name),
        ["subscribe", topic, to] => subscribe(topic, to),
        ["publish", from, topic] => publish(from, topic),
        _ => Err(format!("no such verb: {arguments:?}").into()),
    }
}

/// Answers each message by its bytes in reverse; at least once, whichever process is killed.
fn reverse(from: &str, to: &str) -> Outcome {
    let (from, to) = (Queue::<[u8]>::open_timeout(from, PATIENCE)?, Queue::<[u8]>::open_timeout(to, PATIENCE)?);
    loop {
        let lease = match from.lease() {
            Ok(lease) => lease,
            Err(GetError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let answer: Vec<u8> = lease.iter().rev().copied().collect();
        to.put(&answer)?;
        lease.release();
    }
}

/// Answers each tick by one of twice the price and sizes.
fn ticks(from: &str, to: &str) -> Outcome {
    let to = Queue::<Tick>::open_or_create(to, CAPACITY)?;
    for tick in &Queue::<Tick>::open_or_create(from, CAPACITY)? {
        let tick = tick?;
        let answer = Tick { price: tick.price * 2.0, sizes: tick.sizes.map(|size| size * 2), side: tick.side + 1, ..tick };
        to.put(&answer)?;
    }
    to.close();
    Ok(())
}

fn create_ticks(name: &str) -> Outcome {
    let queue = Queue::<Tick>::create(name, CAPACITY)?;
    queue.put(&Tick { price: 0.5, sizes: [1, 2], venue: *b"XETR", side: 3, flags: [0; 3] })?;
    stay("created")
}

fn open_other(name: &str) -> Outcome {
    match Queue::<Other>::open(name) {
        Ok(_) => Err("it opened as another struct".into()),
        Err(error) => {
            println!("{error}");
            Ok(())
        }
    }
}

fn hold(name: &str) -> Outcome {
    let queue = Queue::<[u8]>::open(name)?;
    let lease = queue.lease()?;
    stay(&format!("holds {}", String::from_utf8_lossy(&lease)))
}

fn hold_loan(name: &str) -> Outcome {
    let queue = Queue::<[u8]>::open(name)?;
    let mut loan = queue.loan_len(4)?;
    loan.copy_from_slice(b"half");
    stay("writes")
}

fn wait(name: &str) -> Outcome {
    let queue = Queue::<[u8]>::open(name)?;
    println!("waits");
    println!("got {}", String::from_utf8_lossy(&queue.get()?));
    Ok(())
}

/// Copies what Python publishes, pickles, into a queue of bytes.
fn subscribe(topic: &str, to: &str) -> Outcome {
    let (topic, to) = (open_topic(topic)?, Queue::<[u8]>::open(to)?);
    let subscriber = topic.subscribe()?;
    println!("subscribed");
    loop {
        match subscriber.next() {
            Ok(message) => to.put(&message)?,
            Err(GetError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Publishes what it gets, pickles, to Python's subscribers.
fn publish(from: &str, topic: &str) -> Outcome {
    let topic = open_topic(topic)?;
    for message in &Queue::<[u8]>::open(from)? {
        topic.publish(&message?)?;
    }
    topic.close();
    Ok(())
}

fn open_topic(name: &str) -> Result<DynTopic, Box<dyn Error>> {
    Ok(DynTopic::open_as(name, MessageLayout::encoded().type_name("object as pickle"))?)
}

/// Says so, and stays as it is until it is killed.
fn stay(what: &str) -> Outcome {
    println!("{what}");
    loop {
        thread::sleep(PATIENCE);
    }
}
