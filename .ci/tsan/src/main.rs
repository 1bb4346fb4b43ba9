//! What ThreadSanitizer watches (`.ci/tsan/run`): threads that put and get through each kind of ring, by copy, in place and in batches, by
//! lock and by endpoints, while others look from outside. It knows no processes, but the ring does not know threads: both go through one
//! mapping here, with the same instructions.
//!
//! `tsan [MESSAGES]`: so many of each kind, 3000 unless said otherwise.

use shmq::{GetError, Message, ObjectQueue, Plain, Queue, Subscriber, Topic};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

/// No run takes longer, but one in which something was lost.
const BOUND: Duration = Duration::from_secs(300);

/// Two threads that put what `put` is given, numbered from 0; two that take; one that looks. All that was put is taken.
fn threads(
    what: &str,
    messages: u64,
    put: &(dyn Fn(u64) + Sync),
    take: &(dyn Fn() -> bool + Sync),
    look: &(dyn Fn() + Sync),
    close: &(dyn Fn() + Sync),
) {
    let (over, end) = (AtomicBool::new(false), Instant::now() + BOUND);
    let taken = thread::scope(|s| {
        let putters = [0, 1].map(|half| s.spawn(move || (0..messages).filter(|n| n % 2 == half).for_each(put)));
        let takers = [0, 1].map(|_| {
            s.spawn(|| {
                let mut taken = 0u64;
                while take() {
                    taken += 1;
                    assert!(Instant::now() < end, "{what}: not over after {BOUND:?}");
                }
                taken
            })
        });
        let looker = s.spawn(|| {
            while !over.load(Relaxed) {
                look();
            }
        });
        putters.into_iter().for_each(|putter| putter.join().expect("a putter"));
        close();
        let taken: u64 = takers.map(|taker| taker.join().expect("a taker")).iter().sum();
        over.store(true, Relaxed);
        looker.join().expect("the looker");
        taken
    });
    assert_eq!(taken, messages, "{what}");
    println!("{what}: {taken} messages");
}

fn is_more<M>(got: Result<M, GetError>, check: impl FnOnce(M)) -> bool {
    match got {
        Ok(message) => {
            check(message);
            true
        }
        Err(GetError::Closed) => false,
        Err(error) => panic!("{error}"),
    }
}

fn name(what: &str) -> String {
    format!("tsan-{}-{what}", std::process::id())
}

/// A slice's length and bytes follow from its number, with which it begins.
fn slice_of(number: u64) -> Vec<u64> {
    vec![number; 1 + (number % 40) as usize * if number % 97 == 0 { 30 } else { 1 }]
}

fn check_slice(slice: &[u64]) {
    assert_eq!(slice, slice_of(slice[0]));
}

fn slices(messages: u64) {
    let name = name("slices");
    let queue = Queue::<[u64]>::builder().name(&name).capacity_bytes(64 << 10).create().expect("create");
    let put = |number: u64| {
        let message = slice_of(number);
        if number % 3 == 0 {
            let mut loan = queue.loan_len(message.len() + 2).expect("loan");
            loan[..message.len()].copy_from_slice(&message);
            loan.commit_len(message.len()).expect("commit");
        } else {
            queue.put(&message).expect("put");
        }
    };
    let turn = AtomicBool::new(false);
    let take = || match turn.fetch_xor(true, Relaxed) {
        true => is_more(queue.get(), |message| check_slice(&message)),
        false => is_more(queue.lease(), |message| check_slice(&message)),
    };
    let look = || {
        let _ = (queue.len(), queue.is_full(), queue.stats());
    };
    threads("slices", messages, &put, &take, &look, &|| queue.close());
}

fn values<const W: usize>(messages: u64)
where
    [u64; W]: Message<Owned = [u64; W]> + Copy,
{
    let name = name(&format!("values-{W}"));
    let queue = Queue::<[u64; W]>::create(&name, 64).expect("create");
    let check = |message: &[u64]| assert!(message.iter().all(|word| *word == message[0]));
    let put = |number: u64| match number % 3 {
        0 => {
            let mut loan = queue.loan().expect("loan");
            *loan = [number; W];
            loan.commit().expect("commit");
        }
        1 => assert_eq!(queue.put_slice(&[[number; W]]).expect("put"), 1),
        _ => queue.put(&[number; W]).expect("put"),
    };
    let turn = AtomicBool::new(false);
    let take = || match turn.fetch_xor(true, Relaxed) {
        true => is_more(queue.get(), |message| check(&message)),
        false => is_more(queue.lease(), |message| check(&*message)),
    };
    let look = || {
        let _ = (queue.len(), queue.is_full(), queue.stats());
    };
    threads(&format!("values of {} bytes", W * 8), messages, &put, &take, &look, &|| queue.close());
}

