//! Inspection from outside: who subscribes, who holds the gate, what is open, without becoming a
//! user.

use crate::support::harness::Case;
use crate::support::{unique_name, wait_until};
use shmq::inspect::{Gate, Hold, Inspector, Kind, Operator, Snapshot, State, TopicSnapshot};
use shmq::{GetError, PutError, Start, SubscriberKind, Topic};
use std::os::unix::fs::FileExt;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_snapshot_has_the_subscribers_as_the_topic_lists_them,
        a_snapshot_names_what_shuts_the_gate,
        a_snapshot_has_the_publisher_its_loans_and_the_samples,
        a_loan_in_the_way_shuts_the_gate,
        a_segment_says_what_its_topic_was_made_for,
        inspecting_does_not_attach_or_subscribe,
        peeked_messages_are_the_newest_and_stay,
        what_is_peeked_beside_a_fast_publisher_is_whole,
        a_topic_in_full_motion_is_not_damaged,
        an_operator_evicts_recovers_and_closes,
        a_topic_that_closes_when_unused_waits_for_its_first_publisher,
        garbage_is_shown_as_damage,
        no_garbage_makes_an_inspector_panic,
    ]
}

/// The other threads of a scope end with the test, also when it fails.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn snapshot(name: &str) -> Snapshot {
    Inspector::open(name).unwrap().snapshot()
}

fn of_topic(name: &str) -> TopicSnapshot {
    Inspector::open(name).unwrap().topic().expect("a topic")
}

fn a_snapshot_has_the_subscribers_as_the_topic_lists_them() {
    let topic = Topic::<u64>::new(8).unwrap();
    let (every, live) = (topic.subscribe().unwrap(), topic.subscribe_lossy().unwrap());
    topic.publish_slice(&[1, 2, 3]).unwrap();
    every.next().unwrap();
    live.latest().unwrap();
    let seen = of_topic(topic.name());
    let listed: Vec<_> =
        seen.subscribers.iter().map(|one| (one.id, one.pid, one.is_alive, one.kind, one.lag, one.missed, one.received)).collect();
    let me = std::process::id();
    assert_eq!(
        listed,
        [(every.id(), me, true, SubscriberKind::Gating, 2, 0, 1), (live.id(), me, true, SubscriberKind::Lossy, 0, 2, 1)]
    );
    let attached: Vec<_> = topic
        .subscribers()
        .iter()
        .map(|one| (one.id, one.pid, one.is_alive, one.kind, one.lag, one.missed, one.received))
        .collect();
    assert_eq!(listed, attached);
    assert_eq!((seen.gate, seen.kept, seen.tail, seen.reclaimed_to, seen.sleeping_publishers), (Gate::Open, 3, 3, 0, 0));
    assert_eq!(seen.stats, topic.stats());
    let seen = snapshot(topic.name());
    assert_eq!((seen.state, seen.damaged, seen.messages, seen.bytes), (State::InUse, false, 2, 16));
    assert_eq!((seen.stats.puts, seen.stats.gets, seen.stats.bytes_put, seen.stats.bytes_got), (3, 2, 24, 16));
    drop(every);
    let seen = snapshot(topic.name());
    assert_eq!((seen.messages, seen.topic.unwrap().subscribers.len()), (0, 1), "no subscriber gates");
}

fn a_snapshot_names_what_shuts_the_gate() {
    let topic = Topic::<u64>::new(2).unwrap();
    let slow = topic.subscribe().unwrap();
    topic.publish_slice(&[1, 2]).unwrap();
    assert_eq!(of_topic(topic.name()).gate, Gate::Subscriber(slow.id()));
    assert_eq!(snapshot(topic.name()).messages, 2, "a whole capacity");
    let (name, waits) = (topic.name().to_owned(), || of_topic(topic.name()).sleeping_publishers == 1);
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| topic.publish(&3));
        wait_until("a publisher that sleeps", waits, || format!("{:?}", snapshot(&name)));
        let me = &snapshot(&name).participants[0];
        assert!(me.puts && me.put_waits.is_some(), "{me:?}");
        assert!(Operator::open(&name).unwrap().evict(slow.id()).unwrap());
        publisher.join().unwrap().unwrap();
    });
    assert_eq!(of_topic(topic.name()).gate, Gate::Open);
    let seen = &of_topic(topic.name()).subscribers[0];
    assert_eq!((seen.kind, seen.id), (SubscriberKind::Evicted, slow.id()), "it does not know yet");
    assert!(matches!(slow.try_next(), Err(GetError::Evicted)));
    assert_eq!(of_topic(topic.name()).subscribers[0].kind, SubscriberKind::Lossy);
}

