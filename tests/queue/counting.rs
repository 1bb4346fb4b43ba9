//! `len`, `stats`, `task_done` and `join`: what is counted, and when it is done.

use super::{ClosesAtEnd, SOON, drain, queue, slices};
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{PATIENCE, Rng};
use shmq::{JoinError, Queue};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

#[test]
fn join_returns_at_once_if_nothing_was_put() {
    let queue: Queue<u32> = queue(4);
    queue.join().unwrap();
    queue.join_timeout(std::time::Duration::ZERO).unwrap();
    slices::<u8>(256).join().unwrap();
}

#[test]
fn join_waits_for_task_done_of_each_copy() {
    let queue: Queue<u32> = queue(4);
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    let joiner = start_and_wait_until_asleep("join", {
        let queue = queue.clone();
        move || queue.join()
    });
    let left = |expected| {
        let result = queue.join_timeout(std::time::Duration::ZERO);
        assert!(matches!(result, Err(JoinError::Timeout { left }) if left == expected), "{result:?}, not {expected}");
    };
    left(3);
    assert_eq!(drain(&queue), [1, 2, 3]);
    left(3);
    queue.task_done().unwrap();
    left(2);
    queue.task_done().unwrap();
    left(1);
    assert!(!joiner.has_finished());
    queue.task_done().unwrap();
    joiner.join().unwrap();
    // And again, later.
    queue.put(&4).unwrap();
    left(1);
    queue.get().unwrap();
    queue.task_done().unwrap();
    queue.join().unwrap();
}

#[test]
fn task_done_cannot_outnumber_the_messages_taken() {
    let queue: Queue<u32> = queue(4);
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
    queue.put(&1).unwrap();
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)), "not taken yet");
    queue.get().unwrap();
    queue.task_done().unwrap();
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
    // A lease counts as its own task_done.
    queue.put(&2).unwrap();
    queue.lease().unwrap().release();
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
    queue.join().unwrap();
}

#[test]
fn join_waits_for_leases_and_not_for_dropped_loans() {
    let queue: Queue<u32> = queue(4);
    drop(queue.loan().unwrap());
    queue.join().unwrap();
    queue.put(&1).unwrap();
    let lease = queue.lease().unwrap();
    let joiner = start_and_wait_until_asleep("join", {
        let queue = queue.clone();
        move || queue.join()
    });
    lease.give_back();
    let lease = queue.lease().unwrap();
    assert!(matches!(queue.join_timeout(super::A_WHILE), Err(JoinError::Timeout { left: 1 })));
    lease.release();
    joiner.join().unwrap();
}

#[test]
fn join_counts_what_an_endpoint_takes() {
    let queue: Queue<u32> = queue(4);
    let consumer = queue.consumer().unwrap();
    assert_eq!(queue.put_slice(&[1, 2]).unwrap(), 2);
    consumer.get().unwrap();
    drop(consumer.lease().unwrap());
    assert!(matches!(queue.join_timeout(super::A_WHILE), Err(JoinError::Timeout { left: 1 })));
    queue.task_done().unwrap();
    queue.join_timeout(SOON).unwrap();
}

#[test]
fn join_counts_large_copies_and_batches() {
    let queue: Queue<[u8; 10_000]> = queue(4);
    let frame = [1; 10_000];
    queue.put(&frame).unwrap();
    assert_eq!(queue.put_slice(&[frame, frame]).unwrap(), 2);
    queue.get().unwrap();
    assert_eq!(queue.get_slice(&mut [frame; 4]).unwrap(), 2);
    for left in (1..=3).rev() {
        assert!(matches!(queue.join_timeout(super::A_WHILE / 10), Err(JoinError::Timeout { left: named }) if named == left));
        queue.task_done().unwrap();
    }
    queue.join().unwrap();
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
}

/// A consumer of a message may call `task_done` for it, whatever others get and finish meanwhile.
#[test]
fn task_done_is_never_refused_to_one_of_many_consumers() {
    let queue: Queue<u32> = queue(64);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for round in 0..20_000 {
                    queue.put_timeout(&round, SOON).unwrap();
                    queue.get_timeout(SOON).unwrap();
                    queue.task_done().unwrap_or_else(|error| panic!("round {round}: {error}"));
                }
            });
        }
    });
    assert!(matches!(queue.task_done(), Err(JoinError::TooManyDone)));
    queue.join_timeout(SOON).unwrap();
}

#[test]
fn workers_that_finish_all_let_join_return() {
    let queue: Queue<u32> = queue(8);
    let finished = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (queue, finished) = (&queue, &finished);
            scope.spawn(move || {
                if worker == 0 {
                    while let Ok(lease) = queue.lease() {
                        finished.fetch_add(1, Ordering::Relaxed);
                        lease.release();
                    }
                    return;
                }
                for message in queue {
                    message.unwrap();
                    finished.fetch_add(1, Ordering::Relaxed);
                    queue.task_done().unwrap();
                }
            });
        }
        let _ends_the_workers = ClosesAtEnd(&queue);
        for round in 1..=20 {
            (0..50).for_each(|i| queue.put_timeout(&i, SOON).unwrap());
            queue.join_timeout(SOON).unwrap();
            assert_eq!(finished.load(Ordering::Relaxed), round * 50);
        }
    });
}

