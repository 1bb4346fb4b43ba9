//! Futures that are dropped, raced, forgotten, woken and not polled: nothing is lost, and no
//! message waits for a task that does not come.

use crate::executors::{Executor, poll_once, within, yield_now};
use crate::on_every_executor;
use crate::support::harness::Case;
use crate::support::process::{fork, shared_word, wait_for_count};
use crate::support::{PATIENCE, Rng};
use futures::future::{Either, select};
use shmq::{AckLease, GetError, Queue};
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    on_every_executor![
        a_future_that_is_dropped_has_done_nothing,
        the_arm_of_a_select_that_lost_took_nothing,
        a_timeout_that_races_a_message_loses_none,
        what_was_woken_and_dropped_hands_its_message_on,
        what_was_woken_and_is_not_polled_holds_its_message_for_a_slice,
        what_was_woken_and_is_not_polled_holds_no_other_process_up,
        forgotten_futures_leave_the_queue_to_others,
        a_cancelled_task_gives_its_lease_back,
    ]
}

fn queue(capacity: usize) -> Queue<u64> {
    Queue::new(capacity).unwrap()
}

fn a_future_that_is_dropped_has_done_nothing<E: Executor>() {
    let queue = queue(1);
    E::block_on(async {
        for number in 0..50 {
            let mut get = queue.get_async();
            assert!(poll_once(&mut get).await.is_none());
            queue.put(&number).unwrap();
            let mut put = queue.put_async(&1_000);
            assert!(poll_once(&mut put).await.is_none());
            drop(get);
            assert_eq!(queue.len(), 1);
            assert_eq!(queue.try_get().unwrap(), number);
            drop(put);
            assert!(queue.is_empty());
        }
    });
}

fn the_arm_of_a_select_that_lost_took_nothing<E: Executor>() {
    let (left, right) = (queue(1), queue(1));
    E::block_on(async {
        for number in 0..100 {
            let putter = E::spawn({
                let (left, right) = (left.clone(), right.clone());
                async move {
                    let (first, second) = if number % 2 == 0 { (left, right) } else { (right, left) };
                    first.put_async(&number).await.unwrap();
                    second.put_async(&number).await.unwrap();
                }
            });
            let other = match select(left.get_async(), right.get_async()).await {
                Either::Left((taken, _lost)) => taken.map(|taken| (taken, &right)),
                Either::Right((taken, _lost)) => taken.map(|taken| (taken, &left)),
            };
            let (taken, other) = other.unwrap();
            assert_eq!((taken, other.get_async().await.unwrap()), (number, number));
            putter.await;
            assert!(left.is_empty() && right.is_empty());
        }
    });
}

fn a_timeout_that_races_a_message_loses_none<E: Executor>() {
    const MESSAGES: u64 = 400;
    let queue = queue(2);
    let timed_out = shared_word();
    let putter = fork("a process that puts now and then", || {
        let mut rng = Rng::new("pauses");
        wait_for_count("a timeout", timed_out, 1);
        for number in 0..MESSAGES {
            std::thread::sleep(rng.duration_below(Duration::from_millis(2)));
            queue.put_timeout(&number, PATIENCE).unwrap();
        }
        queue.close();
    });
    let (mut next, mut timeouts) = (0, 0);
    E::block_on(async {
        loop {
            match within::<E, _>(Duration::from_millis(1), queue.get_async()).await {
                Some(Ok(number)) => {
                    assert_eq!(number, next);
                    next += 1;
                }
                Some(Err(error)) => break assert!(matches!(error, GetError::Closed), "{error}"),
                None => {
                    timeouts += 1;
                    timed_out.store(1, Release);
                }
            }
        }
    });
    assert_eq!(next, MESSAGES);
    eprintln!("{timeouts} futures were dropped");
    putter.expect_success();
}

/// Two tasks wait. The first is woken for the only message, and dropped without a poll.
fn what_was_woken_and_dropped_hands_its_message_on<E: Executor>() {
    const ROUNDS: u64 = 60;
    let queue = queue(4);
    let mut late = 0;
    E::block_on(async {
        for number in 0..ROUNDS {
            let mut first = queue.get_async();
            assert!(poll_once(&mut first).await.is_none());
            let second = E::spawn({
                let queue = queue.clone();
                async move { queue.get_async().await }
            });
            E::sleep(Duration::from_millis(1)).await;
            queue.put(&number).unwrap();
            if number % 4 != 0 {
                // The reactor has notified the first task by then.
                E::sleep(Duration::from_millis(1)).await;
            }
            let dropped_at = Instant::now();
            drop(first);
            assert_eq!(second.await.unwrap(), number);
            late += u64::from(dropped_at.elapsed() > Duration::from_millis(40));
        }
    });
    // Handed on at once, not when the slice of 0.1 s was over. (A loaded machine may delay some.)
    assert!(late < ROUNDS / 3, "{late} of {ROUNDS}");
}

