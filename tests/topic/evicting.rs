//! Evicting a gating subscriber: by a call, by its lag, while it reads in place, while it sleeps.

use crate::support::harness::Case;
use crate::support::process::{fork, shared_words, wait_for_count};
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{BY_ITSELF, PATIENCE};
use shmq::{GetError, PutError, SubscriberKind, Topic};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        an_evicted_subscriber_learns_once_and_reads_on,
        evicting_what_does_not_gate_says_so,
        an_id_names_one_subscriber_for_ever,
        an_eviction_lets_a_sleeping_publisher_go_on,
        a_sleeping_subscriber_learns_of_it_at_once,
        a_sample_pins_its_message_until_it_is_dropped,
        an_evicted_one_leaves_without_learning,
        a_process_with_open_loans_ends_the_evicted,
        those_that_lag_too_far_are_evicted_by_publishers,
        a_lag_that_is_larger_than_the_capacity_evicts_no_one,
        a_stopped_process_with_a_sample_is_named_until_it_goes_on,
        the_evicted_are_no_gating_subscribers,
    ]
}

fn an_evicted_subscriber_learns_once_and_reads_on() {
    let topic = Topic::<u64>::new(4).unwrap();
    for (verb, published) in (0..6).flat_map(|verb| [(verb, 2u64), (verb, 100)]) {
        let mut every = topic.subscribe().unwrap();
        assert!(topic.evict(every.id()).unwrap());
        assert_eq!(topic.subscribers()[0].kind, SubscriberKind::Evicted);
        assert!(every.is_gating(), "it does not know yet");
        (0..published).for_each(|n| topic.try_publish(&n).unwrap());
        let error = match verb {
            0 => every.next().map(drop),
            1 => every.try_next().map(drop),
            2 => every.next_slice(&mut [0; 3]).map(drop),
            3 => every.latest().map(drop),
            4 => every.next_boxed().map(drop),
            _ => every.read().map(drop),
        };
        assert!(matches!(error, Err(GetError::Evicted)), "verb {verb}: {error:?}");
        assert!(!every.is_gating());
        assert_eq!(topic.subscribers()[0].kind, SubscriberKind::Lossy);
        let mut missed = 0;
        let mut received = Vec::new();
        loop {
            match every.try_next() {
                Ok(message) => received.push(message),
                Err(GetError::Lagged { missed: now }) => missed += now,
                Err(error) => break assert!(error.is_empty(), "{error}"),
            }
        }
        assert!(received.into_iter().eq(missed..published) && (missed > 0) == (published == 100));
        assert!(matches!(every.try_read().map(drop), Err(GetError::NotGating)));
    }
    assert_eq!(topic.stats().evictions, 12);
}

