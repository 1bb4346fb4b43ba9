//! Killed as a publisher: by lock and as the endpoint, by copy, in batches, in place, and in the
//! verbs that end or repair a topic.

use super::{Told, Verb, World, attach, holding, kill_in, large, publish, world};
use crate::stepped::contents::{LARGE, Numbered};
use crate::support::harness::Case;
use crate::support::process::{fork, send_signal};
use shmq::Publisher;

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_publish,
        killed_in_publish_around_the_ring,
        killed_in_publish_at_a_shut_gate,
        killed_in_publish_slice,
        killed_in_publish_slice_around_the_ring,
        killed_in_a_loan_of_a_topic,
        killed_in_a_dropped_loan_of_a_topic,
        killed_in_a_publishers_publish,
        killed_in_a_publishers_publish_around_the_ring,
        killed_in_a_publishers_publish_slice,
        killed_in_a_publishers_loan,
        killed_in_a_publishers_life,
        killed_in_publish_of_variable_length,
        killed_in_publish_of_variable_length_around_the_ring,
        killed_in_publish_of_a_large_message,
        killed_in_a_loan_of_variable_length_of_a_topic,
        killed_in_a_publishers_publish_of_variable_length,
        killed_in_the_first_publish_after_a_fork,
        killed_in_close_of_a_topic,
        killed_in_recover_of_a_topic,
    ]
}

/// Room is made in some of these, and not in others.
const AROUND: [u64; 6] = [1, 2, 3, 4, 5, 6];

const TWO: &[u64] = &[10, 11];
const THREE: &[u64] = &[10, 11, 12];
const FOUR: &[u64] = &[10, 11, 12, 13];

fn two<T: Told + ?Sized>() -> World<T> {
    holding(TWO)
}

fn named(what: &str, before: u64) -> &'static str {
    format!("{what}, after {before}").leak()
}

fn killed_in_publish() {
    kill_in::<u64>("publish", &two, &|world| publish(&world.topic, 12).unwrap(), &[TWO, THREE]);
}

fn killed_in_publish_around_the_ring() {
    for before in AROUND {
        let act = |world: &World<u64>| publish(&world.topic, 12).unwrap();
        kill_in(named("publish", before), &|| world(before, TWO), &act, &[TWO, THREE]);
    }
}

fn killed_in_publish_at_a_shut_gate() {
    let act = |world: &World<u64>| assert!(publish(&world.topic, 14).unwrap_err().is_full());
    kill_in("publish, gated", &|| world(3, FOUR), &act, &[FOUR]);
}

/// The ring has fewer places than the batch.
fn killed_in_publish_slice() {
    let act = |world: &World<u64>| assert_eq!(world.topic.try_publish_slice(&[12, 13, 14]).unwrap(), 2);
    kill_in("publish_slice", &two, &act, &[TWO, THREE, FOUR]);
}

fn killed_in_publish_slice_around_the_ring() {
    for before in AROUND {
        let act = |world: &World<u64>| assert_eq!(world.topic.try_publish_slice(&[12, 13, 14]).unwrap(), 2);
        kill_in(named("publish_slice", before), &|| world(before, TWO), &act, &[TWO, THREE, FOUR]);
    }
}

fn killed_in_a_loan_of_a_topic() {
    for before in [0, 2, 4] {
        let act = |world: &World<u64>| {
            let mut loan = world.topic.try_loan().unwrap();
            *loan = 12;
            loan.commit().unwrap();
        };
        kill_in(named("topic's loan, commit", before), &|| world(before, TWO), &act, &[TWO, THREE]);
    }
}

fn killed_in_a_dropped_loan_of_a_topic() {
    kill_in::<u64>("topic's loan, drop", &two, &|world| drop(world.topic.try_loan().unwrap()), &[TWO]);
}

/// Kills `act` of a publisher that was made before.
fn kill_publisher<T: Told + ?Sized>(
    what: &'static str,
    world: &dyn Fn() -> World<T>,
    act: &dyn Fn(&mut Publisher<T>),
    stages: &[&[u64]],
) {
    let prepare = |world: &World<T>| world.topic.publisher().unwrap();
    Verb { what, world, prepare: &prepare, act: &|_, publisher| act(publisher), wake: None, stages, woken: &[] }.sweep();
}

fn killed_in_a_publishers_publish() {
    kill_publisher::<u64>("publisher's publish", &two, &|publisher| publisher.try_publish(&12).unwrap(), &[TWO, THREE]);
}

fn killed_in_a_publishers_publish_around_the_ring() {
    for before in AROUND {
        let act = |publisher: &mut Publisher<u64>| (12..14).for_each(|number| publisher.try_publish(&number).unwrap());
        kill_publisher(named("publisher's publish", before), &|| world(before, TWO), &act, &[TWO, THREE, FOUR]);
    }
}

