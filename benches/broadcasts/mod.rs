//! The ways of a topic, as transports of the broadcast groups: every receiver gets every message.
//!
//! Subscribers gate, so they must get all; but for [`Lossy`], which counts what it missed.
#![allow(dead_code)] // each bench is a crate of its own and uses a part of this

use crate::{
    flows::{BATCH, Transport, capacity, sum},
    forked::{Case, Host, Seat},
};
use shmq::{GetError, Publisher, Subscriber, Topic};
use std::{cell::RefCell, ops::Range, sync::atomic::Ordering::Relaxed};

/// `Publisher::publish` and `Subscriber::next`.
pub struct ByPublisher<const W: usize>;

/// `Topic::publish`, which takes the lock, and `Subscriber::next`.
pub struct ByTopic<const W: usize>;

/// 32 messages a call of `publish_slice` and `next_slice`.
pub struct Batches<const W: usize>;

/// `Publisher::loan` and `Subscriber::read`.
pub struct InPlace<const W: usize>;

impl<T: ?Sized + shmq::Message> Host for Topic<T> {
    fn unlink(&self) {
        Topic::<T>::unlink(self.name()).expect("unlink a topic in use");
    }

    fn state(&self) -> String {
        format!("topic of {}, closed: {}, {:?}, {:?}", self.capacity(), self.is_closed(), self.stats(), self.subscribers())
    }
}

fn create<const W: usize>(name: &str, capacity: usize) -> Topic<[u64; W]> {
    Topic::create(name, capacity).expect("create a topic")
}

fn open<const W: usize>(name: &str) -> Topic<[u64; W]> {
    Topic::open(name).expect("open the topic")
}

fn publisher<const W: usize>(name: &str) -> Publisher<[u64; W]> {
    open(name).publisher().expect("become the publisher")
}

fn subscribe<const W: usize>(name: &str) -> Subscriber<[u64; W]> {
    open(name).subscribe().expect("subscribe")
}

fn subscribe_to_read<const W: usize>(name: &str) -> RefCell<Subscriber<[u64; W]>> {
    RefCell::new(subscribe(name))
}

macro_rules! transport {
    ($name:ident, $sender:ident by $open:ident, $receiver:ty, $subscribe:ident,
     |$tx:ident, $stamps:ident| $send:block, |$rx:ident, $count:ident| $receive:block) => {
        impl<const W: usize> Transport for $name<W> {
            const WORDS: usize = W;
            type Host = Topic<[u64; W]>;
            type Sender = $sender<[u64; W]>;
            type Receiver = $receiver;

            fn create(name: &str, capacity: usize) -> Self::Host {
                create(name, capacity)
            }

            fn sender(name: &str) -> Self::Sender {
                $open(name)
            }

            fn receiver(name: &str) -> Self::Receiver {
                $subscribe(name)
            }

            fn send($tx: &Self::Sender, $stamps: Range<u64>) $send

            fn receive($rx: &Self::Receiver, $count: u64) -> u64 $receive
        }
    };
}

fn receive_each<const W: usize>(subscriber: &Subscriber<[u64; W]>, count: u64) -> u64 {
    let mut total = 0_u64;
    for _ in 0..count {
        total = total.wrapping_add(sum(&subscriber.next().expect("next")));
    }
    total
}

transport!(ByPublisher, Publisher by publisher, Subscriber<[u64; W]>, subscribe,
    |tx, stamps| {
        for stamp in stamps {
            tx.publish(&[stamp; W]).expect("publish");
        }
    },
    |rx, count| { receive_each(rx, count) });

transport!(ByTopic, Topic by open, Subscriber<[u64; W]>, subscribe,
    |tx, stamps| {
        for stamp in stamps {
            tx.publish(&[stamp; W]).expect("publish");
        }
    },
    |rx, count| { receive_each(rx, count) });

