//! What is refused: in words, with an exit code, and nothing is lost.

use crate::rig::{Server, Settings, bridge, work_queue};
use crate::support::unique_name;
use crate::{STREAM, Stage, rig};
use async_nats::jetstream::consumer::AckPolicy;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use shmq::Queue;
use std::time::Duration;

pub fn a_second_bridge_of_the_same_name_is_refused() {
    let stage = Stage::new();
    let mut first = stage.start(&[]);
    first.wait_for("in: carrying", rig::SOON);
    let pid = first.pid().to_string();
    let log = stage.folder.path().join("bridge.log");
    std::fs::remove_file(log).expect("the first one's log");
    stage.refuses(&[], 4, &["another bridge of this name", &pid]);
    first.kill();
    let mut next = stage.start(&[]);
    next.wait_for("in: carrying", rig::SOON);
}

pub fn a_put_side_that_another_process_owns_is_refused() {
    let stage = Stage::new();
    let producer = stage.queue.producer().expect("the side is free");
    stage.refuses(&[], 4, &["owns the put side", "--shared"]);
    drop(producer);
}

pub fn queues_that_cannot_be_bridged_are_refused() {
    let stage = Stage::new();
    let kept = stage.name.clone();
    let in_vain = |name: &str, words: &[&str]| {
        let stage = Stage {
            server: Server::start(),
            admin: rig::Admin::connect(&stage.server.url()),
            queue: stage.queue.clone(),
            name: name.to_string(),
            folder: rig::Folder::new(),
        };
        stage.refuses(&[], 3, words);
    };
    in_vain("there-is-none", &["there is none of that name"]);
    let transient = Queue::<u64>::new(4).expect("a queue");
    in_vain(transient.name(), &["not persisted"]);
    let topic = shmq::Topic::<u64>::new(4).expect("a topic");
    in_vain(topic.name(), &["topic"]);
    assert_eq!(kept, stage.name);
}

pub fn streams_that_would_lose_something_are_refused() {
    let stage = Stage::new();
    let replace = |config: Config| {
        stage.admin.delete(STREAM);
        stage.admin.make(config);
    };
    replace(Config { discard: DiscardPolicy::Old, ..work_queue(STREAM) });
    stage.refuses(&[], 9, &["discard must be new"]);
    replace(Config { storage: StorageType::Memory, ..work_queue(STREAM) });
    stage.refuses(&[], 9, &["memory"]);
    replace(Config { max_age: Duration::from_secs(100), ..work_queue(STREAM) });
    stage.refuses(&[], 9, &["age limit"]);
    replace(Config { retention: RetentionPolicy::Interest, ..work_queue(STREAM) });
    stage.refuses(&[], 9, &["interest"]);
    replace(Config { metadata: [("shmq-type".to_string(), "value 8 8 u64".to_string())].into(), ..work_queue(STREAM) });
    stage.refuses(&[], 12, &["u64"]);
    stage.admin.delete(STREAM);
    stage.refuses(&[], 8, &["there is no stream \"JOBS\""]);
}

pub fn consumers_that_would_lose_something_are_refused() {
    let stage = Stage::new();
    let stream = stage.admin.wait(stage.admin.jetstream().get_stream(STREAM)).expect("a stream");
    let make = |config: async_nats::jetstream::consumer::pull::Config| {
        let config = async_nats::jetstream::consumer::pull::Config { durable_name: Some("mine".into()), ..config };
        stage.admin.wait(stream.create_consumer(config)).expect("a consumer");
    };
    let remove = || assert!(stage.admin.wait(stream.delete_consumer("mine")).expect("a consumer").success);
    make(async_nats::jetstream::consumer::pull::Config { ack_policy: AckPolicy::Explicit, max_deliver: 5, ..Default::default() });
    stage.refuses(&["--consumer", "mine"], 9, &["gives messages up"]);
    remove();
    make(async_nats::jetstream::consumer::pull::Config {
        ack_policy: AckPolicy::Explicit,
        filter_subject: STREAM.into(),
        ..Default::default()
    });
    stage.refuses(&["--consumer", "mine"], 9, &["another subject"]);
    remove();
    let config = || async_nats::jetstream::consumer::pull::Config { ack_policy: AckPolicy::Explicit, ..Default::default() };
    make(async_nats::jetstream::consumer::pull::Config { inactive_threshold: Duration::from_secs(60), ..config() });
    stage.refuses(&["--consumer", "mine"], 9, &["not used for a while"]);
    remove();
    make(async_nats::jetstream::consumer::pull::Config { memory_storage: true, ..config() });
    stage.refuses(&["--consumer", "mine"], 9, &["kept in memory"]);
    remove();
    make(async_nats::jetstream::consumer::pull::Config { filter_subject: STREAM.into(), ..config() });
    let mut running = stage.start(&["--consumer", "mine", "--subject", STREAM]);
    running.wait_for("in: carrying", rig::SOON);
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
    remove();
}

