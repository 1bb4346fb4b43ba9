//! A process is killed while it holds leases of a queue with a backlog, where no process ever
//! waits: whichever verb getters call, the leased messages come back in time and before newer ones.
//! Also what the scan for dead processes costs others, and wakes that are passed on.

use crate::deaths::victim;
use crate::support::harness::Case;
use crate::support::process::{Child, fork, shared_word, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE};
use shmq::{GetError, PutError, Queue, wait_any};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_backlog_by_copy_has_them_within_64_calls,
        a_backlog_by_lease_has_them_at_the_next_call,
        a_backlog_by_batches_has_them_at_the_next_call,
        a_consumer_endpoint_of_a_backlog_has_them,
        a_backlog_of_slices_has_them,
        a_backlog_of_large_messages_has_them_at_the_next_call,
        a_backlog_of_objects_has_them,
        a_trickle_of_leases_has_them_within_two_slices,
        a_trickle_of_copies_has_them_within_two_slices,
        a_putter_that_polls_does_not_scan_in_place_of_getters,
        thousands_come_back_in_order,
        a_dead_loan_in_a_backlog_is_stepped_over,
        leases_of_the_living_cost_others_next_to_nothing,
        a_consumer_is_not_late_for_a_wake_that_others_had,
        a_consumer_is_not_late_for_a_wake_that_wait_any_had,
        a_producer_is_not_late_for_a_wake_that_others_had,
    ]
}

const PLACES: u64 = 262_144;
/// Two slices, plus more than the coarse clock may lag.
const IN_TIME: Duration = Duration::from_millis(220);
const CALLS_BY_COPY: usize = 64;
/// Time between two calls of a slow consumer.
const TRICKLE: Duration = Duration::from_millis(5);

/// A child that leased that many messages, 0, 1, 2 .. in order, and waits to be killed.
fn holder_of(count: u64, mut lease: impl FnMut() -> (u64, Box<dyn std::any::Any>)) -> Child {
    victim("a holder of leases", move |wait| {
        let held: Vec<_> = (0..count).map(|expected| (expected, lease())).collect();
        assert!(held.iter().all(|(expected, (message, _))| message == expected));
        wait();
    })
}

/// A queue of [`PLACES`] with a backlog, and a child that holds messages 0 and 1.
fn backlog() -> (Queue<u64>, Child) {
    let queue: Queue<u64> = Queue::new(PLACES as usize).unwrap();
    let all: Vec<u64> = (0..PLACES).collect();
    assert_eq!(queue.put_slice(&all).unwrap(), all.len());
    let holder = holder_of(2, || {
        let lease = queue.lease_owned().unwrap();
        (*lease, Box::new(lease))
    });
    (queue, holder)
}

/// Gets one message, so that this process has just scanned for dead processes, then kills the
/// holder of 0 and 1 and gets on: 0 must come within `calls`, 1 next, and everything newer in
/// order.
fn expect_back(what: &str, holder: Child, calls: usize, pause: Duration, mut get: impl FnMut() -> u64) {
    assert_eq!(get(), 2);
    holder.kill();
    if pause.is_zero() {
        std::thread::sleep(IN_TIME);
    }
    let mut newer = 3;
    loop {
        std::thread::sleep(pause);
        let got = get();
        if got == 0 {
            break;
        }
        assert_eq!(got, newer, "{what}: what is newer stays in order");
        newer += 1;
        assert!(newer - 3 < calls as u64, "{what}: not back within {calls} calls");
    }
    eprintln!("{what}: back at call {}", newer - 2);
    assert_eq!((get(), get(), get()), (1, newer, newer + 1), "{what}: both before newer ones");
}

fn a_backlog_by_copy_has_them_within_64_calls() {
    let (queue, holder) = backlog();
    expect_back("try_get", holder, CALLS_BY_COPY, Duration::ZERO, || queue.try_get().unwrap());
    let (queue, holder) = backlog();
    expect_back("get", holder, CALLS_BY_COPY, Duration::ZERO, || queue.get().unwrap());
    let (queue, holder) = backlog();
    expect_back("get_timeout", holder, CALLS_BY_COPY, Duration::ZERO, || queue.get_timeout(PATIENCE).unwrap());
    assert_eq!(queue.stats().redelivered, 2);
}

fn a_backlog_by_lease_has_them_at_the_next_call() {
    let (queue, holder) = backlog();
    expect_back("try_lease", holder, 1, Duration::ZERO, || {
        let lease = queue.try_lease().unwrap();
        assert_eq!(lease.deliveries(), if *lease < 2 { 2 } else { 1 });
        *lease
    });
    let (queue, holder) = backlog();
    expect_back("lease_owned", holder, 1, Duration::ZERO, || *queue.lease_owned().unwrap());
}

