//! What others change while the bridge carries, or is down; and a bridge that is stopped for longer
//! than the ack wait.

use crate::rig::{Folder, Running, Server, bridge, work_queue};
use crate::{STREAM, Stage, rig};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use shmq::Queue;
use std::collections::BTreeSet;
use std::time::Duration;

fn limits() -> Config {
    Config { retention: RetentionPolicy::Limits, ..work_queue(STREAM) }
}

pub fn a_queue_that_loses_its_name_ends_the_bridge() {
    let mut stage = Stage::new();
    let mut running = stage.start(&[]);
    running.wait_for("in: carrying", rig::SOON);
    Queue::<[u8]>::unlink(&stage.name).expect("the queue");
    stage.queue = rig::roles::queue(&stage.name);
    assert_eq!(running.wait(rig::SOON), 3, "{}", running.output());
    assert!(running.output().contains("removed while it was bridged"), "{}", running.output());
    // What comes now is not put into a queue that no worker can open.
    stage.publish(0..5);
    stage.refuses(&[], 10, &["the queue was made anew"]);
    let _running = stage.start(&["--adopt"]);
    assert_eq!(stage.get(5), [0, 1, 2, 3, 4]);
}

pub fn a_consumer_that_was_deleted_is_refused_where_the_stream_keeps_messages() {
    let stage = Stage::new();
    stage.admin.delete(STREAM);
    stage.admin.make(limits());
    let mut running = stage.start(&["--remember", "1s", "--consumer", "mine"]);
    stage.publish(0..10);
    assert_eq!(stage.get(10), (0..10).collect::<Vec<_>>());
    // Longer than it remembers them.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
    let stream = stage.admin.wait(stage.admin.jetstream().get_stream(STREAM)).expect("a stream");
    stage.admin.wait(stream.delete_consumer("mine")).expect("a consumer");
    std::fs::remove_file(stage.folder.path().join("bridge.log")).expect("its log");
    stage.refuses(&["--consumer", "mine"], 10, &["was deleted", "sequence 11", "--adopt"]);
    // As the words say: one that begins behind what was put.
    let behind = pull::Config {
        durable_name: Some("mine".into()),
        ack_policy: AckPolicy::Explicit,
        deliver_policy: async_nats::jetstream::consumer::DeliverPolicy::ByStartSequence { start_sequence: 11 },
        ..Default::default()
    };
    stage.admin.wait(stream.create_consumer(behind)).expect("a consumer");
    stage.refuses(&["--consumer", "mine"], 10, &["was deleted"]);
    let mut running = stage.start(&["--consumer", "mine", "--adopt"]);
    stage.publish(10..12);
    assert_eq!(stage.get(2), [10, 11]);
    stage.wait_for_silence(Duration::from_millis(300));
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}

pub fn a_stream_or_consumer_that_is_changed_to_lose_messages_ends_the_bridge() {
    let stage = Stage::new();
    let mut running = stage.start(&["--consumer", "mine"]);
    running.wait_for("in: carrying", rig::SOON);
    let update = |config| stage.admin.wait(stage.admin.jetstream().update_stream(config)).expect("a change");
    update(Config { max_age: Duration::from_secs(3600), ..work_queue(STREAM) });
    assert_eq!(running.wait(rig::SOON), 9, "{}", running.output());
    assert!(running.output().contains("age limit"), "{}", running.output());
    update(work_queue(STREAM));
    let mut running = stage.start(&["--consumer", "mine"]);
    running.wait_for("in: carrying", rig::SOON);
    let stream = stage.admin.wait(stage.admin.jetstream().get_stream(STREAM)).expect("a stream");
    let config = stage.admin.consumer(STREAM, "mine").config;
    let changed = async_nats::jetstream::consumer::Config { max_deliver: 3, ..config };
    let changed = pull::Config {
        durable_name: changed.durable_name,
        ack_policy: changed.ack_policy,
        ack_wait: changed.ack_wait,
        max_deliver: 3,
        max_ack_pending: changed.max_ack_pending,
        description: changed.description,
        ..Default::default()
    };
    stage.admin.wait(stream.update_consumer(changed)).expect("a change");
    assert_eq!(running.wait(rig::SOON), 9, "{}", running.output());
    assert!(running.output().contains("gives messages up"), "{}", running.output());
}

