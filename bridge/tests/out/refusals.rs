//! What is refused, in words and with an exit code; and that nothing is lost by it.

use crate::rig::{SOON, Settings, bridge, work_queue};
use crate::stage::{Stage, forget_journal, out, refused};
use crate::support::{unique_name, wait_at_most};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use shmq::{DynQueue, MessageLayout, Queue};
use std::process::Command;
use std::time::Duration;

const KEEP: [&str; 3] = ["--create", "--retention", "limits"];

pub fn a_second_bridge_is_refused_while_the_first_lives() {
    let stage = Stage::new();
    let mut first = stage.carrying(&KEEP);
    let pid = first.pid().to_string();
    stage.refused(&KEEP, 4, &["another bridge of this name", &pid]);
    // Another name does not help: the first has the get side.
    stage.refused(&["--create", "--name", "other"], 4, &["get side", &pid]);
    forget_journal("other");
    stage.put(0..10);
    stage.wait_for_last(10);
    first.kill();
    // Its death frees the name.
    let mut second = stage.carrying(&KEEP);
    stage.put(10..20);
    stage.wait_for_last(20);
    assert_eq!(second.terminate(SOON), 0);
    stage.expect_in_order(0..20);
}

pub fn a_get_side_that_is_held_is_refused() {
    let stage = Stage::new();
    let consumer = stage.queue.consumer().unwrap();
    stage.refused(&KEEP, 4, &["get side", &std::process::id().to_string()]);
    drop(consumer);
    let _bridge = stage.carrying(&KEEP);
    assert!(stage.queue.try_get().unwrap_err().to_string().contains("held"));
}

pub fn queues_that_cannot_be_carried_are_refused() {
    let stage = Stage::new();
    let url = stage.server.url();
    let name = unique_name("unfit");
    let expect = |words: &[&str]| refused(out(&name, "JOBS", &url, &KEEP), 3, words, &stage.folder);
    expect(&["there is none of that name"]);
    let queue = Queue::<u64>::create(&name, 8).unwrap();
    expect(&["not persisted"]);
    drop(queue);
    let queue = Queue::<u64>::builder().name(&name).capacity(8).max_deliveries(3).persist(true).create().unwrap();
    expect(&["max_deliveries"]);
    drop(queue);
    Queue::<u64>::unlink(&name).unwrap();
    let layout = MessageLayout::of::<[u8]>();
    let large = DynQueue::builder(layout).name(&name).capacity_bytes(4 << 20).persist(true).create().unwrap();
    expect(&["max_len", "max_payload"]);
    drop(large);
    DynQueue::unlink(&name).unwrap();
    forget_journal(&name);
}

pub fn streams_that_would_lose_something_are_refused() {
    let stage = Stage::new();
    stage.put(0..5);
    stage.refused(&[], 8, &["there is no stream \"JOBS\"", "--create"]);
    type Spoil = fn(&mut Config);
    let spoiled: [(Spoil, &str); 6] = [
        (|config| config.storage = StorageType::Memory, "memory"),
        (|config| config.discard = DiscardPolicy::Old, "discards old"),
        (|config| config.max_age = Duration::from_secs(3600), "age limit"),
        (|config| config.retention = RetentionPolicy::Interest, "interest"),
        (|config| config.subjects = vec!["elsewhere".into()], "elsewhere"),
        (|config| config.max_message_size = 100, "100 bytes at most"),
    ];
    for (spoil, words) in spoiled {
        let mut config = work_queue("JOBS");
        spoil(&mut config);
        stage.admin.make(config);
        // Also with --create: what is there is not changed.
        stage.refused(&["--create"], 9, &[words]);
        stage.admin.delete("JOBS");
    }
    stage.admin.make(work_queue("JOBS"));
    stage.refused(&KEEP, 9, &["work-queue", "limits was asked for"]);
    let mut bridge = stage.carrying(&[]);
    stage.wait_for_last(5);
    assert_eq!(bridge.terminate(SOON), 0);
}

/// Carries so many messages, and is killed.
fn carry_and_die(stage: &Stage, numbers: std::ops::Range<u64>) {
    let end = numbers.end;
    let mut bridge = stage.carrying(&KEEP);
    stage.put(numbers);
    stage.wait_for_last(end);
    bridge.kill();
}