fn a_backlog_by_batches_has_them_at_the_next_call() {
    let (queue, holder) = backlog();
    let mut batch = Vec::new();
    let mut calls = 0;
    expect_back("get_slice", holder, 1, Duration::ZERO, || {
        if batch.is_empty() {
            let mut buffer = [0; 100];
            // One message first: that get happens before the holder dies, and the next call is the
            // first one after.
            let room = if calls == 0 { 1 } else { buffer.len() };
            let got = queue.get_slice(&mut buffer[..room]).unwrap();
            batch = buffer[..got].to_vec();
            calls += 1;
        }
        batch.remove(0)
    });
    assert_eq!(calls, 2, "both came in one batch, with newer ones behind them");
}

fn a_consumer_endpoint_of_a_backlog_has_them() {
    let (queue, holder) = backlog();
    let consumer = queue.consumer().unwrap();
    expect_back("a Consumer's get", holder, CALLS_BY_COPY, Duration::ZERO, || consumer.get().unwrap());
    drop(consumer);
    let (queue, holder) = backlog();
    let consumer = queue.consumer().unwrap();
    expect_back("a Consumer's try_get", holder, CALLS_BY_COPY, Duration::ZERO, || consumer.try_get().unwrap());
    drop(consumer);
    let (queue, holder) = backlog();
    let consumer = queue.consumer().unwrap();
    expect_back("a Consumer's lease", holder, 1, Duration::ZERO, || *consumer.lease().unwrap());
    drop(consumer);
    let (queue, holder) = backlog();
    let consumer = queue.consumer().unwrap();
    expect_back("a Consumer's get_slice", holder, 1, Duration::ZERO, || {
        let mut one = [0];
        assert_eq!(consumer.get_slice(&mut one).unwrap(), 1);
        one[0]
    });
}

fn number_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

/// A queue of numbered slices of `length` bytes with a backlog of `count`, and a child that holds
/// messages 0 and 1.
fn backlog_of_slices(length: usize, count: u64) -> (Queue<[u8]>, Child) {
    let queue = Queue::<[u8]>::builder().capacity_bytes((length + 32) * (count as usize + 2)).create().unwrap();
    let mut message = vec![0; length];
    for number in 0..count {
        message[..8].copy_from_slice(&number.to_le_bytes());
        queue.try_put(&message).unwrap();
    }
    let holder = holder_of(2, || {
        let lease = queue.lease_owned().unwrap();
        (number_of(&lease), Box::new(lease))
    });
    (queue, holder)
}

fn a_backlog_of_slices_has_them() {
    let slices = || backlog_of_slices(40, 20_000);
    let (queue, holder) = slices();
    expect_back("get of slices", holder, CALLS_BY_COPY, Duration::ZERO, || number_of(&queue.get().unwrap()));
    let (queue, holder) = slices();
    expect_back("get_into", holder, CALLS_BY_COPY, Duration::ZERO, || {
        let mut buffer = [0; 64];
        assert_eq!(queue.get_into(&mut buffer).unwrap(), 40);
        number_of(&buffer)
    });
    let (queue, holder) = slices();
    expect_back("lease of slices", holder, 1, Duration::ZERO, || number_of(&queue.lease().unwrap()));
    let (queue, holder) = slices();
    let consumer = queue.consumer().unwrap();
    expect_back("a Consumer's get of slices", holder, CALLS_BY_COPY, Duration::ZERO, || number_of(&consumer.get().unwrap()));
    drop(consumer);
    let (queue, holder) = slices();
    let consumer = queue.consumer().unwrap();
    expect_back("a Consumer's lease of slices", holder, 1, Duration::ZERO, || number_of(&consumer.lease().unwrap()));
}

fn a_backlog_of_large_messages_has_them_at_the_next_call() {
    // More than a small copy: they are copied on lease.
    let (queue, holder) = backlog_of_slices(6000, 1000);
    expect_back("get of large slices", holder, 1, Duration::ZERO, || number_of(&queue.get().unwrap()));
    let queue: Queue<[u64; 1000]> = Queue::new(1000).unwrap();
    for number in 0..1000 {
        queue.try_put(&[number; 1000]).unwrap();
    }
    let holder = holder_of(2, || {
        let lease = queue.lease_owned().unwrap();
        (lease[999], Box::new(lease))
    });
    expect_back("get of large values", holder, 1, Duration::ZERO, || queue.get().unwrap()[999]);
}

#[cfg(not(feature = "object"))]
fn a_backlog_of_objects_has_them() {}

