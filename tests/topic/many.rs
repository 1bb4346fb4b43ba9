//! As many subscribers as there is room for, and one more.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_words, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE};
use shmq::{SubscribeError, SubscriberKind, Topic};
use std::collections::HashSet;
use std::sync::atomic::Ordering::Release;

pub fn cases() -> Vec<Case> {
    crate::cases![
        sixty_two_by_default_and_no_more,
        a_thousand_subscribers,
        lines_are_used_again_and_again,
        many_processes_subscribe_and_leave_at_once,
        subscribers_are_described_as_they_are,
    ]
}

fn sixty_two_by_default_and_no_more() {
    let topic = Topic::<u64>::new(4).unwrap();
    let mut subscribers: Vec<_> =
        (0..62).map(|n| if n % 3 == 0 { topic.subscribe_lossy().unwrap() } else { topic.subscribe().unwrap() }).collect();
    for refused in [topic.subscribe().unwrap_err(), topic.subscribe_lossy().unwrap_err()] {
        assert!(matches!(refused, SubscribeError::TooManySubscribers { max: 62 }), "{refused:?}");
        assert!(refused.to_string().contains("62 subscribers") && refused.to_string().contains("max_subscribers"), "{refused}");
    }
    // What was refused left nothing: a lossy one would exclude loans.
    subscribers.retain(|one| one.is_gating());
    assert_eq!(subscribers.len(), 41);
    drop(topic.loan().unwrap());
    for n in 0..100 {
        topic.publish(&n).unwrap();
        subscribers.iter().for_each(|one| assert_eq!(one.next().unwrap(), n));
    }
    subscribers.push(topic.subscribe().unwrap());
    assert_eq!(topic.subscribers().len(), 42);
}

fn a_thousand_subscribers() {
    let topic = Topic::<u64>::builder().capacity(8).max_subscribers(1000).create().unwrap();
    let subscribers: Vec<_> = (0..1000).map(|_| topic.subscribe().unwrap()).collect();
    assert!(matches!(topic.subscribe().unwrap_err(), SubscribeError::TooManySubscribers { max: 1000 }));
    topic.wait_subscribers(1000, BY_ITSELF).unwrap();
    let ids: HashSet<_> = subscribers.iter().map(shmq::Subscriber::id).collect();
    assert_eq!((ids.len(), topic.subscribers().len()), (1000, 1000));
    let publisher = topic.publisher().unwrap();
    for round in 0..10 {
        (0..8).for_each(|n| publisher.try_publish(&(round * 8 + n)).unwrap());
        // The last of them all is in the way.
        let last = &subscribers[(round as usize * 331 + 7) % 1000];
        for one in &subscribers {
            for n in 0..if one.id() == last.id() { 7 } else { 8 } {
                assert_eq!(one.try_next().unwrap(), round * 8 + n);
            }
        }
        (0..7).for_each(|_| publisher.try_publish(&0).unwrap());
        let full = publisher.try_publish(&0).unwrap_err();
        assert!(matches!(full, shmq::PutError::Gated { subscriber, lag: 8, .. } if subscriber == last.id()), "{full:?}");
        subscribers.iter().for_each(|one| while one.try_next().is_ok() {});
    }
    drop(subscribers);
    (0..100).for_each(|_| publisher.try_publish(&0).unwrap());
    assert!(topic.subscribers().is_empty());
}

fn lines_are_used_again_and_again() {
    let topic = Topic::<u64>::builder().capacity(4).max_subscribers(2).create().unwrap();
    let stays = topic.subscribe().unwrap();
    for n in 0..5000 {
        let comes = if n % 2 == 0 { topic.subscribe().unwrap() } else { topic.subscribe_lossy().unwrap() };
        topic.try_publish(&n).unwrap();
        assert_eq!((stays.next().unwrap(), comes.next().unwrap()), (n, n));
        assert_eq!((comes.received(), comes.missed(), comes.lag()), (1, 0, 0));
    }
}

fn many_processes_subscribe_and_leave_at_once() {
    let topic = Topic::<u64>::builder().capacity(8).max_subscribers(40).create().unwrap();
    let words = shared_words(2);
    let publisher = fork("the publisher", || {
        let publisher = topic.publisher().unwrap();
        let mut n = 0;
        while words[1].load(std::sync::atomic::Ordering::Relaxed) < 12 {
            publisher.publish_timeout(&n, PATIENCE).unwrap();
            n += 1;
        }
    });
    let children: Vec<Child> = (0..12)
        .map(|place| {
            let topic = &topic;
            fork("a subscriber that comes and goes", move || {
                words[0].fetch_add(1, Release);
                wait_for_count("the others", &words[0], 12);
                for round in 0..60 {
                    let one = if (round + place) % 4 == 0 { topic.subscribe_lossy() } else { topic.subscribe() }.unwrap();
                    let mut next = None;
                    for _ in 0..round % 7 {
                        match one.next_timeout(PATIENCE) {
                            Ok(n) => {
                                assert!(!one.is_gating() || next.is_none_or(|next| next == n), "{n} after {next:?}");
                                next = Some(n + 1);
                            }
                            Err(error) => assert!(error.is_lagged() && !one.is_gating(), "{error}"),
                        }
                    }
                }
                words[1].fetch_add(1, Release);
            })
        })
        .collect();
    expect_all_succeed(children);
    publisher.expect_success();
    assert!(topic.subscribers().is_empty());
    // As many as before have room.
    let all: Vec<_> = (0..40).map(|_| topic.subscribe().unwrap()).collect();
    assert!(topic.subscribe().is_err());
    drop(all);
}

fn subscribers_are_described_as_they_are() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let words = shared_words(2);
    let child = fork("a subscriber", || {
        let live = topic.subscribe_lossy().unwrap();
        words[0].store(1, Release);
        assert_eq!(live.next_timeout(PATIENCE).unwrap(), b"abc");
        words[0].store(2, Release);
        wait_for_count("the parent to check", &words[1], 1);
        drop(live);
        words[0].store(3, Release);
        wait_for_count("the parent to check", &words[1], 2);
    });
    wait_for_count("the subscriber", &words[0], 1);
    let mut every = topic.subscribe().unwrap();
    topic.publish(b"abc").unwrap();
    topic.publish(b"defg").unwrap();
    wait_for_count("its first message", &words[0], 2);
    let sample = every.read().unwrap();
    let seen = topic.subscribers();
    let shown: Vec<_> = seen.iter().map(|one| (one.pid, one.kind, one.is_alive, one.lag, one.received, one.has_sample)).collect();
    let (mine, its) = (std::process::id(), child.pid());
    let expected = [(its, SubscriberKind::Lossy, true, 1, 1, false), (mine, SubscriberKind::Gating, true, 2, 0, true)];
    assert_eq!(shown, expected);
    assert_ne!(seen[0].id, seen[1].id);
    assert_eq!((seen[0].kind.to_string(), seen[1].kind.to_string()), ("lossy".to_string(), "gating".to_string()));
    drop(sample);
    words[1].store(1, Release);
    wait_for_count("it to leave", &words[0], 3);
    assert_eq!(topic.subscribers().len(), 1);
    words[1].store(2, Release);
    child.expect_success();
}
