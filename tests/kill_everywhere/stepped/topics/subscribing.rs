//! Killed as a subscriber: while it joins, reads, holds a Sample, leaves, and in the verbs that
//! concern others.

use super::{CAPACITY, Told, Verb, World, check, drain, holding, kill_in, large, publish, world};
use crate::stepped::contents::LARGE;
use crate::stepped::sweep::Finding;
use crate::support::harness::Case;
use shmq::{GetError, Start, Subscriber};

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_subscribe,
        killed_in_subscribe_from_further_back,
        killed_in_subscribe_lossy,
        killed_in_subscribe_to_slices,
        killed_in_next,
        killed_in_next_slice,
        killed_in_a_lossy_next,
        killed_in_a_lossy_next_that_was_lapped,
        killed_in_latest,
        killed_in_read_and_drop_of_a_sample,
        killed_in_a_drop_of_a_sample_that_gates,
        killed_in_leaving,
        killed_in_leaving_as_a_laggard,
        killed_in_next_of_slices,
        killed_in_next_of_a_large_slice,
        killed_in_a_lossy_next_of_slices,
        killed_in_latest_of_slices,
        killed_in_evict,
        killed_in_learning_of_an_eviction,
        killed_in_next_behind_a_dead_claim,
        killed_in_subscribers,
    ]
}

const TWO: &[u64] = &[10, 11];
const FOUR: &[u64] = &[10, 11, 12, 13];

fn two<T: Told + ?Sized>() -> World<T> {
    holding(TWO)
}

fn killed_in_subscribe() {
    for before in [0, 3, 5] {
        let act = |world: &World<u64>| std::mem::forget(world.topic.subscribe().unwrap());
        kill_in(format!("subscribe, after {before}").leak(), &|| world(before, TWO), &act, &[TWO]);
    }
}

fn killed_in_subscribe_from_further_back() {
    for start in [Start::Oldest, Start::Back(1)] {
        let act = |world: &World<u64>| std::mem::forget(world.topic.subscribe_from(start).unwrap());
        kill_in(format!("subscribe_from {start:?}").leak(), &|| world(4, TWO), &act, &[TWO]);
    }
}

fn killed_in_subscribe_lossy() {
    let act = |world: &World<u64>| std::mem::forget(world.topic.subscribe_lossy_from(Start::Back(1)).unwrap());
    kill_in("subscribe_lossy", &two, &act, &[TWO]);
}

fn killed_in_subscribe_to_slices() {
    let act = |world: &World<[u8]>| {
        std::mem::forget(world.topic.subscribe_from(Start::Back(1)).unwrap());
        std::mem::forget(world.topic.subscribe_lossy_from(Start::Oldest).unwrap());
    };
    kill_in("subscribe, slices", &|| world(5, TWO), &act, &[TWO]);
}

/// Kills `act` of a subscriber that begins with the messages that are there.
fn kill_subscriber<T: Told + ?Sized>(
    what: &'static str,
    world: &dyn Fn() -> World<T>,
    is_gating: bool,
    act: &dyn Fn(&mut Subscriber<T>),
    stages: &[&[u64]],
) {
    let prepare = |world: &World<T>| {
        // As many as the world holds, not those that all have read.
        let start = Start::Back(stages[0].len() as u64);
        let topic = &world.topic;
        if is_gating { topic.subscribe_from(start).unwrap() } else { topic.subscribe_lossy_from(start).unwrap() }
    };
    Verb { what, world, prepare: &prepare, act: &|_, subscriber| act(subscriber), wake: None, stages, woken: &[] }.sweep();
}

fn killed_in_next() {
    let act = |subscriber: &mut Subscriber<u64>| assert_eq!(subscriber.try_next().unwrap(), 10);
    kill_subscriber("next", &two, true, &act, &[TWO]);
}

fn killed_in_next_slice() {
    let act = |subscriber: &mut Subscriber<u64>| {
        let mut taken = [0; 3];
        assert_eq!((subscriber.try_next_slice(&mut taken).unwrap(), &taken[..2]), (2, TWO));
    };
    kill_subscriber("next_slice", &two, true, &act, &[TWO]);
}

fn killed_in_a_lossy_next() {
    let act = |subscriber: &mut Subscriber<u64>| assert_eq!(subscriber.try_next().unwrap(), 10);
    kill_subscriber("next, lossy", &two, false, &act, &[TWO]);
}

