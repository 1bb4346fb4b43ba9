//! The bound: exactly so many messages ahead of the slowest gating subscriber, whatever publishes.

use crate::support::harness::Case;
use shmq::{PutError, Subscriber, Topic};

pub fn cases() -> Vec<Case> {
    crate::cases![
        every_capacity_is_exact_for_every_verb,
        the_slowest_of_many_decides,
        a_subscriber_that_joins_at_a_full_topic_is_not_in_the_way,
        what_leaves_opens_the_gate,
        the_ring_of_slices_holds_two_of_the_largest_at_least,
        each_slice_that_is_read_makes_room,
        a_lossy_subscriber_finds_a_whole_capacity,
    ]
}

/// Publishes one message at once, by the verb of that number.
fn publish(topic: &Topic<u64>, verb: usize, message: u64) -> Result<(), PutError> {
    match verb {
        0 => topic.try_publish(&message),
        1 => topic.try_publish_slice(&[message]).map(drop),
        2 => {
            let mut loan = topic.try_loan()?;
            *loan = message;
            loan.commit()
        }
        _ => {
            let publisher = topic.publisher().unwrap();
            match verb {
                3 => publisher.try_publish(&message),
                4 => publisher.try_publish_slice(&[message]).map(drop),
                _ => {
                    let mut loan = publisher.try_loan()?;
                    *loan = message;
                    loan.commit()
                }
            }
        }
    }
}

const VERBS: usize = 6;

#[track_caller]
fn is_full(topic: &Topic<u64>, slow: &Subscriber<u64>, what: &str) {
    for verb in 0..VERBS {
        let error = publish(topic, verb, 0).unwrap_err();
        let PutError::Gated { subscriber, lag, timed_out: false, .. } = error else { panic!("{what}, verb {verb}: {error:?}") };
        assert_eq!((subscriber, lag), (slow.id(), topic.capacity() as u64), "{what}, verb {verb}");
    }
}

fn every_capacity_is_exact_for_every_verb() {
    for capacity in (1..=20).chain([31, 32, 33, 127, 128, 129, 511, 512, 4095, 4096, 4097]) {
        for offset in [0, 1, capacity / 2, capacity + 1] {
            let what = format!("capacity {capacity}, offset {offset}");
            let topic = Topic::<u64>::new(capacity).unwrap();
            assert_eq!(topic.capacity(), capacity);
            let slow = topic.subscribe().unwrap();
            let mut published = 0..;
            let mut publish_one = || {
                let message = published.next().unwrap();
                publish(&topic, message as usize % VERBS, message).unwrap_or_else(|error| panic!("{what}: {message}: {error}"));
            };
            let mut received = 0..;
            let mut receive = || assert_eq!(slow.try_next().unwrap(), received.next().unwrap(), "{what}");
            for _ in 0..offset {
                publish_one();
                receive();
            }
            (0..capacity).for_each(|_| publish_one());
            is_full(&topic, &slow, &what);
            for batch in [1, capacity / 3, capacity] {
                (0..batch).for_each(|_| receive());
                (0..batch).for_each(|_| publish_one());
                is_full(&topic, &slow, &what);
            }
        }
    }
}

fn the_slowest_of_many_decides() {
    let capacity = 24;
    let topic = Topic::<u64>::new(capacity).unwrap();
    let subscribers: Vec<_> = (0..7).map(|_| topic.subscribe().unwrap()).collect();
    for round in 0..200u64 {
        // Another one is the slowest each time.
        let slowest = (round * 5 % 7) as usize;
        while topic.try_publish(&round).is_ok() {}
        assert!(subscribers.iter().any(|subscriber| subscriber.lag() == capacity as u64));
        for (place, subscriber) in subscribers.iter().enumerate() {
            let reads = if place == slowest { 1 } else { 1 + (round + place as u64) % 9 };
            for _ in 0..reads.min(subscriber.lag()) {
                subscriber.try_next().unwrap();
            }
        }
        let most = subscribers.iter().map(Subscriber::lag).max().unwrap();
        for _ in most..capacity as u64 {
            topic.try_publish(&round).unwrap();
        }
        let error = topic.try_publish(&round).unwrap_err();
        let PutError::Gated { subscriber, lag, .. } = error else { panic!("{error:?}") };
        let named = subscribers.iter().find(|one| one.id() == subscriber).unwrap();
        assert_eq!((lag, named.lag()), (capacity as u64, capacity as u64));
    }
}

fn a_subscriber_that_joins_at_a_full_topic_is_not_in_the_way() {
    for capacity in [1, 2, 9, 100] {
        let topic = Topic::<u64>::new(capacity).unwrap();
        let slow = topic.subscribe().unwrap();
        (0..capacity as u64).for_each(|n| topic.try_publish(&n).unwrap());
        let late = topic.subscribe().unwrap();
        assert_eq!(late.lag(), 0);
        is_full(&topic, &slow, "a late one");
        for n in 0..capacity as u64 {
            assert_eq!(slow.next().unwrap(), n);
            topic.try_publish(&(n + capacity as u64)).unwrap();
            is_full_of_either(&topic, &[&slow, &late]);
            assert_eq!(late.lag(), n + 1);
        }
        // Now both are a whole capacity behind.
        slow.next().unwrap();
        is_full(&topic, &late, "the late one");
        assert_eq!(late.next().unwrap(), capacity as u64, "the first that was published after it joined");
        topic.try_publish(&0).unwrap();
    }
}

