//! Lossy subscribers: never waited for, and told exactly what they missed.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_words, wait_for_count};
use crate::support::{PATIENCE, Rng, matches_pattern, pattern};
use shmq::{GetError, Subscriber, Topic};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;

pub fn cases() -> Vec<Case> {
    crate::cases![
        nothing_is_missed_while_it_keeps_up,
        lagged_says_once_how_many,
        latest_skips_and_never_lags,
        every_place_is_received_or_missed_under_a_fast_publisher,
        every_slice_is_received_or_missed_under_a_fast_publisher,
        a_batch_counts_what_it_missed,
        a_paused_process_does_not_stop_the_publisher,
        an_invalid_value_is_passed_once,
    ]
}

fn nothing_is_missed_while_it_keeps_up() {
    let topic = Topic::<u64>::new(16).unwrap();
    let live = topic.subscribe_lossy().unwrap();
    for n in 0..2000u64 {
        // Up to a whole capacity behind.
        (0..=n % 16).for_each(|more| topic.try_publish(&(n * 16 + more)).unwrap());
        (0..=n % 16).for_each(|more| assert_eq!(live.try_next().unwrap(), n * 16 + more));
        assert!(live.try_next().unwrap_err().is_empty());
    }
    assert_eq!((live.missed(), live.received()), (0, topic.stats().published));
    assert!(!live.is_gating());
}

fn lagged_says_once_how_many() {
    let topic = Topic::<u64>::new(16).unwrap();
    let live = topic.subscribe_lossy().unwrap();
    let mut next = 0;
    for round in 0..200u64 {
        (0..100 + round).for_each(|_| topic.try_publish(&(topic.stats().published)).unwrap());
        let error = live.try_next().unwrap_err();
        let GetError::Lagged { missed } = error else { panic!("{error:?}") };
        assert!(error.is_lagged() && error.to_string().contains(&format!("{missed} messages were overwritten")));
        next += missed;
        while let Ok(message) = live.try_next() {
            assert_eq!(message, next);
            next += 1;
        }
        assert_eq!(next, topic.stats().published);
        assert_eq!(live.missed() + live.received(), next);
    }
}

fn latest_skips_and_never_lags() {
    let topic = Topic::<u64>::new(16).unwrap();
    let (live, every) = (topic.subscribe_lossy().unwrap(), topic.subscribe().unwrap());
    let mut published = 0;
    for round in 0..500u64 {
        let count = round * 7 % 40;
        for _ in 0..count {
            topic.try_publish(&published).unwrap();
            published += 1;
            if published % 3 == 0 {
                assert_eq!(every.latest().unwrap(), published - 1);
            }
        }
        match live.latest() {
            Ok(newest) => assert_eq!((newest, count > 0), (published - 1, true)),
            Err(error) => assert!(error.is_empty() && count == 0, "{error:?}"),
        }
        assert!(live.latest().unwrap_err().is_empty());
        assert_eq!((live.received() + live.missed(), live.lag()), (published, 0));
        assert_eq!(every.received() + every.missed() + every.lag(), published);
    }
}

/// Reads by several verbs, and checks that each place is there once, received or missed.
fn account(live: &Subscriber<[u64]>, rng: &mut Rng, check: impl Fn(u64, &[u64]), published: impl Fn() -> Option<u64>) {
    let mut place = 0;
    let mut buffer = vec![0; 4096];
    loop {
        let got = match rng.below(10) {
            0 => live.latest(),
            1..=4 => live.try_next_into(&mut buffer).map(|count| buffer[..count].to_vec()),
            _ => live.try_next(),
        };
        match got {
            Ok(message) => {
                assert!(message[0] >= place, "{} after {place}", message[0]);
                place = message[0] + 1;
                check(message[0], &message);
            }
            Err(GetError::Lagged { missed }) => {
                assert!(missed > 0);
                place += missed;
            }
            Err(GetError::Empty | GetError::Busy) => {
                if let Some(published) = published().filter(|_| live.lag() == 0) {
                    assert_eq!(place, published);
                    assert_eq!(live.received() + live.missed(), published);
                    return;
                }
                thread::yield_now();
            }
            Err(error) => panic!("{error}"),
        }
        // What was skipped by latest, and what lagged, is missed exactly.
        assert_eq!(live.received() + live.missed(), place);
    }
}

