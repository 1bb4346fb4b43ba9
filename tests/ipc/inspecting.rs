//! Three broken set-ups and a stale segment, as a bystander sees them. Inspecting does not repair
//! them.

use crate::support::harness::Case;
use crate::support::process::{fork, shared_word};
use crate::support::{unique_name, wait_until};
use shmq::Queue;
use shmq::inspect::{Hold, Inspector, ProcessState, Snapshot, State};
use std::sync::atomic::Ordering::{Acquire, Release};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_stopped_consumer_is_seen_to_be_stopped,
        a_lease_of_a_killed_consumer_is_seen_to_be_of_the_dead,
        a_blocked_producer_is_seen_to_wait,
        a_segment_of_the_dead_is_stale,
    ]
}

fn snapshot(name: &str) -> Snapshot {
    Inspector::open(name).expect("a segment of ours").snapshot()
}

fn a_stopped_consumer_is_seen_to_be_stopped() {
    let queue = Queue::<u64>::create(unique_name("stopped"), 4).expect("created");
    let mut consumer = fork("consumer", || while queue.get().is_ok() {});
    consumer.stop_asleep();
    let seen = snapshot(queue.name());
    let of_it = seen.participants.iter().find(|participant| participant.pid == consumer.pid()).expect("it is attached");
    assert_eq!((of_it.alive, of_it.process, of_it.gets), (true, ProcessState::Stopped, true), "{seen:?}");
    consumer.go_on();
    queue.close();
    consumer.expect_success();
}

fn a_lease_of_a_killed_consumer_is_seen_to_be_of_the_dead() {
    let queue = Queue::<u64>::create(unique_name("killed"), 4).expect("created");
    queue.put(&1).expect("room");
    let leased = shared_word();
    let consumer = fork("consumer", || {
        let lease = queue.lease().expect("a message");
        leased.store(1, Release);
        loop {
            std::hint::black_box(&lease);
            std::thread::park();
        }
    });
    wait_until("the lease", || leased.load(Acquire) == 1, || "not leased".to_string());
    let pid = consumer.pid();
    let held = |seen: &Snapshot| seen.holdings.iter().map(|held| (held.what, held.pid, held.alive)).collect::<Vec<_>>();
    assert_eq!(held(&snapshot(queue.name())), [(Hold::Lease, pid, true)]);
    consumer.kill();
    for _ in 0..3 {
        let seen = snapshot(queue.name());
        assert_eq!(held(&seen), [(Hold::Lease, pid, false)], "a snapshot repairs nothing");
        assert_eq!((seen.messages, seen.on_lease), (0, 1));
        assert!(seen.participants.iter().any(|participant| participant.pid == pid && !participant.alive));
    }
    assert_eq!(queue.recover().redelivered, 1);
    let seen = snapshot(queue.name());
    assert_eq!((seen.messages, seen.came_back, seen.most_deliveries), (1, 1, 1));
    assert_eq!(seen.participants.len(), 1, "recovery forgets the dead");
}

fn a_blocked_producer_is_seen_to_wait() {
    let queue = Queue::<u64>::create(unique_name("full"), 2).expect("created");
    let mut producer = fork("producer", || while queue.put(&1).is_ok() {});
    producer.wait_until_asleep();
    let waits = || snapshot(queue.name()).participants.iter().find(|p| p.pid == producer.pid()).and_then(|p| p.put_waits);
    wait_until("it to wait", || waits().is_some_and(|waits| waits.threads == 1), || format!("{:?}", snapshot(queue.name())));
    let seen = snapshot(queue.name());
    assert_eq!((seen.messages, seen.stats.high_water), (2, 2));
    queue.close();
    producer.expect_success();
}

fn a_segment_of_the_dead_is_stale() {
    let name = unique_name("stale");
    let owner = fork("owner", || {
        let queue = Queue::<u64>::create(&name, 4).expect("created");
        queue.put_slice(&[1, 2]).expect("room");
        loop {
            std::thread::park();
        }
    });
    wait_until("the messages", || Inspector::open(&name).is_ok_and(|i| i.snapshot().messages == 2), || "none".to_string());
    assert_eq!(snapshot(&name).state, State::InUse);
    owner.kill();
    let seen = snapshot(&name);
    assert_eq!((seen.state, seen.messages, seen.participants.len()), (State::Stale, 2, 1));
    assert!(!seen.participants[0].alive);
    assert_eq!(shmq::inspect::remove_stale(&name, false).expect("it is ours"), shmq::inspect::Removal::Removed);
}