#[track_caller]
fn is_full_of_either(topic: &Topic<u64>, slow: &[&Subscriber<u64>]) {
    let error = topic.try_publish(&0).unwrap_err();
    let PutError::Gated { subscriber, .. } = error else { panic!("{error:?}") };
    assert!(slow.iter().any(|one| one.id() == subscriber));
}

fn what_leaves_opens_the_gate() {
    let topic = Topic::<u64>::new(4).unwrap();
    let (slow, quick) = (topic.subscribe().unwrap(), topic.subscribe().unwrap());
    (0..4).for_each(|n| topic.publish(&n).unwrap());
    (0..3).for_each(|n| assert_eq!(quick.next().unwrap(), n));
    is_full(&topic, &slow, "the slow one");
    drop(slow);
    (4..7).for_each(|n| topic.try_publish(&n).unwrap());
    is_full(&topic, &quick, "the quick one");
    drop(quick);
    (0..1000).for_each(|n| topic.try_publish(&n).unwrap());
    assert!(topic.subscribers().is_empty());
}

fn the_ring_of_slices_holds_two_of_the_largest_at_least() {
    for bytes in [4096, 1 << 14, 100_000, 1 << 20] {
        let topic = Topic::<[u8]>::builder().capacity_bytes(bytes).create().unwrap();
        assert!(topic.capacity_bytes() >= bytes && topic.capacity() == usize::MAX);
        let largest = vec![3; topic.max_len()];
        let slow = topic.subscribe().unwrap();
        for _ in 0..7 {
            // Wherever the cursors stand, one of the largest fits, and the topic is full at last.
            let mut ahead = 0;
            let full = loop {
                match topic.try_publish(&largest) {
                    Ok(()) => ahead += 1,
                    Err(error) => break error,
                }
            };
            assert!(ahead >= 1, "{bytes} bytes: {full:?}");
            assert!(matches!(full, PutError::Gated { lag, .. } if lag == ahead), "{full:?}");
            for _ in 0..ahead {
                assert_eq!(slow.try_next().unwrap(), largest);
            }
            topic.try_publish(&[1]).unwrap();
            assert_eq!(slow.try_next().unwrap(), [1]);
        }
        let too_long = vec![3; topic.max_len() + 1];
        let max = topic.max_len();
        assert!(
            matches!(topic.try_publish(&too_long), Err(PutError::TooLarge { len, max: most }) if len == max + 1 && most == max)
        );
        assert!(matches!(topic.try_loan_len(max + 1).map(drop), Err(PutError::TooLarge { .. })));
        assert!(matches!(topic.publisher().unwrap().try_publish(&too_long), Err(PutError::TooLarge { .. })));
    }
}

fn each_slice_that_is_read_makes_room() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let slow = topic.subscribe().unwrap();
    let message = |n: u64| crate::support::pattern(n, 100);
    let (mut published, mut received) = (0, 0);
    while topic.try_publish(&message(published)).is_ok() {
        published += 1;
    }
    // Records of 100 bytes take two cells of 64 each.
    assert!(published >= (1 << 14) / 128 - 2, "{published} messages of 100 bytes fill 16 KiB");
    for _ in 0..1000 {
        assert_eq!(slow.try_next().unwrap(), message(received));
        received += 1;
        // One record of the same size, or none where the ring's end is in the way, then two.
        while topic.try_publish(&message(published)).is_ok() {
            published += 1;
        }
        assert!(published - received + 3 > (1 << 14) / 128 - 2, "{published} published, {received} received");
    }
}

fn a_lossy_subscriber_finds_a_whole_capacity() {
    for capacity in [1, 2, 3, 8, 9, 64, 100, 1000] {
        for published in [0, 1, capacity - 1, capacity, capacity + 1, 3 * capacity + 1, 17 * capacity] {
            let topic = Topic::<u64>::new(capacity).unwrap();
            let live = topic.subscribe_lossy().unwrap();
            (0..published as u64).for_each(|n| topic.try_publish(&n).unwrap());
            let mut missed = 0;
            let mut received = Vec::new();
            loop {
                match live.try_next() {
                    Ok(message) => received.push(message),
                    Err(shmq::GetError::Lagged { missed: now }) => missed += now,
                    Err(error) => break assert!(error.is_empty(), "{error}"),
                }
            }
            assert!(received.iter().copied().eq(missed..published as u64), "{missed} missed, {received:?}");
            assert!(received.len() >= capacity.min(published), "capacity {capacity}, {published} published: {received:?}");
        }
    }
}
