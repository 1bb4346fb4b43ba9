//! What the machine allows: copying alone, and passing buffers with nothing around them.

use crate::{
    flows::{capacity, sum},
    forked::{
        Case, Host, Seat,
        kernel::{run_on, share, thread_cpu_nanos},
    },
    runner::{self, Measure},
};
use crossbeam_utils::CachePadded;
use std::{
    cell::{Cell, UnsafeCell},
    hint::{black_box, spin_loop},
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    thread,
    time::Instant,
};

/// The largest message that is measured, in words.
const LARGEST_WORDS: usize = 128 << 10;
/// What a channel for any of the large messages holds.
const ARENA_WORDS: usize = capacity(LARGEST_WORDS) * LARGEST_WORDS;

/// `memcpy` of messages of `W` words out of as many as a channel holds, by one thread on the first
/// core.
pub fn memcpy<const W: usize>() -> Measure {
    let pace = Cell::new(0);
    Box::new(move |runner| {
        let core = runner.cores()[0];
        let sample = runner.effort.sample;
        let known = pace.get();
        let copy = move || {
            run_on(&[core]);
            let pace = Cell::new(known);
            let source: Vec<u64> = (0..(capacity(W) * W) as u64).collect();
            let mut target = vec![0_u64; W];
            let filled = runner::fill(sample, &pace, |messages| {
                let (from, cpu) = (Instant::now(), thread_cpu_nanos());
                for message in 0..messages {
                    let at = message as usize % capacity(W) * W;
                    target.copy_from_slice(black_box(&source[at..at + W]));
                    black_box(&mut target);
                }
                Ok::<_, String>((messages, from.elapsed(), thread_cpu_nanos() - cpu))
            });
            (filled, pace.get())
        };
        // A thread of its own, so that this one stays where it was.
        let (filled, known) = thread::spawn(copy).join().map_err(|_| "the copying thread panicked")?;
        pace.set(known);
        let (count, elapsed, cpu) = filled?;
        Ok(runner::per_message(count, elapsed, cpu))
    })
}

/// Buffers of `W` words, each with a word that says which side owns it: the least that an in-place
/// queue must do.
struct Buffers<const W: usize> {
    turns: [CachePadded<AtomicU64>; SLOTS],
    words: UnsafeCell<[u64; ARENA_WORDS]>,
}
// SAFETY: the words of a buffer are touched only by the side that its word gives the turn.
unsafe impl<const W: usize> Sync for Buffers<W> {}

/// The most that any channel holds.
const SLOTS: usize = capacity(1);

struct Bare<const W: usize>(&'static Buffers<W>);

pub fn bare_buffers<const W: usize>() -> Box<dyn Case> {
    Box::new(Bare::<W>(share()))
}

impl<const W: usize> Bare<W> {
    const USED: usize = {
        assert!(capacity(W) * W <= ARENA_WORDS);
        capacity(W)
    };

    fn buffer(&self, slot: usize) -> *mut u64 {
        self.0.words.get().cast::<u64>().wrapping_add(slot * W)
    }
}

impl<const W: usize> Case for Bare<W> {
    fn create(&self, _: &str) -> Box<dyn Host> {
        self.0.turns.iter().for_each(|turn| turn.store(0, Relaxed));
        Box::new(())
    }

    /// A buffer's word counts its hand-overs: even, it is the producer's, odd, the consumer's.
    fn play(&self, seat: &Seat<'_>, _: &str) {
        let mut at = 0_u64;
        seat.serve(|share, moved| {
            let mut total = 0_u64;
            for stamp in 0..share {
                let (slot, round) = (at as usize % Self::USED, at / Self::USED as u64);
                let turn = &self.0.turns[slot];
                let mine = round * 2 + u64::from(!seat.produces());
                while turn.load(Acquire) != mine {
                    spin_loop();
                }
                // SAFETY: the buffer is this side's until the store below, which the other side
                // acquires.
                let words = unsafe { std::slice::from_raw_parts_mut(self.buffer(slot), W) };
                if seat.produces() {
                    words.fill(stamp);
                    total = total.wrapping_add(stamp.wrapping_mul(W as u64));
                } else {
                    total = total.wrapping_add(sum(words));
                }
                turn.store(mine + 1, Release);
                at += 1;
            }
            moved.store(share, Relaxed);
            total
        });
    }
}
