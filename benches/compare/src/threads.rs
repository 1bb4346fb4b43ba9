//! Upper bounds: channels between threads of one process. The same work as between processes: every
//! payload word is written and read.
//!
//! ```text
//!   producers 0..p, consumers p..p+c: threads, pinned like the processes; they meet at a start
//!   line, move their share, and return when they started and ended, and their CPU time
//! ```

use crate::{
    clock,
    forked::{
        Placement,
        kernel::{now_nanos, run_on, thread_cpu_nanos},
    },
    ping_pong::REST_NANOS,
    results::Measurement,
    runner::{self, Measure},
};
use std::{
    cell::Cell,
    ops::Range,
    sync::atomic::{
        AtomicU32,
        Ordering::{AcqRel, Acquire},
    },
    thread,
    time::Duration,
};

/// Ends of a channel between threads.
pub trait Within: 'static {
    const WORDS: usize;
    type Sender: Send;
    type Receiver: Send;
    fn make(capacity: usize, producers: usize, consumers: usize) -> (Vec<Self::Sender>, Vec<Self::Receiver>);
    /// Sends one message for each stamp; all words of a message are its stamp.
    fn send(sender: &mut Self::Sender, stamps: Range<u64>);
    /// Receives that many messages; returns the sum of all their words.
    fn receive(receiver: &mut Self::Receiver, count: u64) -> u64;
}

/// The result of a thread.
struct Part {
    start: u64,
    end: u64,
    cpu: u64,
    sum: u64,
}

fn play(core: Option<usize>, party: u32, at_start: &AtomicU32, part: impl FnOnce() -> u64) -> Part {
    if let Some(core) = core {
        run_on(&[core]);
    }
    at_start.fetch_add(1, AcqRel);
    for poll in 0_u32.. {
        if at_start.load(Acquire) >= party {
            break;
        }
        if poll % 64 == 63 { thread::yield_now() } else { std::hint::spin_loop() }
    }
    let (cpu, start) = (thread_cpu_nanos(), now_nanos());
    let sum = part();
    Part { start, end: now_nanos(), cpu: thread_cpu_nanos() - cpu, sum }
}

/// Messages as fast as they go; one to one each side has a core of its own.
pub fn flow<T: Within>(capacity: usize, sides: u32) -> Measure {
    flow_on::<T>(capacity, sides, if sides == 1 { Placement::Pinned } else { Placement::Free })
}

/// As [`flow`], one to one, both sides on one core.
pub fn flow_on_one_core<T: Within>(capacity: usize) -> Measure {
    flow_on::<T>(capacity, 1, Placement::OneCore)
}

fn flow_on<T: Within>(capacity: usize, sides: u32, placement: Placement) -> Measure {
    let pace = Cell::new(0);
    Box::new(move |runner| {
        let cores = runner.cores().to_vec();
        let (count, elapsed, cpu) = runner::fill(runner.effort.sample, &pace, |messages| {
            let share = messages.div_ceil(u64::from(sides));
            let (senders, receivers) = T::make(capacity, sides as usize, sides as usize);
            let at_start = AtomicU32::new(0);
            let core = |member: usize| placement.core(&cores, member);
            let at_start = &at_start;
            let parts = thread::scope(|scope| {
                let sending = senders.into_iter().enumerate().map(|(member, mut sender)| {
                    let core = core(member);
                    scope.spawn(move || {
                        play(core, sides * 2, at_start, || {
                            T::send(&mut sender, 0..share);
                            (0..share).fold(0, u64::wrapping_add).wrapping_mul(T::WORDS as u64)
                        })
                    })
                });
                let mut threads: Vec<_> = sending.collect();
                for (member, mut receiver) in receivers.into_iter().enumerate() {
                    let core = core(sides as usize + member);
                    threads.push(scope.spawn(move || play(core, sides * 2, at_start, || T::receive(&mut receiver, share))));
                }
                threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")).collect::<Result<Vec<_>, _>>()
            })?;
            let (sent, received) = parts.split_at(sides as usize);
            let sum = |parts: &[Part]| parts.iter().fold(0, |sum: u64, part| sum.wrapping_add(part.sum));
            if sum(sent) != sum(received) {
                return Err("messages lost, duplicated or damaged".to_owned());
            }
            let start = parts.iter().map(|part| part.start).min().unwrap_or(0);
            let end = parts.iter().map(|part| part.end).max().unwrap_or(0);
            Ok((share * u64::from(sides), Duration::from_nanos(end - start), parts.iter().map(|part| part.cpu).sum()))
        })?;
        Ok(runner::per_message(count, elapsed, cpu))
    })
}

/// Round trips through two channels, each timed.
pub fn ping_pong<T: Within>(sleeps: bool) -> Measure {
    Box::new(move |runner| {
        let turns = if sleeps { runner.effort.sleeping_turns } else { runner.effort.turns };
        let cores = runner.cores().to_vec();
        let (mut out, mut out_end) = T::make(64, 1, 1);
        let (mut back, mut back_end) = T::make(64, 1, 1);
        let (mut out, mut out_end) = (out.remove(0), out_end.remove(0));
        let (mut back, mut back_end) = (back.remove(0), back_end.remove(0));
        let at_start = &AtomicU32::new(0);
        let expect = |turn: u64, sum: u64| assert_eq!(sum, turn * T::WORDS as u64, "the message of turn {turn}");
        let mut times = vec![0_u64; turns as usize];
        let parts = thread::scope(|scope| {
            let asking = scope.spawn(|| {
                play(Some(cores[0]), 2, at_start, || {
                    let mut from = clock::ticks();
                    for turn in 0..turns {
                        if sleeps {
                            clock::work(REST_NANOS);
                            from = clock::ticks();
                        }
                        T::send(&mut out, turn..turn + 1);
                        expect(turn, T::receive(&mut back_end, 1));
                        let to = clock::ticks();
                        times[turn as usize] = to.wrapping_sub(from);
                        from = to;
                    }
                    0
                })
            });
            let answering = scope.spawn(|| {
                play(Some(cores[1 % cores.len()]), 2, at_start, || {
                    for turn in 0..turns {
                        expect(turn, T::receive(&mut out_end, 1));
                        T::send(&mut back, turn..turn + 1);
                    }
                    0
                })
            });
            [asking.join(), answering.join()].into_iter().collect::<Result<Vec<Part>, _>>().map_err(|_| "a thread panicked")
        })?;
        let elapsed = Duration::from_nanos(parts[0].end - parts[0].start);
        let cpu = parts.iter().map(|part| part.cpu).sum();
        let nanos = times.iter().map(|&ticks| clock::nanos_between(0, ticks));
        Ok(Measurement { percentiles: Some(runner::percentiles(nanos)), ..runner::per_message(turns, elapsed, cpu) })
    })
}
