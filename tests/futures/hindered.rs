//! Futures where the kernel or another process stands in the way: `futex_waitv` is refused,
//! threads are, `membarrier` is; and a process stands still inside a lock of the queue.

use crate::executors::{Executor, Tokio, TokioOfOneThread, within};
use crate::polling::{Counts, cpu_time, poll};
use crate::support::PATIENCE;
use crate::support::harness::{Case, skip};
use crate::support::process::fork;
use crate::support::sandbox::refuse;
use crate::support::stalled::{stopped_in_the_get_lock, stopped_in_the_put_lock};
use futures::executor::block_on;
use shmq::{GetError, PutError, Queue};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        where_futex_waitv_is_refused_it_naps,
        where_futex_waitv_is_refused_idle_tasks_take_little_time,
        where_membarrier_is_refused_no_message_is_missed,
        where_no_thread_can_be_started_it_is_an_error,
        beside_a_stopped_getter_polls_do_not_wait,
        beside_a_stopped_putter_polls_do_not_wait,
        beside_a_stopped_getter_an_executor_of_one_thread_runs_on,
    ]
}

fn queue(capacity: usize) -> Queue<u64> {
    Queue::new(capacity).unwrap()
}

fn refuse_or_skip(calls: &[libc::c_long]) {
    if !refuse(calls) {
        skip("seccomp is not available");
    }
}

/// Two processes answer each other, the child without that call.
fn answers_without(calls: &'static [libc::c_long]) {
    let (there, back) = (queue(1), queue(1));
    let child = fork("a process in a sandbox", || {
        refuse_or_skip(calls);
        Tokio::block_on(async {
            while let Ok(number) = there.get_async().await {
                back.put_async(&(number + 1)).await.unwrap();
            }
            back.close();
        });
    });
    let mut longest = Duration::ZERO;
    Tokio::block_on(async {
        for number in 0..100 {
            let began = Instant::now();
            there.put_async(&number).await.unwrap();
            assert_eq!(within::<Tokio, _>(PATIENCE, back.get_async()).await.expect("an answer").unwrap(), number + 1);
            longest = longest.max(began.elapsed());
        }
        there.close();
        assert!(matches!(back.get_async().await, Err(GetError::Closed)));
    });
    child.expect_success();
    eprintln!("the longest answer took {longest:?}");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
}

fn where_futex_waitv_is_refused_it_naps() {
    answers_without(&[libc::SYS_futex_waitv]);
}

fn where_membarrier_is_refused_no_message_is_missed() {
    answers_without(&[libc::SYS_membarrier]);
}

fn where_futex_waitv_is_refused_idle_tasks_take_little_time() {
    let queue = queue(4);
    fork("idle tasks in a sandbox", || {
        refuse_or_skip(&[libc::SYS_futex_waitv]);
        let mut gets: Vec<_> = (0..100).map(|_| queue.get_async()).collect();
        gets.iter_mut().for_each(|get| assert!(poll(get, Waker::noop()).is_pending()));
        std::thread::sleep(Duration::from_millis(100));
        let before = cpu_time();
        std::thread::sleep(Duration::from_secs(1));
        let used = cpu_time() - before;
        eprintln!("idle tasks took {used:?} in 1 s");
        assert!(used < Duration::from_millis(100), "{used:?}");
        // Still none is missed.
        queue.put(&3).unwrap();
        let put_at = Instant::now();
        assert_eq!(block_on(gets.swap_remove(0)).unwrap(), 3);
        assert!(put_at.elapsed() < Duration::from_secs(5), "{:?}", put_at.elapsed());
    })
    .expect_success();
}

fn where_no_thread_can_be_started_it_is_an_error() {
    let (queue, full) = (queue(4), queue(1));
    full.put(&1).unwrap();
    fork("a process that may not start a thread", || {
        refuse_or_skip(&[libc::SYS_clone, libc::SYS_clone3]);
        for _ in 0..3 {
            let refused = block_on(queue.get_async());
            assert!(matches!(refused, Err(GetError::Os { .. })), "{refused:?}");
            let refused = block_on(full.put_async(&2));
            assert!(matches!(refused, Err(PutError::Os { .. })), "{refused:?}");
        }
        // What need not wait goes on.
        block_on(queue.put_async(&7)).unwrap();
        assert_eq!(block_on(queue.get_async()).unwrap(), 7);
    })
    .expect_success();
    assert_eq!((queue.len(), full.len()), (0, 1));
}