#[cfg(feature = "object")]
fn a_backlog_of_objects_has_them() {
    let backlog = || {
        let queue = shmq::ObjectQueue::<(u64, String)>::new(10_000).unwrap();
        (0..5000).for_each(|number| queue.try_put(&(number, "object".into())).unwrap());
        let holder = victim("a holder of two leases", |wait| {
            let (first, second) = (queue.lease().unwrap(), queue.lease().unwrap());
            assert_eq!((first.0, second.0), (0, 1));
            wait();
        });
        (queue, holder)
    };
    let (queue, holder) = backlog();
    expect_back("get of objects", holder, CALLS_BY_COPY, Duration::ZERO, || queue.get().unwrap().0);
    let (queue, holder) = backlog();
    expect_back("lease of objects", holder, 1, Duration::ZERO, || queue.lease().unwrap().0);
}

fn a_trickle_of_leases_has_them_within_two_slices() {
    let (queue, holder) = backlog();
    let calls = IN_TIME.as_millis().div_ceil(TRICKLE.as_millis()) as usize + 1;
    expect_back("a trickle of leases", holder, calls, TRICKLE, || *queue.lease().unwrap());
}

fn a_trickle_of_copies_has_them_within_two_slices() {
    let (queue, holder) = backlog();
    let calls = IN_TIME.as_millis().div_ceil(TRICKLE.as_millis()) as usize + CALLS_BY_COPY;
    expect_back("a trickle of copies", holder, calls, TRICKLE, || queue.get().unwrap());
}

