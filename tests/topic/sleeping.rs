//! Sleeping and waking: what a wait costs, which wait strategies there are, and that no wake is
//! lost.

use crate::describe;
use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_words, wait_for_count};
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{BY_ITSELF, PATIENCE, Rng, wait_until};
use shmq::{Topic, WaitStrategy, WaitSubscribersError};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        each_wait_strategy_sends_everything,
        a_sleeping_subscriber_uses_no_processor,
        a_sleeping_publisher_uses_no_processor,
        one_publish_wakes_all_sleepers_by_one_call,
        nobody_is_woken_while_nobody_sleeps,
        a_subscriber_that_leaves_wakes_a_publisher_at_once,
        a_publisher_is_woken_by_each_way_of_reading,
        no_wake_is_lost_between_many_sleepers,
        a_ping_and_a_pong_between_processes,
        wait_subscribers_across_processes,
        the_deadline_of_wait_subscribers_is_never_early,
    ]
}

fn each_wait_strategy_sends_everything() {
    const COUNT: u64 = 3000;
    let strategies = [
        WaitStrategy::Adaptive,
        WaitStrategy::Block,
        WaitStrategy::Custom { spins: 20, yields: 3 },
        WaitStrategy::Custom { spins: 0, yields: 0 },
    ];
    for (strategy, count) in strategies.into_iter().map(|strategy| (strategy, COUNT)).chain([(WaitStrategy::Spin, 20)]) {
        let topic = Topic::<u64>::builder().capacity(4).wait_strategy(strategy).create().unwrap();
        let subscribers: Vec<Child> = (0..2)
            .map(|place| {
                let topic = &topic;
                fork("a subscriber", move || {
                    let mut every = topic.subscribe().unwrap();
                    for n in 0..count {
                        if place == 0 {
                            assert_eq!(every.next_timeout(PATIENCE).unwrap(), n);
                        } else {
                            assert_eq!(*every.read_timeout(PATIENCE).unwrap(), n);
                        }
                    }
                    assert!(every.next_timeout(PATIENCE).unwrap_err().is_closed());
                })
            })
            .collect();
        topic.wait_subscribers(2, PATIENCE).unwrap();
        let publisher = topic.publisher().unwrap();
        (0..count).for_each(|n| publisher.publish_timeout(&n, PATIENCE).unwrap());
        topic.close();
        expect_all_succeed(subscribers);
    }
}

/// Processor time that this process has used.
fn used() -> Duration {
    // SAFETY: rusage is plain integers, which the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let time = |of: libc::timeval| of.tv_sec as u64 * 1_000_000 + of.tv_usec as u64;
    Duration::from_micros(time(usage.ru_utime) + time(usage.ru_stime))
}

/// What a wait of 0.4 s may cost: it wakes four times for its probes, in a
/// build without optimisation, on a busy machine.
const IDLE: Duration = Duration::from_millis(60);

fn a_sleeping_subscriber_uses_no_processor() {
    let topic = Topic::<u64>::new(4).unwrap();
    let live = topic.subscribe_lossy().unwrap();
    let mut every = topic.subscribe().unwrap();
    // The first wait learns how long to stay awake.
    let _ = every.next_timeout(Duration::from_millis(10));
    for in_place in [false, true] {
        let before = used();
        let error = if in_place {
            every.read_timeout(Duration::from_millis(400)).map(drop).unwrap_err()
        } else {
            every.next_timeout(Duration::from_millis(400)).map(drop).unwrap_err()
        };
        assert!(error.is_timeout());
        let us = used() - before;
        eprintln!("0.4 s of sleep took {us:?} of a processor");
        assert!(us < IDLE, "{us:?}");
    }
    let before = used();
    assert!(live.next_timeout(Duration::from_millis(400)).unwrap_err().is_timeout());
    assert!(used() - before < IDLE);
}

fn a_sleeping_publisher_uses_no_processor() {
    let topic = Topic::<u64>::new(4).unwrap();
    let _slow: Vec<_> = (0..20).map(|_| topic.subscribe().unwrap()).collect();
    topic.publish_slice(&[1, 2, 3, 4]).unwrap();
    let _ = topic.publish_timeout(&5, Duration::from_millis(10));
    let before = used();
    assert!(topic.publish_timeout(&5, Duration::from_millis(400)).unwrap_err().is_timeout());
    let by_lock = used() - before;
    let publisher = topic.publisher().unwrap();
    let before = used();
    assert!(publisher.publish_timeout(&5, Duration::from_millis(400)).unwrap_err().is_timeout());
    let by_endpoint = used() - before;
    eprintln!("0.4 s of sleep took {by_lock:?} and {by_endpoint:?} of a processor");
    assert!(by_lock < IDLE && by_endpoint < IDLE, "{by_lock:?} {by_endpoint:?}");
}

