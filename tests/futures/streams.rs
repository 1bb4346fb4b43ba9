//! Streams under the combinators of `futures`: `select`, `take_until`, `buffer_unordered`, and a
//! time-out for each item.

use crate::executors::{Executor, within};
use crate::on_every_executor;
use crate::support::harness::Case;
use crate::support::process::fork;
use futures::stream::{self, FusedStream, StreamExt};
use shmq::{GetError, Queue};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    on_every_executor![
        a_stream_ends_when_its_queue_is_closed_and_drained,
        select_takes_from_two_queues,
        take_until_leaves_the_rest_in_the_queue,
        a_timeout_of_an_item_takes_none,
        next_that_is_dropped_takes_none,
        a_buffered_stream_yields_what_its_tasks_made,
        a_stream_of_a_consumer_owns_its_side,
        an_error_that_lasts_is_the_last_item,
    ]
}

const A_WHILE: Duration = Duration::from_millis(20);

fn queue(capacity: usize) -> Queue<u64> {
    Queue::new(capacity).unwrap()
}

async fn numbers(stream: impl StreamExt<Item = Result<u64, GetError>>) -> Vec<u64> {
    stream.map(Result::unwrap).collect().await
}

fn a_stream_ends_when_its_queue_is_closed_and_drained<E: Executor>() {
    let queue = queue(4);
    let putter = fork("a process that puts", || {
        (0..100).for_each(|number| queue.put(&number).unwrap());
        queue.close();
    });
    E::block_on(async {
        let mut stream = queue.stream();
        assert_eq!(numbers(&mut stream).await, (0..100).collect::<Vec<_>>());
        assert!(stream.is_terminated() && stream.next().await.is_none() && stream.next().await.is_none());
    });
    putter.expect_success();
}

fn select_takes_from_two_queues<E: Executor>() {
    let (left, right) = (queue(4), queue(4));
    let putter = fork("a process that puts into both", || {
        for number in 0..200 {
            if number % 3 == 0 { &left } else { &right }.put(&number).unwrap();
        }
        left.close();
        right.close();
    });
    E::block_on(async {
        let mut all = numbers(stream::select(left.stream(), right.clone().into_stream())).await;
        all.sort();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
    });
    putter.expect_success();
}

fn take_until_leaves_the_rest_in_the_queue<E: Executor>() {
    let (queue, stop) = (queue(64), queue(1));
    E::block_on(async {
        let taker = E::spawn({
            let (queue, stop) = (queue.clone(), stop.clone());
            async move {
                let stopped = Box::pin(async move { stop.get_async().await });
                numbers(queue.stream().take_until(stopped)).await
            }
        });
        for number in 0..10 {
            queue.put_async(&number).await.unwrap();
        }
        while !queue.is_empty() {
            E::sleep(Duration::from_millis(1)).await;
        }
        stop.put_async(&0).await.unwrap();
        assert_eq!(taker.await, (0..10).collect::<Vec<_>>());
        queue.put_async(&10).await.unwrap();
        E::sleep(A_WHILE).await;
        assert_eq!(queue.try_get().unwrap(), 10, "what came later stays");
    });
}

fn a_timeout_of_an_item_takes_none<E: Executor>() {
    let queue = queue(4);
    E::block_on(async {
        let mut stream = queue.stream();
        for number in 0..5 {
            assert!(within::<E, _>(Duration::from_millis(3), stream.next()).await.is_none());
            queue.put_async(&number).await.unwrap();
            assert_eq!(stream.next().await.unwrap().unwrap(), number);
        }
    });
}

fn next_that_is_dropped_takes_none<E: Executor>() {
    let queue = queue(4);
    E::block_on(async {
        let mut stream = queue.clone().into_stream();
        for number in 0..20 {
            let mut next = stream.next();
            assert!(crate::executors::poll_once(&mut next).await.is_none());
            queue.put(&number).unwrap();
            drop(next);
            assert_eq!(queue.len(), 1);
            assert_eq!(stream.next().await.unwrap().unwrap(), number);
        }
        drop(stream);
        assert!(queue.is_empty());
    });
}

fn a_buffered_stream_yields_what_its_tasks_made<E: Executor>() {
    let queue = queue(8);
    let putter = fork("a process that puts", || {
        (0..60).for_each(|number| queue.put(&number).unwrap());
        queue.close();
    });
    E::block_on(async {
        let slowly = |number: Result<u64, GetError>| async move {
            E::sleep(Duration::from_millis(1)).await;
            number.unwrap() * 2
        };
        let mut all: Vec<u64> = queue.stream().map(slowly).buffer_unordered(8).collect().await;
        all.sort();
        assert_eq!(all, (0..60).map(|number| number * 2).collect::<Vec<_>>());
    });
    putter.expect_success();
}

fn a_stream_of_a_consumer_owns_its_side<E: Executor>() {
    let queue = queue(8);
    E::block_on(async {
        let mut stream = queue.consumer().unwrap().into_stream();
        queue.put_slice(&[1, 2]).unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
        assert!(matches!(queue.try_get(), Err(GetError::Held { .. })));
        // It goes to another thread.
        let taker = E::spawn(async move { stream.next().await.unwrap().unwrap() });
        assert_eq!(taker.await, 2);
        queue.put(&3).unwrap();
        assert_eq!(queue.get_async().await.unwrap(), 3, "the side is free");
    });
}

fn an_error_that_lasts_is_the_last_item<E: Executor>() {
    let queue = queue(8);
    let consumer = queue.consumer().unwrap();
    E::block_on(async {
        let mut stream = queue.stream();
        assert!(matches!(stream.next().await, Some(Err(GetError::Held { .. }))));
        assert!(stream.next().await.is_none() && stream.next().await.is_none());
    });
    drop(consumer);
}
