//! `try_` is Full or Empty, everything with a time is Timeout, and no deadline is ever early.

use super::{queue, slices};
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{BY_ITSELF, PATIENCE, Rng};
use shmq::{GetError, JoinError, PutError, Queue, WaitStrategy};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ZERO: Duration = Duration::ZERO;
/// How late a call may return: as long as a loaded machine needs to schedule this process again.
const LATE: Duration = BY_ITSELF;

#[test]
fn try_forms_are_full_or_empty() {
    let full: Queue<u32> = queue(1);
    full.put(&1).unwrap();
    let empty: Queue<u32> = queue(1);
    assert!(matches!(full.try_put(&2), Err(PutError::Full)));
    assert!(matches!(full.try_put_slice(&[2, 3]), Err(PutError::Full)));
    assert!(matches!(full.try_loan(), Err(PutError::Full)));
    assert!(matches!(empty.try_get(), Err(GetError::Empty)));
    assert!(matches!(empty.try_get_slice(&mut [0; 2]), Err(GetError::Empty)));
    assert!(matches!(empty.try_lease(), Err(GetError::Empty)));
    assert!(matches!(empty.try_lease_owned(), Err(GetError::Empty)));
    let bytes = slices::<u8>(256);
    assert!(matches!(bytes.try_get_into(&mut [0; 8]), Err(GetError::Empty)));
    while bytes.try_put(&[1; 8]).is_ok() {}
    assert!(matches!(bytes.try_put(&[1; 8]), Err(PutError::Full)));
    assert!(matches!(bytes.try_loan_len(8), Err(PutError::Full)));

    let (producer, consumer) = (full.producer().unwrap(), empty.consumer().unwrap());
    assert!(matches!(producer.try_put(&2), Err(PutError::Full)));
    assert!(matches!(producer.try_put_slice(&[2]), Err(PutError::Full)));
    assert!(matches!(producer.try_loan(), Err(PutError::Full)));
    assert!(matches!(consumer.try_get(), Err(GetError::Empty)));
    assert!(matches!(consumer.try_get_slice(&mut [0]), Err(GetError::Empty)));
    assert!(matches!(consumer.try_lease(), Err(GetError::Empty)));
}

#[test]
fn a_zero_timeout_and_a_past_deadline_are_timeout() {
    let past = Instant::now();
    let full: Queue<u32> = queue(1);
    full.put(&1).unwrap();
    let empty: Queue<u32> = queue(1);
    assert!(matches!(full.put_timeout(&2, ZERO), Err(PutError::Timeout)));
    assert!(matches!(full.put_deadline(&2, past), Err(PutError::Timeout)));
    assert!(matches!(full.put_slice_timeout(&[2], ZERO), Err(PutError::Timeout)));
    assert!(matches!(full.put_slice_deadline(&[2], past), Err(PutError::Timeout)));
    assert!(matches!(full.loan_timeout(ZERO), Err(PutError::Timeout)));
    assert!(matches!(full.loan_deadline(past), Err(PutError::Timeout)));
    assert!(matches!(empty.get_timeout(ZERO), Err(GetError::Timeout)));
    assert!(matches!(empty.get_deadline(past), Err(GetError::Timeout)));
    assert!(matches!(empty.get_slice_timeout(&mut [0], ZERO), Err(GetError::Timeout)));
    assert!(matches!(empty.get_slice_deadline(&mut [0], past), Err(GetError::Timeout)));
    assert!(matches!(empty.lease_timeout(ZERO), Err(GetError::Timeout)));
    assert!(matches!(empty.lease_deadline(past), Err(GetError::Timeout)));
    assert!(matches!(empty.lease_owned_timeout(ZERO), Err(GetError::Timeout)));
    assert!(matches!(empty.lease_owned_deadline(past), Err(GetError::Timeout)));
    let bytes = slices::<u8>(256);
    assert!(matches!(bytes.get_into_timeout(&mut [0; 8], ZERO), Err(GetError::Timeout)));
    assert!(matches!(bytes.get_into_deadline(&mut [0; 8], past), Err(GetError::Timeout)));
    while bytes.try_put(&[]).is_ok() {}
    assert!(matches!(bytes.loan_len_timeout(8, ZERO), Err(PutError::Timeout)));
    assert!(matches!(bytes.loan_len_deadline(8, past), Err(PutError::Timeout)));
    assert!(matches!(full.join_timeout(ZERO), Err(JoinError::Timeout { left: 1 })));

    let (producer, consumer) = (full.producer().unwrap(), empty.consumer().unwrap());
    assert!(matches!(producer.put_timeout(&2, ZERO), Err(PutError::Timeout)));
    assert!(matches!(producer.loan_deadline(past), Err(PutError::Timeout)));
    assert!(matches!(consumer.get_timeout(ZERO), Err(GetError::Timeout)));
    assert!(matches!(consumer.lease_deadline(past), Err(GetError::Timeout)));
}

