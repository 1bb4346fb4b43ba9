//! Where a new subscriber begins, in a topic that stands still.

use crate::support::harness::Case;
use crate::support::{matches_pattern, pattern};
use shmq::{Start, Topic};

pub fn cases() -> Vec<Case> {
    crate::cases![
        back_and_oldest_of_values,
        as_much_history_is_kept_as_was_asked_for,
        a_gating_subscriber_behind_keeps_more,
        back_and_oldest_of_slices,
        messages_before_the_first_do_not_exist,
        places_back_count_aborted_loans,
        a_subscriber_that_begins_back_gates_from_there,
        received_and_missed_count_from_the_first_message,
    ]
}

fn back_and_oldest_of_values() {
    for capacity in [1u64, 2, 7, 8, 64, 100, 1000] {
        for published in [0, 1, capacity / 2, capacity, capacity + 1, 2 * capacity + 3, 10 * capacity] {
            let topic = Topic::<u64>::new(capacity as usize).unwrap();
            (0..published).for_each(|n| topic.try_publish(&n).unwrap());
            let what = format!("capacity {capacity}, {published} published");
            let kept = (capacity / 2).min(published);
            for back in [0, 1, kept, kept + 1, capacity, u64::MAX] {
                for gates in [false, true] {
                    let start = Start::Back(back);
                    let subscriber = if gates { topic.subscribe_from(start) } else { topic.subscribe_lossy_from(start) }.unwrap();
                    let lag = subscriber.lag();
                    assert!(lag <= back && lag <= published, "{what}: {lag} of {back} back");
                    assert!(lag >= back.min(kept), "{what}: {lag} of {back} back, of which {kept} are kept");
                    for n in published - lag..published {
                        assert_eq!(subscriber.try_next().unwrap(), n, "{what}");
                    }
                    assert!(subscriber.try_next().unwrap_err().is_empty());
                }
            }
            for gates in [false, true] {
                let oldest = if gates { topic.subscribe_from(Start::Oldest) } else { topic.subscribe_lossy_from(Start::Oldest) };
                let oldest = oldest.unwrap();
                assert!(oldest.lag() >= kept, "{what}: {} left", oldest.lag());
                let first = published - oldest.lag();
                assert_eq!(oldest.try_next().ok(), (first < published).then_some(first), "{what}");
            }
            // None of them is in the way.
            (0..capacity).for_each(|n| topic.try_publish(&n).unwrap());
        }
    }
}

fn as_much_history_is_kept_as_was_asked_for() {
    for (capacity, history) in [(8usize, 1u64), (8, 7), (100, 80), (100, 87), (1000, 10), (1000, 875)] {
        let topic = Topic::<u64>::builder().capacity(capacity).history(history as usize).create().unwrap();
        let publisher = topic.publisher().unwrap();
        for n in 0..5 * capacity as u64 {
            publisher.try_publish(&n).unwrap();
            if n % 7 == 0 {
                let all = history.min(n + 1);
                for subscriber in [topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap()] {
                    assert_eq!(subscriber.lag(), all, "capacity {capacity}, history {history}, {} published", n + 1);
                    assert_eq!(subscriber.try_next().unwrap(), n + 1 - all);
                }
            }
        }
    }
}

fn a_gating_subscriber_behind_keeps_more() {
    let topic = Topic::<u64>::new(64).unwrap();
    (0..1000).for_each(|n| topic.publish(&n).unwrap());
    let slow = topic.subscribe().unwrap();
    (1000..1064).for_each(|n| topic.try_publish(&n).unwrap());
    assert!(topic.try_publish(&0).unwrap_err().is_full());
    let second = topic.subscribe_from(Start::Back(64)).unwrap();
    assert_eq!((second.lag(), second.try_next().unwrap(), slow.try_next().unwrap()), (64, 1000, 1000));
    let oldest = topic.subscribe_from(Start::Oldest).unwrap();
    assert!(oldest.lag() >= 63, "{}", oldest.lag());
    drop((slow, second));
    assert!(matches!(topic.try_publish(&0), Ok(()) | Err(shmq::PutError::Gated { .. })));
}

