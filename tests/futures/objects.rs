//! Futures and streams of queues of objects, and leases.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::{expect_all_succeed, fork};
use crate::within;
use futures::StreamExt;
use serde::{Deserialize, Serialize, Serializer};
use shmq::{GetError, ObjectQueue, PutError, Queue};
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub fn cases() -> Vec<Case> {
    cases![
        a_value_is_encoded_once_however_long_it_waits,
        a_long_value_is_encoded_twice_however_long_it_waits,
        a_cancelled_put_puts_nothing_and_gives_its_place_back,
        a_value_that_cannot_be_encoded_is_an_error_at_once,
        slices_are_put_as_far_as_there_is_room,
        batches_and_streams_of_objects,
        endpoints_have_them_too,
        futures_of_objects_are_for_any_thread,
        values_of_all_lengths_between_processes,
        leases_come_back_unless_acknowledged,
        an_inherited_put_says_so,
        #[cfg(not(shmq_portable_sync))]
        leases_of_a_killed_task_come_back,
    ]
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

thread_local! {
    static ENCODED: Cell<u32> = const { Cell::new(0) };
}

/// Counts how often it is encoded. A length of 1 is refused.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Counted(Vec<u8>);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ENCODED.set(ENCODED.get() + 1);
        if self.0.len() == 1 {
            return Err(serde::ser::Error::custom("refused"));
        }
        self.0.serialize(serializer)
    }
}

fn counted(length: usize) -> Counted {
    Counted((0..length).map(|n| n as u8).collect())
}

fn waits_in_vain_then_puts(length: usize, encoded: u32) {
    let queue = ObjectQueue::<Counted>::builder().capacity(1).capacity_bytes(1 << 20).create().unwrap();
    queue.put(&counted(0)).unwrap();
    let value = counted(length);
    ENCODED.set(0);
    let mut put = queue.put_async(&value);
    for _ in 0..5 {
        assert!(poll_once(&mut put).is_pending());
    }
    queue.get().unwrap();
    within(put).unwrap();
    assert_eq!(ENCODED.get(), encoded);
    assert_eq!(queue.get().unwrap(), value);
    // At once.
    ENCODED.set(0);
    within(queue.put_async(&value)).unwrap();
    assert_eq!(ENCODED.get(), encoded);
    assert_eq!(queue.get().unwrap(), value);
}

fn a_value_is_encoded_once_however_long_it_waits() {
    waits_in_vain_then_puts(100, 1);
    waits_in_vain_then_puts(60_000, 1);
}

fn a_long_value_is_encoded_twice_however_long_it_waits() {
    waits_in_vain_then_puts(200_000, 2);
}

fn a_cancelled_put_puts_nothing_and_gives_its_place_back() {
    let queue = ObjectQueue::<Counted>::builder().capacity_bytes(1 << 20).create().unwrap();
    let (small, long) = (counted(1_000), counted(400_000));
    while queue.try_put(&small).is_ok() {}
    let before = queue.len();
    let mut put = queue.put_async(&long);
    assert!(poll_once(&mut put).is_pending());
    queue.get().unwrap();
    assert!(matches!(queue.try_put(&small), Err(PutError::Full)), "the long one is first in line");
    drop(put);
    queue.try_put(&small).unwrap();
    assert_eq!(queue.len(), before);
    for _ in 0..before {
        assert_eq!(queue.get().unwrap(), small);
    }
    assert!(queue.is_empty());
}

fn a_value_that_cannot_be_encoded_is_an_error_at_once() {
    let queue = ObjectQueue::<Counted>::builder().capacity(1).max_spilled_bytes(0).create().unwrap();
    queue.put(&counted(0)).unwrap();
    let refused = counted(1);
    assert!(matches!(poll_once(&mut queue.put_async(&refused)), Poll::Ready(Err(PutError::Encode { .. }))));
    let too_long = counted(queue.max_len() + 1);
    assert!(matches!(poll_once(&mut queue.put_async(&too_long)), Poll::Ready(Err(PutError::TooLarge { .. }))));
    assert_eq!(queue.len(), 1);
}

