//! Ping-pong in which every round trip is timed: member 0 sends a message and waits for the answer,
//! member 1 answers.

use crate::{
    clock,
    flows::Transport,
    forked::{
        Case, Host, Seat,
        kernel::{futex_wait, futex_wake, share},
    },
};
use crossbeam_utils::CachePadded;
use std::{
    cell::Cell,
    hint::spin_loop,
    marker::PhantomData,
    sync::atomic::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release, SeqCst},
    },
};

/// Most round trips that a sample may have.
const TURNS: usize = 1 << 17;
/// Capacity of the channels: more than a ping-pong needs.
const CAPACITY: usize = 64;

/// The round trips of the last sample, in ticks; member 0 writes them, the parent reads them when
/// the party has answered.
pub struct Turns([AtomicU32; TURNS]);

impl Turns {
    pub fn share() -> &'static Turns {
        share()
    }

    pub fn note(&self, turn: u64, ticks: u64) {
        self.0[turn as usize % TURNS].store(ticks.min(u64::from(u32::MAX)) as u32, Relaxed);
    }

    /// The first `count` of them, in nanoseconds.
    pub fn read(&self, count: u64) -> impl Iterator<Item = f64> {
        self.0.iter().take(count as usize).map(|ticks| clock::nanos(ticks.load(Relaxed)))
    }
}

/// In a blocking ping-pong, member 0 is busy this long before each message, untimed, so that member
/// 1 falls asleep. Otherwise an answer that comes before the other side sleeps keeps both awake,
/// turn after turn.
pub const REST_NANOS: u64 = 50_000;

/// What member 0 does in each turn, and member 1.
fn serve(seat: &Seat<'_>, times: &Turns, rest_nanos: u64, mut ask: impl FnMut(u64), mut answer: impl FnMut(u64)) {
    let mut last = 0;
    seat.serve(|share, moved| {
        let mut from = clock::ticks();
        for turn in 0..share {
            if seat.produces() {
                if rest_nanos > 0 {
                    clock::work(rest_nanos);
                    from = clock::ticks();
                }
                ask(last + turn);
                let to = clock::ticks();
                times.note(turn, to.wrapping_sub(from));
                from = to;
            } else {
                answer(last + turn);
            }
        }
        last += share;
        moved.store(share, Relaxed);
        share
    });
}

/// Two channels of a transport, one for each way.
pub struct PingPong<T> {
    times: &'static Turns,
    /// What each side computes before it sends.
    work_nanos: u64,
    rest_nanos: u64,
    moves: PhantomData<fn() -> T>,
}

pub fn ping_pong<T: Transport>(times: &'static Turns, work_nanos: u64) -> Box<dyn Case> {
    Box::new(PingPong { times, work_nanos, rest_nanos: 0, moves: PhantomData::<fn() -> T> })
}

/// A ping-pong in which each message finds its receiver asleep.
pub fn sleeping_ping_pong<T: Transport>(times: &'static Turns) -> Box<dyn Case> {
    Box::new(PingPong { times, work_nanos: 0, rest_nanos: REST_NANOS, moves: PhantomData::<fn() -> T> })
}

struct Both<H>(H, H);

impl<H: Host> Host for Both<H> {
    fn unlink(&self) {
        self.0.unlink();
        self.1.unlink();
    }

    fn state(&self) -> String {
        format!("{} | {}", self.0.state(), self.1.state())
    }
}

impl<T: Transport> Case for PingPong<T> {
    fn create(&self, name: &str) -> Box<dyn Host> {
        Box::new(Both(T::create(&format!("{name}-out"), CAPACITY), T::create(&format!("{name}-back"), CAPACITY)))
    }

    fn play(&self, seat: &Seat<'_>, name: &str) {
        let (out, back) = (format!("{name}-out"), format!("{name}-back"));
        // Some transports wait in `sender` for the receiver to come and the other way round.
        let (sender, receiver) = if seat.produces() {
            let sender = T::sender(&out);
            (sender, T::receiver(&back))
        } else {
            let receiver = T::receiver(&out);
            (T::sender(&back), receiver)
        };
        let receive = |turn: u64| assert_eq!(T::receive(&receiver, 1), turn * T::WORDS as u64, "the message of turn {turn}");
        let ask = |turn| {
            clock::work(self.work_nanos);
            T::send(&sender, turn..turn + 1);
            receive(turn);
        };
        let answer = |turn| {
            receive(turn);
            clock::work(self.work_nanos);
            T::send(&sender, turn..turn + 1);
        };
        serve(seat, self.times, self.rest_nanos, ask, answer);
    }
}

