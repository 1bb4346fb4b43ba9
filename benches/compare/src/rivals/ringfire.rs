//! ringfire, lossless: a ring of one producer that waits for its slowest registered reader.
//!
//! The producer creates the ring and has no way to join one, so a receiver waits for the sender's
//! file. Its ring of several producers drops messages when a reader is slow, whatever is set: it is
//! measured nowhere.

use super::{
    SLEEPS, SPINS, YIELDS,
    file::{SharedFile, path},
    until,
};
use crate::flows::{Transport, capacity, sum};
use crossbeam_utils::Backoff;
use ringfire::{BusySpin, FlowControl, FutexWait, RingConsumer, RingProducer, RingProducerBuilder, WaitStrategy, YieldBackoff};
use std::{cell::RefCell, hint::spin_loop, ops::Range};

/// Up to `N` messages a call: `push_batch` and `recv_batch` (which has no waiting form: crossbeam's
/// `Backoff` gives way where receivers share a core), or `push` and `recv_blocking` with
/// ringfire's busy spin, its yielding spin or its futex.
pub struct Ringfire<const W: usize, const N: usize, const WAIT: u8>;

/// From here on, a receiver has messages copied into its own buffer: on the stack they would be
/// copied from frame to frame.
const LARGE_WORDS: usize = 8192;

type Out<const W: usize> = RefCell<RingProducer<[u64; W]>>;
type In<const W: usize> = RefCell<RingConsumer<[u64; W]>>;

/// By copies of `N` messages; both sides keep a buffer of them.
fn send_batches<const W: usize, const N: usize>(producer: &Out<W>, mut stamps: Range<u64>) {
    let mut producer = producer.borrow_mut();
    let mut messages = vec![[0; W]; N];
    while !stamps.is_empty() {
        let mut filled = 0;
        for (message, stamp) in messages.iter_mut().zip(stamps.by_ref()) {
            message.fill(stamp);
            filled += 1;
        }
        producer.push_batch(&messages[..filled]);
    }
}

fn receive_batches<const W: usize, const N: usize, const WAIT: u8>(consumer: &In<W>, count: u64) -> u64 {
    let mut consumer = consumer.borrow_mut();
    let mut messages = vec![[0; W]; N];
    let (mut total, mut left) = (0_u64, count);
    let backoff = Backoff::new();
    while left > 0 {
        let wanted = left.min(N as u64) as usize;
        match consumer.recv_batch(&mut messages[..wanted]) {
            0 if WAIT == SPINS => spin_loop(),
            0 => backoff.snooze(),
            got => {
                backoff.reset();
                total = messages[..got].iter().fold(total, |total, message| total.wrapping_add(sum(message)));
                left -= got as u64;
            }
        }
    }
    total
}

fn receive_each<const W: usize>(consumer: &In<W>, count: u64, wait: &mut impl WaitStrategy) -> u64 {
    let mut consumer = consumer.borrow_mut();
    (0..count).fold(0, |total: u64, _| total.wrapping_add(sum(&consumer.recv_blocking(wait))))
}

impl<const W: usize, const N: usize, const WAIT: u8> Transport for Ringfire<W, N, WAIT> {
    const WORDS: usize = W;
    type Host = SharedFile;
    type Sender = Out<W>;
    type Receiver = In<W>;

    fn create(name: &str, _: usize) -> SharedFile {
        SharedFile(path(name))
    }

    fn sender(name: &str) -> Out<W> {
        let builder = RingProducerBuilder::new(capacity(W) as u64).flow_control(FlowControl::LosslessBackpressure);
        RefCell::new(builder.build(path(name)).expect("create a ring"))
    }

    fn receiver(name: &str) -> In<W> {
        RefCell::new(until("the ring's creation", || RingConsumer::attach(path(name)).ok()))
    }

    fn send(producer: &Out<W>, stamps: Range<u64>) {
        if const { N > 1 || W >= LARGE_WORDS } {
            return send_batches::<W, N>(producer, stamps);
        }
        let mut producer = producer.borrow_mut();
        stamps.for_each(|stamp| producer.push(&[stamp; W]));
    }

    fn receive(consumer: &In<W>, count: u64) -> u64 {
        if const { N > 1 || W >= LARGE_WORDS } {
            receive_batches::<W, N, WAIT>(consumer, count)
        } else {
            match WAIT {
                SLEEPS => receive_each(consumer, count, &mut FutexWait::default()),
                YIELDS => receive_each(consumer, count, &mut YieldBackoff::default()),
                _ => receive_each(consumer, count, &mut BusySpin),
            }
        }
    }
}