/// Far more than a poll needs on a loaded machine. A blocking `try_` gives a contended lock 1 ms;
/// a poll waits for none.
const ONE_POLL: Duration = Duration::from_millis(500);

fn bytes() -> Queue<[u8]> {
    Queue::<[u8]>::builder().capacity(4).capacity_bytes(64 << 10).create().unwrap()
}

/// The shortest of several polls: the others may have been interrupted.
fn shortest(mut poll: impl FnMut()) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..20 {
        let began = Instant::now();
        poll();
        shortest = shortest.min(began.elapsed());
    }
    assert!(shortest < ONE_POLL, "{shortest:?}");
    shortest
}

fn beside_a_stopped_getter_polls_do_not_wait() {
    let queue = bytes();
    (1..=3u8).for_each(|number| queue.put(&[number; 10]).unwrap());
    let stopped = stopped_in_the_get_lock(&queue);
    let counts: Vec<Arc<Counts>> = (0..50).map(|_| Arc::default()).collect();
    let mut gets: Vec<_> = counts.iter().map(|_| queue.get_async()).collect();
    for (get, counts) in gets.iter_mut().zip(&counts) {
        assert!(poll(get, &Waker::from(Arc::clone(counts))).is_pending());
    }
    let took = shortest(|| assert!(poll(&mut gets[0], Waker::noop()).is_pending()));
    eprintln!("a poll beside a lock that is held took {took:?}");
    assert!(took < Duration::from_micros(300), "it waits for the lock: {took:?}");
    let took = shortest(|| drop(gets.pop()));
    eprintln!("a drop took {took:?}");
    // One of the tasks tries now and then, not all of them all the time.
    std::thread::sleep(Duration::from_millis(100));
    let tries: u64 = counts.iter().map(|counts| counts.count()).sum();
    eprintln!("{tries} wakes in 0.1 s");
    assert!(tries < 500, "{tries} wakes");
    stopped.go_on();
    stopped.expect_success();
    assert_eq!(block_on(gets.swap_remove(1)).unwrap(), [2; 10]);
    assert_eq!(block_on(gets.swap_remove(1)).unwrap(), [3; 10]);
    assert!(queue.is_empty());
}

fn beside_a_stopped_putter_polls_do_not_wait() {
    let queue = bytes();
    let stopped = stopped_in_the_put_lock(&queue);
    let mut puts: Vec<_> = (0..30).map(|_| queue.put_async(&[9; 10])).collect();
    puts.iter_mut().for_each(|put| assert!(poll(put, Waker::noop()).is_pending()));
    let took = shortest(|| assert!(poll(&mut puts[0], Waker::noop()).is_pending()));
    eprintln!("a poll beside a lock that is held took {took:?}");
    assert!(took < Duration::from_micros(300), "it waits for the lock: {took:?}");
    shortest(|| drop(puts.pop()));
    stopped.go_on();
    stopped.expect_success();
    block_on(puts.swap_remove(1)).unwrap();
    drop(puts);
    assert_eq!((queue.get().unwrap().len(), queue.get().unwrap()), (512, vec![9; 10]));
    assert!(queue.is_empty());
}

fn beside_a_stopped_getter_an_executor_of_one_thread_runs_on() {
    let (queue, other) = (bytes(), queue(1));
    queue.put(&[1; 10]).unwrap();
    queue.put(&[2; 10]).unwrap();
    let stopped = stopped_in_the_get_lock(&queue);
    TokioOfOneThread::block_on(async {
        let waits = TokioOfOneThread::spawn({
            let queue = queue.clone();
            async move { queue.get_async().await }
        });
        // Their own queue goes on meanwhile, and timers do.
        let began = Instant::now();
        for number in 0..200 {
            other.put_async(&number).await.unwrap();
            assert_eq!(other.get_async().await.unwrap(), number);
            if number % 20 == 0 {
                TokioOfOneThread::sleep(Duration::from_millis(1)).await;
            }
        }
        eprintln!("200 messages of another queue took {:?}", began.elapsed());
        assert!(within::<TokioOfOneThread, _>(Duration::from_millis(20), queue.get_async()).await.is_none());
        stopped.go_on();
        assert_eq!(waits.await.unwrap(), [2; 10]);
    });
    stopped.expect_success();
    assert!(matches!(poll(&mut queue.get_async(), Waker::noop()), Poll::Pending));
}