#[test]
fn a_zero_timeout_and_a_past_deadline_are_one_try() {
    let queue: Queue<u32> = queue(4);
    let past = Instant::now();
    queue.put_timeout(&1, ZERO).unwrap();
    queue.put_deadline(&2, past).unwrap();
    assert_eq!(queue.put_slice_timeout(&[3, 4], ZERO).unwrap(), 2);
    assert_eq!(queue.get_timeout(ZERO).unwrap(), 1);
    assert_eq!(queue.get_deadline(past).unwrap(), 2);
    assert_eq!(*queue.lease_timeout(ZERO).unwrap(), 3);
    assert_eq!(queue.get_slice_timeout(&mut [0; 3], ZERO).unwrap(), 1);
    queue.loan_timeout(ZERO).unwrap().commit().unwrap();
    queue.get().unwrap();
    for _ in 0..4 {
        queue.task_done().unwrap_or(());
    }
    queue.join_timeout(ZERO).unwrap_or_else(|error| panic!("all was taken and done: {error}"));
}

#[test]
fn a_timeout_too_long_to_add_is_for_ever() {
    for long in [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_nanos(u64::MAX)] {
        let empty: Queue<u32> = queue(1);
        let getter = start_and_wait_until_asleep("a getter without end", {
            let empty = empty.clone();
            move || empty.get_timeout(long)
        });
        empty.put(&7).unwrap();
        assert_eq!(getter.join().unwrap(), 7);

        let full: Queue<u32> = queue(1);
        full.put(&1).unwrap();
        let putter = start_and_wait_until_asleep("a putter without end", {
            let full = full.clone();
            move || full.put_timeout(&2, long)
        });
        assert_eq!(full.get().unwrap(), 1);
        putter.join().unwrap();

        let joiner = start_and_wait_until_asleep("a joiner without end", {
            let full = full.clone();
            move || full.join_timeout(long)
        });
        assert_eq!(full.get().unwrap(), 2);
        full.task_done().unwrap();
        full.task_done().unwrap();
        joiner.join().unwrap();
    }
}

/// Runs `call` with the time that it may take. It must return Timeout, not early, and not late by
/// much.
#[track_caller]
fn takes(asked: Duration, call: impl FnOnce(Duration, Instant) -> bool) {
    let started = Instant::now();
    let timed_out = call(asked, started + asked);
    let took = started.elapsed();
    assert!(timed_out, "a call of {asked:?} ended after {took:?} with something else than Timeout");
    assert!(took >= asked, "asked {asked:?}, took only {took:?}");
    assert!(took < asked + LATE, "asked {asked:?}, took {took:?}");
}

/// Every verb that waits, once.
fn every_waiting_verb_takes(full: &Queue<u32>, empty: &Queue<u32>, bytes: &Queue<[u8]>, verb: u64, asked: Duration) {
    match verb % 12 {
        0 => takes(asked, |timeout, _| matches!(empty.get_timeout(timeout), Err(GetError::Timeout))),
        1 => takes(asked, |_, deadline| matches!(empty.get_deadline(deadline), Err(GetError::Timeout))),
        2 => takes(asked, |timeout, _| matches!(full.put_timeout(&2, timeout), Err(PutError::Timeout))),
        3 => takes(asked, |_, deadline| matches!(full.put_deadline(&2, deadline), Err(PutError::Timeout))),
        4 => takes(asked, |timeout, _| matches!(empty.lease_timeout(timeout), Err(GetError::Timeout))),
        5 => takes(asked, |_, deadline| matches!(full.loan_deadline(deadline), Err(PutError::Timeout))),
        6 => takes(asked, |timeout, _| matches!(empty.get_slice_timeout(&mut [0; 2], timeout), Err(GetError::Timeout))),
        7 => takes(asked, |_, deadline| matches!(full.put_slice_deadline(&[1, 2], deadline), Err(PutError::Timeout))),
        8 => takes(asked, |timeout, _| matches!(bytes.get_into_timeout(&mut [0; 2], timeout), Err(GetError::Timeout))),
        9 => takes(asked, |_, deadline| matches!(empty.lease_owned_deadline(deadline), Err(GetError::Timeout))),
        10 => takes(asked, |timeout, _| matches!(bytes.get_timeout(timeout), Err(GetError::Timeout))),
        _ => takes(asked, |timeout, _| matches!(full.join_timeout(timeout), Err(JoinError::Timeout { left: 1 }))),
    }
}

