//! Killed in a future of a topic that waits, and in its drop. As in `futures.rs`, the thread that
//! polls is stepped.

use super::waiting::{FULL, FULL_AGAIN, full, none, publish_10, read_10};
use super::{Verb, World};
use crate::stepped::futures::{block_on, start_reactor, wait_on};
use crate::support::harness::Case;
use futures::StreamExt;
use shmq::{Publisher, Start, Subscriber};

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_a_publish_async_that_waits,
        killed_in_a_publishers_publish_async_that_waits,
        killed_in_a_next_async_that_waits,
        killed_in_a_lossy_next_async_that_waits,
        killed_in_a_read_async_that_waits,
        killed_in_a_stream_of_a_topic_that_waits,
        killed_in_dropping_a_publish_async_that_waits,
        killed_in_dropping_a_next_async_that_waits,
    ]
}

fn killed_in_a_publish_async_that_waits() {
    let verb = Verb {
        what: "publish_async, waiting",
        world: &full,
        prepare: &|world: &World<u64>| start_reactor(world.topic.publish_async(&0)),
        act: &|world, ()| block_on(world.topic.publish_async(&14)).unwrap(),
        wake: Some(&read_10),
        stages: &[FULL],
        woken: &FULL_AGAIN,
    };
    verb.sweep();
}

fn killed_in_a_publishers_publish_async_that_waits() {
    let prepare = |world: &World<u64>| {
        let mut publisher = world.topic.publisher().unwrap();
        start_reactor(publisher.publish_async(&0));
        publisher
    };
    let verb = Verb {
        what: "publisher's publish_async, waiting",
        world: &full,
        prepare: &prepare,
        act: &|_, publisher: &mut Publisher<u64>| block_on(publisher.publish_async(&14)).unwrap(),
        wake: Some(&read_10),
        stages: &[FULL],
        woken: &FULL_AGAIN,
    };
    verb.sweep();
}

fn subscribe(world: &World<u64>, gates: bool) -> Subscriber<u64> {
    let topic = &world.topic;
    let subscribed = if gates { topic.subscribe_from(Start::Now) } else { topic.subscribe_lossy() };
    let mut subscriber = subscribed.unwrap();
    start_reactor(subscriber.next_async());
    subscriber
}

fn kill_reader(what: &'static str, gates: bool, read: &dyn Fn(&mut Subscriber<u64>)) {
    let verb = Verb {
        what,
        world: &none,
        prepare: &|world| subscribe(world, gates),
        act: &|_, subscriber| read(subscriber),
        wake: Some(&publish_10),
        stages: &[&[]],
        woken: &[&[10]],
    };
    verb.sweep();
}

fn killed_in_a_next_async_that_waits() {
    kill_reader("next_async, waiting", true, &|one| assert_eq!(block_on(one.next_async()).unwrap(), 10));
}

fn killed_in_a_lossy_next_async_that_waits() {
    kill_reader("next_async, lossy, waiting", false, &|one| assert_eq!(block_on(one.next_async()).unwrap(), 10));
}

fn killed_in_a_read_async_that_waits() {
    kill_reader("read_async, waiting", true, &|one| assert_eq!(*block_on(one.read_async()).unwrap(), 10));
}

fn killed_in_a_stream_of_a_topic_that_waits() {
    kill_reader("topic's stream, waiting", true, &|one| {
        assert_eq!(block_on(one.stream().next()).unwrap().unwrap(), 10);
    });
}

fn killed_in_dropping_a_publish_async_that_waits() {
    let operation = crate::stepped::sweep::Operation {
        what: "publish_async, dropped",
        world: &full,
        body: &|world: &World<u64>, begin| {
            super::attach(world);
            let waits = wait_on(world.topic.publish_async(&14));
            begin();
            drop(waits);
        },
        wake: None,
        recovery: None,
        check: &|world, killed, turn| super::check(world, killed, turn, &[FULL], &[]),
    };
    operation.sweep();
}

fn killed_in_dropping_a_next_async_that_waits() {
    let operation = crate::stepped::sweep::Operation {
        what: "next_async, dropped",
        world: &none,
        body: &|world: &World<u64>, begin| {
            super::attach(world);
            let mut subscriber = world.topic.subscribe_from(Start::Now).unwrap();
            let waits = wait_on(subscriber.next_async());
            begin();
            drop(waits);
            std::mem::forget(subscriber);
        },
        wake: None,
        recovery: None,
        check: &|world, killed, turn| super::check(world, killed, turn, &[&[]], &[]),
    };
    operation.sweep();
}
