//! Whatever is killed, whenever: each message that was put lands, and none lands twice.

use crate::rig::running::role;
use crate::rig::{Ledger, Proxy, Running, SOON, Server, Settings, work_queue};
use crate::stage::{Stage, seconds};
use crate::support::Rng;
use async_nats::jetstream::stream::RetentionPolicy;
use shmq::MessageId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Kills of each case: `SHMQ_BRIDGE_KILLS`.
fn kills(usual: u64) -> u64 {
    std::env::var("SHMQ_BRIDGE_KILLS").map_or(usual, |text| text.parse().expect("a number of kills"))
}

/// A stream that keeps all, so that the whole past can be read in the end.
fn keeps_all(stage: &Stage) {
    stage.admin.make(async_nats::jetstream::stream::Config { retention: RetentionPolicy::Limits, ..work_queue(&stage.stream) });
}

fn producer(stage: &Stage, nth: u64, count: u64, pause_us: u64) -> Running {
    let log = stage.folder.path().join(format!("put.{nth}"));
    let arguments = [
        ("QUEUE", stage.name.clone()),
        ("LOG", log.display().to_string()),
        ("FIRST", (nth * 1_000_000).to_string()),
        ("COUNT", count.to_string()),
        ("PAUSE_US", pause_us.to_string()),
    ];
    Running::start(role("produce", &[], &arguments), &format!("producer-{nth}"), stage.folder.path())
}

/// Ends the bridge when all is carried, and compares the stream with what was put.
#[track_caller]
fn settle(stage: &Stage, bridge: &mut Running) {
    let puts = stage.queue.stats().puts;
    stage.wait_for_last(puts);
    assert_eq!(bridge.terminate(SOON), 0, "{}", bridge.end_of_log());
    let ledger = Ledger::read(stage.folder.path());
    let mut landed: BTreeMap<u64, BTreeSet<MessageId>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut last = BTreeMap::new();
    for message in stage.landed() {
        assert!(ids.insert(message.id), "message {} landed twice, the second time at {}", message.id, message.sequence);
        let number = crate::rig::roles::number_of(&message.payload);
        landed.entry(number).or_default().insert(message.id);
        // Of each producer, in its order.
        let before = last.insert(number / 1_000_000, number);
        assert!(before <= Some(number), "{number} landed behind {before:?}");
    }
    let missing: Vec<u64> = ledger.put.iter().copied().filter(|number| !landed.contains_key(number)).take(10).collect();
    assert!(missing.is_empty(), "put, and not in the stream: {missing:?}, of {}", ledger.put.len());
    let unknown: Vec<u64> = landed.keys().copied().filter(|number| !ledger.meant.contains(number)).collect();
    assert!(unknown.is_empty(), "in the stream, and never put: {unknown:?}");
    // Also what producers put when they were killed before they noted it.
    assert_eq!(ids.len() as u64, puts, "messages were put");
    println!("{} messages noted as put, {} landed", ledger.put.len(), ids.len());
}

pub fn a_killed_bridge_sends_again_and_nothing_doubles() {
    let (stage, mut rng) = (Stage::new(), Rng::new("kill bridge"));
    keeps_all(&stage);
    let kills = kills(40);
    let mut producers = [producer(&stage, 0, u64::MAX / 2, 50), producer(&stage, 1, u64::MAX / 2, 50)];
    for _ in 0..kills {
        let mut bridge = stage.carrying(&[]);
        std::thread::sleep(rng.duration_below(Duration::from_millis(60)));
        bridge.kill();
    }
    producers.iter_mut().for_each(Running::kill);
    settle(&stage, &mut stage.carrying(&[]));
}

pub fn a_killed_server_loses_and_doubles_nothing() {
    let (mut stage, mut rng) = (Stage::new(), Rng::new("kill server"));
    keeps_all(&stage);
    let mut bridge = stage.carrying(&["--ack-timeout", "1s"]);
    let mut producers = [producer(&stage, 0, u64::MAX / 2, 50), producer(&stage, 1, u64::MAX / 2, 50)];
    for _ in 0..kills(20) {
        std::thread::sleep(rng.duration_below(Duration::from_millis(200)));
        stage.server.kill();
        std::thread::sleep(rng.duration_below(Duration::from_millis(100)));
        stage.server.restart();
        assert!(!bridge.has_ended(), "{}", bridge.end_of_log());
    }
    producers.iter_mut().for_each(Running::kill);
    settle(&stage, &mut bridge);
}

