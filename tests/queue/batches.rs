//! `put_slice` moves all or returns how many, `get_slice` moves at least one. A call that moved
//! messages never returns an error.

use super::{SOON, drain, queue};
use crate::support::threads::start_and_wait_until_asleep;
use shmq::{GetError, PutError, Queue};
use std::time::{Duration, Instant};

#[test]
fn an_empty_slice_moves_nothing_and_never_waits() {
    let full: Queue<u32> = queue(1);
    full.put(&1).unwrap();
    let empty: Queue<u32> = queue(1);
    let past = Instant::now();
    assert_eq!(full.put_slice(&[]).unwrap(), 0);
    assert_eq!(full.try_put_slice(&[]).unwrap(), 0);
    assert_eq!(full.put_slice_timeout(&[], Duration::MAX).unwrap(), 0);
    assert_eq!(full.put_slice_deadline(&[], past).unwrap(), 0);
    assert_eq!(empty.get_slice(&mut []).unwrap(), 0);
    assert_eq!(empty.try_get_slice(&mut []).unwrap(), 0);
    assert_eq!(empty.get_slice_timeout(&mut [], Duration::MAX).unwrap(), 0);
    assert_eq!(empty.get_slice_deadline(&mut [], past).unwrap(), 0);
    let (producer, consumer) = (full.producer().unwrap(), empty.consumer().unwrap());
    assert_eq!((producer.put_slice(&[]).unwrap(), consumer.get_slice(&mut []).unwrap()), (0, 0));
    assert_eq!((full.len(), empty.len()), (1, 0));
}

#[test]
fn a_put_slice_blocks_until_all_have_moved() {
    let queue: Queue<u32> = queue(3);
    let all: Vec<u32> = (0..20).collect();
    let putter = start_and_wait_until_asleep("a batch larger than the queue", {
        let (queue, all) = (queue.clone(), all.clone());
        move || queue.put_slice(&all)
    });
    // The messages that fitted are in the queue already: each commits by itself.
    assert_eq!((queue.len(), queue.is_full()), (3, true));
    let mut got = Vec::new();
    while got.len() < all.len() {
        got.push(queue.get_timeout(SOON).unwrap());
        assert!(queue.len() <= 3);
    }
    assert_eq!(putter.join().unwrap(), 20);
    assert_eq!(got, all);
    assert!(queue.is_empty());
}

