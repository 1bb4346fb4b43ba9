//! What each verb does, the same under every executor.

use crate::executors::{Executor, poll_once, within, yield_now};
use crate::on_every_executor;
use crate::support::PATIENCE;
use crate::support::harness::Case;
use crate::support::process::{expect_all_succeed, fork};
use shmq::{GetError, PutError, Queue};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    on_every_executor![
        what_is_there_is_taken_at_once,
        a_get_waits_for_a_put_of_another_task,
        a_put_waits_for_room,
        a_slice_is_put_and_taken_in_parts,
        a_loan_waits_for_room_and_an_abort_gives_it_back,
        endpoints_put_and_get,
        close_ends_gets_and_puts,
        closed_waits_for_a_close,
        join_waits_for_the_last_task_done,
        two_processes_answer_each_other,
        many_tasks_share_what_comes,
        a_loop_that_is_always_ready_lets_others_run,
    ]
}

/// Long enough for a task to wait.
const A_WHILE: Duration = Duration::from_millis(20);

fn queue(capacity: usize) -> Queue<u64> {
    Queue::new(capacity).unwrap()
}

fn what_is_there_is_taken_at_once<E: Executor>() {
    let queue = queue(4);
    E::block_on(async {
        queue.put_async(&1).await.unwrap();
        let mut get = queue.get_async();
        assert_eq!(poll_once(&mut get).await.unwrap().unwrap(), 1);
        assert!(poll_once(&mut queue.get_async()).await.is_none());
    });
}

fn a_get_waits_for_a_put_of_another_task<E: Executor>() {
    let queue = queue(4);
    E::block_on(async {
        let getter = E::spawn({
            let queue = queue.clone();
            async move { queue.get_async().await }
        });
        E::sleep(A_WHILE).await;
        queue.put_async(&7).await.unwrap();
        assert_eq!(getter.await.unwrap(), 7);
        // A blocking put of another thread wakes it too.
        let there = queue.clone();
        let putter = std::thread::spawn(move || {
            std::thread::sleep(A_WHILE);
            there.put(&8)
        });
        assert_eq!(queue.get_async().await.unwrap(), 8);
        putter.join().unwrap().unwrap();
    });
}

fn a_put_waits_for_room<E: Executor>() {
    let queue = queue(1);
    E::block_on(async {
        queue.put_async(&1).await.unwrap();
        let putter = E::spawn({
            let queue = queue.clone();
            async move { queue.put_async(&2).await }
        });
        E::sleep(A_WHILE).await;
        assert_eq!((queue.len(), queue.get_async().await.unwrap()), (1, 1));
        putter.await.unwrap();
        assert_eq!(queue.get_async().await.unwrap(), 2);
    });
}

fn a_slice_is_put_and_taken_in_parts<E: Executor>() {
    let queue = queue(8);
    let all: Vec<u64> = (0..1_000).collect();
    E::block_on(async {
        let putter = E::spawn({
            let (queue, all) = (queue.clone(), all.clone());
            async move {
                let mut put = 0;
                while put < all.len() {
                    let moved = queue.put_slice_async(&all[put..]).await.unwrap();
                    // More than there is room for at once, if the getter is at work meanwhile.
                    assert!(moved > 0);
                    put += moved;
                }
                assert_eq!(queue.put_slice_async(&[]).await.unwrap(), 0);
            }
        });
        let mut taken = Vec::new();
        while taken.len() < all.len() {
            let mut some = [0; 5];
            let moved = queue.get_slice_async(&mut some).await.unwrap();
            taken.extend_from_slice(&some[..moved]);
        }
        assert_eq!(taken, all);
        putter.await;
    });
}

fn a_loan_waits_for_room_and_an_abort_gives_it_back<E: Executor>() {
    let queue = Queue::<[u8]>::builder().capacity(1).capacity_bytes(1 << 14).create().unwrap();
    E::block_on(async {
        let loan = queue.loan_len_async(100).await.unwrap();
        assert!(poll_once(&mut queue.loan_len_async(100)).await.is_none());
        let putter = E::spawn({
            let queue = queue.clone();
            async move {
                let mut loan = queue.loan_len_async(3).await.unwrap();
                loan.copy_from_slice(b"abc");
                loan.commit().unwrap();
            }
        });
        E::sleep(A_WHILE).await;
        drop(loan);
        putter.await;
        assert_eq!(queue.get_async().await.unwrap(), b"abc");
        let too_large = queue.loan_len_async(queue.max_len() + 1).await.map(drop);
        assert!(matches!(too_large, Err(PutError::TooLarge { .. })), "{too_large:?}");
    });
}