fn slices_are_put_as_far_as_there_is_room() {
    let queue = ObjectQueue::<Counted>::new(3).unwrap();
    let all: Vec<_> = (2..7).map(counted).collect();
    assert_eq!(within(queue.put_slice_async(&all)).unwrap(), 3);
    let mut rest = queue.put_slice_async(&all[3..]);
    assert!(poll_once(&mut rest).is_pending());
    assert_eq!(queue.get().unwrap(), all[0]);
    assert_eq!(within(rest).unwrap(), 1);
    assert_eq!(queue.get_batch(10).unwrap(), all[1..4]);
    let refused = [counted(5), counted(1), counted(6)];
    assert_eq!(within(queue.put_slice_async(&refused)).unwrap(), 1);
    assert!(matches!(within(queue.put_slice_async(&refused[1..])), Err(PutError::Encode { .. })));
    assert_eq!(within(queue.put_slice_async(&[])).unwrap(), 0);
    queue.close();
    assert!(matches!(within(queue.put_slice_async(&all)), Err(PutError::Closed)));
}

fn batches_and_streams_of_objects() {
    let name = crate::support::unique_name("misdecoding");
    let ours = ObjectQueue::<String>::builder().name(&name).schema("same").capacity(8).create().unwrap();
    let theirs = ObjectQueue::<Vec<u8>>::builder().name(&name).schema("same").open().unwrap();
    let mut batch = ours.get_batch_async(2);
    assert!(poll_once(&mut batch).is_pending());
    ours.put_slice(&["a".into(), "b".into(), "c".into()]).unwrap();
    assert_eq!(within(batch).unwrap(), ["a", "b"]);
    assert_eq!(within(ours.get_batch_async(0)).unwrap(), [""; 0]);
    theirs.put(&vec![0xff, 0xfe]).unwrap();
    ours.put("d").unwrap();
    ours.close();
    let items: Vec<_> = within(ours.stream().collect());
    assert_eq!(items.len(), 3, "{items:?}");
    assert!(matches!((&items[0], &items[2]), (Ok(c), Ok(d)) if c == "c" && d == "d"));
    assert!(matches!(&items[1], Err(GetError::Decode { .. })), "an item, and the stream went on");
    within(ours.closed()).unwrap();
}

fn endpoints_have_them_too() {
    let queue = ObjectQueue::<String>::new(2).unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
    within(async {
        producer.put_async("one").await.unwrap();
        assert_eq!(producer.put_slice_async(&["two".into(), "three".into()]).await.unwrap(), 1);
        assert!(poll_once(&mut producer.put_async("three")).is_pending());
        assert_eq!(consumer.get_async().await.unwrap(), "one");
        drop(consumer.lease_async().await.unwrap());
        assert_eq!(consumer.lease_async().await.unwrap().take().unwrap(), "two");
        producer.put_async("three").await.unwrap();
        assert_eq!(consumer.get_batch_async(9).await.unwrap(), ["three"]);
        queue.close();
        assert!(consumer.stream().next().await.is_none() && consumer.into_lease_stream().next().await.is_none());
    });
    assert!(matches!(within(queue.get_async()), Err(GetError::Closed)));
}

/// What `tokio::spawn` asks for.
fn futures_of_objects_are_for_any_thread() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let queue = ObjectQueue::<String>::new(2).unwrap();
        let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let putting = tokio::spawn(async move {
            for n in 0..1_000 {
                producer.put_async(&n.to_string()).await.unwrap();
            }
        });
        let getting = tokio::spawn(async move {
            for n in 0..1_000 {
                let job = consumer.lease_async().await.unwrap();
                tokio::task::yield_now().await;
                assert_eq!(job.take().unwrap(), n.to_string());
            }
        });
        putting.await.unwrap();
        getting.await.unwrap();
    });
}

fn values_of_all_lengths_between_processes() {
    const EACH: u64 = 400;
    let queue = ObjectQueue::<(u64, Vec<u8>)>::builder().capacity(4).capacity_bytes(1 << 20).create().unwrap();
    let length = |n: u64| [0, 10, 5_000, 70_000, 200_000][(n % 5) as usize];
    let puts = |from: u64| {
        within(async {
            let put = async |n: u64| queue.put_async(&(n, vec![n as u8; length(n)])).await.unwrap();
            // Two tasks, each with every other value.
            futures::join!(
                async {
                    for n in (from..from + EACH).step_by(2) {
                        put(n).await;
                    }
                },
                async {
                    for n in (from + 1..from + EACH).step_by(2) {
                        put(n).await;
                    }
                }
            )
        });
    };
    let children = (0..2).map(|child| fork("a process of putters", || puts(child * EACH))).collect();
    let mut seen = vec![false; 2 * EACH as usize];
    within(async {
        let mut values = queue.stream();
        for _ in 0..2 * EACH {
            let (n, bytes) = values.next().await.unwrap().unwrap();
            assert!(bytes.len() == length(n) && bytes.iter().all(|&byte| byte == n as u8));
            assert!(!std::mem::replace(&mut seen[n as usize], true), "{n} came twice");
        }
    });
    expect_all_succeed(children);
    assert!(queue.is_empty() && seen.iter().all(|&seen| seen));
}

