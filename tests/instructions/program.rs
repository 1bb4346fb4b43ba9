//! The program whose instructions `tests/instructions.rs` counts: rounds of puts, each followed by
//! as many gets, by one process; by copy, and in place (a loan and its commit, a lease and its
//! release). Of a topic, a put is a publish, and a get is a gating subscriber's next.
//!
//! `program CASE ROUNDS`; a round has 32 messages. Callgrind collects inside `measured_puts` or
//! `measured_gets` only.

use shmq::{DynQueue, DynTopic, Lease, Loan, MessageLayout, Queue, Topic};
use std::cell::Cell;
use std::{env, hint::black_box};

const ROUND: u64 = 32;
const CAPACITY: usize = 64;
/// Room in a topic is opened for as many messages at a time as an eighth of it has, up to 64.
const TOPIC_CAPACITY: usize = 1024;

/// A symbol by which callgrind separates the puts from everything else.
#[unsafe(no_mangle)]
#[inline(never)]
pub fn measured_puts(puts: &mut dyn FnMut()) {
    puts();
    black_box("put"); // unlike below: the compiler would make one function of two that do the same
}

/// Like [`measured_puts`], for the gets.
#[unsafe(no_mangle)]
#[inline(never)]
pub fn measured_gets(gets: &mut dyn FnMut()) {
    gets();
    black_box("got, not put");
}

fn rounds<const W: usize>(rounds: u64, put: impl Fn(&[u64; W]), get: impl Fn() -> [u64; W]) {
    for round in 0..rounds {
        measured_puts(&mut || (0..ROUND).for_each(|at| put(black_box(&[round + at; W]))));
        let mut sum = 0;
        measured_gets(&mut || (0..ROUND).for_each(|_| sum += black_box(get())[W - 1]));
        assert_eq!(sum, ROUND * round + (0..ROUND).sum::<u64>());
    }
}

fn by_queue<const W: usize>(count: u64) {
    let queue = Queue::<[u64; W]>::new(CAPACITY).expect("create a queue");
    rounds(count, |message| queue.put(message).expect("put"), || queue.get().expect("get"));
}

fn by_endpoints<const W: usize>(count: u64) {
    let queue = Queue::<[u64; W]>::new(CAPACITY).expect("create a queue");
    let producer = queue.producer().expect("become the producer");
    let consumer = queue.consumer().expect("become the consumer");
    rounds(count, |message| producer.put(message).expect("put"), || consumer.get().expect("get"));
}

fn by_topic<const W: usize>(count: u64) {
    let topic = Topic::<[u64; W]>::new(TOPIC_CAPACITY).expect("create a topic");
    let subscriber = topic.subscribe().expect("subscribe");
    rounds(count, |message| topic.publish(message).expect("publish"), || subscriber.next().expect("next"));
}

fn by_publisher<const W: usize>(count: u64) {
    let topic = Topic::<[u64; W]>::new(TOPIC_CAPACITY).expect("create a topic");
    let publisher = topic.publisher().expect("become the publisher");
    let subscriber = topic.subscribe().expect("subscribe");
    rounds(count, |message| publisher.publish(message).expect("publish"), || subscriber.next().expect("next"));
}

fn to_lossy<const W: usize>(count: u64) {
    let topic = Topic::<[u64; W]>::new(TOPIC_CAPACITY).expect("create a topic");
    let publisher = topic.publisher().expect("become the publisher");
    let subscriber = topic.subscribe_lossy().expect("subscribe");
    rounds(count, |message| publisher.publish(message).expect("publish"), || subscriber.next().expect("next"));
}

fn untyped<const W: usize>() -> DynQueue {
    DynQueue::new(MessageLayout::of::<[u64; W]>(), CAPACITY).expect("create a queue")
}

/// The bytes of a message, as a caller without the type has them.
fn bytes_of<const W: usize>(message: &[u64; W]) -> &[u8] {
    // SAFETY: numbers have no padding, and any bytes are `u8`s.
    unsafe { std::slice::from_raw_parts(message.as_ptr().cast(), size_of_val(message)) }
}

/// A message that is got into a buffer which lasts.
fn message_of<const W: usize>(buffer: &Cell<[u64; W]>, get: impl FnOnce(&mut [u8]) -> usize) -> [u64; W] {
    // SAFETY: as above, and any bits are numbers; nothing else has the buffer meanwhile.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.as_ptr().cast(), W * 8) };
    assert_eq!(get(bytes), W * 8);
    buffer.get()
}

