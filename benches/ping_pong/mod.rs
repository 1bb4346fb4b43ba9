//! The contestants of the latency benches: member 0 sends a message and waits for the answer,
//! member 1 answers.
//!
//! The floors: a cache line that two cores pass back and forth (for spinning), a futex word (for
//! sleeping).
#![allow(dead_code)] // each bench is a crate of its own and uses a part of this

use crate::{
    baseline::Baseline,
    flows::Contestant,
    forked::{
        Case, Host, Seat,
        kernel::{futex_wait, futex_wake, share},
    },
};
use crossbeam_utils::CachePadded;
use shmq::{Consumer, Producer, Queue, WaitStrategy};
use std::{
    hint::spin_loop,
    marker::PhantomData,
    sync::atomic::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release, SeqCst},
    },
};

/// Words of the baseline's message: 64 bytes.
const BASELINE_WORDS: usize = 8;
pub const CAPACITY: usize = 64;

pub fn bare_cache_line() -> Contestant {
    ("bare_cache_line", Box::new(CacheLine(share())))
}

pub fn bare_futex() -> Contestant {
    ("bare_futex", Box::new(Futex(share())))
}

pub fn baseline() -> Contestant {
    ("baseline", Box::new(PingPong::<BASELINE_WORDS, (Baseline, Baseline)>(PhantomData, WaitStrategy::Block)))
}

pub fn queue<const W: usize>(name: &'static str, wait: WaitStrategy) -> Contestant {
    (name, Box::new(PingPong::<W, (Queue<[u64; W]>, Queue<[u64; W]>)>(PhantomData, wait)))
}

pub fn endpoints<const W: usize>(name: &'static str, wait: WaitStrategy) -> Contestant {
    (name, Box::new(PingPong::<W, (Producer<[u64; W]>, Consumer<[u64; W]>)>(PhantomData, wait)))
}

/// A pair of words on lines of their own: what member 0 last sent, what member 1 last answered.
type Pair<W> = [CachePadded<W>; 2];

