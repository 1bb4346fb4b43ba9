//! `--ack-on done`: the server's copy is acked when the worker is done.

use crate::rig::roles::{message, number_of};
use crate::rig::{Server, work_queue};
use crate::support::{unique_name, wait_at_most};
use crate::{STREAM, Stage, rig};
use shmq::Queue;
use std::time::Duration;

const DONE: [&str; 4] = ["--ack-on", "done", "--ack-wait", "1s"];

pub fn with_ack_on_done_the_stream_keeps_what_the_workers_have() {
    let stage = Stage::new();
    let mut running = stage.start(&DONE);
    stage.publish(0..5);
    let leases: Vec<_> = (0..5).map(|_| stage.queue.lease_timeout(rig::SOON).expect("a message")).collect();
    // Two ack waits: what the workers have is renewed.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(stage.admin.state(STREAM).messages, 5);
    let consumer = stage.admin.consumer(STREAM, &format!("shmq-{}", stage.name));
    assert_eq!(consumer.num_redelivered, 0, "{consumer:?}");
    for (number, lease) in leases.into_iter().enumerate() {
        assert_eq!(number_of(&lease), number as u64);
        lease.release();
        stage.wait_for_stream(4 - number as u64);
    }
    stage.wait_for_silence(Duration::from_secs(2));
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}

pub fn with_ack_on_done_what_was_given_up_becomes_a_letter() {
    let server = Server::start();
    let mut stage = Stage::with(server, 64 << 10);
    stage.admin.make(
        async_nats::jetstream::stream::Config { retention: Default::default(), ..work_queue("JOBS.dead") }.named("LETTERS"),
    );
    let name = unique_name("gives-up");
    stage.queue =
        Queue::<[u8]>::builder().name(&name).capacity_bytes(64 << 10).max_deliveries(2).persist(true).create().expect("a queue");
    let _ = Queue::<[u8]>::unlink(&stage.name);
    stage.name = name;
    let mut running = stage.start(&DONE);
    stage.publish(0..2);
    for _ in 0..2 {
        let lease = stage.queue.lease_timeout(rig::SOON).expect("a message");
        assert_eq!(number_of(&lease), 0);
        lease.give_back();
    }
    let lease = stage.queue.lease_timeout(rig::SOON).expect("the next message");
    assert_eq!(number_of(&lease), 1);
    lease.release();
    stage.wait_for_stream(0);
    let letter = stage.admin.message("LETTERS", 1);
    assert_eq!(letter.payload.as_ref(), message(0));
    assert!(letter.headers.get("Shmq-Why").expect("a reason").as_str().contains("given up"));
    assert_eq!(stage.admin.state("LETTERS").messages, 1);
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}

pub fn with_ack_on_done_a_killed_bridge_asks_what_became_of_it() {
    let stage = Stage::new();
    let mut running = stage.start(&DONE);
    stage.publish(0..10);
    let leases: Vec<_> = (0..10).map(|_| stage.queue.lease_timeout(rig::SOON).expect("a message")).collect();
    running.kill();
    // Half of them are done while no bridge runs.
    let mut leases = leases.into_iter();
    leases.by_ref().take(5).for_each(|lease| lease.release());
    let mut running = stage.start(&DONE);
    stage.wait_for_stream(5);
    leases.for_each(|lease| lease.release());
    stage.wait_for_stream(0);
    wait_at_most(rig::SOON, "an empty queue", || stage.queue.is_empty(), || stage.says());
    stage.wait_for_silence(Duration::from_secs(2));
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}

trait Named {
    fn named(self, name: &str) -> Self;
}

impl Named for async_nats::jetstream::stream::Config {
    fn named(self, name: &str) -> Self {
        async_nats::jetstream::stream::Config { name: name.to_string(), ..self }
    }
}