/// One thread a side, and no lock.
fn endpoints<const W: usize>(messages: u64)
where
    [u64; W]: Message<Owned = [u64; W]> + Copy,
{
    let name = name(&format!("endpoints-{W}"));
    let queue = Queue::<[u64; W]>::create(&name, 64).expect("create");
    let (producer, consumer) = (queue.producer().expect("producer"), queue.consumer().expect("consumer"));
    thread::scope(|s| {
        s.spawn(move || {
            for number in 0..messages {
                if number % 5 == 0 {
                    let mut loan = producer.loan().expect("loan");
                    *loan = [number; W];
                    loan.commit().expect("commit");
                } else {
                    producer.put(&[number; W]).expect("put");
                }
            }
        });
        s.spawn(move || {
            for number in 0..messages {
                let message = if number % 7 == 0 { *consumer.lease().expect("lease") } else { consumer.get().expect("get") };
                assert_eq!(message, [number; W]);
            }
        });
    });
    println!("endpoints, {} bytes: {messages} messages", W * 8);
}

fn slice_endpoints(messages: u64) {
    let queue = Queue::<[u64]>::builder().name(name("slice-endpoints")).capacity_bytes(16 << 10).create().expect("create");
    let (producer, consumer) = (queue.producer().expect("producer"), queue.consumer().expect("consumer"));
    thread::scope(|s| {
        s.spawn(move || (0..messages).for_each(|number| producer.put(&slice_of(number % 96 + 1)).expect("put")));
        s.spawn(move || {
            let mut buffer = vec![0; 64];
            for number in 0..messages {
                if number % 2 == 0 {
                    check_slice(&consumer.get().expect("get"));
                } else {
                    let length = consumer.get_into(&mut buffer).expect("get_into");
                    check_slice(&buffer[..length]);
                }
            }
        });
    });
    println!("endpoints of slices: {messages} messages");
}

fn objects(messages: u64) {
    let name = name("objects");
    let queue = ObjectQueue::<(u64, String)>::builder().name(&name).capacity_bytes(64 << 10).create().expect("create");
    let text = |number: u64| "é".repeat(if number % 50 == 0 { 2000 } else { number as usize % 60 });
    let put = |number: u64| queue.put(&(number, text(number))).expect("put");
    let turn = AtomicBool::new(false);
    let check = |(number, said): &(u64, String)| assert_eq!(*said, text(*number));
    let take = || match turn.fetch_xor(true, Relaxed) {
        true => is_more(queue.get(), |message| check(&message)),
        false => is_more(queue.lease(), |message| check(&message)),
    };
    threads("objects", messages, &put, &take, &|| drop(queue.stats()), &|| queue.close());
}

/// Reads until the topic is closed, and checks each message.
fn read_topic<T: Plain + ?Sized>(what: &str, subscriber: &mut Subscriber<T>, messages: u64, check: impl Fn(&T::Owned)) {
    let end = Instant::now() + BOUND;
    loop {
        match subscriber.next_timeout(BOUND) {
            Ok(message) => check(&message),
            Err(GetError::Lagged { .. }) => {}
            Err(GetError::Closed) => break,
            Err(error) => panic!("{what}: {error}"),
        }
        assert!(Instant::now() < end, "{what}: not over after {BOUND:?}");
    }
    assert_eq!(subscriber.received() + subscriber.missed(), messages, "{what}");
}

