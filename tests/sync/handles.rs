//! Names, kinds and types, and handles that travel.

use crate::support::harness::Case;
use crate::support::process::{fork, shared_word, wait_for_count};
use crate::support::{segment_exists, unique_name};
use serde::{Deserialize, Serialize};
use shmq::sync::{Array, Barrier, Condvar, Event, Lock, LockError, Mutex, Pipe, ReentrantLock, Semaphore, SyncError, Value};
use shmq::{CreateError, OpenError, Queue};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering::Release;

pub fn cases() -> Vec<Case> {
    crate::cases![
        programs_meet_by_name,
        a_name_goes_with_the_last_handle,
        a_dead_object_is_opened_as_it_was_left,
        another_kind_or_type_is_a_mismatch_that_names_both,
        every_handle_travels_through_a_queue,
        a_handle_of_what_was_replaced_says_so,
        bad_names_and_sizes_are_refused,
        a_builder_sets_the_mode_and_the_number_of_participants,
        a_builder_refuses_what_cannot_be,
    ]
}

fn programs_meet_by_name() {
    let name = unique_name("meeting");
    let ready = shared_word();
    let opener = fork("an opener", || {
        wait_for_count("the creator", ready, 1);
        let mutex = Mutex::<u64>::open(&name).unwrap();
        *mutex.lock().unwrap() += 1;
        assert!(matches!(Mutex::create(&name, 9u64), Err(CreateError::AlreadyExists { in_use: true, .. })));
        let same = Mutex::open_or_create(&name, 9u64).unwrap();
        assert_eq!(*same.lock().unwrap(), 42);
    });
    assert!(matches!(Mutex::<u64>::open(&name), Err(OpenError::NotFound { .. })));
    let mutex = Mutex::create(&name, 41u64).unwrap();
    assert_eq!(mutex.name(), name);
    ready.store(1, Release);
    opener.expect_success();
    assert_eq!(*mutex.lock().unwrap(), 42);
}

fn a_name_goes_with_the_last_handle() {
    let name = unique_name("last");
    let event = Event::create(&name).unwrap();
    let clone = event.clone();
    drop(event);
    assert!(segment_exists(&name));
    drop(clone);
    assert!(!segment_exists(&name));
    let kept = Value::create(&name, 3u32).unwrap();
    kept.persist();
    drop(kept);
    assert_eq!(Value::<u32>::open(&name).unwrap().get().unwrap(), 3);
    Value::<u32>::unlink(&name).unwrap();
    assert!(!segment_exists(&name));
}

fn a_dead_object_is_opened_as_it_was_left() {
    let name = unique_name("dead");
    fork("one who leaves without a word", || {
        let value = Value::create(&name, [1u64, 2, 3]).unwrap();
        value.update(|words| words[0] = 7).unwrap();
        std::mem::forget(value);
    })
    .expect_success();
    assert_eq!(Value::<[u64; 3]>::open(&name).unwrap().get().unwrap(), [7, 2, 3]);
}

fn another_kind_or_type_is_a_mismatch_that_names_both() {
    #[track_caller]
    fn names_both<T>(opened: Result<T, OpenError>, ours: &str, theirs: &str) {
        match opened.err().expect("a mismatch") {
            OpenError::Mismatch { ours: o, theirs: t, .. } => assert_eq!((o.as_str(), t.as_str()), (ours, theirs)),
            other => panic!("{other:?}"),
        }
    }
    let name = unique_name("mismatch");
    let mutex = Mutex::create(&name, 1u64).unwrap();
    names_both(Mutex::<i64>::open(&name), "a mutex of type i64 (8 bytes)", "a mutex of type u64 (8 bytes)");
    names_both(Mutex::<[u64; 2]>::open(&name), "a mutex of type [u64; 2] (16 bytes)", "a mutex of type u64 (8 bytes)");
    names_both(Value::<u64>::open(&name), "a value of type u64 (8 bytes)", "a mutex of type u64 (8 bytes)");
    names_both(Event::open(&name), "an event", "a mutex of type u64 (8 bytes, aligned to 8)");
    names_both(Queue::<u64>::open(&name), "messages of type u64 (8 bytes)", "a mutex of type u64 (8 bytes)");
    assert!(matches!(Barrier::open_or_create(&name, 2), Err(CreateError::Mismatch { .. })));
    drop(mutex);
    let _semaphore = Semaphore::create(&name, 1).unwrap();
    names_both(Condvar::open(&name), "a condition variable", "a semaphore");
    let queue_name = unique_name("queue");
    let _queue = Queue::<u32>::create(&queue_name, 4).unwrap();
    names_both(Array::<u32>::open(&queue_name), "an array of type u32 (4 bytes an element)", "messages of type u32 (4 bytes)");
    names_both(Barrier::open(&queue_name), "a barrier", "messages of type u32 (4 bytes, aligned to 4)");
}

#[derive(Serialize, Deserialize)]
struct Everything {
    mutex: Mutex<u64>,
    array: Array<u16>,
    value: Value<f64>,
    event: Event,
    semaphore: Semaphore,
    condvar: Condvar,
    barrier: Barrier,
    pipe: Pipe<u32, u64>,
    lock: Lock,
    reentrant: ReentrantLock,
}