fn one_publish_wakes_all_sleepers_by_one_call() {
    const SLEEPERS: u64 = 8;
    let topic = Topic::<u64>::builder().capacity(64).wait_strategy(WaitStrategy::Block).create().unwrap();
    let words = shared_words(1);
    let mut sleepers: Vec<Child> = (0..SLEEPERS)
        .map(|place| {
            let topic = &topic;
            fork("a sleeper", move || {
                let one = if place % 2 == 0 { topic.subscribe().unwrap() } else { topic.subscribe_lossy().unwrap() };
                for n in 0..10 {
                    assert_eq!(one.next_timeout(PATIENCE).unwrap(), n);
                    words[0].fetch_add(1, Release);
                }
            })
        })
        .collect();
    let publisher = topic.publisher().unwrap();
    for n in 0..10u64 {
        for sleeper in &mut sleepers {
            sleeper.wait_until_asleep();
        }
        let before = topic.stats().wakes;
        publisher.publish(&n).unwrap();
        wait_for_count("all to be awake", &words[0], (n + 1) * SLEEPERS);
        // On a machine that is busy, one may have been awake for its probe, and sleep again since.
        let calls = topic.stats().wakes - before;
        assert!((1..=2).contains(&calls), "{calls} calls for {SLEEPERS} sleepers");
    }
    expect_all_succeed(sleepers);
    let total = topic.stats().wakes;
    assert!(total <= 14, "{total} calls for ten messages");
}

