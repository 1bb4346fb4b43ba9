//! Topics where something is missing or in the way: no membarrier, full fences only, a strategy
//! that never sleeps, evictions at random beside every way of reading.

use crate::describe;
use crate::support::harness::{Case, skip};
use crate::support::process::{Child, expect_all_succeed, fork, shared_words, wait_for_count};
use crate::support::sandbox::refuse;
use crate::support::{BY_ITSELF, PATIENCE, Rng, wait_until};
use shmq::{GetError, PutError, SubscriberKind, Topic, WaitStrategy};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        everything_arrives_where_the_barrier_is_refused,
        everything_arrives_with_full_fences,
        joins_are_exact_with_full_fences,
        no_live_reader_in_place_is_left_out_where_the_barrier_is_refused,
        #[cfg(not(shmq_portable_sync))]
        a_spinning_publisher_goes_on_after_a_death,
        #[cfg(not(shmq_portable_sync))]
        a_spinning_subscriber_passes_a_dead_loan,
        evictions_beside_every_way_of_reading_tear_nothing,
        evictions_beside_reading_in_place_tear_no_slice,
    ]
}

/// Sends between processes that all sleep, each with `begin` first.
fn sends_everything(topic: &Topic<u64>, begin: impl Fn()) {
    const COUNT: u64 = 1500;
    let subscribers: Vec<Child> = (0..3)
        .map(|place| {
            let begin = &begin;
            fork("a subscriber", move || {
                begin();
                let mut every = topic.subscribe().unwrap();
                for n in 0..COUNT {
                    if place == 0 {
                        assert_eq!(*every.read_timeout(PATIENCE).unwrap(), n);
                    } else {
                        assert_eq!(every.next_timeout(PATIENCE).unwrap(), n);
                    }
                }
                assert!(every.next_timeout(PATIENCE).unwrap_err().is_closed());
            })
        })
        .collect();
    let publisher = fork("a publisher", || {
        begin();
        topic.wait_subscribers(3, PATIENCE).unwrap();
        let publisher = topic.publisher().unwrap();
        (0..COUNT).for_each(|n| publisher.publish_timeout(&n, PATIENCE).unwrap());
        topic.close();
    });
    publisher.expect_success_within(BY_ITSELF);
    for subscriber in subscribers {
        subscriber.expect_success_within(BY_ITSELF);
    }
}

fn everything_arrives_where_the_barrier_is_refused() {
    // In a child: the case itself could not lift it again.
    fork("a sandbox", || {
        if !refuse(&[libc::SYS_membarrier]) {
            skip("seccomp is not available");
        }
        let topic = Topic::<u64>::builder().capacity(3).wait_strategy(WaitStrategy::Block).create().unwrap();
        sends_everything(&topic, || ());
    })
    .expect_success();
    // Some of the processes only.
    let topic = Topic::<u64>::builder().capacity(3).wait_strategy(WaitStrategy::Block).create().unwrap();
    let words = shared_words(1);
    sends_everything(&topic, || {
        if words[0].fetch_add(1, Relaxed) % 2 == 0 {
            assert!(refuse(&[libc::SYS_membarrier]));
        }
    });
}

fn everything_arrives_with_full_fences() {
    let topic = Topic::<u64>::builder().capacity(3).wait_strategy(WaitStrategy::Block).full_fence(true).create().unwrap();
    sends_everything(&topic, || ());
}

fn joins_are_exact_with_full_fences() {
    let topic = Topic::<u64>::builder().capacity(4).full_fence(true).create().unwrap();
    let words = shared_words(3);
    let publisher = fork("a publisher that never stops", || {
        let publisher = topic.publisher().unwrap();
        let mut n = 0;
        while words[2].load(Relaxed) == 0 {
            words[0].store(n + 1, Release);
            publisher.publish_timeout(&n, PATIENCE).unwrap();
            n += 1;
            words[1].store(n, Release);
        }
    });
    wait_until("the publisher", || words[1].load(Acquire) > 10, || describe(&topic));
    for round in 0..500 {
        let ended = words[1].load(Acquire);
        let every = topic.subscribe().unwrap();
        let begun = words[0].load(Acquire);
        let first = every.next_timeout(PATIENCE).unwrap();
        assert!((ended..=begun).contains(&first), "round {round}: {first} of {ended}..={begun}");
        assert_eq!(every.next_timeout(PATIENCE).unwrap(), first + 1);
    }
    words[2].store(1, Release);
    publisher.expect_success();
}