/// Lossy subscribers beside publishers by copy, which lap them: by lock from two threads, or an endpoint. A subscriber that gates would keep
/// the publisher from lapping them, so it comes in a run of its own.
fn topic<T: Plain + ?Sized>(
    what: &str,
    messages: u64,
    topic: &Topic<T>,
    is_gated: bool,
    publish: impl Fn(u64, &dyn Fn(&T)) + Sync,
    check: impl Fn(&T::Owned) + Sync,
) where
    Topic<T>: Send + Sync,
    Subscriber<T>: Send,
{
    let mut readers: Vec<Subscriber<T>> = (0..2).map(|_| topic.subscribe_lossy().expect("subscribe")).collect();
    readers.extend(is_gated.then(|| topic.subscribe().expect("subscribe")));
    let over = AtomicBool::new(false);
    let check = &check;
    thread::scope(|s| {
        let readers: Vec<_> =
            readers.into_iter().map(|mut reader| s.spawn(move || read_topic(what, &mut reader, messages, check))).collect();
        s.spawn(|| {
            while !over.load(Relaxed) {
                let _ = (topic.stats(), topic.subscribers());
                // Joins and leaves, while they publish.
                drop(topic.subscribe().expect("subscribe"));
            }
        });
        let by_lock = |half: u64| {
            let publish = &publish;
            s.spawn(move || {
                let send = |message: &T| topic.publish(message).expect("publish");
                (0..messages / 2).filter(|n| n % 2 == half).for_each(|n| publish(n, &send));
            })
        };
        [by_lock(0), by_lock(1)].into_iter().for_each(|publisher| publisher.join().expect("a publisher"));
        let publisher = topic.publisher().expect("publisher");
        (messages / 2..messages).for_each(|n| publish(n, &|message| publisher.publish(message).expect("publish")));
        drop(publisher);
        topic.close();
        readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
        over.store(true, Relaxed);
    });
    println!("{what}: {messages} messages");
}

fn topics(messages: u64) {
    for is_gated in [false, true] {
        let what = |kind: &str| format!("topic of {kind}{}", if is_gated { ", gated" } else { "" });
        let small = Topic::<u64>::create(name("topic-8"), 16).expect("create");
        topic(&what("8 bytes"), messages, &small, is_gated, |n, send| send(&n), |_| ());
        let values = Topic::<[u64; 60]>::create(name("topic-480"), 4).expect("create");
        let check = |message: &[u64; 60]| assert!(message.iter().all(|word| *word == message[0]));
        topic(&what("480 bytes"), messages, &values, is_gated, |n, send| send(&[n; 60]), check);
        let slices = Topic::<[u64]>::builder().name(name("topic-slices")).capacity_bytes(64 << 10).create().expect("create");
        topic(&what("slices"), messages, &slices, is_gated, |n, send| send(&slice_of(n)), |message| check_slice(message));
    }
}

/// In place on both sides, which excludes lossy subscribers: Samples beside loans.
fn topic_in_place(messages: u64) {
    let topic = Topic::<[u64; 60]>::create(name("topic-in-place"), 4).expect("create");
    let readers: Vec<_> = (0..2).map(|_| topic.subscribe().expect("subscribe")).collect();
    thread::scope(|s| {
        for mut reader in readers {
            s.spawn(move || {
                for number in 0..messages {
                    let sample = reader.read_timeout(BOUND).expect("read");
                    assert_eq!(*sample, [number; 60]);
                }
            });
        }
        for number in 0..messages {
            let mut loan = topic.loan().expect("loan");
            *loan = [number; 60];
            loan.commit().expect("commit");
        }
    });
    println!("topic in place: {messages} messages");
}

/// The primitives that hand data from one to the other.
fn sync(rounds: u64) {
    let value = shmq::sync::Value::new([0u64; 9]).expect("value");
    let array = shmq::sync::Array::<u64>::new(vec![0; 50]).expect("array");
    thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                for _ in 0..rounds {
                    value.update(|all| all.iter_mut().for_each(|one| *one += 1)).expect("update");
                    array.lock().expect("lock").iter_mut().for_each(|one| *one += 1);
                    let seen = value.get().expect("get");
                    assert!(seen.iter().all(|one| *one == seen[0]));
                }
            });
        }
    });
    assert_eq!(value.get().expect("get"), [3 * rounds; 9]);
    assert_eq!(*array.lock().expect("lock"), [3 * rounds; 50]);
    println!("value and array: {} changes", 3 * rounds);
}

fn main() {
    let messages = std::env::args().nth(1).map_or(3000, |count| count.parse().expect("a number of messages"));
    slices(messages);
    slice_endpoints(messages);
    objects(messages);
    values::<1>(messages);
    values::<8>(messages);
    values::<700>(messages); // through a lease and a loan
    endpoints::<1>(messages);
    endpoints::<8>(messages);
    sync(messages / 10);
    topics(messages);
    topic_in_place(messages);
}