/// The child turns the survivor lossy, so that it can lap itself and the survivor.
fn killed_in_a_lossy_next_that_was_lapped() {
    const ROUNDS: u64 = 4;
    let operation = crate::stepped::sweep::Operation {
        what: "next, lossy, lapped",
        world: &|| world::<u64>(3, &[]),
        body: &|world, begin| {
            super::attach(world);
            let subscriber = world.topic.subscribe_lossy().unwrap();
            assert!(world.topic.evict(world.every.borrow().id()).unwrap());
            (20..20 + ROUNDS * CAPACITY).for_each(|number| publish(&world.topic, number).unwrap());
            begin();
            assert!(matches!(subscriber.try_next(), Err(GetError::Lagged { missed: 1.. })));
            assert!(subscriber.try_next().is_ok());
            std::mem::forget(subscriber);
        },
        wake: None,
        recovery: Some(&|world: &World<u64>, begin: &dyn Fn()| {
            begin();
            world.topic.recover();
        }),
        check: &|world, killed, turn| {
            let (mut every, mut live) = (world.every.borrow_mut(), world.live.borrow_mut());
            assert!(matches!(every.try_next(), Err(GetError::Evicted)), "{every:?}");
            for one in [&mut *every, &mut *live] {
                let mut found = Vec::new();
                drain(one, &mut found);
                let last = 19 + ROUNDS * CAPACITY;
                assert!(found.is_sorted() && found.last() == Some(&last) && found.len() as u64 >= CAPACITY, "{found:?}");
                assert_eq!(one.received() + one.missed(), 3 + ROUNDS * CAPACITY, "{one:?}");
            }
            world.before.set(3 + ROUNDS * CAPACITY);
            (*every, *live) = (world.topic.subscribe_from(Start::Now).unwrap(), world.topic.subscribe_lossy().unwrap());
            drop((every, live));
            check(world, killed, turn, &[&[]], &[])
        },
    };
    operation.sweep();
}

fn killed_in_latest() {
    let act = |subscriber: &mut Subscriber<u64>| assert_eq!(subscriber.latest().unwrap(), 11);
    kill_subscriber("latest", &two, false, &act, &[TWO]);
    kill_subscriber("latest, gating", &two, true, &act, &[TWO]);
}

fn killed_in_read_and_drop_of_a_sample() {
    let act = |subscriber: &mut Subscriber<u64>| {
        let sample = subscriber.try_read().unwrap();
        assert_eq!(*sample, 10);
        drop(sample);
    };
    kill_subscriber("read, drop", &two, true, &act, &[TWO]);
}

/// The dead gates with a Sample open, at the oldest of a full ring.
fn killed_in_a_drop_of_a_sample_that_gates() {
    let act = |subscriber: &mut Subscriber<u64>| drop(subscriber.try_read().unwrap());
    kill_subscriber("read, drop, gates", &|| world(3, FOUR), true, &act, &[FOUR]);
}

/// Kills a drop of a subscriber.
fn kill_leaver(what: &'static str, world: &dyn Fn() -> World<u64>, stages: &[&[u64]]) {
    let prepare = |world: &World<u64>| Some(world.topic.subscribe_from(Start::Oldest).unwrap());
    let act = |_: &World<u64>, subscriber: &mut Option<Subscriber<u64>>| drop(subscriber.take());
    Verb { what, world, prepare: &prepare, act: &act, wake: None, stages, woken: &[] }.sweep();
}

fn killed_in_leaving() {
    kill_leaver("subscriber, drop", &two, &[TWO]);
}

fn killed_in_leaving_as_a_laggard() {
    kill_leaver("subscriber, drop, gates", &|| world(3, FOUR), &[FOUR]);
}

fn killed_in_next_of_slices() {
    let act = |subscriber: &mut Subscriber<[u8]>| assert_eq!(subscriber.try_next().unwrap().len(), 8 + 60);
    kill_subscriber("next, variable length", &|| world(5, TWO), true, &act, &[TWO]);
}

fn killed_in_next_of_a_large_slice() {
    let large = large();
    let start = || {
        let world = super::world_of(super::slices(24_000), 0, &[]);
        world.topic.try_publish(&large).unwrap();
        world
    };
    let act = |subscriber: &mut Subscriber<[u8]>| std::mem::forget(subscriber.try_next().unwrap());
    kill_subscriber("next, large", &start, true, &act, &[&[LARGE]]);
}

fn killed_in_a_lossy_next_of_slices() {
    let act = |subscriber: &mut Subscriber<[u8]>| assert_eq!(subscriber.try_next().unwrap().len(), 8 + 60);
    kill_subscriber("next, lossy, variable length", &|| world(5, TWO), false, &act, &[TWO]);
}