pub fn servers_that_cannot_be_used_are_refused() {
    let stage = Stage::new();
    let at = |url: &str, more: &[&str], code: i32, words: &str| {
        let mut running = stage.start_at(url, more);
        assert_eq!(running.wait(rig::SOON), code, "{}", running.output());
        assert!(running.output().contains(words), "{}", running.output());
    };
    let nothing = format!("nats://127.0.0.1:{}", rig::server::free_port());
    at(&nothing, &["--connect-timeout", "1s"], 5, "no server could be reached");
    let without = Server::start_with(Settings { jetstream: false, ..Settings::default() });
    at(&without.url(), &[], 7, "has no JetStream");
    let locked = Server::start_with(Settings { user: Some(("ann".into(), "secret".into())), ..Settings::default() });
    at(&locked.url(), &["--user", "ann", "--password", "wrong"], 6, "refuses the credentials");
    at(&locked.url(), &["--user", "ann", "--password", "secret"], 8, "there is no stream");
}

pub fn a_queue_or_a_stream_that_was_made_anew_is_refused() {
    let mut stage = Stage::new();
    let mut running = stage.start(&[]);
    stage.publish(0..3);
    assert_eq!(stage.get(3), [0, 1, 2]);
    stage.wait_for_stream(0);
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
    stage.admin.delete(STREAM);
    stage.admin.make(work_queue(STREAM));
    stage.publish(3..5);
    stage.refuses(&[], 10, &["the stream was made anew", "--adopt"]);
    let mut running = stage.start(&["--adopt"]);
    assert_eq!(stage.get(2), [3, 4]);
    stage.wait_for_stream(0);
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
    Queue::<[u8]>::unlink(&stage.name).expect("a queue");
    stage.queue = Queue::<[u8]>::builder().name(&stage.name).capacity_bytes(64 << 10).persist(true).create().expect("a queue");
    stage.publish(5..7);
    stage.refuses(&[], 10, &["the queue was made anew", "--adopt"]);
    let mut running = stage.start(&["--adopt"]);
    assert_eq!(stage.get(2), [5, 6]);
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}

pub fn a_lost_journal_is_told_from_a_first_start() {
    let stage = Stage::new();
    let mut running = stage.start(&[]);
    stage.publish(0..3);
    assert_eq!(stage.get(3), [0, 1, 2]);
    running.kill();
    shmq::Queue::<[u8]>::unlink(format!("{}.bridge-in", stage.name)).expect("a journal");
    stage.refuses(&[], 10, &["has no journal", "--adopt"]);
    let mut running = stage.start(&["--adopt"]);
    running.wait_for("in: carrying", rig::SOON);
}

pub fn a_stream_whose_sequence_went_back_is_refused() {
    let mut stage = Stage::new();
    let copy = rig::Folder::new();
    let copied = copy.path().join("store");
    let copy_store = |from: &std::path::Path, to: &std::path::Path| {
        let _ = std::fs::remove_dir_all(to);
        let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
        assert!(done.is_ok_and(|status| status.success()));
    };
    stage.publish(0..2);
    stage.server.kill();
    copy_store(&stage.server.store(), &copied);
    stage.server.restart();
    stage.admin = rig::Admin::connect(&stage.server.url());
    let mut running = stage.start(&[]);
    running.wait_for("in: carrying", rig::SOON);
    stage.publish(2..6);
    assert_eq!(stage.get(6), [0, 1, 2, 3, 4, 5]);
    stage.wait_for_stream(0);
    // While the bridge runs, the server comes back with its older store.
    stage.server.kill();
    copy_store(&copied, &stage.server.store());
    stage.server.restart();
    assert_eq!(running.wait(rig::SOON), 10, "{}", running.output());
    assert!(running.output().contains("older than that"), "{}", running.output());
    stage.refuses(&[], 10, &["older than that", "--adopt"]);
}

pub fn settings_that_cannot_be_used_are_refused() {
    let stage = Stage::new();
    stage.refuses(&["--ack-wait", "10ms"], 2, &["must be 1s or more"]);
    stage.refuses(&["--shared", "--ack-on", "done"], 2, &["cannot be had together"]);
    stage.refuses(&["--prefetch", "0"], 2, &["from 1 to 100000"]);
    let output = bridge().args(["in", "q", "--stream", "S", "--no-such"]).output().expect("the command");
    assert_eq!(output.status.code(), Some(2));
    let _ = unique_name("unused");
}
