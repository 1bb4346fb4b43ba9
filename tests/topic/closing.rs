//! The end: what was published is read to the last message, and everything that sleeps wakes.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_words, wait_for_count};
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{BY_ITSELF, PATIENCE};
use shmq::{GetError, PutError, Topic, WaitSubscribersError};
use std::sync::atomic::Ordering::{Relaxed, Release};

pub fn cases() -> Vec<Case> {
    crate::cases![
        nothing_is_published_after_the_close,
        subscribers_drain_and_then_see_closed,
        those_who_subscribe_later_see_what_is_left,
        close_wakes_sleepers_of_all_processes,
        a_loan_that_was_open_may_be_committed,
        close_beside_a_publisher_that_never_stops_loses_nothing,
        publishers_come_and_go,
        a_topic_closes_when_unused_where_that_was_asked_for,
    ]
}

fn nothing_is_published_after_the_close() {
    let topic = Topic::<u64>::new(8).unwrap();
    let publisher = topic.publisher().unwrap();
    assert!(!topic.is_closed());
    topic.close();
    topic.close();
    assert!(topic.is_closed());
    for error in [
        publisher.publish(&1).unwrap_err(),
        publisher.try_publish(&1).unwrap_err(),
        publisher.publish_slice(&[1]).unwrap_err(),
        publisher.loan().map(drop).unwrap_err(),
    ] {
        assert!(error.is_closed(), "{error:?}");
    }
    drop(publisher);
    for error in [
        topic.publish(&1).unwrap_err(),
        topic.try_publish(&1).unwrap_err(),
        topic.publish_timeout(&1, PATIENCE).unwrap_err(),
        topic.publish_slice(&[1]).unwrap_err(),
        topic.loan().map(drop).unwrap_err(),
    ] {
        assert!(error.is_closed(), "{error:?}");
    }
    assert!(matches!(
        topic.publisher().map(|publisher| publisher.publish(&1)),
        Ok(Err(PutError::Closed)) | Err(PutError::Closed)
    ));
    assert!(matches!(topic.wait_subscribers(1, PATIENCE), Err(WaitSubscribersError::Closed)));
    assert_eq!(topic.stats().published, 0);
}

fn subscribers_drain_and_then_see_closed() {
    let topic = Topic::<u64>::new(8).unwrap();
    let mut every = topic.subscribe().unwrap();
    let (quick, live, lagged, newest) = (
        topic.subscribe().unwrap(),
        topic.subscribe_lossy().unwrap(),
        topic.subscribe_lossy().unwrap(),
        topic.subscribe_lossy().unwrap(),
    );
    (0..8).for_each(|n| {
        topic.publish(&n).unwrap();
        assert_eq!((quick.next().unwrap(), live.next().unwrap()), (n, n));
    });
    topic.close();
    for n in 0..8 {
        match n % 3 {
            0 => assert_eq!(*every.read().unwrap(), n),
            1 => assert_eq!(every.next().unwrap(), n),
            _ => assert_eq!(every.next_slice(&mut [0]).unwrap(), 1),
        }
        assert_eq!(lagged.next().unwrap(), n);
    }
    assert_eq!(newest.latest().unwrap(), 7);
    for subscriber in [&every, &quick, &live, &lagged, &newest] {
        for _ in 0..2 {
            assert!(matches!(subscriber.next(), Err(GetError::Closed)));
            assert!(matches!(subscriber.try_next(), Err(GetError::Closed)));
            assert!(matches!(subscriber.next_timeout(PATIENCE), Err(GetError::Closed)));
            assert!(matches!(subscriber.latest(), Err(GetError::Closed)));
            assert!(matches!(subscriber.next_slice(&mut [0]), Err(GetError::Closed)));
            assert!(matches!(subscriber.next_boxed(), Err(GetError::Closed)));
        }
    }
    assert!(matches!(every.read().map(drop), Err(GetError::Closed)));
    // Also behind an aborted loan.
    let topic = Topic::<u64>::new(8).unwrap();
    let every = topic.subscribe().unwrap();
    let loan = topic.loan().unwrap();
    topic.close();
    drop(loan);
    assert!(every.latest().unwrap_err().is_closed());
    assert!(every.next().unwrap_err().is_closed());
    let topic = Topic::<u64>::new(8).unwrap();
    let every = topic.subscribe().unwrap();
    drop(topic.loan().unwrap());
    topic.close();
    assert!(every.next().unwrap_err().is_closed());
    assert_eq!((every.missed(), every.lag()), (1, 0));
}

fn those_who_subscribe_later_see_what_is_left() {
    let topic = Topic::<u64>::builder().capacity(8).history(2).create().unwrap();
    topic.publish_slice(&[1, 2, 3]).unwrap();
    topic.close();
    for subscriber in [topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap()] {
        assert_eq!(subscriber.iter().collect::<Result<Vec<_>, _>>().unwrap(), [2, 3]);
    }
}