struct CacheLine(&'static Pair<AtomicU64>);
struct Futex(&'static Pair<AtomicU32>);

/// Nothing to hold: the words are in memory shared since before the fork.
impl Host for () {
    fn unlink(&self) {}

    fn state(&self) -> String {
        "two words in shared memory".into()
    }
}

impl Case for CacheLine {
    fn create(&self, _: &str) -> Box<dyn Host> {
        self.0.iter().for_each(|word| word.store(0, Relaxed));
        Box::new(())
    }

    fn play(&self, seat: &Seat<'_>, _: &str) {
        let [sent, answered] = self.0;
        let mut last = 0;
        let wait_for = |word: &AtomicU64, value| {
            while word.load(Acquire) != value {
                spin_loop();
            }
        };
        seat.serve(|share, moved| {
            for turn in last + 1..=last + share {
                if seat.produces() {
                    sent.store(turn, Release);
                    wait_for(answered, turn);
                } else {
                    wait_for(sent, turn);
                    answered.store(turn, Release);
                }
            }
            last += share;
            moved.store(share, Relaxed);
            share
        });
    }
}

impl Case for Futex {
    fn create(&self, _: &str) -> Box<dyn Host> {
        self.0.iter().for_each(|word| word.store(0, Relaxed));
        Box::new(())
    }

    fn play(&self, seat: &Seat<'_>, _: &str) {
        let [sent, answered] = self.0;
        let mut last = 0_u32;
        let store_and_wake = |word: &AtomicU32, value| {
            word.store(value, SeqCst);
            futex_wake(word);
        };
        let wait_for = |word: &AtomicU32, value: u32| {
            while word.load(SeqCst) != value {
                futex_wait(word, value.wrapping_sub(1), None);
            }
        };
        seat.serve(|share, moved| {
            for _ in 0..share {
                last = last.wrapping_add(1);
                if seat.produces() {
                    store_and_wake(sent, last);
                    wait_for(answered, last);
                } else {
                    wait_for(sent, last);
                    store_and_wake(answered, last);
                }
            }
            moved.store(share, Relaxed);
            share
        });
    }
}

/// Two queues, one for each way.
struct PingPong<const W: usize, L>(PhantomData<fn() -> L>, WaitStrategy);

/// One member's ends of both queues.
trait Link<const W: usize>: Sized + 'static {
    type Host: Host + 'static;
    fn create(name: &str) -> Self::Host;
    /// Sends through the queue of the first name, receives from that of the second.
    fn attach(out: &str, back: &str, wait: WaitStrategy) -> Self;
    fn send(&self, message: &[u64; W]);
    fn receive(&self) -> [u64; W];
}

/// The hosts of two queues.
pub struct Both<H>(pub H, pub H);

impl<H: Host> Host for Both<H> {
    fn unlink(&self) {
        self.0.unlink();
        self.1.unlink();
    }

    fn state(&self) -> String {
        format!("{} | {}", self.0.state(), self.1.state())
    }
}

impl<const W: usize, L: Link<W>> Case for PingPong<W, L> {
    fn create(&self, name: &str) -> Box<dyn Host> {
        Box::new(Both(L::create(&format!("{name}-out")), L::create(&format!("{name}-back"))))
    }

    fn play(&self, seat: &Seat<'_>, name: &str) {
        let (out, back) = (format!("{name}-out"), format!("{name}-back"));
        let link = if seat.produces() { L::attach(&out, &back, self.1) } else { L::attach(&back, &out, self.1) };
        seat.serve(|share, moved| {
            let mut sum = 0_u64;
            for turn in 0..share {
                let message = if seat.produces() {
                    link.send(&[turn; W]);
                    link.receive()
                } else {
                    let message = link.receive();
                    link.send(&message);
                    message
                };
                assert_eq!(message, [turn; W], "the message of turn {turn}");
                sum = sum.wrapping_add(message[W - 1]);
            }
            moved.store(share, Relaxed);
            sum
        });
    }
}

impl<const W: usize> Link<W> for (Baseline, Baseline) {
    type Host = Baseline;

    fn create(name: &str) -> Baseline {
        Baseline::create(name, CAPACITY, W)
    }

    fn attach(out: &str, back: &str, _: WaitStrategy) -> Self {
        (Baseline::open(out), Baseline::open(back))
    }

    fn send(&self, message: &[u64; W]) {
        self.0.put(message);
    }

    fn receive(&self) -> [u64; W] {
        let mut message = [0; W];
        self.1.get(&mut message);
        message
    }
}

pub fn open<const W: usize>(name: &str, wait: WaitStrategy) -> Queue<[u64; W]> {
    Queue::builder().name(name).wait_strategy(wait).open().expect("open the queue")
}

impl<const W: usize> Link<W> for (Queue<[u64; W]>, Queue<[u64; W]>) {
    type Host = Queue<[u64; W]>;

    fn create(name: &str) -> Queue<[u64; W]> {
        Queue::create(name, CAPACITY).expect("create a queue")
    }

    fn attach(out: &str, back: &str, wait: WaitStrategy) -> Self {
        (open(out, wait), open(back, wait))
    }

    fn send(&self, message: &[u64; W]) {
        self.0.put(message).expect("put");
    }

    fn receive(&self) -> [u64; W] {
        self.1.get().expect("get")
    }
}

impl<const W: usize> Link<W> for (Producer<[u64; W]>, Consumer<[u64; W]>) {
    type Host = Queue<[u64; W]>;

    fn create(name: &str) -> Queue<[u64; W]> {
        Queue::create(name, CAPACITY).expect("create a queue")
    }

    fn attach(out: &str, back: &str, wait: WaitStrategy) -> Self {
        let producer = open(out, wait).producer().expect("become the producer");
        (producer, open(back, wait).consumer().expect("become the consumer"))
    }

    fn send(&self, message: &[u64; W]) {
        self.0.put(message).expect("put");
    }

    fn receive(&self) -> [u64; W] {
        self.1.get().expect("get")
    }
}
