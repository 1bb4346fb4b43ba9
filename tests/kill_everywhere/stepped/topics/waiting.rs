//! Killed in a verb of a topic that waits: on the way to sleep, asleep, and on the way back.

use super::{CAPACITY, Verb, World, holding, publish, world};
use crate::support::PATIENCE;
use crate::support::harness::{Case, skip};
use shmq::{Publisher, Start, Subscriber};

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_a_publish_that_waits,
        killed_in_a_publishers_publish_that_waits,
        killed_in_a_publish_that_waits_for_a_sample,
        killed_in_a_next_that_waits,
        killed_in_a_lossy_next_that_waits,
        killed_in_a_read_that_waits,
        killed_in_a_next_of_slices_that_waits,
        killed_in_wait_subscribers,
    ]
}

pub const FULL: &[u64] = &[10, 11, 12, 13];
pub const FULL_AGAIN: [&[u64]; 2] = [&[11, 12, 13], &[11, 12, 13, 14]];

pub fn full() -> World<u64> {
    world(3, FULL)
}

/// The survivor reads one message.
pub fn read_10(world: &World<u64>) {
    assert_eq!(world.every.borrow_mut().try_next().unwrap(), 10);
}

fn killed_in_a_publish_that_waits() {
    let act = |world: &World<u64>, (): &mut ()| world.topic.publish_timeout(&14, PATIENCE).unwrap();
    let verb = Verb {
        what: "publish, waiting",
        world: &full,
        prepare: &|_| (),
        act: &act,
        wake: Some(&read_10),
        stages: &[FULL],
        woken: &FULL_AGAIN,
    };
    verb.sweep();
}

fn killed_in_a_publishers_publish_that_waits() {
    let act = |_: &World<u64>, publisher: &mut Publisher<u64>| publisher.publish_timeout(&14, PATIENCE).unwrap();
    let verb = Verb {
        what: "publisher's publish, waiting",
        world: &full,
        prepare: &|world| world.topic.publisher().unwrap(),
        act: &act,
        wake: Some(&read_10),
        stages: &[FULL],
        woken: &FULL_AGAIN,
    };
    verb.sweep();
}

/// The survivor drops a Sample.
fn killed_in_a_publish_that_waits_for_a_sample() {
    let act = |world: &World<u64>, (): &mut ()| world.topic.publish_timeout(&14, PATIENCE).unwrap();
    let wake = |world: &World<u64>| {
        let mut every = world.every.borrow_mut();
        assert_eq!(*every.try_read().unwrap(), 10);
    };
    let verb = Verb {
        what: "publish, waiting for a sample",
        world: &full,
        prepare: &|_| (),
        act: &act,
        wake: Some(&wake),
        stages: &[FULL],
        woken: &FULL_AGAIN,
    };
    verb.sweep();
}

pub fn none() -> World<u64> {
    world(CAPACITY, &[])
}

pub fn publish_10(world: &World<u64>) {
    publish(&world.topic, 10).unwrap();
}

fn kill_reader(what: &'static str, subscribe: &dyn Fn(&World<u64>) -> Subscriber<u64>, read: &dyn Fn(&mut Subscriber<u64>)) {
    let verb = Verb {
        what,
        world: &none,
        prepare: subscribe,
        act: &|_, subscriber| read(subscriber),
        wake: Some(&publish_10),
        stages: &[&[]],
        woken: &[&[10]],
    };
    verb.sweep();
}

fn killed_in_a_next_that_waits() {
    let subscribe = |world: &World<u64>| world.topic.subscribe_from(Start::Now).unwrap();
    kill_reader("next, waiting", &subscribe, &|one| assert_eq!(one.next_timeout(PATIENCE).unwrap(), 10));
}

fn killed_in_a_lossy_next_that_waits() {
    let subscribe = |world: &World<u64>| world.topic.subscribe_lossy().unwrap();
    kill_reader("next, lossy, waiting", &subscribe, &|one| assert_eq!(one.next_timeout(PATIENCE).unwrap(), 10));
}

fn killed_in_a_read_that_waits() {
    let subscribe = |world: &World<u64>| world.topic.subscribe_from(Start::Now).unwrap();
    kill_reader("read, waiting", &subscribe, &|one| assert_eq!(*one.read_timeout(PATIENCE).unwrap(), 10));
}

fn killed_in_a_next_of_slices_that_waits() {
    let verb = Verb {
        what: "next, slices, waiting",
        world: &|| holding::<[u8]>(&[]),
        prepare: &|world: &World<[u8]>| world.topic.subscribe_from(Start::Now).unwrap(),
        act: &|_, subscriber| assert_eq!(subscriber.next_timeout(PATIENCE).unwrap().len(), 8 + 60),
        wake: Some(&|world| publish(&world.topic, 10).unwrap()),
        stages: &[&[]],
        woken: &[&[10]],
    };
    verb.sweep();
}

fn killed_in_wait_subscribers() {
    if cfg!(debug_assertions) {
        skip("in single steps of a debug build, a look at all lines takes longer than a slice: it never sleeps");
    }
    let wake = |world: &World<u64>| drop(world.extra.replace(Some(world.topic.subscribe().unwrap())));
    let verb = Verb {
        what: "wait_subscribers",
        world: &none,
        prepare: &|_| (),
        act: &|world: &World<u64>, ()| world.topic.wait_subscribers(2, PATIENCE).unwrap(),
        wake: Some(&wake),
        stages: &[&[]],
        woken: &[&[]],
    };
    verb.sweep();
}
