//! A program that ended without dropping its queue, and its next run: what it finds, and what it
//! never loses.

use crate::support::harness::{Case, skip};
use crate::support::process::{
    Child, exit_now, expect_all_succeed, fork, fork_with_code, send_signal, shared_word, wait_for_count,
};
use crate::support::{PATIENCE, segment_exists, unique_name, wait_until};
use shmq::inspect::{Inspector, Predecessor, WhyReplaced};
use shmq::sync::Event;
use shmq::{CreateError, GetError, OpenError, PutError, Queue, inspect};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering::Relaxed;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_closed_and_drained_queue_of_the_dead_is_replaced,
        a_closed_queue_of_the_dead_is_drained_first,
        what_the_dead_held_counts_as_not_drained,
        a_dead_queue_of_another_type_is_replaced,
        what_create_replaces_is_counted_too,
        a_persisted_queue_is_never_replaced,
        another_users_queue_is_never_replaced,
        a_queue_in_use_is_never_replaced,
        many_processes_that_start_at_once_meet_in_one_new_queue,
        a_dead_queue_makes_room_for_its_successor,
        a_segment_whose_file_was_removed_is_found_by_its_users,
    ]
}

fn inode(name: &str) -> u64 {
    std::fs::metadata(format!("/dev/shm/shmq.{name}")).expect("a segment").ino()
}

fn predecessor(name: &str) -> Option<Predecessor> {
    Inspector::open(name).expect("a segment of ours").about().predecessor
}

#[track_caller]
fn expect_predecessor(name: &str, why: WhyReplaced, messages: u64) {
    let found = predecessor(name).map(|predecessor| (predecessor.why, predecessor.messages));
    assert_eq!(found, Some((why, Some(messages))));
}

/// Ends this process the way programs end that drop nothing.
fn end(by_a_kill: bool) -> ! {
    if by_a_kill {
        send_signal(std::process::id() as i32, libc::SIGKILL);
    }
    exit_now(0)
}

/// A process that ends without dropping what `run` returns.
fn life<R>(by_a_kill: bool, run: impl FnOnce() -> R) {
    let child = fork("an earlier life", || {
        std::mem::forget(run());
        end(by_a_kill)
    });
    assert_eq!(child.killed_or_succeeded(), by_a_kill);
}

fn a_closed_and_drained_queue_of_the_dead_is_replaced() {
    for by_a_kill in [false, true] {
        let name = unique_name("restarted");
        let bytes = unique_name("restarted-bytes");
        for run in 0..3 {
            life(by_a_kill, || {
                let numbers: Queue<u64> = Queue::open_or_create(&name, 8).unwrap();
                numbers.put(&run).unwrap_or_else(|error| panic!("run {run}: {error}"));
                assert_eq!(numbers.get().unwrap(), run);
                numbers.close();
                let slices = Queue::<[u8]>::builder().name(&bytes).open_or_create().unwrap();
                slices.put(&[7; 100]).unwrap_or_else(|error| panic!("run {run}: {error}"));
                // A loan of a dead process is not a message.
                std::mem::forget(slices.loan_len(10).unwrap());
                assert_eq!(slices.get().unwrap(), [7; 100]);
                slices.close();
                (numbers, slices)
            });
            assert!(segment_exists(&name));
        }
        assert_eq!(predecessor(&name).unwrap().why, WhyReplaced::Drained);
        let queue: Queue<u64> = Queue::open_or_create(&name, 5).unwrap();
        assert_eq!((queue.capacity(), queue.is_closed(), queue.is_empty()), (5, false, true));
        expect_predecessor(&name, WhyReplaced::Drained, 0);
        // `open` still leads to the dead segment, as it was left.
        let left = Queue::<[u8]>::open(&bytes).unwrap();
        assert!(left.is_closed() && matches!(left.try_get(), Err(GetError::Closed)));
    }
}

