//! A fork beside futures that wait: the parent's go on, the child's copies are inert, and the child
//! waits by a reactor of its own.

use crate::polling::{Counts, poll, reactors, wait_for_a_reactor};
use crate::support::PATIENCE;
use crate::support::harness::Case;
use crate::support::process::{Child, fork, shared_word, wait_for_count};
use futures::executor::block_on;
use shmq::{GetError, JoinError, Process, PutError, Queue, Topic};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::task::{Poll, Waker};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_future_that_is_polled_or_dropped_in_a_child_is_inert,
        a_stream_that_is_polled_in_a_child_is_inert,
        futures_of_a_topic_are_inert_in_a_child_which_makes_its_own,
        a_future_that_did_not_wait_yet_works_in_a_child,
        a_child_waits_by_a_reactor_of_its_own,
        a_child_of_a_child_waits_too,
        forks_beside_a_busy_reactor_hang_no_child,
        spawn_does_not_count_the_reactor_as_a_thread,
        a_put_with_a_place_in_line_keeps_it_when_a_child_drops_the_copy,
    ]
}

fn queue(capacity: usize) -> Queue<u64> {
    Queue::new(capacity).unwrap()
}

fn a_future_that_is_polled_or_dropped_in_a_child_is_inert() {
    let (queue, full) = (queue(4), queue(1));
    full.put(&100).unwrap();
    for round in 0..4 {
        let counts = Arc::new(Counts::default());
        let waker = Waker::from(Arc::clone(&counts));
        let futures = RefCell::new(Some((queue.get_async(), full.put_async(&100), full.join_async(), queue.closed())));
        if let Some((get, put, join, closed)) = &mut *futures.borrow_mut() {
            assert!(poll(get, &waker).is_pending() && poll(put, &waker).is_pending());
            assert!(poll(join, &waker).is_pending() && poll(closed, &waker).is_pending());
        }
        let child = fork("a child with its parent's futures", || {
            let (mut get, mut put, mut join, mut closed) = futures.take().unwrap();
            if round % 2 == 0 {
                assert!(matches!(poll(&mut get, Waker::noop()), Poll::Ready(Err(GetError::Inherited))));
                assert!(matches!(poll(&mut put, Waker::noop()), Poll::Ready(Err(PutError::Inherited))));
                assert!(matches!(poll(&mut join, Waker::noop()), Poll::Ready(Err(JoinError::Inherited))));
                assert!(matches!(poll(&mut closed, Waker::noop()), Poll::Ready(Err(GetError::Inherited))));
            }
            drop((get, put, join, closed));
            assert!(reactors().is_empty());
            // The handles work.
            assert!(matches!(queue.try_get(), Err(GetError::Empty)));
            assert!(matches!(full.try_put(&3), Err(PutError::Full)));
        });
        child.expect_success();
        let (mut get, mut put, mut join, mut closed) = futures.take().unwrap();
        queue.put(&7).unwrap();
        counts.wait_for(1);
        assert!(matches!(poll(&mut get, &waker), Poll::Ready(Ok(7))));
        assert_eq!(full.get().unwrap(), 100);
        full.task_done().unwrap();
        counts.wait_for(2);
        let put_now = || matches!(poll(&mut put, &waker), Poll::Ready(Ok(())));
        let mut put_now = put_now;
        crate::support::wait_until("the put", &mut put_now, || format!("{full:?}"));
        assert!(poll(&mut join, &waker).is_pending() && poll(&mut closed, &waker).is_pending());
    }
}

fn a_stream_that_is_polled_in_a_child_is_inert() {
    use futures::StreamExt;
    let queue = queue(4);
    let stream = RefCell::new(Some(queue.stream()));
    assert!(poll(&mut stream.borrow_mut().as_mut().unwrap().next(), Waker::noop()).is_pending());
    fork("a child with its parent's stream", || {
        let mut stream = stream.take().unwrap();
        block_on(async {
            assert!(matches!(stream.next().await, Some(Err(GetError::Inherited))));
            assert!(stream.next().await.is_none());
        });
    })
    .expect_success();
    queue.put(&1).unwrap();
    assert_eq!(block_on(stream.take().unwrap().next()).unwrap().unwrap(), 1);
}

fn futures_of_a_topic_are_inert_in_a_child_which_makes_its_own() {
    use futures::StreamExt;
    let (topic, full) = (Topic::<u64>::new(4).unwrap(), Topic::<u64>::new(1).unwrap());
    let laggard = full.subscribe().unwrap();
    full.publish(&1).unwrap();
    let stream = topic.subscribe().unwrap().into_stream();
    let waiting = RefCell::new(Some((stream, full.publish_async(&2))));
    if let Some((stream, publish)) = &mut *waiting.borrow_mut() {
        assert!(poll(&mut stream.next(), Waker::noop()).is_pending() && poll(publish, Waker::noop()).is_pending());
    }
    fork("a child with its parent's futures", || {
        let (mut stream, mut publish) = waiting.take().unwrap();
        assert!(matches!(poll(&mut publish, Waker::noop()), Poll::Ready(Err(PutError::Inherited))));
        block_on(async {
            assert!(matches!(stream.next().await, Some(Err(GetError::Inherited))));
            assert!(stream.next().await.is_none());
        });
        drop((stream, publish));
        assert!(reactors().is_empty());
        let mut own = topic.subscribe().unwrap();
        block_on(async {
            let mut next = own.next_async();
            assert!(poll(&mut next, Waker::noop()).is_pending());
            topic.publish_async(&7).await.unwrap();
            assert_eq!(next.await.unwrap(), 7);
        });
    })
    .expect_success();
    let (mut stream, mut publish) = waiting.take().unwrap();
    assert_eq!(block_on(stream.next()).unwrap().unwrap(), 7);
    assert!(poll(&mut publish, Waker::noop()).is_pending());
    assert_eq!(laggard.next().unwrap(), 1);
    block_on(publish).unwrap();
    assert_eq!(laggard.next().unwrap(), 2);
}