transport!(Batches, Publisher by publisher, Subscriber<[u64; W]>, subscribe,
|tx, stamps| {
    let mut messages = [[0; W]; BATCH];
    let mut left = stamps;
    while !left.is_empty() {
        let filled = messages.iter_mut().zip(left.by_ref()).map(|(message, stamp)| message.fill(stamp)).count();
        assert_eq!(tx.publish_slice(&messages[..filled]).expect("publish_slice"), filled);
    }
},
|rx, count| {
    let mut messages = [[0; W]; BATCH];
    let (mut total, mut left) = (0_u64, count);
    while left > 0 {
        let wanted = left.min(BATCH as u64) as usize;
        let got = rx.next_slice(&mut messages[..wanted]).expect("next_slice");
        total = messages[..got].iter().fold(total, |total, message| total.wrapping_add(sum(message)));
        left -= got as u64;
    }
    total
});

transport!(InPlace, Publisher by publisher, RefCell<Subscriber<[u64; W]>>, subscribe_to_read,
|tx, stamps| {
    for stamp in stamps {
        let mut loan = tx.loan().expect("loan");
        loan.fill(stamp);
        loan.commit().expect("commit");
    }
},
|rx, count| {
    let mut total = 0_u64;
    for _ in 0..count {
        total = total.wrapping_add(sum(&*rx.borrow_mut().read().expect("read")));
    }
    total
});

/// `Publisher::publish` beside lossy subscribers: each message is received or counted as missed.
pub struct Lossy<const W: usize>;

/// The flow of messages of `W` words to lossy subscribers.
pub fn lossy<const W: usize>() -> Box<dyn Case> {
    Box::new(Lossy::<W>)
}

/// Follows a lossy subscriber: every message is received, or told as missed before the next one.
pub struct Ledger {
    /// The stamp of the next message.
    pub next: u64,
    pub received: u64,
    /// Of the words of all messages so far, whether received or missed.
    pub sum: u64,
    /// Messages that came out of turn, or torn.
    pub wrong: u64,
}

impl Ledger {
    /// Begins with the message 0.
    pub fn new() -> Ledger {
        Ledger { next: 0, received: 0, sum: 0, wrong: 0 }
    }

    /// Gets a message, or learns what was missed.
    #[inline(always)]
    pub fn next<const W: usize>(&mut self, subscriber: &Subscriber<[u64; W]>) {
        match subscriber.next() {
            Ok(message) => {
                self.wrong += u64::from(message[0] != self.next);
                self.sum = self.sum.wrapping_add(sum(&message));
                self.next += 1;
                self.received += 1;
            }
            Err(GetError::Lagged { missed }) => {
                let words = (self.next..self.next + missed).fold(0_u64, u64::wrapping_add).wrapping_mul(W as u64);
                self.sum = self.sum.wrapping_add(words);
                self.next += missed;
            }
            Err(problem) => panic!("next: {problem}"),
        }
    }
}

impl<const W: usize> Case for Lossy<W> {
    fn create(&self, name: &str) -> Box<dyn Host> {
        Box::new(create::<W>(name, capacity(W)))
    }

    fn play(&self, seat: &Seat<'_>, name: &str) {
        if seat.produces() {
            let publisher = publisher::<W>(name);
            seat.serve(|share, moved| {
                <ByPublisher<W> as Transport>::send(&publisher, 0..share);
                moved.store(share, Relaxed);
                (0..share).fold(0, u64::wrapping_add).wrapping_mul(W as u64)
            });
        } else {
            let subscriber = open::<W>(name).subscribe_lossy().expect("subscribe");
            seat.serve(|share, moved| {
                let mut ledger = Ledger::new();
                while ledger.next < share {
                    ledger.next(&subscriber);
                }
                moved.store(ledger.next, Relaxed);
                seat.note_torn(ledger.wrong);
                ledger.sum
            });
        }
    }

    fn is_broadcast(&self) -> bool {
        true
    }
}