fn nobody_is_woken_while_nobody_sleeps() {
    let topic = Topic::<u64>::new(64).unwrap();
    let (every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    let publisher = topic.publisher().unwrap();
    for n in 0..1000 {
        publisher.publish(&n).unwrap();
        assert_eq!((every.next().unwrap(), live.next().unwrap()), (n, n));
    }
    let stats = topic.stats();
    assert_eq!((stats.wakes, stats.blocked_reads, stats.blocked_publishes), (0, 0, 0));
    assert_eq!((stats.published, stats.refused_publishes, stats.evictions, stats.recoveries), (1000, 0, 0, 0));
}

fn a_subscriber_that_leaves_wakes_a_publisher_at_once() {
    let mut took = Vec::new();
    for round in 0..9 {
        let topic = Topic::<u64>::builder().capacity(1).wait_strategy(WaitStrategy::Block).create().unwrap();
        let slow = topic.subscribe().unwrap();
        topic.publish(&1).unwrap();
        let publishing = topic.clone();
        let sleeper = start_and_wait_until_asleep("a publisher", move || {
            publishing.publish_timeout(&2, BY_ITSELF).unwrap();
            Instant::now()
        });
        // At any time of its slice.
        std::thread::sleep(Duration::from_millis(round * 7));
        let began = Instant::now();
        drop(slow);
        took.push(sleeper.join().saturating_duration_since(began));
    }
    took.sort();
    eprintln!("a publisher went on after {took:?}");
    let bound = Duration::from_millis(if cfg!(shmq_portable_sync) { 60 } else { 25 });
    assert!(took[4] < bound, "{took:?}: it was not woken");
}

fn a_publisher_is_woken_by_each_way_of_reading() {
    for way in 0..6 {
        let topic = Topic::<u64>::builder().capacity(2).wait_strategy(WaitStrategy::Block).create().unwrap();
        let mut every = topic.subscribe().unwrap();
        topic.publish_slice(&[1, 2]).unwrap();
        let publishing = topic.clone();
        let began = Instant::now();
        let sleeper = start_and_wait_until_asleep("a publisher", move || publishing.publish_timeout(&3, PATIENCE));
        match way {
            0 => assert_eq!(every.next().unwrap(), 1),
            1 => assert_eq!(every.next_slice(&mut [0; 2]).unwrap(), 2),
            2 => assert_eq!(every.latest().unwrap(), 2),
            3 => assert_eq!(*every.read().unwrap(), 1),
            4 => assert_eq!(*every.next_boxed().unwrap(), 1),
            _ => assert_eq!(every.iter().next().unwrap().unwrap(), 1),
        }
        sleeper.join().unwrap();
        assert!(began.elapsed() < BY_ITSELF, "way {way}");
    }
}

/// Small capacity, many subscribers, each at its own pace: every publish may have to sleep, and
/// every read as well. A lost wake costs a slice of 0.1 s.
fn no_wake_is_lost_between_many_sleepers() {
    const COUNT: u64 = 1500;
    let topic = Topic::<u64>::builder().capacity(3).wait_strategy(WaitStrategy::Block).create().unwrap();
    let subscribers: Vec<Child> = (0..4)
        .map(|place| {
            let topic = &topic;
            fork("a subscriber", move || {
                let mut rng = Rng::from_state(place + 77);
                let every = topic.subscribe().unwrap();
                for n in 0..COUNT {
                    assert_eq!(every.next_timeout(PATIENCE).unwrap(), n);
                    if rng.chance(3) {
                        std::thread::sleep(Duration::from_micros(rng.below(200)));
                    }
                }
            })
        })
        .collect();
    topic.wait_subscribers(4, PATIENCE).unwrap();
    let began = Instant::now();
    (0..COUNT).for_each(|n| topic.publish_timeout(&n, PATIENCE).unwrap());
    expect_all_succeed(subscribers);
    let (took, stats) = (began.elapsed(), topic.stats());
    eprintln!("{took:?} {stats:?}");
    assert!(stats.blocked_publishes > 10 && stats.blocked_reads > 10, "{stats:?}");
    // Far more than that many sleeps of a whole slice would be.
    assert!(took < Duration::from_secs(30), "{took:?} for {COUNT} messages: {stats:?}");
}

fn a_ping_and_a_pong_between_processes() {
    const COUNT: u64 = 2000;
    let (there, back) = (Topic::<u64>::new(1).unwrap(), Topic::<[u64]>::builder().capacity_bytes(4096).create().unwrap());
    let answers = back.subscribe().unwrap();
    let child = fork("a pong", || {
        let every = there.subscribe().unwrap();
        let publisher = back.publisher().unwrap();
        for _ in 0..COUNT {
            let n = every.next_timeout(PATIENCE).unwrap();
            publisher.publish_timeout(&vec![n; (n % 30) as usize], PATIENCE).unwrap();
        }
    });
    there.wait_subscribers(1, PATIENCE).unwrap();
    for n in 0..COUNT {
        there.publish_timeout(&n, PATIENCE).unwrap();
        assert_eq!(answers.next_timeout(PATIENCE).unwrap(), vec![n; (n % 30) as usize]);
    }
    child.expect_success();
}

fn wait_subscribers_across_processes() {
    let topic = Topic::<u64>::new(4).unwrap();
    let words = shared_words(2);
    let mut publisher = fork("a publisher that waits for three", || {
        topic.wait_subscribers(3, PATIENCE).unwrap();
        words[0].store(1, Release);
        topic.publish(&11).unwrap();
    });
    publisher.wait_until_asleep();
    let subscriber = |gates: bool| {
        let topic = &topic;
        fork("a subscriber", move || {
            let one = if gates { topic.subscribe().unwrap() } else { topic.subscribe_lossy().unwrap() };
            words[1].fetch_add(1, Release);
            assert_eq!(one.next_timeout(PATIENCE).unwrap(), 11);
        })
    };
    let mut all = vec![subscriber(true), subscriber(false), subscriber(false), subscriber(true)];
    wait_for_count("four", &words[1], 4);
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(words[0].load(Acquire), 0, "the lossy do not count");
    publisher.wait_until_asleep();
    all.push(subscriber(true));
    publisher.expect_success_within(BY_ITSELF);
    expect_all_succeed(all);
    wait_until("nobody to be left", || words[0].load(Relaxed) == 1, || describe(&topic));
}

fn the_deadline_of_wait_subscribers_is_never_early() {
    let topic = Topic::<u64>::new(4).unwrap();
    let _one = topic.subscribe().unwrap();
    for asked in [0, 1, 7, 30].map(Duration::from_millis) {
        let began = Instant::now();
        let error = topic.wait_subscribers(2, asked).unwrap_err();
        assert!(matches!(error, WaitSubscribersError::Timeout { found: 1, wanted: 2 }), "{error:?}");
        assert!(began.elapsed() >= asked);
        let began = Instant::now();
        assert!(topic.wait_subscribers_deadline(2, began + asked).is_err());
        assert!(began.elapsed() >= asked);
    }
    topic.wait_subscribers(0, Duration::ZERO).unwrap();
    topic.wait_subscribers(1, Duration::ZERO).unwrap();
}