fn a_closed_queue_of_the_dead_is_drained_first() {
    let name = unique_name("undrained");
    life(true, || {
        let queue: Queue<u64> = Queue::open_or_create(&name, 8).unwrap();
        assert_eq!(queue.put_slice(&[1, 2, 3]).unwrap(), 3);
        queue.close();
        queue
    });
    let was = inode(&name);
    // A putter gets Closed, as those before it did; it does not remove the queue.
    life(true, || {
        let queue: Queue<u64> = Queue::open_or_create(&name, 8).unwrap();
        assert!(matches!(queue.put(&4), Err(PutError::Closed)));
        queue
    });
    assert_eq!(inode(&name), was);
    life(true, || {
        let queue: Queue<u64> = Queue::open_or_create(&name, 8).unwrap();
        assert_eq!(queue.iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 2, 3]);
        queue
    });
    assert_eq!(inode(&name), was);
    let queue: Queue<u64> = Queue::open_or_create(&name, 8).unwrap();
    assert_ne!(inode(&name), was);
    queue.put(&5).unwrap();
    assert_eq!(queue.get().unwrap(), 5);
    expect_predecessor(&name, WhyReplaced::Drained, 0);
}

fn what_the_dead_held_counts_as_not_drained() {
    for lease in [false, true] {
        let name = unique_name("held");
        life(true, || {
            let queue: Queue<u64> = Queue::open_or_create(&name, 8).unwrap();
            queue.put(&1).unwrap();
            let taken = queue.lease().unwrap();
            queue.close();
            // Leased, or given back: it is not finished.
            if lease {
                std::mem::forget(taken)
            } else {
                taken.give_back()
            }
            queue
        });
        let queue: Queue<u64> = Queue::open_or_create(&name, 8).unwrap();
        let again = queue.lease_timeout(PATIENCE).unwrap();
        assert_eq!((*again, again.deliveries()), (1, 2));
        again.release();
        assert!(matches!(queue.get_timeout(PATIENCE), Err(GetError::Closed)));
    }
}

fn a_dead_queue_of_another_type_is_replaced() {
    let settings = |name: &str| Queue::<[u32; 4]>::builder().name(name).capacity(8);
    let old_life = |name: &str, schema: &str, structure: &str| {
        life(true, || {
            let queue = settings(name).schema(schema).structure(structure).open_or_create().unwrap();
            queue.put_slice(&[[1; 4], [2; 4], [3; 4]]).unwrap();
            // A message on lease to a dead process counts: it would have come back.
            std::mem::forget(queue.lease().unwrap());
            queue
        });
    };
    let name = unique_name("other");
    // A struct with an additional field.
    old_life(&name, "", "");
    let queue: Queue<[u32; 6]> = Queue::open_or_create(&name, 8).unwrap();
    queue.put(&[7; 6]).unwrap();
    assert_eq!(queue.get().unwrap(), [7; 6]);
    expect_predecessor(&name, WhyReplaced::OtherType, 3);
    drop(queue);
    assert!(!segment_exists(&name));
    // Another kind of queue, and a primitive.
    old_life(&name, "", "");
    drop(Queue::<[u8]>::builder().name(&name).open_or_create().unwrap());
    old_life(&name, "", "");
    drop(Event::open_or_create(&name).unwrap());
    life(true, || Event::open_or_create(&name).unwrap());
    drop(settings(&name).open_or_create().unwrap());
    // Two schemas that differ, and two structures that differ.
    old_life(&name, "quad/1", "");
    let queue = settings(&name).schema("quad/2").open_or_create().unwrap();
    expect_predecessor(&name, WhyReplaced::OtherType, 3);
    drop(queue);
    old_life(&name, "", "[a, b, c, d]");
    assert!(matches!(settings(&name).structure("[d, c, b, a]").open(), Err(OpenError::Mismatch { .. })));
    assert_eq!(settings(&name).structure("[a, b, c, d]").open_or_create().unwrap().len(), 3);
    old_life(&name, "", "[a, b, c, d]");
    let queue = settings(&name).structure("[d, c, b, a]").open_or_create().unwrap();
    assert!(queue.is_empty());
    expect_predecessor(&name, WhyReplaced::OtherType, 3);
    drop(queue);
    // Where no schema or structure is given, the same name and size are the same type: the queue is
    // opened with everything in it.
    old_life(&name, "", "[a, b, c, d]");
    let queue = settings(&name).open_or_create().unwrap();
    assert_eq!((queue.len(), predecessor(&name)), (3, None));
}

