//! Killed, and interrupted, in a put that makes room of dropped loans under a live Consumer, and in
//! the Consumer's call after it.

use crate::stepped::contents::{attach, check, expect_whole, holding, kill_in_body, put};
use crate::stepped::sweep::Operation;
use crate::stepped::tracee::{interrupt_at, trace};
use crate::support::Rng;
use crate::support::harness::{Case, asks_for_ignored};
use crate::support::process::shared_words;
use shmq::{Consumer, Queue};
use std::cell::Cell;
use std::sync::atomic::Ordering::SeqCst;

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_a_put_that_steps_head_under_a_consumer,
        killed_in_a_put_that_takes_tail_back_under_a_consumer,
        killed_in_a_put_that_does_both_under_a_consumer,
        killed_in_a_put_that_takes_tail_back,
        killed_in_a_consumers_get_after_it_was_held_off,
        met_in_a_put_that_makes_room_under_a_consumer,
    ]
}

/// A full queue of four: messages where there is a number, dropped loans otherwise.
fn full(places: [Option<u64>; 4]) -> Queue<u64> {
    let queue = holding::<u64>(&[]);
    let loans: Vec<_> = places.iter().map(|_| queue.try_loan().unwrap()).collect();
    for (place, mut loan) in places.into_iter().zip(loans) {
        if let Some(number) = place {
            *loan = number;
            loan.commit().unwrap();
        }
    }
    queue
}

/// A queue and its Consumer, which a survivor drops when it no longer needs it.
type World = (Queue<u64>, Cell<Option<Consumer<u64>>>);

fn consumed(places: [Option<u64>; 4]) -> World {
    let queue = full(places);
    let consumer = queue.consumer().unwrap();
    (queue, Cell::new(Some(consumer)))
}

/// A put of 12 where all the room is that of dropped loans, in a process other than the Consumer's.
/// The survivor is the Consumer, or a getter after it.
fn kill_in_put(what: &'static str, places: [Option<u64>; 4], before: &[u64]) {
    let after = [before, &[12]].concat();
    let stages = [before, &after[..]];
    let operation = Operation {
        what,
        world: &|| consumed(places),
        body: &|(queue, _): &World, begin: &dyn Fn()| {
            attach(queue);
            begin();
            put(queue, 12).unwrap();
        },
        wake: None,
        recovery: Some(&|(queue, _): &World, begin: &dyn Fn()| {
            begin();
            let _ = queue.recover();
        }),
        check: &|(queue, consumer), killed, turn| {
            let consumer = consumer.take().expect("made with the world");
            if turn % 4 == 0 {
                drop(consumer);
                return check(queue, killed, turn / 4, &stages, &[]);
            }
            let mut found = Vec::new();
            if turn % 4 == 1 {
                // Another putter comes first, and repairs the put side.
                put(queue, 77).unwrap_or_else(|error| panic!("{error}: {queue:?}, {killed:?}"));
            }
            while let Ok(number) = consumer.try_get() {
                found.push(number);
            }
            if turn % 4 == 1 {
                assert_eq!(found.pop(), Some(77), "{queue:?}");
            }
            let stage = stages.iter().position(|contents| found == *contents);
            let stage = stage.unwrap_or_else(|| panic!("found {found:?} of {stages:?}, {killed:?}, {queue:?}"));
            assert!(!killed.done || stage == 1, "done, and found {found:?}");
            assert_eq!((queue.len(), queue.is_full()), (0, false), "{queue:?}");
            if turn % 4 == 3 {
                // All its room, while the Consumer lives.
                let numbers = [1, 2, 3, 4];
                numbers.iter().for_each(|&number| put(queue, number).unwrap());
                numbers.iter().for_each(|&number| assert_eq!(consumer.try_get().unwrap(), number));
            }
            drop(consumer);
            let mut finding = check(queue, killed, turn, &[&[]], &[]);
            finding.stage = Some(stage);
            finding
        },
    };
    operation.sweep();
}

fn killed_in_a_put_that_steps_head_under_a_consumer() {
    kill_in_put("put, head steps", [None, None, None, Some(10)], &[10]);
}

fn killed_in_a_put_that_takes_tail_back_under_a_consumer() {
    kill_in_put("put, tail goes back", [Some(10), None, None, None], &[10]);
}

