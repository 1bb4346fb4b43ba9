//! How a process that commits and one that falls asleep see each other: by `membarrier`, by full
//! fences, and where membarrier is refused.

use crate::support::harness::{Case, skip};
use crate::support::process::{Exit, fork, fork_with_code, send_signal, shared_words};
use crate::support::sandbox::refuse;
use crate::support::{BY_ITSELF, PATIENCE, unique_name};
use shmq::sync::Event;
use shmq::{Queue, WaitStrategy, wait_any};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_process_that_has_only_full_fences_is_not_registered,
        no_wake_is_lost_with_full_fences,
        no_wake_is_lost_where_the_barrier_is_refused,
        an_idle_getter_sleeps_long_where_the_barrier_is_refused,
        a_death_beside_full_fences_is_one_like_any_other,
    ]
}

/// Is this process registered for the membarrier of other processes? `None`: the kernel does not
/// report it (before Linux 6.3).
fn is_registered() -> Option<bool> {
    const GET_REGISTRATIONS: libc::c_int = 1 << 9;
    const GLOBAL_EXPEDITED: libc::c_long = 1 << 2;
    // SAFETY: membarrier takes no pointers; an unknown command is refused.
    let found = unsafe { libc::syscall(libc::SYS_membarrier, GET_REGISTRATIONS, 0, 0) };
    (found >= 0).then_some(found & GLOBAL_EXPEDITED != 0)
}

fn fenced() -> shmq::QueueBuilder<Queue<u64>> {
    Queue::builder().capacity(4).wait_strategy(WaitStrategy::Block).full_fence(true)
}

fn a_process_that_has_only_full_fences_is_not_registered() {
    if is_registered().is_none() {
        skip("the kernel does not say who is registered");
    }
    let name = unique_name("fenced");
    let queue = fenced().name(&name).create().unwrap();
    let event = Event::builder().full_fence(true).create().unwrap();
    queue.put(&1).unwrap();
    fork("an opener, which follows the segment header", || {
        let same: Queue<u64> = Queue::open(&name).unwrap();
        assert_eq!(same.get().unwrap(), 1);
        let _ = same.get_timeout(Duration::from_millis(1));
        event.set();
        assert_eq!(is_registered(), Some(false));
    })
    .expect_success();
    assert!(event.is_set());
    let _ = queue.get_timeout(Duration::from_millis(1));
    assert_eq!(is_registered(), Some(false));
    let _other: Queue<u64> = Queue::new(3).unwrap();
    assert_eq!(is_registered(), Some(true));
}

/// Round trips of two processes that sleep for each answer. A lost wake costs a slice of the wait,
/// 100 ms: fewer than one in ten may be lost.
fn ping_pong(queues: [Queue<u64>; 2], echo: impl Fn()) {
    const ROUNDS: u64 = 4000;
    let [there, back] = &queues;
    let child = fork("the echo", || {
        echo();
        for _ in 0..ROUNDS {
            back.put_timeout(&there.get_timeout(PATIENCE).unwrap(), PATIENCE).unwrap();
        }
    });
    let begin = Instant::now();
    for round in 0..ROUNDS {
        there.put_timeout(&round, PATIENCE).unwrap();
        assert_eq!(back.get_timeout(PATIENCE).unwrap(), round);
    }
    child.expect_success();
    assert!(begin.elapsed() < BY_ITSELF, "{ROUNDS} round trips took {:?}: wakes were lost", begin.elapsed());
}

fn no_wake_is_lost_with_full_fences() {
    ping_pong([fenced().create().unwrap(), fenced().create().unwrap()], || {});
    // Through endpoints, and for a process that waits for two queues: one of each kind.
    let (plain, full) = (Queue::<u64>::new(4).unwrap(), fenced().create().unwrap());
    let answers = fenced().create().unwrap();
    let child = fork("the echo", || {
        for _ in 0..400 {
            wait_any(&[&plain, &full], Instant::now() + PATIENCE).unwrap();
            let value = plain.try_get().or_else(|_| full.try_get()).unwrap();
            answers.put(&value).unwrap();
        }
    });
    let begin = Instant::now();
    let (one, other) = (plain.producer().unwrap(), full.producer().unwrap());
    let got = answers.consumer().unwrap();
    for round in 0..400 {
        if round % 2 == 0 { one.put(&round) } else { other.put(&round) }.unwrap();
        assert_eq!(got.get_timeout(PATIENCE).unwrap(), round);
    }
    child.expect_success();
    assert!(begin.elapsed() < BY_ITSELF / 2, "{:?}: wakes were lost", begin.elapsed());
}

fn no_wake_is_lost_where_the_barrier_is_refused() {
    // The creator may use membarrier; the echo process may not.
    let queues = || Queue::<u64>::builder().capacity(4).wait_strategy(WaitStrategy::Block).create().unwrap();
    ping_pong([queues(), queues()], || assert!(refuse(&[libc::SYS_membarrier])));
    // Both the creator and the echo process run in such a sandbox.
    fork("all in a sandbox", || {
        assert!(refuse(&[libc::SYS_membarrier]));
        ping_pong([queues(), queues()], || {});
    })
    .expect_success();
}

/// How often this process went to sleep so far.
fn sleeps() -> i64 {
    // SAFETY: `rusage` consists of plain integers, for which zeroes are valid; the call fills it.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage.ru_nvcsw
    }
}

fn an_idle_getter_sleeps_long_where_the_barrier_is_refused() {
    let queue: Queue<u64> = Queue::new(4).unwrap();
    let idle = |queue: &Queue<u64>| {
        let before = sleeps();
        assert!(queue.get_timeout(Duration::from_secs(2)).is_err());
        let waited = wait_any(&[queue], Instant::now() + Duration::from_secs(1));
        assert!(waited.is_err());
        sleeps() - before
    };
    fork("one that is refused", || {
        assert!(refuse(&[libc::SYS_membarrier]));
        // A queue of this process, and one of another: at most 2 sleeps in each 100 ms, plus some
        // at the start.
        let own: Queue<u64> = Queue::new(4).unwrap();
        let counts = [idle(&queue), idle(&own)];
        assert!(counts.iter().all(|&count| count < 600), "{counts:?} sleeps in 3 s");
    })
    .expect_success();
}

fn a_death_beside_full_fences_is_one_like_any_other() {
    let queue = fenced().create().unwrap();
    let words = shared_words(1);
    queue.put_slice(&[1, 2]).unwrap();
    let mut dead = fork_with_code("one that dies with all that can be held", || {
        let _lease = queue.lease().unwrap();
        let _loan = queue.loan().unwrap();
        let _producer = queue.producer().unwrap();
        words[0].store(1, SeqCst);
        send_signal(std::process::id() as i32, libc::SIGKILL);
        1
    });
    assert_eq!(dead.wait(), Exit::Signal(libc::SIGKILL));
    assert_eq!(words[0].load(SeqCst), 1);
    let lease = queue.lease_timeout(PATIENCE).unwrap();
    assert_eq!((*lease, lease.deliveries()), (1, 2));
    lease.release();
    for value in 3..5 {
        queue.put_timeout(&value, PATIENCE).unwrap();
    }
    queue.close();
    assert_eq!(queue.iter().map(Result::unwrap).collect::<Vec<_>>(), [2, 3, 4]);
}