fn what_create_replaces_is_counted_too() {
    let name = unique_name("anew");
    life(true, || {
        let queue: Queue<u64> = Queue::create(&name, 8).unwrap();
        queue.put_slice(&[1, 2]).unwrap();
        queue
    });
    let _queue: Queue<u64> = Queue::create(&name, 8).unwrap();
    expect_predecessor(&name, WhyReplaced::CreatedAnew, 2);
}

fn a_persisted_queue_is_never_replaced() {
    let name = unique_name("kept");
    life(true, || {
        let queue = Queue::<u64>::builder().name(&name).capacity(3).persist(true).create().unwrap();
        queue.close();
        queue
    });
    let was = inode(&name);
    let closed: Queue<u64> = Queue::open_or_create(&name, 3).unwrap();
    assert!(matches!(closed.put(&1), Err(PutError::Closed)));
    assert!(matches!(Queue::<u32>::open_or_create(&name, 3), Err(CreateError::Mismatch { .. })));
    drop(closed);
    assert!(matches!(Queue::<u32>::open_or_create(&name, 3), Err(CreateError::Mismatch { .. })), "no process is attached");
    assert_eq!(inode(&name), was);
    Queue::<u64>::unlink(&name).unwrap();
}

fn another_users_queue_is_never_replaced() {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        skip("only root can become another user");
    }
    let name = unique_name("theirs");
    let child = fork("another user", || {
        // SAFETY: the child is single-threaded. setgid and setuid take numbers; setgroups reads no
        // list, since its length is 0.
        let changed =
            unsafe { libc::setgroups(0, std::ptr::null()) == 0 && libc::setgid(65_534) == 0 && libc::setuid(65_534) == 0 };
        assert!(changed, "root becomes anybody");
        let queue = Queue::<u64>::builder().name(&name).capacity(3).mode(0o666).create().unwrap();
        queue.close();
        std::mem::forget(queue);
        end(true)
    });
    assert!(child.killed_or_succeeded());
    let was = inode(&name);
    // Opened or refused, for every wanted type: the name still leads to the same segment.
    for _ in 0..3 {
        let refused = Queue::<u64>::open_or_create(&name, 3);
        assert!(matches!(refused, Err(CreateError::ForeignOwner { owner_uid: 65_534, .. })), "{refused:?}");
        std::mem::forget(Queue::<u64>::builder().name(&name).capacity(3).allow_any_owner().open_or_create().unwrap());
        assert_eq!(inode(&name), was);
    }
    let other = Queue::<[u8]>::builder().name(&name).open_or_create();
    assert!(other.is_err() && inode(&name) == was);
    assert!(Event::open_or_create(&name).is_err() && inode(&name) == was);
    inspect::unlink_of(&name, &inspect::Owners::default().allow_any_owner()).unwrap();
}

fn a_queue_in_use_is_never_replaced() {
    let name = unique_name("used");
    let queue: Queue<u64> = Queue::create(&name, 3).unwrap();
    queue.close();
    fork("one who comes late", || {
        let late: Queue<u64> = Queue::open_or_create(&name, 3).unwrap();
        assert!(matches!(late.put(&1), Err(PutError::Closed)) && matches!(late.get(), Err(GetError::Closed)));
        assert!(matches!(Queue::<u32>::open_or_create(&name, 3), Err(CreateError::Mismatch { .. })));
    })
    .expect_success();
    assert!(queue.has_name());
}