/// The publisher cannot know that the pin it reads is the reader's last word.
fn no_live_reader_in_place_is_left_out_where_the_barrier_is_refused() {
    let topic = Topic::<[u64; 32]>::new(2).unwrap();
    let words = shared_words(2);
    let reader = fork("a reader in place", || {
        let mut every = topic.subscribe().unwrap();
        words[0].store(1, Release);
        let sample = every.read_timeout(PATIENCE).unwrap();
        words[0].store(2, Release);
        while words[1].load(Acquire) == 0 {
            assert!(sample.iter().all(|&word| word == 1));
            std::thread::yield_now();
        }
        drop(sample);
        assert!(matches!(every.next(), Err(GetError::Evicted)));
    });
    wait_for_count("the reader", &words[0], 1);
    fork("a publisher without the barrier", || {
        if !refuse(&[libc::SYS_membarrier]) {
            words[1].store(1, Release);
            return;
        }
        topic.publish(&[1; 32]).unwrap();
        wait_for_count("its sample", &words[0], 2);
        topic.publish(&[1; 32]).unwrap();
        assert!(topic.evict(topic.subscribers()[0].id).unwrap());
        assert!(topic.publish_timeout(&[2; 32], Duration::from_millis(250)).unwrap_err().is_timeout());
        words[1].store(1, Release);
        // Until it has learned of it.
        topic.publish_timeout(&[2; 32], BY_ITSELF).unwrap();
    })
    .expect_success();
    reader.expect_success();
}

#[cfg(not(shmq_portable_sync))]
fn a_spinning_publisher_goes_on_after_a_death() {
    for owned in [false, true] {
        let topic = Topic::<u64>::builder().capacity(1).wait_strategy(WaitStrategy::Spin).create().unwrap();
        let words = shared_words(1);
        let child = fork("a subscriber that is killed", || {
            let _every = topic.subscribe().unwrap();
            words[0].store(1, Release);
            std::thread::sleep(4 * PATIENCE);
        });
        wait_for_count("the subscriber", &words[0], 1);
        topic.publish(&1).unwrap();
        let publisher = fork("a publisher that spins", || {
            if owned {
                topic.publisher().unwrap().publish_timeout(&2, BY_ITSELF).unwrap();
            } else {
                topic.publish_timeout(&2, BY_ITSELF).unwrap();
            }
        });
        std::thread::sleep(Duration::from_millis(20));
        child.kill();
        publisher.expect_success_within(BY_ITSELF);
    }
}

#[cfg(not(shmq_portable_sync))]
fn a_spinning_subscriber_passes_a_dead_loan() {
    let topic = Topic::<u64>::builder().capacity(4).wait_strategy(WaitStrategy::Spin).create().unwrap();
    let (every, words) = (topic.subscribe().unwrap(), shared_words(1));
    let child = fork("a process that is killed with a loan", || {
        let _loan = topic.loan().unwrap();
        words[0].store(1, Release);
        std::thread::sleep(4 * PATIENCE);
    });
    wait_for_count("the loan", &words[0], 1);
    topic.publish(&2).unwrap();
    child.kill();
    assert_eq!(every.next_timeout(BY_ITSELF).unwrap(), 2);
    assert_eq!(every.missed(), 1);
}

