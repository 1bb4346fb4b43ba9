//! One thread that waits for a queue, for room in another, and for a socket, all with one epoll: no
//! runtime, and no thread that blocks. Here by `mio`; any other event loop is used in the same way.
//!
//! `cargo run --release --features async --example epoll`

use std::error::Error;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use shmq::{GetError, Process, PutError, Queue};

const REQUESTS: Token = Token(0);
const REPLIES: Token = Token(1);
const CONTROL: Token = Token(2);

fn main() -> Result<(), Box<dyn Error>> {
    let requests = Queue::<u64>::new(16)?;
    let replies = Queue::<u64>::new(2)?; // full now and then
    let (mut control, mut of_client) = UnixStream::pair()?;

    let (to, from) = (requests.clone(), replies.clone());
    let asking = Process::spawn(move || (1..=100).for_each(|n| to.put(&n).unwrap()))?;
    let client = Process::spawn(move || {
        let sum: u64 = (0..100).map(|_| from.get().unwrap()).sum();
        writeln!(of_client, "the client has 100 answers, their sum is {sum}").unwrap();
    })?;

    let mut poll = Poll::new()?;
    let mut readable = requests.readable()?;
    let mut writable = replies.writable()?;
    // Always for readable: also where it is room that is waited for.
    poll.registry().register(&mut SourceFd(&readable.as_raw_fd()), REQUESTS, Interest::READABLE)?;
    poll.registry().register(&mut SourceFd(&writable.as_raw_fd()), REPLIES, Interest::READABLE)?;
    poll.registry().register(&mut SourceFd(&control.as_raw_fd()), CONTROL, Interest::READABLE)?;

    let (mut served, mut unsent) = (0, None);
    let mut events = Events::with_capacity(8);
    loop {
        // Works until one of the two queues has nothing to do: that one is armed then.
        loop {
            let reply = match unsent.take() {
                Some(reply) => reply,
                None => match requests.try_get() {
                    Ok(n) => n * n,
                    Err(GetError::Empty) if !readable.rearm()? => break,
                    Err(GetError::Empty) => continue,
                    Err(error) => return Err(error.into()),
                },
            };
            match replies.try_put(&reply) {
                Ok(()) => served += 1,
                Err(PutError::Full) => {
                    unsent = Some(reply);
                    if !writable.rearm()? {
                        break;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        poll.poll(&mut events, None)?;
        if events.iter().any(|event| event.token() == CONTROL) {
            let mut said = String::new();
            control.read_to_string(&mut said)?;
            print!("{said}");
            break;
        }
    }
    assert!(asking.join()?.success() && client.join()?.success());
    println!("{served} requests served");
    Ok(())
}
