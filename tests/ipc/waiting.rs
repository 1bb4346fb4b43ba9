//! Blocking between processes: deadlines under load, closing, and which process is woken.

use crate::support::harness::Case;
use crate::support::process::{Child, burn_until, expect_all_succeed, fork, shared_word, shared_words, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE, Rng, wait_until};
use shmq::{GetError, PutError, Queue};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        deadlines_hold_under_load,
        close_wakes_all_waiters_in_every_process,
        close_racing_an_endpoints_put_loses_nothing,
        close_racing_puts_by_lock_loses_nothing,
        close_racing_batches_loses_nothing,
        close_racing_loans_loses_nothing,
        a_sleeping_getter_is_woken_by_each_way_of_putting,
        a_sleeping_putter_is_woken_by_each_way_of_getting,
        a_message_wakes_one_getter_and_another_the_next,
    ]
}

fn deadlines_hold_under_load() {
    let full: Queue<u64> = Queue::new(1).unwrap();
    full.put(&1).unwrap();
    let empty: Queue<u64> = Queue::new(1).unwrap();
    let stop = shared_word();
    let load: Vec<Child> = (0..3).map(|_| fork("load", || burn_until(stop))).collect();
    let worst_ns = shared_word();
    let callers = (0..4)
        .map(|caller| {
            let (full, empty) = (&full, &empty);
            fork("a caller with a deadline", move || {
                let mut rng = Rng::new(&format!("deadlines of caller {caller}"));
                for round in 0..40 {
                    let asked = rng.duration_below(Duration::from_millis(40));
                    let started = Instant::now();
                    match round % 4 {
                        0 => assert!(matches!(empty.get_timeout(asked), Err(GetError::Timeout))),
                        1 => assert!(matches!(full.put_timeout(&2, asked), Err(PutError::Timeout))),
                        2 => assert!(matches!(empty.lease_deadline(started + asked).map(drop), Err(GetError::Timeout))),
                        _ => assert!(matches!(full.loan_deadline(started + asked).map(drop), Err(PutError::Timeout))),
                    }
                    let took = started.elapsed();
                    assert!(took >= asked, "asked {asked:?}, took only {took:?}");
                    worst_ns.fetch_max((took - asked).as_nanos() as u64, Relaxed);
                }
            })
        })
        .collect();
    expect_all_succeed(callers);
    stop.store(1, Relaxed);
    expect_all_succeed(load);
    let worst = Duration::from_nanos(worst_ns.load(Relaxed));
    eprintln!("latest return: {worst:?} after the deadline");
    assert!(worst < BY_ITSELF, "{worst:?} late");
}

fn close_wakes_all_waiters_in_every_process() {
    let full: Queue<u64> = Queue::new(1).unwrap();
    full.put(&1).unwrap();
    let empty: Queue<u64> = Queue::new(1).unwrap();
    let mut children: Vec<Child> = (0..6)
        .map(|i| {
            let (full, empty) = (&full, &empty);
            fork("one who waits for ever", move || match i {
                0 => assert!(matches!(full.put(&2), Err(PutError::Closed))),
                1 => assert!(matches!(full.put_slice(&[2, 3]), Err(PutError::Closed))),
                2 => assert!(matches!(full.loan().map(drop), Err(PutError::Closed))),
                3 => assert!(matches!(empty.get(), Err(GetError::Closed))),
                4 => assert!(matches!(empty.get_slice(&mut [0; 3]), Err(GetError::Closed))),
                _ => assert!(matches!(empty.lease().map(drop), Err(GetError::Closed))),
            })
        })
        .collect();
    children.iter_mut().for_each(Child::wait_until_asleep);
    // Closed by another process.
    fork("the one who closes", || {
        full.close();
        empty.close();
    })
    .expect_success();
    expect_all_succeed(children);
    assert!(full.is_closed() && empty.is_closed());
    assert_eq!(full.get().unwrap(), 1);
}

/// Every put that returned Ok is received before Closed, and nothing else is.
fn race_with_close(rounds: u64, put_until_closed: impl Fn(&Queue<u64>, &AtomicU64)) {
    let mut rng = Rng::new("closing");
    for round in 0..rounds {
        let queue: Queue<u64> = Queue::new(8).unwrap();
        let (accepted, received) = (shared_word(), shared_word());
        let putter = fork("a putter", || put_until_closed(&queue, accepted));
        let getters: Vec<Child> = (0..round % 3)
            .map(|_| {
                fork("a getter", || {
                    queue.iter().for_each(|message| {
                        message.unwrap();
                        received.fetch_add(1, Relaxed);
                    });
                })
            })
            .collect();
        let before = rng.below(60);
        while accepted.load(Relaxed) < before {
            match queue.get_timeout(Duration::from_millis(1)) {
                Ok(_) => drop(received.fetch_add(1, Relaxed)),
                Err(error) => assert!(matches!(error, GetError::Timeout), "{error}"),
            }
        }
        if round % 2 == 0 {
            queue.close();
        } else {
            fork("one who closes", || queue.close()).expect_success();
        }
        let closed_after = Instant::now();
        loop {
            match queue.get_timeout(PATIENCE) {
                Ok(_) => drop(received.fetch_add(1, Relaxed)),
                Err(GetError::Closed) => break,
                Err(error) => panic!("{error} {:?} after close", closed_after.elapsed()),
            }
        }
        putter.expect_success();
        expect_all_succeed(getters);
        assert_eq!(accepted.load(Relaxed), received.load(Relaxed), "round {round}");
        assert!(matches!(queue.try_get(), Err(GetError::Closed)));
    }
}