fn killed_in_a_put_that_does_both_under_a_consumer() {
    kill_in_put("put, head and tail", [None, Some(10), None, None], &[10]);
}

fn killed_in_a_put_that_takes_tail_back() {
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        attach(queue);
        begin();
        put(queue, 12).unwrap();
    };
    kill_in_body("put, tail goes back, no Consumer", || full([Some(10), None, None, None]), body, &[&[10], &[10, 12]]);
}

/// The Consumer was held off since its last call: its next call waits for the putter, which left
/// long ago.
fn killed_in_a_consumers_get_after_it_was_held_off() {
    let body = |queue: &Queue<u64>, begin: &dyn Fn()| {
        let consumer = queue.consumer().unwrap();
        put(queue, 12).unwrap();
        begin();
        assert_eq!(consumer.try_get().unwrap(), 10);
        std::mem::forget(consumer);
    };
    kill_in_body("consumer's get, held off", || full([None, Some(10), None, None]), body, &[&[10], &[10, 12], &[12]]);
}

/// The putter is stopped at an instruction while the Consumer is at work, and then goes on.
fn met_in_a_put_that_makes_room_under_a_consumer() {
    /// What the Consumer and others do meanwhile. What the Consumer took is noted.
    type Meanwhile = fn(&Queue<u64>, &mut Option<Consumer<u64>>, &mut Vec<u64>);
    let meanwhile: [(&str, Meanwhile); 5] = [
        ("two gets", |_, consumer, got| {
            let consumer = consumer.as_ref().expect("it lives");
            (0..2).for_each(|_| got.extend(consumer.try_get()));
        }),
        ("a get that waits", |_, consumer, got| {
            let timeout = std::time::Duration::from_millis(2);
            got.extend(consumer.as_ref().expect("it lives").get_timeout(timeout));
        }),
        ("a lease that comes back", |_, consumer, _| {
            if let Ok(lease) = consumer.as_ref().expect("it lives").try_lease() {
                lease.give_back();
            }
        }),
        ("the end of the Consumer, and a get", |queue, consumer, got| {
            drop(consumer.take());
            got.extend(queue.try_get());
        }),
        ("probes, and more dropped loans", |queue, _, _| {
            assert!(queue.len() <= 3);
            let _ = (queue.is_full(), queue.stats());
            (0..4).for_each(|_| drop(queue.try_loan()));
        }),
    ];
    let put_words = shared_words(1);
    let body = |(queue, _): &World, begin: &dyn Fn()| {
        attach(queue);
        begin();
        for number in [12, 13] {
            if put(queue, number).is_ok() {
                put_words[0].fetch_add(1, SeqCst);
            }
        }
    };
    for places in [[None, Some(10), None, None], [None, None, None, Some(10)], [Some(10), None, None, None]] {
        let traced = {
            let world = consumed(places);
            trace(&|begin| body(&world, begin), None)
        };
        let mut rng = Rng::new("held off, met");
        let steps: Vec<usize> = if asks_for_ignored() {
            (0..traced.len()).collect()
        } else {
            (0..60).map(|_| rng.below(traced.len() as u64) as usize).collect()
        };
        for (what, meanwhile) in meanwhile {
            for &steps in &steps {
                put_words[0].store(0, SeqCst);
                let world = consumed(places);
                let mut consumer = world.1.take();
                let mut got = Vec::new();
                let shared = Cell::new(Some((&mut consumer, &mut got)));
                interrupt_at(&|begin| body(&world, begin), &traced, steps, &|| {
                    let (consumer, got) = shared.take().expect("interrupted once");
                    meanwhile(&world.0, consumer, got);
                });
                match &consumer {
                    Some(consumer) => got.extend(std::iter::from_fn(|| consumer.try_get().ok())),
                    None => got.extend(std::iter::from_fn(|| world.0.try_get().ok())),
                }
                // A put that was kept out of the get side for too long is Busy, and the next one is
                // not.
                let put = put_words[0].load(SeqCst) as usize;
                let case = || format!("{places:?} interrupted after {steps} by {what}: {:?}", world.0);
                let complete = [&[10][..], &[12, 13]].concat();
                assert!(got == complete[..1 + put] || (put == 1 && got == [10, 13]), "{got:?}, {put} put, {}", case());
                drop(consumer);
                expect_whole(&world.0);
            }
        }
    }
}
