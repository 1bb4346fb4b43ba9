//! Close holds for all processes, loses no message that was put, and returns Closed only when no
//! message can come any more.

use super::{ClosesAtEnd, SOON, drain, queue, slices};
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{PATIENCE, wait_until};
use shmq::{GetError, PutError, Queue};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_closed_queue_drains_and_then_says_closed() {
    let queue: Queue<u32> = queue(4);
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    queue.close();
    assert!(queue.is_closed());
    assert_eq!(queue.len(), 3);
    assert!(matches!(queue.put(&4), Err(PutError::Closed)));
    assert!(matches!(queue.try_put(&4), Err(PutError::Closed)));
    assert!(matches!(queue.put_timeout(&4, SOON), Err(PutError::Closed)));
    assert!(matches!(queue.put_slice(&[4]), Err(PutError::Closed)));
    assert!(matches!(queue.loan().map(drop), Err(PutError::Closed)));
    assert_eq!(queue.get().unwrap(), 1);
    assert_eq!(*queue.lease().unwrap(), 2);
    assert_eq!(queue.get_slice(&mut [0; 4]).unwrap(), 1);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    assert!(matches!(queue.try_get(), Err(GetError::Closed)));
    assert!(matches!(queue.get_timeout(Duration::ZERO), Err(GetError::Closed)));
    assert!(matches!(queue.get_deadline(Instant::now()), Err(GetError::Closed)));
    assert!(matches!(queue.get_slice(&mut [0; 4]), Err(GetError::Closed)));
    assert!(matches!(queue.try_get_slice(&mut [0; 4]), Err(GetError::Closed)));
    assert!(matches!(queue.lease().map(drop), Err(GetError::Closed)));
    assert!(matches!(queue.lease_owned().map(drop), Err(GetError::Closed)));
    assert!(queue.iter().next().is_none());
}

#[test]
fn a_full_queue_that_is_closed_says_closed_to_putters() {
    let queue: Queue<u32> = queue(1);
    queue.put(&1).unwrap();
    queue.close();
    assert!(matches!(queue.try_put(&2), Err(PutError::Closed)));
    assert!(matches!(queue.put_timeout(&2, Duration::ZERO), Err(PutError::Closed)));
    assert!(matches!(queue.put(&2), Err(PutError::Closed)));
    assert!(matches!(queue.try_loan().map(drop), Err(PutError::Closed)));
}

#[test]
fn close_is_idempotent_and_for_every_handle() {
    let queue: Queue<u32> = queue(2);
    queue.put(&1).unwrap();
    let other: Queue<u32> = Queue::open(queue.name()).unwrap();
    other.close();
    queue.close();
    other.close();
    assert!(queue.is_closed() && other.is_closed());
    assert_eq!(drain(&queue), [1]);
    queue.close();
    assert!(matches!(other.get(), Err(GetError::Closed)));
    // A process that opens it later finds it closed.
    let late: Queue<u32> = Queue::open(queue.name()).unwrap();
    assert!(late.is_closed());
    assert!(matches!(late.put(&1), Err(PutError::Closed)));
}

#[test]
fn close_wakes_every_putter() {
    let queue: Queue<u32> = queue(1);
    queue.put(&1).unwrap();
    let blocked = |what, put: fn(&Queue<u32>) -> Result<(), PutError>| {
        let queue = queue.clone();
        start_and_wait_until_asleep(what, move || put(&queue))
    };
    let putters = [
        blocked("put", |queue| queue.put(&2)),
        blocked("put_timeout", |queue| queue.put_timeout(&2, PATIENCE)),
        blocked("put_slice", |queue| queue.put_slice(&[2, 3]).map(drop)),
        blocked("loan", |queue| queue.loan().map(drop)),
    ];
    queue.close();
    for putter in putters {
        let result = putter.join();
        assert!(matches!(result, Err(PutError::Closed)), "{result:?}");
    }
    assert_eq!(drain(&queue), [1]);
}

#[test]
fn close_wakes_every_getter() {
    let queue: Queue<u32> = queue(1);
    let blocked = |what, get: fn(&Queue<u32>) -> Result<(), GetError>| {
        let queue = queue.clone();
        start_and_wait_until_asleep(what, move || get(&queue))
    };
    let getters = [
        blocked("get", |queue| queue.get().map(drop)),
        blocked("get_timeout", |queue| queue.get_timeout(PATIENCE).map(drop)),
        blocked("get_slice", |queue| queue.get_slice(&mut [0; 2]).map(drop)),
        blocked("lease", |queue| queue.lease().map(drop)),
        blocked("lease_owned", |queue| queue.lease_owned().map(drop)),
    ];
    queue.close();
    for getter in getters {
        let result = getter.join();
        assert!(matches!(result, Err(GetError::Closed)), "{result:?}");
    }
}