/// A slice is 0.1 s; on a loaded machine it may take long until a task runs.
const HELD_UP: Duration = Duration::from_secs(5);

fn what_was_woken_and_is_not_polled_holds_its_message_for_a_slice<E: Executor>() {
    let queue = queue(4);
    E::block_on(async {
        let mut idle = queue.get_async();
        assert!(poll_once(&mut idle).await.is_none());
        let able = E::spawn({
            let queue = queue.clone();
            async move { queue.get_async().await }
        });
        E::sleep(Duration::from_millis(5)).await;
        queue.put(&7).unwrap();
        let put_at = Instant::now();
        assert_eq!(able.await.unwrap(), 7);
        eprintln!("taken after {:?}", put_at.elapsed());
        assert!(put_at.elapsed() < HELD_UP, "{:?}", put_at.elapsed());
        drop(idle);
    });
}

fn what_was_woken_and_is_not_polled_holds_no_other_process_up<E: Executor>() {
    let queue = queue(4);
    let (waits, taken) = (shared_word(), shared_word());
    let idle = fork("a process whose tasks are not polled", || {
        E::block_on(async {
            let mut gets: Vec<_> = (0..20).map(|_| queue.get_async()).collect();
            for get in &mut gets {
                assert!(poll_once(get).await.is_none());
            }
            waits.store(1, Release);
            // The executor is blocked; its reactor is not.
            wait_for_count("the message", taken, 1);
        });
    });
    wait_for_count("the tasks", waits, 1);
    E::block_on(async {
        let able = E::spawn({
            let queue = queue.clone();
            async move { queue.get_async().await }
        });
        E::sleep(Duration::from_millis(5)).await;
        queue.put(&7).unwrap();
        let put_at = Instant::now();
        assert_eq!(able.await.unwrap(), 7);
        eprintln!("taken after {:?}", put_at.elapsed());
        // Not a slice for each of the 20 tasks, and then some.
        assert!(put_at.elapsed() < Duration::from_millis(1_500), "{:?}", put_at.elapsed());
    });
    taken.store(1, Release);
    idle.expect_success();
}

fn forgotten_futures_leave_the_queue_to_others<E: Executor>() {
    let (queue, full) = (queue(4), queue(1));
    full.put(&1).unwrap();
    let name = queue.name().to_string();
    E::block_on(async {
        for _ in 0..3 {
            let (mut get, mut put) = (queue.get_async(), full.put_async(&9));
            assert!(poll_once(&mut get).await.is_none() && poll_once(&mut put).await.is_none());
            std::mem::forget((get, put));
        }
        // Each message may be meant for a task that is gone, for a slice at most.
        for number in 0..5 {
            let put_at = Instant::now();
            queue.put(&number).unwrap();
            assert_eq!(within::<E, _>(HELD_UP, queue.get_async()).await.expect("a message").unwrap(), number);
            eprintln!("taken after {:?}", put_at.elapsed());
        }
        assert_eq!(full.get_async().await.unwrap(), 1);
        within::<E, _>(HELD_UP, full.put_async(&2)).await.expect("room").unwrap();
        assert_eq!(full.get_async().await.unwrap(), 2);
    });
    // It borrowed the handle, which may go now: what the reactor looks at is kept alive by itself.
    drop((queue, full));
    std::thread::sleep(Duration::from_millis(250));
    assert!(crate::support::segment_exists(&name), "a forgotten future keeps its queue attached");
}

fn a_cancelled_task_gives_its_lease_back<E: Executor>() {
    async fn work(queue: Queue<u64>) -> u64 {
        let lease: AckLease<'static, u64> = loop {
            match queue.try_lease_ack_owned() {
                Ok(lease) => break lease,
                Err(error) => assert!(matches!(error, GetError::Empty), "{error}"),
            }
            yield_now().await;
        };
        std::future::pending::<()>().await;
        let number = *lease;
        lease.ack().unwrap();
        number
    }
    let queue = queue(4);
    queue.put(&7).unwrap();
    E::block_on(async {
        for delivery in 0..5 {
            assert!(within::<E, _>(Duration::from_millis(5), Box::pin(work(queue.clone()))).await.is_none());
            assert_eq!(queue.stats().redelivered, delivery);
        }
        // The drop wakes a task that waits.
        let lease = queue.lease_ack_owned().unwrap();
        assert_eq!(lease.deliveries(), 6);
        let other = E::spawn({
            let queue = queue.clone();
            async move { queue.get_async().await }
        });
        E::sleep(Duration::from_millis(5)).await;
        drop(lease);
        assert_eq!(other.await.unwrap(), 7);
    });
}