fn many_processes_that_start_at_once_meet_in_one_new_queue() {
    const STARTERS: u64 = 12;
    for round in 0..8 {
        let name = unique_name("race");
        // Closed and drained, or of another type.
        life(true, || {
            if round % 2 == 0 {
                let queue: Queue<u64> = Queue::create(&name, 64).unwrap();
                queue.close();
                return std::mem::forget(queue);
            }
            std::mem::forget(Queue::<i64>::create(&name, 64).unwrap());
        });
        let was = inode(&name);
        let (ready, met) = (shared_word(), shared_word());
        let starters: Vec<Child> = (0..STARTERS)
            .map(|number| {
                fork("one who starts", || {
                    ready.fetch_add(1, Relaxed);
                    wait_for_count("the others", ready, STARTERS);
                    let queue: Queue<u64> = Queue::open_or_create(&name, 64).unwrap();
                    queue.put(&number).unwrap();
                    met.fetch_add(1, Relaxed);
                    wait_for_count("all to put", met, STARTERS);
                    assert_eq!((queue.len() as u64, queue.has_name()), (STARTERS, true));
                    assert_ne!(inode(&name), was);
                    // No process leaves before all have checked.
                    met.fetch_add(1, Relaxed);
                    wait_for_count("all to check", met, 2 * STARTERS);
                })
            })
            .collect();
        expect_all_succeed(starters);
        assert!(!segment_exists(&name), "round {round}");
    }
}

fn a_dead_queue_makes_room_for_its_successor() {
    const SIZE: u64 = 4 << 20;
    if let Err(error) = crate::space::enter_small_shm(SIZE) {
        skip(&format!("no private mount of a small /dev/shm: {error}"));
    }
    let settings = |name: &str| Queue::<[u8]>::builder().name(name).capacity_bytes(3 << 20);
    let name = unique_name("large");
    for run in 0..3 {
        life(true, || {
            let queue = settings(&name).open_or_create().unwrap_or_else(|error| panic!("run {run}: {error}"));
            queue.put(&[1; 100]).unwrap_or_else(|error| panic!("run {run}: {error}"));
            queue.get().unwrap();
            queue.close();
            queue
        });
    }
    expect_predecessor(&name, WhyReplaced::Drained, 0);
    let queue = settings(&name).create().unwrap();
    expect_predecessor(&name, WhyReplaced::CreatedAnew, 0);
    queue.put(&[1; 100]).unwrap();
}

fn a_segment_whose_file_was_removed_is_found_by_its_users() {
    let name = unique_name("removed");
    let queue: Queue<u64> = Queue::create(&name, 8).unwrap();
    let ready = shared_word();
    let child = fork_with_code("a producer in another process", || {
        let producer: Queue<u64> = Queue::open(&name).unwrap();
        assert!(producer.has_name());
        ready.store(1, Relaxed);
        wait_until("the name to go", || !producer.has_name(), || "it is there".to_owned());
        // Nothing changes for attached processes.
        i32::from(producer.put(&1).is_err())
    });
    wait_for_count("the producer", ready, 1);
    std::fs::remove_file(format!("/dev/shm/shmq.{name}")).unwrap();
    child.expect_success();
    assert_eq!(queue.get().unwrap(), 1);
    // The next run has a queue of its own, and an inspection finds both.
    let next: Queue<u64> = Queue::open_or_create(&name, 8).unwrap();
    assert!(next.has_name() && !queue.has_name() && next.is_empty());
    let found = shmq::inspect::nameless().unwrap();
    let lost = found.iter().filter(|found| found.name == name).map(|found| found.inspector.as_ref().unwrap());
    let lost: Vec<_> = lost.map(|inspector| inspector.snapshot()).collect();
    assert_eq!(lost.iter().map(|seen| (seen.has_name, seen.unlinked)).collect::<Vec<_>>(), [(false, false)]);
    assert!(lost[0].participants.iter().any(|participant| participant.pid == std::process::id() && participant.alive));
    assert!(Inspector::open(&name).unwrap().snapshot().has_name);
    // For an unlinked segment, the snapshot says so.
    Queue::<u64>::unlink(&name).unwrap();
    let unlinked = shmq::inspect::nameless().unwrap();
    let unlinked =
        unlinked.iter().filter(|found| found.name == name).map(|found| found.inspector.as_ref().unwrap().snapshot().unlinked);
    assert_eq!(unlinked.filter(|unlinked| *unlinked).count(), 1);
}