fn back_and_oldest_of_slices() {
    for bytes in [4096usize, 1 << 16] {
        let topic = Topic::<[u8]>::builder().capacity_bytes(bytes).create().unwrap();
        let message = |n: u64| pattern(n, (n * 37 % 300) as usize);
        for published in 0..600u64 {
            for back in [0, 1, 2, 5, 9, 1000, u64::MAX] {
                for gates in [false, true] {
                    if published % 13 != back % 13 && published > 40 {
                        continue;
                    }
                    let start = if back == u64::MAX { Start::Oldest } else { Start::Back(back) };
                    let subscriber = if gates { topic.subscribe_from(start) } else { topic.subscribe_lossy_from(start) }.unwrap();
                    let lag = subscriber.lag();
                    // A half of the ring: each takes 384 bytes at most.
                    let kept = (bytes as u64 / 2 / 384).min(published);
                    assert!(lag <= back && lag <= published && lag >= back.min(kept), "{lag} of {back} of {published}");
                    for n in published - lag..published {
                        let got = subscriber.try_next().unwrap();
                        assert!(got.len() == message(n).len() && matches_pattern(n, &got), "{n} of {published}, {back} back");
                    }
                    assert!(subscriber.try_next().unwrap_err().is_empty());
                    assert_eq!((subscriber.received(), subscriber.missed()), (lag, 0));
                }
            }
            topic.try_publish(&message(published)).unwrap();
        }
    }
}

fn messages_before_the_first_do_not_exist() {
    let topic = Topic::<u64>::builder().capacity(8).history(7).create().unwrap();
    for start in [Start::Now, Start::Oldest, Start::Back(5)] {
        let (every, live) = (topic.subscribe_from(start).unwrap(), topic.subscribe_lossy_from(start).unwrap());
        assert_eq!((every.lag(), live.lag()), (0, 0));
        assert!(every.try_next().unwrap_err().is_empty() && live.latest().unwrap_err().is_empty());
    }
    let slices = Topic::<[u8]>::builder().capacity_bytes(4096).history(7).create().unwrap();
    let (every, live) = (slices.subscribe_from(Start::Oldest).unwrap(), slices.subscribe_lossy().unwrap());
    assert!(every.try_next().unwrap_err().is_empty() && live.latest().unwrap_err().is_empty());
    slices.publish(b"first").unwrap();
    assert_eq!((every.next().unwrap(), live.latest().unwrap()), (b"first".to_vec(), b"first".to_vec()));
}

fn places_back_count_aborted_loans() {
    let topic = Topic::<u64>::new(16).unwrap();
    topic.publish_slice(&[1, 2]).unwrap();
    drop(topic.loan().unwrap());
    drop(topic.loan().unwrap());
    let every = topic.subscribe_from(Start::Back(3)).unwrap();
    assert_eq!((every.lag(), every.try_next().unwrap()), (3, 2));
    assert!(every.try_next().unwrap_err().is_empty());
    assert_eq!((every.received(), every.missed(), every.lag()), (1, 2, 0));
}

fn a_subscriber_that_begins_back_gates_from_there() {
    let topic = Topic::<u64>::new(16).unwrap();
    (0..100).for_each(|n| topic.publish(&n).unwrap());
    let back = topic.subscribe_from(Start::Back(6)).unwrap();
    (100..110).for_each(|n| topic.try_publish(&n).unwrap());
    let full = topic.try_publish(&0).unwrap_err();
    assert!(matches!(full, shmq::PutError::Gated { lag: 16, subscriber, .. } if subscriber == back.id()), "{full:?}");
    for n in 94..110 {
        assert_eq!(back.try_next().unwrap(), n);
        topic.try_publish(&0).unwrap();
        assert!(topic.try_publish(&0).unwrap_err().is_full());
    }
}

fn received_and_missed_count_from_the_first_message() {
    let topic = Topic::<u64>::new(16).unwrap();
    (0..50).for_each(|n| topic.publish(&n).unwrap());
    let now = topic.subscribe().unwrap();
    let back = topic.subscribe_from(Start::Back(4)).unwrap();
    topic.publish_slice(&[50, 51]).unwrap();
    assert_eq!((now.latest().unwrap(), back.latest().unwrap()), (51, 51));
    assert_eq!((now.received(), now.missed(), back.received(), back.missed()), (1, 1, 1, 5));
    // What `subscribers` shows is the same.
    let seen: Vec<_> = topic.subscribers().iter().map(|one| (one.id, one.received, one.missed, one.lag)).collect();
    assert_eq!(seen, [(now.id(), 1, 1, 0), (back.id(), 1, 5, 0)]);
}
