//! Processes that die with an object in their hands.

use crate::objects::{Before, Encoding, FIRST_HUGE, Object, RING_BYTES};
use crate::support::harness::Case;
use crate::support::process::{fork, send_signal};
use crate::support::unique_name;
use shmq::{DeadLetters, GetError, MessagePack, ObjectQueue, PutError, QueueBuilder};

pub fn cases() -> Vec<Case> {
    crate::cases![
        an_object_on_lease_to_a_dead_process_comes_back_with_its_file,
        an_object_whose_putter_dies_in_its_file_never_existed,
        an_object_that_fails_to_encode_leaves_no_file,
        objects_of_dead_processes_give_their_bytes_back,
        an_object_that_kills_its_holders_is_given_up_with_its_file,
        an_object_that_kills_its_holders_becomes_a_letter_larger_than_its_ring,
        a_letter_that_finds_no_room_stays_whole,
        an_object_whose_file_was_removed_by_hand_is_an_error_and_no_hang,
        a_forked_child_does_not_end_its_parents_lease,
    ]
}

pub fn builder(name: &str) -> QueueBuilder<ObjectQueue<Object>> {
    ObjectQueue::builder().name(name).capacity(4).capacity_bytes(RING_BYTES).max_participants(8)
}

/// A queue with objects of these numbers, and the files that there were before it.
pub fn queue_of(what: &str, numbers: &[u64]) -> (Before, ObjectQueue<Object>) {
    let before = Before::now();
    let queue = builder(&unique_name(what)).create().unwrap();
    numbers.iter().for_each(|&number| queue.put(&Object::new(number)).unwrap());
    (before, queue)
}

pub fn die(what: &'static str, act: impl FnOnce()) {
    let child = fork(what, || {
        act();
        send_signal(std::process::id() as libc::pid_t, libc::SIGKILL);
    });
    assert!(child.killed_or_succeeded(), "it was killed");
}

fn numbers(queue: &ObjectQueue<Object>) -> Vec<u64> {
    std::iter::from_fn(|| match queue.try_get() {
        Ok(object) => Some(object.number),
        Err(GetError::Empty) => None,
        Err(error) => panic!("{error:?}, {queue:?}"),
    })
    .collect()
}

fn an_object_on_lease_to_a_dead_process_comes_back_with_its_file() {
    let (before, queue) = queue_of("leased", &[10, 11, 1]);
    for deliveries in 1..4 {
        die("one with leases", || {
            let lease = queue.try_lease().unwrap();
            assert_eq!((lease.number, lease.deliveries()), (10, deliveries));
            std::mem::forget((lease, queue.try_lease().unwrap()));
        });
        assert_eq!(queue.recover().redelivered, 2);
        assert_eq!(before.objects_since().len(), 2);
    }
    assert_eq!(numbers(&queue), [10, 11, 1]);
    assert_eq!((before.objects_since(), queue.stats().spilled_bytes), (Vec::new(), 0));
}

fn an_object_whose_putter_dies_in_its_file_never_existed() {
    let (before, queue) = queue_of("claimed", &[10]);
    for _ in 0..3 {
        die("one that encodes", || {
            let _ = queue.put(&Object { number: FIRST_HUGE, encoding: Encoding::Dies });
        });
        assert_eq!(before.objects_since().len(), 2, "its file is there");
        queue.put(&Object::new(2)).unwrap();
        assert_eq!(queue.recover().aborted, 1);
        assert_eq!(before.objects_since().len(), 1);
        assert_eq!(queue.try_get().unwrap().number, 10);
        assert_eq!(queue.try_get().unwrap().number, 2);
        queue.put(&Object::new(10)).unwrap();
    }
    assert_eq!(numbers(&queue), [10]);
    assert_eq!(before.objects_since(), [""; 0]);
}

fn an_object_that_fails_to_encode_leaves_no_file() {
    let (before, queue) = queue_of("fails", &[10]);
    for _ in 0..3 {
        let fails = Object { number: FIRST_HUGE, encoding: Encoding::Fails };
        assert!(matches!(queue.put(&fails), Err(PutError::Encode { .. })));
        assert_eq!(before.objects_since().len(), 1);
    }
    queue.put(&Object::new(FIRST_HUGE)).unwrap();
    assert_eq!(numbers(&queue), [10, FIRST_HUGE]);
    assert_eq!((before.objects_since(), queue.stats().spilled_bytes), (Vec::new(), 0));
}

/// The bound is that of one huge object: each death leaves its bytes counted.
fn objects_of_dead_processes_give_their_bytes_back() {
    let before = Before::now();
    let queue = builder(&unique_name("bytes")).max_spilled_bytes(80_000).create().unwrap();
    for _ in 0..5 {
        die("one that encodes", || {
            let _ = queue.put(&Object { number: FIRST_HUGE, encoding: Encoding::Dies });
        });
        // Another process learns of the death, and waits for nothing.
        fork("the next one", || queue.try_put(&Object::new(FIRST_HUGE + 1)).unwrap()).expect_success();
        assert!(matches!(queue.try_put(&Object::new(FIRST_HUGE + 2)), Err(PutError::Full)));
        die("one that gets", || {
            let lease = queue.try_lease().unwrap();
            assert_eq!(lease.number, FIRST_HUGE + 1);
            std::mem::forget(lease);
        });
        queue.recover();
        assert_eq!(queue.try_get().unwrap().number, FIRST_HUGE + 1);
        assert_eq!(before.objects_since(), [""; 0]);
    }
}

