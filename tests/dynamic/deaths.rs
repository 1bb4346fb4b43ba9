//! Processes that move messages by bytes are killed: the others go on, typed or not.

use super::Tick;
use crate::support::harness::Case;
use crate::support::process::{Child, fork, shared_word, shared_words, wait_for_count};
use crate::support::{BY_ITSELF, PATIENCE, Rng};
use shmq::{DynQueue, DynTopic, MessageLayout, Queue};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_dead_holders_message_comes_back_to_either_kind,
        a_dead_loan_is_skipped,
        dead_endpoints_free_their_sides,
        a_dead_subscriber_holds_up_no_publisher,
        putters_by_bytes_killed_at_random_lose_nothing,
    ]
}

/// A child that did something and then waits to be killed.
pub fn victim(what: &'static str, act: impl FnOnce(&dyn Fn())) -> Child {
    let ready = shared_word();
    let child = fork(what, || {
        act(&|| {
            ready.store(1, Release);
            loop {
                std::thread::sleep(PATIENCE);
            }
        });
        panic!("{what} was to be killed");
    });
    wait_for_count(what, ready, 1);
    child
}

fn a_dead_holders_message_comes_back_to_either_kind() {
    let typed = Queue::<Tick>::new(4).unwrap();
    let untyped = DynQueue::open(typed.name()).unwrap();
    for n in 0..4 {
        untyped.put(&Tick::bytes(n)).unwrap();
        let holder = victim("a holder of a lease", |wait| {
            let _lease = if n % 2 == 0 { untyped.lease().unwrap() } else { untyped.consumer().unwrap().lease_owned().unwrap() };
            wait();
        });
        holder.kill();
        if n < 2 {
            assert_eq!(*typed.lease_timeout(BY_ITSELF).unwrap(), Tick::numbered(n));
        } else {
            let lease = untyped.lease_timeout(BY_ITSELF).unwrap();
            assert_eq!((&*lease, lease.deliveries()), (&Tick::bytes(n)[..], 2));
        }
    }
}

fn a_dead_loan_is_skipped() {
    for owned in [false, true] {
        let queue = DynQueue::new(MessageLayout::of::<u64>(), 4).unwrap();
        let holder = victim("a holder of a loan", |wait| {
            if owned {
                let producer = queue.producer().unwrap();
                let _loan = producer.loan().unwrap();
                wait();
            } else {
                let _loan = queue.loan().unwrap();
                queue.put(&[1; 8]).unwrap();
                wait();
            }
        });
        holder.kill();
        queue.put_timeout(&[1; 8], BY_ITSELF).unwrap();
        assert_eq!(queue.get_timeout(BY_ITSELF).unwrap(), [1; 8]);
        assert_eq!(queue.stats().aborted, 1);
    }
}

fn dead_endpoints_free_their_sides() {
    let queue = DynQueue::new(MessageLayout::of::<u64>(), 4).unwrap();
    let producer = victim("a producer", |wait| {
        let producer = queue.producer().unwrap();
        producer.put(&[1; 8]).unwrap();
        wait();
    });
    producer.kill();
    let consumer = victim("a consumer", |wait| {
        let consumer = queue.consumer().unwrap();
        assert_eq!(consumer.get().unwrap(), [1; 8]);
        wait();
    });
    consumer.kill();
    queue.put_timeout(&[2; 8], BY_ITSELF).unwrap();
    assert_eq!(queue.get_timeout(BY_ITSELF).unwrap(), [2; 8]);
}

fn a_dead_subscriber_holds_up_no_publisher() {
    let topic = DynTopic::new(MessageLayout::of::<u64>(), 4).unwrap();
    let reader = victim("a subscriber that reads in place", |wait| {
        let mut every = topic.subscribe().unwrap();
        topic.publish(&[1; 8]).unwrap();
        let _sample = every.read().unwrap();
        wait();
    });
    reader.kill();
    (0..20).for_each(|_| topic.publish_timeout(&[2; 8], BY_ITSELF).unwrap());
}

/// What a put said is put, a getter gets: each putter counts before and after.
fn putters_by_bytes_killed_at_random_lose_nothing() {
    let mut rng = Rng::new("putters by bytes");
    let queue = Queue::<u64>::new(8).unwrap();
    let untyped = DynQueue::open(queue.name()).unwrap();
    for round in 0..30u64 {
        let words = shared_words(2);
        let (begun, put) = (&words[0], &words[1]);
        let putter = fork("a putter by bytes", || {
            let number = |n: u64| (round << 32 | n).to_ne_bytes();
            let producer = (round % 2 == 0).then(|| untyped.producer().unwrap());
            for n in 0.. {
                begun.store(n + 1, Release);
                match &producer {
                    Some(producer) => producer.put(&number(n)).unwrap(),
                    None => untyped.put(&number(n)).unwrap(),
                }
                put.store(n + 1, Release);
            }
        });
        let most = 1 + rng.below(200);
        let mut got = 0;
        while got < most {
            assert_eq!(queue.get_timeout(BY_ITSELF).unwrap(), round << 32 | got);
            got += 1;
        }
        putter.kill();
        while let Ok(message) = queue.try_get() {
            assert_eq!(message, round << 32 | got);
            got += 1;
        }
        let (put, begun) = (put.load(Acquire), begun.load(Relaxed));
        assert!((put..=begun).contains(&got), "{put} were put, {got} were got");
    }
}
