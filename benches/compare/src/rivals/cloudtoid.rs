//! cloudtoid-interprocess: a queue of byte strings for several publishers and subscribers.
//!
//! Its files and their directories lie in a directory of our own in shared memory (by default they
//! would lie in the temporary directory), so that they can be removed after a run. A queue lives as
//! long as an endpoint of it: the host holds one.

use super::{
    bytes::{as_bytes, as_bytes_mut},
    file,
};
use crate::{
    flows::{BATCH, Transport, capacity, sum},
    forked::Host,
};
use cloudtoid_interprocess::{Options, Publisher, Subscriber};
use crossbeam_utils::Backoff;
use std::{fs, ops::Range, path::PathBuf, sync::OnceLock};

/// One message a call; the receiver polls `try_recv_into`, or sleeps in `recv`.
pub struct Cloudtoid<const W: usize, const SLEEPS: bool>;

/// 32 messages a call of `try_send_batch`. There is no batch for receivers.
pub struct CloudtoidBatches<const W: usize>;

fn root() -> PathBuf {
    static RUN: OnceLock<u32> = OnceLock::new();
    file::path(&format!("cloudtoid-{}", RUN.get_or_init(std::process::id)))
}

/// Before the fork: settles the directory.
pub fn prepare() {
    root();
}

/// After the run: its directories.
pub fn clean() {
    // Gone, or never made.
    let _ = fs::remove_dir_all(root());
}

/// Each end must know the capacity: that of a flow, in every group. A message has a header of 8
/// bytes and is padded to 8.
fn options<const W: usize>(name: &str) -> Options {
    Options::new(name, capacity(W) * (8 + W * 8)).with_path(root())
}

/// The last endpoint, which removes the queue's files.
pub struct Held(Subscriber);

impl Host for Held {
    fn unlink(&self) {
        // A queue whose files are gone takes its participants for dead.
    }

    fn state(&self) -> String {
        format!("{:?}", self.0)
    }
}

fn publisher<const W: usize>(name: &str) -> Publisher {
    Publisher::open(&options::<W>(name)).expect("a publisher")
}

fn subscriber<const W: usize>(name: &str) -> Subscriber {
    Subscriber::open(&options::<W>(name)).expect("a subscriber")
}

fn receive_each<const W: usize>(count: u64, mut receive: impl FnMut(&mut [u8])) -> u64 {
    let mut message = vec![0; W];
    let mut total = 0_u64;
    for _ in 0..count {
        receive(as_bytes_mut(&mut message));
        total = total.wrapping_add(sum(&message));
    }
    total
}

/// Polls with crossbeam's `Backoff`: a queue is empty for a subscriber, too, while another one
/// reads.
fn poll(subscriber: &Subscriber, message: &mut [u8]) {
    let backoff = Backoff::new();
    loop {
        match subscriber.try_recv_into(message).expect("receive") {
            Some(bytes) => return assert_eq!(bytes, message.len()),
            None => backoff.snooze(),
        }
    }
}

impl<const W: usize, const SLEEPS: bool> Transport for Cloudtoid<W, SLEEPS> {
    const WORDS: usize = W;
    type Host = Held;
    type Sender = Publisher;
    type Receiver = Subscriber;

    fn create(name: &str, _: usize) -> Held {
        Held(subscriber::<W>(name))
    }

    fn sender(name: &str) -> Publisher {
        publisher::<W>(name)
    }

    fn receiver(name: &str) -> Subscriber {
        subscriber::<W>(name)
    }

    fn send(publisher: &Publisher, stamps: Range<u64>) {
        let mut message = vec![0; W];
        for stamp in stamps {
            message.fill(stamp);
            let backoff = Backoff::new();
            while let Err(problem) = publisher.try_send(as_bytes(&message)) {
                assert!(problem.is_full(), "send: {problem}");
                backoff.snooze();
            }
        }
    }

    fn receive(subscriber: &Subscriber, count: u64) -> u64 {
        if SLEEPS {
            // The only verb that sleeps returns a vector.
            receive_each::<W>(count, |message| message.copy_from_slice(&subscriber.recv().expect("receive")))
        } else {
            receive_each::<W>(count, |message| poll(subscriber, message))
        }
    }
}

impl<const W: usize> Transport for CloudtoidBatches<W> {
    const WORDS: usize = W;
    type Host = Held;
    type Sender = Publisher;
    type Receiver = Subscriber;

    fn create(name: &str, _: usize) -> Held {
        Held(subscriber::<W>(name))
    }

    fn sender(name: &str) -> Publisher {
        publisher::<W>(name)
    }

    fn receiver(name: &str) -> Subscriber {
        subscriber::<W>(name)
    }

    fn send(publisher: &Publisher, stamps: Range<u64>) {
        let mut words = vec![[0; W]; BATCH];
        let mut left = stamps;
        while !left.is_empty() {
            let mut filled = 0;
            for (message, stamp) in words.iter_mut().zip(left.by_ref()) {
                message.fill(stamp);
                filled += 1;
            }
            let mut messages = [[].as_slice(); BATCH];
            for (message, words) in messages.iter_mut().zip(&words) {
                *message = as_bytes(words);
            }
            let mut unsent = &messages[..filled];
            let backoff = Backoff::new();
            while !unsent.is_empty() {
                match publisher.try_send_batch(unsent).expect("send") {
                    0 => backoff.snooze(),
                    sent => unsent = &unsent[sent..],
                }
            }
        }
    }

    fn receive(subscriber: &Subscriber, count: u64) -> u64 {
        receive_each::<W>(count, |message| poll(subscriber, message))
    }
}
