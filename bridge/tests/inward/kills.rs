//! Bridges and servers that are killed.

use crate::rig::roles;
use crate::support::Rng;
use crate::{STREAM, Stage, rig};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often each number came.
fn counted(numbers: Vec<u64>, counts: &mut BTreeMap<u64, u32>) {
    numbers.into_iter().for_each(|number| *counts.entry(number).or_default() += 1);
}

fn all_that_came(stage: &Stage, counts: &mut BTreeMap<u64, u32>) {
    while let Ok(bytes) = stage.queue.try_get() {
        counted(vec![roles::number_of(&bytes)], counts);
    }
}

/// Waits until the stream is empty and all numbers came; fails if one came twice.
fn check(stage: &Stage, counts: &mut BTreeMap<u64, u32>, all: u64) {
    let end = std::time::Instant::now() + 2 * rig::SOON;
    while counts.len() < all as usize {
        assert!(std::time::Instant::now() < end, "{} of {all} came; {}", counts.len(), stage.says());
        counted(
            stage.queue.get_timeout(Duration::from_millis(100)).map(|bytes| roles::number_of(&bytes)).into_iter().collect(),
            counts,
        );
    }
    stage.wait_for_stream(0);
    std::thread::sleep(Duration::from_secs(2));
    all_that_came(stage, counts);
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "came more than once: {twice:?}; {}", stage.says());
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), (0..all).collect::<Vec<_>>());
}

pub fn a_bridge_that_is_killed_again_and_again_puts_nothing_twice() {
    let (stage, mut rng) = (Stage::new(), Rng::new("kills of in"));
    let mut counts = BTreeMap::new();
    let rounds = 25;
    for round in 0..rounds {
        stage.publish(round * 40..(round + 1) * 40);
        let mut running = stage.start(&["--ack-wait", "1s"]);
        running.wait_for("in: carrying", rig::SOON);
        std::thread::sleep(rng.duration_below(Duration::from_millis(30)));
        running.kill();
        all_that_came(&stage, &mut counts);
    }
    let _running = stage.start(&["--ack-wait", "1s"]);
    check(&stage, &mut counts, rounds * 40);
}

pub fn a_server_that_is_killed_again_and_again_loses_nothing() {
    let (mut stage, mut rng) = (Stage::new(), Rng::new("kills of the server"));
    let mut counts = BTreeMap::new();
    let _running = stage.start(&["--ack-wait", "1s"]);
    let rounds = 6;
    for round in 0..rounds {
        stage.publish(round * 200..(round + 1) * 200);
        std::thread::sleep(rng.duration_below(Duration::from_millis(30)));
        stage.server.restart();
        all_that_came(&stage, &mut counts);
        stage.admin = rig::Admin::connect(&stage.server.url());
        stage.wait_until_it_answers();
    }
    check(&stage, &mut counts, rounds * 200);
}

impl Stage {
    /// A server that was just started has its streams a moment later.
    fn wait_until_it_answers(&self) {
        let met = || self.admin.wait(self.admin.jetstream().get_stream(STREAM)).is_ok();
        crate::support::wait_at_most(rig::SOON, "the stream after a restart", met, || self.says());
    }
}

pub fn a_bridge_that_was_down_for_longer_than_the_window_puts_nothing_twice() {
    let (stage, mut counts) = (Stage::new(), BTreeMap::new());
    stage.publish(0..400);
    // Killed with messages that were put and not acked; then the server's ack wait, and its window
    // of ids, pass twice over while no bridge runs.
    for _ in 0..4 {
        let mut running = stage.start(&["--ack-wait", "1s", "--prefetch", "50"]);
        let end = std::time::Instant::now() + rig::SOON;
        while stage.queue.is_empty() && std::time::Instant::now() < end {
            std::thread::yield_now();
        }
        running.kill();
        std::thread::sleep(Duration::from_secs(2));
        all_that_came(&stage, &mut counts);
    }
    let _running = stage.start(&["--ack-wait", "1s"]);
    check(&stage, &mut counts, 400);
}

pub fn a_bridge_cut_off_for_longer_than_the_ack_wait_doubles_on_another_machine() {
    let stage = Stage::new();
    let proxy = rig::Proxy::start(stage.server.address());
    let other = crate::support::unique_name("other");
    let elsewhere = roles::queue(&other);
    let both = ["--consumer", "both", "--ack-wait", "1s"];
    let mut first = stage.start_at(&proxy.url(), &both);
    first.wait_for("in: carrying", rig::SOON);
    // It has asked for messages; from now on the server hears nothing of it.
    std::thread::sleep(Duration::from_millis(300));
    proxy.mute();
    stage.publish(0..50);
    assert_eq!(stage.get(50), (0..50).collect::<Vec<_>>());
    assert_eq!(stage.admin.state(STREAM).messages, 50);
    let mut command = rig::bridge();
    command.args(["in", &other, "--stream", STREAM, "--server", &stage.server.url()]).args(both);
    let mut second = rig::Running::start(command, "second", stage.folder.path());
    let again: Vec<u64> = (0..50)
        .map(|_| roles::number_of(&elsewhere.get_timeout(rig::SOON).expect("the server gives it to the other bridge")))
        .collect();
    // The promise's table says so: the workers see the number twice, on two machines.
    assert_eq!(again.into_iter().collect::<std::collections::BTreeSet<_>>(), (0..50).collect());
    proxy.heal();
    stage.wait_for_stream(0);
    stage.wait_for_silence(Duration::from_secs(2));
    assert!(elsewhere.is_empty());
    for running in [&mut first, &mut second] {
        assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
    }
    for name in [other.clone(), format!("{other}.bridge-in")] {
        shmq::Queue::<[u8]>::unlink(&name).expect("a queue and a journal");
    }
}