#[test]
fn stats_count_messages_and_bytes() {
    let queue: Queue<u32> = queue(4);
    let stats = queue.stats();
    assert_eq!((stats.puts, stats.gets, stats.bytes_put, stats.bytes_got), (0, 0, 0, 0));
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    queue.get().unwrap();
    queue.lease().unwrap().give_back();
    queue.lease().unwrap().release();
    drop(queue.loan().unwrap());
    let stats = queue.stats();
    assert_eq!((stats.puts, stats.gets, stats.redelivered, stats.aborted), (4, 3, 1, 1));
    assert_eq!((stats.bytes_put, stats.bytes_got, stats.given_up, stats.recoveries), (16, 12, 0, 0));

    // A message that came back is a redelivery, whichever verb takes it.
    let queue: Queue<u32> = self::queue(4);
    for (round, take) in [
        (|queue| queue.get().map(drop)) as fn(&Queue<u32>) -> Result<(), shmq::GetError>,
        |queue| queue.get_slice(&mut [0; 2]).map(drop),
        |queue| queue.lease().map(drop),
        |queue| queue.consumer().unwrap().get().map(drop),
    ]
    .into_iter()
    .enumerate()
    {
        queue.put(&1).unwrap();
        queue.lease().unwrap().give_back();
        take(&queue).unwrap();
        let (stats, rounds) = (queue.stats(), round as u64 + 1);
        assert_eq!((stats.puts, stats.gets, stats.redelivered), (rounds, 2 * rounds, rounds));
    }

    let queue = slices::<u16>(512);
    queue.put(&[1, 2, 3]).unwrap();
    queue.put(&[]).unwrap();
    queue.get().unwrap();
    queue.get_into(&mut [0; 2]).unwrap();
    let stats = queue.stats();
    assert_eq!((stats.puts, stats.gets, stats.bytes_put, stats.bytes_got), (2, 2, 6, 6));
    // Fillers at the end of the ring are not messages.
    for i in 0..100u64 {
        queue.put(&[0; 11]).unwrap();
        queue.get().unwrap();
        assert_eq!((queue.stats().puts, queue.stats().gets, queue.len()), (i + 3, i + 3, 0));
    }
    // Refused and timed-out calls count nothing.
    let before = queue.stats();
    queue.try_get().unwrap_err();
    queue.put(&vec![0; queue.max_len() + 1]).unwrap_err();
    assert_eq!((queue.stats().puts, queue.stats().gets), (before.puts, before.gets));
}

#[test]
fn len_counts_committed_messages_that_are_not_taken() {
    let queue: Queue<u32> = queue(8);
    let loan = queue.loan().unwrap();
    assert_eq!((queue.len(), queue.is_empty()), (0, true));
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    // They are committed, though the open loan holds them back.
    assert_eq!(queue.len(), 3);
    loan.commit().unwrap();
    assert_eq!(queue.len(), 4);
    let (first, second) = (queue.lease().unwrap(), queue.lease().unwrap());
    assert_eq!(queue.len(), 2);
    first.give_back();
    assert_eq!(queue.len(), 3);
    second.release();
    assert_eq!(queue.len(), 3);
    drop(queue.loan().unwrap());
    assert_eq!(queue.len(), 3);
    assert_eq!(drain(&queue).len(), 3);
    assert_eq!(queue.len(), 0);
}

/// Without loans and leases, then with them.
#[test]
fn len_stays_within_bounds_while_all_moves() {
    for in_place in [false, true] {
        let queue: Queue<u64> = queue(5);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut rng = Rng::new("len, putter");
                while !stop.load(Ordering::Relaxed) {
                    if in_place && rng.chance(50) {
                        if let Ok(loan) = queue.loan_timeout(super::A_WHILE) {
                            if rng.chance(70) { loan.commit().unwrap() } else { drop(loan) }
                        }
                    } else {
                        let _ = queue.put_timeout(&1, super::A_WHILE);
                    }
                }
            });
            scope.spawn(|| {
                let mut rng = Rng::new("len, getter");
                while !stop.load(Ordering::Relaxed) {
                    if in_place && rng.chance(50) {
                        if let Ok(lease) = queue.lease_timeout(super::A_WHILE) {
                            if rng.chance(70) { lease.release() } else { lease.give_back() }
                        }
                    } else {
                        let _ = queue.get_timeout(super::A_WHILE);
                    }
                }
            });
            // An assertion in the loop would leave the two threads running for ever: the scope
            // waits for them.
            let (mut wrong, mut reads, mut gets) = (None, 0, 0);
            let end = Instant::now() + PATIENCE;
            while wrong.is_none() && (reads < 20_000 || gets < 1_000) && Instant::now() < end {
                let len = queue.len();
                gets = queue.stats().gets;
                // Read after gets: each message that was taken had been put, except one whose put
                // is not counted yet.
                let after = queue.stats();
                let possible = after.puts + after.redelivered + 1;
                wrong = (len > 5 || gets > possible).then(|| format!("{len} of 5, {gets} gets of {possible}"));
                reads += 1;
            }
            stop.store(true, Ordering::Relaxed);
            assert_eq!(wrong, None);
            assert!(gets >= 1_000, "{gets} gets in {PATIENCE:?}");
        });
        let left = drain(&queue).len();
        assert_eq!((queue.len(), left <= 5), (0, true));
    }
}
