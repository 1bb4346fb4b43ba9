//! Processes that are killed: the others go on, within a probe's time, and lose nothing.

use crate::describe;
use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_words, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE, Rng, wait_until};
use shmq::{GetError, PutError, SubscriberKind, Topic};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_dead_subscriber_opens_a_full_topic,
        a_sleeping_publisher_goes_on_after_the_death,
        recover_opens_the_gate_at_once,
        a_subscriber_that_died_with_a_sample_is_gone,
        an_evicted_one_that_died_with_a_sample_is_gone,
        a_dead_endpoint_is_succeeded,
        a_dead_loan_is_passed_by_subscribers,
        a_dead_loan_beside_a_live_endpoint_is_passed,
        a_dead_loan_stops_no_long_slice,
        the_dead_make_room_for_new_subscribers,
        killed_subscribers_do_not_hurt_the_others,
        killed_publishers_leave_whole_messages,
        wait_subscribers_does_not_count_the_dead,
        a_process_that_exits_without_dropping_is_as_dead,
    ]
}

/// A child that subscribes, says so, and waits to be killed.
fn subscriber_of(topic: &Topic<u64>) -> Child {
    let words = shared_words(1);
    let child = fork("a subscriber that is killed", || {
        let _every = topic.subscribe().unwrap();
        words[0].store(1, Release);
        std::thread::sleep(4 * PATIENCE);
    });
    wait_for_count("the subscriber", &words[0], 1);
    child
}

fn a_dead_subscriber_opens_a_full_topic() {
    let mut took = Vec::new();
    for owned in [false, true] {
        for _ in 0..3 {
            let topic = Topic::<u64>::new(4).unwrap();
            let alive = topic.subscribe().unwrap();
            let child = subscriber_of(&topic);
            (0..4).for_each(|n| topic.try_publish(&n).unwrap());
            (0..4).for_each(|n| assert_eq!(alive.next().unwrap(), n));
            let pid = child.pid();
            let full = topic.try_publish(&4).unwrap_err();
            assert!(matches!(full, PutError::Gated { pid: named, lag: 4, .. } if named == pid), "{full:?}");
            child.kill();
            let began = Instant::now();
            if owned {
                topic.publisher().unwrap().publish_timeout(&4, BY_ITSELF).unwrap();
            } else {
                topic.publish_timeout(&4, BY_ITSELF).unwrap();
            }
            took.push(began.elapsed());
            assert_eq!(alive.next().unwrap(), 4);
            assert_eq!(topic.subscribers().len(), 1);
            assert!(topic.stats().recoveries >= 1);
        }
    }
    took.sort();
    eprintln!("the publisher went on after {took:?}");
    // Half of them, since a busy machine may delay some.
    assert!(took[2] < Duration::from_millis(600), "{took:?}");
}

fn a_sleeping_publisher_goes_on_after_the_death() {
    let topic = Topic::<u64>::new(2).unwrap();
    let child = subscriber_of(&topic);
    (0..2).for_each(|n| topic.try_publish(&n).unwrap());
    let mut publisher = fork("a publisher that sleeps", || topic.publish_timeout(&2, PATIENCE).unwrap());
    publisher.wait_until_asleep();
    std::thread::sleep(Duration::from_millis(150));
    assert!(!publisher.has_ended());
    child.kill();
    publisher.expect_success_within(BY_ITSELF);
    assert_eq!(topic.stats().published, 3);
}

fn recover_opens_the_gate_at_once() {
    let topic = Topic::<u64>::new(2).unwrap();
    let children: Vec<Child> = (0..3).map(|_| subscriber_of(&topic)).collect();
    let alive = topic.subscribe().unwrap();
    (0..2).for_each(|n| topic.try_publish(&n).unwrap());
    children.into_iter().for_each(Child::kill);
    let seen = topic.subscribers();
    assert_eq!((seen.len(), seen.iter().filter(|one| one.is_alive).count()), (4, 1), "{seen:?}");
    let report = topic.recover();
    assert_eq!((report.subscribers, report.dead_participants, report.aborted), (3, 3, 0), "{report:?}");
    assert_eq!(topic.subscribers().len(), 1);
    assert!(topic.try_publish(&2).unwrap_err().is_full(), "one is alive");
    assert_eq!(alive.next().unwrap(), 0);
    topic.try_publish(&2).unwrap();
    let report = topic.recover();
    assert_eq!((report.subscribers, report.dead_participants), (0, 0), "{report:?}");
}

