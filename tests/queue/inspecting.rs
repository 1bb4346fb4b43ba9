//! Inspection from outside: what is there, which process holds it, and what slow paths counted,
//! without becoming a user.

use super::{A_WHILE, ClosesAtEnd, queue, slices};
use crate::support::threads::start_and_wait_until_asleep;
use crate::support::{unique_name, wait_until};
use shmq::inspect::{Hold, Inspector, Kind, Operator, ProcessState, Removal, State, list, remove_stale};
use shmq::{GetError, OpenError, PutError, Queue, WaitStrategy};
use std::time::{Duration, Instant};

fn snapshot(name: &str) -> shmq::inspect::Snapshot {
    Inspector::open(name).unwrap().snapshot()
}

#[test]
fn a_snapshot_has_messages_bytes_and_their_holders() {
    let queue = slices::<u8>(4096);
    for message in [&b"one"[..], b"three", b"eleven bytes"] {
        queue.put(message).unwrap();
    }
    let lease = queue.lease().unwrap();
    let loan = queue.loan_len(100).unwrap();
    queue.put(b"behind").unwrap();
    let seen = snapshot(queue.name());
    assert_eq!((seen.messages, seen.bytes), (3, 5 + 12 + 6));
    assert_eq!((seen.on_lease, seen.on_loan, seen.came_back), (1, 1, 0));
    let held: Vec<_> = seen.holdings.iter().map(|held| (held.what, held.pid, held.alive, held.bytes, held.deliveries)).collect();
    let me = std::process::id();
    assert_eq!(held, [(Hold::Lease, me, true, 3, 1), (Hold::Loan, me, true, 100, 0)]);
    assert_eq!((seen.state, seen.damaged, seen.closed), (State::InUse, false, false));
    assert_eq!(snapshot(queue.name()).holdings[0].position, seen.holdings[0].position, "the same lease");
    lease.give_back();
    drop(loan);
    let seen = snapshot(queue.name());
    assert_eq!((seen.messages, seen.came_back, seen.most_deliveries, seen.holdings.len()), (4, 1, 1, 0));
}

#[test]
fn a_snapshot_has_the_participants_and_owners_of_sides() {
    let queue = queue::<u64>(4);
    let producer = queue.producer().unwrap();
    let seen = snapshot(queue.name());
    let [me] = &seen.participants[..] else { panic!("one participant: {:?}", seen.participants) };
    assert_eq!((me.pid, me.alive, me.puts, me.gets), (std::process::id(), true, true, false));
    assert!(me.program.as_deref().is_some_and(|name| name.starts_with("queue")), "{:?}", me.program);
    assert!(!matches!(me.process, ProcessState::Unknown | ProcessState::Stopped), "{:?}", me.process);
    let [held] = &seen.holdings[..] else { panic!("one holding: {:?}", seen.holdings) };
    assert_eq!((held.what, held.pid, held.alive), (Hold::Producer, std::process::id(), true));
    assert!(held.since.is_some());
    drop(producer);
    assert!(snapshot(queue.name()).holdings.is_empty());
}

#[test]
fn inspecting_does_not_attach() {
    let queue = queue::<u64>(4);
    let name = queue.name().to_owned();
    let inspector = Inspector::open(&name).unwrap();
    assert!(inspector.has_name());
    drop(queue);
    assert!(!inspector.has_name(), "the last user took the name along");
    assert!(matches!(Inspector::open(&name), Err(OpenError::NotFound { .. })));
    assert!(inspector.snapshot().participants.is_empty());
}

#[test]
fn a_segment_says_its_type_and_size() {
    let queue =
        Queue::<[f32]>::builder().capacity_bytes(1 << 16).capacity(9).schema("samples/2").max_deliveries(3).create().unwrap();
    let about = Inspector::open(queue.name()).unwrap().about();
    assert_eq!((about.kind, about.unit_bytes, about.capacity, about.max_deliveries), (Kind::Slice, 4, Some(9), 3));
    assert_eq!(about.type_in_words(), "[f32] samples/2");
    assert_eq!(about.capacity_bytes as usize, queue.capacity_bytes());
    assert_eq!(about.max_message_bytes as usize, queue.max_len() * 4);
    assert_eq!(about.mode, 0o600);
    assert!(!about.is_bytes());
    assert!(Inspector::open(slices::<u8>(100).name()).is_ok_and(|inspector| inspector.about().is_bytes()));
}

