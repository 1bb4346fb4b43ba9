//! One process, by the public API.

use crate::support::harness::Case;
use shmq::{GetError, PutError, Start, SubscriberKind, Topic};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        every_gating_subscriber_sees_every_message_in_order,
        the_capacity_is_exact,
        nobody_is_waited_for_when_nobody_gates,
        a_full_topic_waits_until_its_deadline_and_names_the_laggard,
        what_an_open_sample_shows_is_not_overwritten_by_an_eviction,
        subscribers_begin_where_they_ask_to,
        slices_of_all_lengths_go_to_all,
        received_and_missed_add_up_through_aborted_loans,
        loans_and_lossy_subscribers_exclude_each_other,
        an_open_loan_is_named_when_the_topic_is_full,
        subscribers_are_listed,
        a_sleeping_subscriber_is_woken_and_so_is_a_sleeping_publisher,
    ]
}

fn every_gating_subscriber_sees_every_message_in_order() {
    let topic = Topic::<u64>::new(64).unwrap();
    let subscribers: Vec<_> = (0..5).map(|_| topic.subscribe().unwrap()).collect();
    let publisher = topic.publisher().unwrap();
    for message in 0..10_000u64 {
        publisher.publish(&message).unwrap();
        for subscriber in &subscribers {
            assert_eq!(subscriber.next().unwrap(), message);
        }
    }
}

fn the_capacity_is_exact() {
    for capacity in [1usize, 2, 3, 7, 8, 9, 64, 100, 1000] {
        for laps in 0..3u64 {
            let topic = Topic::<u64>::new(capacity).unwrap();
            let slow = topic.subscribe().unwrap();
            let mut next = 0..;
            for _ in 0..laps * 3 {
                topic.publish(&next.next().unwrap()).unwrap();
                slow.next().unwrap();
            }
            let before = next.clone().next().unwrap();
            for _ in 0..capacity {
                topic.try_publish(&next.next().unwrap()).unwrap_or_else(|error| panic!("capacity {capacity}: {error}"));
            }
            let full = topic.try_publish(&0).unwrap_err();
            assert!(matches!(full, PutError::Gated { lag, timed_out: false, .. } if lag == capacity as u64), "{full:?}");
            assert!(full.is_full());
            assert_eq!(slow.next().unwrap(), before);
            topic.try_publish(&next.next().unwrap()).unwrap();
            assert!(topic.try_publish(&0).unwrap_err().is_full());
        }
    }
}

fn nobody_is_waited_for_when_nobody_gates() {
    let topic = Topic::<u64>::new(4).unwrap();
    let live = topic.subscribe_lossy().unwrap();
    for message in 0..1000u64 {
        topic.try_publish(&message).unwrap();
    }
    let mut received = Vec::new();
    loop {
        match live.try_next() {
            Ok(message) => received.push(message),
            Err(GetError::Lagged { missed }) => assert_eq!(missed + received.len() as u64, live.missed() + live.received()),
            Err(GetError::Empty) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(received.len() >= 4, "a whole capacity is left: {received:?}");
    assert_eq!(received.last(), Some(&999));
    assert_eq!(live.received() + live.missed(), 1000);
}

fn a_full_topic_waits_until_its_deadline_and_names_the_laggard() {
    let topic = Topic::<u64>::new(2).unwrap();
    let slow = topic.subscribe().unwrap();
    topic.publish_slice(&[1, 2]).unwrap();
    let began = Instant::now();
    let late = topic.publish_timeout(&3, Duration::from_millis(30)).unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(30));
    let PutError::Gated { subscriber, pid, lag, timed_out } = late else { panic!("{late:?}") };
    assert_eq!((subscriber, pid, lag, timed_out), (slow.id(), std::process::id(), 2, true));
    assert!(topic.evict(subscriber).unwrap());
    topic.try_publish(&3).unwrap();
    assert!(matches!(slow.try_next(), Err(GetError::Evicted)));
    assert!(!slow.is_gating());
    assert_eq!((slow.next().unwrap(), slow.next().unwrap(), slow.next().unwrap()), (1, 2, 3));
}

fn what_an_open_sample_shows_is_not_overwritten_by_an_eviction() {
    let topic = Topic::<[u64; 8]>::new(2).unwrap();
    let mut every = topic.subscribe().unwrap();
    let id = every.id();
    topic.publish(&[1; 8]).unwrap();
    let sample = every.read().unwrap();
    topic.publish(&[2; 8]).unwrap();
    assert!(topic.evict(id).unwrap());
    assert!(topic.try_publish(&[3; 8]).unwrap_err().is_full(), "the sample is open");
    assert_eq!(*sample, [1; 8]);
    assert!(topic.subscribers()[0].has_sample);
    drop(sample);
    for n in 3..20 {
        topic.try_publish(&[n; 8]).unwrap();
    }
    assert!(matches!(every.try_read(), Err(GetError::Evicted)));
    assert!(matches!(every.try_read(), Err(GetError::NotGating)));
}

fn subscribers_begin_where_they_ask_to() {
    let topic = Topic::<u64>::builder().capacity(16).history(3).create().unwrap();
    for message in 0..100u64 {
        topic.publish(&message).unwrap();
    }
    assert_eq!(topic.subscribe().unwrap().next().unwrap(), 97);
    assert_eq!(topic.subscribe_lossy().unwrap().next().unwrap(), 97);
    for back in 0..8 {
        let first = topic.subscribe_from(Start::Back(back)).unwrap().try_next().ok();
        assert_eq!(first, (back > 0).then(|| 100 - back));
    }
    let oldest = topic.subscribe_from(Start::Oldest).unwrap().next().unwrap();
    assert!(oldest <= 92, "half of the ring is left: {oldest}");
    assert!(topic.subscribe_lossy_from(Start::Oldest).unwrap().next().unwrap() <= 84);
    assert!(topic.subscribe_from(Start::Now).unwrap().try_next().unwrap_err().is_empty());
}

fn slices_of_all_lengths_go_to_all() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(8192).history(4).create().unwrap();
    let subscribers: Vec<_> = (0..3).map(|_| topic.subscribe().unwrap()).collect();
    let mut buffer = vec![0; topic.max_len()];
    for n in 0..3000usize {
        let length = n * 37 % topic.max_len();
        let message: Vec<u8> = (0..length).map(|at| (at + n) as u8).collect();
        topic.publish(&message).unwrap();
        for subscriber in &subscribers[..2] {
            assert_eq!(subscriber.next().unwrap(), message);
        }
        let got = subscribers[2].next_into(&mut buffer).unwrap();
        assert_eq!(&buffer[..got], message);
    }
    let latest = topic.subscribe_lossy_from(Start::Oldest).unwrap();
    topic.publish(b"last".as_slice()).unwrap();
    assert_eq!(latest.latest().unwrap(), b"last");
    assert_eq!(latest.received(), 1);
    assert_eq!(topic.subscribe_from(Start::Back(1)).unwrap().next().unwrap(), b"last");
    let largest = vec![7; topic.max_len()];
    for _ in 0..5 {
        while topic.try_publish(&largest).is_ok() {}
        subscribers.iter().for_each(|subscriber| while subscriber.try_next().is_ok() {});
        topic.try_publish(&largest).unwrap();
    }
}

