//! Primitives of `shmq::sync`: one cell, words and data.

use crate::support::harness::Case;
use crate::support::process::{fork, shared_word, wait_for_count};
use crate::support::unique_name;
use crate::{check_common, number, read, text};
use serde_json::Value;
use shmq::sync::{Array, Barrier, Condvar, Event, Lock, Mutex, ReentrantLock, Semaphore, Value as SharedValue};
use std::sync::atomic::Ordering::Relaxed;

pub fn cases() -> Vec<Case> {
    crate::cases![data_of_mutex_array_and_value, events_semaphores_and_barriers, locks_and_their_holders]
}

fn checked(name: &str) -> Value {
    let report = read(name);
    check_common(&report, name);
    report
}

fn data_of_mutex_array_and_value() {
    let name = unique_name("mutex");
    let mutex = Mutex::create(&name, 0x0102_0304u32).unwrap();
    let guard = mutex.lock().unwrap();
    let report = checked(&name);
    assert_eq!((text(&report, "/primitive/data"), number(&report, "/primitive/words/needs_repair")), ("04030201", 0));
    assert_eq!(number(&report, "/holders/put_lock"), u64::from(std::process::id()));
    drop(guard);
    assert!(checked(&name)["holders"]["put_lock"].is_null());

    let name = unique_name("array");
    let _array = Array::create(&name, [1u16, 2, 3]).unwrap();
    assert_eq!(text(&checked(&name), "/primitive/data"), "010002000300");

    let name = unique_name("value");
    let value = SharedValue::create(&name, [7u8; 100]).unwrap();
    for number in 0..3 {
        value.set([number; 100]).unwrap();
        assert_eq!(text(&checked(&name), "/primitive/data"), format!("{number:02x}").repeat(100));
    }
}

fn events_semaphores_and_barriers() {
    let name = unique_name("event");
    let event = Event::create(&name).unwrap();
    assert_eq!(checked(&name)["primitive"]["is_set"], false);
    event.set();
    assert_eq!(checked(&name)["primitive"]["is_set"], true);

    let name = unique_name("semaphore");
    let semaphore = Semaphore::create(&name, 5).unwrap();
    let ready = shared_word();
    let child = fork("holder of a permit", || {
        let semaphore = Semaphore::open(&name).unwrap();
        let _permit = semaphore.permit().unwrap();
        ready.store(1, Relaxed);
        loop {
            std::thread::park();
        }
    });
    wait_for_count("a permit", ready, 1);
    let permit = semaphore.permit().unwrap();
    semaphore.acquire().unwrap();
    let report = checked(&name);
    assert_eq!((number(&report, "/primitive/free"), number(&report, "/primitive/counted")), (2, 2));
    assert_eq!(number(&report, "/primitive/free"), semaphore.value());
    child.kill();
    // The permit of the dead is free: its entry has no live holder.
    assert_eq!((number(&read(&name), "/primitive/free"), semaphore.value()), (3, 3));
    drop(permit);
    assert_eq!(number(&checked(&name), "/primitive/free"), 4);

    let name = unique_name("barrier");
    let barrier = Barrier::create(&name, 2).unwrap();
    let report = checked(&name);
    assert_eq!((number(&report, "/header/capacity"), number(&report, "/primitive/words/phase") & 3), (2, 0));
    barrier.abort().unwrap();
    assert!(barrier.is_broken() && number(&checked(&name), "/primitive/words/phase") & 3 == 1);

    let name = unique_name("condvar");
    let _condvar = Condvar::create(&name).unwrap();
    assert_eq!(number(&checked(&name), "/primitive/words/orders"), 0);
}

fn locks_and_their_holders() {
    let pid = u64::from(std::process::id());
    let name = unique_name("lock");
    let lock = Lock::create(&name).unwrap();
    assert!(checked(&name)["primitive"]["holder"].is_null());
    lock.acquire().unwrap();
    let report = checked(&name);
    assert_eq!((number(&report, "/primitive/holder"), lock.holder_pid().map(u64::from)), (pid, Some(pid)));
    lock.release().unwrap();

    let name = unique_name("reentrant");
    let lock = ReentrantLock::create(&name).unwrap();
    let _guards = (lock.lock().unwrap(), lock.lock().unwrap());
    let report = checked(&name);
    assert_eq!((number(&report, "/primitive/holder"), number(&report, "/primitive/words/levels") & 0xffff_ffff), (pid, 2));
    assert_eq!(lock.levels(), 2);
}