fn evicting_what_does_not_gate_says_so() {
    let topic = Topic::<u64>::new(4).unwrap();
    let (every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    assert!(!topic.evict(live.id()).unwrap(), "a lossy one");
    let id = every.id();
    assert!(topic.evict(id).unwrap());
    assert!(!topic.evict(id).unwrap(), "twice");
    assert!(matches!(every.try_next(), Err(GetError::Evicted)));
    assert!(!topic.evict(id).unwrap(), "it is lossy by now");
    drop(every);
    assert!(!topic.evict(id).unwrap(), "it has gone");
    assert_eq!(topic.stats().evictions, 1);
    assert!(live.try_next().unwrap_err().is_empty());
}

fn an_id_names_one_subscriber_for_ever() {
    let topic = Topic::<u64>::new(4).unwrap();
    let mut ids = Vec::new();
    for _ in 0..100 {
        let every = topic.subscribe().unwrap();
        for &old in &ids {
            assert!(!topic.evict(old).unwrap(), "{old} of {ids:?}");
        }
        assert!(!ids.contains(&every.id()));
        ids.push(every.id());
        topic.publish(&1).unwrap();
        assert_eq!(every.next().unwrap(), 1);
    }
}

fn an_eviction_lets_a_sleeping_publisher_go_on() {
    let topic = Topic::<u64>::new(2).unwrap();
    let slow = topic.subscribe().unwrap();
    topic.publish_slice(&[1, 2]).unwrap();
    let publishing = topic.clone();
    let sleeper = start_and_wait_until_asleep("a publisher", move || publishing.publish_timeout(&3, PATIENCE));
    assert!(topic.evict(slow.id()).unwrap());
    sleeper.join().unwrap();
    // Not by its own probe, but by the call.
    assert!(topic.stats().blocked_publish_time < Duration::from_secs(5), "{:?}", topic.stats());
}

fn a_sleeping_subscriber_learns_of_it_at_once() {
    let topic = Topic::<u64>::new(2).unwrap();
    for sleeps_in_place in [false, true] {
        let mut every = topic.subscribe().unwrap();
        let id = every.id();
        let sleeper = start_and_wait_until_asleep("a subscriber", move || {
            let error = if sleeps_in_place { every.read().map(drop) } else { every.next().map(drop) };
            (error, every.is_gating(), every.next_timeout(BY_ITSELF))
        });
        assert!(topic.evict(id).unwrap());
        crate::support::wait_until(
            "it to learn",
            || topic.subscribers()[0].kind == SubscriberKind::Lossy,
            || crate::describe(&topic),
        );
        topic.publish(&7).unwrap();
        let (error, gates, next) = sleeper.join();
        assert!(matches!(error, Err(GetError::Evicted)) && !gates);
        assert_eq!(next.unwrap(), 7);
    }
}

fn a_sample_pins_its_message_until_it_is_dropped() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let mut every = topic.subscribe().unwrap();
    let id = every.id();
    topic.publish(&[1; 3000]).unwrap();
    let sample = every.read().unwrap();
    assert!(topic.evict(id).unwrap());
    let full = loop {
        if let Err(error) = topic.try_publish(&[2; 3000]) {
            break error;
        }
    };
    let me = std::process::id();
    assert!(matches!(full, PutError::Gated { subscriber, pid, .. } if subscriber == id && pid == me), "{full:?}");
    let late = topic.publish_timeout(&[2; 3000], Duration::from_millis(250)).unwrap_err();
    assert!(matches!(late, PutError::Gated { subscriber, timed_out: true, .. } if subscriber == id), "{late:?}");
    assert_eq!(topic.recover().subscribers, 0, "its process is alive");
    assert!(sample.iter().all(|&byte| byte == 1));
    // Dropping it lets a publisher go on that sleeps.
    let publishing = topic.clone();
    let sleeper = start_and_wait_until_asleep("a publisher", move || publishing.publish_timeout(&[3; 3000], PATIENCE));
    drop(sample);
    sleeper.join().unwrap();
    assert!(matches!(every.try_next(), Err(GetError::Evicted)));
    for _ in 0..20 {
        topic.try_publish(&[4; 3000]).unwrap();
    }
    assert_eq!(every.received() + every.missed() + every.lag(), topic.stats().published);
}

fn an_evicted_one_leaves_without_learning() {
    let topic = Topic::<u64>::new(2).unwrap();
    let every = topic.subscribe().unwrap();
    topic.publish_slice(&[1, 2]).unwrap();
    assert!(topic.evict(every.id()).unwrap());
    drop(every);
    assert!(topic.subscribers().is_empty());
    topic.try_publish(&3).unwrap();
    // Evicted by a publisher, then gone.
    let topic = Topic::<u64>::builder().capacity(4).max_lag_before_evict(2).create().unwrap();
    let every = topic.subscribe().unwrap();
    (0..100).for_each(|n| topic.try_publish(&n).unwrap());
    drop(every);
    assert!(topic.subscribers().is_empty());
    // The line is free for the next one.
    let next = topic.subscribe().unwrap();
    topic.publish(&5).unwrap();
    assert_eq!(next.next().unwrap(), 5);
    // No loan is excluded by it.
    drop(topic.loan().unwrap());
}

fn a_process_with_open_loans_ends_the_evicted() {
    let topic = Topic::<u64>::new(4).unwrap();
    let every = topic.subscribe().unwrap();
    let loan = topic.loan().unwrap();
    assert!(topic.evict(every.id()).unwrap());
    for _ in 0..3 {
        assert!(matches!(every.try_next(), Err(GetError::Evicted)));
        assert!(matches!(every.latest(), Err(GetError::Evicted)));
        assert!(matches!(every.next_slice(&mut [0]), Err(GetError::Evicted)));
    }
    loan.commit().unwrap();
    assert!(matches!(every.next(), Err(GetError::Evicted)), "it has ended for good");
    let mut items = every.iter();
    assert!(matches!(items.next(), Some(Err(GetError::Evicted))));
    drop(every);
    // It never counted as a lossy reader.
    topic.try_loan().unwrap().commit().unwrap();
    // One that reads on as a lossy one excludes loans, until it is dropped.
    let every = topic.subscribe().unwrap();
    assert!(topic.evict(every.id()).unwrap());
    assert!(matches!(every.try_next(), Err(GetError::Evicted)));
    assert!(matches!(topic.try_loan(), Err(PutError::LossyHere)));
    drop(every);
    drop(topic.try_loan().unwrap());
}

