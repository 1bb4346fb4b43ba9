//! N producers, M consumers: every message arrives once, in one order, by every way in and out.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_words, wait_for_count};
use crate::support::{PATIENCE, Rng, matches_pattern, pattern};
use shmq::{GetError, PutError, Queue, WaitStrategy};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

pub fn cases() -> Vec<Case> {
    crate::cases![
        puts_are_in_one_order,
        every_message_arrives_once_by_copy,
        every_message_arrives_once_in_batches,
        every_message_arrives_once_in_place,
        every_message_arrives_once_through_endpoints,
        every_message_arrives_once_whatever_the_wait,
        every_slice_arrives_once,
        every_slice_arrives_once_in_place,
        every_slice_arrives_once_through_endpoints,
        every_large_slice_arrives_once,
        mixed_verbs_lose_nothing,
        a_large_message_gets_its_turn_among_small_ones,
    ]
}

/// Numbers of producers and consumers.
const SHAPES: [(usize, usize); 5] = [(1, 1), (2, 2), (4, 4), (3, 1), (1, 3)];

/// How often each message was received.
struct Ledger {
    received: &'static [AtomicU64],
    per_producer: usize,
}

impl Ledger {
    fn new(producers: usize, per_producer: usize) -> Ledger {
        Ledger { received: shared_words(producers * per_producer), per_producer }
    }

    fn message(&self, producer: usize, number: usize) -> u64 {
        (producer * self.per_producer + number) as u64
    }

    #[track_caller]
    fn expect_each_once(&self) {
        let wrong: Vec<_> = self.received.iter().enumerate().filter(|(_, count)| count.load(Relaxed) != 1).collect();
        assert!(
            wrong.is_empty(),
            "{} of {} not received once: {:?}",
            wrong.len(),
            self.received.len(),
            &wrong[..wrong.len().min(20)]
        );
    }
}

/// What one consumer received: each producer's messages must come in the order of their puts.
struct Receipts<'a> {
    ledger: &'a Ledger,
    last: Vec<Option<usize>>,
}

impl Receipts<'_> {
    fn new(ledger: &Ledger) -> Receipts<'_> {
        Receipts { ledger, last: vec![None; ledger.received.len() / ledger.per_producer] }
    }

    fn note(&mut self, message: u64) {
        let (producer, number) = (message as usize / self.ledger.per_producer, message as usize % self.ledger.per_producer);
        let last = self.last[producer].replace(number);
        assert!(last < Some(number), "message {number} of producer {producer} came after {last:?}");
        self.ledger.received[message as usize].fetch_add(1, Relaxed);
    }
}

/// Runs producers and consumers; the queue is closed when the producers are done, and the consumers
/// drain it.
fn run_traffic<T: shmq::Message + ?Sized + 'static>(
    queue: &Queue<T>,
    (producers, consumers): (usize, usize),
    per_producer: usize,
    put_all: impl Fn(&Queue<T>, &Ledger, usize),
    get_all: impl Fn(&Queue<T>, &mut Receipts<'_>),
) {
    let ledger = Ledger::new(producers, per_producer);
    let takers: Vec<Child> = (0..consumers).map(|_| fork("a consumer", || get_all(queue, &mut Receipts::new(&ledger)))).collect();
    let putters: Vec<Child> = (0..producers).map(|i| fork("a producer", || put_all(queue, &ledger, i))).collect();
    expect_all_succeed(putters);
    queue.close();
    expect_all_succeed(takers);
    ledger.expect_each_once();
    assert!(queue.is_empty());
}

fn closed(error: GetError) {
    assert!(matches!(error, GetError::Closed), "{error}");
}

fn puts_are_in_one_order() {
    // Puts that follow one another, in any process, are got in that order, in any process.
    const MESSAGES: u64 = 6_000;
    let queue: Queue<u64> = Queue::new(7).unwrap();
    let turns = shared_words(2);
    let children = (0..3)
        .flat_map(|i| {
            let queue = &queue;
            let take_turns = move |turn: &AtomicU64, others: u64, act: &dyn Fn(u64)| {
                for number in (i..MESSAGES).step_by(others as usize) {
                    wait_for_count("a turn", turn, number);
                    act(number);
                    turn.store(number + 1, Release);
                }
            };
            let putter = fork("a putter in turn", move || {
                take_turns(&turns[0], 3, &|number| queue.put_timeout(&number, PATIENCE).unwrap());
            });
            let getter = (i < 2).then(|| {
                fork("a getter in turn", move || {
                    take_turns(&turns[1], 2, &|number| assert_eq!(queue.get_timeout(PATIENCE).unwrap(), number));
                })
            });
            [Some(putter), getter].into_iter().flatten()
        })
        .collect();
    expect_all_succeed(children);
}

fn every_message_arrives_once_by_copy() {
    for shape in SHAPES {
        for capacity in [1, 3, 64] {
            run_traffic(
                &Queue::new(capacity).unwrap(),
                shape,
                3_000 / shape.0,
                |queue, ledger, producer| (0..ledger.per_producer).for_each(|i| queue.put(&ledger.message(producer, i)).unwrap()),
                |queue, receipts| queue.iter().for_each(|message| receipts.note(message.unwrap())),
            );
        }
    }
}