fn a_snapshot_has_the_publisher_its_loans_and_the_samples() {
    let topic = Topic::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let mut every = topic.subscribe().unwrap();
    let publisher = topic.publisher().unwrap();
    publisher.publish(b"eleven bytes").unwrap();
    let sample = every.read().unwrap();
    let loan = publisher.loan_len(100).unwrap();
    let seen = snapshot(topic.name());
    let me = std::process::id();
    let held: Vec<_> = seen.holdings.iter().map(|held| (held.what, held.pid, held.alive, held.bytes)).collect();
    assert_eq!(held, [(Hold::Publisher, me, true, 0), (Hold::Sample, me, true, 12), (Hold::Loan, me, true, 100)]);
    assert_eq!((seen.on_lease, seen.on_loan, seen.messages, seen.bytes), (1, 1, 1, 12));
    let [subscriber] = &seen.topic.as_ref().unwrap().subscribers[..] else { panic!("{seen:?}") };
    assert!(subscriber.has_sample && subscriber.lag == 2, "the loan is a place: {subscriber:?}");
    drop((sample, loan));
    drop(publisher);
    let seen = snapshot(topic.name());
    assert_eq!((seen.holdings.len(), seen.messages, seen.stats.aborted), (0, 0, 1));
}

fn a_loan_in_the_way_shuts_the_gate() {
    let topic = Topic::<u64>::new(4).unwrap();
    let loan = topic.loan().unwrap();
    while topic.try_publish(&1).is_ok() {}
    assert!(matches!(topic.try_publish(&1), Err(PutError::BehindLoan { .. })));
    assert_eq!(of_topic(topic.name()).gate, Gate::Loan { pid: std::process::id() });
    drop(loan);
    assert_eq!(of_topic(topic.name()).gate, Gate::Open);
}

fn a_segment_says_what_its_topic_was_made_for() {
    let builder = Topic::<[f32]>::builder().capacity_bytes(1 << 16).schema("samples/2").history(3);
    let topic = builder.max_subscribers(5).max_lag_before_evict(9).create().unwrap();
    let about = Inspector::open(topic.name()).unwrap().about();
    assert_eq!((about.kind, about.unit_bytes, about.capacity), (Kind::TopicSlice, 4, None));
    assert_eq!((about.max_subscribers, about.history, about.max_lag_before_evict), (5, 3, 9));
    assert_eq!(about.type_in_words(), "topic [f32] samples/2");
    let queue = shmq::Queue::<u64>::new(4).unwrap();
    assert_eq!(Inspector::open(queue.name()).unwrap().about().max_subscribers, 0);
    assert!(Inspector::open(queue.name()).unwrap().topic().is_none() && snapshot(queue.name()).topic.is_none());
}

fn inspecting_does_not_attach_or_subscribe() {
    let topic = Topic::<u64>::new(4).unwrap();
    let inspector = Inspector::open(topic.name()).unwrap();
    topic.publish_slice(&[1, 2, 3]).unwrap();
    assert_eq!((inspector.peek(9, 9).len(), inspector.snapshot().participants.len()), (3, 1));
    assert!(topic.subscribers().is_empty());
    drop(topic);
    assert!(!inspector.has_name(), "the last user took the name along");
}

fn peeked_messages_are_the_newest_and_stay() {
    let topic = Topic::<u64>::new(4).unwrap();
    let inspector = Inspector::open(topic.name()).unwrap();
    let peeked = |most| inspector.peek(most, 8).iter().map(|it| it.bytes[0]).collect::<Vec<_>>();
    assert!(peeked(9).is_empty());
    for message in 1..=100u64 {
        topic.publish(&message).unwrap();
    }
    assert_eq!(peeked(3), [98, 99, 100]);
    assert!(peeked(1000).len() >= 4 && peeked(0).is_empty(), "{:?}", peeked(1000));
    let frames = Topic::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let subscriber = frames.subscribe().unwrap();
    for message in [&b"first"[..], b"second", b"newest"] {
        frames.publish(message).unwrap();
    }
    let peeked = Inspector::open(frames.name()).unwrap().peek(2, 3);
    let peeked: Vec<_> = peeked.iter().map(|message| (&message.bytes[..], message.length)).collect();
    assert_eq!(peeked, [(&b"sec"[..], 6), (&b"new"[..], 6)]);
    assert_eq!(subscriber.next().unwrap(), b"first");
}

