//! Joining beside a publisher that never stops: "from now on" is exact, in both directions.

use crate::describe;
use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_words};
use crate::support::{PATIENCE, Rng, wait_until};
use shmq::{GetError, Start, Subscriber, Topic, WaitStrategy};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::thread;

pub fn cases() -> Vec<Case> {
    crate::cases![
        now_is_exact_beside_an_endpoint,
        now_is_exact_beside_publishers_by_lock,
        now_is_exact_in_a_topic_of_slices,
        now_is_exact_at_a_gate_that_is_nearly_shut,
        many_join_at_once_and_miss_nothing,
        nothing_is_lost_behind_wait_subscribers,
        back_and_oldest_beside_a_live_publisher_have_no_gap,
        back_and_oldest_of_slices_beside_a_live_publisher_have_no_gap,
    ]
}

/// Words that the publisher and the subscribers share.
const BEGUN: usize = 0;
const ENDED: usize = 1;
const STOP: usize = 2;

type Words = &'static [AtomicU64];

/// Publishes 0, 1, 2 .. until it is stopped, and says what it has begun and ended.
fn publish_until_stopped(words: Words, publish: impl Fn(u64)) {
    let mut n = 0;
    while words[STOP].load(Relaxed) == 0 {
        words[BEGUN].store(n + 1, SeqCst);
        publish(n);
        n += 1;
        words[ENDED].store(n, SeqCst);
    }
}