fn received_and_missed_add_up_through_aborted_loans() {
    let topic = Topic::<u64>::new(8).unwrap();
    let every = topic.subscribe().unwrap();
    for n in 0..100u64 {
        if n % 3 == 0 {
            drop(topic.loan().unwrap());
        } else {
            topic.publish(&n).unwrap();
        }
        while every.try_next().is_ok() {}
    }
    assert_eq!((every.received(), every.missed()), (66, 34));
    assert_eq!((topic.stats().published, topic.stats().aborted), (100, 34));
}

fn loans_and_lossy_subscribers_exclude_each_other() {
    let topic = Topic::<u64>::new(8).unwrap();
    let loan = topic.loan().unwrap();
    assert!(matches!(topic.subscribe_lossy(), Err(shmq::SubscribeError::LoansHere)));
    loan.commit().unwrap();
    let live = topic.subscribe_lossy().unwrap();
    assert!(matches!(topic.loan().unwrap_err(), PutError::LossyHere));
    drop(live);
    drop(topic.loan().unwrap());
}

fn an_open_loan_is_named_when_the_topic_is_full() {
    let topic = Topic::<u64>::new(4).unwrap();
    let loan = topic.loan().unwrap();
    let mut published = 0;
    let full = loop {
        match topic.try_publish(&1) {
            Ok(()) => published += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, PutError::BehindLoan { pid, timed_out: false } if pid == std::process::id()), "{full:?}");
    assert!(published >= 3);
    drop(loan);
    topic.try_publish(&1).unwrap();
}

fn subscribers_are_listed() {
    let topic = Topic::<u64>::new(8).unwrap();
    let every = topic.subscribe().unwrap();
    let live = topic.subscribe_lossy().unwrap();
    topic.publish_slice(&[1, 2, 3]).unwrap();
    every.next().unwrap();
    live.latest().unwrap();
    let listed = topic.subscribers();
    assert_eq!(
        listed.iter().map(|one| (one.id, one.kind, one.lag, one.received, one.missed)).collect::<Vec<_>>(),
        [(every.id(), SubscriberKind::Gating, 2, 1, 0), (live.id(), SubscriberKind::Lossy, 0, 1, 2)]
    );
    drop((every, live));
    assert!(topic.subscribers().is_empty());
}

fn a_sleeping_subscriber_is_woken_and_so_is_a_sleeping_publisher() {
    let topic = Topic::<u64>::new(8).unwrap();
    let subscribers: Vec<_> = (0..3).map(|_| topic.subscribe().unwrap()).collect();
    std::thread::scope(|scope| {
        for subscriber in subscribers {
            scope.spawn(move || {
                for expected in 0..2000u64 {
                    assert_eq!(subscriber.next_timeout(Duration::from_secs(20)).unwrap(), expected);
                }
            });
        }
        let publisher = topic.publisher().unwrap();
        for message in 0..2000u64 {
            if message % 500 == 0 {
                std::thread::sleep(Duration::from_millis(20));
            }
            publisher.publish_timeout(&message, Duration::from_secs(20)).unwrap();
        }
    });
}
