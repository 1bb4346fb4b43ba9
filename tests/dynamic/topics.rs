//! Topics by bytes, beside typed ones.

use super::{TICK, Tick};
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{PATIENCE, unique_name};
use shmq::{DynTopic, GetError, MessageLayout, PutError, Start, Topic, wait_any_timeout};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_typed_publisher_and_a_subscriber_by_bytes,
        a_publisher_by_bytes_and_a_typed_subscriber,
        slices_reach_both_kinds_of_subscribers,
        a_lossy_subscriber_learns_what_it_missed,
        a_slow_subscriber_is_named_and_evicted,
        loans_and_samples_by_bytes,
        a_subscriber_is_waited_for_with_others,
    ]
}

const COUNT: u32 = 1_000;

fn a_typed_publisher_and_a_subscriber_by_bytes() {
    let name = unique_name("typed-publisher");
    let topic = Topic::<Tick>::create(&name, 32).unwrap();
    let reader = fork("a subscriber by bytes", || {
        let bytes = DynTopic::open(&name).unwrap();
        assert_eq!(bytes.layout().structure_text(), Some(TICK));
        let mut every = bytes.subscribe().unwrap();
        let mut buffer = [0; 24];
        for n in 0..COUNT {
            let expected = Tick::bytes(n);
            match n % 4 {
                0 => assert_eq!(every.next_timeout(PATIENCE).unwrap(), expected),
                1 => {
                    assert_eq!(every.next_into_timeout(&mut buffer, PATIENCE).unwrap(), 24);
                    assert_eq!(buffer[..], expected);
                }
                2 => assert_eq!(*every.read_timeout(PATIENCE).unwrap(), expected),
                _ => {
                    assert_eq!(every.next_slice_timeout(&mut buffer, PATIENCE).unwrap(), 1);
                    assert_eq!(buffer[..], expected);
                }
            }
        }
        assert_eq!((every.received(), every.missed()), (u64::from(COUNT), 0));
    });
    topic.wait_subscribers(1, PATIENCE).unwrap();
    (0..COUNT).for_each(|n| topic.publish_timeout(&Tick::numbered(n), PATIENCE).unwrap());
    reader.expect_success();
}

fn a_publisher_by_bytes_and_a_typed_subscriber() {
    let name = unique_name("publisher-by-bytes");
    let topic = Topic::<Tick>::create(&name, 32).unwrap();
    let every = topic.subscribe().unwrap();
    let publisher = fork("a publisher by bytes", || {
        let topic = DynTopic::open(&name).unwrap();
        for n in (0..COUNT / 2).step_by(4) {
            topic.publish_timeout(&Tick::bytes(n), PATIENCE).unwrap();
            let mut loan = topic.loan_timeout(PATIENCE).unwrap();
            loan.copy_from_slice(&Tick::bytes(n + 1));
            loan.commit().unwrap();
            let two = [Tick::bytes(n + 2), Tick::bytes(n + 3)].concat();
            assert_eq!(topic.publish_slice_timeout(&two, PATIENCE).unwrap(), 2);
        }
        let publisher = topic.publisher().unwrap();
        assert!(matches!(topic.publish(&Tick::bytes(0)), Err(PutError::Held { .. })));
        for n in (COUNT / 2..COUNT).step_by(4) {
            publisher.publish_timeout(&Tick::bytes(n), PATIENCE).unwrap();
            let mut loan = publisher.loan_timeout(PATIENCE).unwrap();
            loan.copy_from_slice(&Tick::bytes(n + 1));
            loan.commit().unwrap();
            let two = [Tick::bytes(n + 2), Tick::bytes(n + 3)].concat();
            assert_eq!(publisher.publish_slice_timeout(&two, PATIENCE).unwrap(), 2);
        }
    });
    for n in 0..COUNT {
        assert_eq!(every.next_timeout(PATIENCE).unwrap(), Tick::numbered(n));
    }
    publisher.expect_success();
}

fn slices_reach_both_kinds_of_subscribers() {
    let layout = MessageLayout::of::<[u32]>();
    let topic = DynTopic::builder(layout).capacity_bytes(8192).create().unwrap();
    let typed = Topic::<[u32]>::open(topic.name()).unwrap().subscribe().unwrap();
    let untyped = topic.subscribe().unwrap();
    for n in 0..300u32 {
        let numbers: Vec<u32> = (0..n % 20).collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        topic.publish(&bytes).unwrap();
        assert_eq!((typed.next().unwrap(), untyped.next().unwrap()), (numbers, bytes));
    }
}

fn a_lossy_subscriber_learns_what_it_missed() {
    let topic = DynTopic::new(MessageLayout::of::<u64>(), 4).unwrap();
    let lossy = topic.subscribe_lossy().unwrap();
    assert!(!lossy.is_gating());
    (0..100u64).for_each(|n| topic.publish(&n.to_ne_bytes()).unwrap());
    let Err(GetError::Lagged { missed }) = lossy.next() else { panic!("it was lapped") };
    assert_eq!(lossy.next().unwrap(), missed.to_ne_bytes());
    assert_eq!(lossy.latest().unwrap(), 99u64.to_ne_bytes());
    assert!(matches!(lossy.try_next_into(&mut [0; 8]), Err(GetError::Empty)));
    assert!(matches!(topic.loan(), Err(PutError::LossyHere)));
}

fn a_slow_subscriber_is_named_and_evicted() {
    let topic = DynTopic::new(MessageLayout::of::<u64>(), 2).unwrap();
    let slow = topic.subscribe().unwrap();
    let full = loop {
        if let Err(full) = topic.try_publish(&[1; 8]) {
            break full;
        }
    };
    assert!(matches!(full, PutError::Gated { subscriber, .. } if subscriber == slow.id()), "{full:?}");
    let full = topic.publisher().unwrap().try_publish_slice(&[1; 16]).unwrap_err();
    assert!(matches!(full, PutError::Gated { subscriber, .. } if subscriber == slow.id()), "{full:?}");
    assert!(topic.evict(slow.id()).unwrap());
    topic.publish(&[2; 8]).unwrap();
    assert!(matches!(slow.next(), Err(GetError::Evicted)));
    assert_eq!(topic.stats().published, topic.subscribe_from(Start::Now).unwrap().lag() + topic.stats().published);
}

fn loans_and_samples_by_bytes() {
    for topic in [
        DynTopic::new(MessageLayout::of::<u64>(), 8).unwrap(),
        DynTopic::builder(MessageLayout::slice(4, 4).unwrap()).capacity_bytes(4096).create().unwrap(),
    ] {
        let (mut every, other) = (topic.subscribe().unwrap(), topic.subscribe().unwrap());
        for n in 0..50 {
            drop(topic.loan_len(8).unwrap()); // passed
            let mut loan = topic.loan_len(8).unwrap();
            loan.fill(n);
            loan.commit().unwrap();
            let sample = every.read().unwrap();
            assert_eq!((&*sample, other.next().unwrap()), (&[n; 8][..], vec![n; 8]));
        }
        topic.close();
        assert!(matches!(every.read(), Err(GetError::Closed)));
        assert_eq!(other.iter().count(), 0);
    }
}

fn a_subscriber_is_waited_for_with_others() {
    let topic = DynTopic::new(MessageLayout::of::<u64>(), 8).unwrap();
    let (first, second) = (topic.subscribe().unwrap(), topic.subscribe().unwrap());
    topic.publish(&[1; 8]).unwrap();
    first.next().unwrap();
    assert_eq!(wait_any_timeout(&[&first, &second], PATIENCE).unwrap(), 1);
}