/// Each message is its number, 64 times: what is peeked beside a publisher at full speed is whole.
fn what_is_peeked_beside_a_fast_publisher_is_whole() {
    let topic = Topic::<[u64; 64]>::new(16).unwrap();
    let inspector = Inspector::open(topic.name()).unwrap();
    let (mut found, done) = (0, AtomicBool::new(false));
    std::thread::scope(|scope| {
        let publish = || {
            let publisher = topic.publisher().unwrap();
            for number in 0.. {
                publisher.publish(&[number; 64]).unwrap();
                if done.load(Relaxed) {
                    break;
                }
            }
        };
        let _ends = SetAtEnd(&done);
        scope.spawn(publish);
        for _ in 0..2000 {
            let peeked = inspector.peek(8, usize::MAX);
            let numbers: Vec<u64> =
                peeked.iter().map(|message| u64::from_ne_bytes(message.bytes[..8].try_into().unwrap())).collect();
            assert!(peeked.iter().all(|message| message.bytes.chunks(8).all(|word| word == &message.bytes[..8])), "torn");
            assert!(numbers.is_sorted(), "{numbers:?}");
            found += peeked.len();
            assert!(!inspector.snapshot().damaged);
        }
    });
    assert!(found > 0, "each walk was overtaken");
}

/// Records of all lengths, whose bytes look like headers of records, aborted loans among them, and
/// subscribers that come, go, are evicted and read in place: no snapshot finds damage, and what is
/// peeked is whole.
fn a_topic_in_full_motion_is_not_damaged() {
    let topic = Topic::<[u64]>::builder().capacity_bytes(1 << 13).create().unwrap();
    let (inspector, done) = (Inspector::open(topic.name()).unwrap(), AtomicBool::new(false));
    // READY, CLAIMED and DONE records of some bytes.
    let words = [2u64 << 61 | 24, 1 << 61 | 16, 5 << 61 | 40, 0];
    let publish = || {
        let publisher = topic.publisher().unwrap();
        for number in 0usize.. {
            if done.load(Relaxed) {
                break;
            }
            let message = vec![words[number % 4]; number % 67];
            match publisher.publish_timeout(&message, Duration::from_millis(1)) {
                Ok(()) => {}
                Err(error) if error.is_timeout() => {}
                Err(error) => panic!("{error:?}"),
            }
            if number % 7 == 0 {
                drop(publisher.try_loan_len(number % 50));
            }
        }
    };
    let subscribe = || {
        while !done.load(Relaxed) {
            let mut subscriber = topic.subscribe_from(Start::Oldest).unwrap();
            let _ = (subscriber.try_next(), subscriber.try_read().map(drop), topic.evict(subscriber.id()));
            let _ = (subscriber.try_next(), subscriber.latest());
        }
    };
    std::thread::scope(|scope| {
        let _ends = SetAtEnd(&done);
        scope.spawn(publish);
        scope.spawn(subscribe);
        scope.spawn(subscribe);
        for _ in 0..2000 {
            let seen = inspector.snapshot();
            assert!(!seen.damaged && seen.messages <= 1 << 9, "{seen:?}");
            let seen = inspector.topic().unwrap();
            assert!(seen.gated_from <= seen.tail && seen.subscribers.len() <= 2, "{seen:?}");
            for message in inspector.peek(8, usize::MAX) {
                assert_eq!(message.bytes.len() as u64, message.length);
                let whole = message.bytes.chunks(8).all(|word| word == &message.bytes[..8]);
                assert!(whole && message.bytes.chunks(8).all(|word| words.iter().any(|one| one.to_ne_bytes() == word)), "torn");
            }
        }
    });
    assert!(topic.stats().published > 100, "{:?}", topic.stats());
}

