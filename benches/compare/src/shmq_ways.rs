//! shmq as a transport with a wait strategy of choice: by copy, through `Queue` or through its
//! endpoints.

use crate::flows::{Transport, sum};
use shmq::{Consumer, Producer, Queue, WaitStrategy};
use std::ops::Range;

pub const ADAPTIVE: u8 = 0;
pub const SPIN: u8 = 1;
pub const BLOCK: u8 = 2;

/// `Queue::put` and `Queue::get`.
pub struct ByQueue<const W: usize, const STRATEGY: u8>;

/// `Producer::put` and `Consumer::get`.
pub struct ByEndpoints<const W: usize, const STRATEGY: u8>;

/// By endpoints, 32 numbers a message of a queue of slices: for a caller that has many small values
/// at once, and for whom they may come together.
pub struct InSlices;

/// Numbers a message.
const SLICE: usize = 32;

fn create<const W: usize>(name: &str, capacity: usize) -> Queue<[u64; W]> {
    Queue::create(name, capacity).expect("create a queue")
}

fn open<const W: usize, const STRATEGY: u8>(name: &str) -> Queue<[u64; W]> {
    let strategy = match STRATEGY {
        SPIN => WaitStrategy::Spin,
        BLOCK => WaitStrategy::Block,
        _ => WaitStrategy::Adaptive,
    };
    Queue::builder().name(name).wait_strategy(strategy).open().expect("open the queue")
}

macro_rules! by {
    ($name:ident, $sender:ident, |$queue:ident| $send_open:expr, $receiver:ident, |$other:ident| $receive_open:expr) => {
        impl<const W: usize, const STRATEGY: u8> Transport for $name<W, STRATEGY> {
            const WORDS: usize = W;
            type Host = Queue<[u64; W]>;
            type Sender = $sender<[u64; W]>;
            type Receiver = $receiver<[u64; W]>;

            fn create(name: &str, capacity: usize) -> Self::Host {
                create(name, capacity)
            }

            fn sender(name: &str) -> Self::Sender {
                let $queue = open::<W, STRATEGY>(name);
                $send_open
            }

            fn receiver(name: &str) -> Self::Receiver {
                let $other = open::<W, STRATEGY>(name);
                $receive_open
            }

            fn send(sender: &Self::Sender, stamps: Range<u64>) {
                for stamp in stamps {
                    sender.put(&[stamp; W]).expect("put");
                }
            }

            fn receive(receiver: &Self::Receiver, count: u64) -> u64 {
                let mut total = 0_u64;
                for _ in 0..count {
                    total = total.wrapping_add(sum(&receiver.get().expect("get")));
                }
                total
            }
        }
    };
}

by!(ByQueue, Queue, |queue| queue, Queue, |queue| queue);
by!(ByEndpoints, Producer, |queue| queue.producer().expect("become the producer"), Consumer, |queue| queue
    .consumer()
    .expect("become the consumer"));

impl Transport for InSlices {
    const WORDS: usize = 1;
    type Host = Queue<[u64]>;
    type Sender = Producer<[u64]>;
    type Receiver = Consumer<[u64]>;

    fn create(name: &str, capacity: usize) -> Queue<[u64]> {
        // As many numbers as the other rows have messages; 16 bytes lie before a slice.
        let bytes = capacity.div_ceil(SLICE) * (SLICE * 8 + 16);
        Queue::<[u64]>::builder().name(name).capacity_bytes(bytes).create().expect("create a queue of slices")
    }

    fn sender(name: &str) -> Self::Sender {
        Queue::open(name).expect("open the queue").producer().expect("become the producer")
    }

    fn receiver(name: &str) -> Self::Receiver {
        Queue::open(name).expect("open the queue").consumer().expect("become the consumer")
    }

    fn send(sender: &Self::Sender, mut stamps: Range<u64>) {
        let mut numbers = [0; SLICE];
        while !stamps.is_empty() {
            let filled = numbers.iter_mut().zip(stamps.by_ref()).map(|(number, stamp)| *number = stamp).count();
            sender.put(&numbers[..filled]).expect("put");
        }
    }

    fn receive(receiver: &Self::Receiver, count: u64) -> u64 {
        let mut numbers = [0; SLICE];
        let (mut total, mut left) = (0_u64, count);
        while left > 0 {
            let got = receiver.get_into(&mut numbers).expect("get_into");
            total = numbers[..got].iter().copied().fold(total, u64::wrapping_add);
            left -= got as u64;
        }
        total
    }
}
