//! Processes stopped by SIGSTOP at any point: the others keep their deadlines, take nothing that is
//! not theirs, and go on after SIGCONT.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_word, shared_words, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE, Rng, wait_until};
use shmq::{GetError, PutError, Queue};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_process_stopped_anywhere_delays_no_other_past_a_deadline,
        an_endpoint_stopped_anywhere_delays_no_other_past_a_deadline,
        a_stopped_holder_is_not_robbed,
        a_stopped_sleeper_swallows_no_wake,
        a_stopped_putter_does_not_hang_getters_of_a_closed_queue,
        a_stopped_putter_with_a_ticket_lets_others_put,
    ]
}

/// How late a call may return on a loaded machine.
const LATE: Duration = BY_ITSELF;

/// Runs a call that may take `asked`. `timed_out` returns whether its result was Timeout, and fails
/// for a result that is not allowed.
#[track_caller]
fn within<R>(asked: Duration, call: impl FnOnce(Duration) -> R, timed_out: impl FnOnce(R) -> bool) {
    let started = Instant::now();
    let result = call(asked);
    let took = started.elapsed();
    let early = timed_out(result) && took < asked;
    assert!(!early, "asked {asked:?}, Timeout after only {took:?}");
    assert!(took < asked + LATE, "asked {asked:?}, took {took:?}");
}

fn put_result(result: Result<(), PutError>) -> bool {
    match result {
        Ok(()) | Err(PutError::Full | PutError::Busy | PutError::Held { .. }) => false,
        Err(PutError::Timeout) => true,
        Err(error) => panic!("{error:?}"),
    }
}

fn get_result<R>(result: Result<R, GetError>) -> bool {
    match result {
        Ok(_) | Err(GetError::Empty | GetError::Busy | GetError::Held { .. }) => false,
        Err(GetError::Timeout) => true,
        Err(error) => panic!("{error:?}"),
    }
}

/// Any of the results that a stopped process may cause.
#[track_caller]
fn expect_put(result: Result<(), PutError>) {
    let _timed_out = put_result(result);
}

/// Any of the results that a stopped process may cause.
#[track_caller]
fn expect_get<R>(result: Result<R, GetError>) {
    let _timed_out = get_result(result);
}

/// Every verb that might wait for a stopped process.
fn call_everything(queue: &Queue<u64>) {
    let asked = Duration::from_millis(15);
    within(asked, |asked| queue.put_timeout(&1, asked), put_result);
    within(asked, |asked| queue.get_timeout(asked), get_result);
    within(asked, |asked| queue.loan_timeout(asked).map(drop), put_result);
    within(asked, |asked| queue.lease_timeout(asked).map(drop), get_result);
    within(asked, |asked| queue.get_slice_timeout(&mut [0; 3], asked), get_result);
    within(asked, |asked| queue.put_slice_timeout(&[1, 2], asked).map(drop), put_result);
    within(asked, |asked| queue.join_timeout(asked), |result| result.is_err());
    // The verbs that do not wait.
    within(Duration::ZERO, |_| queue.try_put(&1), |result| put_result(result) && panic!("try_put timed out"));
    within(Duration::ZERO, |_| queue.try_get(), |result| get_result(result) && panic!("try_get timed out"));
    within(Duration::ZERO, |_| queue.producer().map(drop), put_result);
    within(Duration::ZERO, |_| queue.consumer().map(drop), get_result);
    within(Duration::ZERO, |_| queue.recover(), |_| false);
    let (_, _) = (queue.len(), queue.is_full());
}

/// Stops the workers at random while this process calls every verb. Afterwards all workers must
/// make progress again.
fn stop_at_random(queue: &Queue<u64>, mut workers: Vec<Child>, progress: &[AtomicU64], stop: &AtomicU64) {
    let mut rng = Rng::new("stops");
    for _ in 0..35 {
        std::thread::sleep(rng.duration_below(Duration::from_micros(900)));
        let count = workers.len();
        let chosen: Vec<usize> = (0..count).filter(|_| rng.chance(40)).collect();
        chosen.iter().for_each(|&i| workers[i].stop());
        call_everything(queue);
        chosen.iter().for_each(|&i| workers[i].go_on());
    }
    let before: Vec<u64> = progress.iter().map(|word| word.load(Relaxed)).collect();
    let state = || format!("{progress:?} from {before:?}, {queue:?}");
    wait_until("everybody to go on", || progress.iter().zip(&before).all(|(now, &before)| now.load(Relaxed) > before + 3), state);
    stop.store(1, Release);
    expect_all_succeed(workers);
    assert_eq!(queue.stats().redelivered, 0, "no process died");
}

