//! shaq: rings in shared files. `spsc` for one producer and one consumer, `mpmc` for several,
//! `broadcast`, whose every consumer gets all messages: with one producer.
//!
//! Written and read in place, in batches and alone, as its example does. Only consumers can sleep;
//! a producer that finds the ring full polls. A group in which every process has a core polls for
//! messages too, the others use the waits of shaq, which spin before they sleep.

use super::{
    SLEEPS, SPINS, YIELDS,
    file::{SharedFile, path},
};
use crate::flows::{Transport, capacity, sum};
use crossbeam_utils::Backoff;
use shaq::{
    broadcast::{Broadcast, BroadcastConfig, Consumer as BroadcastConsumer, Producer as BroadcastProducer},
    mpmc::{self, Consumer as MpmcConsumer, Producer as MpmcProducer},
    spsc::{self, Consumer as SpscConsumer, Producer as SpscProducer},
};
use std::{cell::RefCell, fs::File, hint::spin_loop, mem::MaybeUninit, num::NonZeroUsize, ops::Range, time::Duration};

type Message<const W: usize> = [u64; W];

/// Each wait of a consumer, as in the example of shaq.
const PATIENCE: Duration = Duration::from_millis(10);

/// One producer, one consumer; up to `N` messages a call.
pub struct Spsc<const W: usize, const N: usize, const SLEEPING: bool>;

/// Several of both; up to `N` messages a call.
pub struct Mpmc<const W: usize, const N: usize, const SLEEPING: bool>;

/// Every one of the consumers gets all messages; up to `N` messages a call.
pub struct Broadcasts<const W: usize, const N: usize, const WAIT: u8, const CONSUMERS: usize = 1>;

fn open(name: &str) -> File {
    File::options().read(true).write(true).open(path(name)).expect("open the ring's file")
}

fn create(name: &str, make: impl FnOnce(&File)) -> SharedFile {
    let host = SharedFile(path(name));
    host.remove();
    make(&File::options().create_new(true).read(true).write(true).open(&host.0).expect("create the ring's file"));
    host
}

fn batch(n: usize, left: u64) -> NonZeroUsize {
    NonZeroUsize::new(n.min(left as usize)).expect("only asked while something is left")
}

/// Of a producer that finds the ring full, or a consumer that finds it empty.
#[inline(always)]
fn pause(gives_way: bool, backoff: &Backoff) {
    if gives_way {
        backoff.snooze();
    } else {
        spin_loop();
    }
}

fn write<const W: usize>(cell: &mut MaybeUninit<Message<W>>, stamp: u64) {
    // SAFETY: room for W words, all of which are written; none is read before.
    unsafe { std::slice::from_raw_parts_mut(cell.as_mut_ptr().cast::<MaybeUninit<u64>>(), W) }.fill(MaybeUninit::new(stamp));
}

fn sum_of<const W: usize>((first, second): (&[Message<W>], &[Message<W>])) -> u64 {
    first.iter().chain(second).fold(0, |total, message| total.wrapping_add(sum(message)))
}

/// Repeats `receive` until `count` messages came: it gets how many are left and returns how many
/// came and their sum.
fn receive_all(count: u64, mut receive: impl FnMut(u64) -> Option<(usize, u64)>) -> u64 {
    let (mut total, mut left) = (0_u64, count);
    while left > 0 {
        match receive(left) {
            Some((came, sum)) => {
                total = total.wrapping_add(sum);
                left -= came as u64;
            }
            None => spin_loop(),
        }
    }
    total
}

impl<const W: usize, const N: usize, const SLEEPING: bool> Transport for Spsc<W, N, SLEEPING> {
    const WORDS: usize = W;
    type Host = SharedFile;
    type Sender = RefCell<SpscProducer<Message<W>>>;
    type Receiver = RefCell<SpscConsumer<Message<W>>>;

    fn create(name: &str, capacity: usize) -> SharedFile {
        create(name, |file| {
            // SAFETY: the file is new, and this producer is gone before another one joins.
            drop(
                unsafe { SpscProducer::<Message<W>>::create(file, spsc::minimum_file_size::<Message<W>>(capacity)) }
                    .expect("create"),
            );
        })
    }

    fn sender(name: &str) -> Self::Sender {
        // SAFETY: a party of this transport has one sender; all of its ends have the same type.
        RefCell::new(unsafe { SpscProducer::join(&open(name)) }.expect("join as the producer"))
    }

    fn receiver(name: &str) -> Self::Receiver {
        // SAFETY: a party of this transport has one receiver; all of its ends have the same type.
        RefCell::new(unsafe { SpscConsumer::join(&open(name)) }.expect("join as the consumer"))
    }

    fn send(producer: &Self::Sender, stamps: Range<u64>) {
        let mut producer = producer.borrow_mut();
        let mut left = stamps;
        while !left.is_empty() {
            let mut batch = producer.write_batch();
            let mut written = false;
            for _ in 0..N.min((left.end - left.start) as usize) {
                // SAFETY: a cell that is reserved is written below.
                let Some(cell) = (unsafe { batch.try_as_mut() }) else { break };
                write(cell, left.start);
                left.start += 1;
                written = true;
            }
            drop(batch);
            if !written {
                spin_loop();
            }
        }
    }

