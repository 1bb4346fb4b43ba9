//! Killed in a batch by copy: what is published or taken in one burst, by a process and by
//! endpoints.

use crate::stepped::contents::{attach, holding, kill_in, kill_in_body};
use crate::stepped::copies::two_returned;
use crate::support::harness::Case;
use shmq::{Consumer, Producer, Queue};

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_put_slice_across_the_end,
        killed_in_get_slice_across_the_end,
        killed_in_put_slice_by_a_producer,
        killed_in_put_slice_by_a_producer_across_the_end,
        killed_in_get_slice_by_a_consumer,
        killed_in_get_slice_by_a_consumer_across_the_end,
        killed_in_put_iter,
        killed_in_put_iter_across_the_end,
        killed_in_get_each,
        killed_in_get_each_across_the_end,
        killed_in_get_each_of_returned_messages,
    ]
}

/// A queue of four, five cells, that holds two messages in its first cells.
fn two() -> Queue<u64> {
    holding(&[10, 11])
}

/// The same from the third cell on, so that two more end where the ring does.
fn two_before_the_end() -> Queue<u64> {
    let queue = holding(&[0, 0]);
    assert_eq!(queue.try_get_slice(&mut [0; 4]).unwrap(), 2);
    (10..12).for_each(|number| queue.try_put(&number).unwrap());
    queue
}

/// Kills `act` of a Producer.
fn kill_producer(what: &'static str, world: fn() -> Queue<u64>, act: fn(&mut Producer<u64>), stages: &[&[u64]]) {
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        attach(queue);
        let mut producer = queue.producer().unwrap();
        begin();
        act(&mut producer);
        std::mem::forget(producer);
    };
    kill_in_body(what, world, body, stages);
}

/// Kills `act` of a Consumer.
fn kill_consumer(what: &'static str, world: fn() -> Queue<u64>, act: fn(&mut Consumer<u64>), stages: &[&[u64]]) {
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        attach(queue);
        let mut consumer = queue.consumer().unwrap();
        begin();
        act(&mut consumer);
        std::mem::forget(consumer);
    };
    kill_in_body(what, world, body, stages);
}

/// One burst before the end of the ring, and one behind it.
fn killed_in_put_slice_across_the_end() {
    let world = || {
        let queue = holding(&[0, 0, 0]);
        assert_eq!(queue.try_get_slice(&mut [0; 4]).unwrap(), 3);
        queue
    };
    let act = |queue: &Queue<u64>| assert_eq!(queue.try_put_slice(&[12, 13, 14, 15, 16]).unwrap(), 4);
    kill_in("put_slice, across the end", world, act, &[&[], &[12, 13], &[12, 13, 14, 15]]);
}

fn killed_in_get_slice_across_the_end() {
    let world = || {
        let queue = holding(&[0, 0, 0]);
        assert_eq!(queue.try_get_slice(&mut [0; 4]).unwrap(), 3);
        (10..13).for_each(|number| queue.try_put(&number).unwrap());
        queue
    };
    let act = |queue: &Queue<u64>| assert_eq!(queue.try_get_slice(&mut [0; 4]).unwrap(), 3);
    kill_in("get_slice, across the end", world, act, &[&[10, 11, 12], &[11, 12], &[12], &[]]);
}

fn killed_in_put_slice_by_a_producer() {
    let act = |producer: &mut Producer<u64>| assert_eq!(producer.try_put_slice(&[12, 13, 14]).unwrap(), 2);
    kill_producer("put_slice, producer", two, act, &[&[10, 11], &[10, 11, 12, 13]]);
}

fn killed_in_put_slice_by_a_producer_across_the_end() {
    let act = |producer: &mut Producer<u64>| assert_eq!(producer.try_put_slice(&[12, 13, 14]).unwrap(), 2);
    let stages: [&[u64]; 3] = [&[10, 11], &[10, 11, 12], &[10, 11, 12, 13]];
    kill_producer("put_slice, producer, across the end", two_before_the_end, act, &stages);
}

fn killed_in_get_slice_by_a_consumer() {
    let act = |consumer: &mut Consumer<u64>| assert_eq!(consumer.try_get_slice(&mut [0; 3]).unwrap(), 2);
    kill_consumer("get_slice, consumer", two, act, &[&[10, 11], &[11], &[]]);
}

fn killed_in_get_slice_by_a_consumer_across_the_end() {
    let world = || {
        let queue = two_before_the_end();
        (12..14).for_each(|number| queue.try_put(&number).unwrap());
        queue
    };
    let act = |consumer: &mut Consumer<u64>| assert_eq!(consumer.try_get_slice(&mut [0; 5]).unwrap(), 4);
    let stages: [&[u64]; 5] = [&[10, 11, 12, 13], &[11, 12, 13], &[12, 13], &[13], &[]];
    kill_consumer("get_slice, consumer, across the end", world, act, &stages);
}

fn killed_in_put_iter() {
    let act = |producer: &mut Producer<u64>| assert_eq!(producer.try_put_iter([12, 13, 14]).unwrap(), 2);
    kill_producer("put_iter", two, act, &[&[10, 11], &[10, 11, 12, 13]]);
}

fn killed_in_put_iter_across_the_end() {
    let act = |producer: &mut Producer<u64>| assert_eq!(producer.try_put_iter([12, 13, 14]).unwrap(), 2);
    let stages: [&[u64]; 3] = [&[10, 11], &[10, 11, 12], &[10, 11, 12, 13]];
    kill_producer("put_iter, across the end", two_before_the_end, act, &stages);
}

/// What the closure was given comes again, as long as the burst is not taken.
fn killed_in_get_each() {
    let act = |consumer: &mut Consumer<u64>| {
        let mut next = 10;
        let visit = |value| {
            assert_eq!(value, next);
            next += 1;
        };
        assert_eq!(consumer.try_get_each(3, visit).unwrap(), 2);
    };
    kill_consumer("get_each", two, act, &[&[10, 11], &[11], &[]]);
}

fn killed_in_get_each_across_the_end() {
    let world = || {
        let queue = two_before_the_end();
        (12..14).for_each(|number| queue.try_put(&number).unwrap());
        queue
    };
    let act = |consumer: &mut Consumer<u64>| {
        let mut sum = 0;
        assert_eq!(consumer.try_get_each(5, |value| sum += value).unwrap(), 4);
        assert_eq!(sum, 10 + 11 + 12 + 13);
    };
    let stages: [&[u64]; 5] = [&[10, 11, 12, 13], &[11, 12, 13], &[12, 13], &[13], &[]];
    kill_consumer("get_each, across the end", world, act, &stages);
}

/// Two that came back are on lease, one after the other, while the closure has them.
fn killed_in_get_each_of_returned_messages() {
    let act = |consumer: &mut Consumer<u64>| {
        let mut got = [0; 3];
        let mut count = 0;
        while count < 3 {
            let visit = |value| {
                got[count] = value;
                count += 1;
            };
            consumer.try_get_each(3, visit).unwrap();
        }
        assert_eq!(got, [10, 11, 12]);
    };
    kill_consumer("get_each, returned", two_returned, act, &[&[10, 11, 12], &[11, 12], &[12], &[]]);
}