pub fn bridge_server_and_producers_are_killed_at_random() {
    storm(Stage::new(), kills(60), "kill all");
}

pub fn an_old_server_works() {
    storm(Stage::with(Settings { binary: crate::rig::server::old(), ..Settings::default() }), kills(60) / 4, "kill old");
}

fn storm(mut stage: Stage, kills: u64, purpose: &str) {
    let mut rng = Rng::new(purpose);
    keeps_all(&stage);
    let more = ["--ack-timeout", "1s", "--window", "300"];
    let mut bridge = stage.carrying(&more);
    let mut producers: Vec<Running> = (0..3).map(|nth| producer(&stage, nth, u64::MAX / 2, 100)).collect();
    for _ in 0..kills {
        std::thread::sleep(rng.duration_below(Duration::from_millis(100)));
        match rng.below(6) {
            0 => {
                stage.server.kill();
                std::thread::sleep(rng.duration_below(Duration::from_millis(50)));
                // Also while the server is away.
                if rng.chance(50) {
                    bridge.kill();
                }
                stage.server.restart();
            }
            1..3 => {
                let nth = rng.below(3);
                producers[nth as usize].kill();
                producers[nth as usize] = producer(&stage, nth, u64::MAX / 2, 100);
            }
            _ => bridge.kill(),
        }
        if bridge.has_ended() {
            assert!(bridge.wait(SOON) < 0, "it ended by itself: {}", bridge.end_of_log());
            bridge = stage.bridge(&more);
        }
    }
    producers.iter_mut().for_each(Running::kill);
    settle(&stage, &mut bridge);
}

pub fn a_link_that_is_cut_doubles_nothing() {
    let (stage, mut rng) = (Stage::new(), Rng::new("cut"));
    keeps_all(&stage);
    let proxy = Proxy::start(stage.server.address());
    let command = stage.command_at(&proxy.url(), &["--ack-timeout", "1s"]);
    let mut bridge = Running::start(command, "bridge", stage.folder.path());
    bridge.wait_for("carrying", SOON);
    let mut producers = [producer(&stage, 0, u64::MAX / 2, 50), producer(&stage, 1, u64::MAX / 2, 50)];
    for nth in 0..kills(20) {
        std::thread::sleep(rng.duration_below(Duration::from_millis(100)));
        match nth % 3 {
            // What was sent lands when the bridge has sent it again by another connection.
            0 => {
                proxy.strand();
                std::thread::sleep(rng.duration_below(Duration::from_millis(1500)));
            }
            1 => {
                proxy.hold();
                std::thread::sleep(rng.duration_below(Duration::from_millis(1500)));
            }
            _ => {
                proxy.cut();
                std::thread::sleep(rng.duration_below(Duration::from_millis(50)));
            }
        }
        proxy.heal();
        assert!(!bridge.has_ended(), "{}", bridge.end_of_log());
    }
    producers.iter_mut().for_each(Running::kill);
    settle(&stage, &mut bridge);
}

pub fn a_bridge_that_was_down_for_longer_than_the_window_doubles_nothing() {
    let stage = Stage::new();
    stage.admin.make(async_nats::jetstream::stream::Config {
        retention: RetentionPolicy::Limits,
        duplicate_window: seconds(2),
        ..work_queue(&stage.stream)
    });
    let proxy = Proxy::start(stage.server.address());
    let mut bridge = Running::start(stage.command_at(&proxy.url(), &[]), "bridge", stage.folder.path());
    bridge.wait_for("carrying", SOON);
    stage.put(0..100);
    stage.wait_for_last(100);
    // The server takes these, and its acks do not come back.
    proxy.hold_back();
    stage.put(100..200);
    stage.wait_for_last(200);
    bridge.kill();
    drop(proxy);
    std::thread::sleep(seconds(3));
    let mut bridge = stage.carrying(&[]);
    stage.put(200..300);
    stage.wait_for_last(300);
    assert_eq!(bridge.terminate(SOON), 0, "{}", bridge.end_of_log());
    stage.expect_in_order(0..300);
    let _: &Server = &stage.server;
}