fn those_that_lag_too_far_are_evicted_by_publishers() {
    for owned in [false, true] {
        let topic = Topic::<u64>::builder().capacity(64).max_lag_before_evict(50).create().unwrap();
        let (slow, quick) = (topic.subscribe().unwrap(), topic.subscribe().unwrap());
        let publisher = owned.then(|| topic.publisher().unwrap());
        for n in 0..1000u64 {
            match &publisher {
                Some(publisher) => publisher.publish_timeout(&n, BY_ITSELF).unwrap(),
                None => topic.publish_timeout(&n, BY_ITSELF).unwrap(),
            }
            assert_eq!(quick.next().unwrap(), n);
        }
        assert_eq!(topic.stats().evictions, 1);
        assert!(matches!(slow.next(), Err(GetError::Evicted)));
        let error = slow.next().unwrap_err();
        let GetError::Lagged { missed } = error else { panic!("{error:?}") };
        assert_eq!(slow.next().unwrap(), missed);
        // A lag of less is waited for.
        assert!(quick.is_gating());
    }
    // Of slices, as well: counted in messages.
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 14).max_lag_before_evict(5).create().unwrap();
    let slow = topic.subscribe().unwrap();
    (0..500).for_each(|_| topic.try_publish(&[1; 300]).unwrap());
    assert!(matches!(slow.next(), Err(GetError::Evicted)));
    assert_eq!(topic.stats().evictions, 1);
}

fn a_lag_that_is_larger_than_the_capacity_evicts_no_one() {
    let topic = Topic::<u64>::builder().capacity(8).max_lag_before_evict(9).create().unwrap();
    let slow = topic.subscribe().unwrap();
    (0..8).for_each(|n| topic.try_publish(&n).unwrap());
    assert!(topic.try_publish(&8).unwrap_err().is_full());
    assert!(topic.publish_timeout(&8, Duration::from_millis(20)).unwrap_err().is_timeout());
    assert_eq!((topic.stats().evictions, slow.next().unwrap()), (0, 0));
}

fn a_stopped_process_with_a_sample_is_named_until_it_goes_on() {
    let topic = Topic::<[u64; 64]>::new(4).unwrap();
    let words = shared_words(2);
    let mut reader = fork("a subscriber that is stopped with a sample", || {
        let mut every = topic.subscribe().unwrap();
        words[0].store(1, Release);
        let sample = every.read_timeout(PATIENCE).unwrap();
        words[0].store(2, Release);
        while words[1].load(Acquire) == 0 {
            assert!(sample.iter().all(|&word| word == 1), "overwritten: {:?}", *sample);
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(sample);
        assert!(matches!(every.next(), Err(GetError::Evicted)));
        while every.latest().map(|message| message[0]).ok() != Some(3) {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    wait_for_count("the subscriber", &words[0], 1);
    (0..4).for_each(|_| topic.publish(&[1; 64]).unwrap());
    wait_for_count("its sample", &words[0], 2);
    reader.stop();
    let id = topic.subscribers()[0].id;
    assert!(topic.subscribers()[0].has_sample && topic.subscribers()[0].is_alive);
    assert!(topic.evict(id).unwrap());
    let late = topic.publish_timeout(&[2; 64], Duration::from_millis(300)).unwrap_err();
    let pid = reader.pid();
    assert!(matches!(late, PutError::Gated { subscriber, pid: named, .. } if subscriber == id && named == pid), "{late:?}");
    reader.go_on();
    words[1].store(1, Release);
    for _ in 0..10 {
        topic.publish_timeout(&[2; 64], BY_ITSELF).unwrap();
    }
    topic.publish(&[3; 64]).unwrap();
    reader.expect_success();
    assert_eq!(words[0].load(Relaxed), 2);
}

fn the_evicted_are_no_gating_subscribers() {
    let topic = Topic::<u64>::new(4).unwrap();
    let (first, _second) = (topic.subscribe().unwrap(), topic.subscribe().unwrap());
    topic.wait_subscribers(2, Duration::ZERO).unwrap();
    assert!(topic.evict(first.id()).unwrap());
    let error = topic.wait_subscribers(2, Duration::from_millis(5)).unwrap_err();
    assert!(matches!(error, shmq::WaitSubscribersError::Timeout { found: 1, wanted: 2 }), "{error:?}");
}