fn close_wakes_sleepers_of_all_processes() {
    let full = Topic::<u64>::new(1).unwrap();
    let _slow = full.subscribe().unwrap();
    full.publish(&1).unwrap();
    let empty = Topic::<u64>::new(1).unwrap();
    let mut children: Vec<Child> = (0..8)
        .map(|place| {
            let (full, empty) = (&full, &empty);
            fork("a process that waits for ever", move || match place {
                0 => assert!(full.publish(&2).unwrap_err().is_closed()),
                1 => assert!(full.publish_slice(&[2, 3]).unwrap_err().is_closed()),
                2 => assert!(full.loan().map(drop).unwrap_err().is_closed()),
                3 => assert!(empty.subscribe().unwrap().next().unwrap_err().is_closed()),
                4 => assert!(empty.subscribe_lossy().unwrap().next_slice(&mut [0; 3]).unwrap_err().is_closed()),
                5 => assert!(empty.subscribe().unwrap().read().map(drop).unwrap_err().is_closed()),
                6 => assert!(empty.subscribe().unwrap().into_iter().next().is_none()),
                _ => assert!(matches!(empty.wait_subscribers(100, PATIENCE), Err(WaitSubscribersError::Closed))),
            })
        })
        .collect();
    children.iter_mut().for_each(Child::wait_until_asleep);
    fork("the process that closes", || {
        full.close();
        empty.close();
    })
    .expect_success();
    for child in children {
        child.expect_success_within(BY_ITSELF);
    }
    // A publisher by endpoint.
    let full = Topic::<u64>::new(1).unwrap();
    let _slow = full.subscribe().unwrap();
    full.publish(&1).unwrap();
    let mut child = fork("a publisher that waits for ever", || {
        assert!(full.publisher().unwrap().publish(&2).unwrap_err().is_closed());
    });
    child.wait_until_asleep();
    full.close();
    child.expect_success_within(BY_ITSELF);
}

fn a_loan_that_was_open_may_be_committed() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let every = topic.subscribe().unwrap();
    let mut loan = topic.loan_len(4).unwrap();
    topic.publish(b"behind").unwrap();
    topic.close();
    assert!(every.try_next().unwrap_err().is_empty(), "the loan is open");
    let sleeper = start_and_wait_until_asleep("a subscriber", move || every.into_iter().collect::<Result<Vec<_>, _>>());
    loan.copy_from_slice(b"loan");
    loan.commit().unwrap();
    assert_eq!(sleeper.join().unwrap(), [b"loan".to_vec(), b"behind".to_vec()]);
}

fn close_beside_a_publisher_that_never_stops_loses_nothing() {
    for round in 0..30 {
        let topic = Topic::<u64>::new(16).unwrap();
        let words = shared_words(2);
        let subscribers: Vec<Child> = (0..2)
            .map(|_| {
                let topic = &topic;
                fork("a subscriber", move || {
                    let every = topic.subscribe().unwrap();
                    words[0].fetch_add(1, Release);
                    let mut count = 0;
                    for message in &every {
                        assert_eq!(message.unwrap(), count);
                        count += 1;
                    }
                    words[1].fetch_max(count, Relaxed);
                    assert_eq!(count, topic.stats().published, "of what was published");
                })
            })
            .collect();
        wait_for_count("the subscribers", &words[0], 2);
        let publisher = fork("a publisher that never stops", || {
            let mut count = 0u64;
            let publisher = (round % 2 == 0).then(|| topic.publisher().unwrap());
            let error = loop {
                let put = match &publisher {
                    Some(publisher) => publisher.publish_timeout(&count, PATIENCE),
                    None => topic.publish_timeout(&count, PATIENCE),
                };
                match put {
                    Ok(()) => count += 1,
                    Err(error) => break error,
                }
            };
            assert!(error.is_closed(), "{error:?}");
            assert_eq!(count, topic.stats().published);
        });
        std::thread::sleep(std::time::Duration::from_micros(300 * round));
        topic.close();
        publisher.expect_success();
        expect_all_succeed(subscribers);
    }
}

fn publishers_come_and_go() {
    let topic = Topic::<u64>::new(4).unwrap();
    let every = topic.subscribe().unwrap();
    drop(topic.publisher().unwrap());
    assert!(every.try_next().unwrap_err().is_empty(), "publishers restart");
    topic.publisher().unwrap().publish(&1).unwrap();
    assert_eq!(every.next().unwrap(), 1);
    assert!(!topic.is_closed());
}

fn a_topic_closes_when_unused_where_that_was_asked_for() {
    let topic = Topic::<u64>::builder().capacity(4).close_when_unused(true).create().unwrap();
    let every = topic.subscribe().unwrap();
    let publisher = topic.publisher().unwrap();
    drop(topic);
    publisher.publish_slice(&[1, 2]).unwrap();
    drop(publisher);
    assert_eq!(every.iter().collect::<Result<Vec<_>, _>>().unwrap(), [1, 2]);

    // One that waits for its first publisher is not alone.
    let name = crate::support::unique_name("first");
    let topic = Topic::<u64>::builder().name(&name).capacity(4).close_when_unused(true).create().unwrap();
    let every = topic.subscribe().unwrap();
    drop(topic);
    let early = every.next_timeout(std::time::Duration::from_millis(250)).unwrap_err();
    assert!(early.is_timeout(), "{early:?}: no publisher has come yet");
    let topic = Topic::<u64>::open(&name).unwrap();
    let publisher = topic.publisher().unwrap();
    drop(topic);
    publisher.publish(&3).unwrap();
    assert_eq!(every.next().unwrap(), 3);
    drop(publisher);
    assert!(every.next_timeout(BY_ITSELF).unwrap_err().is_closed());
}