fn killed_in_latest_of_slices() {
    let act = |subscriber: &mut Subscriber<[u8]>| std::mem::forget(subscriber.latest().unwrap());
    kill_subscriber("latest, variable length", &|| world(5, TWO), false, &act, &[TWO]);
}

/// The extra subscriber of the survivors is evicted, or not.
fn killed_in_evict() {
    let start = || {
        let world = holding::<u64>(&[]);
        world.extra.replace(Some(world.topic.subscribe().unwrap()));
        TWO.iter().for_each(|&number| publish(&world.topic, number).unwrap());
        world
    };
    let operation = crate::stepped::sweep::Operation {
        what: "evict",
        world: &start,
        body: &|world, begin| {
            super::attach(world);
            let id = world.extra.borrow().as_ref().expect("it is there").id();
            begin();
            assert!(world.topic.evict(id).unwrap());
        },
        wake: None,
        recovery: Some(&|world: &World<u64>, begin: &dyn Fn()| {
            begin();
            world.topic.recover();
        }),
        check: &|world, killed, turn| {
            let extra = world.extra.take().expect("it is there");
            let (mut found, mut evictions) = (Vec::new(), 0);
            loop {
                match extra.try_next() {
                    Ok(number) => found.push(number),
                    Err(GetError::Evicted) => evictions += 1,
                    Err(GetError::Empty) => break,
                    Err(error) => panic!("{error:?}, {extra:?}"),
                }
            }
            assert_eq!((found, extra.is_gating()), (TWO.to_vec(), evictions == 0), "{extra:?}");
            assert!(evictions == 1 || evictions == 0 && !killed.done, "{evictions}, {killed:?}");
            if evictions == 1 {
                // It no longer gates: the others' room is all there is.
                drain(&world.every.borrow(), &mut Vec::new());
                (50..50 + 4).for_each(|number| publish(&world.topic, number).unwrap());
                let stages: [&[u64]; 1] = [&[50, 51, 52, 53]];
                drop(extra);
                let finding = check(world, killed, 4 * turn, &stages, &[]);
                return Finding { stage: Some(1), ..finding };
            }
            drop(extra);
            let finding = check(world, killed, turn, &[TWO], &[TWO]);
            Finding { stage: Some(0), ..finding }
        },
    };
    // `check` asserts that what is done has come to the last stage, and has one here.
    operation.sweep();
}

/// The child learns that it was evicted.
fn killed_in_learning_of_an_eviction() {
    let prepare = |world: &World<u64>| {
        let subscriber = world.topic.subscribe_from(Start::Oldest).unwrap();
        assert!(world.topic.evict(subscriber.id()).unwrap());
        subscriber
    };
    let act = |_: &World<u64>, subscriber: &mut Subscriber<u64>| {
        assert!(matches!(subscriber.try_next(), Err(GetError::Evicted)));
        assert_eq!(subscriber.try_next().unwrap(), 10);
    };
    Verb { what: "next, evicted", world: &two, prepare: &prepare, act: &act, wake: None, stages: &[TWO], woken: &[] }.sweep();
}

/// A publisher died with a loan, and the child's reader finds it first.
fn killed_in_next_behind_a_dead_claim() {
    use crate::support::process::{fork, send_signal};
    let start = || {
        let world = two::<u64>();
        let child = fork("one who dies with a loan", || {
            super::attach(&world);
            std::mem::forget(world.topic.try_loan().unwrap());
            send_signal(std::process::id() as libc::pid_t, libc::SIGKILL);
        });
        assert!(child.killed_or_succeeded(), "it was killed");
        publish(&world.topic, 12).unwrap();
        world
    };
    let stages: [&[u64]; 1] = [&[10, 11, 12]];
    let operation = crate::stepped::sweep::Operation {
        what: "next, behind a dead claim",
        world: &start,
        body: &|world, begin| {
            let subscriber = world.topic.subscribe_from(Start::Back(4)).unwrap();
            begin();
            for number in 10..13 {
                assert_eq!(subscriber.next_timeout(crate::support::PATIENCE).unwrap(), number);
            }
            std::mem::forget(subscriber);
        },
        wake: None,
        recovery: Some(&|world: &World<u64>, begin: &dyn Fn()| {
            begin();
            world.topic.recover();
        }),
        check: &|world, killed, turn| check(world, killed, turn, &stages, &[]),
    };
    operation.sweep();
}

fn killed_in_subscribers() {
    kill_in::<u64>("subscribers", &two, &|world| assert_eq!(world.topic.subscribers().len(), 2), &[TWO]);
}
