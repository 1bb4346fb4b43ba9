//! What arrives while nothing is killed.

use crate::rig::roles::message;
use crate::rig::{Folder, Proxy, Running, Server, bridge, work_queue};
use crate::support::wait_at_most;
use crate::{STREAM, Stage, rig};
use std::time::Duration;

pub fn what_is_published_arrives_once_and_in_order() {
    let stage = Stage::new();
    stage.publish(0..500);
    let mut running = stage.start(&[]);
    assert_eq!(stage.get(500), (0..500).collect::<Vec<_>>());
    stage.publish(500..1000);
    assert_eq!(stage.get(500), (500..1000).collect::<Vec<_>>());
    stage.wait_for_stream(0);
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
    stage.wait_for_silence(Duration::from_millis(300));
    // It goes on where it ended.
    let mut running = stage.start(&[]);
    stage.publish(1000..1010);
    assert_eq!(stage.get(10), (1000..1010).collect::<Vec<_>>());
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}

pub fn a_full_queue_delays_and_nothing_comes_twice() {
    let stage = Stage::with(Server::start(), 8 << 10);
    stage.publish(0..300);
    let mut running = stage.start(&["--ack-wait", "1s", "--prefetch", "100"]);
    wait_at_most(rig::SOON, "a full queue", || stage.queue.is_full(), || stage.says());
    // Three ack waits: what is held is renewed, so that the server does not send it again.
    std::thread::sleep(Duration::from_secs(3));
    let consumer = stage.admin.consumer(STREAM, &format!("shmq-{}", stage.name));
    assert_eq!(consumer.num_redelivered, 0, "{consumer:?}");
    assert_eq!(stage.get(300), (0..300).collect::<Vec<_>>());
    stage.wait_for_stream(0);
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}

pub fn bridges_of_two_queues_share_one_consumer() {
    let stage = Stage::new();
    let other = crate::support::unique_name("other");
    let queue = rig::roles::queue(&other);
    let first = stage.start(&["--consumer", "both", "--prefetch", "10"]);
    let folder = Folder::new();
    let mut command = bridge();
    command.args(["in", &other, "--stream", STREAM, "--server", &stage.server.url(), "--consumer", "both", "--prefetch", "10"]);
    let mut second = Running::start(command, "second", folder.path());
    second.wait_for("in: carrying", rig::SOON);
    let (mut here, mut there) = (Vec::new(), Vec::new());
    let mut next = 0;
    // Until each has had some: the server gives to the one that asks.
    while (here.is_empty() || there.is_empty()) && next < 5000 {
        stage.publish(next..next + 50);
        next += 50;
        let end = std::time::Instant::now() + rig::SOON;
        while here.len() + there.len() < next as usize {
            here.extend(stage.queue.get_timeout(Duration::from_millis(5)).map(|bytes| rig::roles::number_of(&bytes)));
            there.extend(queue.get_timeout(Duration::from_millis(5)).map(|bytes| rig::roles::number_of(&bytes)));
            assert!(std::time::Instant::now() < end, "{here:?} {there:?} of {next}; {}", stage.says());
        }
    }
    assert!(!here.is_empty() && !there.is_empty());
    let mut all = [here, there].concat();
    all.sort_unstable();
    assert_eq!(all, (0..next).collect::<Vec<_>>());
    drop((first, second));
    for name in [other.clone(), format!("{other}.bridge-in")] {
        shmq::Queue::<[u8]>::unlink(&name).expect("a queue and a journal");
    }
}

pub fn others_may_put_with_shared() {
    let stage = Stage::new();
    let mut running = stage.start(&["--shared"]);
    running.wait_for("in: carrying", rig::SOON);
    stage.queue.put(&message(77)).expect("the side is free");
    assert_eq!(stage.get(1), [77]);
    stage.publish(0..20);
    assert_eq!(stage.get(20), (0..20).collect::<Vec<_>>());
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}