#[test]
fn a_put_slice_through_an_endpoint_blocks_until_all_have_moved() {
    let queue: Queue<u32> = queue(3);
    let all: Vec<u32> = (0..20).collect();
    let putter = start_and_wait_until_asleep("a batch larger than the queue", {
        let (producer, all) = (queue.producer().unwrap(), all.clone());
        move || producer.put_slice(&all)
    });
    let consumer = queue.consumer().unwrap();
    let mut got = Vec::new();
    let mut buffer = [0; 2];
    while got.len() < all.len() {
        let count = consumer.get_slice_timeout(&mut buffer, SOON).unwrap();
        assert!((1..=2).contains(&count));
        got.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(putter.join().unwrap(), 20);
    assert_eq!(got, all);
}

#[test]
fn a_get_slice_blocks_until_there_is_one() {
    let queue: Queue<u32> = queue(8);
    let getter = start_and_wait_until_asleep("a batch from an empty queue", {
        let queue = queue.clone();
        move || {
            let mut buffer = [0; 8];
            queue.get_slice(&mut buffer).map(|count| buffer[..count].to_vec())
        }
    });
    queue.put(&1).unwrap();
    assert_eq!(getter.join().unwrap(), [1]);
    // It takes no more than there are, in order.
    assert_eq!(queue.put_slice(&[2, 3, 4]).unwrap(), 3);
    let mut buffer = [9; 5];
    assert_eq!((queue.get_slice(&mut buffer).unwrap(), buffer), (3, [2, 3, 4, 9, 9]));
    assert_eq!(queue.put_slice(&[5, 6, 7]).unwrap(), 3);
    assert_eq!((queue.get_slice(&mut buffer[..2]).unwrap(), buffer[..2].to_vec()), (2, vec![5, 6]));
    assert_eq!(drain(&queue), [7]);
}

#[test]
fn what_moved_before_the_time_was_up_is_ok() {
    let queue: Queue<u32> = queue(3);
    assert_eq!(queue.put_slice_timeout(&[1, 2, 3, 4, 5], super::A_WHILE).unwrap(), 3);
    assert!(matches!(queue.put_slice_timeout(&[6], super::A_WHILE), Err(PutError::Timeout)));
    assert!(matches!(queue.try_put_slice(&[6]), Err(PutError::Full)));
    assert_eq!(queue.get().unwrap(), 1);
    assert_eq!(queue.put_slice_deadline(&[7, 8], Instant::now() + super::A_WHILE).unwrap(), 1);
    assert_eq!(queue.get().unwrap(), 2);
    assert_eq!(queue.try_put_slice(&[9, 10]).unwrap(), 1);
    assert_eq!(queue.get_slice_timeout(&mut [0; 9], super::A_WHILE).unwrap(), 3);
    assert!(matches!(queue.get_slice_timeout(&mut [0; 9], super::A_WHILE), Err(GetError::Timeout)));
    assert!(matches!(queue.try_get_slice(&mut [0; 9]), Err(GetError::Empty)));
}

#[test]
fn what_moved_before_the_close_is_ok() {
    let queue: Queue<u32> = queue(2);
    let putter = start_and_wait_until_asleep("a batch that a close cuts short", {
        let queue = queue.clone();
        move || queue.put_slice(&[1, 2, 3, 4])
    });
    queue.close();
    assert_eq!(putter.join().unwrap(), 2);
    assert!(matches!(queue.put_slice(&[5]), Err(PutError::Closed)));
    assert_eq!(drain(&queue), [1, 2]);
    assert!(matches!(queue.get_slice(&mut [0; 2]), Err(GetError::Closed)));
}

#[test]
fn batches_take_messages_given_back_first() {
    let queue: Queue<u32> = queue(8);
    assert_eq!(queue.put_slice(&[1, 2, 3, 4]).unwrap(), 4);
    let (first, second) = (queue.lease().unwrap(), queue.lease().unwrap());
    second.give_back();
    first.give_back();
    let mut got = Vec::new();
    while got.len() < 4 {
        let mut buffer = [0; 3];
        let count = queue.get_slice_timeout(&mut buffer, SOON).unwrap();
        got.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(got, [1, 2, 3, 4]);
}

#[test]
fn batches_skip_dropped_loans() {
    let queue: Queue<u32> = queue(8);
    queue.put(&1).unwrap();
    drop(queue.loan().unwrap());
    drop(queue.loan().unwrap());
    queue.put(&2).unwrap();
    drop(queue.loan().unwrap());
    let mut got = Vec::new();
    while got.len() < 2 {
        let mut buffer = [0; 8];
        let count = queue.get_slice_timeout(&mut buffer, SOON).unwrap();
        got.extend_from_slice(&buffer[..count]);
    }
    assert_eq!(got, [1, 2]);
    assert_eq!(queue.try_put_slice(&[0; 20]).unwrap(), 8);
}

/// The result of each call: values, or `None` for an invalid message.
fn results<T>(
    mut get_slice: impl FnMut(&mut [T]) -> Result<usize, GetError>,
    first: fn(&T) -> bool,
    none: fn() -> T,
) -> Vec<Option<Vec<bool>>> {
    let mut results = Vec::new();
    let mut buffer: Vec<T> = (0..8).map(|_| none()).collect();
    loop {
        match get_slice(&mut buffer) {
            Ok(count) => results.push(Some(buffer[..count].iter().map(first).collect())),
            Err(GetError::Invalid) => results.push(None),
            Err(GetError::Empty) => return results,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_batch_ends_before_bits_that_are_no_value_and_the_next_call_returns_the_error() {
    fn check<const N: usize>(is_consumer: bool, has_letters: bool, comes_back: bool) {
        let bits = [1, 0, 2, 1, 2, 2, 1];
        let name = crate::support::unique_name("bits");
        let letters = shmq::DeadLetters::create(format!("{name}-letters"), 1 << 20).unwrap();
        let builder = Queue::<[bool; N]>::builder().name(&name).capacity(8).schema("bits");
        let builder = if has_letters { builder.dead_letters(format!("{name}-letters")) } else { builder };
        let queue = builder.create().unwrap();
        let raw = Queue::<[u8; N]>::builder().name(&name).schema("bits").open().unwrap();
        bits.iter().for_each(|&byte| raw.put(&[byte; N]).unwrap());
        if comes_back {
            let leases: Vec<_> = (0..5).map(|_| raw.lease().unwrap()).collect();
            leases.into_iter().for_each(|lease| lease.give_back());
        }
        let (first, none) = (|value: &[bool; N]| value[N - 1], || [false; N]);
        let results = if is_consumer {
            let consumer = queue.consumer().unwrap();
            results(|buffer| consumer.try_get_slice(buffer), first, none)
        } else {
            results(|buffer| queue.try_get_slice(buffer), first, none)
        };
        let values = [Some(vec![true, false]), None, Some(vec![true]), None, None, Some(vec![true])];
        assert_eq!(results, values, "{N} {is_consumer} {has_letters} {comes_back}");
        // Each value and each error stands for one message that was taken.
        bits.iter().for_each(|_| queue.task_done().unwrap());
        queue.join_timeout(SOON).unwrap();
        assert!(queue.task_done().is_err());
        assert_eq!(letters.len(), if has_letters { 3 } else { 0 });
        shmq::DeadLetters::unlink(letters.name()).unwrap();
    }
    for is_consumer in [false, true] {
        for has_letters in [false, true] {
            for comes_back in [false, true] {
                check::<1>(is_consumer, has_letters, comes_back);
                check::<8192>(is_consumer, has_letters, comes_back);
            }
        }
    }
}

#[test]
fn batches_wake_as_many_getters_as_they_feed() {
    let queue: Queue<u32> = queue(8);
    let getters: Vec<_> = (0..4)
        .map(|_| {
            let queue = queue.clone();
            start_and_wait_until_asleep("one of four getters", move || queue.get_timeout(SOON))
        })
        .collect();
    assert_eq!(queue.put_slice(&[1, 2, 3, 4]).unwrap(), 4);
    let mut got: Vec<u32> = getters.into_iter().map(|getter| getter.join().unwrap()).collect();
    got.sort();
    assert_eq!(got, [1, 2, 3, 4]);
}

#[test]
fn batches_wake_as_many_putters_as_they_make_room_for() {
    let queue: Queue<u32> = queue(4);
    assert_eq!(queue.put_slice(&[0; 4]).unwrap(), 4);
    let putters: Vec<_> = (1..=4)
        .map(|i| {
            let queue = queue.clone();
            start_and_wait_until_asleep("one of four putters", move || queue.put_timeout(&i, SOON))
        })
        .collect();
    assert_eq!(queue.get_slice(&mut [0; 4]).unwrap(), 4);
    putters.into_iter().for_each(|putter| putter.join().unwrap());
    let mut got = drain(&queue);
    got.sort();
    assert_eq!(got, [1, 2, 3, 4]);
}