#[test]
fn close_wakes_slice_verbs_and_endpoints() {
    let queue = slices::<u8>(256);
    let getter = start_and_wait_until_asleep("get_into", {
        let queue = queue.clone();
        move || queue.get_into(&mut [0; 8])
    });
    queue.close();
    assert!(matches!(getter.join(), Err(GetError::Closed)));

    let queue = slices::<u8>(256);
    let consumer = queue.consumer().unwrap();
    let getter = start_and_wait_until_asleep("an endpoint's get", move || consumer.get());
    queue.close();
    assert!(matches!(getter.join(), Err(GetError::Closed)));

    let queue = slices::<u8>(256);
    while queue.try_put(&[0; 30]).is_ok() {}
    let producer = queue.producer().unwrap();
    let putter = start_and_wait_until_asleep("an endpoint's put", move || producer.put(&[0; 30]));
    queue.close();
    assert!(matches!(putter.join(), Err(PutError::Closed)));
}

#[test]
fn a_loan_that_was_open_may_still_commit_and_getters_wait_for_it() {
    let queue: Queue<u32> = queue(4);
    queue.put(&1).unwrap();
    let mut loan = queue.loan().unwrap();
    queue.close();
    assert_eq!(queue.get().unwrap(), 1);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)), "something may still come");
    assert!(matches!(queue.get_timeout(super::A_WHILE), Err(GetError::Timeout)));
    let getter = start_and_wait_until_asleep("a getter behind the last loan", {
        let queue = queue.clone();
        move || (queue.get(), queue.get())
    });
    *loan = 2;
    loan.commit().unwrap();
    let (last, after) = getter.join();
    assert_eq!(last.unwrap(), 2);
    assert!(matches!(after, Err(GetError::Closed)));
}

#[test]
fn a_loan_dropped_after_the_close_lets_getters_go() {
    let queue: Queue<u32> = queue(4);
    let loan = queue.loan().unwrap();
    queue.close();
    let getters: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            start_and_wait_until_asleep("a getter behind the last loan", move || queue.get())
        })
        .collect();
    drop(loan);
    for getter in getters {
        assert!(matches!(getter.join(), Err(GetError::Closed)));
    }
}

#[test]
fn a_closed_queue_does_not_wait_for_leases_and_delivers_what_is_given_back() {
    let queue: Queue<u32> = queue(4);
    assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
    let (first, second) = (queue.lease().unwrap(), queue.lease().unwrap());
    queue.close();
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    first.give_back();
    second.release();
    assert_eq!(queue.get().unwrap(), 1);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
}

#[test]
fn iter_ends_at_closed_without_yielding_it() {
    let queue: Queue<u32> = queue(4);
    let reader = start_and_wait_until_asleep("an iterator", {
        let queue = queue.clone();
        move || queue.iter().map(Result::unwrap).collect::<Vec<_>>()
    });
    (0..10).for_each(|i| queue.put_timeout(&i, SOON).unwrap());
    queue.close();
    assert_eq!(reader.join(), (0..10).collect::<Vec<_>>());
    assert!(queue.iter().next().is_none());
}

/// However a message is put: if the put returned Ok, a consumer gets it before Closed; if it
/// returned Closed, none does.
fn every_accepted_put_is_received(put: impl Fn(&Queue<u64>, &Going) + Sync, rounds: u64) {
    for round in 0..rounds {
        let queue: Queue<u64> = queue(16);
        let (accepted, received) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for message in &queue {
                        message.unwrap();
                        received.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            scope.spawn(|| put(&queue, &Going { accepted: &accepted }));
            let _at_work = ClosesAtEnd(&queue);
            wait_until("more puts", || accepted.load(Ordering::Relaxed) > round % 50 * 3, || format!("{queue:?}"));
        });
        assert_eq!(accepted.into_inner(), received.into_inner(), "round {round}, {queue:?}");
    }
}

struct Going<'a> {
    accepted: &'a AtomicU64,
}

impl Going<'_> {
    /// Counts puts until Closed.
    fn until_closed(&self, mut put: impl FnMut() -> Result<usize, PutError>) {
        loop {
            match put() {
                Ok(count) => self.accepted.fetch_add(count as u64, Ordering::Relaxed),
                Err(PutError::Closed) => return,
                Err(error) => panic!("{error}"),
            };
        }
    }
}

#[test]
fn close_racing_puts_by_lock_loses_nothing() {
    every_accepted_put_is_received(|queue, going| going.until_closed(|| queue.put(&1).map(|()| 1)), 60);
}

#[test]
fn close_racing_batches_loses_nothing() {
    every_accepted_put_is_received(|queue, going| going.until_closed(|| queue.put_slice(&[1; 7])), 60);
}

#[test]
fn close_racing_loans_loses_nothing() {
    let loan_and_commit = |queue: &Queue<u64>| {
        let loan = queue.loan()?;
        loan.commit().map(|()| 1)
    };
    every_accepted_put_is_received(|queue, going| going.until_closed(|| loan_and_commit(queue)), 60);
}

#[test]
fn close_racing_an_endpoints_puts_loses_nothing() {
    every_accepted_put_is_received(
        |queue, going| {
            let producer = queue.producer().unwrap();
            going.until_closed(|| producer.put(&1).map(|()| 1));
        },
        60,
    );
    every_accepted_put_is_received(
        |queue, going| {
            let producer = queue.producer().unwrap();
            going.until_closed(|| producer.put_slice(&[1; 5]));
        },
        60,
    );
}
