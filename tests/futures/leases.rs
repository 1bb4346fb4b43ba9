//! Leases by futures and streams: given back when they are dropped, by whatever drops them.

use crate::executors::{Executor, poll_once, within};
use crate::on_every_executor;
use crate::support::PATIENCE;
use crate::support::harness::Case;
use crate::support::process::fork;
use futures::StreamExt;
use futures::future::{Either, select};
use shmq::{AckLease, GetError, Queue};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    let cases = on_every_executor![
        a_lease_waits_for_a_message_and_is_acknowledged,
        a_future_that_was_not_ready_counts_as_no_delivery,
        a_task_that_is_cancelled_gives_back_what_it_was_handed,
        a_lease_that_lost_a_select_comes_back,
        a_message_that_is_cancelled_too_often_is_given_up,
        a_stream_of_leases_spreads_over_tasks,
        buffered_leases_come_back_with_the_stream,
        an_endpoint_leases_several_at_once,
    ];
    #[cfg(not(shmq_portable_sync))]
    let cases = [cases, on_every_executor![a_worker_that_is_killed_loses_no_lease]].concat();
    #[cfg(feature = "object")]
    let cases = [cases, on_every_executor![objects_are_leased_too]].concat();
    cases
}

const A_WHILE: Duration = Duration::from_millis(10);

fn queue(capacity: usize) -> Queue<u64> {
    Queue::new(capacity).unwrap()
}

fn a_lease_waits_for_a_message_and_is_acknowledged<E: Executor>() {
    let queue = queue(4);
    E::block_on(async {
        let worker = E::spawn({
            let queue = queue.clone();
            async move {
                let lease = queue.lease_async().await?;
                let number = *lease;
                E::sleep(A_WHILE).await;
                lease.ack()?;
                Ok::<u64, GetError>(number)
            }
        });
        E::sleep(A_WHILE).await;
        queue.put_async(&7).await.unwrap();
        queue.join_async().await.unwrap();
        assert_eq!(worker.await.unwrap(), 7);
        queue.close();
        assert!(matches!(queue.lease_async().await.map(drop), Err(GetError::Closed)));
    });
}

fn a_future_that_was_not_ready_counts_as_no_delivery<E: Executor>() {
    let queue = Queue::<u64>::builder().capacity(4).max_deliveries(1).create().unwrap();
    E::block_on(async {
        for number in 0..30 {
            let mut lease = queue.lease_async();
            assert!(poll_once(&mut lease).await.is_none());
            queue.put(&number).unwrap();
            if number % 2 == 0 {
                // Woken by then, and still not ready.
                E::sleep(Duration::from_millis(1)).await;
            }
            drop(lease);
            let lease = queue.lease_async().await.unwrap();
            assert_eq!((*lease, lease.deliveries()), (number, 1));
            lease.ack().unwrap();
        }
    });
    assert_eq!((queue.stats().given_up, queue.stats().redelivered), (0, 0));
}

/// Leases a job and works for ever.
async fn work_for_ever(queue: Queue<u64>) {
    let lease = queue.lease_async().await.unwrap();
    std::future::pending::<()>().await;
    lease.ack().unwrap();
}

fn a_task_that_is_cancelled_gives_back_what_it_was_handed<E: Executor>() {
    let queue = queue(4);
    queue.put_slice(&[1, 2]).unwrap();
    E::block_on(async {
        for delivery in 1..6 {
            assert!(within::<E, _>(A_WHILE, Box::pin(work_for_ever(queue.clone()))).await.is_none());
            let lease = queue.try_lease_ack().unwrap();
            assert_eq!((*lease, lease.deliveries()), (1, 2 * delivery));
        }
        // What is given back wakes a task that waits.
        let (first, second) = (queue.lease_async().await.unwrap(), queue.lease_async().await.unwrap());
        let other = E::spawn({
            let queue = queue.clone();
            async move { queue.lease_async().await.map(|lease| *lease) }
        });
        E::sleep(A_WHILE).await;
        second.ack().unwrap();
        drop(first);
        assert_eq!(other.await.unwrap(), 1);
    });
}

fn a_lease_that_lost_a_select_comes_back<E: Executor>() {
    let (left, right) = (queue(4), queue(4));
    E::block_on(async {
        for number in 0..50 {
            left.put(&number).unwrap();
            right.put(&number).unwrap();
            let (won, lost) = match select(left.lease_async(), right.lease_async()).await {
                Either::Left((lease, _)) => (lease.unwrap(), &right),
                Either::Right((lease, _)) => (lease.unwrap(), &left),
            };
            won.ack().unwrap();
            let lease = lost.lease_async().await.unwrap();
            assert_eq!((*lease, lease.deliveries()), (number, 1), "its future was not ready");
            lease.ack().unwrap();
        }
    });
}

fn a_message_that_is_cancelled_too_often_is_given_up<E: Executor>() {
    let queue = Queue::<u64>::builder().capacity(4).max_deliveries(3).create().unwrap();
    queue.put_slice(&[1, 2]).unwrap();
    E::block_on(async {
        for _ in 0..3 {
            assert!(within::<E, _>(A_WHILE, Box::pin(work_for_ever(queue.clone()))).await.is_none());
        }
        assert_eq!(*queue.lease_async().await.unwrap(), 2);
    });
    assert_eq!(queue.stats().given_up, 1);
}

