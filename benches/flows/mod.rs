//! The contestants of the throughput benches: how producers send messages of W words to consumers.
//!
//! Every producer writes the whole payload of each message and every consumer adds all of it up: by
//! copy in a buffer of its own, in place in the segment. The sums must agree in the end. Messages
//! are `[u64; W]`, but large ones by copy are `[u64]`: a program would not pass a megabyte on the
//! stack.
#![allow(dead_code)] // each bench is a crate of its own and uses a part of this

pub mod dynamic;

use crate::{
    baseline::Baseline,
    forked::{Case, Host, Seat},
};
use shmq::{Consumer, Message, Producer, Queue};
use std::{
    cell::Cell,
    marker::PhantomData,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Messages under one lock in the batch verbs.
pub const BATCH: usize = 32;
/// From here on, copies go through `Queue<[u64]>` and a buffer of the caller's.
const LARGE_WORDS: usize = 8192;
/// Of a record of a `Queue<[u64]>`.
const SLICE_HEADER_BYTES: usize = 16;

/// A way to move messages, by its name in the reports.
pub type Contestant = (&'static str, Box<dyn Case>);

pub fn baseline<const W: usize>() -> Contestant {
    ("baseline", flow::<Plain<W>>())
}

pub fn copy<const W: usize>() -> Contestant {
    ("copy", if W < LARGE_WORDS { flow::<ByCopy<W>>() } else { flow::<SliceByCopy<W>>() })
}

pub fn in_place<const W: usize>() -> Contestant {
    ("in_place", flow::<InPlace<W>>())
}

pub fn batch<const W: usize>() -> Contestant {
    ("batch_32", flow::<Batch<W>>())
}

pub fn endpoints_copy<const W: usize>() -> Contestant {
    ("endpoints_copy", if W < LARGE_WORDS { flow::<EndpointsByCopy<W>>() } else { flow::<EndpointsSliceByCopy<W>>() })
}

pub fn endpoints_in_place<const W: usize>() -> Contestant {
    ("endpoints_in_place", flow::<EndpointsInPlace<W>>())
}

pub fn endpoints_batch<const W: usize>() -> Contestant {
    ("endpoints_batch_32", flow::<EndpointsBatch<W>>())
}

/// How many messages of that many words a channel holds: 4 MiB of them, but at least 4 and at most
/// 1024.
pub const fn capacity(words: usize) -> usize {
    match (4 << 20) / (words * 8) {
        0..4 => 4,
        fitting @ 4..=1024 => fitting,
        _ => 1024,
    }
}

/// The flow of a transport, through a channel of the [`capacity`] for its messages.
pub fn flow<T: Transport>() -> Box<dyn Case> {
    flow_through::<T>(capacity(T::WORDS))
}

/// The flow of a transport, through a channel for that many messages.
pub fn flow_through<T: Transport>(capacity: usize) -> Box<dyn Case> {
    Box::new(Flow { capacity, is_broadcast: false, moves: PhantomData::<fn() -> T> })
}

/// As [`flow`], of a transport that gives every message to every receiver.
pub fn flow_to_all<T: Transport>() -> Box<dyn Case> {
    Box::new(Flow { capacity: capacity(T::WORDS), is_broadcast: true, moves: PhantomData::<fn() -> T> })
}

/// One way to move messages of `WORDS` words.
pub trait Transport: 'static {
    const WORDS: usize;
    type Host: Host + 'static;
    type Sender;
    type Receiver;
    fn create(name: &str, capacity: usize) -> Self::Host;
    fn sender(name: &str) -> Self::Sender;
    fn receiver(name: &str) -> Self::Receiver;
    /// Sends one message for each stamp; all words of a message are its stamp.
    fn send(sender: &Self::Sender, stamps: Range<u64>);
    /// Receives that many messages; returns the sum of all their words.
    fn receive(receiver: &Self::Receiver, count: u64) -> u64;
}

struct Flow<T> {
    capacity: usize,
    is_broadcast: bool,
    moves: PhantomData<fn() -> T>,
}

impl<T: Transport> Case for Flow<T> {
    fn create(&self, name: &str) -> Box<dyn Host> {
        Box::new(T::create(name, self.capacity))
    }

    fn play(&self, seat: &Seat<'_>, name: &str) {
        if seat.produces() {
            let sender = T::sender(name);
            seat.serve(|share, moved| {
                in_stretches::<T>(share, moved, |stamps| T::send(&sender, stamps));
                let stamps = (0..share).fold(0, u64::wrapping_add);
                stamps.wrapping_mul(T::WORDS as u64)
            });
        } else {
            let receiver = T::receiver(name);
            seat.serve(|share, moved| {
                let mut sum = 0_u64;
                in_stretches::<T>(share, moved, |part| sum = sum.wrapping_add(T::receive(&receiver, part.end - part.start)));
                seat.note_torn(TORN.take());
                sum
            });
        }
    }

    fn is_broadcast(&self) -> bool {
        self.is_broadcast
    }
}

/// Notes the progress now and then, seldom enough to cost nothing.
fn in_stretches<T: Transport>(share: u64, moved: &AtomicU64, mut part: impl FnMut(Range<u64>)) {
    let stretch = ((1 << 20) / T::WORDS as u64).clamp(BATCH as u64, 1 << 12);
    let mut done = 0;
    while done < share {
        let to = share.min(done + stretch);
        part(done..to);
        done = to;
        moved.store(done, Relaxed);
    }
}

thread_local! {
    /// Torn messages that this worker received.
    static TORN: Cell<u64> = const { Cell::new(0) };
}

/// The sum of a message's words; notes whether its ends belong together.
pub fn sum(words: &[u64]) -> u64 {
    if words.first() != words.last() {
        note_torn();
    }
    words.iter().copied().fold(0, u64::wrapping_add)
}

#[cold]
fn note_torn() {
    TORN.set(TORN.get() + 1);
}

impl Host for Baseline {
    fn unlink(&self) {
        Baseline::unlink(self);
    }

    fn state(&self) -> String {
        format!("baseline holding {:?} messages", self.len())
    }
}

impl<T: ?Sized + Message> Host for Queue<T> {
    fn unlink(&self) {
        Queue::<T>::unlink(self.name()).expect("unlink a queue in use");
    }

    fn state(&self) -> String {
        format!("queue holding {} of {}, closed: {}, {:?}", self.len(), self.capacity(), self.is_closed(), self.stats())
    }
}

struct Plain<const W: usize>;

impl<const W: usize> Transport for Plain<W> {
    const WORDS: usize = W;
    type Host = Baseline;
    type Sender = Baseline;
    type Receiver = Baseline;

    fn create(name: &str, capacity: usize) -> Baseline {
        Baseline::create(name, capacity, W)
    }

    fn sender(name: &str) -> Baseline {
        Baseline::open(name)
    }

    fn receiver(name: &str) -> Baseline {
        Baseline::open(name)
    }

    fn send(ring: &Baseline, stamps: Range<u64>) {
        let mut message = vec![0; W];
        for stamp in stamps {
            message.fill(stamp);
            ring.put(&message);
        }
    }

    fn receive(ring: &Baseline, count: u64) -> u64 {
        let mut message = vec![0; W];
        let mut total = 0_u64;
        for _ in 0..count {
            ring.get(&mut message);
            total = total.wrapping_add(sum(&message));
        }
        total
    }
}

pub fn create_typed<const W: usize>(name: &str, capacity: usize) -> Queue<[u64; W]> {
    Queue::create(name, capacity).expect("create a queue")
}

fn create_slices<const W: usize>(name: &str, capacity: usize) -> Queue<[u64]> {
    let builder = Queue::<[u64]>::builder().name(name).capacity(capacity);
    // With their headers, and one more: what a ring of messages of one size has, so that as many
    // fit wherever the first one lies.
    builder.capacity_bytes((capacity + 1) * (SLICE_HEADER_BYTES + W * 8)).create().expect("create a queue of slices")
}

pub fn open<T: ?Sized + Message>(name: &str) -> Queue<T> {
    Queue::open(name).expect("open the queue")
}

pub fn own_put_side<T: ?Sized + Message>(name: &str) -> Producer<T> {
    open::<T>(name).producer().expect("become the producer")
}

pub fn own_get_side<T: ?Sized + Message>(name: &str) -> Consumer<T> {
    open::<T>(name).consumer().expect("become the consumer")
}

/// `Queue` and its endpoints have the same verbs, but share no trait.
macro_rules! transport {
    ($name:ident<$w:ident>, $message:ty, $create:ident, $sender:ident by $send_open:ident, $receiver:ident by $receive_open:ident,
     |$tx:ident, $stamps:ident| $send:block, |$rx:ident, $count:ident| $receive:block) => {
        struct $name<const $w: usize>;

        impl<const $w: usize> Transport for $name<$w> {
            const WORDS: usize = $w;
            type Host = Queue<$message>;
            type Sender = $sender<$message>;
            type Receiver = $receiver<$message>;

            fn create(name: &str, capacity: usize) -> Self::Host {
                $create::<$w>(name, capacity)
            }

            fn sender(name: &str) -> Self::Sender {
                $send_open(name)
            }

            fn receiver(name: &str) -> Self::Receiver {
                $receive_open(name)
            }

            fn send($tx: &Self::Sender, $stamps: Range<u64>) $send

            fn receive($rx: &Self::Receiver, $count: u64) -> u64 $receive
        }
    };
}

macro_rules! transports {
    ($copy:ident, $slice_copy:ident, $in_place:ident, $batch:ident,
     $sender:ident by $send_open:ident, $receiver:ident by $receive_open:ident) => {
        transport!($copy<W>, [u64; W], create_typed, $sender by $send_open, $receiver by $receive_open,
            |tx, stamps| {
                for stamp in stamps {
                    tx.put(&[stamp; W]).expect("put");
                }
            },
            |rx, count| {
                let mut total = 0_u64;
                for _ in 0..count {
                    total = total.wrapping_add(sum(&rx.get().expect("get")));
                }
                total
            });

        transport!($slice_copy<W>, [u64], create_slices, $sender by $send_open, $receiver by $receive_open,
            |tx, stamps| {
                let mut message = vec![0; W];
                for stamp in stamps {
                    message.fill(stamp);
                    tx.put(&message).expect("put");
                }
            },
            |rx, count| {
                let mut message = vec![0; W];
                let mut total = 0_u64;
                for _ in 0..count {
                    let len = rx.get_into(&mut message).expect("get_into");
                    total = total.wrapping_add(sum(&message[..len]));
                }
                total
            });

        transport!($in_place<W>, [u64; W], create_typed, $sender by $send_open, $receiver by $receive_open,
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
                    let lease = rx.lease().expect("lease");
                    total = total.wrapping_add(sum(&*lease));
                    lease.release();
                }
                total
            });

        transport!($batch<W>, [u64; W], create_typed, $sender by $send_open, $receiver by $receive_open,
            |tx, stamps| {
                let mut messages = vec![[0; W]; BATCH];
                let mut left = stamps;
                while !left.is_empty() {
                    let mut filled = 0;
                    for (message, stamp) in messages.iter_mut().zip(left.by_ref()) {
                        message.fill(stamp);
                        filled += 1;
                    }
                    assert_eq!(tx.put_slice(&messages[..filled]).expect("put_slice"), filled);
                }
            },
            |rx, count| {
                let mut messages = vec![[0; W]; BATCH];
                let (mut total, mut left) = (0_u64, count);
                while left > 0 {
                    let wanted = left.min(BATCH as u64) as usize;
                    let got = rx.get_slice(&mut messages[..wanted]).expect("get_slice");
                    total = messages[..got].iter().fold(total, |total, message| total.wrapping_add(sum(message)));
                    left -= got as u64;
                }
                total
            });
    };
}

transports!(ByCopy, SliceByCopy, InPlace, Batch, Queue by open, Queue by open);
transports!(EndpointsByCopy, EndpointsSliceByCopy, EndpointsInPlace, EndpointsBatch,
    Producer by own_put_side, Consumer by own_get_side);