fn an_operator_evicts_recovers_and_closes() {
    let name = unique_name("operated");
    let topic = Topic::<u64>::create(&name, 4).unwrap();
    let every = topic.subscribe().unwrap();
    topic.publish(&1).unwrap();
    let operator = Operator::open(&name).unwrap();
    assert_eq!(operator.subscribers().iter().map(|one| one.id).collect::<Vec<_>>(), [every.id()]);
    assert_eq!(operator.drain(u64::MAX).unwrap(), 0, "each subscriber reads for itself");
    assert_eq!(operator.recover().sides_repaired, 1);
    operator.close();
    assert_eq!(every.next().unwrap(), 1);
    assert!(every.next().unwrap_err().is_closed());
    assert_eq!(snapshot(&name).state, State::Closed);
    let queue = shmq::Queue::<u64>::new(4).unwrap();
    let operator = Operator::open(queue.name()).unwrap();
    assert!(operator.subscribers().is_empty() && !operator.evict(every.id()).unwrap());
}

fn a_topic_that_closes_when_unused_waits_for_its_first_publisher() {
    let name = unique_name("unused");
    let topic = Topic::<u64>::builder().name(&name).capacity(4).close_when_unused(true).create().unwrap();
    let subscriber = topic.subscribe().unwrap();
    drop(topic);
    assert!(subscriber.next_timeout(Duration::from_millis(300)).unwrap_err().is_timeout());
}

/// A foreign program writes to the segment: nothing that reads it panics, and the snapshot says so.
fn garbage_is_shown_as_damage() {
    for (shift, what) in [(0, "the state of a line"), (8, "a cursor")] {
        let topic = Topic::<u64>::new(8).unwrap();
        let _every = topic.subscribe().unwrap();
        topic.publish_slice(&[1, 2, 3]).unwrap();
        let inspector = Inspector::open(topic.name()).unwrap();
        assert!(!inspector.snapshot().damaged, "{what}");
        let (file, line) = first_line(&inspector);
        file.write_all_at(&0x0ff7_ffff_ffff_ffffu64.to_ne_bytes(), line + shift).unwrap();
        let seen = inspector.snapshot();
        assert!(seen.damaged, "{what}: {seen:?}");
        let _ = (inspector.estimate(), inspector.peek(9, 9), inspector.topic());
        // What is dropped would poison it.
        std::mem::forget(_every);
    }
}

fn no_garbage_makes_an_inspector_panic() {
    let sized =
        || Topic::<u64>::new(9).map(|topic| (topic.name().to_owned(), Box::new(topic) as Box<dyn std::any::Any>)).unwrap();
    let slices = || {
        let topic = Topic::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
        topic.publish(b"some bytes").unwrap();
        (topic.name().to_owned(), Box::new(topic) as Box<dyn std::any::Any>)
    };
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for (name, topic) in (0..40).map(|round| if round % 2 == 0 { sized() } else { slices() }) {
        let inspector = Inspector::open(&name).unwrap();
        let (file, line) = first_line(&inspector);
        let words = (file.metadata().unwrap().len() - 0x200) / 8;
        for _ in 0..200 {
            // Half of them into the topic's words and its first lines.
            let at = if next() % 2 == 0 { line - 128 + next() % 48 * 8 } else { 0x200 + next() % words * 8 };
            let value = [next(), next() % 16, u64::MAX - next() % 16, 1 << (next() % 64)][next() as usize % 4];
            file.write_all_at(&value.to_ne_bytes(), at).unwrap();
            let _ = (inspector.glance(), inspector.snapshot(), inspector.estimate(), inspector.records_to_walk());
            let _ = (inspector.topic(), inspector.peek(9, 100), inspector.peek(usize::MAX, usize::MAX));
        }
        std::mem::forget(topic);
        std::fs::remove_file(path_of(&name)).unwrap();
    }
}

fn path_of(name: &str) -> String {
    format!("/dev/shm/shmq.{name}")
}

/// The file of a topic with few subscribers, and the offset of its first line: behind two cache
/// lines of words, in the page before the cells.
fn first_line(inspector: &Inspector) -> (std::fs::File, u64) {
    let about = inspector.about();
    let file = std::fs::File::options().read(true).write(true).open(path_of(inspector.name())).unwrap();
    let cells = (about.segment_bytes - about.capacity_bytes) / 4096 * 4096;
    assert_eq!(about.max_subscribers, 62);
    (file, cells - 4096 + 128)
}