/// A pair of words on lines of their own: what member 0 last sent, what member 1 last answered.
type Pair<W> = [CachePadded<W>; 2];

/// The floor for spinning: a cache line passed back and forth.
pub struct CacheLine(pub &'static Turns, &'static Pair<AtomicU64>);

/// The floor for what passes along a ring: each message is one store into the next of as many lines
/// as a queue of [`CAPACITY`] messages has cells, and so is each answer.
pub struct CacheLines(&'static Turns, &'static [Ring; 2]);

/// Records that a queue of shmq goes round: one more than its capacity.
type Ring = [CachePadded<AtomicU64>; CAPACITY + 1];

/// The floor for sleeping: a futex word passed back and forth.
pub struct Futex(pub &'static Turns, &'static Pair<AtomicU32>);

pub fn cache_lines(times: &'static Turns) -> Box<dyn Case> {
    Box::new(CacheLines(times, share()))
}

pub fn cache_line(times: &'static Turns) -> Box<dyn Case> {
    Box::new(CacheLine(times, share()))
}

pub fn futex(times: &'static Turns) -> Box<dyn Case> {
    Box::new(Futex(times, share()))
}

impl Case for CacheLine {
    fn create(&self, _: &str) -> Box<dyn Host> {
        self.1.iter().for_each(|word| word.store(0, Relaxed));
        Box::new(())
    }

    fn play(&self, seat: &Seat<'_>, _: &str) {
        let [sent, answered] = self.1;
        let wait_for = |word: &AtomicU64, value| {
            while word.load(Acquire) != value {
                spin_loop();
            }
        };
        let ask = |turn: u64| {
            sent.store(turn + 1, Release);
            wait_for(answered, turn + 1);
        };
        let answer = |turn: u64| {
            wait_for(sent, turn + 1);
            answered.store(turn + 1, Release);
        };
        serve(seat, self.0, 0, ask, answer);
    }
}

impl Case for CacheLines {
    fn create(&self, _: &str) -> Box<dyn Host> {
        self.1.iter().flatten().for_each(|word| word.store(0, Relaxed));
        Box::new(())
    }

    fn play(&self, seat: &Seat<'_>, _: &str) {
        let [out, back] = self.1;
        // Each side has a place of its own, as an endpoint has. The turns of a party never restart.
        let at = Cell::new(0);
        let next = || at.set(if at.get() == CAPACITY { 0 } else { at.get() + 1 });
        let wait_for = |word: &AtomicU64, value| {
            while word.load(Acquire) != value {
                spin_loop();
            }
        };
        let ask = |turn: u64| {
            out[at.get()].store(turn + 1, Release);
            wait_for(&back[at.get()], turn + 1);
            next();
        };
        let answer = |turn: u64| {
            wait_for(&out[at.get()], turn + 1);
            back[at.get()].store(turn + 1, Release);
            next();
        };
        serve(seat, self.0, 0, ask, answer);
    }
}

impl Case for Futex {
    fn create(&self, _: &str) -> Box<dyn Host> {
        self.1.iter().for_each(|word| word.store(0, Relaxed));
        Box::new(())
    }

    fn play(&self, seat: &Seat<'_>, _: &str) {
        let [sent, answered] = self.1;
        let store_and_wake = |word: &AtomicU32, turn: u64| {
            word.store(turn as u32 + 1, SeqCst);
            futex_wake(word);
        };
        let wait_for = |word: &AtomicU32, turn: u64| {
            while word.load(SeqCst) != turn as u32 + 1 {
                futex_wait(word, turn as u32, None);
            }
        };
        let ask = |turn| {
            store_and_wake(sent, turn);
            wait_for(answered, turn);
        };
        let answer = |turn| {
            wait_for(sent, turn);
            store_and_wake(answered, turn);
        };
        serve(seat, self.0, REST_NANOS, ask, answer);
    }
}