#[test]
fn what_is_no_queue_is_listed_and_left_alone() {
    let name = unique_name("no-queue");
    let mutex = shmq::sync::Mutex::<[u64; 40]>::create(&name, [u64::MAX; 40]).unwrap();
    let inspector = Inspector::open(&name).unwrap();
    assert_eq!((inspector.about().kind, inspector.about().kind.is_queue()), (Kind::Mutex, false));
    let seen = inspector.snapshot();
    assert_eq!((seen.state, seen.damaged, seen.messages, seen.participants.len()), (State::InUse, false, 0, 1));
    assert_eq!((inspector.peek(9, 9).len(), inspector.records_to_walk(), inspector.glance().messages), (0, 0, 0));
    assert!(matches!(Operator::open(&name), Err(OpenError::Mismatch { .. })));
    drop(mutex);
}

#[test]
fn peeked_messages_stay() {
    let queue = slices::<u8>(4096);
    for message in [&b"first"[..], b"second", b"third"] {
        queue.put(message).unwrap();
    }
    queue.lease().unwrap().give_back();
    let peeked = Inspector::open(queue.name()).unwrap().peek(2, 3);
    let peeked: Vec<_> = peeked.iter().map(|message| (&message.bytes[..], message.length, message.deliveries)).collect();
    assert_eq!(peeked, [(&b"fir"[..], 5, 1), (&b"sec"[..], 6, 0)]);
    assert_eq!(queue.len(), 3);
    assert_eq!(Inspector::open(queue.name()).unwrap().peek(9, 9).len(), 3);
}

#[test]
fn the_list_has_every_segment_and_what_lies_in_its_place() {
    let queue = queue::<u64>(4);
    let garbage = unique_name("garbage");
    let path = format!("/dev/shm/shmq.{garbage}");
    for content in [vec![], vec![7u8; 100], vec![0xff; 10_000], b"shmqring".repeat(1000)] {
        std::fs::write(&path, &content).unwrap();
        let found = list().unwrap();
        let of = |name: &str| found.iter().find(|found| found.name == name).map(|found| &found.inspector);
        assert!(matches!(of(queue.name()), Some(Ok(_))));
        assert!(
            matches!(of(&garbage), Some(Err(OpenError::Corrupted { .. } | OpenError::Mismatch { .. }))),
            "{:?}",
            of(&garbage)
        );
    }
    assert_eq!(remove_stale(&garbage, true).unwrap(), Removal::Foreign);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(remove_stale(&garbage, true), Err(OpenError::NotFound { .. })));
}

#[test]
fn garbage_behind_a_good_header_is_called_damage() {
    use std::os::unix::fs::FileExt;
    let queue = Queue::<u64>::builder().capacity(100).name(unique_name("damaged")).create().unwrap();
    queue.put_slice(&[1, 2, 3]).unwrap();
    assert!(!snapshot(queue.name()).damaged);
    let file = std::fs::OpenOptions::new().write(true).open(format!("/dev/shm/shmq.{}", queue.name())).unwrap();
    // Everything from the first side on: cursors, counters, the participant table, headers.
    let bytes = file.metadata().unwrap().len() as usize;
    file.write_all_at(&vec![0xa5; bytes - 0x200], 0x200).unwrap();
    let inspector = Inspector::open(queue.name()).unwrap();
    assert!(inspector.snapshot().damaged);
    let _ = (inspector.glance(), inspector.peek(100, 100), inspector.records_to_walk());
    std::mem::forget(queue.clone());
    Queue::<u64>::unlink(queue.name()).unwrap();
}

#[test]
fn an_operator_works_on_a_queue_of_any_type() {
    let queue = queue::<[u16; 3]>(10);
    queue.put_slice(&[[1; 3]; 5]).unwrap();
    let operator = Operator::open(queue.name()).unwrap();
    assert_eq!(operator.drain(2).unwrap(), 2);
    assert_eq!(queue.len(), 3);
    operator.close();
    assert!(queue.is_closed());
    assert_eq!(snapshot(queue.name()).state, State::Closed);
    assert_eq!(operator.drain(u64::MAX).unwrap(), 3);
    assert_eq!(operator.drain(u64::MAX).unwrap(), 0);
    assert_eq!(operator.recover().sides_repaired, 2);
}