fn every_place_is_received_or_missed_under_a_fast_publisher() {
    const COUNT: u64 = 60_000;
    for (capacity, owned) in [(1, true), (4, false), (64, true), (4096, true)] {
        let topic = Topic::<[u64; 5]>::new(capacity).unwrap();
        let words = shared_words(2);
        let readers: Vec<Child> = (0..2)
            .map(|reader| {
                let topic = &topic;
                fork("a lossy subscriber", move || {
                    let live = topic.subscribe_lossy().unwrap();
                    words[0].fetch_add(1, Release);
                    let mut rng = Rng::new(&format!("reader {reader}"));
                    let mut place = 0;
                    let mut some = [[0; 5]; 9];
                    loop {
                        // Before the read: what is received after the end was there then.
                        let has_ended = words[1].load(Acquire) != 0;
                        let before = place;
                        let got = match rng.below(10) {
                            0 => live.latest().map(|message| {
                                some[0] = message;
                                1
                            }),
                            1..=3 => live.try_next_slice(&mut some),
                            4 => live.try_next_boxed().map(|message| {
                                some[0] = *message;
                                1
                            }),
                            _ => live.try_next().map(|message| {
                                some[0] = message;
                                1
                            }),
                        };
                        match got {
                            Ok(count) => {
                                for (at, message) in some[..count].iter().enumerate() {
                                    assert!(message.iter().all(|&word| word == message[0]), "torn: {message:?}");
                                    assert!(message[0] >= place && (at == 0 || message[0] == place), "{message:?} at {place}");
                                    place = message[0] + 1;
                                }
                            }
                            Err(GetError::Lagged { missed }) => place += missed,
                            Err(GetError::Empty) if has_ended => break,
                            Err(GetError::Empty | GetError::Busy) => thread::yield_now(),
                            Err(error) => panic!("{error}"),
                        }
                        assert_eq!(live.received() + live.missed(), place, "{before}: {got:?}");
                    }
                    assert_eq!((place, live.lag()), (COUNT, 0));
                })
            })
            .collect();
        wait_for_count("the readers", &words[0], 2);
        if owned {
            let publisher = topic.publisher().unwrap();
            (0..COUNT).for_each(|n| publisher.publish(&[n; 5]).unwrap());
        } else {
            (0..COUNT).for_each(|n| topic.publish(&[n; 5]).unwrap());
        }
        words[1].store(1, Release);
        expect_all_succeed(readers);
    }
}

fn every_slice_is_received_or_missed_under_a_fast_publisher() {
    const COUNT: u64 = 40_000;
    for bytes in [4096, 1 << 16] {
        let topic = Topic::<[u64]>::builder().capacity_bytes(bytes).create().unwrap();
        let words = shared_words(2);
        let most = topic.max_len() as u64;
        let length_of = move |n: u64| 1 + (n * 13 % most.min(300)) as usize;
        let readers: Vec<Child> = (0..2)
            .map(|reader| {
                let topic = &topic;
                fork("a lossy subscriber of slices", move || {
                    let live = topic.subscribe_lossy().unwrap();
                    words[0].fetch_add(1, Release);
                    let check = |n, message: &[u64]| {
                        assert_eq!(message.len(), length_of(n));
                        assert!(message.iter().all(|&word| word == n), "torn: {message:?}");
                    };
                    let published = || (words[1].load(Acquire) != 0).then_some(COUNT);
                    account(&live, &mut Rng::new(&format!("reader {reader}")), check, published);
                })
            })
            .collect();
        wait_for_count("the readers", &words[0], 2);
        let publisher = topic.publisher().unwrap();
        let mut message = Vec::new();
        for n in 0..COUNT {
            message.clear();
            message.resize(length_of(n), n);
            publisher.publish(&message).unwrap();
        }
        words[1].store(1, Release);
        expect_all_succeed(readers);
    }
}

