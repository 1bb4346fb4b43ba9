//! Topics under every executor: each subscriber waits for its own next message, and a publisher for
//! the gate.

use crate::executors::{Executor, poll_once, within};
use crate::on_every_executor;
use crate::polling::{Counts, poll};
use crate::support::PATIENCE;
use crate::support::harness::Case;
use crate::support::process::{expect_all_succeed, fork, shared_word, wait_for_count};
use futures::StreamExt;
use shmq::{GetError, PutError, Stop, Topic};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Waker;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    let cases = on_every_executor![
        what_is_there_is_read_at_once,
        a_subscriber_waits_for_a_publish,
        a_publish_waits_for_the_gate,
        every_task_gets_every_message_of_any_process,
        many_tasks_publish_through_a_small_gate,
        a_task_that_does_not_poll_starves_no_other_subscriber,
        a_subscriber_behind_an_open_loan_starves_no_other,
        a_future_that_is_dropped_has_passed_and_published_nothing,
        an_eviction_and_a_lap_are_items_of_a_stream,
        an_eviction_wakes_a_task_that_waits,
        an_eviction_beside_open_loans_is_the_last_item,
        a_sample_is_held_across_an_await,
        aborted_loans_are_passed,
        a_stop_ends_both_sides,
        closed_waits_for_a_close,
        slices_of_all_lengths_arrive,
        batches_move_in_parts,
    ];
    #[cfg(feature = "object")]
    let cases = [cases, on_every_executor![objects_go_to_every_task, a_publish_of_an_object_waits_for_the_gate]].concat();
    #[cfg(not(shmq_portable_sync))]
    let cases = [
        cases,
        on_every_executor![
            a_dead_laggard_opens_the_gate,
            a_killed_publisher_ends_the_stream,
            a_loan_of_a_killed_process_is_passed
        ],
    ]
    .concat();
    cases
}

/// Long enough for a task to wait.
const A_WHILE: Duration = Duration::from_millis(20);

fn topic(capacity: usize) -> Topic<u64> {
    Topic::new(capacity).unwrap()
}

fn what_is_there_is_read_at_once<E: Executor>() {
    let topic = topic(4);
    let (mut every, mut live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    E::block_on(async {
        topic.publish_async(&1).await.unwrap();
        assert_eq!(poll_once(&mut every.next_async()).await.unwrap().unwrap(), 1);
        assert_eq!(poll_once(&mut live.next_async()).await.unwrap().unwrap(), 1);
        assert!(poll_once(&mut every.next_async()).await.is_none());
        assert!(poll_once(&mut live.next_async()).await.is_none());
    });
}

fn a_subscriber_waits_for_a_publish<E: Executor>() {
    let topic = topic(4);
    let (mut every, mut live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    E::block_on(async {
        let tasks = [E::spawn(async move { every.next_async().await }), E::spawn(async move { live.next_async().await })];
        E::sleep(A_WHILE).await;
        topic.publish(&7).unwrap();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 7);
        }
    });
}

fn a_publish_waits_for_the_gate<E: Executor>() {
    for by_endpoint in [false, true] {
        let topic = topic(2);
        let mut every = topic.subscribe().unwrap();
        E::block_on(async {
            topic.publish_slice(&[1, 2]).unwrap();
            let there = topic.clone();
            let publishing = E::spawn(async move {
                if by_endpoint { there.publisher().unwrap().publish_async(&3).await } else { there.publish_async(&3).await }
            });
            E::sleep(A_WHILE).await;
            assert_eq!(topic.stats().published, 2);
            assert_eq!(every.next_async().await.unwrap(), 1);
            publishing.await.unwrap();
            assert_eq!((every.next_async().await.unwrap(), every.next_async().await.unwrap()), (2, 3));
        });
    }
}

fn every_task_gets_every_message_of_any_process<E: Executor>() {
    const MESSAGES: u64 = 300;
    let topic = topic(8);
    let here: Vec<_> = (0..5).map(|_| topic.subscribe().unwrap()).collect();
    let ready = shared_word();
    let readers = (0..2).map(|_| {
        fork("a process that reads", || {
            let subscribers: Vec<_> = (0..3).map(|_| topic.subscribe().unwrap()).collect();
            ready.fetch_add(1, SeqCst);
            read_all::<E>(subscribers, MESSAGES);
        })
    });
    let mut children: Vec<_> = readers.collect();
    wait_for_count("readers", ready, 2);
    children.push(fork("a process that publishes", || {
        let mut publisher = topic.publisher().unwrap();
        E::block_on(async {
            for message in 0..MESSAGES {
                within::<E, _>(PATIENCE, publisher.publish_async(&message)).await.expect("in time").unwrap();
            }
        });
    }));
    read_all::<E>(here, MESSAGES);
    expect_all_succeed(children);
}