fn a_stream_of_leases_spreads_over_tasks<E: Executor>() {
    let queue = queue(8);
    let putter = fork("a process that puts", || {
        (0..200).for_each(|number| queue.put(&number).unwrap());
        queue.close();
    });
    E::block_on(async {
        let mut leases = queue.clone().into_lease_stream();
        let mut tasks = Vec::new();
        while let Some(lease) = leases.next().await {
            let lease: AckLease<'static, u64> = lease.unwrap();
            tasks.push(E::spawn(async move {
                let number = *lease;
                lease.ack().unwrap();
                number
            }));
        }
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        assert_eq!(sum, (0..200).sum::<u64>());
    });
    queue.join_timeout(PATIENCE).unwrap();
    putter.expect_success();
}

fn buffered_leases_come_back_with_the_stream<E: Executor>() {
    let queue = queue(8);
    queue.put_slice(&[1, 2, 3, 4, 5, 6]).unwrap();
    E::block_on(async {
        let mut chunks = queue.lease_stream().ready_chunks(4);
        let chunk = chunks.next().await.unwrap();
        assert_eq!(chunk.len(), 4);
        drop((chunk, chunks));
        let mut peeks = Box::pin(queue.lease_stream().peekable());
        assert!(peeks.as_mut().peek().await.is_some());
        drop(peeks);
        for number in 1..=6 {
            let lease = queue.lease_async().await.unwrap();
            let delivery = match number {
                1 => 3,
                2..=4 => 2,
                _ => 1,
            };
            assert_eq!((*lease, lease.deliveries()), (number, delivery));
            lease.ack().unwrap();
        }
    });
}

fn an_endpoint_leases_several_at_once<E: Executor>() {
    let queue = queue(8);
    let mut consumer = queue.consumer().unwrap();
    E::block_on(async move {
        let putter = E::spawn({
            let queue = queue.clone();
            async move {
                for number in 0..100 {
                    queue.put_async(&number).await.unwrap();
                }
            }
        });
        let mut held = Vec::new();
        for number in 0..100 {
            let lease = consumer.lease_async().await.unwrap();
            assert_eq!((*lease, lease.deliveries()), (number, 1));
            held.push(lease);
            if held.len() == 3 {
                held.swap_remove(1).ack().unwrap();
                held.drain(..).for_each(|lease| lease.ack().unwrap());
            }
        }
        putter.await;
        // The last is held by nobody: it comes back to the consumer's stream.
        drop(held);
        let lease = consumer.into_lease_stream().next().await.unwrap().unwrap();
        assert_eq!((*lease, lease.deliveries()), (99, 2));
        lease.ack().unwrap();
        assert!(queue.is_empty() && !queue.is_full());
    });
}

#[cfg(not(shmq_portable_sync))]
fn a_worker_that_is_killed_loses_no_lease<E: Executor>() {
    use crate::support::process::{shared_word, wait_for_count};
    use std::sync::atomic::Ordering::{Acquire, Release};
    let queue = queue(4);
    let holds = shared_word();
    queue.put(&7).unwrap();
    let victim = fork("a worker that is killed", || {
        E::block_on(async {
            let lease = queue.lease_async().await.unwrap();
            holds.store(*lease, Release);
            E::sleep(PATIENCE).await;
            lease.ack().unwrap();
        });
    });
    wait_for_count("its lease", holds, 7);
    assert_eq!(holds.load(Acquire), 7);
    E::block_on(async {
        let waits = E::spawn({
            let queue = queue.clone();
            async move { queue.lease_async().await.map(|lease| (*lease, lease.deliveries(), lease.ack().is_ok())) }
        });
        E::sleep(A_WHILE).await;
        victim.kill();
        assert_eq!(waits.await.unwrap(), (7, 2, true));
    });
}

#[cfg(feature = "object")]
fn objects_are_leased_too<E: Executor>() {
    let queue = shmq::ObjectQueue::<String>::new(8).unwrap();
    E::block_on(async {
        let worker = E::spawn({
            let queue = queue.clone();
            async move {
                let job = queue.lease_async().await.unwrap();
                E::sleep(A_WHILE).await;
                job.take().unwrap()
            }
        });
        E::sleep(A_WHILE).await;
        queue.put("a job").unwrap();
        assert_eq!(worker.await, "a job");
        queue.put("another").unwrap();
        assert!(within::<E, _>(A_WHILE, Box::pin(hold_for_ever(&queue))).await.is_none());
        let mut leases = queue.consumer().unwrap().into_lease_stream();
        let job = leases.next().await.unwrap().unwrap();
        assert_eq!((job.as_str(), job.deliveries()), ("another", 2));
        job.ack().unwrap();
    });
}

#[cfg(feature = "object")]
async fn hold_for_ever(queue: &shmq::ObjectQueue<String>) {
    let _job = queue.lease_async().await.unwrap();
    std::future::pending::<()>().await;
}
