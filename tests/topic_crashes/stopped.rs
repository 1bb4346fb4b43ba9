//! A process that stands still or dies while it holds something: the errors name it, an eviction
//! takes effect when it may, and the others go on.

use crate::support::harness::Case;
use crate::support::process::{Child, fork, shared_words, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE, unique_name};
use shmq::{GetError, PutError, Start, Subscriber, SubscriberId, SubscriberInfo, SubscriberKind, Topic};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, SeqCst};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        errors_name_a_stopped_holder_of_a_sample,
        a_stopped_subscriber_that_is_evicted_learns_it_once,
        a_subscriber_that_lags_too_far_is_evicted_by_itself,
        a_holder_of_a_sample_that_lags_too_far_is_evicted_when_it_drops_it,
        a_killed_holder_of_a_sample_stops_no_publisher_for_long,
        a_killed_publisher_stops_no_other_for_long,
        a_stopped_publisher_keeps_the_put_side_and_its_death_gives_it_back,
        a_stopped_loan_keeps_gating_subscribers_waiting_and_its_death_lets_them_on,
        a_forgotten_subscriber_gates_until_it_is_evicted,
        an_evicted_id_evicts_no_successor,
        a_stopped_joiner_stops_no_publisher,
    ]
}

const CAPACITY: u64 = 8;
/// A dead process holds others up for slices of 0.1 s, and a loaded machine for longer.
const PROMPTLY: Duration = Duration::from_secs(10);
const A_MOMENT: Duration = Duration::from_millis(30);

fn topic() -> Topic<u64> {
    Topic::builder().name(unique_name("stopped")).capacity(CAPACITY as usize).max_subscribers(4).create().unwrap()
}