pub fn a_lost_journal_is_refused_and_can_be_adopted() {
    let stage = Stage::new();
    carry_and_die(&stage, 0..10);
    forget_journal(&stage.name);
    stage.put(10..20);
    stage.refused(&KEEP, 10, &["journal is lost", "--adopt"]);
    // Refused again: the try has not made it a first start.
    stage.refused(&KEEP, 10, &["journal is lost"]);
    let mut bridge = stage.carrying(&["--adopt"]);
    stage.wait_for_last(20);
    assert_eq!(bridge.terminate(SOON), 0);
    // And it is a bridge like any other from then on.
    carry_and_die(&stage, 20..30);
    let landed = stage.landed();
    assert!((20..=31).contains(&landed.iter().map(|message| message.id).collect::<std::collections::BTreeSet<_>>().len()));
}

pub fn a_queue_that_was_made_anew_is_refused() {
    let mut stage = Stage::new();
    carry_and_die(&stage, 0..10);
    Queue::<[u8]>::unlink(&stage.name).unwrap();
    stage.queue = crate::rig::roles::queue(&stage.name);
    stage.refused(&KEEP, 10, &["queue was made anew", "the journal is of an earlier one"]);
    // As after a restart of the machine: both are gone.
    forget_journal(&stage.name);
    stage.refused(&KEEP, 10, &["the stream is of another queue", "restart of the machine"]);
    let mut bridge = stage.carrying(&["--adopt"]);
    stage.put(10..20);
    stage.wait_for_last(20);
    assert_eq!(bridge.terminate(SOON), 0);
    stage.expect_in_order(0..20);
}

