//! Subscribers among other things that are waited for.

use crate::support::harness::Case;
use shmq::{GetError, Queue, Stop, Topic, WaitError, Waitable, try_wait_any, wait_any, wait_any_timeout};
use std::thread;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_subscriber_is_ready_with_what_its_verb_would_return_at_once,
        each_of_a_queue_a_subscriber_and_a_stop_wakes_a_sleeper,
        a_stop_of_the_handle_ends_the_wait,
        a_gating_subscriber_that_is_about_to_sleep_wakes_publishers,
        aborted_loans_are_passed_while_it_waits,
    ]
}

const PATIENCE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(30);

fn a_subscriber_is_ready_with_what_its_verb_would_return_at_once() {
    let topic = Topic::<u64>::new(2).unwrap();
    let (every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    let queue = Queue::<u64>::new(1).unwrap();
    let all: [&dyn Waitable; 3] = [&queue, &every, &live];
    assert_eq!(try_wait_any(&all), Err(WaitError::WouldBlock));
    let begin = Instant::now();
    assert_eq!(wait_any_timeout(&all, SHORT), Err(WaitError::Timeout));
    assert!(begin.elapsed() >= SHORT);
    // A message, at each.
    topic.publish(&1).unwrap();
    assert_eq!(wait_any(&all, None), Ok(1));
    assert_eq!(every.try_next().unwrap(), 1);
    assert_eq!(wait_any(&all, None), Ok(2));
    assert_eq!(live.try_next().unwrap(), 1);
    assert_eq!(try_wait_any(&all), Err(WaitError::WouldBlock));
    // An eviction.
    assert!(topic.evict(every.id()).unwrap());
    assert_eq!(wait_any(&all, None), Ok(1));
    assert!(matches!(every.try_next(), Err(GetError::Evicted)));
    assert_eq!(try_wait_any(&all), Err(WaitError::WouldBlock));
    // A lap.
    (0..100).for_each(|n| topic.publish(&n).unwrap());
    assert_eq!(wait_any(&[&live], None), Ok(0));
    assert!(live.try_next().unwrap_err().is_lagged());
    while live.try_next().is_ok() {}
    assert_eq!(try_wait_any(&[&live]), Err(WaitError::WouldBlock));
    // The end.
    topic.close();
    assert_eq!(wait_any(&[&live], None), Ok(0));
    assert!(live.try_next().unwrap_err().is_closed());
}

fn each_of_a_queue_a_subscriber_and_a_stop_wakes_a_sleeper() {
    let (topic, queue) = (Topic::<u64>::new(4).unwrap(), Queue::<u64>::new(4).unwrap());
    for (number, expected) in [(0, 0), (1, 1), (2, 2), (3, 1)] {
        let (every, stop) = (topic.subscribe().unwrap(), Stop::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(SHORT);
                match number {
                    0 => queue.put(&1).unwrap(),
                    1 => topic.publish(&2).unwrap(),
                    2 => stop.set(),
                    _ => topic.close(),
                }
            });
            assert_eq!(wait_any_timeout(&[&queue, &every, &stop], PATIENCE), Ok(expected));
        });
        let _ = queue.try_get();
    }
}

fn a_stop_of_the_handle_ends_the_wait() {
    let (topic, stop) = (Topic::<u64>::new(4).unwrap(), Stop::new());
    let every = topic.subscribe().unwrap().with_stop(&stop);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(SHORT);
            stop.set();
        });
        assert_eq!(wait_any_timeout(&[&every], PATIENCE), Err(WaitError::Interrupted));
    });
}

/// It has read up to an open loan, which is less than a publisher that sleeps asked for. Without
/// the wake, that sleeps until its slice ends.
fn a_gating_subscriber_that_is_about_to_sleep_wakes_publishers() {
    let took = |_| {
        let topic = Topic::<u64>::new(64).unwrap();
        let every = topic.subscribe().unwrap();
        (0..4).for_each(|n| topic.publish(&n).unwrap());
        let loan = topic.loan().unwrap();
        (5..64).for_each(|n| topic.publish(&n).unwrap());
        thread::scope(|scope| {
            let publisher = scope.spawn(|| {
                topic.publish(&64).unwrap();
                Instant::now()
            });
            thread::sleep(Duration::from_millis(10)); // it sleeps
            (0..4).for_each(|n| assert_eq!(every.try_next().unwrap(), n));
            let begin = Instant::now();
            assert_eq!(wait_any_timeout(&[&every], Duration::from_millis(150)), Err(WaitError::Timeout));
            drop(loan);
            publisher.join().unwrap().saturating_duration_since(begin)
        })
    };
    let shortest = (0..5).map(took).min().unwrap();
    assert!(shortest < Duration::from_millis(50), "{shortest:?}");
}

fn aborted_loans_are_passed_while_it_waits() {
    let topic = Topic::<u64>::new(4).unwrap();
    let every = topic.subscribe().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            // More than fit: the waiting subscriber passes them.
            for _ in 0..40 {
                drop(topic.loan_timeout(PATIENCE).unwrap());
            }
            topic.publish_timeout(&7, PATIENCE).unwrap();
        });
        assert_eq!(wait_any_timeout(&[&every], PATIENCE), Ok(0));
    });
    assert_eq!((every.next().unwrap(), every.missed()), (7, 40));
}