fn every_handle_travels_through_a_queue() {
    let letters = Queue::<[u8]>::builder().capacity_bytes(1 << 16).create().unwrap();
    // Forked before the objects exist, so that it inherits none of them.
    let receiver = fork("a receiver", || {
        let letter = letters.get().unwrap();
        let all: Everything = serde_json::from_slice(&letter).unwrap();
        assert_eq!(*all.mutex.lock().unwrap(), 5);
        *all.mutex.lock().unwrap() = 6;
        all.array.lock().unwrap()[2] = 9;
        all.value.set(2.5).unwrap();
        all.semaphore.acquire().unwrap();
        all.condvar.notify_all();
        // Acquired by the sender.
        all.lock.release().unwrap();
        assert!(all.reentrant.locked() && !all.reentrant.is_mine());
        assert_eq!(all.pipe.get().unwrap(), 77);
        all.pipe.put(&78).unwrap();
        all.barrier.wait().unwrap();
        all.event.set();
        // Twice in one process: one attachment.
        let again: Everything = serde_json::from_slice(&letter).unwrap();
        assert!(again.event.is_set());
    });
    let (ours, theirs) = Pipe::<u64, u32>::new(4).unwrap();
    let all = Everything {
        mutex: Mutex::new(5u64).unwrap(),
        array: Array::new([1, 2, 3]).unwrap(),
        value: Value::new(0.5).unwrap(),
        event: Event::new().unwrap(),
        semaphore: Semaphore::new(2).unwrap(),
        condvar: Condvar::new().unwrap(),
        barrier: Barrier::new(2).unwrap(),
        pipe: theirs,
        lock: Lock::new().unwrap(),
        reentrant: ReentrantLock::new().unwrap(),
    };
    all.lock.acquire().unwrap();
    all.reentrant.acquire().unwrap();
    letters.put(&serde_json::to_vec(&all).unwrap()).unwrap();
    ours.put(&77).unwrap();
    assert_eq!(ours.get().unwrap(), 78);
    all.barrier.wait().unwrap();
    all.event.wait().unwrap();
    assert_eq!(*all.mutex.lock().unwrap(), 6);
    assert_eq!(*all.array.lock().unwrap(), [1, 2, 9]);
    assert_eq!(all.value.get().unwrap(), 2.5);
    assert_eq!(all.semaphore.value(), 1);
    assert!(!all.lock.locked() && all.reentrant.is_mine());
    receiver.expect_success();
}

fn a_handle_of_what_was_replaced_says_so() {
    let name = unique_name("replaced");
    let first = Event::create(&name).unwrap();
    let letter = serde_json::to_string(&first).unwrap();
    Event::unlink(&name).unwrap();
    let second = Event::create(&name).unwrap();
    fork("a stranger", || {
        // It inherits both; the first can no longer be found by its name.
        std::mem::forget((first.clone(), second.clone()));
    })
    .expect_success();
    drop(first);
    let error = serde_json::from_str::<Event>(&letter).unwrap_err();
    assert!(error.to_string().contains("has taken this name"), "{error}");
    drop(second);
    let error = serde_json::from_str::<Event>(&letter).unwrap_err();
    assert!(error.to_string().contains("no event \""), "{error}");
}

fn bad_names_and_sizes_are_refused() {
    assert!(matches!(Event::create("a/b"), Err(CreateError::BadName { .. })));
    assert!(matches!(Event::open(""), Err(OpenError::BadName { .. })));
    assert!(matches!(Barrier::new(0), Err(CreateError::OutOfRange { asked: 0, .. })));
    assert!(matches!(Barrier::new(1 << 33), Err(CreateError::TooManyParties { .. })));
    assert!(matches!(Array::<u8>::new([]), Err(CreateError::OutOfRange { asked: 0, .. })));
    assert!(Semaphore::new(u64::MAX).is_ok());
    assert!(Mutex::new(()).unwrap().lock().is_ok());
}

fn a_builder_sets_the_mode_and_the_number_of_participants() {
    let name = unique_name("built");
    let mutex = Mutex::builder(7u64).name(&name).mode(0o640).max_participants(1).create().unwrap();
    let mode = std::fs::metadata(format!("/dev/shm/shmq.{name}")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let full = |result: Result<Mutex<u64>, OpenError>| matches!(result, Err(OpenError::TooManyParticipants { max: 1, .. }));
    fork("one too many", || {
        assert!(full(Mutex::<u64>::open(&name)));
        assert!(matches!(mutex.lock(), Err(LockError::Failed(SyncError::TooManyParticipants { max: 1 }))));
    })
    .expect_success();
    assert_eq!(*mutex.lock().unwrap(), 7);
    // Many more participants than usual, with what each kind stores for each.
    let semaphore = Semaphore::builder(3).max_participants(1023).create().unwrap();
    let barrier = Barrier::builder(2).max_participants(1023).create().unwrap();
    let child = fork("a child", || {
        semaphore.acquire().unwrap();
        barrier.wait().unwrap();
    });
    barrier.wait().unwrap();
    child.expect_success();
    assert_eq!(semaphore.value(), 2);
}

fn a_builder_refuses_what_cannot_be() {
    for asked in [0, 1024] {
        let error = Event::builder().max_participants(asked).create().unwrap_err();
        assert!(matches!(error, CreateError::OutOfRange { asked: reported, max: 1023, .. } if reported == asked), "{error:?}");
    }
    assert!(matches!(Condvar::builder().open_or_create(), Err(CreateError::BadName { .. })));
    let name = unique_name("kept");
    let kept = Array::builder([1u8, 2]).name(&name).persist(true).create().unwrap();
    assert!(matches!(Array::builder([0u8]).name(&name).create(), Err(CreateError::AlreadyExists { .. })));
    drop(kept);
    assert_eq!(*Array::builder([0u8]).name(&name).open_or_create().unwrap().lock().unwrap(), [1, 2]);
    Array::<u8>::unlink(&name).unwrap();
}