fn every_message_arrives_once_in_batches() {
    for shape in SHAPES {
        run_traffic(
            &Queue::new(20).unwrap(),
            shape,
            12_000 / shape.0,
            |queue, ledger, producer| {
                let all: Vec<u64> = (0..ledger.per_producer).map(|i| ledger.message(producer, i)).collect();
                for batch in all.chunks(33) {
                    assert_eq!(queue.put_slice(batch).unwrap(), batch.len());
                }
            },
            |queue, receipts| {
                let mut buffer = [0; 13];
                loop {
                    match queue.get_slice(&mut buffer) {
                        Ok(count) => buffer[..count].iter().for_each(|&message| receipts.note(message)),
                        Err(error) => return closed(error),
                    }
                }
            },
        );
    }
}

fn every_message_arrives_once_in_place() {
    for shape in SHAPES {
        run_traffic(
            &Queue::new(5).unwrap(),
            shape,
            3_000 / shape.0,
            |queue, ledger, producer| {
                let mut rng = Rng::new(&format!("loans of producer {producer}"));
                for i in 0..ledger.per_producer {
                    if rng.chance(10) {
                        drop(queue.loan().unwrap());
                    }
                    let mut loan = queue.loan().unwrap();
                    *loan = ledger.message(producer, i);
                    loan.commit().unwrap();
                }
            },
            |queue, receipts| {
                loop {
                    match queue.lease() {
                        Ok(lease) => receipts.note(*lease),
                        Err(error) => return closed(error),
                    }
                }
            },
        );
    }
}

fn every_message_arrives_once_through_endpoints() {
    for (producers, consumers) in [(1, 1), (1, 3), (3, 1)] {
        run_traffic(
            &Queue::new(16).unwrap(),
            (producers, consumers),
            9_000 / producers,
            |queue, ledger, producer| {
                if producers > 1 {
                    return (0..ledger.per_producer).for_each(|i| queue.put(&ledger.message(producer, i)).unwrap());
                }
                let endpoint = queue.producer().unwrap();
                (0..ledger.per_producer).for_each(|i| endpoint.put(&ledger.message(producer, i)).unwrap());
            },
            |queue, receipts| {
                if consumers > 1 {
                    return queue.iter().for_each(|message| receipts.note(message.unwrap()));
                }
                let endpoint = queue.consumer().unwrap();
                loop {
                    match endpoint.get() {
                        Ok(message) => receipts.note(message),
                        Err(error) => return closed(error),
                    }
                }
            },
        );
    }
}

fn every_message_arrives_once_whatever_the_wait() {
    for wait in [WaitStrategy::Spin, WaitStrategy::Block, WaitStrategy::Custom { spins: 5, yields: 5 }] {
        run_traffic(
            &Queue::builder().capacity(4).wait_strategy(wait).create().unwrap(),
            (2, 2),
            if matches!(wait, WaitStrategy::Spin) { 200 } else { 2_000 },
            |queue, ledger, producer| (0..ledger.per_producer).for_each(|i| queue.put(&ledger.message(producer, i)).unwrap()),
            |queue, receipts| queue.iter().for_each(|message| receipts.note(message.unwrap())),
        );
    }
}

/// A message of variable length: its number, its length, and bytes derived from it.
fn slice_message(message: u64, longest: usize) -> Vec<u8> {
    let length = Rng::from_state(message).below(longest as u64 - 12) as usize;
    let mut bytes = message.to_le_bytes().to_vec();
    bytes.extend((length as u32).to_le_bytes());
    bytes.extend(pattern(message, length));
    bytes
}

fn number_of(bytes: &[u8]) -> u64 {
    let message = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    let length = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
    assert_eq!(length as usize, bytes.len() - 12, "message {message}");
    assert!(matches_pattern(message, &bytes[12..]), "message {message} is torn");
    message
}

fn bytes_queue(capacity_bytes: usize) -> Queue<[u8]> {
    Queue::<[u8]>::builder().capacity_bytes(capacity_bytes).create().unwrap()
}

fn every_slice_arrives_once() {
    for shape in SHAPES {
        let queue = bytes_queue(1 << 10);
        let longest = queue.max_len();
        run_traffic(
            &queue,
            shape,
            3_000 / shape.0,
            |queue, ledger, producer| {
                for i in 0..ledger.per_producer {
                    queue.put(&slice_message(ledger.message(producer, i), longest)).unwrap();
                }
            },
            |queue, receipts| queue.iter().for_each(|message| receipts.note(number_of(&message.unwrap()))),
        );
    }
}