pub fn a_bridge_that_was_stopped_leaves_what_it_held_to_the_others() {
    let stage = Stage::with(Server::start(), 4 << 10);
    let other = crate::support::unique_name("other");
    let queue = rig::roles::queue(&other);
    let shared = ["--consumer", "both", "--ack-wait", "2s"];
    let mut first = stage.start(&shared);
    first.wait_for("in: carrying", rig::SOON);
    stage.publish(0..300);
    // Its queue is full by now, and it holds the rest.
    crate::support::wait_at_most(rig::SOON, "a full queue", || stage.queue.is_full(), || stage.says());
    std::thread::sleep(Duration::from_millis(500));
    first.signal(libc::SIGSTOP);
    let folder = Folder::new();
    let mut command = bridge();
    command.args(["in", &other, "--stream", STREAM, "--server", &stage.server.url()]).args(shared);
    let mut second = Running::start(command, "second", folder.path());
    second.wait_for("in: carrying", rig::SOON);
    let get = |queue: &Queue<[u8]>, time| {
        let mut numbers = Vec::new();
        while let Ok(bytes) = queue.get_timeout(time) {
            numbers.push(rig::roles::number_of(&bytes));
        }
        numbers
    };
    let mut there = get(&queue, Duration::from_secs(4));
    assert!(!there.is_empty(), "{}", stage.says());
    first.signal(libc::SIGCONT);
    let here = get(&stage.queue, Duration::from_secs(3));
    there.extend(get(&queue, Duration::from_secs(1)));
    let all: BTreeSet<u64> = here.iter().chain(&there).copied().collect();
    assert!(all.iter().copied().eq(0..300), "{} of 300; {}", all.len(), stage.says());
    // What it had put, and not had confirmed: one at most, as it stood still with a full queue.
    let twice = here.len() + there.len() - all.len();
    assert!(twice <= 1, "{twice} came twice; {}", stage.says());
    drop((first, second));
    for name in [other.clone(), format!("{other}.bridge-in")] {
        Queue::<[u8]>::unlink(&name).expect("a queue and a journal");
    }
}

pub fn bytes_without_headers_are_no_values() {
    let stage = Stage::new();
    let name = crate::support::unique_name("values");
    let _values = Queue::<u64>::builder().name(&name).capacity(16).persist(true).create().expect("a queue");
    stage.admin.publish(STREAM, [vec![1; 8]]);
    let mut command = bridge();
    command.args(["in", &name, "--stream", STREAM, "--server", &stage.server.url()]);
    let mut running = Running::start(command, "values", stage.folder.path());
    assert_eq!(running.wait(rig::SOON), 12, "{}", running.output());
    assert!(running.output().contains("without Shmq-Type"), "{}", running.output());
    assert_eq!(stage.admin.state(STREAM).messages, 1);
    for name in [name.clone(), format!("{name}.bridge-in")] {
        Queue::<u64>::unlink(&name).expect("a queue and a journal");
    }
}

pub fn dead_letters_that_would_come_again_are_refused() {
    let stage = Stage::new();
    stage.admin.delete(STREAM);
    stage.admin.make(Config { subjects: vec!["JOBS".into(), "JOBS.>".into()], ..work_queue(STREAM) });
    stage.refuses(&["--ack-on", "done"], 9, &["JOBS.dead", "--dead-letters"]);
    stage.refuses(&["--dead-letters", "JOBS"], 9, &["come again"]);
    let mut running = stage.start(&["--ack-on", "done", "--dead-letters", "DEAD"]);
    running.wait_for("in: carrying", rig::SOON);
}

pub fn another_store_at_the_same_address_loses_nothing() {
    let mut stage = Stage::new();
    let mut running = stage.start(&[]);
    running.wait_for("in: carrying", rig::SOON);
    stage.publish(0..50);
    assert_eq!(stage.get(50), (0..50).collect::<Vec<_>>());
    stage.wait_for_stream(0);
    // The same names, and the same sequences, of other messages.
    let mut other = Server::start();
    let admin = rig::Admin::connect(&other.url());
    admin.make(work_queue(STREAM));
    admin.publish(STREAM, (100..150).map(rig::roles::message));
    other.kill();
    stage.server.kill();
    std::fs::remove_dir_all(stage.server.store()).expect("a store");
    let copied = std::process::Command::new("cp").arg("-a").arg(other.store()).arg(stage.server.store()).status();
    assert!(copied.is_ok_and(|status| status.success()));
    stage.server.restart();
    assert_eq!(running.wait(rig::SOON), 10, "{}", running.output());
    // None was taken for one that is known, and acked.
    let admin = rig::Admin::connect(&stage.server.url());
    assert_eq!(admin.state(STREAM).messages, 50, "{}", running.output());
}