/// What a child and its parent tell each other.
#[derive(Clone, Copy)]
struct Signs(&'static [AtomicU64]);

impl Signs {
    fn new() -> Signs {
        Signs(shared_words(4))
    }

    fn show(self, which: usize) {
        self.0[which].store(1, SeqCst);
    }

    #[track_caller]
    fn wait_for(self, which: usize) {
        wait_for_count("a sign of the other process", &self.0[which], 1);
    }

    fn is_shown(self, which: usize) -> bool {
        self.0[which].load(Acquire) == 1
    }
}

fn only(topic: &Topic<u64>) -> SubscriberInfo {
    let all = topic.subscribers();
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().expect("one")
}

/// Publishes until it is refused. Returns how many were published, and the refusal.
fn fill(topic: &Topic<u64>, from: u64) -> (u64, PutError) {
    for number in from.. {
        if let Err(error) = topic.try_publish(&number) {
            return (number - from, error);
        }
    }
    unreachable!("numbers do not end")
}

#[track_caller]
fn expect_gated(error: &PutError, info: &SubscriberInfo, times_out: bool) {
    assert!(
        matches!(error, PutError::Gated { subscriber, pid, lag, timed_out }
            if *subscriber == info.id && *pid == info.pid && *lag == info.lag && *timed_out == times_out),
        "{error:?}, {info:?}"
    );
    assert_eq!((error.is_full(), error.is_timeout()), (!times_out, times_out), "{error:?}");
    let said = error.to_string();
    assert!(said.contains(&info.pid.to_string()), "{said}");
}

fn errors_name_a_stopped_holder_of_a_sample() {
    let (topic, signs) = (topic(), Signs::new());
    let mut child = fork("a holder of a Sample", || {
        let mut subscriber = topic.subscribe().unwrap();
        signs.show(0);
        let sample = subscriber.read_timeout(PATIENCE).unwrap();
        signs.show(1);
        signs.wait_for(2);
        // Nothing was written under it, though it was evicted meanwhile.
        assert_eq!(*sample, 0);
        drop(sample);
        assert!(matches!(subscriber.next_timeout(PATIENCE), Err(GetError::Evicted)));
        assert!(!subscriber.is_gating());
        signs.show(3);
        expect_the_rest(&mut subscriber, 20);
    });
    signs.wait_for(0);
    topic.publish(&0).unwrap();
    signs.wait_for(1);
    child.stop();
    let (count, refused) = fill(&topic, 1);
    assert_eq!(count, CAPACITY - 1);
    let info = only(&topic);
    assert_eq!((info.pid, info.lag, info.kind, info.has_sample), (child.pid(), CAPACITY, SubscriberKind::Gating, true));
    expect_gated(&refused, &info, false);
    let late = topic.publish_timeout(&CAPACITY, A_MOMENT).unwrap_err();
    expect_gated(&late, &info, true);
    // Evicted, and pinned: it gates until the Sample is dropped.
    assert!(topic.evict(info.id).unwrap());
    let late = topic.publish_timeout(&CAPACITY, 5 * A_MOMENT).unwrap_err();
    expect_gated(&late, &only(&topic), true);
    child.go_on();
    signs.show(2);
    (CAPACITY..20).for_each(|number| topic.publish_timeout(&number, BY_ITSELF).unwrap());
    signs.wait_for(3);
    child.expect_success();
}

/// A subscriber that was evicted reads on up to `end`, and its counts are exact.
fn expect_the_rest(subscriber: &mut Subscriber<u64>, end: u64) {
    let mut last = None;
    while last != Some(end - 1) {
        match subscriber.next_timeout(PATIENCE) {
            Ok(number) => {
                assert!(last.is_none_or(|last| number > last), "{number} after {last:?}");
                last = Some(number);
            }
            Err(GetError::Lagged { missed }) => assert!(missed > 0),
            Err(error) => panic!("{error:?}, {subscriber:?}"),
        }
    }
    assert_eq!(subscriber.received() + subscriber.missed(), end, "{subscriber:?}");
}

/// A child that subscribes, stands still, and when it goes on is found evicted.
fn subscriber_that_learns(topic: &Topic<u64>, signs: Signs, end: u64) -> Child {
    fork("a subscriber that is stopped", || {
        let mut subscriber = topic.subscribe().unwrap();
        signs.show(0);
        signs.wait_for(1);
        assert!(matches!(subscriber.try_next(), Err(GetError::Evicted)), "{subscriber:?}");
        expect_the_rest(&mut subscriber, end);
        assert!(!subscriber.is_gating() && subscriber.missed() > 0, "{subscriber:?}");
    })
}

fn a_stopped_subscriber_that_is_evicted_learns_it_once() {
    let (topic, signs) = (topic(), Signs::new());
    let end = 10 * CAPACITY;
    let mut child = subscriber_that_learns(&topic, signs, end);
    signs.wait_for(0);
    child.stop();
    let (count, refused) = fill(&topic, 0);
    let info = only(&topic);
    assert_eq!(count, CAPACITY);
    expect_gated(&refused, &info, false);
    assert!(topic.evict(info.id).unwrap());
    assert!(!topic.evict(info.id).unwrap(), "evicted already");
    // At once: no Sample is open.
    (count..end).for_each(|number| topic.try_publish(&number).unwrap());
    assert_eq!(only(&topic).kind, SubscriberKind::Evicted);
    child.go_on();
    signs.show(1);
    child.expect_success();
}

fn a_subscriber_that_lags_too_far_is_evicted_by_itself() {
    let builder = Topic::<u64>::builder().name(unique_name("lags")).capacity(CAPACITY as usize).max_subscribers(4);
    let (topic, signs) = (builder.max_lag_before_evict(CAPACITY as usize - 2).create().unwrap(), Signs::new());
    let end = 10 * CAPACITY;
    let mut child = subscriber_that_learns(&topic, signs, end);
    signs.wait_for(0);
    child.stop();
    (0..end).for_each(|number| topic.try_publish(&number).unwrap_or_else(|error| panic!("{number}: {error:?}, {topic:?}")));
    child.go_on();
    signs.show(1);
    child.expect_success();
}

fn a_holder_of_a_sample_that_lags_too_far_is_evicted_when_it_drops_it() {
    let builder = Topic::<u64>::builder().name(unique_name("holds")).capacity(CAPACITY as usize).max_subscribers(4);
    let (topic, signs) = (builder.max_lag_before_evict(CAPACITY as usize - 2).create().unwrap(), Signs::new());
    let mut child = fork("a holder of a Sample", || {
        let mut subscriber = topic.subscribe().unwrap();
        topic.publish(&0).unwrap();
        let sample = subscriber.try_read().unwrap();
        signs.show(0);
        signs.wait_for(1);
        assert_eq!(*sample, 0);
        drop(sample);
        assert!(matches!(subscriber.next_timeout(PATIENCE), Err(GetError::Evicted)));
    });
    signs.wait_for(0);
    child.stop();
    let (_, refused) = fill(&topic, 1);
    assert!(matches!(refused, PutError::Gated { pid, lag: CAPACITY, .. } if pid == child.pid()), "{refused:?}");
    child.go_on();
    signs.show(1);
    topic.publish_timeout(&20, BY_ITSELF).unwrap();
    child.expect_success();
}

fn a_killed_holder_of_a_sample_stops_no_publisher_for_long() {
    for by_endpoint in [false, true] {
        let (topic, signs) = (topic(), Signs::new());
        let child = fork("a holder of a Sample", || {
            let mut subscriber = topic.subscribe().unwrap();
            signs.show(0);
            let _sample = subscriber.read_timeout(PATIENCE).unwrap();
            signs.show(1);
            std::thread::sleep(PATIENCE);
        });
        signs.wait_for(0);
        let publisher = by_endpoint.then(|| topic.publisher().unwrap());
        let mut number = 0;
        let mut publish = |timeout| {
            number += 1;
            match &publisher {
                Some(publisher) => publisher.publish_timeout(&number, timeout),
                None => topic.publish_timeout(&number, timeout),
            }
        };
        publish(PATIENCE).unwrap();
        signs.wait_for(1);
        while publish(A_MOMENT).is_ok() {}
        child.kill();
        let killed_at = Instant::now();
        (0..3 * CAPACITY).for_each(|_| publish(PATIENCE).unwrap());
        assert!(killed_at.elapsed() < PROMPTLY, "{:?}", killed_at.elapsed());
        assert!(topic.subscribers().is_empty(), "{:?}", topic.subscribers());
    }
}

fn a_killed_publisher_stops_no_other_for_long() {
    let (topic, signs) = (topic(), Signs::new());
    let every = topic.subscribe().unwrap();
    let child = fork("a publisher", || {
        let publisher = topic.publisher().unwrap();
        publisher.publish(&1).unwrap();
        signs.show(0);
        std::thread::sleep(PATIENCE);
        drop(publisher);
    });
    signs.wait_for(0);
    assert!(matches!(topic.try_publish(&2), Err(PutError::Held { pid }) if pid == child.pid()));
    child.kill();
    let killed_at = Instant::now();
    topic.publish_timeout(&2, PATIENCE).unwrap();
    assert!(killed_at.elapsed() < PROMPTLY, "{:?}", killed_at.elapsed());
    assert_eq!([every.try_next().unwrap(), every.try_next().unwrap()], [1, 2]);
    drop(topic.publisher().unwrap());
}

fn a_stopped_publisher_keeps_the_put_side_and_its_death_gives_it_back() {
    let (topic, signs) = (topic(), Signs::new());
    let mut child = fork("a publisher", || {
        let publisher = topic.publisher().unwrap();
        publisher.publish(&1).unwrap();
        signs.show(0);
        std::thread::sleep(PATIENCE);
        drop(publisher);
    });
    signs.wait_for(0);
    child.stop();
    // Subscribers come and go beside it, and see what it published.
    let every = topic.subscribe_from(Start::Oldest).unwrap();
    assert_eq!(every.try_next().unwrap(), 1);
    assert!(matches!(every.next_timeout(A_MOMENT), Err(GetError::Timeout)));
    assert!(matches!(topic.try_publish(&2), Err(PutError::Held { pid }) if pid == child.pid()));
    child.kill();
    topic.publish_timeout(&2, BY_ITSELF).unwrap();
    assert_eq!(every.next_timeout(BY_ITSELF).unwrap(), 2);
}

fn a_stopped_loan_keeps_gating_subscribers_waiting_and_its_death_lets_them_on() {
    let (topic, signs) = (topic(), Signs::new());
    let (mut every, mut live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    let mut child = fork("a holder of a loan", || {
        let mut loan = topic.loan().unwrap();
        *loan = 1;
        signs.show(0);
        std::thread::sleep(PATIENCE);
        loan.commit().unwrap();
    });
    signs.wait_for(0);
    child.stop();
    topic.publish(&2).unwrap();
    for one in [&mut every, &mut live] {
        assert!(matches!(one.next_timeout(A_MOMENT), Err(GetError::Timeout)), "the loan comes first: {one:?}");
    }
    // A ring behind the loan there is no room, and no subscriber is to blame.
    let (count, refused) = fill(&topic, 3);
    assert!(count < CAPACITY && refused.is_full(), "{count}, {refused:?}");
    child.kill();
    assert_eq!(every.next_timeout(BY_ITSELF).unwrap(), 2);
    assert_eq!(live.next_timeout(BY_ITSELF).unwrap(), 2);
    assert_eq!((every.missed(), live.missed()), (1, 1), "the aborted loan");
}

fn a_forgotten_subscriber_gates_until_it_is_evicted() {
    let topic = topic();
    std::mem::forget(topic.subscribe().unwrap());
    let (count, refused) = fill(&topic, 0);
    let info = only(&topic);
    assert_eq!((count, info.pid), (CAPACITY, std::process::id()));
    expect_gated(&refused, &info, false);
    topic.recover();
    assert!(topic.try_publish(&count).is_err(), "its process lives");
    assert!(topic.evict(info.id).unwrap());
    (0..3 * CAPACITY).for_each(|number| topic.try_publish(&number).unwrap());
    // The forgotten one keeps the topic attached, and its name.
    Topic::<u64>::unlink(topic.name()).unwrap();
}

fn an_evicted_id_evicts_no_successor() {
    let topic = topic();
    let id: SubscriberId = topic.subscribe().unwrap().id();
    let successor = topic.subscribe().unwrap();
    assert_ne!(id, successor.id());
    assert!(!topic.evict(id).unwrap_or(false), "it has left");
    topic.publish(&1).unwrap();
    assert!(successor.is_gating());
    assert_eq!(successor.try_next().unwrap(), 1);
}

/// Killed or stopped at any instruction of its join (see `kill_everywhere` for its death there).
fn a_stopped_joiner_stops_no_publisher() {
    let (topic, signs) = (topic(), Signs::new());
    let mut child = fork("a joiner", || {
        signs.show(0);
        while !signs.is_shown(1) {
            let subscriber = topic.subscribe().unwrap();
            while subscriber.try_next().is_ok() {}
        }
    });
    signs.wait_for(0);
    let (mut number, mut gated) = (0, 0);
    for _ in 0..40 {
        std::thread::sleep(Duration::from_millis(1));
        child.stop();
        // In the middle of a join it gates at most from its cursor on; then it is named.
        for _ in 0..CAPACITY + 1 {
            match topic.publish_timeout(&number, A_MOMENT) {
                Ok(()) => number += 1,
                Err(PutError::Gated { pid, subscriber, .. }) => {
                    assert_eq!(pid, child.pid());
                    gated += 1;
                    topic.evict(subscriber).unwrap();
                }
                Err(error) => panic!("{error:?}, {topic:?}"),
            }
        }
        child.go_on();
    }
    eprintln!("{number} published, {gated} times at the gate of a joiner");
    signs.show(1);
    // One that was evicted ends its loop: it has nothing to read, or learns of it.
    child.expect_success();
}