/// A child that holds a sample until it is killed.
fn reader_of(topic: &Topic<u64>) -> Child {
    let words = shared_words(1);
    let child = fork("a subscriber that is killed with a sample", || {
        let mut every = topic.subscribe().unwrap();
        words[0].store(1, Release);
        let _sample = every.read_timeout(PATIENCE).unwrap();
        words[0].store(2, Release);
        std::thread::sleep(4 * PATIENCE);
    });
    wait_for_count("the subscriber", &words[0], 1);
    topic.publish(&0).unwrap();
    wait_for_count("its sample", &words[0], 2);
    child
}

fn a_subscriber_that_died_with_a_sample_is_gone() {
    let topic = Topic::<u64>::new(2).unwrap();
    let child = reader_of(&topic);
    topic.publish(&1).unwrap();
    assert!(topic.subscribers()[0].has_sample);
    child.kill();
    topic.publish_timeout(&2, BY_ITSELF).unwrap();
    assert!(topic.subscribers().is_empty());
    // The next one in that line has no sample.
    let _next = topic.subscribe().unwrap();
    assert!(!topic.subscribers()[0].has_sample);
}

fn an_evicted_one_that_died_with_a_sample_is_gone() {
    let topic = Topic::<u64>::new(2).unwrap();
    let child = reader_of(&topic);
    topic.publish(&1).unwrap();
    assert!(topic.evict(topic.subscribers()[0].id).unwrap());
    assert!(topic.try_publish(&2).unwrap_err().is_full());
    assert_eq!(topic.subscribers()[0].kind, SubscriberKind::Evicted);
    child.kill();
    topic.publish_timeout(&2, BY_ITSELF).unwrap();
    (3..20).for_each(|n| topic.try_publish(&n).unwrap());
    assert!(topic.subscribers().is_empty());
}

fn a_dead_endpoint_is_succeeded() {
    let topic = Topic::<u64>::new(64).unwrap();
    let every = topic.subscribe().unwrap();
    let words = shared_words(1);
    let mut next = 0;
    for round in 0..6u64 {
        let child = fork("a publisher that is killed", || {
            let publisher = topic.publisher().unwrap();
            (0..10).for_each(|n| publisher.publish(&(round * 100 + n)).unwrap());
            words[0].store(round + 1, Release);
            std::thread::sleep(4 * PATIENCE);
        });
        wait_for_count("the publisher", &words[0], round + 1);
        let pid = child.pid();
        assert!(matches!(topic.publish(&1), Err(PutError::Held { pid: holder }) if holder == pid));
        assert!(matches!(topic.publisher().map(drop), Err(PutError::Held { pid: holder }) if holder == pid));
        child.kill();
        // By an endpoint, or by lock.
        if round % 2 == 0 {
            let publisher = topic.publisher().unwrap();
            publisher.publish_timeout(&(round * 100 + 10), BY_ITSELF).unwrap();
        } else {
            topic.publish_timeout(&(round * 100 + 10), BY_ITSELF).unwrap();
        }
        for n in 0..=10 {
            assert_eq!(every.next_timeout(BY_ITSELF).unwrap(), round * 100 + n);
            next += 1;
        }
        assert!(every.try_next().unwrap_err().is_empty());
    }
    assert_eq!((every.received(), every.missed()), (next, 0));
}

/// A child that holds a loan until it is killed; whatever is published is behind it.
fn borrower_of(topic: &Topic<u64>) -> Child {
    let words = shared_words(1);
    let child = fork("a process that is killed with a loan", || {
        let mut loan = topic.loan().unwrap();
        *loan = 666;
        words[0].store(1, Release);
        std::thread::sleep(4 * PATIENCE);
    });
    wait_for_count("the loan", &words[0], 1);
    child
}

