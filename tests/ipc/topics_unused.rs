//! The end of the stream of a topic that closes when unused: its publisher is gone.

use crate::support::PATIENCE;
use crate::support::harness::Case;
use crate::support::process::{fork, shared_word, wait_for_count};
use shmq::{GetError, Subscriber, Topic, wait_any_timeout};
use std::sync::atomic::Ordering::SeqCst;
#[cfg(not(shmq_portable_sync))]
use std::thread;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        the_drop_of_the_publisher_closes_the_topic_at_once,
        what_is_no_publisher_keeps_nothing_open_and_ends_nothing,
        a_topic_that_did_not_ask_stays_open,
        the_end_wakes_a_subscriber_that_waits,
        a_publisher_that_a_child_inherits_keeps_nothing_open,
        a_process_that_ends_takes_its_publisher_along,
        #[cfg(not(shmq_portable_sync))]
        a_killed_publisher_ends_the_stream,
    ]
}

fn closing(capacity: usize) -> Topic<u64> {
    Topic::builder().capacity(capacity).close_when_unused(true).create().unwrap()
}

#[track_caller]
fn expect_end(subscriber: &Subscriber<u64>) {
    let got = subscriber.next_timeout(PATIENCE);
    assert!(matches!(got, Err(GetError::Closed)), "{got:?}");
}

/// For longer than two slices, in each of which a subscriber that waits scans.
#[track_caller]
fn expect_open(subscriber: &Subscriber<u64>) {
    let got = subscriber.next_timeout(Duration::from_millis(250));
    assert!(matches!(got, Err(GetError::Timeout)), "{got:?}");
}

fn the_drop_of_the_publisher_closes_the_topic_at_once() {
    let topic = closing(8);
    let (every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    let publisher = topic.publisher().unwrap();
    publisher.publish(&1).unwrap();
    assert!(!topic.is_closed());
    drop(publisher);
    assert!(topic.is_closed());
    for subscriber in [every, live] {
        assert_eq!(subscriber.try_next().unwrap(), 1);
        assert!(subscriber.try_next().unwrap_err().is_closed());
    }
    assert!(topic.try_publish(&2).unwrap_err().is_closed());
}

fn what_is_no_publisher_keeps_nothing_open_and_ends_nothing() {
    let topic = closing(8);
    let every = topic.subscribe().unwrap();
    // Before there is a publisher: handles, messages by lock, and subscribers come and go.
    drop(topic.clone());
    drop(topic.subscribe().unwrap());
    topic.publish(&1).unwrap();
    fork("a process that publishes by lock", || Topic::<u64>::open(topic.name()).unwrap().publish(&2).unwrap()).expect_success();
    topic.recover();
    assert_eq!((every.next().unwrap(), every.next().unwrap()), (1, 2));
    expect_open(&every);
    // The topic's own handles do not hold the end up.
    let more = (topic.clone(), topic.subscribe().unwrap());
    drop(topic.publisher().unwrap());
    expect_end(&every);
    drop(more);
}

fn a_topic_that_did_not_ask_stays_open() {
    let topic = Topic::<u64>::new(8).unwrap();
    let every = topic.subscribe().unwrap();
    for message in 0..3 {
        topic.publisher().unwrap().publish(&message).unwrap();
        assert_eq!(every.next().unwrap(), message);
    }
    expect_open(&every);
}

fn the_end_wakes_a_subscriber_that_waits() {
    let topic = closing(8);
    let mut children: Vec<_> = (0..4)
        .map(|number| {
            let ready = shared_word();
            let child = fork("a subscriber", || {
                let subscriber = if number % 2 == 0 { topic.subscribe() } else { topic.subscribe_lossy() }.unwrap();
                ready.store(1, SeqCst);
                if number < 2 {
                    expect_end(&subscriber);
                } else {
                    assert_eq!(wait_any_timeout(&[&subscriber], PATIENCE), Ok(0));
                    assert!(subscriber.try_next().unwrap_err().is_closed());
                }
            });
            wait_for_count("the subscriber", ready, 1);
            child
        })
        .collect();
    let publisher = topic.publisher().unwrap();
    children.iter_mut().for_each(|child| child.wait_until_asleep());
    drop(publisher);
    children.into_iter().for_each(|child| child.expect_success());
}

fn a_publisher_that_a_child_inherits_keeps_nothing_open() {
    let topic = closing(8);
    let every = topic.subscribe().unwrap();
    let publisher = topic.publisher().unwrap();
    let (checked, end) = (shared_word(), shared_word());
    let child = fork("a child that inherits", || {
        assert!(publisher.try_publish(&1).is_err());
        assert!(!topic.is_closed());
        checked.store(1, SeqCst);
        wait_for_count("the end", end, 1);
    });
    wait_for_count("the child", checked, 1);
    drop(publisher);
    expect_end(&every);
    end.store(1, SeqCst);
    child.expect_success();
}

fn a_process_that_ends_takes_its_publisher_along() {
    let topic = closing(8);
    let every = topic.subscribe().unwrap();
    // It drops nothing.
    fork("a process that ends", || std::mem::forget(topic.publisher().unwrap())).expect_success();
    expect_end(&every);
}

#[cfg(not(shmq_portable_sync))]
fn a_killed_publisher_ends_the_stream() {
    for by_wait_any in [false, true] {
        let topic = closing(8);
        let every = topic.subscribe().unwrap();
        let ready = shared_word();
        let child = fork("a publisher", || {
            let publisher = topic.publisher().unwrap();
            publisher.publish(&1).unwrap();
            ready.store(1, SeqCst);
            loop {
                thread::sleep(Duration::from_secs(1));
            }
        });
        wait_for_count("the publisher", ready, 1);
        assert_eq!(every.next_timeout(PATIENCE).unwrap(), 1);
        expect_open(&every);
        let waiter = thread::spawn(move || {
            if by_wait_any {
                assert_eq!(wait_any_timeout(&[&every], PATIENCE), Ok(0));
            }
            expect_end(&every);
        });
        thread::sleep(Duration::from_millis(20));
        child.kill();
        waiter.join().unwrap();
    }
}