fn by_dyn_queue<const W: usize>(count: u64) {
    let queue = untyped::<W>();
    let buffer = Cell::new([0; W]);
    let get = || message_of(&buffer, |bytes| queue.get_into(bytes).expect("get_into"));
    rounds::<W>(count, |message| queue.put(bytes_of(message)).expect("put"), get);
}

fn by_dyn_endpoints<const W: usize>(count: u64) {
    let queue = untyped::<W>();
    let producer = queue.producer().expect("become the producer");
    let consumer = queue.consumer().expect("become the consumer");
    let buffer = Cell::new([0; W]);
    let get = || message_of(&buffer, |bytes| consumer.get_into(bytes).expect("get_into"));
    rounds::<W>(count, |message| producer.put(bytes_of(message)).expect("put"), get);
}

fn by_dyn_publisher<const W: usize>(count: u64) {
    let topic = DynTopic::new(MessageLayout::of::<[u64; W]>(), TOPIC_CAPACITY).expect("create a topic");
    let publisher = topic.publisher().expect("become the publisher");
    let subscriber = topic.subscribe().expect("subscribe");
    let buffer = Cell::new([0; W]);
    let get = || message_of(&buffer, |bytes| subscriber.next_into(bytes).expect("next_into"));
    rounds::<W>(count, |message| publisher.publish(bytes_of(message)).expect("publish"), get);
}

#[inline(always)]
fn fill<const W: usize>(mut loan: Loan<'_, [u64; W]>, message: &[u64; W]) {
    *loan = *message;
    loan.commit().expect("commit");
}

#[inline(always)]
fn read<const W: usize>(lease: Lease<'_, [u64; W]>) -> [u64; W] {
    let message = *lease;
    lease.release();
    message
}

fn in_place_by_queue<const W: usize>(count: u64) {
    let queue = Queue::<[u64; W]>::new(CAPACITY).expect("create a queue");
    rounds(count, |message| fill(queue.loan().expect("loan"), message), || read(queue.lease().expect("lease")));
}

fn in_place_by_endpoints<const W: usize>(count: u64) {
    let queue = Queue::<[u64; W]>::new(CAPACITY).expect("create a queue");
    let producer = queue.producer().expect("become the producer");
    let consumer = queue.consumer().expect("become the consumer");
    rounds(count, |message| fill(producer.loan().expect("loan"), message), || read(consumer.lease().expect("lease")));
}

fn slices_in_place_by_queue<const W: usize>(count: u64) {
    let queue = Queue::<[u64]>::builder().capacity_bytes(CAPACITY * (W * 8 + 16)).create().expect("create a queue of slices");
    let put = |message: &[u64; W]| {
        let mut loan = queue.loan_len(W).expect("loan_len");
        loan.copy_from_slice(message);
        loan.commit().expect("commit");
    };
    let get = || {
        let lease = queue.lease().expect("lease");
        let message = (*lease).try_into().expect("as long as it was put");
        lease.release();
        message
    };
    rounds::<W>(count, put, get);
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [case, count] = words.as_slice() else { panic!("program CASE ROUNDS, not {words:?}") };
    let count = count.parse().expect("a number of rounds");
    match case.as_str() {
        "queue_8" => by_queue::<1>(count),
        "queue_64" => by_queue::<8>(count),
        "endpoints_8" => by_endpoints::<1>(count),
        "endpoints_64" => by_endpoints::<8>(count),
        "dyn_queue_64" => by_dyn_queue::<8>(count),
        "dyn_endpoints_64" => by_dyn_endpoints::<8>(count),
        "dyn_topic_publisher_64" => by_dyn_publisher::<8>(count),
        "queue_8_in_place" => in_place_by_queue::<1>(count),
        "queue_64_in_place" => in_place_by_queue::<8>(count),
        "endpoints_8_in_place" => in_place_by_endpoints::<1>(count),
        "endpoints_64_in_place" => in_place_by_endpoints::<8>(count),
        "topic_8" => by_topic::<1>(count),
        "topic_publisher_8" => by_publisher::<1>(count),
        "topic_publisher_64" => by_publisher::<8>(count),
        "topic_lossy_8" => to_lossy::<1>(count),
        "slices_64_in_place" => slices_in_place_by_queue::<8>(count),
        other => panic!("no case {other}"),
    }
}