fn a_dead_loan_is_passed_by_subscribers() {
    for gates in [true, false] {
        let topic = Topic::<u64>::new(8).unwrap();
        let subscriber = if gates { topic.subscribe().unwrap() } else { topic.subscribe_lossy().unwrap() };
        let child = borrower_of(&topic);
        topic.publish(&1).unwrap();
        assert!(subscriber.next_timeout(Duration::from_millis(10)).unwrap_err().is_timeout());
        child.kill();
        assert_eq!(subscriber.next_timeout(BY_ITSELF).unwrap(), 1);
        assert_eq!((subscriber.missed(), topic.stats().aborted), (1, 1));
        // By recover, at once.
        let child = borrower_of(&topic);
        topic.publish(&2).unwrap();
        child.kill();
        let report = topic.recover();
        assert_eq!((report.aborted, report.dead_participants), (1, 1), "{report:?}");
        assert_eq!(subscriber.try_next().unwrap(), 2);
    }
    // By a publisher that the loan stops.
    let topic = Topic::<u64>::new(4).unwrap();
    let child = borrower_of(&topic);
    let full = loop {
        if let Err(error) = topic.try_publish(&1) {
            break error;
        }
    };
    let pid = child.pid();
    assert!(matches!(full, PutError::BehindLoan { pid: named, .. } if named == pid), "{full:?}");
    child.kill();
    topic.publish_timeout(&1, BY_ITSELF).unwrap();
}