/// Reads until the end by one way; subscribes again when it was evicted or at random.
fn reads_whatever_happens(topic: &Topic<[u64; 24]>, place: u64) {
    let mut rng = Rng::from_state(place + 5);
    let whole = |message: &[u64; 24]| {
        assert!(message.iter().all(|&word| word == message[0]), "torn: {message:?}");
        message[0]
    };
    'lives: loop {
        let mut every = match topic.subscribe() {
            Ok(every) => every,
            Err(error) => panic!("{error}"),
        };
        let mut last = 0;
        let mut gates = true;
        for _ in 0..1 + rng.below(2000) {
            let got = match rng.below(4) {
                0 if gates => every.read_timeout(PATIENCE).map(|sample| {
                    let first = whole(&sample);
                    if rng.chance(10) {
                        std::thread::yield_now();
                    }
                    assert_eq!(whole(&sample), first, "overwritten while it was read in place");
                    first
                }),
                1 => every.next_boxed_timeout(PATIENCE).map(|message| whole(&message)),
                2 => {
                    let mut some = [[0; 24]; 3];
                    every.next_slice_timeout(&mut some, PATIENCE).map(|count| {
                        let numbers: Vec<u64> = some[..count].iter().map(whole).collect();
                        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
                        numbers[count - 1]
                    })
                }
                _ => every.next_timeout(PATIENCE).map(|message| whole(&message)),
            };
            match got {
                Ok(n) => {
                    assert!(n > last, "{n} after {last}");
                    last = n;
                }
                Err(GetError::Evicted) => gates = false,
                Err(GetError::Lagged { .. }) if !gates => {}
                Err(GetError::Closed) => break 'lives,
                Err(error) => panic!("{error}: {every:?}"),
            }
            if !gates && rng.chance(5) {
                break;
            }
        }
    }
}

fn evictions_beside_every_way_of_reading_tear_nothing() {
    let topic = Topic::<[u64; 24]>::new(4).unwrap();
    let words = shared_words(1);
    let readers: Vec<Child> = (0..3)
        .map(|place| {
            let topic = &topic;
            fork("a reader", move || reads_whatever_happens(topic, place))
        })
        .collect();
    let publisher = fork("the publisher", || {
        let publisher = topic.publisher().unwrap();
        for n in 1.. {
            match publisher.publish_timeout(&[n; 24], PATIENCE) {
                Ok(()) => words[0].store(n, Relaxed),
                Err(PutError::Closed) => break,
                Err(error) => panic!("{error}"),
            }
        }
    });
    let mut rng = Rng::new("evictions");
    let mut evicted = 0;
    while evicted < 150 {
        for one in topic.subscribers() {
            if one.kind == SubscriberKind::Gating && rng.chance(30) {
                evicted += u32::from(topic.evict(one.id).unwrap());
            }
        }
        std::thread::sleep(rng.duration_below(Duration::from_millis(3)));
    }
    topic.close();
    publisher.expect_success();
    expect_all_succeed(readers);
    eprintln!("{evicted} evictions, {} messages", words[0].load(Relaxed));
    assert_eq!(topic.stats().evictions, u64::from(evicted));
}

fn evictions_beside_reading_in_place_tear_no_slice() {
    let topic = Topic::<[u64]>::builder().capacity_bytes(8192).max_lag_before_evict(6).create().unwrap();
    let readers: Vec<Child> = (0..2)
        .map(|place| {
            let topic = &topic;
            fork("a reader", move || {
                let mut rng = Rng::from_state(place);
                'lives: loop {
                    let mut every = topic.subscribe().unwrap();
                    loop {
                        match every.read_timeout(PATIENCE) {
                            Ok(sample) => {
                                let first = sample[0];
                                if rng.chance(2) {
                                    std::thread::sleep(Duration::from_micros(300));
                                }
                                assert!(sample.len() == 1 + (first % 90) as usize && sample.iter().all(|&word| word == first));
                            }
                            Err(GetError::Evicted) => break,
                            Err(GetError::Closed) => break 'lives,
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    topic.wait_subscribers(2, PATIENCE).unwrap();
    let publisher = topic.publisher().unwrap();
    for n in 0..12_000u64 {
        publisher
            .publish_timeout(&vec![n; 1 + (n % 90) as usize], BY_ITSELF)
            .unwrap_or_else(|error| panic!("{error}: {}", describe(&topic)));
    }
    topic.close();
    expect_all_succeed(readers);
    eprintln!("{:?}", topic.stats());
}