#[test]
fn a_drain_is_not_cut_short_by_others_at_work() {
    let queue = queue::<u64>(4);
    let operator = Operator::open(queue.name()).unwrap();
    std::thread::scope(|scope| {
        let (queue, _closes) = (&queue, ClosesAtEnd(&queue));
        // More threads than processors, all of them short of room: they probe the side that the
        // drain takes from.
        for _ in 0..6 {
            scope.spawn(|| while queue.put(&1).is_ok() {});
        }
        for round in 0..300 {
            wait_until("a full queue", || queue.is_full(), || format!("{queue:?}"));
            assert_eq!(operator.drain(4).unwrap(), 4, "round {round}");
        }
    });
}

#[test]
fn what_is_kept_differs_from_what_is_stale() {
    let name = unique_name("kept");
    let queue = Queue::<u8>::builder().name(&name).capacity(3).persist(true).create().unwrap();
    assert_eq!(remove_stale(&name, true).unwrap(), Removal::InUse);
    queue.put(&1).unwrap();
    drop(queue);
    let seen = snapshot(&name);
    assert_eq!((seen.state, seen.persisted, seen.messages), (State::Persisted, true, 1));
    assert_eq!(remove_stale(&name, false).unwrap(), Removal::Persisted);
    assert_eq!(remove_stale(&name, true).unwrap(), Removal::Removed);
    assert!(matches!(Inspector::open(&name), Err(OpenError::NotFound { .. })));
}

#[test]
fn blocked_calls_are_seen_while_they_sleep_and_counted_when_they_end() {
    let queue = queue::<u64>(2);
    let getter = start_and_wait_until_asleep("a get of an empty queue", {
        let queue = queue.clone();
        move || queue.get()
    });
    let waiting = |name: &str| snapshot(name).participants[0].get_waits;
    wait_until("the sleeper to be seen", || waiting(queue.name()).is_some(), || format!("{:?}", snapshot(queue.name())));
    assert_eq!(queue.stats().blocked_gets, 0, "it has not ended");
    queue.put(&1).unwrap();
    getter.join().unwrap();
    assert_eq!(waiting(queue.name()), None);
    let stats = queue.stats();
    assert_eq!((stats.blocked_gets, stats.blocked_puts), (1, 0));
    assert!(stats.blocked_get_time > Duration::ZERO, "{stats:?}");

    queue.put_slice(&[1, 2]).unwrap();
    let putter = start_and_wait_until_asleep("a put to a full queue", {
        let queue = queue.clone();
        move || queue.put(&3)
    });
    wait_until(
        "the sleeper to be seen",
        || snapshot(queue.name()).participants[0].put_waits.is_some_and(|waits| waits.threads == 1),
        || format!("{:?}", snapshot(queue.name())),
    );
    queue.get().unwrap();
    putter.join().unwrap();
    let stats = queue.stats();
    assert_eq!((stats.blocked_gets, stats.blocked_puts, stats.high_water), (1, 1, 2), "{stats:?}");
    assert!(stats.blocked_put_time > Duration::ZERO, "{stats:?}");
}

#[test]
fn wakes_are_counted() {
    let queue = queue::<u64>(1);
    let woken = || {
        let getter = start_and_wait_until_asleep("a get of an empty queue", {
            let queue = queue.clone();
            move || queue.get()
        });
        queue.put(&1).unwrap();
        getter.join().unwrap();
        queue.stats().wakes >= 1
    };
    // A sleeper probes ten times a second, and needs no wake if it is awake at that moment.
    wait_until("a sleeper that needs a wake", woken, || format!("{:?}", queue.stats()));
}