/// The endpoint owns the side all the time: nobody else may touch its cursors.
fn a_dead_loan_beside_a_live_endpoint_is_passed() {
    let topic = Topic::<u64>::new(8).unwrap();
    let (every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    let child = borrower_of(&topic);
    let publisher = topic.publisher().unwrap();
    publisher.publish_slice(&[1, 2]).unwrap();
    assert!(every.try_next().unwrap_err().is_empty());
    child.kill();
    assert_eq!((every.next_timeout(BY_ITSELF).unwrap(), live.next_timeout(BY_ITSELF).unwrap()), (1, 1));
    assert_eq!((every.next().unwrap(), live.next().unwrap()), (2, 2));
    (3..100).for_each(|n| {
        publisher.try_publish(&n).unwrap();
        assert_eq!(every.next().unwrap(), n);
    });
    assert_eq!(topic.stats().aborted, 1);
}

fn the_dead_make_room_for_new_subscribers() {
    let topic = Topic::<u64>::builder().capacity(4).max_subscribers(2).create().unwrap();
    for _ in 0..5 {
        let children = [subscriber_of(&topic), subscriber_of(&topic)];
        let refused = topic.subscribe().unwrap_err();
        assert!(matches!(refused, shmq::SubscribeError::TooManySubscribers { max: 2 }), "{refused:?}");
        children.into_iter().for_each(Child::kill);
        let both = [topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap()];
        topic.publish(&1).unwrap();
        both.iter().for_each(|one| assert_eq!(one.next().unwrap(), 1));
    }
}

fn killed_subscribers_do_not_hurt_the_others() {
    const COUNT: u64 = 60_000;
    let mut rng = Rng::new("kills of subscribers");
    let topic = Topic::<u64>::new(32).unwrap();
    let words = shared_words(3);
    let survivors: Vec<Child> = (0..2)
        .map(|_| {
            let topic = &topic;
            fork("a subscriber that lives", move || {
                let mut every = topic.subscribe().unwrap();
                words[0].fetch_add(1, Release);
                for n in 0..COUNT {
                    if n % 5 == 0 {
                        assert_eq!(*every.read_timeout(PATIENCE).unwrap(), n);
                    } else {
                        assert_eq!(every.next_timeout(PATIENCE).unwrap(), n);
                    }
                }
            })
        })
        .collect();
    topic.wait_subscribers(2, PATIENCE).unwrap();
    let publisher = fork("the publisher", || {
        let publisher = topic.publisher().unwrap();
        for n in 0..COUNT {
            publisher.publish_timeout(&n, PATIENCE).unwrap();
            words[1].store(n, Relaxed);
        }
        words[2].store(1, Release);
    });
    let mut kills = 0;
    while words[2].load(Acquire) == 0 && kills < 25 {
        let victim = fork("a subscriber that is killed", || {
            let mut every = topic.subscribe().unwrap();
            let mut next = every.next().unwrap();
            loop {
                next += 1;
                let got = if next % 2 == 0 { *every.read().unwrap() } else { every.next().unwrap() };
                assert_eq!(got, next);
            }
        });
        std::thread::sleep(rng.duration_below(Duration::from_millis(8)));
        let before = words[1].load(Relaxed);
        // At the end of the messages it waits.
        victim.kill();
        kills += 1;
        // The publisher goes on.
        wait_until(
            "the publisher to go on",
            || words[1].load(Relaxed) > before || words[2].load(Acquire) != 0,
            || describe(&topic),
        );
    }
    publisher.expect_success();
    expect_all_succeed(survivors);
    eprintln!("{kills} were killed: {:?}", topic.stats());
    topic.recover();
    assert!(topic.subscribers().is_empty());
}

fn killed_publishers_leave_whole_messages() {
    let mut rng = Rng::new("kills of publishers");
    let topic = Topic::<[u64; 24]>::new(16).unwrap();
    let every = topic.subscribe().unwrap();
    let words = shared_words(1);
    let mut last = 0;
    for round in 0..40u64 {
        let child = fork("a publisher that is killed", || {
            let mut n = words[0].load(Acquire);
            let publisher = (round % 2 == 0).then(|| topic.publisher().unwrap());
            loop {
                n += 1;
                words[0].store(n, Release);
                let put = match (&publisher, n % 3) {
                    (Some(publisher), 0) => publisher.publish(&[n; 24]),
                    (Some(publisher), _) => publisher.publish_slice(&[[n; 24]]).map(drop),
                    (None, 0) => topic.publish_slice(&[[n; 24]]).map(drop),
                    (None, _) => topic.publish(&[n; 24]),
                };
                put.unwrap();
            }
        });
        let end = Instant::now() + rng.duration_below(Duration::from_millis(6));
        let mut check = |message: [u64; 24]| {
            assert!(message.iter().all(|&word| word == message[0]), "{message:?}");
            // None twice, none out of order, and at most the one that was being published is lost.
            assert!(message[0] > last, "{} after {last}", message[0]);
            last = message[0];
        };
        while Instant::now() < end {
            if let Ok(message) = every.next_deadline(end) {
                check(message);
            }
        }
        child.kill();
        loop {
            match every.try_next() {
                Ok(message) => check(message),
                Err(GetError::Empty) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    let begun = words[0].load(Acquire);
    eprintln!("{begun} were begun, {} received", every.received());
    assert!(every.received() + 40 >= begun && every.received() <= begun);
    topic.publish_timeout(&[u64::MAX; 24], BY_ITSELF).unwrap();
    assert_eq!(every.next_timeout(BY_ITSELF).unwrap()[0], u64::MAX);
}

fn wait_subscribers_does_not_count_the_dead() {
    let topic = Topic::<u64>::new(4).unwrap();
    let child = subscriber_of(&topic);
    topic.wait_subscribers(1, PATIENCE).unwrap();
    child.kill();
    let error = topic.wait_subscribers(1, Duration::from_millis(10)).unwrap_err();
    assert!(matches!(error, shmq::WaitSubscribersError::Timeout { found: 0, wanted: 1 }), "{error:?}");
}

fn a_process_that_exits_without_dropping_is_as_dead() {
    let topic = Topic::<u64>::new(2).unwrap();
    fork("a process that exits with all it has", || {
        std::mem::forget(topic.subscribe().unwrap());
        std::mem::forget(topic.publisher().unwrap());
    })
    .expect_success();
    for n in 0..10 {
        topic.publish_timeout(&n, BY_ITSELF).unwrap();
    }
    assert!(topic.subscribers().is_empty());
}

/// A short message has room where a long one has to wait for the loan.
fn a_dead_loan_stops_no_long_slice() {
    for owned in [false, true] {
        let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 14).create().unwrap();
        let words = shared_words(1);
        let child = fork("a process that is killed with a loan", || {
            let _loan = topic.loan_len(100).unwrap();
            words[0].store(1, Release);
            std::thread::sleep(4 * PATIENCE);
        });
        wait_for_count("the loan", &words[0], 1);
        let long = vec![1; topic.max_len() - 64];
        topic.try_publish(&long).unwrap();
        let pid = child.pid();
        let full = topic.try_publish(&long).unwrap_err();
        assert!(matches!(full, PutError::BehindLoan { pid: named, .. } if named == pid), "{full:?}");
        topic.try_publish(&[1]).expect("a short one has room");
        child.kill();
        if owned {
            topic.publisher().unwrap().publish_timeout(&long, BY_ITSELF).unwrap();
        } else {
            topic.publish_timeout(&long, BY_ITSELF).unwrap();
        }
        assert_eq!(topic.stats().aborted, 1);
    }
}
