//! `put_iter` and `get_each` of endpoints: values straight between the ring and code of the
//! caller's, which may panic, block, lie about its length, and use the same queue.

use super::{A_WHILE, SOON, drain, queue};
use crate::support::threads::start_and_wait_until_asleep;
use shmq::{GetError, PutError, Queue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// An iterator that yields numbers from `next` to before `end`, and says that `said` are left.
struct Liar {
    next: u64,
    end: u64,
    said: usize,
}

impl Iterator for Liar {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let value = (self.next < self.end).then_some(self.next);
        self.next += 1;
        value
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.said, Some(self.said))
    }
}

impl ExactSizeIterator for Liar {}

#[test]
fn all_forms_move_what_they_can() {
    let queue: Queue<u32> = queue(3);
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer().unwrap();
    let past = Instant::now();
    assert_eq!(producer.put_iter(0..0).unwrap(), 0);
    assert_eq!(consumer.get_each(0, |_| panic!("none was asked for")).unwrap(), 0);
    assert_eq!(producer.try_put_iter(1..6).unwrap(), 3);
    assert_eq!(queue.len(), 3);
    assert!(matches!(producer.try_put_iter([9]), Err(PutError::Full)));
    assert!(matches!(producer.put_iter_timeout([9], A_WHILE), Err(PutError::Timeout)));
    assert!(matches!(producer.put_iter_deadline([9], past), Err(PutError::Timeout)));
    let mut got = Vec::new();
    assert_eq!(consumer.try_get_each(2, |value| got.push(value)).unwrap(), 2);
    assert_eq!(consumer.get_each_timeout(9, |value| got.push(value), SOON).unwrap(), 1);
    assert_eq!(got, [1, 2, 3]);
    let nothing = |_| panic!("nothing is there");
    assert!(matches!(consumer.try_get_each(9, nothing), Err(GetError::Empty)));
    assert!(matches!(consumer.get_each_timeout(9, nothing, A_WHILE), Err(GetError::Timeout)));
    assert!(matches!(consumer.get_each_deadline(9, nothing, past), Err(GetError::Timeout)));
    queue.close();
    assert!(matches!(producer.put_iter([1]), Err(PutError::Closed)));
    assert!(matches!(consumer.get_each(1, nothing), Err(GetError::Closed)));
}

#[test]
fn thousands_pass_in_order_through_rings_of_all_sizes() {
    for capacity in [1, 2, 3, 63, 64, 65, 1000] {
        let queue: Queue<u32> = queue(capacity);
        let count = 5000;
        let putter = std::thread::spawn({
            let mut producer = queue.producer().unwrap();
            move || {
                let mut next = 0;
                while next < count {
                    let upto = count.min(next + 1 + next % 130);
                    assert_eq!(producer.put_iter(next..upto).unwrap() as u32, upto - next);
                    next = upto;
                }
            }
        });
        let mut consumer = queue.consumer().unwrap();
        let mut expected = 0;
        while expected < count {
            let before = expected;
            let taken = consumer.get_each_timeout(
                1 + expected as usize % 150,
                |value| {
                    assert_eq!(value, expected);
                    expected += 1;
                },
                SOON,
            );
            assert_eq!(taken.unwrap() as u32, expected - before);
        }
        putter.join().unwrap();
        assert!(queue.is_empty());
        assert_eq!((queue.stats().puts, queue.stats().gets), (count as u64, count as u64));
    }
}

#[test]
fn large_values_pass_one_by_one() {
    let queue: Queue<[u64; 1000]> = queue(4);
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    assert_eq!(producer.put_iter([[1; 1000], [2; 1000], [3; 1000]]).unwrap(), 3);
    let mut got = Vec::new();
    assert_eq!(consumer.get_each(4, |value| got.push((value[0], value[999]))).unwrap(), 3);
    assert_eq!(got, [(1, 1), (2, 2), (3, 3)]);
}