pub fn a_message_of_another_type_goes_to_the_dead_letters_if_asked() {
    let stage = Stage::new();
    stage.admin.make(async_nats::jetstream::stream::Config { retention: Default::default(), ..work_queue("DEAD") });
    let headers = || {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Shmq-Type", "value 8 8 u64");
        headers
    };
    stage.admin.publish_with(STREAM, headers(), vec![0; 8]);
    stage.publish(1..2);
    // Without a subject for it, the bridge ends; the message stays.
    stage.refuses(&[], 12, &["message 1 of the stream", "u64"]);
    assert_eq!(stage.admin.state(STREAM).messages, 2);
    let mut running = stage.start(&["--dead-letters", "DEAD"]);
    assert_eq!(stage.get(1), [1]);
    stage.wait_for_stream(0);
    let letter = stage.admin.message("DEAD", 1);
    assert_eq!(letter.payload.as_ref(), [0; 8]);
    assert_eq!(letter.headers.get("Shmq-From").map(|from| from.as_str()), Some("JOBS:1"));
    assert!(letter.headers.get("Shmq-Why").expect("a reason").as_str().contains("u64"));
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}

pub fn a_connection_that_is_held_and_cut_changes_nothing() {
    let stage = Stage::new();
    let proxy = Proxy::start(stage.server.address());
    proxy.delay(Duration::from_micros(200));
    let mut running = stage.start_at(&proxy.url(), &["--ack-wait", "2s"]);
    let mut next = 0;
    for round in 0..6 {
        stage.publish(next..next + 100);
        match round % 3 {
            0 => proxy.hold(),
            1 => proxy.cut(),
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(300));
        proxy.heal();
        assert_eq!(stage.get(100).len(), 100);
        next += 100;
    }
    stage.wait_for_stream(0);
    stage.wait_for_silence(Duration::from_secs(3));
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}

pub fn all_that_has_come_is_renewed_however_much_it_is() {
    let stage = Stage::with(Server::start(), 4 << 10);
    stage.publish(0..1500);
    let mut running = stage.start(&["--ack-wait", "1s"]);
    wait_at_most(rig::SOON, "a full queue", || stage.queue.is_full(), || stage.says());
    std::thread::sleep(Duration::from_secs(4));
    let consumer = stage.admin.consumer(STREAM, &format!("shmq-{}", stage.name));
    assert_eq!((consumer.num_redelivered, consumer.num_ack_pending > 500), (0, true), "{consumer:?}");
    assert!(stage.get(1500) == (0..1500).collect::<Vec<_>>(), "their order changed");
    stage.wait_for_stream(0);
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}

pub fn a_bridge_that_is_ended_and_started_again_keeps_the_order() {
    let stage = Stage::with(Server::start(), 4 << 10);
    stage.publish(0..1500);
    let mut running = stage.start(&[]);
    wait_at_most(rig::SOON, "a full queue", || stage.queue.is_full(), || stage.says());
    std::thread::sleep(Duration::from_millis(300));
    // It holds hundreds that it has not put.
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
    let mut running = stage.start(&[]);
    assert!(stage.get(1500) == (0..1500).collect::<Vec<_>>(), "their order changed");
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}

pub fn large_messages_come_in_requests_that_are_bounded_by_bytes() {
    let stage = Stage::with(Server::start(), 2 << 20);
    let large = |number: u64| [&number.to_le_bytes()[..], &vec![number as u8; 500_000]].concat();
    // More than one request has.
    (0..300).for_each(|number| stage.admin.publish(STREAM, [large(number)]));
    let mut running = stage.start(&[]);
    for number in 0..300 {
        let bytes = stage.queue.get_timeout(rig::SOON).unwrap_or_else(|error| panic!("{number}: {error}; {}", stage.says()));
        assert!(bytes == large(number), "message {number}");
    }
    stage.wait_for_stream(0);
    let consumer = stage.admin.consumer(STREAM, &format!("shmq-{}", stage.name));
    assert_eq!(consumer.num_redelivered, 0, "{consumer:?}");
    assert_eq!(running.terminate(rig::SOON), 0, "{}", running.output());
}
