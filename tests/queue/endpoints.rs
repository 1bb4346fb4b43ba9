//! `Producer` and `Consumer`: one owner for each side, all others get `Held` at once, and a drop
//! frees the side.

use super::{SOON, drain, queue};
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::wait_until;
use shmq::{GetError, PutError, Queue};
use std::time::{Duration, Instant};

#[test]
fn while_a_producer_lives_no_other_handle_puts() {
    let queue: Queue<u32> = queue(4);
    let producer = queue.producer().unwrap();
    let held = |result: Result<(), PutError>| match result {
        Err(PutError::Held { pid }) => assert_eq!(pid, std::process::id()),
        other => panic!("{other:?}"),
    };
    let other: Queue<u32> = Queue::open(queue.name()).unwrap();
    for queue in [&queue, &other] {
        let started = Instant::now();
        held(queue.put(&1));
        held(queue.try_put(&1));
        held(queue.put_timeout(&1, Duration::MAX));
        held(queue.put_deadline(&1, Instant::now()));
        held(queue.put_slice(&[1]).map(drop));
        held(queue.try_put_slice(&[1]).map(drop));
        held(queue.loan().map(drop));
        held(queue.loan_timeout(Duration::MAX).map(drop));
        held(queue.producer().map(drop));
        assert!(started.elapsed() < SOON, "at once");
    }
    producer.put(&1).unwrap();
    // The other side is free.
    assert_eq!(other.get().unwrap(), 1);
    let consumer = other.consumer().unwrap();
    producer.put(&2).unwrap();
    assert_eq!(consumer.get().unwrap(), 2);
}

#[test]
fn while_a_consumer_lives_no_other_handle_gets() {
    let queue: Queue<u32> = queue(4);
    let consumer = queue.consumer().unwrap();
    let held = |result: Result<(), GetError>| match result {
        Err(GetError::Held { pid }) => assert_eq!(pid, std::process::id()),
        other => panic!("{other:?}"),
    };
    let other: Queue<u32> = Queue::open(queue.name()).unwrap();
    for full in [false, true] {
        if full {
            queue.put(&1).unwrap();
        }
        for queue in [&queue, &other] {
            held(queue.get().map(drop));
            held(queue.try_get().map(drop));
            held(queue.get_timeout(Duration::MAX).map(drop));
            held(queue.get_deadline(Instant::now()).map(drop));
            held(queue.get_slice(&mut [0]).map(drop));
            held(queue.lease().map(drop));
            held(queue.lease_owned_timeout(Duration::MAX).map(drop));
            held(queue.consumer().map(drop));
            assert!(matches!(queue.iter().next(), Some(Err(GetError::Held { .. }))));
        }
    }
    assert_eq!((queue.len(), consumer.get().unwrap()), (1, 1));
}

#[test]
fn a_dropped_endpoint_frees_its_side() {
    let queue: Queue<u32> = queue(4);
    for round in 0..5 {
        let producer = queue.producer().unwrap();
        producer.put(&round).unwrap();
        drop(producer);
        queue.put(&(round + 100)).unwrap();
        let consumer = queue.consumer().unwrap();
        assert_eq!(consumer.get().unwrap(), round);
        drop(consumer);
        assert_eq!(queue.get().unwrap(), round + 100);
    }
    assert_eq!(queue.stats().recoveries, 0, "no process died");
}

#[test]
fn endpoints_outlive_their_handles() {
    let queue: Queue<u32> = queue(4);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let handle = serde_json::to_string(&queue).unwrap();
    drop(queue);
    producer.put(&1).unwrap();
    assert_eq!(consumer.get().unwrap(), 1);
    let again: Queue<u32> = serde_json::from_str(&handle).unwrap();
    assert!(matches!(again.put(&1), Err(PutError::Held { .. })));
    drop(producer);
    again.put(&2).unwrap();
    assert_eq!(consumer.get().unwrap(), 2);
}

#[test]
fn an_endpoint_goes_to_another_thread() {
    let queue: Queue<u32> = queue(4);
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    let sender = std::thread::spawn(move || (0..1000).for_each(|i| producer.put_timeout(&i, SOON).unwrap()));
    (0..1000).for_each(|i| assert_eq!(consumer.get_timeout(SOON).unwrap(), i));
    sender.join().unwrap();
    queue.producer().unwrap();
}