fn endpoints_put_and_get<E: Executor>() {
    let queue = queue(4);
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    E::block_on(async move {
        assert!(matches!(queue.get_async().await, Err(GetError::Held { .. })));
        assert!(matches!(queue.put_async(&1).await, Err(PutError::Held { .. })));
        let putter = E::spawn(async move {
            for number in 0..500 {
                producer.put_async(&number).await.unwrap();
                if number % 100 == 0 {
                    E::sleep(Duration::from_millis(2)).await;
                }
            }
            producer
        });
        for number in 0..500 {
            assert_eq!(consumer.get_async().await.unwrap(), number);
        }
        let mut producer = putter.await;
        // A task that waits by lock is refused as soon as an endpoint owns the side.
        drop(consumer);
        let getter = E::spawn({
            let queue = queue.clone();
            async move { queue.get_async().await }
        });
        E::sleep(A_WHILE).await;
        let mut consumer = queue.consumer().unwrap();
        assert!(matches!(getter.await, Err(GetError::Held { .. })));
        producer.put_async(&9).await.unwrap();
        assert_eq!(consumer.get_async().await.unwrap(), 9);
    });
}

fn close_ends_gets_and_puts<E: Executor>() {
    let (empty, full) = (queue(1), queue(1));
    full.put(&1).unwrap();
    E::block_on(async {
        let gets: Vec<_> = (0..5).map(|_| empty.clone()).map(|queue| E::spawn(async move { queue.get_async().await })).collect();
        let puts: Vec<_> = (0..5).map(|_| full.clone()).map(|queue| E::spawn(async move { queue.put_async(&2).await })).collect();
        E::sleep(A_WHILE).await;
        empty.close();
        full.close();
        for get in gets {
            assert!(matches!(get.await, Err(GetError::Closed)));
        }
        for put in puts {
            assert!(matches!(put.await, Err(PutError::Closed)));
        }
        assert_eq!(full.get_async().await.unwrap(), 1);
        assert!(matches!(full.get_async().await, Err(GetError::Closed)));
    });
}

fn closed_waits_for_a_close<E: Executor>() {
    let queue = queue(4);
    E::block_on(async {
        let watcher = E::spawn({
            let queue = queue.clone();
            async move { queue.closed().await }
        });
        queue.put_async(&1).await.unwrap();
        assert!(within::<E, _>(A_WHILE, queue.closed()).await.is_none());
        queue.close();
        watcher.await.unwrap();
        queue.closed().await.unwrap();
        assert_eq!(queue.get_async().await.unwrap(), 1, "messages may still be in it");
    });
}

fn join_waits_for_the_last_task_done<E: Executor>() {
    let queue = queue(4);
    queue.put_slice(&[1, 2]).unwrap();
    E::block_on(async {
        let joiner = E::spawn({
            let queue = queue.clone();
            async move { queue.join_async().await }
        });
        assert_eq!(queue.get_async().await.unwrap(), 1);
        queue.lease_ack().unwrap().ack().unwrap();
        assert!(within::<E, _>(A_WHILE, queue.join_async()).await.is_none());
        queue.task_done().unwrap();
        joiner.await.unwrap();
    });
}

fn two_processes_answer_each_other<E: Executor>() {
    let (there, back) = (queue(2), queue(2));
    let child = fork("a process that answers", || {
        E::block_on(async {
            while let Ok(number) = there.get_async().await {
                back.put_async(&(number + 1)).await.unwrap();
            }
            back.close();
        });
    });
    E::block_on(async {
        for number in 0..300 {
            there.put_async(&number).await.unwrap();
            assert_eq!(back.get_async().await.unwrap(), number + 1);
        }
        there.close();
        assert!(matches!(back.get_async().await, Err(GetError::Closed)));
    });
    child.expect_success();
}

fn many_tasks_share_what_comes<E: Executor>() {
    const TASKS: u64 = 200;
    let queue = queue(16);
    let putter = fork("a process that puts", || {
        for number in 0..TASKS * 10 {
            queue.put_timeout(&number, PATIENCE).unwrap();
        }
        queue.close();
    });
    let sum = E::block_on(async {
        let take = |queue: Queue<u64>| async move {
            let mut sum = 0;
            while let Ok(number) = queue.get_async().await {
                sum += number;
                yield_now().await;
            }
            sum
        };
        let tasks: Vec<_> = (0..TASKS).map(|_| E::spawn(take(queue.clone()))).collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        sum
    });
    assert_eq!(sum, (0..TASKS * 10).sum::<u64>());
    expect_all_succeed(vec![putter]);
}

/// The loop ends by what the other task does; on one thread that one runs only if the loop yields.
fn a_loop_that_is_always_ready_lets_others_run<E: Executor>() {
    let queue = queue(4);
    E::block_on(async {
        let other = E::spawn({
            let queue = queue.clone();
            async move { queue.close() }
        });
        let mut rounds = 0u64;
        loop {
            if queue.put_async(&1).await.is_err() {
                break;
            }
            match queue.get_async().await {
                Ok(_) => rounds += 1,
                Err(error) => break assert!(matches!(error, GetError::Closed), "{error}"),
            }
        }
        other.await;
        eprintln!("{rounds} rounds");
    });
}
