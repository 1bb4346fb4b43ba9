//! What `tests/instructions.rs` counts the instructions of: rounds of puts, each followed by as many gets, by one process.
//!
//! `program CASE ROUNDS`; a round has 32 messages. Callgrind collects inside `measured_puts` or `measured_gets` only.

use shmq::Queue;
use std::{env, hint::black_box};

const ROUND: u64 = 32;
const CAPACITY: usize = 64;

/// A symbol by which callgrind can tell the puts from everything else.
#[unsafe(no_mangle)]
#[inline(never)]
pub fn measured_puts(puts: &mut dyn FnMut()) {
    puts();
    black_box("put"); // unlike below: the compiler would make one function of two that do the same
}

/// As [`measured_puts`], for the gets.
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

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [case, count] = words.as_slice() else { panic!("program CASE ROUNDS, not {words:?}") };
    let count = count.parse().expect("a number of rounds");
    match case.as_str() {
        "queue_8" => by_queue::<1>(count),
        "queue_64" => by_queue::<8>(count),
        "endpoints_8" => by_endpoints::<1>(count),
        "endpoints_64" => by_endpoints::<8>(count),
        other => panic!("no case {other}"),
    }
}