fn read_all<E: Executor>(subscribers: Vec<shmq::Subscriber<u64>>, messages: u64) {
    E::block_on(async {
        let tasks: Vec<_> = subscribers
            .into_iter()
            .map(|mut subscriber| {
                E::spawn(async move {
                    for message in 0..messages {
                        let next = within::<E, _>(PATIENCE, subscriber.next_async()).await.expect("in time");
                        assert_eq!(next.unwrap(), message);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
    });
}

fn many_tasks_publish_through_a_small_gate<E: Executor>() {
    const TASKS: u64 = 8;
    const EACH: u64 = 50;
    let topic = topic(2);
    let mut every = topic.subscribe().unwrap();
    E::block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let topic = topic.clone();
                E::spawn(async move {
                    for number in 0..EACH {
                        topic.publish_async(&(task * EACH + number)).await.unwrap();
                    }
                })
            })
            .collect();
        let mut seen = vec![0; TASKS as usize];
        for _ in 0..TASKS * EACH {
            let message = within::<E, _>(PATIENCE, every.next_async()).await.expect("in time").unwrap();
            let (task, number) = ((message / EACH) as usize, message % EACH);
            assert_eq!(number, seen[task], "in the order of each task");
            seen[task] += 1;
        }
        for task in tasks {
            task.await;
        }
        assert!(poll_once(&mut every.next_async()).await.is_none());
    });
}

fn a_task_that_does_not_poll_starves_no_other_subscriber<E: Executor>() {
    const MESSAGES: u64 = 60;
    let topic = topic(100);
    let (mut late, mut prompt) = (topic.subscribe().unwrap(), topic.subscribe().unwrap());
    let counts = Arc::new(Counts::default());
    let mut waits = late.next_async();
    assert!(poll(&mut waits, &Waker::from(counts.clone())).is_pending());
    E::block_on(async {
        let task = E::spawn(async move {
            let mut longest = Vec::new();
            for message in 0..MESSAGES {
                let begin = Instant::now();
                assert_eq!(prompt.next_async().await.unwrap(), message);
                longest.push(begin.elapsed());
            }
            longest.sort_unstable();
            longest
        });
        for message in 0..MESSAGES {
            E::sleep(Duration::from_millis(2)).await;
            topic.publish(&message).unwrap();
        }
        let took = task.await;
        // Where tasks stood in one line, each wait but the first would last for a slice.
        let median = took[took.len() / 2];
        assert!(median < Duration::from_millis(50), "{median:?}");
    });
    counts.wait_for(1);
    drop(waits);
    assert_eq!(late.lag(), MESSAGES);
    (0..MESSAGES).for_each(|message| assert_eq!(late.try_next().unwrap(), message));
}

fn a_subscriber_behind_an_open_loan_starves_no_other<E: Executor>() {
    let topic = topic(8);
    let mut before = topic.subscribe().unwrap();
    let loan = topic.loan().unwrap();
    let mut behind = topic.subscribe().unwrap();
    E::block_on(async {
        let first = E::spawn(async move { (before.next_async().await, before.next_async().await) });
        E::sleep(A_WHILE).await;
        let second = E::spawn(async move { behind.next_async().await });
        E::sleep(A_WHILE).await;
        topic.publish(&2).unwrap();
        assert_eq!(within::<E, _>(PATIENCE, second).await.expect("it waits for no loan").unwrap(), 2);
        let mut loan = loan;
        *loan = 1;
        loan.commit().unwrap();
        let (one, two) = first.await;
        assert_eq!((one.unwrap(), two.unwrap()), (1, 2));
    });
}

fn a_future_that_is_dropped_has_passed_and_published_nothing<E: Executor>() {
    let topic = topic(1);
    let mut every = topic.subscribe().unwrap();
    E::block_on(async {
        for message in 0..50 {
            let mut next = every.next_async();
            assert!(poll_once(&mut next).await.is_none());
            topic.publish(&message).unwrap();
            let mut publish = topic.publish_async(&1_000);
            assert!(poll_once(&mut publish).await.is_none());
            // Woken, and dropped.
            drop(next);
            let mut read = every.read_async();
            if message % 2 == 0 {
                let sample = poll_once(&mut read).await.unwrap().unwrap();
                assert_eq!(*sample, message);
            } else {
                drop(read);
                assert_eq!(every.try_next().unwrap(), message);
            }
            drop(publish);
            assert!(every.try_next().unwrap_err().is_empty());
        }
        assert_eq!(topic.stats().published, 50);
    });
}

fn an_eviction_and_a_lap_are_items_of_a_stream<E: Executor>() {
    let topic = topic(4);
    let (mut every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    topic.publish(&1).unwrap();
    assert!(topic.evict(every.id()).unwrap());
    topic.publish(&2).unwrap();
    E::block_on(async {
        let mut stream = every.stream();
        assert!(matches!(stream.next().await, Some(Err(GetError::Evicted))));
        assert!(matches!(stream.next().await, Some(Ok(1))));
        (3..100).for_each(|message| topic.publish(&message).unwrap());
        topic.close();
        let Some(Err(GetError::Lagged { missed })) = stream.next().await else { panic!("it was lapped") };
        let left: Vec<u64> = stream.map(|message| message.unwrap()).collect().await;
        assert_eq!(left, (2 + missed..100).collect::<Vec<_>>());
        let all: Vec<_> = live.into_stream().collect().await;
        assert!(all[0].as_ref().is_err_and(GetError::is_lagged), "{all:?}");
        assert!(all[1..].iter().all(Result::is_ok), "{all:?}");
    });
}

fn an_eviction_wakes_a_task_that_waits<E: Executor>() {
    let topic = topic(4);
    let mut every = topic.subscribe().unwrap();
    let id = every.id();
    E::block_on(async {
        let task = E::spawn(async move {
            let learned = every.next_async().await;
            (learned, every.next_async().await)
        });
        E::sleep(A_WHILE).await;
        let begin = Instant::now();
        assert!(topic.evict(id).unwrap());
        E::sleep(A_WHILE).await;
        topic.publish(&5).unwrap();
        let (learned, next) = task.await;
        assert!(matches!(learned, Err(GetError::Evicted)), "{learned:?}");
        assert_eq!(next.unwrap(), 5);
        assert!(begin.elapsed() < PATIENCE);
    });
}

/// It must not be lossy in a process that writes in place, so it ends.
fn an_eviction_beside_open_loans_is_the_last_item<E: Executor>() {
    let topic = topic(4);
    let mut every = topic.subscribe().unwrap();
    topic.publish(&1).unwrap();
    let _loan = topic.loan().unwrap();
    assert!(topic.evict(every.id()).unwrap());
    E::block_on(async {
        let items: Vec<_> = every.stream().take(10).collect().await;
        assert!(matches!(&items[..], [Err(GetError::Evicted)]), "{items:?}");
        assert!(matches!(every.next_async().await, Err(GetError::Evicted)));
    });
    assert!(matches!(every.iter().take(10).collect::<Vec<_>>()[..], [Err(GetError::Evicted)]));
}

fn a_sample_is_held_across_an_await<E: Executor>() {
    let topic = Topic::<[u64; 512]>::new(1).unwrap();
    let (mut every, mut live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    E::block_on(async {
        let reader = E::spawn(async move {
            let sample = every.read_async().await.unwrap();
            E::sleep(A_WHILE).await;
            assert_eq!(*sample, [1; 512]);
            drop(sample);
            every.read_async().await.unwrap()[511]
        });
        topic.publish_async(&[1; 512]).await.unwrap();
        topic.publish_async(&[2; 512]).await.unwrap();
        assert_eq!(reader.await, 2);
        assert!(matches!(live.read_async().await, Err(GetError::NotGating)));
    });
}

fn aborted_loans_are_passed<E: Executor>() {
    let topic = topic(4);
    let mut every = topic.subscribe().unwrap();
    E::block_on(async {
        let reader = E::spawn(async move { (every.next_async().await.unwrap(), every.missed()) });
        E::sleep(A_WHILE).await;
        // More than fit.
        let there = topic.clone();
        let aborting = std::thread::spawn(move || {
            (0..20).for_each(|_| drop(there.loan_timeout(PATIENCE).unwrap()));
            there.publish_timeout(&7, PATIENCE).unwrap();
        });
        assert_eq!(reader.await, (7, 20));
        aborting.join().unwrap();
    });
}

fn a_stop_ends_both_sides<E: Executor>() {
    let (topic, stop) = (topic(1), Stop::new());
    let mut every = topic.with_stop(&stop).subscribe().unwrap();
    let full = {
        let full = Topic::<u64>::new(1).unwrap();
        full.publish(&1).unwrap();
        full
    };
    let _laggard = full.subscribe_from(shmq::Start::Oldest).unwrap();
    full.try_publish(&2).unwrap_err();
    E::block_on(async {
        let reader = E::spawn(async move { every.next_async().await });
        let publisher = E::spawn({
            let full = full.with_stop(&stop);
            async move { full.publish_async(&2).await }
        });
        E::sleep(A_WHILE).await;
        stop.set();
        assert!(matches!(reader.await, Err(GetError::Interrupted)));
        assert!(matches!(publisher.await, Err(PutError::Interrupted)));
    });
}

fn closed_waits_for_a_close<E: Executor>() {
    let topic = topic(4);
    let mut every = topic.subscribe().unwrap();
    let publisher = topic.publisher().unwrap();
    E::block_on(async {
        let waits = E::spawn({
            let topic = topic.clone();
            async move { topic.closed().await }
        });
        let reads = E::spawn(async move { every.next_async().await });
        E::sleep(A_WHILE).await;
        topic.close();
        waits.await.unwrap();
        publisher.closed().await.unwrap();
        assert!(matches!(reads.await, Err(GetError::Closed)));
        assert!(matches!(topic.publish_async(&1).await, Err(PutError::Closed | PutError::Held { .. })));
    });
}

fn slices_of_all_lengths_arrive<E: Executor>() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(1 << 14).create().unwrap();
    let mut every = topic.subscribe().unwrap();
    let longest = topic.max_len();
    E::block_on(async {
        let publishing = E::spawn({
            let topic = topic.clone();
            async move {
                for round in 0..60usize {
                    let bytes = vec![round as u8; round * 131 % (longest + 1)];
                    topic.publish_async(bytes.as_slice()).await.unwrap();
                }
                // The longest there is waits for half of the ring.
                topic.publish_async(vec![7; longest].as_slice()).await.unwrap();
            }
        });
        for round in 0..60usize {
            let next = within::<E, _>(PATIENCE, every.next_async()).await.expect("in time").unwrap();
            assert_eq!(next, vec![round as u8; round * 131 % (longest + 1)]);
        }
        assert_eq!(within::<E, _>(PATIENCE, every.next_async()).await.expect("in time").unwrap().len(), longest);
        publishing.await;
    });
}

fn batches_move_in_parts<E: Executor>() {
    for by_endpoint in [false, true] {
        let topic = topic(8);
        let mut every = topic.subscribe().unwrap();
        let all: Vec<u64> = (0..500).collect();
        E::block_on(async {
            let publishing = E::spawn({
                let (topic, all) = (topic.clone(), all.clone());
                async move {
                    let mut publisher = by_endpoint.then(|| topic.publisher().unwrap());
                    let mut published = 0;
                    while published < all.len() {
                        let moved = match &mut publisher {
                            Some(publisher) => publisher.publish_slice_async(&all[published..]).await,
                            None => topic.publish_slice_async(&all[published..]).await,
                        };
                        assert!(matches!(moved, Ok(moved) if moved > 0), "{moved:?}");
                        published += moved.unwrap();
                    }
                }
            });
            let mut read = Vec::new();
            while read.len() < all.len() {
                let mut some = [0; 5];
                let moved = within::<E, _>(PATIENCE, every.next_slice_async(&mut some)).await.expect("in time").unwrap();
                read.extend_from_slice(&some[..moved]);
            }
            assert_eq!(read, all);
            publishing.await;
        });
    }
}

#[cfg(not(shmq_portable_sync))]
fn a_dead_laggard_opens_the_gate<E: Executor>() {
    for by_endpoint in [false, true] {
        let topic = topic(2);
        let ready = shared_word();
        let child = fork("a laggard", || {
            let _laggard = topic.subscribe().unwrap();
            ready.store(1, SeqCst);
            std::thread::sleep(PATIENCE);
        });
        wait_for_count("the laggard", ready, 1);
        topic.publish_slice(&[1, 2]).unwrap();
        E::block_on(async {
            let there = topic.clone();
            let publishing = E::spawn(async move {
                if by_endpoint { there.publisher().unwrap().publish_async(&3).await } else { there.publish_async(&3).await }
            });
            E::sleep(A_WHILE).await;
            assert_eq!(topic.stats().published, 2);
            child.kill();
            within::<E, _>(PATIENCE, publishing).await.expect("the dead one is probed for").unwrap();
        });
        assert!(topic.subscribers().is_empty());
    }
}

#[cfg(not(shmq_portable_sync))]
fn a_killed_publisher_ends_the_stream<E: Executor>() {
    let topic = Topic::<u64>::builder().capacity(4).close_when_unused(true).create().unwrap();
    let every = topic.subscribe().unwrap();
    let ready = shared_word();
    let child = fork("a publisher", || {
        let publisher = topic.publisher().unwrap();
        publisher.publish(&1).unwrap();
        ready.store(1, SeqCst);
        std::thread::sleep(PATIENCE);
    });
    wait_for_count("the publisher", ready, 1);
    E::block_on(async {
        let all = E::spawn(every.into_stream().map(Result::unwrap).collect::<Vec<u64>>());
        E::sleep(A_WHILE).await;
        child.kill();
        assert_eq!(within::<E, _>(PATIENCE, all).await.expect("the dead one is probed for"), [1]);
    });
}

#[cfg(not(shmq_portable_sync))]
fn a_loan_of_a_killed_process_is_passed<E: Executor>() {
    let topic = topic(4);
    let mut every = topic.subscribe().unwrap();
    let ready = shared_word();
    let child = fork("a process with a loan", || {
        let _loan = topic.loan().unwrap();
        ready.store(1, SeqCst);
        std::thread::sleep(PATIENCE);
    });
    wait_for_count("the loan", ready, 1);
    topic.publish(&2).unwrap();
    E::block_on(async {
        let reader = E::spawn(async move { every.next_async().await });
        E::sleep(A_WHILE).await;
        child.kill();
        assert_eq!(within::<E, _>(PATIENCE, reader).await.expect("the dead one is probed for").unwrap(), 2);
    });
}

#[cfg(feature = "object")]
fn objects_go_to_every_task<E: Executor>() {
    let topic = shmq::ObjectTopic::<(u32, String)>::new().unwrap();
    let subscribers = [topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap(), topic.subscribe().unwrap()];
    let message = |n: u32| (n, "text".repeat(n as usize));
    E::block_on(async {
        let tasks: Vec<_> = subscribers
            .into_iter()
            .map(|mut subscriber| {
                E::spawn(async move {
                    let first = within::<E, _>(PATIENCE, subscriber.next_async()).await.expect("in time").unwrap();
                    let rest: Vec<_> = subscriber.into_stream().map(|message| message.unwrap()).collect().await;
                    (first, rest)
                })
            })
            .collect();
        E::sleep(A_WHILE).await;
        for n in 0..50 {
            topic.publish_async(&message(n)).await.unwrap();
        }
        topic.close();
        topic.closed().await.unwrap();
        for task in tasks {
            let (first, rest) = task.await;
            assert_eq!(first, message(0));
            assert_eq!(rest, (1..50).map(message).collect::<Vec<_>>());
        }
    });
}

/// Short ones, and ones that a queue would encode in place.
#[cfg(feature = "object")]
fn a_publish_of_an_object_waits_for_the_gate<E: Executor>() {
    for bytes in [1000, 100_000] {
        let topic = shmq::ObjectTopic::<Vec<u8>>::builder().capacity_bytes(bytes * 4).create().unwrap();
        let (mut every, _live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
        let value = |n: u8| vec![n; bytes];
        E::block_on(async {
            let mut published = 0;
            while topic.try_publish(&value(published)).is_ok() {
                published += 1;
            }
            // Dropped while it waits: it publishes nothing.
            assert!(poll_once(&mut topic.publish_async(&value(99))).await.is_none());
            let publishing = E::spawn({
                let mut publisher = topic.publisher().unwrap();
                async move {
                    let value = vec![published; bytes];
                    publisher.publish_async(&value).await
                }
            });
            E::sleep(A_WHILE).await;
            for n in 0..=published {
                let next = within::<E, _>(PATIENCE, every.next_async()).await.expect("in time").unwrap();
                assert_eq!(next, value(n));
            }
            publishing.await.unwrap();
            assert!(poll_once(&mut every.next_async()).await.is_none());
        });
    }
}