#[test]
fn an_endpoint_comes_to_a_side_with_messages_loans_and_leases() {
    let queue: Queue<u32> = queue(8);
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    let lease = queue.lease().unwrap();
    let mut loan = queue.loan().unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    producer.put(&5).unwrap();
    assert_eq!(consumer.get().unwrap(), 2);
    // Guards that were taken before can be finished as usual.
    *loan = 4;
    loan.commit().unwrap();
    lease.give_back();
    assert_eq!(consumer.get_timeout(SOON).unwrap(), 1);
    for expected in [3, 4, 5] {
        assert_eq!(consumer.get_timeout(SOON).unwrap(), expected);
    }
}

#[test]
fn a_getter_that_waits_gets_held_when_a_consumer_comes() {
    let queue: Queue<u32> = queue(2);
    let getter = start_and_wait_until_asleep("a getter", {
        let queue = queue.clone();
        move || queue.get_timeout(SOON)
    });
    let consumer = queue.consumer().unwrap();
    queue.put(&1).unwrap();
    let result = getter.join();
    assert!(matches!(result, Err(GetError::Held { .. })), "{result:?}");
    assert_eq!(consumer.get_timeout(SOON).unwrap(), 1);
}

#[test]
fn a_putter_that_waits_gets_held_when_a_producer_comes() {
    let queue: Queue<u32> = queue(1);
    queue.put(&1).unwrap();
    let putter = start_and_wait_until_asleep("a putter", {
        let queue = queue.clone();
        move || queue.put_timeout(&2, SOON)
    });
    let producer = queue.producer().unwrap();
    assert_eq!(queue.get().unwrap(), 1);
    let result = putter.join();
    assert!(matches!(result, Err(PutError::Held { .. })), "{result:?}");
    producer.put_timeout(&3, SOON).unwrap();
    assert_eq!(drain(&queue), [3]);
}

#[test]
fn a_blocked_endpoint_is_woken_by_the_other_side() {
    let queue: Queue<u32> = queue(1);
    let consumer = queue.consumer().unwrap();
    let getter = start_and_wait_until_asleep("an endpoint's get", move || (consumer.get_timeout(SOON), consumer));
    queue.put(&1).unwrap();
    let (got, consumer) = getter.join();
    assert_eq!(got.unwrap(), 1);
    let producer = queue.producer().unwrap();
    producer.put(&2).unwrap();
    let putter = start_and_wait_until_asleep("an endpoint's put", move || producer.put_timeout(&3, SOON));
    assert_eq!(consumer.get().unwrap(), 2);
    putter.join().unwrap();
    assert_eq!(consumer.get_timeout(SOON).unwrap(), 3);
}

/// How long acquiring an endpoint waits for calls inside the side.
const PATIENCE_OF_AN_ENDPOINT: Duration = Duration::from_millis(100);

/// Calls of others inside the side are no reason to refuse: they leave it in a moment, even on a
/// loaded machine.
#[test]
fn an_endpoint_comes_to_a_side_that_is_at_work() {
    let queue: Queue<u32> = queue(64);
    std::thread::scope(|scope| {
        let (queue, closes) = (&queue, super::ClosesAtEnd(&queue));
        for _ in 0..4 {
            scope.spawn(|| while !matches!(queue.put_timeout(&1, super::A_WHILE), Err(PutError::Closed)) {});
            scope.spawn(|| while !matches!(queue.get_timeout(super::A_WHILE), Err(GetError::Closed)) {});
        }
        // An endpoint is refused only after the documented wait, as happens if the holder of a lock
        // is not scheduled for that long, and not every time.
        let comes = |what: &str, come: &mut dyn FnMut() -> bool| {
            let mut started = Instant::now();
            let mut come = || {
                let comes = come();
                let took = std::mem::replace(&mut started, Instant::now()).elapsed();
                assert!(comes || took >= PATIENCE_OF_AN_ENDPOINT, "{what} was refused after {took:?}");
                comes
            };
            wait_until(what, &mut come, || format!("{queue:?}"));
        };
        for round in 0..600 {
            // Spread over many time slices, so that some attempts come while the holder of a lock
            // waits to be scheduled.
            std::thread::sleep(Duration::from_micros(200));
            comes("a producer", &mut || match queue.producer() {
                Ok(_) => true,
                Err(PutError::Busy) => false,
                Err(error) => panic!("round {round}: {error}"),
            });
            comes("a consumer", &mut || match queue.consumer() {
                Ok(_) => true,
                Err(GetError::Busy) => false,
                Err(error) => panic!("round {round}: {error}"),
            });
        }
        drop(closes);
    });
}