fn leases_come_back_unless_acknowledged() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let mut lease = queue.lease_async();
    assert!(poll_once(&mut lease).is_pending());
    queue.put(b"job").unwrap();
    let lease = within(lease).unwrap();
    assert!(poll_once(&mut queue.lease_async()).is_pending());
    drop(lease);
    let again = within(queue.lease_async()).unwrap();
    assert_eq!((&again[..], again.deliveries()), (&b"job"[..], 2));
    again.ack().unwrap();
    queue.put(b"one").unwrap();
    queue.put(b"two").unwrap();
    queue.close();
    // A worker that fails at the first try of each.
    let mut order = Vec::new();
    within(async {
        let mut leases = queue.clone().into_lease_stream();
        while let Some(lease) = leases.next().await {
            let lease = lease.unwrap();
            order.push(String::from_utf8(lease.to_vec()).unwrap());
            if lease.deliveries() == 2 {
                lease.ack().unwrap();
            }
        }
    });
    assert_eq!(order, ["one", "one", "two", "two"]);
    queue.join().unwrap();
}

fn an_inherited_put_says_so() {
    let queue = ObjectQueue::<String>::new(1).unwrap();
    queue.put("one").unwrap();
    let mut put = queue.put_async("two");
    assert!(poll_once(&mut put).is_pending());
    let mut inherited = Some(put);
    fork("a child", || {
        let mut put = inherited.take().unwrap();
        assert!(matches!(poll_once(&mut put), Poll::Ready(Err(PutError::Inherited))));
        drop(put);
        assert_eq!(queue.get().unwrap(), "one");
        within(queue.put_async("of the child")).unwrap();
    })
    .expect_success();
    let mut put = inherited.unwrap();
    assert!(poll_once(&mut put).is_pending());
    assert_eq!(queue.get().unwrap(), "of the child");
    within(put).unwrap();
    assert_eq!(queue.get().unwrap(), "two");
}

#[cfg(not(shmq_portable_sync))]
fn leases_of_a_killed_task_come_back() {
    use crate::support::process::{shared_words, wait_for_count};
    use std::sync::atomic::Ordering::Release;
    use std::time::Duration;
    const MESSAGES: u64 = 300;
    // Room for all: the job in the hands of a victim keeps that of the jobs behind it.
    let queue = ObjectQueue::<u64>::new(MESSAGES as usize).unwrap();
    let (acknowledged, word) = (shared_words(MESSAGES as usize), &shared_words(1)[0]);
    let work = |dies_at: u64| {
        let mut done = 0;
        within(async {
            let mut jobs = queue.lease_stream();
            while let Some(job) = jobs.next().await {
                let job = job.unwrap();
                done += 1;
                if done == dies_at {
                    word.fetch_add(1, Release);
                    std::thread::park_timeout(Duration::from_secs(600)); // with the job in its hands
                }
                acknowledged[*job as usize].fetch_add(1, Release);
                job.ack().unwrap();
            }
        });
    };
    let victims: Vec<_> = (0..4).map(|n| fork("a victim", move || work(10 + n))).collect();
    let putter = fork("a putter", || {
        within(async {
            for n in 0..MESSAGES {
                queue.put_async(&n).await.unwrap();
            }
        });
        queue.close();
    });
    wait_for_count("all victims at work", word, 4);
    victims.into_iter().for_each(|victim| victim.kill());
    fork("a survivor", || work(u64::MAX)).expect_success();
    putter.expect_success();
    let times: Vec<u64> = acknowledged.iter().map(|word| word.load(std::sync::atomic::Ordering::Acquire)).collect();
    assert!(times.iter().all(|&times| times == 1), "{times:?}");
    queue.join().unwrap();
}
