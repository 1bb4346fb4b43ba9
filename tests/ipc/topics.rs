//! Topics whose processes die: a loan in the way of a long message, and what a new life finds.

use super::deaths::victim;
use crate::support::harness::Case;
use crate::support::{BY_ITSELF, unique_name};
use shmq::{PutError, Start, Topic};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_dead_loan_is_no_obstacle_to_a_long_message,
        what_keeps_a_long_message_out_is_named,
        a_topic_of_the_dead_goes_on,
        a_closed_topic_of_the_dead_is_replaced,
    ]
}

const LONG: [u8; 1500] = [7; 1500];

/// The dead loan is nearly a whole ring back, where a message of no bytes has room yet.
fn a_dead_loan_is_no_obstacle_to_a_long_message() {
    for owned in [false, true] {
        let topic = Topic::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
        let child = victim("a publisher with a loan", |ready| {
            let _loan = topic.loan_len(100).unwrap();
            ready();
        });
        let pid = child.pid();
        let stopped = loop {
            match topic.try_publish(&LONG) {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(stopped, PutError::BehindLoan { pid: named, timed_out: false } if named == pid), "{stopped:?}");
        topic.try_publish(&[]).expect("a short message has room");
        child.kill();
        if owned {
            let publisher = topic.publisher().unwrap();
            (0..9).for_each(|_| publisher.publish_timeout(&LONG, BY_ITSELF).unwrap());
        } else {
            (0..9).for_each(|_| topic.publish_timeout(&LONG, BY_ITSELF).unwrap());
        }
        assert_eq!(topic.stats().aborted, 1);
    }
}

fn what_keeps_a_long_message_out_is_named() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let slow = topic.subscribe().unwrap();
    let mut published = 0;
    let full = loop {
        match topic.try_publish(&LONG) {
            Ok(()) => published += 1,
            Err(error) => break error,
        }
    };
    topic.try_publish(&[]).expect("a short message has room");
    let PutError::Gated { subscriber, pid, lag, timed_out: false } = full else { panic!("{full:?}") };
    assert_eq!((subscriber, pid, lag), (slow.id(), std::process::id(), published));
    let late = topic.publish_timeout(&LONG, std::time::Duration::ZERO).unwrap_err();
    assert!(matches!(late, PutError::Gated { timed_out: true, .. }), "{late:?}");
    let late = topic.publisher().unwrap().loan_len_timeout(LONG.len(), std::time::Duration::ZERO).unwrap_err();
    assert!(matches!(late, PutError::Gated { timed_out: true, .. }), "{late:?}");
}

fn of_the_dead(close: bool) -> String {
    let name = unique_name("topic-of-the-dead");
    let child = victim("the last user", |ready| {
        let topic = Topic::<u64>::create(&name, 8).unwrap();
        let _every = topic.subscribe().unwrap();
        let publisher = topic.publisher().unwrap();
        publisher.publish_slice(&[1, 2, 3]).unwrap();
        if close {
            topic.close();
        }
        ready();
    });
    child.kill();
    name
}

fn a_topic_of_the_dead_goes_on() {
    let topic = Topic::<u64>::open_or_create(of_the_dead(false), 8).unwrap();
    assert!(topic.subscribers().iter().all(|subscriber| !subscriber.is_alive));
    let (every, now) = (topic.subscribe_from(Start::Oldest).unwrap(), topic.subscribe().unwrap());
    topic.publisher().unwrap().publish_slice(&[4, 5, 6, 7, 8]).unwrap();
    assert_eq!(every.iter().take(8).collect::<Result<Vec<_>, _>>().unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(now.next().unwrap(), 4);
}

fn a_closed_topic_of_the_dead_is_replaced() {
    let topic = Topic::<u64>::open_or_create(of_the_dead(true), 8).unwrap();
    let every = topic.subscribe_from(Start::Oldest).unwrap();
    topic.publish(&4).unwrap();
    assert_eq!(every.next().unwrap(), 4);
}