/// Joins, and checks that the first message is exact and that the next ones follow without a gap.
fn join_once<R>(
    words: Words,
    join: impl FnOnce() -> R,
    mut next: impl FnMut(&R) -> Result<u64, GetError>,
    is_lossy: bool,
    messages: u64,
) {
    let ended_before = words[ENDED].load(SeqCst);
    let subscriber = join();
    let begun_after = words[BEGUN].load(SeqCst);
    let mut expected = None;
    for _ in 0..messages {
        match next(&subscriber) {
            Ok(n) => {
                match expected {
                    None => assert!(
                        n >= ended_before && n <= begun_after,
                        "{ended_before} were published before the join, {begun_after} were begun after it; first: {n}"
                    ),
                    Some(expected) => assert_eq!(n, expected),
                }
                expected = Some(n + 1);
            }
            Err(GetError::Lagged { missed }) if is_lossy => {
                // What it missed is counted from the first place that it asked for.
                if let Some(expected) = &mut expected {
                    *expected += missed;
                } else {
                    return;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Starts the publisher, joins `joins` times in each of two processes, and stops it.
fn joins_beside(words: Words, publisher: Child, joiner: impl Fn(&mut Rng), joins: u32) {
    wait_until("the publisher", || words[ENDED].load(Acquire) > 100, || "it does not publish".to_string());
    let joiners = (0..2)
        .map(|place| {
            let joiner = &joiner;
            fork("a process that joins again and again", move || {
                let mut rng = Rng::new(&format!("joiner {place}"));
                (0..joins).for_each(|_| joiner(&mut rng));
            })
        })
        .collect();
    expect_all_succeed(joiners);
    words[STOP].store(1, Release);
    publisher.expect_success();
    eprintln!("{} messages beside the joins", words[ENDED].load(Acquire));
}

fn next_of(subscriber: &Subscriber<u64>) -> Result<u64, GetError> {
    subscriber.next_timeout(PATIENCE)
}

fn now_is_exact_beside_an_endpoint() {
    for capacity in [2, 64] {
        let (topic, words) = (Topic::<u64>::new(capacity).unwrap(), shared_words(3));
        let publisher = fork("a publisher that never stops", || {
            let publisher = topic.publisher().unwrap();
            publish_until_stopped(words, |n| publisher.publish_timeout(&n, PATIENCE).unwrap());
        });
        let joiner = |rng: &mut Rng| {
            let is_lossy = rng.chance(30);
            let join = || if is_lossy { topic.subscribe_lossy() } else { topic.subscribe() }.unwrap();
            join_once(words, join, next_of, is_lossy, 1 + rng.below(4));
        };
        joins_beside(words, publisher, joiner, 700);
        assert!(topic.subscribers().is_empty(), "{}", describe(&topic));
    }
}

/// The second publisher's messages lie between those of the first, which is the one that counts.
fn now_is_exact_beside_publishers_by_lock() {
    let (topic, words) = (Topic::<u64>::new(16).unwrap(), shared_words(3));
    let other = fork("another publisher", || {
        while words[STOP].load(Relaxed) == 0 {
            topic.publish_timeout(&u64::MAX, PATIENCE).unwrap();
        }
    });
    let publisher = fork("a publisher that never stops", || {
        publish_until_stopped(words, |n| topic.publish_timeout(&n, PATIENCE).unwrap());
    });
    let joiner = |rng: &mut Rng| {
        let next = |subscriber: &Subscriber<u64>| loop {
            match subscriber.next_timeout(PATIENCE) {
                Ok(u64::MAX) => {}
                got => return got,
            }
        };
        join_once(words, || topic.subscribe().unwrap(), next, false, 1 + rng.below(3));
    };
    joins_beside(words, publisher, joiner, 250);
    other.expect_success();
}

fn now_is_exact_in_a_topic_of_slices() {
    let (topic, words) = (Topic::<[u64]>::builder().capacity_bytes(4096).create().unwrap(), shared_words(3));
    let publisher = fork("a publisher that never stops", || {
        let publisher = topic.publisher().unwrap();
        publish_until_stopped(words, |n| {
            publisher.publish_timeout(&vec![n; 1 + (n % 40) as usize], PATIENCE).unwrap();
        });
    });
    let joiner = |rng: &mut Rng| {
        let is_lossy = rng.chance(30);
        let join = || if is_lossy { topic.subscribe_lossy() } else { topic.subscribe() }.unwrap();
        let next = |subscriber: &Subscriber<[u64]>| {
            subscriber
                .next_timeout(PATIENCE)
                .inspect(|message| assert_eq!(*message, vec![message[0]; 1 + (message[0] % 40) as usize]))
        };
        join_once(words, join, |subscriber| next(subscriber).map(|message| message[0]), is_lossy, 1 + rng.below(4));
    };
    joins_beside(words, publisher, joiner, 700);
}

/// A slow gating subscriber keeps the publisher at the gate, where the scans are.
fn now_is_exact_at_a_gate_that_is_nearly_shut() {
    let (topic, words) = (Topic::<u64>::new(3).unwrap(), shared_words(3));
    let every = topic.subscribe().unwrap();
    let publisher = fork("a publisher that never stops", || {
        let publisher = topic.publisher().unwrap();
        publish_until_stopped(words, |n| publisher.publish_timeout(&n, PATIENCE).unwrap());
    });
    let joiner = fork("a process that joins again and again", || {
        for round in 0..600 {
            join_once(words, || topic.subscribe().unwrap(), next_of, false, 1 + round % 3);
        }
        words[STOP].store(1, Release);
    });
    let mut next = 0;
    while words[STOP].load(Acquire) == 0 {
        if let Ok(n) = every.next_timeout(std::time::Duration::from_millis(1)) {
            assert_eq!(n, next);
            next += 1;
        }
    }
    joiner.expect_success();
    let mut publisher = publisher;
    while !publisher.has_ended() {
        if let Ok(n) = every.try_next() {
            assert_eq!(n, next);
            next += 1;
        }
    }
    publisher.expect_success();
}

fn many_join_at_once_and_miss_nothing() {
    let (topic, words) = (Topic::<u64>::builder().capacity(8).max_subscribers(100).create().unwrap(), shared_words(4));
    let publisher = fork("a publisher that never stops", || {
        let publisher = topic.publisher().unwrap();
        publish_until_stopped(words, |n| publisher.publish_timeout(&n, PATIENCE).unwrap());
    });
    wait_until("the publisher", || words[ENDED].load(Acquire) > 100, || "it does not publish".to_string());
    for _ in 0..4 {
        let joiners = (0..16)
            .map(|_| {
                let topic = &topic;
                fork("one of many", move || {
                    for _ in 0..8 {
                        join_once(words, || topic.subscribe().unwrap(), next_of, false, 5);
                    }
                })
            })
            .collect();
        expect_all_succeed(joiners);
    }
    words[STOP].store(1, Release);
    publisher.expect_success();
}

fn back_and_oldest_beside_a_live_publisher_have_no_gap() {
    let (topic, words) = (Topic::<u64>::new(64).unwrap(), shared_words(3));
    let publisher = fork("a publisher that never stops", || {
        let publisher = topic.publisher().unwrap();
        publish_until_stopped(words, |n| publisher.publish_timeout(&n, PATIENCE).unwrap());
    });
    let joiner = |rng: &mut Rng| {
        let start = if rng.chance(50) { Start::Oldest } else { Start::Back(rng.below(80)) };
        let ended_before = words[ENDED].load(SeqCst);
        let every = topic.subscribe_from(start).unwrap();
        let begun_after = words[BEGUN].load(SeqCst);
        let mut next = every.next_timeout(PATIENCE).unwrap();
        assert!(next <= begun_after, "{start:?}: {next}, but {begun_after} were begun");
        if let Start::Back(back) = start {
            assert!(next + back >= ended_before, "{start:?}: {next}, but {ended_before} were published before");
        }
        for _ in 0..70 {
            next += 1;
            assert_eq!(every.next_timeout(PATIENCE).unwrap(), next, "{start:?}");
        }
        assert_eq!((every.received(), every.missed()), (71, 0));
    };
    joins_beside(words, publisher, joiner, 150);
}

fn back_and_oldest_of_slices_beside_a_live_publisher_have_no_gap() {
    let (topic, words) = (Topic::<[u64]>::builder().capacity_bytes(8192).create().unwrap(), shared_words(3));
    let publisher = fork("a publisher that never stops", || {
        let publisher = topic.publisher().unwrap();
        publish_until_stopped(words, |n| {
            publisher.publish_timeout(&vec![n; 1 + (n % 60) as usize], PATIENCE).unwrap();
        });
    });
    let joiner = |rng: &mut Rng| {
        let start = if rng.chance(50) { Start::Oldest } else { Start::Back(rng.below(30)) };
        let (ended_before, every) = (words[ENDED].load(SeqCst), topic.subscribe_from(start).unwrap());
        let begun_after = words[BEGUN].load(SeqCst);
        let mut next = None;
        for _ in 0..40 {
            let message = every.next_timeout(PATIENCE).unwrap();
            assert_eq!(message, vec![message[0]; 1 + (message[0] % 60) as usize]);
            match next {
                Some(next) => assert_eq!(message[0], next, "{start:?}"),
                None => assert!(message[0] <= begun_after, "{start:?}: {}, {ended_before}..{begun_after}", message[0]),
            }
            next = Some(message[0] + 1);
        }
        assert_eq!((every.received(), every.missed()), (40, 0));
    };
    joins_beside(words, publisher, joiner, 150);
}

/// What is published once `wait_subscribers` has returned is seen, also by a subscriber that has
/// not returned from `subscribe` by then.
fn nothing_is_lost_behind_wait_subscribers() {
    for (round, start) in (0..120u64).zip([Start::Now, Start::Back(2)].into_iter().cycle()) {
        let topic = Topic::<u64>::builder().capacity(64).wait_strategy(WaitStrategy::Spin).create().unwrap();
        let slices = Topic::<[u64]>::builder().capacity_bytes(1 << 14).wait_strategy(WaitStrategy::Spin).create().unwrap();
        (0..round % 7).for_each(|n| {
            topic.publish(&n).unwrap();
            slices.publish(&[n]).unwrap();
        });
        let before = round % 7 - (round % 7).min(if start == Start::Now { 0 } else { 2 });
        thread::scope(|scope| {
            scope.spawn(|| {
                let every = topic.subscribe_from(start).unwrap();
                (before..round % 7 + 20).for_each(|n| assert_eq!(every.next_timeout(PATIENCE).unwrap(), n, "round {round}"));
                let every = slices.subscribe_from(start).unwrap();
                (before..round % 7 + 20).for_each(|n| assert_eq!(every.next_timeout(PATIENCE).unwrap(), [n], "round {round}"));
            });
            topic.wait_subscribers(1, PATIENCE).unwrap();
            (round % 7..round % 7 + 20).for_each(|n| topic.publish(&n).unwrap());
            slices.wait_subscribers(1, PATIENCE).unwrap();
            (round % 7..round % 7 + 20).for_each(|n| slices.publish(&[n]).unwrap());
        });
    }
}