fn full_empty_bytes(wait: WaitStrategy) -> (Queue<u32>, Queue<u32>, Queue<[u8]>) {
    let full = Queue::<u32>::builder().capacity(1).wait_strategy(wait).create().unwrap();
    full.put(&1).unwrap();
    let empty = Queue::<u32>::builder().capacity(1).wait_strategy(wait).create().unwrap();
    let bytes = Queue::<[u8]>::builder().capacity_bytes(256).wait_strategy(wait).create().unwrap();
    (full, empty, bytes)
}

#[test]
fn no_deadline_is_early_at_any_phase_of_the_second() {
    let workers: Vec<_> = [WaitStrategy::Adaptive, WaitStrategy::Block]
        .into_iter()
        .flat_map(|wait| [100u32, 480, 870, 955, 990].map(|phase_ms| (wait, phase_ms)))
        .map(|(wait, phase_ms)| {
            thread::spawn(move || {
                let mut rng = Rng::new(&format!("phase {phase_ms} {wait:?}"));
                let (full, empty, bytes) = full_empty_bytes(wait);
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_millis();
                thread::sleep(Duration::from_millis(u64::from((phase_ms + 1000 - now) % 1000)));
                for verb in 0..12 {
                    every_waiting_verb_takes(&full, &empty, &bytes, verb, rng.duration_below(Duration::from_millis(25)));
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

#[test]
fn no_deadline_is_early_under_load() {
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            let end = Instant::now() + PATIENCE;
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) && Instant::now() < end {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    let mut rng = Rng::new("deadlines under load");
    for wait in [WaitStrategy::Adaptive, WaitStrategy::Spin, WaitStrategy::Custom { spins: 10, yields: 10 }] {
        let (full, empty, bytes) = full_empty_bytes(wait);
        for _ in 0..24 {
            every_waiting_verb_takes(&full, &empty, &bytes, rng.draw(), rng.clone().duration_below(Duration::from_millis(12)));
        }
    }
    stop.store(true, Ordering::Relaxed);
    load.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_deadline_beyond_a_slice_of_sleep_is_kept() {
    let (full, empty, bytes) = full_empty_bytes(WaitStrategy::Adaptive);
    for verb in [0, 2, 11] {
        every_waiting_verb_takes(&full, &empty, &bytes, verb, Duration::from_millis(230));
    }
}

#[test]
fn a_blocked_get_takes_what_comes_in_time() {
    let queue: Queue<u32> = queue(2);
    let getter = start_and_wait_until_asleep("a getter", {
        let queue = queue.clone();
        move || queue.get_timeout(PATIENCE)
    });
    queue.put(&1).unwrap();
    assert_eq!(getter.join().unwrap(), 1);
}

#[test]
fn a_blocked_put_goes_on_when_there_is_room() {
    let queue: Queue<u32> = queue(1);
    queue.put(&1).unwrap();
    let putter = start_and_wait_until_asleep("a putter", {
        let queue = queue.clone();
        move || queue.put_timeout(&2, PATIENCE)
    });
    assert_eq!(queue.get().unwrap(), 1);
    putter.join().unwrap();
    assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 2);
}

#[test]
fn a_timed_out_call_changed_nothing() {
    let (full, empty, _) = full_empty_bytes(WaitStrategy::Adaptive);
    let nap = Duration::from_millis(5);
    full.put_timeout(&9, nap).unwrap_err();
    full.loan_timeout(nap).unwrap_err();
    empty.get_timeout(nap).unwrap_err();
    assert_eq!((full.len(), empty.len()), (1, 0));
    assert_eq!(full.get().unwrap(), 1);
    assert!(matches!(full.try_get(), Err(GetError::Empty)));
    empty.put(&5).unwrap();
    assert_eq!(empty.get().unwrap(), 5);
}