#[test]
fn a_put_iter_blocks_until_all_have_moved() {
    let queue: Queue<u32> = queue(3);
    let putter = start_and_wait_until_asleep("more values than the queue holds", {
        let mut producer = queue.producer().unwrap();
        move || producer.put_iter(0..20)
    });
    let mut consumer = queue.consumer().unwrap();
    let mut got = Vec::new();
    while got.len() < 20 {
        consumer.get_each_timeout(2, |value| got.push(value), SOON).unwrap();
    }
    assert_eq!(putter.join().unwrap(), 20);
    assert_eq!(got, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_get_each_wakes_up_for_a_put_and_a_put_iter_wakes_it() {
    let queue: Queue<u64> = queue(8);
    let getter = start_and_wait_until_asleep("messages of an empty queue", {
        let mut consumer = queue.consumer().unwrap();
        move || {
            let mut got = Vec::new();
            consumer.get_each(8, |value| got.push(value)).map(|_| got)
        }
    });
    assert_eq!(queue.producer().unwrap().put_iter([1, 2]).unwrap(), 2);
    assert_eq!(getter.join().unwrap(), [1, 2]);
}

#[test]
fn what_was_made_before_a_panic_is_put() {
    let queue: Queue<u32> = queue(200);
    let mut producer = queue.producer().unwrap();
    for fails_at in [0, 1, 63, 64, 100] {
        let values = (0..150).map(|i| if i == fails_at { panic!("the iterator's own") } else { i });
        assert!(catch_unwind(AssertUnwindSafe(|| producer.put_iter(values))).is_err());
        assert_eq!(drain(&queue), (0..fails_at).collect::<Vec<_>>());
    }
    // The endpoint is as before.
    assert_eq!(producer.put_iter(7..9).unwrap(), 2);
    producer.put(&9).unwrap();
    assert_eq!(drain(&queue), [7, 8, 9]);
}

#[test]
fn what_was_seen_before_a_panic_is_taken() {
    let queue: Queue<u32> = queue(200);
    let mut consumer = queue.consumer().unwrap();
    for fails_at in [0, 1, 63, 64, 100] {
        assert_eq!(queue.put_slice(&(0..150).collect::<Vec<_>>()).unwrap(), 150);
        let mut got = Vec::new();
        let visit = |value| {
            got.push(value);
            assert_ne!(value, fails_at, "the closure's own");
        };
        assert!(catch_unwind(AssertUnwindSafe(|| consumer.get_each(150, visit))).is_err());
        assert_eq!(got, (0..=fails_at).collect::<Vec<_>>());
        assert_eq!(queue.len() as u32, 149 - fails_at);
        assert_eq!(consumer.get_each(200, |value| got.push(value)).unwrap() as u32, 149 - fails_at);
        assert_eq!(got, (0..150).collect::<Vec<_>>());
    }
    // Each message was counted as taken once.
    (0..5 * 150).for_each(|_| queue.task_done().unwrap());
    assert!(queue.task_done().is_err());
    queue.join_timeout(SOON).unwrap();
}

#[test]
fn a_panic_over_a_message_that_came_back_takes_it() {
    let queue: Queue<u32> = queue(8);
    queue.put_slice(&[1, 2, 3]).unwrap();
    let (first, second) = (queue.lease().unwrap(), queue.lease().unwrap());
    second.give_back();
    first.give_back();
    let mut consumer = queue.consumer().unwrap();
    let fails = |value| assert_ne!(value, 1, "the closure's own");
    assert!(catch_unwind(AssertUnwindSafe(|| consumer.get_each(3, fails))).is_err());
    let mut got = Vec::new();
    while got.len() < 2 {
        consumer.get_each_timeout(3, |value| got.push(value), SOON).unwrap();
    }
    assert_eq!((got, queue.len()), (vec![2, 3], 0));
    (0..3).for_each(|_| queue.task_done().unwrap());
    assert!(queue.task_done().is_err());
    queue.join_timeout(SOON).unwrap();
}

#[test]
fn an_iterator_may_lie_about_its_length() {
    let queue: Queue<u64> = queue(200);
    let mut producer = queue.producer().unwrap();
    // It has fewer than it says: what there was is put, and the call ends.
    assert_eq!(producer.put_iter(Liar { next: 0, end: 70, said: 1_000_000 }).unwrap(), 70);
    assert_eq!(producer.put_iter(Liar { next: 0, end: 0, said: 5 }).unwrap(), 0);
    assert_eq!(drain(&queue), (0..70).collect::<Vec<_>>());
    // It never says less than 3: it is believed until it has no more, and none of them is lost.
    assert_eq!(producer.put_iter(Liar { next: 0, end: 10, said: 3 }).unwrap(), 10);
    assert_eq!(drain(&queue), (0..10).collect::<Vec<_>>());
    // It says that it has none: nothing is taken from it.
    assert_eq!(producer.put_iter(Liar { next: 0, end: 10, said: 0 }).unwrap(), 0);
    assert_eq!(producer.try_put_iter(Liar { next: 0, end: 10, said: usize::MAX }).unwrap(), 10);
    assert_eq!(queue.len(), 10);
}

/// Nothing is locked or marked while an iterator runs.
#[test]
fn an_iterator_may_use_the_same_queue() {
    let queue: Queue<u32> = queue(100);
    let mut producer = queue.producer().unwrap();
    let mut got = Vec::new();
    let values = (0..90).inspect(|&i| {
        assert!(matches!(queue.try_put(&99), Err(PutError::Held { .. })));
        // The burst that is being made is not in the queue yet.
        assert_eq!(queue.len(), if i < 64 { 0 } else { 128 - i as usize });
        assert_eq!(queue.recover().redelivered, 0);
        got.extend(queue.try_get());
    });
    assert_eq!(producer.put_iter(values).unwrap(), 90);
    assert_eq!(got.len(), 26);
    got.extend(drain(&queue));
    assert_eq!(got, (0..90).collect::<Vec<_>>());
}

#[test]
fn a_closure_may_use_the_same_queue() {
    let queue: Queue<u32> = queue(8);
    let mut consumer = queue.consumer().unwrap();
    queue.put_slice(&[1, 2, 3]).unwrap();
    let mut got = Vec::new();
    // Messages that are put meanwhile are visited in the same call, as far as they are asked for.
    let count = consumer.get_each(5, |value| {
        got.push(value);
        assert!(matches!(queue.try_get(), Err(GetError::Held { .. })));
        queue.try_put(&(value + 10)).unwrap();
        assert_eq!(queue.recover().redelivered, 0);
    });
    assert_eq!((count.unwrap(), got), (5, vec![1, 2, 3, 11, 12]));
    let mut rest = Vec::new();
    consumer.get_each(5, |value| rest.push(value)).unwrap();
    assert_eq!(rest, [13, 21, 22]);
}

/// Putters that want the room of dropped loans hold the Consumer off, also between two calls of its
/// closure.
#[test]
fn a_closure_may_be_held_off() {
    let queue: Queue<u32> = queue(4);
    let mut consumer = queue.consumer().unwrap();
    queue.put(&1).unwrap();
    queue.put(&2).unwrap();
    let mut got = Vec::new();
    let count = consumer.get_each(9, |value| {
        got.push(value);
        if value < 20 {
            drop(queue.try_loan().unwrap());
            drop(queue.try_loan().unwrap());
            queue.try_put(&(value + 20)).unwrap();
        }
    });
    assert_eq!(count.unwrap(), got.len());
    while got.len() < 4 {
        consumer.get_each_timeout(9, |value| got.push(value), SOON).unwrap();
    }
    assert_eq!(got, [1, 2, 21, 22]);
    assert!(queue.is_empty());
    assert_eq!(queue.try_put_slice(&[0; 9]).unwrap(), 4);
}

#[test]
fn a_close_ends_both() {
    let queue: Queue<u32> = queue(100);
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    // The queue is closed while the second burst is made: that burst is not put.
    let values = (0..80).inspect(|&i| {
        if i == 70 {
            queue.close();
        }
    });
    assert_eq!(producer.put_iter(values).unwrap(), 64);
    assert!(matches!(producer.put_iter([1]), Err(PutError::Closed)));
    let mut got = Vec::new();
    assert_eq!(consumer.get_each(100, |value| got.push(value)).unwrap(), 64);
    assert_eq!(got, (0..64).collect::<Vec<_>>());
    assert!(matches!(consumer.get_each(1, |_| ()), Err(GetError::Closed)));
}

#[test]
fn bits_that_are_no_value_end_the_call_and_the_next_one_returns_the_error() {
    let name = crate::support::unique_name("straight");
    let queue = Queue::<bool>::builder().name(&name).capacity(8).schema("bits").create().unwrap();
    let raw = Queue::<u8>::builder().name(&name).schema("bits").open().unwrap();
    raw.put_slice(&[1, 0, 2, 1, 2]).unwrap();
    let mut consumer = queue.consumer().unwrap();
    let mut got = Vec::new();
    assert_eq!(consumer.get_each(8, |value| got.push(value)).unwrap(), 2);
    assert!(matches!(consumer.get_each(8, |value| got.push(value)), Err(GetError::Invalid)));
    assert_eq!(consumer.get_each(8, |value| got.push(value)).unwrap(), 1);
    assert!(matches!(consumer.try_get_each(8, |value| got.push(value)), Err(GetError::Invalid)));
    assert!(matches!(consumer.try_get_each(8, |value| got.push(value)), Err(GetError::Empty)));
    assert_eq!(got, [true, false, true]);
    (0..5).for_each(|_| queue.task_done().unwrap());
    queue.join_timeout(SOON).unwrap();
}
