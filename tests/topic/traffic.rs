//! Traffic between processes: each message once at each subscriber, in the order of its publisher.

use crate::describe;
use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_words};
use crate::support::{PATIENCE, Rng, matches_pattern, pattern};
use shmq::{GetError, Subscriber, Topic};
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;

pub fn cases() -> Vec<Case> {
    crate::cases![
        several_processes_publish_by_lock_to_several_subscribers,
        an_endpoint_publishes_to_several_subscribers,
        slices_of_several_publishers_to_several_subscribers,
        loans_of_several_processes_to_several_subscribers,
        endpoints_take_turns,
        publishers_and_subscribers_that_are_threads,
        gating_and_lossy_subscribers_of_one_topic,
    ]
}

const PUBLISHERS: u64 = 3;

fn tag(publisher: u64, n: u64) -> u64 {
    publisher << 32 | n
}

/// What a subscriber expects next of each publisher.
struct Ledger {
    next: Vec<u64>,
}

impl Ledger {
    fn new(publishers: u64) -> Ledger {
        Ledger { next: vec![0; publishers as usize] }
    }

    #[track_caller]
    fn enter(&mut self, tag: u64) {
        let next = &mut self.next[(tag >> 32) as usize];
        assert_eq!(tag & 0xffff_ffff, *next, "of publisher {}", tag >> 32);
        *next += 1;
    }

    #[track_caller]
    fn expect(&self, count: u64) {
        assert!(self.next.iter().all(|&next| next == count), "{:?}, expected {count} of each", self.next);
    }
}

/// Reads all values, by all verbs in turn.
fn read_all(topic: &Topic<u64>, place: u64, publishers: u64, count: u64) {
    let mut every = topic.subscribe().unwrap();
    let (mut ledger, mut rng) = (Ledger::new(publishers), Rng::from_state(place + 1));
    let mut some = [0; 11];
    loop {
        let got = match rng.below(4) {
            0 => every.next_timeout(PATIENCE).map(|tag| {
                some[0] = tag;
                1
            }),
            1 => {
                let length = 1 + rng.below(11) as usize;
                every.next_slice_timeout(&mut some[..length], PATIENCE)
            }
            2 => every.read_timeout(PATIENCE).map(|sample| {
                some[0] = *sample;
                1
            }),
            _ => every.next_boxed_timeout(PATIENCE).map(|tag| {
                some[0] = *tag;
                1
            }),
        };
        match got {
            Ok(count) => some[..count].iter().for_each(|&tag| ledger.enter(tag)),
            Err(GetError::Closed) => break,
            Err(error) => panic!("{error}: {}", describe(topic)),
        }
        if rng.chance(1) {
            thread::sleep(std::time::Duration::from_micros(rng.below(300)));
        }
    }
    ledger.expect(count);
    assert_eq!((every.received(), every.missed(), every.lag()), (publishers * count, 0, 0));
}

fn subscribers_of(topic: &Topic<u64>, publishers: u64, count: u64) -> Vec<Child> {
    let children: Vec<Child> =
        (0..3).map(|place| fork("a subscriber", move || read_all(topic, place, publishers, count))).collect();
    topic.wait_subscribers(3, PATIENCE).unwrap();
    children
}

fn several_processes_publish_by_lock_to_several_subscribers() {
    const COUNT: u64 = 3000;
    for capacity in [1, 7, 256] {
        let topic = Topic::<u64>::new(capacity).unwrap();
        let count = if capacity == 1 { COUNT / 10 } else { COUNT };
        let subscribers = subscribers_of(&topic, PUBLISHERS, count);
        let publishers: Vec<Child> = (0..PUBLISHERS)
            .map(|publisher| {
                let topic = &topic;
                fork("a publisher", move || {
                    let mut n = 0;
                    while n < count {
                        if n % 4 == 0 {
                            let batch: Vec<u64> = (n..(n + 5).min(count)).map(|n| tag(publisher, n)).collect();
                            assert_eq!(topic.publish_slice_timeout(&batch, PATIENCE).unwrap(), batch.len());
                            n += batch.len() as u64;
                        } else {
                            topic.publish_timeout(&tag(publisher, n), PATIENCE).unwrap();
                            n += 1;
                        }
                    }
                })
            })
            .collect();
        expect_all_succeed(publishers);
        topic.close();
        expect_all_succeed(subscribers);
        assert_eq!(topic.stats().published, PUBLISHERS * count);
    }
}

