//! The same messages by bytes, where the layout is known at run time only.

use super::{Contestant, Transport, capacity, flow, sum};
use crate::forked::Host;
use shmq::{DynConsumer, DynProducer, DynQueue, MessageLayout};
use std::ops::Range;

pub fn bytes_copy<const W: usize>() -> Contestant {
    ("copy, by bytes", flow::<ByBytes<W>>())
}

pub fn bytes_endpoints_copy<const W: usize>() -> Contestant {
    ("endpoints_copy, by bytes", flow::<EndpointsByBytes<W>>())
}

impl Host for DynQueue {
    fn unlink(&self) {
        DynQueue::unlink(self.name()).expect("unlink a queue in use");
    }

    fn state(&self) -> String {
        format!("queue holding {} of {}, closed: {}, {:?}", self.len(), self.capacity(), self.is_closed(), self.stats())
    }
}

fn create<const W: usize>(name: &str, messages: usize) -> DynQueue {
    DynQueue::create(name, MessageLayout::of::<[u64; W]>(), messages.min(capacity(W))).expect("create a queue")
}

fn open(name: &str) -> DynQueue {
    DynQueue::open(name).expect("open the queue")
}

/// The bytes of words.
fn bytes_of(words: &[u64]) -> &[u8] {
    // SAFETY: numbers have no padding, and any bytes are `u8`s.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

fn bytes_of_mut(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: as above, and any bits are numbers.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}

/// `DynQueue` and its endpoints have the same verbs, but share no trait.
macro_rules! by_bytes {
    ($name:ident, $sender:ty, $receiver:ty, |$at:ident| $tx:expr, $rx:expr) => {
        struct $name<const W: usize>;

        impl<const W: usize> Transport for $name<W> {
            const WORDS: usize = W;
            type Host = DynQueue;
            type Sender = $sender;
            type Receiver = $receiver;

            fn create(name: &str, capacity: usize) -> DynQueue {
                create::<W>(name, capacity)
            }

            fn sender($at: &str) -> $sender {
                $tx
            }

            fn receiver($at: &str) -> $receiver {
                $rx
            }

            fn send(sender: &$sender, stamps: Range<u64>) {
                for stamp in stamps {
                    sender.put(bytes_of(&[stamp; W])).expect("put");
                }
            }

            fn receive(receiver: &$receiver, count: u64) -> u64 {
                let mut message = [0; W];
                let mut total = 0_u64;
                for _ in 0..count {
                    receiver.get_into(bytes_of_mut(&mut message)).expect("get_into");
                    total = total.wrapping_add(sum(&message));
                }
                total
            }
        }
    };
}

by_bytes!(ByBytes, DynQueue, DynQueue, |name| open(name), open(name));
by_bytes!(
    EndpointsByBytes,
    DynProducer,
    DynConsumer,
    |name| open(name).producer().expect("become the producer"),
    open(name).consumer().expect("become the consumer")
);