fn a_future_that_did_not_wait_yet_works_in_a_child() {
    let queue = queue(4);
    let get = RefCell::new(Some(queue.get_async()));
    let child = fork("a child that awaits", || {
        assert_eq!(block_on(get.take().unwrap()).unwrap(), 5);
    });
    queue.put(&5).unwrap();
    child.expect_success();
    assert!(poll(get.borrow_mut().as_mut().unwrap(), Waker::noop()).is_pending());
}

/// It waits in the parent, forks, and waits in both.
fn a_child_waits_by_a_reactor_of_its_own() {
    let (ours, theirs, never) = (queue(4), queue(4), queue(1));
    for number in 0..10 {
        let mut get = ours.get_async();
        assert!(poll(&mut get, Waker::noop()).is_pending());
        let child = fork("a child that waits", || {
            assert!(reactors().is_empty());
            assert!(poll(&mut never.get_async(), Waker::noop()).is_pending());
            wait_for_a_reactor();
            assert_eq!(block_on(theirs.get_async()).unwrap(), number);
            block_on(ours.put_async(&number)).unwrap();
        });
        theirs.put(&number).unwrap();
        assert_eq!(block_on(get).unwrap(), number);
        child.expect_success();
    }
}

fn a_child_of_a_child_waits_too() {
    fn descend(queue: &Queue<u64>, never: &Queue<u64>, depth: u64) -> Option<Child> {
        let mut get = never.get_async();
        assert!(poll(&mut get, Waker::noop()).is_pending());
        (depth > 0).then(|| {
            fork("a descendant", || {
                let child = descend(queue, never, depth - 1);
                assert!(block_on(queue.get_async()).unwrap() < 4);
                child.into_iter().for_each(Child::expect_success);
            })
        })
    }
    let (queue, never) = (queue(4), queue(4));
    let child = descend(&queue, &never, 4).unwrap();
    queue.put_slice(&[0, 1, 2, 3]).unwrap();
    child.expect_success();
}

/// The reactor may hold its locks at the moment of the fork.
fn forks_beside_a_busy_reactor_hang_no_child() {
    let (busy, quiet) = (queue(4), queue(64));
    let stop = shared_word();
    let putter = fork("a process that keeps the reactor busy", || {
        while stop.load(Acquire) == 0 {
            let _ = busy.put_timeout(&1, Duration::from_millis(50));
        }
    });
    let mut gets: Vec<_> = (0..20).map(|_| busy.get_async()).collect();
    for round in 0..100 {
        for get in &mut gets {
            if poll(get, Waker::noop()).is_ready() {
                *get = busy.get_async();
            }
        }
        let child = fork("a child forked beside a busy reactor", || {
            for get in gets.iter_mut().take(10) {
                // Inherited, or new and waiting by a reactor of the child, or there was a message.
                let polled = poll(get, Waker::noop());
                assert!(!matches!(polled, Poll::Ready(Err(error)) if !matches!(error, GetError::Inherited)));
            }
            std::mem::take(&mut gets);
            assert_eq!(block_on(quiet.get_async()).unwrap(), round);
        });
        quiet.put(&round).unwrap();
        child.expect_success();
    }
    stop.store(1, Release);
    putter.expect_success();
}

fn spawn_does_not_count_the_reactor_as_a_thread() {
    let queue = queue(4);
    let mut get = queue.get_async();
    assert!(poll(&mut get, Waker::noop()).is_pending());
    wait_for_a_reactor();
    let child = Process::spawn({
        let queue = queue.clone();
        move || block_on(async { queue.put_async(&3).await })
    })
    .unwrap();
    assert_eq!(block_on(get).unwrap(), 3);
    assert!(child.join().unwrap().success());
}

/// A large message that waits has a place in line, which later puts respect. It is the parent's.
fn a_put_with_a_place_in_line_keeps_it_when_a_child_drops_the_copy() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(4_000).create().unwrap();
    let (large, small) = (vec![7; queue.max_len()], [1; 20]);
    while queue.try_put(&small).is_ok() {}
    let put = RefCell::new(Some(queue.put_async(&large)));
    assert!(poll(put.borrow_mut().as_mut().unwrap(), Waker::noop()).is_pending());
    fork("a child that drops the copy", || drop(put.take())).expect_success();
    let dropped = shared_word();
    let getter = fork("a getter", || {
        wait_for_count("the start", dropped, 1);
        let mut small_ones = 0;
        loop {
            let message = queue.get_timeout(PATIENCE).unwrap();
            if message.len() > 20 {
                assert_eq!(message, large);
                break;
            }
            small_ones += 1;
        }
        eprintln!("{small_ones} before it");
    });
    dropped.store(1, Release);
    block_on(put.take().unwrap()).unwrap();
    getter.expect_success();
}