fn an_endpoint_publishes_to_several_subscribers() {
    const COUNT: u64 = 20_000;
    for capacity in [1, 2, 64, 1000] {
        let topic = Topic::<u64>::new(capacity).unwrap();
        let count = if capacity < 10 { COUNT / 20 } else { COUNT };
        let subscribers = subscribers_of(&topic, 1, count);
        let publisher = fork("a publisher", || {
            let publisher = topic.publisher().unwrap();
            let mut n = 0;
            while n < count {
                if n % 3 == 0 {
                    let batch: Vec<u64> = (n..(n + 40).min(count)).collect();
                    assert_eq!(publisher.publish_slice_timeout(&batch, PATIENCE).unwrap(), batch.len());
                    n += batch.len() as u64;
                } else {
                    publisher.publish_timeout(&n, PATIENCE).unwrap();
                    n += 1;
                }
            }
        });
        publisher.expect_success();
        topic.close();
        expect_all_succeed(subscribers);
    }
}

fn slices_of_several_publishers_to_several_subscribers() {
    const COUNT: u64 = 1200;
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let length = |tag: u64| 8 + (tag as usize * 89 + (tag >> 32) as usize) % 900;
    let message = move |tag: u64| [&tag.to_le_bytes(), &pattern(tag, length(tag))[8..]].concat();
    let subscribers: Vec<Child> = (0..3)
        .map(|place| {
            let topic = &topic;
            fork("a subscriber", move || {
                let mut every = topic.subscribe().unwrap();
                let (mut ledger, mut buffer) = (Ledger::new(PUBLISHERS), vec![0; 1000]);
                let mut check = |message: &[u8]| {
                    let tag = u64::from_le_bytes(message[..8].try_into().unwrap());
                    assert!(message.len() == length(tag) && message[8..] == pattern(tag, message.len())[8..], "{tag:#x}");
                    ledger.enter(tag);
                };
                for round in 0.. {
                    let got = match (round + place) % 3 {
                        0 => every.next_timeout(PATIENCE).map(|message| check(&message)),
                        1 => every.next_into_timeout(&mut buffer, PATIENCE).map(|count| check(&buffer[..count])),
                        _ => every.read_timeout(PATIENCE).map(|sample| check(&sample)),
                    };
                    match got {
                        Ok(()) => {}
                        Err(GetError::Closed) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                ledger.expect(COUNT);
            })
        })
        .collect();
    topic.wait_subscribers(3, PATIENCE).unwrap();
    let publishers = (0..PUBLISHERS)
        .map(|publisher| {
            let topic = &topic;
            fork("a publisher", move || {
                for n in 0..COUNT {
                    topic.publish_timeout(&message(tag(publisher, n)), PATIENCE).unwrap();
                }
            })
        })
        .collect();
    expect_all_succeed(publishers);
    topic.close();
    expect_all_succeed(subscribers);
}

fn loans_of_several_processes_to_several_subscribers() {
    const COUNT: u64 = 1200;
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let subscribers: Vec<Child> = (0..2)
        .map(|_| {
            let topic = &topic;
            fork("a subscriber", move || {
                let mut every = topic.subscribe().unwrap();
                let mut ledger = Ledger::new(PUBLISHERS);
                loop {
                    match every.read_timeout(PATIENCE) {
                        Ok(sample) => {
                            let tag = u64::from_le_bytes(sample[..8].try_into().unwrap());
                            assert!(matches_pattern(tag, &sample[8..]), "{tag:#x}");
                            ledger.enter(tag);
                        }
                        Err(GetError::Closed) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                ledger.expect(COUNT);
                assert_eq!(every.received() + every.missed(), topic.stats().published);
            })
        })
        .collect();
    topic.wait_subscribers(2, PATIENCE).unwrap();
    let publishers = (0..PUBLISHERS)
        .map(|publisher| {
            let topic = &topic;
            fork("a publisher in place", move || {
                let mut rng = Rng::from_state(publisher);
                let mut n = 0;
                while n < COUNT {
                    let length = 8 + rng.below(500) as usize;
                    let mut loan = topic.loan_len_timeout(length + 40, PATIENCE).unwrap();
                    if rng.chance(10) {
                        drop(loan);
                        continue;
                    }
                    let tag = tag(publisher, n);
                    loan[..8].copy_from_slice(&tag.to_le_bytes());
                    loan[8..length].copy_from_slice(&pattern(tag, length - 8));
                    loan.commit_len(length).unwrap();
                    n += 1;
                }
            })
        })
        .collect();
    expect_all_succeed(publishers);
    topic.close();
    expect_all_succeed(subscribers);
}

fn endpoints_take_turns() {
    const TURNS: u64 = 300;
    let topic = Topic::<u64>::new(16).unwrap();
    let subscribers = subscribers_of(&topic, PUBLISHERS, TURNS * 7);
    let publishers = (0..PUBLISHERS)
        .map(|publisher| {
            let topic = &topic;
            fork("a publisher that takes turns", move || {
                let mut n = 0;
                while n < TURNS * 7 {
                    match topic.publisher() {
                        Ok(endpoint) => {
                            for _ in 0..7 {
                                endpoint.publish_timeout(&tag(publisher, n), PATIENCE).unwrap();
                                n += 1;
                            }
                        }
                        Err(shmq::PutError::Held { .. } | shmq::PutError::Busy) => {
                            thread::sleep(std::time::Duration::from_micros(50));
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    expect_all_succeed(publishers);
    topic.close();
    expect_all_succeed(subscribers);
}

fn publishers_and_subscribers_that_are_threads() {
    const COUNT: u64 = 3000;
    let topic = Topic::<u64>::new(32).unwrap();
    thread::scope(|scope| {
        let topic = &topic;
        let subscribers: Vec<_> = (0..3).map(|place| scope.spawn(move || read_all(topic, place, PUBLISHERS, COUNT))).collect();
        topic.wait_subscribers(3, PATIENCE).unwrap();
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                scope.spawn(move || (0..COUNT).for_each(|n| topic.publish_timeout(&tag(publisher, n), PATIENCE).unwrap()))
            })
            .collect();
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        topic.close();
        subscribers.into_iter().for_each(|subscriber| subscriber.join().unwrap());
    });
}

/// The lossy ones neither stop nor disturb the others, and account for all.
fn gating_and_lossy_subscribers_of_one_topic() {
    const COUNT: u64 = 30_000;
    let (topic, words) = (Topic::<u64>::new(16).unwrap(), shared_words(1));
    let lossy: Vec<Child> = (0..2)
        .map(|place| {
            let topic = &topic;
            fork("a lossy subscriber", move || {
                let live = topic.subscribe_lossy().unwrap();
                words[0].fetch_add(1, Release);
                let (mut rng, mut next) = (Rng::from_state(place), 0);
                let mut read = |live: &Subscriber<u64>| if rng.chance(20) { live.latest() } else { live.next_timeout(PATIENCE) };
                loop {
                    match read(&live) {
                        Ok(n) => {
                            assert!(n >= next);
                            next = n + 1;
                        }
                        Err(GetError::Lagged { missed }) => next += missed,
                        Err(GetError::Empty | GetError::Busy) => {}
                        Err(error) => break assert!(error.is_closed(), "{error}"),
                    }
                    assert_eq!(live.received() + live.missed(), next);
                    if place == 0 {
                        thread::sleep(std::time::Duration::from_micros(200));
                    }
                }
                assert_eq!(next, COUNT);
            })
        })
        .collect();
    let subscribers = subscribers_of(&topic, 1, COUNT);
    crate::support::wait_until("the lossy ones", || words[0].load(Acquire) == 2, || describe(&topic));
    let publisher = topic.publisher().unwrap();
    (0..COUNT).for_each(|n| publisher.publish_timeout(&n, PATIENCE).unwrap());
    topic.close();
    expect_all_succeed(subscribers);
    expect_all_succeed(lossy);
    assert_eq!(topic.stats().evictions, 0);
}