fn a_putter_that_polls_does_not_scan_in_place_of_getters() {
    let (queue, holder) = backlog();
    assert_eq!(*queue.lease().unwrap(), 2);
    holder.kill();
    // The queue is full, since the oldest record is held. When the interval is over, a call checks
    // whether a dead process holds the record in its way.
    let ends = Instant::now() + IN_TIME;
    while Instant::now() < ends {
        assert!(matches!(queue.try_put(&9), Err(PutError::Full)));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!((*queue.lease().unwrap(), *queue.lease().unwrap(), *queue.lease().unwrap()), (0, 1, 3));
}

fn thousands_come_back_in_order() {
    const HELD: u64 = 10_000;
    let queue: Queue<u64> = Queue::new(HELD as usize * 2).unwrap();
    let all: Vec<u64> = (0..HELD * 2).collect();
    assert_eq!(queue.put_slice(&all).unwrap(), all.len());
    let holder = holder_of(HELD, || {
        let lease = queue.lease_owned().unwrap();
        (*lease, Box::new(lease))
    });
    // A live process holds some of the newer ones.
    let kept: Vec<_> = (0..10).map(|_| queue.lease().unwrap()).collect();
    holder.kill();
    std::thread::sleep(IN_TIME);
    let rest: Vec<u64> = (0..HELD * 2 - 10).map(|_| *queue.try_lease().unwrap()).collect();
    assert!(rest.iter().copied().eq((0..HELD).chain(HELD + 10..HELD * 2)));
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert_eq!((queue.stats().redelivered, queue.len()), (HELD, 0));
    drop(kept);
}

fn a_dead_loan_in_a_backlog_is_stepped_over() {
    let queue: Queue<u64> = Queue::new(1000).unwrap();
    assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
    let holder = victim("a holder of a loan", |wait| {
        let _loan = queue.loan().unwrap();
        wait();
    });
    assert_eq!(queue.put_slice(&[4, 5, 6]).unwrap(), 3);
    holder.kill();
    // They are found where getters reach them, at once, and not before.
    for expected in 1..=6 {
        assert_eq!(queue.try_get().unwrap(), expected);
    }
    assert_eq!((queue.stats().aborted, queue.len()), (1, 0));
}

/// Time that this process has spent in the kernel.
fn kernel_time() -> Duration {
    // SAFETY: `rusage` consists of plain integers, for which zeroes are valid; the call fills it.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the call may write `used`, which outlives it.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut used) }, 0);
    Duration::new(used.ru_stime.tv_sec as u64, used.ru_stime.tv_usec as u32 * 1000)
}

fn leases_of_the_living_cost_others_next_to_nothing() {
    const HELD: usize = 100_000;
    let queue: Queue<u64> = Queue::new(HELD).unwrap();
    assert_eq!(queue.put_slice(&vec![1; HELD]).unwrap(), HELD);
    let held: Vec<_> = (0..HELD).map(|_| queue.lease().unwrap()).collect();
    let waiter = fork("a waiter", || {
        let before = kernel_time();
        assert!(matches!(queue.get_timeout(Duration::from_secs(1)), Err(GetError::Timeout)));
        let used = kernel_time() - before;
        // Ten scans. One system call for each record would be a million.
        assert!(used < Duration::from_millis(100), "{used:?} in the kernel");
    });
    let poller = fork("one who polls", || {
        let ends = Instant::now() + Duration::from_secs(1);
        while Instant::now() < ends {
            // Not `Busy`: no process stays inside the side for long.
            assert!(matches!(queue.try_get(), Err(GetError::Empty)));
            std::thread::sleep(Duration::from_micros(200));
        }
    });
    waiter.expect_success();
    poller.expect_success();
    drop(held);
}

/// Shorter than the rest of the slice when it is measured, far longer than a wake takes.
const AT_ONCE: Duration = Duration::from_millis(40);
const ROUNDS: usize = 12;

/// The quickest of several rounds: on a busy machine some are late, whichever process was woken.
fn quickest(what: &str, round: impl Fn() -> Duration) {
    let quickest = (0..ROUNDS).map(|_| round()).min().unwrap();
    assert!(quickest < AT_ONCE, "{what}: {quickest:?} late at best, a slice is 100 ms");
}

/// The time from `act` until `owner` has reported. `owner` then ends, and so does `other`: if it
/// ran late, it finds the side free again, and the effect of `then`.
fn until_reported(owner: Child, other: Child, reported: &AtomicU64, act: impl FnOnce(), then: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    act();
    wait_for_count("the endpoint", reported, 1);
    let taken = begun.elapsed();
    owner.expect_success();
    then();
    other.expect_success_within(BY_ITSELF);
    taken
}

fn consume_and_report(queue: &Queue<u64>, reported: &AtomicU64) {
    let consumer = queue.consumer().unwrap();
    assert_eq!(consumer.get_timeout(PATIENCE).unwrap(), 7);
    reported.store(1, Release);
}

fn a_consumer_is_not_late_for_a_wake_that_others_had() {
    quickest("beside a getter by lock", || {
        let (queue, reported) = (Queue::<u64>::new(4).unwrap(), shared_word());
        let mut getter = fork("a getter by lock", || {
            let got = queue.get_timeout(PATIENCE);
            assert!(matches!(got, Err(GetError::Held { .. }) | Ok(8)), "{got:?}");
        });
        getter.wait_until_asleep();
        let mut owner = fork("a Consumer", || consume_and_report(&queue, reported));
        owner.wait_until_asleep();
        until_reported(owner, getter, reported, || queue.put(&7).unwrap(), || queue.put(&8).unwrap())
    });
}

fn a_consumer_is_not_late_for_a_wake_that_wait_any_had() {
    quickest("beside one that waits for several things", || {
        let (queue, reported) = (Queue::<u64>::new(4).unwrap(), shared_word());
        let started = shared_word();
        let mut waiter = fork("one that waits for several things", || {
            wait_for_count("the Consumer", started, 1);
            wait_any(&[&queue], Instant::now() + PATIENCE).unwrap();
            // The message is for the Consumer. This process passes on the wake that it received.
            let got = queue.try_get();
            assert!(matches!(got, Err(GetError::Held { .. } | GetError::Empty) | Ok(8)), "{got:?}");
        });
        let mut owner = fork("a Consumer", || {
            let consumer = queue.consumer().unwrap();
            started.store(1, Release);
            wait_for_count("one that sleeps already", started, 2);
            assert_eq!(consumer.get_timeout(PATIENCE).unwrap(), 7);
            reported.store(1, Release);
        });
        wait_for_count("the Consumer", started, 1);
        waiter.wait_until_asleep();
        started.store(2, Release);
        owner.wait_until_asleep();
        until_reported(owner, waiter, reported, || queue.put(&7).unwrap(), || queue.put(&8).unwrap())
    });
}

fn a_producer_is_not_late_for_a_wake_that_others_had() {
    quickest("beside a putter by lock", || {
        let (queue, reported) = (Queue::<u64>::new(1).unwrap(), shared_word());
        queue.put(&1).unwrap();
        let mut putter = fork("a putter by lock", || {
            let put = queue.put_timeout(&9, PATIENCE);
            assert!(matches!(put, Err(PutError::Held { .. }) | Ok(())), "{put:?}");
        });
        putter.wait_until_asleep();
        let mut owner = fork("a Producer", || {
            let producer = queue.producer().unwrap();
            producer.put_timeout(&7, PATIENCE).unwrap();
            reported.store(1, Release);
        });
        owner.wait_until_asleep();
        until_reported(owner, putter, reported, || assert_eq!(queue.get().unwrap(), 1), || assert_eq!(queue.get().unwrap(), 7))
    });
}