fn an_object_that_kills_its_holders_is_given_up_with_its_file() {
    let before = Before::now();
    let queue = builder(&unique_name("worn")).max_deliveries(2).create().unwrap();
    [10, 11].into_iter().for_each(|number| queue.put(&Object::new(number)).unwrap());
    for _ in 0..2 {
        die("one with a lease", || {
            let lease = queue.try_lease().unwrap();
            assert_eq!(lease.number, 10);
            std::mem::forget(lease);
        });
        queue.recover();
    }
    assert_eq!(before.objects_since().len(), 1, "that of the other");
    assert_eq!(queue.stats().given_up, 1);
    assert_eq!(numbers(&queue), [11]);
    assert_eq!(before.objects_since(), [""; 0]);
}

/// A queue whose first object was delivered as often as it may be, to a process that died.
fn worn_out(letters: &str) -> ObjectQueue<Object> {
    let queue = builder(&unique_name("worn")).max_deliveries(1).dead_letters(letters).create().unwrap();
    [10, 11].into_iter().for_each(|number| queue.put(&Object::new(number)).unwrap());
    die("one with a lease", || {
        let lease = queue.try_lease().unwrap();
        assert_eq!(lease.number, 10);
        std::mem::forget(lease);
    });
    queue
}

fn an_object_that_kills_its_holders_becomes_a_letter_larger_than_its_ring() {
    let before = Before::now();
    let letters = DeadLetters::create(unique_name("letters"), RING_BYTES).unwrap();
    let queue = worn_out(letters.name());
    queue.recover();
    assert_eq!(before.objects_since().len(), 2, "a letter and an object");
    assert_eq!(numbers(&queue), [11]);
    // A letter on lease to a process that dies comes back, too.
    die("one with a letter", || std::mem::forget(letters.try_lease().unwrap()));
    letters.recover();
    let letter = letters.try_get().unwrap();
    assert_eq!(letter.decode::<Object, MessagePack>().unwrap().number, 10);
    assert_eq!(before.objects_since(), [""; 0]);
    DeadLetters::unlink(letters.name()).unwrap();
    drop((letters, queue));
    before.expect_none_left();
}

fn a_letter_that_finds_no_room_stays_whole() {
    let before = Before::now();
    let name = unique_name("letters");
    let queue = worn_out(&name);
    queue.recover();
    assert_eq!(queue.try_get().unwrap().number, 11);
    // There is no such queue yet.
    assert_eq!(before.objects_since().len(), 1);
    let letters = DeadLetters::create(&name, RING_BYTES).unwrap();
    queue.recover();
    assert_eq!(letters.try_get().unwrap().decode::<Object, MessagePack>().unwrap().number, 10);
    queue.recover();
    assert_eq!(before.objects_since(), [""; 0]);
    DeadLetters::unlink(&name).unwrap();
    drop((letters, queue));
    before.expect_none_left();
}

fn an_object_whose_file_was_removed_by_hand_is_an_error_and_no_hang() {
    let (before, queue) = queue_of("lost", &[10, 11]);
    let files = before.objects_since();
    std::fs::remove_file(format!("/dev/shm/{}", files[0])).unwrap();
    let error = queue.try_get().unwrap_err();
    assert!(matches!(error, GetError::Os { .. }), "{error:?}");
    std::fs::write(format!("/dev/shm/{}", files[1]), b"something else").unwrap();
    let error = queue.try_get().unwrap_err();
    assert!(matches!(error, GetError::Os { .. }), "{error:?}");
    assert!(matches!(queue.try_get(), Err(GetError::Empty)), "each was lost once");
    queue.recover();
    assert_eq!(before.objects_since(), [""; 0]);
    queue.put(&Object::new(12)).unwrap();
    assert_eq!(numbers(&queue), [12]);
}

fn a_forked_child_does_not_end_its_parents_lease() {
    let (before, queue) = queue_of("forked", &[10]);
    let lease = queue.try_lease().unwrap();
    fork("a child", || {
        // Its copy of the lease is dropped with the handle.
        drop(queue.clone());
        assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    })
    .expect_success();
    die("another child", || assert!(matches!(queue.try_get(), Err(GetError::Empty))));
    queue.recover();
    assert_eq!(before.objects_since().len(), 1);
    assert_eq!(lease.number, 10);
    lease.give_back();
    assert_eq!(numbers(&queue), [10]);
    assert_eq!(before.objects_since(), [""; 0]);
}