pub fn a_stream_whose_sequence_went_back_is_refused() {
    let mut stage = Stage::new();
    carry_and_die(&stage, 0..10);
    let (store, older) = (stage.server.store(), stage.folder.path().join("older"));
    stage.server.kill();
    copy(&store, &older);
    stage.server.restart();
    let mut bridge = stage.carrying(&KEEP);
    stage.put(10..20);
    stage.wait_for_last(20);
    // While it runs, and when it starts.
    stage.server.kill();
    std::fs::remove_dir_all(&store).unwrap();
    copy(&older, &store);
    stage.server.restart();
    assert_eq!(bridge.wait(SOON), 10, "{}", bridge.end_of_log());
    assert!(bridge.output().contains("sequence went back"), "{}", bridge.end_of_log());
    stage.refused(&KEEP, 10, &["sequence went back", "--adopt"]);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

pub fn a_stream_that_was_made_anew_is_refused() {
    let stage = Stage::new();
    let mut bridge = stage.carrying(&KEEP);
    stage.put(0..10);
    stage.wait_for_last(10);
    stage.admin.delete("JOBS");
    stage.put(10..20);
    assert_eq!(bridge.wait(SOON), 8, "{}", bridge.end_of_log());
    stage.admin.make(Config { retention: RetentionPolicy::Limits, ..work_queue("JOBS") });
    stage.refused(&KEEP, 10, &["does not bear this bridge's mark", "made anew"]);
    // Nothing of the queue was lost.
    let mut bridge = stage.carrying(&["--adopt"]);
    stage.wait_for_last(10);
    assert_eq!(bridge.terminate(SOON), 0);
    stage.expect_in_order(10..20);
}

pub fn a_stranger_in_the_stream_is_refused() {
    let stage = Stage::new();
    let mut bridge = stage.carrying(&KEEP);
    stage.put(0..10);
    stage.wait_for_last(10);
    stage.admin.publish("JOBS", [b"stranger".to_vec()]);
    stage.put(10..20);
    assert_eq!(bridge.wait(SOON), 11, "{}", bridge.end_of_log());
    assert!(bridge.output().contains("something else publishes"), "{}", bridge.end_of_log());
    // So it is at the start. All others are in the queue.
    stage.refused(&KEEP, 11, &["something else publishes"]);
    let mut left: Vec<u64> = (0..10).map(|_| crate::rig::roles::number_of(&stage.queue.get_timeout(SOON).unwrap())).collect();
    left.sort_unstable();
    assert!(left.into_iter().eq(10..20));
    stage.put(20..25);
    // As the words say: behind the stranger, and what landed behind that.
    let last = stage.admin.state("JOBS").last_sequence;
    let mut bridge = stage.bridge(&["--adopt"]);
    stage.wait_for_last(last + 5);
    assert_eq!(bridge.terminate(SOON), 0, "{}", bridge.end_of_log());
    let behind: Vec<u64> = (last + 1..=last + 5)
        .map(|sequence| crate::rig::roles::number_of(&stage.admin.message("JOBS", sequence).payload))
        .collect();
    assert!(behind.into_iter().eq(20..25));
    // From then on it is not needed.
    let mut bridge = stage.bridge(&KEEP);
    stage.put(25..26);
    stage.wait_for_last(last + 6);
    assert_eq!(bridge.terminate(SOON), 0, "{}", bridge.end_of_log());
    // A first start finds it, too.
    let other = unique_name("other");
    let _queue = crate::rig::roles::queue(&other);
    stage.admin.make(Config { retention: RetentionPolicy::Limits, ..work_queue("STRANGE") });
    stage.admin.publish("STRANGE", [b"stranger".to_vec()]);
    refused(out(&other, "STRANGE", &stage.server.url(), &KEEP), 10, &["another publisher"], &stage.folder);
    Queue::<[u8]>::unlink(&other).unwrap();
    forget_journal(&other);
}

pub fn a_stream_of_another_bridge_is_refused() {
    let stage = Stage::new();
    let mut first = stage.carrying(&KEEP);
    stage.put(0..10);
    let other = unique_name("other");
    let _queue = crate::rig::roles::queue(&other);
    refused(out(&other, "JOBS", &stage.server.url(), &KEEP), 10, &["the stream is of another queue"], &stage.folder);
    stage.wait_for_last(10);
    assert_eq!(first.terminate(SOON), 0);
    // Nor may this one go to another stream by the same journal.
    refused(out(&stage.name, "OTHER", &stage.server.url(), &KEEP), 10, &["of another stream", "--name"], &stage.folder);
    Queue::<[u8]>::unlink(&other).unwrap();
    forget_journal(&other);
}

pub fn a_message_that_is_too_large_ends_the_bridge_and_stays() {
    let stage = Stage::with(Settings { max_payload: Some(100_000), ..Settings::default() });
    let name = unique_name("objects");
    let layout = MessageLayout::encoded();
    let queue = DynQueue::builder(layout).name(&name).capacity_bytes(8192).persist(true).create().unwrap();
    queue.put(&[1; 99_000]).unwrap();
    queue.put(&[2; 100_001]).unwrap();
    queue.put(&[3; 10]).unwrap();
    refused(out(&name, "JOBS", &stage.server.url(), &KEEP), 13, &["100001 bytes", "max_payload"], &stage.folder);
    refused(out(&name, "JOBS", &stage.server.url(), &KEEP), 13, &["100001 bytes"], &stage.folder);
    wait_at_most(SOON, "the message before it", || stage.admin.state("JOBS").last_sequence == 1, String::new);
    assert_eq!(queue.get_timeout(SOON).unwrap(), [2; 100_001]);
    // Out of the way, the rest goes on.
    let mut running = crate::rig::Running::start(out(&name, "JOBS", &stage.server.url(), &KEEP), "after", stage.folder.path());
    wait_at_most(SOON, "the message behind it", || stage.admin.state("JOBS").last_sequence == 2, || running.end_of_log());
    assert_eq!(running.terminate(SOON), 0, "{}", running.end_of_log());
    DynQueue::unlink(&name).unwrap();
    forget_journal(&name);
}

pub fn settings_that_cannot_be_used_are_refused() {
    let stage = Stage::new();
    stage.refused(&["--window", "0"], 2, &["window 0"]);
    stage.refused(&["--window", "16385"], 2, &["16384"]);
    stage.refused(&["--subject", "jobs.*"], 2, &["jobs.*"]);
    stage.refused(&["--subject", "jobs..x"], 2, &["jobs..x"]);
    stage.refused(&["--server", ""], 2, &["is empty"]);
    refused(out(&stage.name, "a.b", &stage.server.url(), &[]), 2, &["a.b", "is no name"], &stage.folder);
    stage.refused(&["--ack-timeout", "5"], 2, &["no length of time"]);
    stage.refused(&["--user", "only"], 2, &["belong together"]);
    stage.refused(&["--no-such-option"], 2, &["--no-such-option"]);
    let file = stage.folder.path().join("bridge.toml");
    std::fs::write(&file, "[[out]]\nqueue = \"q\"\nstreams = \"S\"\n").unwrap();
    let run = |file: &std::path::Path| {
        let mut command = bridge();
        command.arg("run").arg(file);
        command
    };
    refused(run(&file), 2, &["bridge.toml", "streams"], &stage.folder);
    refused(run(&stage.folder.path().join("none.toml")), 2, &["none.toml"], &stage.folder);
}
