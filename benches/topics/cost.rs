//! What a publish costs beside many gating subscribers that are idle, and read in turn: one burst
//! of publishes is timed, then each subscriber reads as many messages, untimed.
//!
//! With the gate open the ring is empty before a burst. With the gate shut it is full, each
//! subscriber has read an eighth of it in turn, and the burst fills it again: the publisher has to
//! find out how far it may go.

use super::{Bound, Figure};
use crate::forked::kernel::{self, now_nanos};
use shmq::{Publisher, Subscriber, Topic};
use std::{
    hint::spin_loop,
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Release},
    },
    time::Duration,
};

type Line = [u64; 8];

/// As in a feed of market data.
const CAPACITY: usize = 4096;
/// An eighth of the ring.
const BURST: u64 = CAPACITY as u64 / 8;
const FEW: usize = 1;
const MANY: usize = 60;
/// Most that a publish may cost beside many, by what it costs beside one.
const MOST: f64 = 1.2;

/// For the subscribers to attach.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the subscribers are.
#[derive(Clone, Copy, PartialEq)]
enum Readers {
    /// In the publisher's process.
    Here,
    /// All in another process, on another core.
    There,
}

/// Of a publish beside 60 subscribers, by that beside one; and that beside one in nanoseconds.
pub fn figures(repetitions: usize, bursts: u64) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (readers, place) in [(Readers::Here, "in one process"), (Readers::There, "of another process")] {
        for (full, gate) in [(false, "the gate open"), (true, "the ring full")] {
            let (mut alone, mut ratios) = (Vec::new(), Vec::new());
            for _ in 0..repetitions {
                let [few, many] = [FEW, MANY].map(|count| cost(count, readers, full, bursts));
                alone.push(few);
                ratios.push(many / few);
            }
            let name = format!("publish of 64 B, {gate}, subscribers {place}");
            figures.push(Figure::new(format!("{name}: 1"), "ns", alone, None));
            figures.push(Figure::new(format!("{name}: 60"), "x that", ratios, Some(Bound::AtMost(MOST))));
        }
    }
    figures
}

/// Whose turn it is: even, the publisher's; odd, the subscribers'. Shared with the process of the
/// subscribers.
struct Turn(AtomicU64);

impl Turn {
    fn pass(&self, turn: u64) {
        self.0.store(turn, Release);
    }

    fn wait_for(&self, turn: u64) {
        while self.0.load(Acquire) != turn {
            spin_loop();
        }
    }
}

/// Nanoseconds of a publish beside `count` subscribers: the median burst's.
fn cost(count: usize, readers: Readers, full: bool, bursts: u64) -> f64 {
    let name = format!("bench-{}-cost", std::process::id());
    let topic = Topic::<Line>::create(&name, CAPACITY).expect("create a topic");
    if readers == Readers::Here {
        Topic::<Line>::unlink(&name).expect("unlink the topic");
        let subscribers = subscribe(&topic, count);
        return measure(&topic, count, full, bursts, |_| read_in_turn(&subscribers));
    }
    let turn: &'static Turn = kernel::share();
    let cores = kernel::separate_cores();
    let child = kernel::fork(|| {
        kernel::run_on(&cores[1..2]);
        let topic = Topic::open(&name).expect("open the topic");
        let subscribers = subscribe(&topic, count);
        for burst in 0..bursts {
            turn.wait_for(2 * burst + 1);
            read_in_turn(&subscribers);
            turn.pass(2 * burst + 2);
        }
        0
    });
    kernel::run_on(&cores[..1]);
    let nanos = measure(&topic, count, full, bursts, |burst| {
        turn.pass(2 * burst + 1);
        turn.wait_for(2 * burst + 2);
    });
    Topic::<Line>::unlink(&name).expect("unlink the topic");
    assert_eq!(kernel::ended(child, true), Some(0), "the subscribers' process");
    kernel::run_on(&cores);
    nanos
}

fn subscribe(topic: &Topic<Line>, count: usize) -> Vec<Subscriber<Line>> {
    (0..count).map(|_| topic.subscribe().expect("subscribe")).collect()
}

/// Each reads a burst.
fn read_in_turn(subscribers: &[Subscriber<Line>]) {
    for subscriber in subscribers {
        for _ in 0..BURST {
            std::hint::black_box(subscriber.next().expect("next"));
        }
    }
}

fn measure(topic: &Topic<Line>, count: usize, full: bool, bursts: u64, mut read: impl FnMut(u64)) -> f64 {
    topic.wait_subscribers(count, PATIENCE).expect("subscribers");
    let publisher = topic.publisher().expect("become the publisher");
    let mut nanos = Vec::new();
    let filling = if full { CAPACITY as u64 / BURST - 1 } else { 0 };
    for burst in 0..filling {
        publish(&publisher, burst);
    }
    for burst in 0..bursts {
        let start = now_nanos();
        publish(&publisher, burst);
        nanos.push((now_nanos() - start) as f64 / BURST as f64);
        read(burst);
    }
    nanos.sort_by(f64::total_cmp);
    nanos[nanos.len() / 2]
}

fn publish(publisher: &Publisher<Line>, burst: u64) {
    for at in 0..BURST {
        publisher.publish(&[burst + at; 8]).expect("publish");
    }
}
