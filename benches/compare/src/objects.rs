//! Objects: the same flow through `ObjectQueue`, which encodes and decodes each message.
//!
//! A struct of 64 bytes, and a map of 64 pairs of numbers, 1 KiB. The producer writes all values of
//! a message and puts it; the consumer gets an object of its own and adds them up.

use crate::{
    flows::{Transport, sum},
    forked::Host,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use shmq::{Codec, MessagePack, ObjectConsumer, ObjectProducer, ObjectQueue, Postcard};
use std::{collections::BTreeMap, marker::PhantomData, ops::Range};

/// An object all of whose values are the stamp.
pub trait Object: Serialize + DeserializeOwned + 'static {
    /// How many values an object has.
    const WORDS: usize;
    fn new() -> Self;
    fn fill(&mut self, stamp: u64);
    fn sum(&self) -> u64;
}

/// 64 bytes.
#[derive(Serialize, Deserialize)]
pub struct Order {
    id: u64,
    account: u64,
    price: u64,
    amount: u64,
    bid: u64,
    ask: u64,
    sent: u64,
    received: u64,
}

/// 64 pairs of numbers: 1 KiB.
#[derive(Serialize, Deserialize)]
pub struct Prices(BTreeMap<u64, u64>);

const PAIRS: u64 = 64;
/// Keys of eight bytes each, also when encoded.
const FIRST_KEY: u64 = 1 << 40;

impl Object for Order {
    const WORDS: usize = 8;

    fn new() -> Order {
        Order { id: 0, account: 0, price: 0, amount: 0, bid: 0, ask: 0, sent: 0, received: 0 }
    }

    fn fill(&mut self, stamp: u64) {
        let Order { id, account, price, amount, bid, ask, sent, received } = self;
        [id, account, price, amount, bid, ask, sent, received].into_iter().for_each(|value| *value = stamp);
    }

    fn sum(&self) -> u64 {
        sum(&[self.id, self.account, self.price, self.amount, self.bid, self.ask, self.sent, self.received])
    }
}

impl Object for Prices {
    const WORDS: usize = PAIRS as usize;

    fn new() -> Prices {
        Prices((FIRST_KEY..FIRST_KEY + PAIRS).map(|key| (key, 0)).collect())
    }

    fn fill(&mut self, stamp: u64) {
        self.0.values_mut().for_each(|value| *value = stamp);
    }

    fn sum(&self) -> u64 {
        let ends = [self.0.first_key_value(), self.0.last_key_value()].map(|end| end.map_or(0, |(_, &value)| value));
        let keys = self.0.keys().fold(0, |total: u64, key| total.wrapping_add(key - FIRST_KEY));
        assert_eq!(keys, PAIRS * (PAIRS - 1) / 2, "a map of other keys");
        sum(&ends);
        self.0.values().copied().fold(0, u64::wrapping_add)
    }
}

/// `ObjectQueue::put` and `get`.
pub struct ByObjectQueue<T, C>(PhantomData<fn() -> (T, C)>);

/// `ObjectProducer::put` and `ObjectConsumer::get`.
pub struct ByObjectEndpoints<T, C>(PhantomData<fn() -> (T, C)>);

pub type Default = MessagePack;
pub type Compact = Postcard;

/// Bytes that an object takes at most: nine for each number of a message, and names.
const fn longest(words: usize) -> usize {
    words * 18 + 128
}

fn create<T: Object, C: Codec>(name: &str, capacity: usize) -> ObjectQueue<T, C> {
    let builder = ObjectQueue::<T, C>::builder().name(name).capacity(capacity);
    builder.capacity_bytes((capacity + 1) * longest(T::WORDS)).create().expect("create a queue of objects")
}

fn open<T: Object, C: Codec>(name: &str) -> ObjectQueue<T, C> {
    ObjectQueue::open(name).expect("open the queue of objects")
}

impl<T: Object, C: Codec + 'static> Host for ObjectQueue<T, C> {
    fn unlink(&self) {
        ObjectQueue::<T, C>::unlink(self.name()).expect("unlink a queue in use");
    }

    fn state(&self) -> String {
        format!("queue holding {} of {} objects, closed: {}, {:?}", self.len(), self.capacity(), self.is_closed(), self.stats())
    }
}

macro_rules! by {
    ($name:ident, $sender:ident, |$queue:ident| $send_open:expr, $receiver:ident, |$other:ident| $receive_open:expr) => {
        impl<T: Object, C: Codec + 'static> Transport for $name<T, C> {
            const WORDS: usize = T::WORDS;
            type Host = ObjectQueue<T, C>;
            type Sender = $sender<T, C>;
            type Receiver = $receiver<T, C>;

            fn create(name: &str, capacity: usize) -> Self::Host {
                create(name, capacity)
            }

            fn sender(name: &str) -> Self::Sender {
                let $queue = open::<T, C>(name);
                $send_open
            }

            fn receiver(name: &str) -> Self::Receiver {
                let $other = open::<T, C>(name);
                $receive_open
            }

            fn send(sender: &Self::Sender, stamps: Range<u64>) {
                let mut object = T::new();
                for stamp in stamps {
                    object.fill(stamp);
                    sender.put(&object).expect("put");
                }
            }

            fn receive(receiver: &Self::Receiver, count: u64) -> u64 {
                (0..count).fold(0, |total: u64, _| total.wrapping_add(receiver.get().expect("get").sum()))
            }
        }
    };
}

by!(ByObjectQueue, ObjectQueue, |queue| queue, ObjectQueue, |queue| queue);
by!(ByObjectEndpoints, ObjectProducer, |queue| queue.producer().expect("become the producer"), ObjectConsumer, |queue| queue
    .consumer()
    .expect("become the consumer"));