fn a_batch_counts_what_it_missed() {
    let topic = Topic::<u64>::new(10).unwrap();
    let live = topic.subscribe_lossy().unwrap();
    let mut some = [0; 64];
    let mut next = 0;
    for round in 0..100u64 {
        (0..round).for_each(|_| topic.try_publish(&topic.stats().published).unwrap());
        loop {
            match live.try_next_slice(&mut some) {
                Ok(count) => {
                    assert!(some[..count].iter().copied().eq(next..next + count as u64));
                    next += count as u64;
                }
                Err(GetError::Lagged { missed }) => next += missed,
                Err(error) => break assert!(error.is_empty()),
            }
        }
        assert_eq!((next, live.received() + live.missed()), (topic.stats().published, next));
    }
    assert!(live.missed() > 1000, "{} missed", live.missed());
}

fn a_paused_process_does_not_stop_the_publisher() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let words = shared_words(2);
    let mut reader = fork("a lossy subscriber that is stopped", || {
        let live = topic.subscribe_lossy().unwrap();
        words[0].store(1, Release);
        assert_eq!(live.next_timeout(PATIENCE).unwrap(), pattern(0, 100));
        words[0].store(2, Release);
        // Stopped here or in the sleep.
        let mut missed = 0;
        loop {
            match live.next_timeout(PATIENCE) {
                Ok(message) => {
                    let n = live.received() + live.missed() - 1;
                    assert!(matches_pattern(n, &message), "{n}");
                }
                Err(GetError::Lagged { missed: now }) => missed += now,
                Err(error) => break assert!(error.is_closed(), "{error}"),
            }
        }
        words[1].store(missed, Relaxed);
        assert_eq!((live.received() + live.missed(), live.missed()), (20_001, missed));
    });
    wait_for_count("the subscriber", &words[0], 1);
    topic.publish(&pattern(0, 100)).unwrap();
    wait_for_count("the first message", &words[0], 2);
    reader.stop();
    (1..=20_000).for_each(|n| topic.try_publish(&pattern(n, 100)).unwrap());
    reader.go_on();
    topic.close();
    reader.expect_success();
    assert!(words[1].load(Relaxed) > 19_000, "{} missed", words[1].load(Relaxed));
}

/// Bits of another program that are no value of the type.
fn an_invalid_value_is_passed_once() {
    let name = crate::support::unique_name("bits");
    let topic = Topic::<bool>::builder().name(&name).capacity(8).schema("bits").create().unwrap();
    let raw = Topic::<u8>::builder().name(&name).schema("bits").open().unwrap();
    let subscribers = [topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap()];
    raw.publish_slice(&[1, 2, 0, 7]).unwrap();
    for subscriber in &subscribers {
        assert!(subscriber.next().unwrap());
        assert!(matches!(subscriber.next(), Err(GetError::Invalid)));
        let mut some = [true; 4];
        assert_eq!((subscriber.next_slice(&mut some).unwrap(), some[0]), (1, false));
        assert!(matches!(subscriber.next_slice(&mut some), Err(GetError::Invalid)));
        assert!(subscriber.try_next().unwrap_err().is_empty());
    }
    raw.publish_slice(&[1, 3]).unwrap();
    for subscriber in &subscribers {
        assert!(matches!(subscriber.latest(), Err(GetError::Invalid)));
        assert!(subscriber.latest().unwrap_err().is_empty());
        assert_eq!((subscriber.received() + subscriber.missed(), subscriber.lag()), (6, 0));
    }
}
