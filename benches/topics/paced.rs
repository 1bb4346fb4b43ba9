//! What a lossy subscriber costs a publisher that is paced at half of its full rate: of messages
//! that are due, how many it publishes in time.

use super::{Bound, Figure};
use crate::broadcasts::Ledger;
use crate::forked::kernel::{self, now_nanos};
use shmq::{Publisher, Topic};
use std::{
    hint::spin_loop,
    sync::atomic::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

const CAPACITY: usize = 1024;
/// Messages between two looks at the clock.
const BURST: u64 = 64;
/// Of its pace, a publisher is to keep at least so much.
const LEAST: f64 = 0.95;

/// What the subscriber's process tells. Zeroed memory that both share.
struct Told {
    ready: AtomicU32,
    received: AtomicU64,
}

/// For messages of 8 B and 64 B: the pace that is kept, and how many of the messages are received.
pub fn figures(repetitions: usize, sample: Duration) -> Vec<Figure> {
    let mut figures = of::<1>("8 B", repetitions, sample);
    figures.extend(of::<8>("64 B", repetitions, sample));
    figures
}

fn of<const W: usize>(size: &str, repetitions: usize, sample: Duration) -> Vec<Figure> {
    let (mut full, mut alone, mut kept, mut received) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let cores = kernel::separate_cores();
    for _ in 0..repetitions {
        let name = format!("bench-{}-paced", std::process::id());
        let topic = Topic::<[u64; W]>::create(&name, CAPACITY).expect("create a topic");
        let publisher = topic.publisher().expect("become the publisher");
        kernel::run_on(&cores[..1]);
        publish(&publisher, 1 << 16, 0.0);
        let nanos = publish(&publisher, 1 << 20, 0.0);
        full.push(1e3 / nanos);
        let messages = ((sample.as_nanos() as f64 / (2.0 * nanos)) as u64).next_multiple_of(BURST).max(BURST);
        alone.push(2.0 * nanos / publish(&publisher, messages, 2.0 * nanos));

        let told: &'static Told = kernel::share();
        let child = kernel::fork(|| {
            kernel::run_on(&cores[1..2]);
            let subscriber = Topic::<[u64; W]>::open(&name).expect("open the topic").subscribe_lossy().expect("subscribe");
            told.ready.store(1, Release);
            let mut ledger = Ledger::new();
            while ledger.next < messages {
                ledger.next(&subscriber);
            }
            told.received.store(ledger.received, Relaxed);
            i32::from(ledger.next != messages || ledger.wrong > 0)
        });
        while told.ready.load(Acquire) == 0 {
            spin_loop();
        }
        let beside = 2.0 * nanos / publish(&publisher, messages, 2.0 * nanos);
        kept.push(beside / alone[alone.len() - 1]);
        assert_eq!(kernel::ended(child, true), Some(0), "a lossy subscriber that received or was told of all");
        received.push(told.received.load(Relaxed) as f64 / messages as f64);
        Topic::<[u64; W]>::unlink(&name).expect("unlink the topic");
        kernel::run_on(&cores);
    }
    vec![
        Figure::new(format!("a publisher of {size} alone, full rate"), "M messages/s", full, None),
        Figure::new(format!("the same at half of that, alone: {size}"), "of its pace", alone, None),
        Figure::new(format!("the same beside a lossy subscriber: {size}"), "of that", kept, Some(Bound::AtLeast(LEAST))),
        Figure::new(format!("of its messages, that one receives: {size}"), "of all", received, None),
    ]
}

/// Publishes the stamps from 0 on, one each `pace` nanoseconds as nearly as may be; returns the
/// nanoseconds that one took.
fn publish<const W: usize>(publisher: &Publisher<[u64; W]>, messages: u64, pace: f64) -> f64 {
    let start = now_nanos();
    for stamp in 0..messages {
        publisher.publish(&[stamp; W]).expect("publish");
        if pace > 0.0 && stamp % BURST == BURST - 1 {
            let due = start + ((stamp + 1) as f64 * pace) as u64;
            while now_nanos() < due {
                spin_loop();
            }
        }
    }
    (now_nanos() - start) as f64 / messages as f64
}