#[test]
fn timeouts_are_counted_on_their_side() {
    let queue = Queue::<u64>::builder().capacity(1).wait_strategy(WaitStrategy::Block).create().unwrap();
    let started = Instant::now();
    // A call is blocked if it sleeps: not if its time was up before it slept, as happens on a
    // loaded machine.
    let mut calls = 0;
    let sleeps = || {
        calls += 1;
        assert!(matches!(queue.get_timeout(A_WHILE / 10), Err(GetError::Timeout)));
        let stats = queue.stats();
        assert_eq!((stats.get_timeouts, stats.put_timeouts, stats.blocked_puts), (calls, 0, 0));
        assert!(stats.blocked_gets <= calls, "{stats:?}");
        stats.blocked_gets >= 3
    };
    wait_until("three that sleep", sleeps, || format!("{:?}", queue.stats()));
    queue.put(&1).unwrap();
    let gets = queue.stats().blocked_gets;
    let mut calls = 0;
    let sleeps = || {
        calls += 1;
        assert!(matches!(queue.put_timeout(&2, A_WHILE), Err(PutError::Timeout)));
        let stats = queue.stats();
        assert_eq!((stats.put_timeouts, stats.blocked_gets), (calls, gets));
        assert!(stats.blocked_puts <= calls, "{stats:?}");
        stats.blocked_puts == 1
    };
    wait_until("one that sleeps", sleeps, || format!("{:?}", queue.stats()));
    let before = queue.stats();
    assert!(matches!(queue.try_put(&2), Err(PutError::Full)));
    let stats = queue.stats();
    assert_eq!(
        (stats.put_timeouts, stats.blocked_puts),
        (before.put_timeouts, before.blocked_puts),
        "a try neither waits nor times out"
    );
    let took = started.elapsed();
    assert!(stats.blocked_put_time > Duration::ZERO && stats.blocked_get_time > Duration::ZERO, "{stats:?}");
    assert!(stats.blocked_put_time + stats.blocked_get_time <= took, "{stats:?} in {took:?}");
}

#[test]
fn the_fast_path_writes_no_slow_counter() {
    let queue = queue::<u64>(100);
    for i in 0..50 {
        queue.put(&i).unwrap();
        queue.get().unwrap();
    }
    let stats = queue.stats();
    assert_eq!((stats.puts, stats.gets, stats.blocked_puts, stats.blocked_gets, stats.wakes), (50, 50, 0, 0, 0), "{stats:?}");
    assert_eq!((stats.blocked_put_time, stats.blocked_get_time), (Duration::ZERO, Duration::ZERO));
    queue.put_slice(&[1; 70]).unwrap();
    assert_eq!(queue.stats().high_water, 70, "a snapshot counts");
    assert_eq!(Inspector::open(queue.name()).unwrap().glance().messages, 70);
}

#[test]
fn refused_puts_are_counted_for_every_verb() {
    let queue = queue::<u64>(2);
    queue.put_slice(&[1, 2]).unwrap();
    assert_eq!(queue.stats().refused_puts, 0);
    assert!(queue.try_put(&3).unwrap_err().is_full());
    assert!(queue.try_loan().unwrap_err().is_full());
    assert!(queue.try_put_slice(&[3, 4]).unwrap_err().is_full());
    assert_eq!(queue.stats().refused_puts, 3);
    assert!(queue.put_timeout(&3, Duration::ZERO).unwrap_err().is_timeout());
    let stats = queue.stats();
    assert_eq!((stats.refused_puts, stats.put_timeouts), (3, 1), "one that waited was not refused");
    let producer = queue.producer().unwrap();
    (0..5).for_each(|_| assert!(producer.try_put(&3).unwrap_err().is_full()));
    assert!(producer.try_loan().unwrap_err().is_full());
    drop(producer);
    queue.get().unwrap();
    // The messages with room were put; the rest was refused.
    assert_eq!(queue.try_put_slice(&[5, 6]).unwrap(), 1);
    let seen = Inspector::open(queue.name()).unwrap().snapshot().stats;
    assert_eq!((seen.refused_puts, queue.stats().refused_puts), (10, 10));
    queue.close();
    assert!(queue.try_put(&7).unwrap_err().is_closed());
    assert_eq!((queue.stats().refused_puts, queue.stats().puts), (10, 3));

    let slices = slices::<u8>(4096);
    while slices.try_put(&[7; 500]).is_ok() {}
    assert_eq!(slices.stats().refused_puts, 1);
}