fn killed_in_a_publishers_publish_slice() {
    for before in AROUND {
        let act = |publisher: &mut Publisher<u64>| assert_eq!(publisher.try_publish_slice(&[12, 13, 14]).unwrap(), 2);
        kill_publisher(named("publisher's slice", before), &|| world(before, TWO), &act, &[TWO, THREE, FOUR]);
    }
}

fn killed_in_a_publishers_loan() {
    let act = |publisher: &mut Publisher<u64>| {
        let mut loan = publisher.try_loan().unwrap();
        *loan = 12;
        loan.commit().unwrap();
        drop(publisher.try_loan().unwrap());
    };
    kill_publisher("publisher's loans", &two, &act, &[TWO, THREE]);
}

fn killed_in_a_publishers_life() {
    let act = |world: &World<u64>| {
        let publisher = world.topic.publisher().unwrap();
        publisher.try_publish(&12).unwrap();
        let mut loan = publisher.try_loan().unwrap();
        *loan = 13;
        loan.commit().unwrap();
    };
    kill_in("publisher, publish, loan, drop", &two, &act, &[TWO, THREE, FOUR]);
}

/// A message that is made before the operation begins.
fn made(number: u64) -> Vec<u8> {
    <[u8]>::with_message(number, <[u8]>::to_vec)
}

fn killed_in_publish_of_variable_length() {
    let message = made(12);
    let act = |world: &World<[u8]>| world.topic.try_publish(&message).unwrap();
    kill_in("publish, variable length", &two, &act, &[TWO, THREE]);
}

/// Room is made for a message of 10 KB in a ring of 24 KB.
fn killed_in_publish_of_variable_length_around_the_ring() {
    for before in [1, 2, 3] {
        let start = || {
            let world = super::world_of(super::slices(24_000), 0, &[]);
            for _ in 0..before {
                world.topic.try_publish(&large()).unwrap();
                let (every, live) = (world.every.borrow_mut(), world.live.borrow_mut());
                assert_eq!((every.try_next().unwrap(), live.try_next().unwrap()), (large(), large()));
            }
            TWO.iter().for_each(|&number| publish(&world.topic, number).unwrap());
            world
        };
        let message = made(12);
        let act = |world: &World<[u8]>| world.topic.try_publish(&message).unwrap();
        kill_in(named("publish, variable length", before), &start, &act, &[TWO, THREE]);
    }
}

fn killed_in_publish_of_a_large_message() {
    let message = large();
    let act = |world: &World<[u8]>| world.topic.try_publish(&message).unwrap();
    kill_in("publish, large", &|| super::world_of(super::slices(24_000), 0, TWO), &act, &[TWO, &[10, 11, LARGE]]);
}

fn killed_in_a_loan_of_variable_length_of_a_topic() {
    let message = made(12);
    let act = |world: &World<[u8]>| {
        let mut loan = world.topic.try_loan_len(message.len()).unwrap();
        loan.copy_from_slice(&message);
        loan.commit().unwrap();
        drop(world.topic.try_loan_len(300).unwrap());
    };
    kill_in("topic's loan_len, commit", &two, &act, &[TWO, THREE]);
}

fn killed_in_a_publishers_publish_of_variable_length() {
    let message = made(12);
    let act = |publisher: &mut Publisher<[u8]>| publisher.try_publish(&message).unwrap();
    kill_publisher("publisher's, variable length", &two, &act, &[TWO, THREE]);
}

fn killed_in_the_first_publish_after_a_fork() {
    let operation = crate::stepped::sweep::Operation {
        what: "publish, first after a fork",
        world: &two::<u64>,
        body: &|world, begin| {
            begin();
            publish(&world.topic, 12).unwrap();
        },
        wake: None,
        recovery: None,
        check: &|world, killed, turn| super::check(world, killed, turn, &[TWO, THREE], &[]),
    };
    operation.sweep();
}

fn killed_in_close_of_a_topic() {
    kill_in::<u64>("topic's close", &two, &|world| world.topic.close(), &[TWO]);
}

/// A child leaves a claim, a line that gates with a Sample open, and the put side.
fn killed_in_recover_of_a_topic() {
    let start = || {
        let world = two::<u64>();
        let child = fork("one who leaves a mess", || {
            attach(&world);
            let mut subscriber = world.topic.subscribe_from(shmq::Start::Oldest).unwrap();
            let publisher = world.topic.publisher().unwrap();
            std::mem::forget((subscriber.try_read().unwrap(), publisher.try_loan().unwrap()));
            send_signal(std::process::id() as libc::pid_t, libc::SIGKILL);
        });
        assert!(child.killed_or_succeeded(), "it was killed");
        world
    };
    let operation = crate::stepped::sweep::Operation {
        what: "topic's recover",
        world: &start,
        body: &|world, begin| {
            begin();
            world.topic.recover();
        },
        wake: None,
        recovery: Some(&|world: &World<u64>, begin: &dyn Fn()| {
            begin();
            world.topic.recover();
        }),
        check: &|world, killed, turn| super::check(world, killed, turn, &[TWO], &[]),
    };
    operation.sweep();
}