fn a_process_stopped_anywhere_delays_no_other_past_a_deadline() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let (stop, progress) = (shared_word(), shared_words(3));
    let short = Duration::from_millis(2);
    let workers = (0..3)
        .map(|i| {
            let queue = &queue;
            fork("a worker", move || {
                while stop.load(Acquire) == 0 {
                    match i {
                        0 => expect_put(queue.put_timeout(&5, short)),
                        1 => expect_get(queue.get_timeout(short)),
                        _ => {
                            expect_put(queue.loan_timeout(short).and_then(|loan| loan.commit()));
                            expect_get(queue.lease_timeout(short).map(drop));
                        }
                    }
                    progress[i].fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    stop_at_random(&queue, workers, progress, stop);
}

fn an_endpoint_stopped_anywhere_delays_no_other_past_a_deadline() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let (stop, progress) = (shared_word(), shared_words(2));
    let short = Duration::from_millis(2);
    let workers = (0..2)
        .map(|i| {
            let queue = &queue;
            fork("an endpoint's owner", move || {
                while stop.load(Acquire) == 0 {
                    if i == 0 {
                        if let Ok(producer) = queue.producer() {
                            (0..20).for_each(|_| expect_put(producer.put_timeout(&5, short)));
                        }
                    } else if let Ok(consumer) = queue.consumer() {
                        (0..20).for_each(|_| expect_get(consumer.get_timeout(short)));
                    }
                    progress[i].fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    stop_at_random(&queue, workers, progress, stop);
}

fn a_stopped_holder_is_not_robbed() {
    let queue: Queue<u64> = Queue::new(2).unwrap();
    queue.put(&1).unwrap();
    let (ready, go) = (shared_word(), shared_word());
    let mut holder = fork("a holder of a lease and a loan", || {
        let lease = queue.lease().unwrap();
        let mut loan = queue.loan().unwrap();
        ready.store(1, Release);
        wait_for_count("to be stopped and continued", go, 1);
        assert_eq!((*lease, lease.deliveries()), (1, 1));
        lease.release();
        *loan = 2;
        loan.commit().unwrap();
    });
    wait_for_count("the lease", ready, 1);
    holder.stop();
    // Several scans for dead processes pass.
    assert!(matches!(queue.get_timeout(Duration::from_millis(350)), Err(GetError::Timeout)));
    assert!(matches!(queue.put_timeout(&9, Duration::from_millis(150)), Err(PutError::Timeout)));
    let report = queue.recover();
    assert_eq!((report.dead_participants, report.redelivered, report.aborted), (0, 0, 0));
    go.store(1, Release);
    holder.go_on();
    assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 2);
    holder.expect_success();
}

fn a_stopped_sleeper_swallows_no_wake() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    for round in 0..6 {
        let mut stopped = fork("a getter to be stopped", || assert_eq!(queue.get_timeout(PATIENCE).unwrap(), round));
        stopped.wait_until_asleep();
        let mut awake = fork("a getter that runs", || assert_eq!(queue.get_timeout(PATIENCE).unwrap(), round));
        awake.wait_until_asleep();
        stopped.stop_asleep();
        let started = Instant::now();
        queue.put(&round).unwrap();
        // The wake may have gone to the stopped process.
        awake.expect_success_within(LATE);
        eprintln!("taken after {:?}", started.elapsed());
        queue.put(&round).unwrap();
        stopped.go_on();
        stopped.expect_success();
        assert!(queue.is_empty());
    }
}

fn a_stopped_putter_does_not_hang_getters_of_a_closed_queue() {
    let mut rng = Rng::new("stops of a putter");
    for round in 0..25 {
        let queue: Queue<u64> = Queue::new(4).unwrap();
        let (accepted, received) = (shared_word(), shared_word());
        let endpoint = round % 2 == 0;
        let mut putter = fork("a putter to be stopped", || {
            let producer = endpoint.then(|| queue.producer().unwrap());
            loop {
                let result = match &producer {
                    Some(producer) => producer.put(&1),
                    None => queue.put(&1),
                };
                match result {
                    Ok(()) => drop(accepted.fetch_add(1, Release)),
                    Err(error) => return assert!(matches!(error, PutError::Closed), "{error}"),
                }
            }
        });
        let until = rng.below(50) + 1;
        while accepted.load(Acquire) < until {
            queue.get_timeout(PATIENCE).unwrap();
            received.fetch_add(1, Relaxed);
        }
        putter.stop();
        queue.close();
        loop {
            match queue.get_timeout(Duration::from_millis(20)) {
                Ok(_) => drop(received.fetch_add(1, Relaxed)),
                // Stopped in the middle of a put: the message may still come.
                Err(GetError::Timeout) => putter.go_on(),
                Err(error) => break assert!(matches!(error, GetError::Closed), "{error}"),
            }
        }
        putter.go_on();
        putter.expect_success();
        assert_eq!(accepted.load(Relaxed), received.load(Relaxed), "round {round}");
    }
}

/// A large message that waits for room has a ticket, which later puts respect, but not for ever if
/// its putter is stopped.
fn a_stopped_putter_with_a_ticket_lets_others_put() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(4_000).create().unwrap();
    let (large, small) = (vec![7; queue.max_len()], [1; 20]);
    for round in 0..3 {
        let mut put = 0;
        while queue.try_put(&small).is_ok() {
            put += 1;
        }
        let mut large_putter = fork("a putter of a large message", || queue.put_timeout(&large, 2 * PATIENCE).unwrap());
        // It draws its ticket before it sleeps.
        large_putter.wait_until_asleep();
        let mut waiter = fork("a putter behind it", || queue.put_timeout(&small, PATIENCE).unwrap());
        waiter.wait_until_asleep();
        large_putter.stop_asleep();
        let started = Instant::now();
        // Room for more small messages than are put now, and not for the large one.
        (0..8).for_each(|_| assert_eq!(queue.get_timeout(LATE).unwrap(), small));
        queue.put_timeout(&small, LATE).unwrap();
        waiter.expect_success_within(LATE);
        eprintln!("round {round}: others put after {:?}", started.elapsed());
        // The ticket has expired for all putters.
        (0..3).for_each(|_| queue.try_put(&small).unwrap());
        assert!(!large_putter.has_ended());
        large_putter.go_on();
        let mut got = (8, 0);
        while !(large_putter.has_ended() && queue.is_empty()) {
            match queue.get_timeout(Duration::from_millis(20)) {
                Ok(message) if message == small => got.0 += 1,
                Ok(message) => {
                    assert!(message == large, "{} bytes", message.len());
                    got.1 += 1;
                }
                Err(error) => assert!(matches!(error, GetError::Timeout), "{error:?}"),
            }
        }
        large_putter.expect_success();
        assert_eq!(got, (put + 5, 1), "round {round}");
    }
}
