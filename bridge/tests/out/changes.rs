//! What others change while the bridge carries.

use crate::rig::{Running, SOON, work_queue};
use crate::stage::{Stage, forget_journal, out};
use crate::support::unique_name;
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use shmq::Queue;
use std::time::Duration;

pub fn a_stream_that_is_changed_to_lose_messages_ends_the_bridge() {
    let stage = Stage::new();
    let mut bridge = stage.carrying(&["--create"]);
    stage.put(0..10);
    stage.wait_for_last(10);
    // As an operator does it: what the bridge wrote into the configuration stays.
    let found = stage.admin.wait(stage.admin.jetstream().get_stream("JOBS")).expect("the stream");
    let config = found.cached_info().config.clone();
    let changed = Config { max_age: Duration::from_secs(3600), ..config.clone() };
    stage.admin.wait(stage.admin.jetstream().update_stream(changed)).expect("a change that the server takes");
    assert_eq!(bridge.wait(SOON), 9, "{}", bridge.end_of_log());
    assert!(bridge.output().contains("age limit"), "{}", bridge.end_of_log());
    // Nothing has to break for it: no message was put meanwhile. Mended, it goes on.
    stage.admin.wait(stage.admin.jetstream().update_stream(config)).expect("a change that the server takes");
    let mut bridge = stage.carrying(&["--create"]);
    let changed = Config { discard: DiscardPolicy::Old, ..work_queue("JOBS") };
    stage.admin.wait(stage.admin.jetstream().update_stream(changed)).expect("a change that the server takes");
    // Either is said: discard old, or that the mark is gone with the metadata.
    let code = bridge.wait(SOON);
    assert!(code == 9 || code == 10, "{code}: {}", bridge.end_of_log());
}

pub fn a_queue_that_loses_its_name_ends_the_bridge() {
    let stage = Stage::new();
    let mut bridge = stage.carrying(&["--create"]);
    stage.put(0..10);
    stage.wait_for_last(10);
    Queue::<[u8]>::unlink(&stage.name).expect("the queue");
    let _anew = crate::rig::roles::queue(&stage.name);
    assert_eq!(bridge.wait(SOON), 3, "{}", bridge.end_of_log());
    assert!(bridge.output().contains("removed while it was bridged"), "{}", bridge.end_of_log());
    stage.refused(&["--create"], 10, &["the queue was made anew"]);
}

pub fn the_end_comes_while_the_server_is_away_and_the_client_takes_no_more() {
    let mut stage = Stage::new();
    // The client has room for 2048 messages: the ring must hold more.
    let name = unique_name("many");
    let queue = Queue::<[u8]>::builder().name(&name).capacity_bytes(256 << 10).persist(true).create().expect("a queue");
    let more = ["--create", "--window", "16384", "--drain", "1s", "--ack-timeout", "1s"];
    let mut bridge = Running::start(out(&name, "JOBS", &stage.server.url(), &more), "bridge", stage.folder.path());
    bridge.wait_for("carrying", SOON);
    stage.server.kill();
    std::thread::sleep(Duration::from_millis(300));
    (0..4000).for_each(|_| queue.put_timeout(&[7; 8], SOON).expect("room"));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(bridge.terminate(SOON), 15, "{}", bridge.end_of_log());
    Queue::<[u8]>::unlink(&name).expect("the queue");
    forget_journal(&name);
}