fn every_slice_arrives_once_in_place() {
    for shape in SHAPES {
        let queue = bytes_queue(1 << 10);
        let longest = queue.max_len();
        run_traffic(
            &queue,
            shape,
            2_400 / shape.0,
            |queue, ledger, producer| {
                for i in 0..ledger.per_producer {
                    let message = slice_message(ledger.message(producer, i), longest);
                    let spare = (i * 7 % 50).min(longest - message.len());
                    let mut loan = queue.loan_len(message.len() + spare).unwrap();
                    loan[..message.len()].copy_from_slice(&message);
                    loan.commit_len(message.len()).unwrap();
                }
            },
            |queue, receipts| {
                let mut buffer = vec![0; longest];
                for turn in 0u64.. {
                    let result = match turn % 2 {
                        0 => queue.get_into(&mut buffer).map(|length| number_of(&buffer[..length])),
                        _ => queue.lease().map(|lease| number_of(&lease)),
                    };
                    match result {
                        Ok(message) => receipts.note(message),
                        Err(error) => return closed(error),
                    }
                }
            },
        );
    }
}

fn every_slice_arrives_once_through_endpoints() {
    let queue = bytes_queue(600);
    let longest = queue.max_len();
    run_traffic(
        &queue,
        (1, 1),
        9_000,
        |queue, ledger, producer| {
            let endpoint = queue.producer().unwrap();
            (0..ledger.per_producer).for_each(|i| endpoint.put(&slice_message(ledger.message(producer, i), longest)).unwrap());
        },
        |queue, receipts| {
            let endpoint = queue.consumer().unwrap();
            loop {
                match endpoint.get() {
                    Ok(message) => receipts.note(number_of(&message)),
                    Err(error) => return closed(error),
                }
            }
        },
    );
}

fn every_large_slice_arrives_once() {
    // Most of them are larger than what is copied under a lock.
    for shape in [(1, 1), (2, 2)] {
        let queue = bytes_queue(100_000);
        run_traffic(
            &queue,
            shape,
            400 / shape.0,
            |queue, ledger, producer| {
                for i in 0..ledger.per_producer {
                    queue.put(&slice_message(ledger.message(producer, i), 40_000)).unwrap();
                }
            },
            |queue, receipts| queue.iter().for_each(|message| receipts.note(number_of(&message.unwrap()))),
        );
    }
}

fn mixed_verbs_lose_nothing() {
    let queue: Queue<u64> = Queue::new(6).unwrap();
    run_traffic(
        &queue,
        (3, 3),
        2_500,
        |queue, ledger, producer| {
            let mut rng = Rng::new(&format!("verbs of producer {producer}"));
            let mut next = 0;
            while next < ledger.per_producer {
                let message = ledger.message(producer, next);
                next += match rng.below(4) {
                    0 => queue.put_timeout(&message, PATIENCE).map(|()| 1).unwrap(),
                    1 => match queue.try_put(&message) {
                        Ok(()) => 1,
                        Err(PutError::Full | PutError::Busy) => 0,
                        Err(error) => panic!("{error}"),
                    },
                    2 => {
                        let end = ledger.per_producer.min(next + 1 + rng.below(9) as usize);
                        let batch: Vec<u64> = (next..end).map(|i| ledger.message(producer, i)).collect();
                        match queue.try_put_slice(&batch) {
                            Ok(count) => count,
                            Err(PutError::Full | PutError::Busy) => 0,
                            Err(error) => panic!("{error}"),
                        }
                    }
                    _ => {
                        let mut loan = queue.loan_timeout(PATIENCE).unwrap();
                        *loan = message;
                        if rng.chance(80) { loan.commit().map(|()| 1).unwrap() } else { 0 }
                    }
                };
            }
        },
        |queue, receipts| {
            let mut rng = Rng::new("verbs of a consumer");
            let mut buffer = [0; 5];
            loop {
                let result = match rng.below(4) {
                    0 => queue.get_timeout(PATIENCE).map(|message| receipts.note(message)),
                    1 => queue.try_get().map(|message| receipts.note(message)),
                    2 => queue
                        .get_slice(&mut buffer)
                        .map(|count| buffer[..count].iter().for_each(|&message| receipts.note(message))),
                    _ => queue.lease().map(|lease| receipts.note(*lease)),
                };
                match result {
                    Ok(()) | Err(GetError::Empty | GetError::Busy) => {}
                    Err(error) => return closed(error),
                }
            }
        },
    );
}

fn a_large_message_gets_its_turn_among_small_ones() {
    let queue = bytes_queue(2_048);
    let small_puts = &shared_words(1)[0];
    let stop = &shared_words(1)[0];
    let mut children: Vec<Child> = (0..2)
        .map(|_| {
            fork("a putter of small messages", || {
                while stop.load(Acquire) == 0 {
                    match queue.put_timeout(&[1; 16], PATIENCE) {
                        Ok(()) | Err(PutError::Closed) => small_puts.fetch_add(1, Relaxed),
                        Err(error) => panic!("{error}"),
                    };
                }
            })
        })
        .collect();
    children.push(fork("a getter", || queue.iter().for_each(|message| drop(message.unwrap()))));
    wait_for_count("small messages", small_puts, 100);
    let large = vec![2; queue.max_len()];
    for _ in 0..10 {
        queue.put_timeout(&large, PATIENCE).expect("a large message gets its turn");
    }
    stop.store(1, Release);
    queue.close();
    expect_all_succeed(children);
}