    fn receive(consumer: &Self::Receiver, count: u64) -> u64 {
        let mut consumer = consumer.borrow_mut();
        receive_all(count, |left| {
            let max = batch(N, left);
            let got = if SLEEPING {
                consumer.reserve_read_batch_timeout(max, PATIENCE).ok()
            } else {
                consumer.try_reserve_read_batch(max)
            };
            got.map(|batch| (batch.len(), sum_of(batch.as_slices())))
        })
    }
}

impl<const W: usize, const N: usize, const SLEEPING: bool> Transport for Mpmc<W, N, SLEEPING> {
    const WORDS: usize = W;
    type Host = SharedFile;
    type Sender = MpmcProducer<Message<W>>;
    type Receiver = MpmcConsumer<Message<W>>;

    fn create(name: &str, capacity: usize) -> SharedFile {
        create(name, |file| {
            // SAFETY: the file is new; all ends of it have the same type.
            drop(
                unsafe { MpmcProducer::<Message<W>>::create(file, mpmc::minimum_file_size::<Message<W>>(capacity)) }
                    .expect("create"),
            );
        })
    }

    fn sender(name: &str) -> Self::Sender {
        // SAFETY: all ends of the file have the same type.
        unsafe { MpmcProducer::join(&open(name)) }.expect("join as a producer")
    }

    fn receiver(name: &str) -> Self::Receiver {
        // SAFETY: all ends of the file have the same type.
        unsafe { MpmcConsumer::join(&open(name)) }.expect("join as a consumer")
    }

    fn send(producer: &Self::Sender, stamps: Range<u64>) {
        let mut left = stamps;
        let backoff = Backoff::new();
        while !left.is_empty() {
            // A batch is reserved whole or not at all.
            let count = batch(N.min(capacity(W)), left.end - left.start);
            // SAFETY: all cells are written below.
            let Some(mut batch) = (unsafe { producer.try_reserve_write_batch(count) }) else {
                pause(SLEEPING, &backoff);
                continue;
            };
            for at in 0..batch.len() {
                // SAFETY: `at` is in the batch.
                write(unsafe { batch.as_mut(at) }, left.start);
                left.start += 1;
            }
            backoff.reset();
        }
    }

    fn receive(consumer: &Self::Receiver, count: u64) -> u64 {
        receive_all(count, |left| {
            let max = batch(N, left);
            let got = if SLEEPING {
                consumer.reserve_read_batch_timeout(max, PATIENCE).ok()
            } else {
                consumer.try_reserve_read_batch(max)
            };
            got.map(|batch| (batch.len(), sum_of(batch.as_slices())))
        })
    }
}

impl<const W: usize, const N: usize, const WAIT: u8, const CONSUMERS: usize> Transport for Broadcasts<W, N, WAIT, CONSUMERS> {
    const WORDS: usize = W;
    type Host = SharedFile;
    type Sender = RefCell<BroadcastProducer<Message<W>>>;
    type Receiver = RefCell<BroadcastConsumer<Message<W>>>;

    fn create(name: &str, capacity: usize) -> SharedFile {
        create(name, |file| {
            let config = BroadcastConfig { capacity, producer_slots: 1, consumer_slots: CONSUMERS };
            // SAFETY: the file is new; all ends of it have the same type.
            drop(unsafe { Broadcast::<Message<W>>::create(file, config) }.expect("create"));
        })
    }

    fn sender(name: &str) -> Self::Sender {
        // SAFETY: all ends of the file have the same type.
        RefCell::new(unsafe { BroadcastProducer::join(&open(name)) }.expect("join as the producer"))
    }

    fn receiver(name: &str) -> Self::Receiver {
        // SAFETY: all ends of the file have the same type.
        RefCell::new(unsafe { BroadcastConsumer::join(&open(name)) }.expect("join as the consumer"))
    }

    fn send(producer: &Self::Sender, stamps: Range<u64>) {
        let mut producer = producer.borrow_mut();
        let mut left = stamps;
        let backoff = Backoff::new();
        while !left.is_empty() {
            let count = batch(N.min(capacity(W)), left.end - left.start);
            // SAFETY: all cells are written below, before the batch is published.
            let Some(mut batch) = (unsafe { producer.try_reserve_write_batch(count) }) else {
                pause(WAIT != SPINS, &backoff);
                continue;
            };
            backoff.reset();
            for at in 0..batch.len() {
                // SAFETY: `at` is in the batch.
                write(unsafe { batch.as_mut(at) }, left.start);
                left.start += 1;
            }
            batch.publish();
        }
    }

    fn receive(consumer: &Self::Receiver, count: u64) -> u64 {
        let mut consumer = consumer.borrow_mut();
        let backoff = Backoff::new();
        receive_all(count, |left| {
            let max = batch(N, left);
            let got = if WAIT == SLEEPS {
                consumer.reserve_read_batch_timeout(max, PATIENCE).ok()
            } else {
                consumer.try_reserve_read_batch(max)
            };
            match &got {
                Some(_) => backoff.reset(),
                None if WAIT == YIELDS => backoff.snooze(),
                None => (),
            }
            got.map(|batch| (batch.len(), sum_of(batch.as_slices())))
        })
    }
}