fn until_closed(accepted: &AtomicU64, mut put: impl FnMut() -> Result<usize, PutError>) {
    loop {
        match put() {
            Ok(count) => drop(accepted.fetch_add(count as u64, Relaxed)),
            Err(error) => return assert!(matches!(error, PutError::Closed), "{error}"),
        }
    }
}

fn close_racing_an_endpoints_put_loses_nothing() {
    race_with_close(120, |queue, accepted| {
        let producer = queue.producer().unwrap();
        until_closed(accepted, || producer.put(&1).map(|()| 1));
    });
}

fn close_racing_puts_by_lock_loses_nothing() {
    race_with_close(60, |queue, accepted| until_closed(accepted, || queue.put(&1).map(|()| 1)));
}

fn close_racing_batches_loses_nothing() {
    race_with_close(60, |queue, accepted| until_closed(accepted, || queue.put_slice(&[1; 5])));
}

fn close_racing_loans_loses_nothing() {
    race_with_close(60, |queue, accepted| {
        until_closed(accepted, || {
            let loan = queue.loan()?;
            loan.commit().map(|()| 1)
        });
    });
}

fn a_sleeping_getter_is_woken_by_each_way_of_putting() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let ways: [fn(&Queue<u64>); 5] = [
        |queue| queue.put(&7).unwrap(),
        |queue| assert_eq!(queue.put_slice(&[7]).unwrap(), 1),
        |queue| {
            let mut loan = queue.loan().unwrap();
            *loan = 7;
            loan.commit().unwrap();
        },
        |queue| queue.producer().unwrap().put(&7).unwrap(),
        |queue| {
            // The message behind an open loan can be taken once that loan is dropped.
            let loan = queue.loan().unwrap();
            let mut next = queue.loan().unwrap();
            *next = 7;
            next.commit().unwrap();
            drop(loan);
        },
    ];
    for (number, put) in ways.into_iter().enumerate() {
        let mut getter = fork("a getter", || assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 7));
        getter.wait_until_asleep();
        let started = Instant::now();
        if number % 2 == 0 {
            put(&queue);
        } else {
            fork("a putter", || put(&queue)).expect_success();
        }
        getter.expect_success();
        eprintln!("way {number}: woken and gone after {:?}", started.elapsed());
    }
}

fn a_sleeping_putter_is_woken_by_each_way_of_getting() {
    let queue: Queue<u64> = Queue::new(1).unwrap();
    let ways: [fn(&Queue<u64>); 5] = [
        |queue| assert_eq!(queue.get().unwrap(), 1),
        |queue| assert_eq!(queue.get_slice(&mut [0]).unwrap(), 1),
        |queue| queue.lease().unwrap().release(),
        |queue| assert_eq!(queue.consumer().unwrap().get().unwrap(), 1),
        |queue| drop(queue.lease_owned().unwrap()),
    ];
    for (number, get) in ways.into_iter().enumerate() {
        queue.put(&1).unwrap();
        let mut putter = fork("a putter", || queue.put_timeout(&7, PATIENCE).unwrap());
        putter.wait_until_asleep();
        if number % 2 == 0 {
            get(&queue);
        } else {
            fork("a getter", || get(&queue)).expect_success();
        }
        putter.expect_success();
        assert_eq!(queue.get().unwrap(), 7);
    }
}

fn a_message_wakes_one_getter_and_another_the_next() {
    let queue: Queue<u64> = Queue::new(8).unwrap();
    let received = shared_words(4);
    let mut getters: Vec<Child> = (0..4)
        .map(|i| {
            let queue = &queue;
            fork("one of four getters", move || {
                for message in queue {
                    received[i].fetch_add(message.unwrap(), Release);
                }
            })
        })
        .collect();
    let sum = || received.iter().map(|word| word.load(Relaxed)).sum::<u64>();
    for round in 1..=50 {
        getters.iter_mut().for_each(Child::wait_until_asleep);
        for _ in 0..round % 4 {
            queue.put(&1).unwrap();
        }
        let expected = (1..=round).map(|round| round % 4).sum::<u64>();
        wait_until("all to be received", || sum() == expected, || format!("{} of {expected}, {queue:?}", sum()));
    }
    wait_for_count("anybody to receive", &received[0], 0);
    queue.close();
    expect_all_succeed(getters);
}
